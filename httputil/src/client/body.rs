//! The response's body as the user reads it: its errors are ours.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};

use super::execute::Prepared;
use super::reading::Broken;
use crate::error::{Error, Kind};

/// The body of a response that [`Client`](crate::Client) gave as a `tower::Service`; trailers come as its last frame.
///
/// It holds the connection, unless it is short (8 KiB over HTTP/1) and came whole with its head. Read to its end, the
/// connection goes back to the pool; dropped before, an HTTP/1 connection is closed and an HTTP/2 stream reset. The request's
/// time-out holds for it too, whether or not somebody reads; without one, `timeouts.read` ends a body that nobody asks for
/// more of for as long.
pub struct Body {
    /// The request with what is left of its answer, until that has ended: an error tells of it. The mutex is what makes it
    /// shareable, which readers of bodies ask for.
    request: Mutex<Option<Box<Prepared>>>,
}

impl Body {
    pub(super) fn new(mut request: Box<Prepared>) -> Body {
        let held = request.take_held();
        request.pooled.hold(held);
        let request = (!request.pooled.is_end_stream()).then_some(request);
        Body {
            request: Mutex::new(request),
        }
    }

    fn request(&mut self) -> &mut Option<Box<Prepared>> {
        self.request.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    fn look<T>(&self, over: T, look: impl FnOnce(&Prepared) -> T) -> T {
        let request = self.request.lock().unwrap_or_else(PoisonError::into_inner);
        request.as_deref().map_or(over, look)
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let slot = self.request();
        let Some(request) = slot else {
            return Poll::Ready(None);
        };
        let frame = ready!(request.poll_answer(cx));
        match frame {
            Some(Ok(frame)) => {
                if request.has_answered() {
                    *slot = None;
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Some(Err(broken)) => {
                // Half-read: little more is drained, else the connection closed.
                drop(request.take_pooled());
                let error = request.broken(broken);
                *slot = None;
                Poll::Ready(Some(Err(error)))
            }
            None => {
                *slot = None;
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.look(true, Prepared::has_answered)
    }

    fn size_hint(&self) -> SizeHint {
        self.look(SizeHint::with_exact(0), |request| match &request.reading {
            None => request.pooled.size_hint(),
            Some(reading) => reading.size_hint(&request.pooled),
        })
    }
}

impl Prepared {
    /// The answer's body, if it is here, and the user is to have it as it is. The request holds nothing any more then.
    pub(super) fn take_whole(&mut self) -> Option<Bytes> {
        match self.reading {
            None => self.pooled.whole(),
            Some(_) => None,
        }
    }

    /// The next piece of the answer's body, as the user is to have it.
    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match &mut self.reading {
            None => Pin::new(&mut self.pooled).poll_frame(cx).map_err(Broken::Wire),
            Some(reading) => reading.poll_frame(&mut self.pooled, cx),
        }
    }

    /// Whether the user has had all of it.
    fn has_answered(&self) -> bool {
        match &self.reading {
            None => self.pooled.is_end_stream(),
            Some(reading) => reading.is_end_stream(&self.pooled),
        }
    }
}

impl Prepared {
    /// What became of the answer's body.
    pub(super) fn broken(&self, broken: Broken) -> Error {
        let failing = &self.failing;
        let (kind, message) = match broken {
            Broken::Wire(failure) => {
                // Behind a proxy that passes it on nobody knows who has broken it off.
                if failure.is_the_peer_s() && self.route.forwards().is_none() {
                    self.judge_again();
                }
                return failing.of_body(failure);
            }
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
            tracing::debug!(profile = &*self.in_force.name, method = %failing.method, "cut: {message}");
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
