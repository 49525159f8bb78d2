//! The response's body as the user reads it: its errors are ours.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::execute::Prepared;
use super::reading::{Broken, Reading};
use crate::error::{Error, Kind};
use crate::wire::PooledBody;

/// The body of a response that [`Client`](crate::Client) gave as a `tower::Service`; trailers come as its last frame.
///
/// It holds the connection. Read to its end, the connection goes back to the pool; dropped before, an HTTP/1 connection
/// is closed and an HTTP/2 stream reset. The request's time-out holds for it too, whether or not somebody reads; without one,
/// `timeouts.read` ends a body that nobody asks for more of for as long.
pub struct Body {
    pooled: PooledBody,
    /// What is done with it on the way, if anything is.
    reading: Option<Box<Reading>>,
    /// The request, until its body has ended: an error tells of it. Nobody ever locks it; the mutex is what makes it
    /// shareable, which readers of bodies ask for.
    request: Mutex<Option<Box<Prepared>>>,
}

impl Body {
    pub(super) fn new(mut pooled: PooledBody, mut request: Box<Prepared>) -> Body {
        pooled.hold(request.take_held());
        let reading = request.reading.take();
        let request = (!http_body::Body::is_end_stream(&pooled)).then_some(request);
        Body {
            pooled,
            reading,
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
        let Body { pooled, reading, .. } = &mut *self;
        let frame = ready!(match reading {
            None => Pin::new(pooled).poll_frame(cx).map_err(Broken::Wire),
            Some(reading) => reading.poll_frame(pooled, cx),
        });
        match frame {
            Some(Err(broken)) => {
                // Half-read: little more is drained, else the connection closed.
                drop(std::mem::replace(&mut self.pooled, PooledBody::ended()));
                let error = match self.take_request() {
                    Some(request) => request.broken(broken),
                    None => Error::new(Kind::Body, "the response's body failed"),
                };
                Poll::Ready(Some(Err(error)))
            }
            Some(Ok(frame)) => {
                if http_body::Body::is_end_stream(&*self) {
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
        match &self.reading {
            None => http_body::Body::is_end_stream(&self.pooled),
            Some(reading) => reading.is_end_stream(&self.pooled),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.reading {
            None => http_body::Body::size_hint(&self.pooled),
            Some(reading) => reading.size_hint(&self.pooled),
        }
    }
}

impl Prepared {
    /// What became of the answer's body.
    pub(super) fn broken(&self, broken: Broken) -> Error {
        let failing = &self.failing;
        let (kind, message) = match broken {
            Broken::Wire(failure) => return failing.of_body(failure),
            Broken::Corrupt(corrupt) => (Kind::Decode, corrupt.to_string()),
            Broken::TooLarge(max) => (
                Kind::TooLarge,
                format!("the response's body is larger than {max} bytes (limit.max_response_bytes)"),
            ),
            Broken::Bomb(max_ratio) => (
                Kind::TooLarge,
                format!(
                    "the response's body grew to more than {max_ratio} times its size when it was decompressed \
                     (compression.max_ratio)"
                ),
            ),
        };
        if kind == Kind::TooLarge {
            self.in_force.pool.count_too_large();
        }
        failing.describe(Error::new(kind, message))
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
