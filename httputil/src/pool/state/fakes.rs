//! Connections that are numbers, for whatever drives the state machine without a socket.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Waker;
use std::time::Duration;

use tokio::time::Instant;

use super::super::sync;
use super::{Bond, Exclusive, Multiplexed};
use crate::wire::{self, CloseReason, Link, Marks};

/// Where connections live that tell of what becomes of them.
pub(in crate::pool) trait Place: Send + Sync {
    /// Nobody holds the connection any more.
    fn gone(&self, tie: &Tie);
    /// A place of it was given back.
    fn places_changed(&self, tie: &Tie);
}

/// What ties a connection to its pool.
pub(in crate::pool) struct Tie {
    host: usize,
    place: AtomicUsize,
    site: AtomicU32,
    pub(in crate::pool) is_gone: sync::AtomicBool,
    is_settling: AtomicBool,
    /// Why its pool closed it.
    closed_for: OnceLock<CloseReason>,
    home: Option<Arc<dyn Place>>,
}

/// An exclusive connection, known by its number.
#[derive(Debug)]
pub(in crate::pool) struct One {
    pub(in crate::pool) number: u32,
    pub(in crate::pool) generation: u64,
    pub(in crate::pool) expires: Option<Instant>,
    pub(in crate::pool) may_idle_for: Option<Duration>,
    tie: Arc<Tie>,
    lent: Cell<Option<Instant>>,
}

/// A shared connection with some places.
#[derive(Clone, Debug)]
pub(in crate::pool) struct Many(Arc<Places>);

#[derive(Debug)]
struct Places {
    number: u32,
    tie: Arc<Tie>,
    used: AtomicUsize,
    limit: AtomicUsize,
    /// Whether the peer has said how many places there are.
    is_limit_known: AtomicBool,
    /// After so many places that were asked for in vain the peer says so: how many there are then.
    says: Option<(AtomicUsize, usize)>,
    is_choked: AtomicBool,
    is_in_doubt: AtomicBool,
    expires: Option<Instant>,
}

/// One place of a shared connection.
#[derive(Debug)]
pub(in crate::pool) struct Seat(Option<Many>);

impl Tie {
    fn new(host: usize, home: Option<Arc<dyn Place>>) -> Arc<Tie> {
        Arc::new(Tie {
            host,
            place: AtomicUsize::new(Link::NOWHERE),
            site: AtomicU32::new(wire::Seat::NO_SITE),
            is_gone: sync::AtomicBool::new(false),
            is_settling: AtomicBool::new(false),
            closed_for: OnceLock::new(),
            home,
        })
    }

    /// Why its pool closed it, if it did.
    #[cfg(all(test, not(shuttle)))]
    pub(in crate::pool) fn closed_for(&self) -> Option<CloseReason> {
        self.closed_for.get().copied()
    }

    /// Each site has an address.
    fn marks(&self, number: u32) -> Marks {
        let site = u16::try_from(self.site()).ok();
        Marks {
            number: number.into(),
            remote: site.map(|site| ([127, 0, 0, 1], site).into()),
        }
    }
}

impl Bond for Tie {
    fn place(&self) -> &AtomicUsize {
        &self.place
    }

    fn host(&self) -> usize {
        self.host
    }

    fn is_gone(&self) -> bool {
        self.is_gone.load(sync::Ordering::SeqCst)
    }

    fn is_settling(&self) -> &AtomicBool {
        &self.is_settling
    }

    fn site(&self) -> u32 {
        self.site.load(Ordering::SeqCst)
    }
}

impl std::fmt::Debug for Tie {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tie").field("host", &self.host).finish_non_exhaustive()
    }
}

impl One {
    pub(in crate::pool) fn new(number: u32) -> One {
        One::at(number, 0, None)
    }

    pub(in crate::pool) fn at(number: u32, host: usize, home: Option<Arc<dyn Place>>) -> One {
        One {
            number,
            generation: 0,
            expires: None,
            may_idle_for: None,
            tie: Tie::new(host, home),
            lent: Cell::new(None),
        }
    }
}

#[cfg(feature = "bench-internals")]
impl One {
    pub(in crate::pool) fn host(&self) -> usize {
        self.tie.host
    }
}

impl Drop for One {
    fn drop(&mut self) {
        if let Some(home) = &self.tie.home {
            home.gone(&self.tie);
        }
    }
}

#[cfg(test)]
impl Tie {
    /// Where it leads.
    pub(in crate::pool) fn lead_to(&self, site: u32) {
        self.site.store(site, Ordering::SeqCst);
    }
}

impl Many {
    #[cfg(test)]
    pub(in crate::pool) fn lead_to(&self, site: u32) {
        self.0.tie.lead_to(site);
    }

    pub(in crate::pool) fn new(number: u32, limit: usize) -> Many {
        Many::at(number, limit, 0, None)
    }

    pub(in crate::pool) fn at(number: u32, limit: usize, host: usize, home: Option<Arc<dyn Place>>) -> Many {
        Many(Arc::new(Places::new(number, limit, Tie::new(host, home))))
    }

    /// One whose peer has not said how many places there are, so that there is one. It says so, `limit`, when `after`
    /// more have been asked for in vain.
    #[cfg(test)]
    pub(in crate::pool) fn that_says(limit: usize, after: usize) -> Many {
        let mut places = Places::new(0, 1, Tie::new(0, None));
        places.is_limit_known = AtomicBool::new(false);
        places.says = Some((AtomicUsize::new(after), limit));
        Many(Arc::new(places))
    }

    /// One that takes no requests from then on.
    #[cfg(test)]
    pub(in crate::pool) fn until(expires: Instant, limit: usize) -> Many {
        let mut places = Places::new(0, limit, Tie::new(0, None));
        places.expires = Some(expires);
        Many(Arc::new(places))
    }

    pub(in crate::pool) fn number(&self) -> u32 {
        self.0.number
    }

    #[cfg(shuttle)]
    pub(in crate::pool) fn tie(&self) -> &Arc<Tie> {
        &self.0.tie
    }

    pub(in crate::pool) fn allow(&self, limit: usize) {
        self.0.limit.store(limit, Ordering::SeqCst);
    }

    #[cfg(test)]
    pub(in crate::pool) fn doubt(&self, is_in_doubt: bool) {
        self.0.is_in_doubt.store(is_in_doubt, Ordering::SeqCst);
    }

    pub(in crate::pool) fn choke(&self, is_choked: bool) {
        self.0.is_choked.store(is_choked, Ordering::SeqCst);
    }
}

impl Places {
    fn new(number: u32, limit: usize, tie: Arc<Tie>) -> Places {
        Places {
            number,
            tie,
            used: AtomicUsize::new(0),
            limit: AtomicUsize::new(limit),
            is_limit_known: AtomicBool::new(true),
            says: None,
            is_choked: AtomicBool::new(false),
            is_in_doubt: AtomicBool::new(false),
            expires: None,
        }
    }

    /// A place was asked for in vain.
    fn refused(&self) {
        if let Some((left, limit)) = &self.says
            && left.fetch_sub(1, Ordering::SeqCst) == 1
        {
            self.limit.store(*limit, Ordering::SeqCst);
            self.is_limit_known.store(true, Ordering::SeqCst);
        }
    }
}

impl Drop for Places {
    fn drop(&mut self) {
        if let Some(home) = &self.tie.home {
            home.gone(&self.tie);
        }
    }
}

impl Seat {
    pub(in crate::pool) fn many(&self) -> &Many {
        self.0.as_ref().expect("it is held until it is left")
    }

    /// Gives the place back; the pool is to be told.
    pub(in crate::pool) fn leave(mut self) -> Many {
        let many = self.0.take().expect("it is held until it is left");
        many.0.used.fetch_sub(1, Ordering::SeqCst);
        many
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(many) = self.0.take()
            && let Some(home) = &many.0.tie.home
        {
            many.0.used.fetch_sub(1, Ordering::SeqCst);
            home.places_changed(&many.0.tie);
        }
    }
}

impl Exclusive for One {
    type Bond = Tie;

    fn bond(&self) -> &Arc<Tie> {
        &self.tie
    }

    fn marks(&self) -> Marks {
        self.tie.marks(self.number)
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

    fn doze(&mut self) -> Option<Waker> {
        Some(Waker::noop().clone())
    }

    fn retire(self, reason: CloseReason) {
        let _ = self.tie.closed_for.set(reason);
    }
}

impl Multiplexed for Many {
    type Place = Seat;

    fn place(&self) -> &AtomicUsize {
        &self.0.tie.place
    }

    fn marks(&self) -> Marks {
        self.0.tie.marks(self.0.number)
    }

    fn site(&self) -> u32 {
        self.0.tie.site()
    }

    fn try_acquire(&self) -> Option<Seat> {
        let limit = self.0.limit.load(Ordering::SeqCst);
        let taken = self.0.used.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |used| {
            (used < limit && !self.is_choked()).then_some(used + 1)
        });
        if taken.is_err() {
            self.0.refused();
        }
        taken.is_ok().then(|| Seat(Some(self.clone())))
    }

    fn in_use(&self) -> usize {
        self.0.used.load(Ordering::SeqCst)
    }

    fn limit(&self) -> Option<usize> {
        let is_known = self.0.is_limit_known.load(Ordering::SeqCst);
        is_known.then(|| self.0.limit.load(Ordering::SeqCst))
    }

    fn is_choked(&self) -> bool {
        self.0.is_choked.load(Ordering::SeqCst) || self.is_in_doubt()
    }

    fn is_in_doubt(&self) -> bool {
        self.0.is_in_doubt.load(Ordering::SeqCst)
    }

    fn is_shut(&self) -> bool {
        self.limit() == Some(0)
    }

    fn expires(&self) -> Option<Instant> {
        self.0.expires
    }

    fn spent(&self) -> Option<CloseReason> {
        None
    }

    fn rest(&self) {}

    fn retire(self, _: CloseReason) {}
}
