//! Connections that are numbers, for whatever drives the state machine without a socket.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::{Exclusive, Multiplexed};
use crate::wire::{CloseReason, Link};

/// An exclusive connection, known by its number.
#[derive(Debug)]
pub(in crate::pool) struct One {
    pub(in crate::pool) number: u32,
    pub(in crate::pool) generation: u64,
    pub(in crate::pool) expires: Option<Instant>,
    pub(in crate::pool) may_idle_for: Option<Duration>,
    place: AtomicUsize,
    lent: Cell<Option<Instant>>,
}

/// A shared connection with some places.
#[derive(Clone, Debug)]
pub(in crate::pool) struct Many(Arc<Places>);

#[derive(Debug)]
struct Places {
    number: u32,
    place: AtomicUsize,
    used: AtomicUsize,
    limit: AtomicUsize,
    is_choked: AtomicBool,
}

/// One place of a shared connection.
#[derive(Debug)]
pub(in crate::pool) struct Seat(pub(in crate::pool) Many);

impl One {
    pub(in crate::pool) fn new(number: u32) -> One {
        One {
            number,
            generation: 0,
            expires: None,
            may_idle_for: None,
            place: AtomicUsize::new(Link::NOWHERE),
            lent: Cell::new(None),
        }
    }
}

impl Many {
    pub(in crate::pool) fn new(number: u32, limit: usize) -> Many {
        Many(Arc::new(Places {
            number,
            place: AtomicUsize::new(Link::NOWHERE),
            used: AtomicUsize::new(0),
            limit: AtomicUsize::new(limit),
            is_choked: AtomicBool::new(false),
        }))
    }

    pub(in crate::pool) fn number(&self) -> u32 {
        self.0.number
    }

    pub(in crate::pool) fn allow(&self, limit: usize) {
        self.0.limit.store(limit, Ordering::SeqCst);
    }

    pub(in crate::pool) fn choke(&self, is_choked: bool) {
        self.0.is_choked.store(is_choked, Ordering::SeqCst);
    }
}

impl Seat {
    /// Gives the place back; the pool is to be told.
    pub(in crate::pool) fn leave(self) -> Many {
        self.0.0.used.fetch_sub(1, Ordering::SeqCst);
        self.0
    }
}

impl Exclusive for One {
    fn place(&self) -> &AtomicUsize {
        &self.place
    }

    fn generation(&self) -> u64 {
        self.generation
    }

    fn expires(&self) -> Option<Instant> {
        self.expires
    }

    fn may_idle_for(&self) -> Option<Duration> {
        self.may_idle_for
    }

    fn spent(&self) -> Option<CloseReason> {
        None
    }

    fn rest(&self) {}

    fn lend(&self, now: Instant) {
        self.lent.set(Some(now));
    }

    fn lent_for(&self, now: Instant) -> Duration {
        self.lent.get().map_or(Duration::ZERO, |lent| now - lent)
    }
}

impl Multiplexed for Many {
    type Place = Seat;

    fn place(&self) -> &AtomicUsize {
        &self.0.place
    }

    fn try_acquire(&self) -> Option<Seat> {
        let limit = self.0.limit.load(Ordering::SeqCst);
        let taken = self.0.used.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |used| {
            (used < limit && !self.is_choked()).then_some(used + 1)
        });
        taken.is_ok().then(|| Seat(self.clone()))
    }

    fn in_use(&self) -> usize {
        self.0.used.load(Ordering::SeqCst)
    }

    fn limit(&self) -> Option<usize> {
        Some(self.0.limit.load(Ordering::SeqCst))
    }

    fn is_choked(&self) -> bool {
        self.0.is_choked.load(Ordering::SeqCst)
    }

    fn is_in_doubt(&self) -> bool {
        false
    }

    fn expires(&self) -> Option<Instant> {
        None
    }

    fn spent(&self) -> Option<CloseReason> {
        None
    }
}
