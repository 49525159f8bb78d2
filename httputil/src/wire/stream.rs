//! An HTTP/2 stream under way, from our side: first its answer is awaited, then its body read.
//!
//! Dropping it takes the request back, which resets the stream unless the answer has come to its end by then.

use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use tokio::time::Instant;

use super::turn::Numbered;
use super::{BodyFailure, Held, Place, RequestBody, parking};
use crate::error::Phase;

type Outcome<B> = Result<Response<Incoming>, TrySendError<Request<B>>>;

/// hyper's future of an answer.
pub(super) type Answer<B = RequestBody> = Pin<Box<dyn Future<Output = Outcome<B>> + Send + Sync>>;

/// A stream and its place.
pub(super) struct Stream {
    parts: Option<(Remains, Place)>,
    is_over: bool,
    /// Dropped with it, behind the place.
    held: Held,
}

/// What is yet to come of a stream.
pub(super) enum Remains {
    Answer(Answer<Numbered>),
    Body {
        incoming: Incoming,
        /// Bytes that may be read to find out whether more is to come.
        patience: usize,
    },
}

/// What is read of a body that nobody wants: as much as of an HTTP/1 body.
const PATIENCE: usize = 64 << 10;

impl Stream {
    pub(super) fn of_answer(answer: Answer<Numbered>, place: Place) -> Stream {
        Stream {
            parts: Some((Remains::Answer(answer), place)),
            is_over: false,
            held: Held::default(),
        }
    }

    /// Its answer has come: the body is next.
    pub(super) fn begin_body(&mut self, incoming: Incoming) {
        if let Some((remains, _)) = &mut self.parts {
            let patience = PATIENCE;
            *remains = Remains::Body { incoming, patience };
            self.is_over = false;
        }
    }

    /// Nothing is to come any more: dropping it resets nothing.
    pub(super) fn finish(&mut self) {
        self.is_over = true;
    }

    pub(super) fn place(&mut self) -> Option<&mut Place> {
        self.parts.as_mut().map(|(_, place)| place)
    }

    /// What the request holds is given back with the stream's place; of one that is parked before, at once.
    pub(super) fn hold(&mut self, held: Held) {
        self.held = held;
    }

    /// The answer. If it is one, its [body](Self::begin_body) begins.
    pub(super) fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<Outcome<Numbered>> {
        let Some((Remains::Answer(answer), _)) = &mut self.parts else {
            unreachable!("an answer comes once, and before its body")
        };
        let outcome = ready!(answer.as_mut().poll(cx));
        self.is_over = true;
        Poll::Ready(outcome)
    }

    /// Our deadline ends it; `received` is what had been [`received`](Self::received) when half of its time was over,
    /// if it was awaited then.
    pub(super) fn timed_out(self, received: Option<u64>) {
        if let (Some((_, place)), Some(received)) = (&self.parts, received) {
            place.timed_out(received);
        }
    }

    /// What is being waited for until the head comes.
    pub(super) fn phase(&self) -> Phase {
        match &self.parts {
            Some((_, place)) if place.is_uploading() => Phase::Write,
            _ => Phase::ResponseHeader,
        }
    }

    /// When half of its time is over, unless that is now.
    pub(super) fn half_time(&self, deadline: Instant) -> Option<Instant> {
        let half = self.parts.as_ref().map(|(_, place)| place.half_time(deadline));
        half.filter(|half| *half > Instant::now())
    }

    /// Bytes received on its connection so far.
    pub(super) fn received(&self) -> Option<u64> {
        self.parts.as_ref().map(|(_, place)| place.received())
    }

    fn incoming(&self) -> Option<&Incoming> {
        match &self.parts {
            Some((Remains::Body { incoming, .. }, _)) => Some(incoming),
            _ => None,
        }
    }

    /// The next piece of the body.
    pub(super) fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyFailure>>> {
        let Some((Remains::Body { incoming, .. }, place)) = &mut self.parts else {
            return Poll::Ready(None);
        };
        let polled = ready!(Pin::new(&mut *incoming).poll_frame(cx));
        self.is_over = !matches!(polled, Some(Ok(_))) || incoming.is_end_stream();
        if polled.is_none() {
            // hyper takes an error with `NO_ERROR` for the end, a GOAWAY's too.
            let hint = incoming.size_hint();
            let failure = if hint.lower() > 0 && !place.is_bodiless() {
                Some(BodyFailure::Short(hint.lower()))
            } else if hint.exact().is_none() && !incoming.is_end_stream() && !place.is_uploading() {
                // Only to an upload may a server say so behind a whole answer (RFC 9113 §8.1).
                Some(BodyFailure::Cut)
            } else {
                None
            };
            return Poll::Ready(failure.map(Err));
        }
        Poll::Ready(polled.map(|frame| frame.map_err(|error| place.body_failure(error))))
    }

    /// Whether the body has ended or failed: the stream is to be dropped, and its place with it.
    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }

    pub(super) fn is_end_stream(&self) -> bool {
        self.incoming().is_none_or(Body::is_end_stream)
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        self.incoming().map_or_else(SizeHint::default, Body::size_hint)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // Dropped here, the stream goes before its place is given back.
        if let Some((remains, place)) = self.parts.take_if(|_| !self.is_over) {
            parking::let_go(remains, place);
        }
    }
}

impl Remains {
    /// Whether the stream has ended by itself, so that dropping it resets nothing. What has come of a body is read for
    /// that, within bounds: an end behind unread bytes does not show.
    pub(super) fn has_ended(&mut self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        if let Remains::Answer(answer) = self {
            match answer.as_mut().poll(&mut cx) {
                Poll::Pending => return false,
                Poll::Ready(Err(_)) => return true,
                Poll::Ready(Ok(response)) => {
                    *self = Remains::Body {
                        incoming: response.into_body(),
                        patience: PATIENCE,
                    };
                }
            }
        }
        let Remains::Body { incoming, patience } = self else {
            return false;
        };
        while !incoming.is_end_stream() && *patience > 0 {
            match Pin::new(&mut *incoming).poll_frame(&mut cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    let length = frame.data_ref().map_or(0, Bytes::len);
                    // Empty frames cost patience too.
                    *patience = patience.saturating_sub(length.max(1));
                }
                Poll::Ready(_) => return true,
                Poll::Pending => return false,
            }
        }
        incoming.is_end_stream()
    }
}
