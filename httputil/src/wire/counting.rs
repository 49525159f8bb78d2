//! A request body whose length its caller has stated.
//!
//! hyper would send the first bytes of a body that is longer, and wait for ever for the rest of one that is shorter. Here
//! either is an error, and the request never looks complete: the last piece is kept until the body has ended. A body of no
//! bytes at all hides its length, since hyper asks none that says so.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::error::BoxError;

/// Counts what a body gives against its stated length.
pub(super) struct Counting<B> {
    body: B,
    length: u64,
    left: u64,
    /// The piece that completes the length.
    last: Option<Frame<Bytes>>,
    /// They come behind it. HTTP/1 has no room for them, and asks no further.
    trailers: Option<Frame<Bytes>>,
    has_ended: bool,
}

impl<B> Counting<B> {
    pub(super) fn new(body: B, length: u64) -> Counting<B> {
        Counting {
            body,
            length,
            left: length,
            last: None,
            trailers: None,
            has_ended: false,
        }
    }
}

impl<B> Body for Counting<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        loop {
            if this.has_ended {
                let rest = this.last.take().or_else(|| this.trailers.take());
                return Poll::Ready(rest.map(Ok));
            }
            let frame = match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
                Some(Ok(frame)) if !frame.is_trailers() => frame,
                Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
                _ if this.left > 0 => {
                    let Counting { length, left, .. } = this;
                    let message = format!("it ended {left} bytes before its content-length, {length}");
                    return Poll::Ready(Some(Err(message.into())));
                }
                end => {
                    // Trailers are the end, as it is for hyper.
                    this.trailers = end.and_then(Result::ok);
                    this.has_ended = true;
                    continue;
                }
            };
            let Some(data) = frame.data_ref() else { continue };
            let size = data.len() as u64;
            if size > this.left {
                let message = format!("it is longer than its content-length, {}", this.length);
                return Poll::Ready(Some(Err(message.into())));
            }
            this.left -= size;
            if this.left > 0 {
                return Poll::Ready(Some(Ok(frame)));
            }
            if size > 0 {
                this.last = Some(frame);
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.has_ended && self.last.is_none() && self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        if self.length == 0 && !self.is_end_stream() {
            return SizeHint::new();
        }
        let kept = self.last.as_ref().and_then(Frame::data_ref).map_or(0, Bytes::len) as u64;
        SizeHint::with_exact(self.left + kept)
    }
}
