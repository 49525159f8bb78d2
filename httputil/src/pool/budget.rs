//! The cap over all pools of a registry: connections and dials under way, together.
//!
//! A pool takes a slot for each dial and gives it back when the dial has failed or the connection's socket is gone. A
//! pool that finds no slot waits in line; the other pools' idle connections make room before anyone waits longer, and a
//! dial that has taken too long gives way.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError, Weak};

use tokio::time::Instant;

use super::state::Presser;
use super::sync::{AtomicUsize, Mutex, Ordering};
use crate::settings::MaxConnections;

/// A pool, as the budget sees it. Each of these takes the pool's lock.
pub(super) trait Member: Send + Sync {
    /// Whether it waits for a slot.
    fn wants_slot(&self) -> bool;
    /// It is first in line, and a slot may be free.
    fn has_turn(&self);
    /// Closes its connection that has been idle longest, if more room is wanted than is being made, or in any case
    /// (`anyhow`); whether it did.
    fn makes_room(&self, anyhow: bool) -> bool;
    /// Stops the oldest of its dials that have taken their time, for another host; whether there was one.
    fn gives_way(&self, to: Presser, now: Instant) -> bool;
    /// Closes the next connection whose request ends, for its host `to` or for another pool; whether there is one.
    fn gives_back(&self, to: Option<usize>) -> bool;
}

/// A cap on connections, shared by pools.
pub(crate) struct Budget {
    /// No cap, if it is the largest number.
    max: AtomicUsize,
    used: AtomicUsize,
    /// Pools that wait for a slot, the first in line first.
    line: Mutex<VecDeque<Weak<dyn Member>>>,
    waiting: AtomicUsize,
    /// Connections told to make room whose slots are not back yet, at most.
    departing: AtomicUsize,
    pools: Mutex<Vec<Weak<dyn Member>>>,
}

impl Budget {
    /// At most `max` connections; `None` is no cap.
    pub(crate) fn new(max: Option<usize>) -> Arc<Budget> {
        Arc::new(Budget {
            max: AtomicUsize::new(stored(max)),
            used: AtomicUsize::new(0),
            line: Mutex::new(VecDeque::new()),
            waiting: AtomicUsize::new(0),
            departing: AtomicUsize::new(0),
            pools: Mutex::new(Vec::new()),
        })
    }

    /// The cap that settings ask for. `Auto` is no cap where the system has no limit of open files.
    pub(crate) fn of(settings: MaxConnections) -> Arc<Budget> {
        Budget::new(asked_for(settings))
    }

    /// Another cap. Above a lower one nothing is closed for its sake until somebody waits for a slot; then as many idle ones
    /// are as are too many, and nothing is dialled until they have gone.
    pub(crate) fn change(&self, settings: MaxConnections) {
        self.max.store(stored(asked_for(settings)), Ordering::SeqCst);
        self.wake_next();
        self.make_room_if_wanted();
    }

    pub(super) fn max(&self) -> Option<usize> {
        let max = self.max.load(Ordering::SeqCst);
        (max < usize::MAX).then_some(max)
    }

    /// Whether a slot can be taken: one that nobody waits for, unless it is `our_turn`.
    pub(super) fn has_slot(&self, our_turn: bool) -> bool {
        self.max().is_none() || (our_turn || !self.is_wanted()) && self.has_free()
    }

    pub(super) fn try_take(&self, our_turn: bool) -> bool {
        let Some(max) = self.max() else {
            self.used.fetch_add(1, Ordering::AcqRel);
            return true;
        };
        (our_turn || !self.is_wanted())
            && self
                .used
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |used| {
                    (used < max).then_some(used + 1)
                })
                .is_ok()
    }

    fn has_free(&self) -> bool {
        self.max().is_none_or(|max| self.used.load(Ordering::SeqCst) < max)
    }

    /// Followed by [`wake_next`](Budget::wake_next) after the lock. Whoever gives back and whoever waits each write one
    /// of two counts and then read the other; only in one order over all threads does one of them see the other.
    pub(super) fn put_back(&self) {
        // Counted before the slot is free: who finds enough departing must be able to rely on a slot that comes back.
        if self.departing.load(Ordering::SeqCst) > 0 {
            let _ = self
                .departing
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |departing| departing.checked_sub(1));
        }
        self.used.fetch_sub(1, Ordering::SeqCst);
    }

    /// A connection leaves to make room.
    pub(super) fn departs(&self) {
        self.departing.fetch_add(1, Ordering::SeqCst);
    }

    /// Counts a connection as leaving if more pools wait than connections are, and those too many under a cap that was
    /// lowered: whoever is told so closes one. Asked under the lock of the pool that would close it, so that none falls idle
    /// unseen beside a pool that waits.
    pub(super) fn departs_if_wanted(&self) -> bool {
        let waiting = self.waiting.load(Ordering::SeqCst);
        if waiting == 0 {
            return false;
        }
        let (used, max) = (self.used.load(Ordering::SeqCst), self.max.load(Ordering::SeqCst));
        let wanted = used.saturating_sub(max) + waiting;
        self.departing
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |departing| {
                (departing < wanted).then_some(departing + 1)
            })
            .is_ok()
    }

    #[cfg(all(test, not(shuttle)))]
    pub(super) fn used(&self) -> usize {
        self.used.load(Ordering::SeqCst)
    }

    #[cfg(all(test, shuttle))]
    pub(super) fn is_unused(&self) -> bool {
        self.used.load(Ordering::SeqCst) == 0
    }

    /// Whether a pool waits for a slot.
    pub(super) fn is_wanted(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) > 0
    }

    pub(super) fn join(&self, pool: Weak<dyn Member>) {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        pools.retain(|pool| pool.strong_count() > 0);
        pools.push(pool);
    }

    fn members(&self) -> Vec<Arc<dyn Member>> {
        let pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        pools.iter().filter_map(Weak::upgrade).collect()
    }

    fn others(&self, but: &Arc<dyn Member>) -> Vec<Arc<dyn Member>> {
        let mut pools = self.members();
        pools.retain(|pool| !std::ptr::addr_eq(Arc::as_ptr(pool), Arc::as_ptr(but)));
        pools
    }

    /// A pool found no slot: it stands in line, and an idle connection of some pool makes room, unless as many as wait
    /// are on their way out.
    ///
    /// Called without any pool's lock.
    pub(super) fn wait_for_slot(&self, pool: &Arc<dyn Member>) {
        {
            let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
            // Asked in here: whoever leaves asks in here, too.
            if !pool.wants_slot() {
                return;
            }
            if !line
                .iter()
                .any(|other| std::ptr::addr_eq(other.as_ptr(), Arc::as_ptr(pool)))
            {
                line.push_back(Arc::downgrade(pool));
                self.waiting.store(line.len(), Ordering::SeqCst);
            }
        }
        // A slot may have come back before the pool stood in line.
        if self.has_free() {
            self.wake_next();
            return;
        }
        // Its own first.
        while pool.makes_room(false) {}
        self.make_room_if_wanted();
    }

    /// Idle connections of any pools make room: as many as are wanted, which is one for each pool that waits but after the cap
    /// was lowered.
    fn make_room_if_wanted(&self) {
        if !self.is_wanted() {
            return;
        }
        let pools = self.members();
        while pools.iter().any(|pool| pool.makes_room(false)) {}
    }

    /// A pool wants no slot any more: its requests were served otherwise, or have gone.
    pub(super) fn leave(&self, pool: &dyn Member) {
        if !self.is_wanted() {
            return;
        }
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        // Asked again in here: one that wants a slot anew meanwhile stands in line after this.
        if !pool.wants_slot() {
            line.retain(|other| !std::ptr::addr_eq(other.as_ptr(), pool));
            self.waiting.store(line.len(), Ordering::SeqCst);
        }
    }

    /// Somebody has waited for a second: an idle connection makes room, else the oldest dial does, else the next connection
    /// whose request ends.
    pub(super) fn press(&self, pool: &Arc<dyn Member>, presser: Presser, now: Instant) {
        let others = self.others(pool);
        let of_another = Presser { host: None, ..presser };
        let _ = pool.makes_room(true)
            || others.iter().any(|other| other.makes_room(true))
            || others.iter().any(|other| other.gives_way(of_another, now))
            || pool.gives_way(presser, now)
            || pool.gives_back(presser.host)
            || others.iter().any(|other| other.gives_back(None));
    }

    /// Slots came back: those in line try again.
    pub(super) fn wake_next(&self) {
        while self.is_wanted() && self.has_free() {
            let next = {
                let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
                let next = line.pop_front();
                self.waiting.store(line.len(), Ordering::SeqCst);
                next
            };
            match next {
                Some(pool) => {
                    if let Some(pool) = pool.upgrade() {
                        // It stands in line again if it wants more than it gets.
                        pool.has_turn();
                    }
                }
                None => return,
            }
        }
    }
}

fn asked_for(settings: MaxConnections) -> Option<usize> {
    match settings {
        MaxConnections::Auto => open_files().map(|limit| limit / 4 * 3),
        MaxConnections::AtMost(max) => Some(max),
        MaxConnections::Unbounded => None,
    }
}

fn stored(max: Option<usize>) -> usize {
    max.map_or(usize::MAX, |max| max.max(1))
}

impl std::fmt::Debug for Budget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Budget")
            .field("max", &self.max())
            .field("used", &self.used)
            .finish_non_exhaustive()
    }
}

/// The soft limit of open files.
#[cfg(unix)]
fn open_files() -> Option<usize> {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    limit.current.and_then(|limit| usize::try_from(limit).ok())
}

#[cfg(not(unix))]
fn open_files() -> Option<usize> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Busy;

    impl Member for Busy {
        fn wants_slot(&self) -> bool {
            true
        }

        fn has_turn(&self) {}

        fn makes_room(&self, _: bool) -> bool {
            false
        }

        fn gives_way(&self, _: Presser, _: Instant) -> bool {
            false
        }

        fn gives_back(&self, _: Option<usize>) -> bool {
            false
        }
    }

    #[test]
    fn a_slot_that_somebody_stands_in_line_for_is_taken_by_nobody_else() {
        let budget = Budget::new(Some(1));
        let pool: Arc<dyn Member> = Arc::new(Busy);
        assert!(budget.try_take(false));
        budget.wait_for_slot(&pool);
        budget.put_back();
        assert!(!budget.has_slot(false) && !budget.try_take(false));
        assert!(budget.has_slot(true) && budget.try_take(true));
    }

    #[test]
    fn as_many_connections_leave_as_pools_wait_and_each_slot_that_comes_back_counts_for_one() {
        let budget = Budget::new(Some(2));
        assert!(budget.try_take(false) && budget.try_take(false));
        assert!(!budget.departs_if_wanted(), "nobody waits");
        let pools: [Arc<dyn Member>; 2] = [Arc::new(Busy), Arc::new(Busy)];
        budget.wait_for_slot(&pools[0]);
        budget.wait_for_slot(&pools[0]);
        assert_eq!([budget.departs_if_wanted(), budget.departs_if_wanted()], [true, false]);
        budget.wait_for_slot(&pools[1]);
        assert_eq!([budget.departs_if_wanted(), budget.departs_if_wanted()], [true, false]);
        budget.put_back();
        assert!(budget.try_take(true), "somebody had a turn and wants more");
        assert_eq!([budget.departs_if_wanted(), budget.departs_if_wanted()], [true, false]);
    }

    #[test]
    fn above_a_cap_that_was_lowered_those_that_are_too_many_leave_for_the_first_pool_that_waits() {
        let budget = Budget::new(Some(5));
        assert!((0..5).all(|_| budget.try_take(false)));
        budget.change(MaxConnections::AtMost(2));
        assert!(!budget.departs_if_wanted(), "nobody waits");
        let pool: Arc<dyn Member> = Arc::new(Busy);
        budget.wait_for_slot(&pool);
        let leaving = std::iter::repeat_with(|| budget.departs_if_wanted()).take_while(|leaves| *leaves);
        assert_eq!(leaving.count(), 4);
        // Each slot that comes back counts for one.
        budget.put_back();
        assert!(!budget.departs_if_wanted() && !budget.has_slot(true));
        (0..3).for_each(|_| budget.put_back());
        assert!(budget.has_slot(true));
    }

    /// A pool with idle connections.
    struct Rich {
        budget: Arc<Budget>,
        idle: AtomicUsize,
    }

    impl Member for Rich {
        fn wants_slot(&self) -> bool {
            false
        }

        fn has_turn(&self) {}

        fn makes_room(&self, _: bool) -> bool {
            let makes_room = self.idle.load(Ordering::SeqCst) > 0 && self.budget.departs_if_wanted();
            self.idle.fetch_sub(makes_room.into(), Ordering::SeqCst);
            makes_room
        }

        fn gives_way(&self, _: Presser, _: Instant) -> bool {
            false
        }

        fn gives_back(&self, _: Option<usize>) -> bool {
            false
        }
    }

    #[test]
    fn a_cap_that_is_lowered_while_a_pool_waits_closes_what_is_too_many_of_what_is_idle() {
        let budget = Budget::new(Some(5));
        let rich = Arc::new(Rich {
            budget: Arc::clone(&budget),
            idle: AtomicUsize::new(5),
        });
        budget.join(Arc::downgrade(&rich) as _);
        assert!((0..5).all(|_| budget.try_take(false)));
        let pool: Arc<dyn Member> = Arc::new(Busy);
        budget.wait_for_slot(&pool);
        assert_eq!(rich.idle.load(Ordering::SeqCst), 4, "one for the pool that waits");
        budget.change(MaxConnections::AtMost(2));
        assert_eq!(rich.idle.load(Ordering::SeqCst), 1);
    }
}
