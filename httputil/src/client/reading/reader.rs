//! One answer's body on its way to the user.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use http::{HeaderMap, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};

use super::Codings;
use super::decoder::{Corrupt, Decoder};
use crate::wire::{BodyFailure, PooledBody};

/// Below this, a stream may grow as it likes.
const SPARED: u64 = 16 << 20;

/// What is done with a body. Absent where nothing is.
pub(in crate::client) struct Reading {
    decoder: Option<Decoder>,
    max_ratio: u32,
    /// `limit.max_response_bytes`
    max: Option<u64>,
    /// Bytes that the user got.
    given: u64,
    /// The wire has nothing more.
    is_over: bool,
    /// The user has heard of the end.
    has_ended: bool,
    trailers: Option<HeaderMap>,
}

/// Why a body ended early.
pub(in crate::client) enum Broken {
    Wire(BodyFailure),
    Corrupt(Corrupt),
    /// Larger than `limit.max_response_bytes`.
    TooLarge(u64),
    /// Grew by more than `compression.max_ratio`.
    Bomb(u32),
}

impl Reading {
    /// Looks at an answer's header, and takes from it what is no more true of a decoded body. `codings` are those that the
    /// request asked for.
    ///
    /// # Errors
    ///
    /// The answer says itself that it is larger than `max`.
    pub(in crate::client) fn begin(
        head: &mut Response<()>,
        body: &PooledBody,
        codings: Option<&Codings>,
        max: Option<u64>,
    ) -> Result<Option<Box<Reading>>, Broken> {
        // No body, as of HEAD: its header is that of another answer.
        if (codings.is_none() && max.is_none()) || body.is_end_stream() {
            return Ok(None);
        }
        let codings = codings.filter(|_| head.status() != StatusCode::PARTIAL_CONTENT);
        let coding = codings.and_then(|codings| codings.coding_of(head.headers()));
        let decoder = coding.and_then(Decoder::new);
        if decoder.is_some() {
            head.headers_mut().remove(CONTENT_ENCODING);
            head.headers_mut().remove(CONTENT_LENGTH);
        } else if max.is_none() {
            return Ok(None);
        } else if let Some(max) = max.filter(|max| body.size_hint().lower() > *max) {
            return Err(Broken::TooLarge(max));
        }
        Ok(Some(Box::new(Reading {
            decoder,
            max_ratio: codings.map_or(0, |codings| codings.max_ratio),
            max,
            given: 0,
            is_over: false,
            has_ended: false,
            trailers: None,
        })))
    }

    pub(in crate::client) fn poll_frame(
        &mut self,
        wire: &mut PooledBody,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if self.has_ended {
            return Poll::Ready(None);
        }
        let polled = ready!(self.poll_decoded(wire, cx));
        self.has_ended = !matches!(polled, Some(Ok(_)));
        Poll::Ready(polled)
    }

    fn poll_decoded(
        &mut self,
        wire: &mut PooledBody,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        loop {
            let Some(decoder) = &mut self.decoder else {
                let polled = ready!(Pin::new(wire).poll_frame(cx));
                return Poll::Ready(match polled {
                    Some(Ok(frame)) => Some(match frame.data_ref().map(Bytes::len) {
                        Some(length) => self.bounded(length).map(|()| frame),
                        None => Ok(frame),
                    }),
                    Some(Err(failure)) => Some(Err(Broken::Wire(failure))),
                    None => None,
                });
            };
            let piece = match decoder.next() {
                Ok(None) if self.is_over => decoder.finish(),
                piece => piece,
            };
            match piece.map_err(Broken::Corrupt) {
                Ok(Some(piece)) => {
                    let bounded = self.bounded(piece.len());
                    return Poll::Ready(Some(bounded.map(|()| Frame::data(piece))));
                }
                Ok(None) if self.is_over => {
                    return Poll::Ready(self.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))));
                }
                Ok(None) => {}
                Err(corrupt) => return Poll::Ready(Some(Err(corrupt))),
            }
            if let Err(too_large) = self.bounded(0) {
                return Poll::Ready(Some(Err(too_large)));
            }
            match ready!(Pin::new(&mut *wire).poll_frame(cx)) {
                Some(Ok(frame)) => self.take(frame),
                Some(Err(failure)) => return Poll::Ready(Some(Err(Broken::Wire(failure)))),
                None => self.is_over = true,
            }
        }
    }

    fn take(&mut self, frame: Frame<Bytes>) {
        match frame.into_data() {
            Ok(data) => {
                if let Some(decoder) = &mut self.decoder {
                    decoder.push(data);
                }
            }
            Err(frame) => self.trailers = frame.into_trailers().ok(),
        }
    }

    /// Counts bytes that the user is about to get.
    fn bounded(&mut self, more: usize) -> Result<(), Broken> {
        self.given = self.given.saturating_add(more as u64);
        let consumed = self.decoder.as_ref().map_or(0, Decoder::consumed);
        if let Some(max) = self.max {
            // Nor may a stream that comes to little go on for ever: no coding makes what it packs so much larger.
            let packed = max.saturating_add(max / 8).saturating_add(64 << 10);
            if self.given > max || consumed > packed {
                return Err(Broken::TooLarge(max));
            }
        }
        let may_be = consumed.saturating_mul(self.max_ratio.into()).max(SPARED);
        if self.decoder.is_some() && self.given > may_be {
            return Err(Broken::Bomb(self.max_ratio));
        }
        Ok(())
    }

    pub(in crate::client) fn is_end_stream(&self, wire: &PooledBody) -> bool {
        match self.decoder {
            Some(_) => self.has_ended,
            None => wire.is_end_stream(),
        }
    }

    /// How long a decoded body will be nobody knows.
    pub(in crate::client) fn size_hint(&self, wire: &PooledBody) -> SizeHint {
        match self.decoder {
            Some(_) if self.has_ended => SizeHint::with_exact(0),
            Some(_) => SizeHint::default(),
            None => wire.size_hint(),
        }
    }
}
