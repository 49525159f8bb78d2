//! Which of its connection's streams an HTTP/2 request is, and whether that was written.
//!
//! hyper does not say. But h2 numbers streams in the order in which it is given requests, and in the same turn in which hyper
//! gives it one, hyper asks whether the body is at its end. So the body takes the number. What was taken back before
//! has none, and leaves no gap.
//!
//! ```text
//! send ─► Numbered ─ hyper's queue ─► is_end_stream: the next number ─► h2 ─► HEADERS: Signs::streams_written
//!            └─ Turn ─► the place: is_unwritten, and at its end Turns::ends
//! ```
//!
//! The rule: a request counts as unwritten only if that is certain. A number that h2 gave no stream would break it; only a
//! CONNECT could get one, and none is sent. Where hyper should not ask any more, more streams than numbers come to be
//! written, and nothing is certain.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::RequestBody;
use super::signs::Signs;
use crate::error::BoxError;

/// The numbers of a connection.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// Requests that h2 was given.
    given: AtomicUsize,
    /// Those of them that are over.
    over: AtomicUsize,
    /// Of those, which had not been written when they were taken back, and may be yet.
    unwritten: Mutex<Vec<usize>>,
}

impl Turns {
    /// A request is over, when so many streams have been written.
    fn ends(&self, number: usize, written: usize) {
        if number > written {
            let mut unwritten = self.unwritten.lock().unwrap_or_else(PoisonError::into_inner);
            unwritten.retain(|number| *number > written);
            unwritten.push(number);
        }
        // Behind that: it would be taken for one that was written.
        self.over.fetch_add(1, Ordering::SeqCst);
    }

    /// Whether for certain all that were written are over.
    pub(super) fn written_are_over(&self, signs: &Signs) -> bool {
        // In this order: what ends or is written meanwhile makes it less certain only.
        let over = self.over.load(Ordering::SeqCst);
        let mut unwritten = self.unwritten.lock().unwrap_or_else(PoisonError::into_inner);
        let written = signs.streams_written();
        unwritten.retain(|number| *number > written);
        over >= written + unwritten.len()
    }
}

/// One request's.
#[derive(Debug)]
pub(super) struct Turn {
    /// [`NONE`], [`OVER`], or its number from 1.
    number: AtomicUsize,
    signs: Arc<Signs>,
}

/// hyper has it yet.
const NONE: usize = 0;
/// It was taken back before it got a number.
const OVER: usize = usize::MAX;

impl Turn {
    pub(super) fn new(signs: &Arc<Signs>) -> Arc<Turn> {
        Arc::new(Turn {
            number: AtomicUsize::new(NONE),
            signs: Arc::clone(signs),
        })
    }

    /// h2 is given it. Only hyper's one task says so.
    fn is_given(&self) {
        if !matches!(self.number.load(Ordering::SeqCst), NONE | OVER) {
            return;
        }
        let turns = &self.signs.turns;
        let number = turns.given.fetch_add(1, Ordering::SeqCst) + 1;
        // It may be taken back in this very moment.
        if self.number.swap(number, Ordering::SeqCst) == OVER {
            turns.ends(number, self.signs.streams_written());
        }
    }

    /// The request is over, or was taken back.
    pub(super) fn ends(&self) {
        let taken = self
            .number
            .compare_exchange(NONE, OVER, Ordering::SeqCst, Ordering::SeqCst);
        if let Err(number) = taken {
            self.signs.turns.ends(number, self.signs.streams_written());
        }
    }

    /// Whether for certain it has not been written.
    pub(super) fn is_unwritten(&self) -> bool {
        let number = self.number.load(Ordering::SeqCst);
        let written = self.signs.streams_written();
        written <= self.signs.turns.given.load(Ordering::SeqCst) && (number == NONE || number > written)
    }
}

/// A body that takes its request's number.
#[derive(Debug)]
pub(super) struct Numbered {
    pub(super) body: RequestBody,
    pub(super) turn: Arc<Turn>,
}

impl Body for Numbered {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.turn.is_given();
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
