//! The response's body as the user reads it: it holds the request's ticket, and its errors are ours.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::execute::Prepared;
use crate::error::{Error, Kind};
use crate::wire::PooledBody;

/// The body of a response that [`Client`](crate::Client) gave as a `tower::Service`; trailers come as its last frame.
///
/// It holds the connection. Read to its end, the connection goes back to the pool; dropped before, an HTTP/1 connection
/// is closed and an HTTP/2 stream reset. The request's time-out holds for it too, whether or not somebody reads.
pub struct Body {
    pooled: PooledBody,
    /// The request, until its body has ended: it counts as under way, and an error tells of it. Nobody ever locks it;
    /// the mutex is what makes it shareable, which readers of bodies ask for.
    request: Mutex<Option<Box<Prepared>>>,
}

impl Body {
    pub(super) fn new(pooled: PooledBody, request: Box<Prepared>) -> Body {
        let request = (!http_body::Body::is_end_stream(&pooled)).then_some(request);
        Body {
            pooled,
            request: Mutex::new(request),
        }
    }

    fn take_request(&mut self) -> Option<Box<Prepared>> {
        self.request.get_mut().ok()?.take()
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let frame = ready!(Pin::new(&mut self.pooled).poll_frame(cx));
        match frame {
            Some(Err(failure)) => {
                let error = match self.take_request() {
                    Some(request) => request.failing.of_body(failure),
                    None => Error::new(Kind::Body, "the response's body failed"),
                };
                Poll::Ready(Some(Err(error)))
            }
            Some(Ok(frame)) => {
                if http_body::Body::is_end_stream(&self.pooled) {
                    drop(self.take_request());
                }
                Poll::Ready(Some(Ok(frame)))
            }
            None => {
                drop(self.take_request());
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        http_body::Body::is_end_stream(&self.pooled)
    }

    fn size_hint(&self) -> SizeHint {
        http_body::Body::size_hint(&self.pooled)
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body")
            .field("is_end_stream", &http_body::Body::is_end_stream(self))
            .finish_non_exhaustive()
    }
}

/// The same, with errors that are `io::Error`s around ours, so that reqwest's `is_timeout()` is right and
/// [`Error::of`] finds it.
pub(super) struct ForReqwest(pub(super) Body);

impl http_body::Body for ForReqwest {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        Pin::new(&mut self.0).poll_frame(cx).map_err(|error| {
            let kind = if error.is_timeout() {
                io::ErrorKind::TimedOut
            } else {
                io::ErrorKind::Other
            };
            io::Error::new(kind, error)
        })
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}
