//! Bodies of answers.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;

use crate::gate::Gate;
use crate::ledger::InFlight;

/// Any body that an answer can have.
#[derive(Debug)]
pub struct ReplyBody {
    inner: UnsyncBoxBody<Bytes, Infallible>,
    // Counted as in flight until hyper lets go of the body.
    in_flight: Option<InFlight>,
}

impl ReplyBody {
    /// Wraps a body.
    pub fn new(body: impl Body<Data = Bytes, Error = Infallible> + Send + 'static) -> Self {
        Self {
            inner: body.boxed_unsync(),
            in_flight: None,
        }
    }

    pub(super) fn counted(mut self, in_flight: InFlight) -> Self {
        self.in_flight = Some(in_flight);
        self
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Pin::new(&mut self.inner).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// A body of given pieces whose length is not told beforehand: chunked in HTTP/1.
#[derive(Clone, Debug, Default)]
pub struct Frames {
    data: VecDeque<Bytes>,
    trailers: Option<HeaderMap>,
}

impl Frames {
    /// These pieces, in order.
    pub fn new(pieces: impl IntoIterator<Item = Bytes>) -> Self {
        Self {
            data: pieces.into_iter().collect(),
            trailers: None,
        }
    }

    /// And these trailers. In HTTP/1 hyper sends them only to a client that says `te: trailers`, and only those that the
    /// answer's `trailer` header names.
    #[must_use]
    pub fn trailers(mut self, trailers: HeaderMap) -> Self {
        self.trailers = Some(trailers);
        self
    }
}

impl Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let data = self.data.pop_front().map(Frame::data);
        Poll::Ready(data.or_else(|| self.trailers.take().map(Frame::trailers)).map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_empty() && self.trailers.is_none()
    }
}

/// `first `, then, when the gate opens, `last`.
pub(super) struct Gated {
    first: Option<Bytes>,
    last: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Gated {
    pub(super) fn new(gate: Gate) -> Self {
        let last: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(async move { gate.pass().await });
        Self {
            first: Some(Bytes::from_static(b"first ")),
            last: Some(last),
        }
    }
}

impl Body for Gated {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        let Some(last) = self.last.as_mut() else {
            return Poll::Ready(None);
        };
        ready!(last.as_mut().poll(cx));
        self.last = None;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"last")))))
    }
}
