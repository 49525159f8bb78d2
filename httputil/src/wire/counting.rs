//! A request body whose length its caller has stated.
//!
//! hyper would send the first bytes of a body that is longer, and wait for ever for the rest of one that is shorter. Here
//! either is an error, and the request never looks complete: the last piece is kept until the body has ended.

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
    has_ended: bool,
}

impl<B> Counting<B> {
    pub(super) fn new(body: B, length: u64) -> Counting<B> {
        Counting {
            body,
            length,
            left: length,
            last: None,
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
                return Poll::Ready(this.last.take().map(Ok));
            }
            let frame = match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
                None if this.left > 0 => {
                    let Counting { length, left, .. } = this;
                    let message = format!("it ended {left} bytes before its content-length, {length}");
                    return Poll::Ready(Some(Err(message.into())));
                }
                None => {
                    this.has_ended = true;
                    continue;
                }
                Some(Ok(frame)) => frame,
                Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
            };
            let Some(data) = frame.data_ref() else {
                // A length leaves no room for trailers in HTTP/1.
                continue;
            };
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
        self.has_ended && self.last.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let kept = self.last.as_ref().and_then(Frame::data_ref).map_or(0, Bytes::len) as u64;
        SizeHint::with_exact(self.left + kept)
    }
}
