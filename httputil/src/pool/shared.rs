//! The pool as others hold it: the state behind its lock, and what is done after the lock.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::budget::Budget;
use super::counters::{Counters, PoolStats};
use super::hosts::{Directory, HostStats};
use super::state::{Delivery, Exclusive, Leaving, Limits, Multiplexed, State, Todo};
use super::{dial, reaper};
use crate::connect::{Connector, DialFailure, Target};
use crate::wire::{CloseReason, H1, H2, Home, Link, Place};

/// A pool of connections. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Pool {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) name: Arc<str>,
    pub(super) state: Mutex<State<H1, H2>>,
    pub(super) connector: Connector,
    pub(super) counters: Counters,
    pub(super) directory: Arc<Directory>,
    pub(super) budget: Arc<Budget>,
    /// Tells the reapers to look again: something is due earlier, or nothing is left.
    pub(super) reapers: Arc<Notify>,
    /// Whether `pool.warm` is still to be done.
    pub(super) is_cold: AtomicBool,
    pub(super) myself: Weak<Inner>,
}

pub(super) type Chores = Todo<H1, H2>;

impl Pool {
    /// A pool without connections. Needs no runtime.
    pub(crate) fn new(name: impl Into<Arc<str>>, connector: Connector, budget: Arc<Budget>) -> Pool {
        let transport = connector.transport();
        let limits = Limits {
            pool: transport.pool.clone(),
            max_shared_per_host: transport.http2.max_connections_per_host,
        };
        let directory = Arc::<Directory>::default();
        let state = State::new(limits, Arc::clone(&budget), Arc::clone(&directory), Instant::now());
        let inner = Arc::new_cyclic(|myself| Inner {
            name: name.into(),
            state: Mutex::new(state),
            is_cold: AtomicBool::new(!connector.transport().pool.warm.is_empty()),
            connector,
            counters: Counters::default(),
            directory,
            budget,
            reapers: Arc::default(),
            myself: Weak::clone(myself),
        });
        inner.budget.join(&inner.myself);
        Pool { inner }
    }

    pub(crate) fn stats(&self) -> PoolStats {
        PoolStats {
            unverified: self.inner.connector.transport().tls.insecure_skip_verify,
            ..self.inner.counters.read(&self.inner.name)
        }
    }

    /// The statistics of each host.
    pub(crate) fn host_stats(&self) -> Vec<HostStats> {
        self.inner.directory.read()
    }

    /// Whether the target can be reached by a route that the pool knows how to take.
    pub(crate) fn check_route(&self, target: &Target) -> Result<(), DialFailure> {
        self.inner.connector.check_route(target)
    }

    /// Closes what is idle now. Shared connections in use take no new request and end after those under way.
    pub(crate) fn close_idle(&self) {
        self.inner
            .with_state(|state, todo| state.close_idle(CloseReason::CloseIdle, Instant::now(), todo));
    }

    /// Counts a request that is sent again.
    pub(crate) fn count_resend(&self) {
        Counters::add(&self.inner.counters.resends);
    }

    pub(super) fn add_lease(&self) {
        self.inner.with_state(|state, _| state.leases += 1);
        self.inner.warm_up();
    }

    pub(super) fn remove_lease(&self) {
        let is_last = self.inner.with_state(|state, todo| {
            state.leases -= 1;
            if state.leases == 0 {
                state.close_idle(CloseReason::Stopped, Instant::now(), todo);
                state.stop_dials();
            }
            state.leases == 0
        });
        if is_last {
            let has_warm = !self.inner.connector.transport().pool.warm.is_empty();
            self.inner.is_cold.store(has_warm, Ordering::Release);
            self.inner.reapers.notify_waiters();
        }
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool")
            .field("name", &self.inner.name)
            .finish_non_exhaustive()
    }
}

impl Inner {
    /// Connects to the hosts of `pool.warm`, once a lease, as soon as there is a runtime to do it on.
    pub(super) fn warm_up(&self) {
        if !self.is_cold.load(Ordering::Acquire) {
            return;
        }
        let Ok(handle) = Handle::try_current() else { return };
        if !self.is_cold.swap(false, Ordering::AcqRel) {
            return;
        }
        let pool = &self.connector.transport().pool;
        for url in &pool.warm {
            let target = url.parse().ok().and_then(|url| Target::of(&url).ok());
            let Some(target) = target.filter(|target| self.connector.check_route(target).is_ok()) else {
                tracing::warn!(pool = %self.name, "a URL of pool.warm cannot be connected to");
                continue;
            };
            self.with_state(|state, todo| {
                let now = Instant::now();
                if let Ok(host) = self.host(state, &target, &handle, now) {
                    state.warm(host, pool.min_idle_per_host.max(1), now, todo);
                }
            });
        }
    }

    /// A connection was taken in. If it went in the meantime, it was not found here then.
    pub(super) fn settle_race(&self, link: &Arc<Link>) {
        if link.is_gone() {
            self.retired(link);
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State<H1, H2>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state, then does what follows from the change, after the lock.
    pub(super) fn with_state<T>(&self, change: impl FnOnce(&mut State<H1, H2>, &mut Chores) -> T) -> T {
        let mut todo = Chores::default();
        let mut state = self.lock();
        let was_blocked = state.has_blocked();
        let result = change(&mut state, &mut todo);
        let wants_no_slot = was_blocked && !state.has_blocked();
        self.counters.idle.store(state.idle(), Ordering::Relaxed);
        self.counters.waiting.store(state.waiting(), Ordering::Relaxed);
        self.counters.leases.store(state.leases, Ordering::Relaxed);
        drop(state);
        if wants_no_slot {
            self.budget.leave(self);
        }
        self.do_chores(todo);
        result
    }

    fn do_chores(&self, todo: Chores) {
        for (sender, delivery) in todo.deliveries {
            // Waking runs the code of whatever executor waits. If that panics, it is one request's harm.
            let sent = std::panic::catch_unwind(AssertUnwindSafe(|| sender.send(delivery)));
            match sent {
                // The request has gone in the meantime.
                Ok(Err(Delivery::Exclusive(connection))) => self.returned(connection),
                Ok(Err(Delivery::Place(place))) => drop(place),
                Ok(Ok(()) | Err(Delivery::Failed(_))) => {}
                Err(_) => tracing::error!(pool = %self.name, "a waker panicked"),
            }
        }
        for leaving in todo.leaving {
            match leaving {
                Leaving::Exclusive(connection, reason) => connection.retire(reason),
                Leaving::Shared(connection, reason) => connection.retire(reason),
            }
        }
        drop(todo.places);
        Counters::add_many(&self.counters.cap_regrets, todo.regrets);
        if todo.wake_reapers {
            self.reapers.notify_waiters();
        }
        if todo.freed {
            self.budget.wake_next();
        }
        if todo.dials.is_empty() && todo.reaper.is_none() && !todo.wants_room {
            return;
        }
        let Some(myself) = self.myself.upgrade() else { return };
        for task in todo.dials {
            dial::start(&myself, task);
        }
        if let Some(key) = todo.reaper {
            reaper::start(&myself, &key);
        }
        if todo.wants_room {
            self.budget.wait_for_slot(&myself);
        }
    }

    /// A connection that its request does not want any more, unused since it was given to it.
    pub(super) fn returned(&self, connection: H1) {
        let link = Arc::clone(connection.link());
        self.with_state(|state, todo| {
            state.returned(link.seat.host, connection, Instant::now(), todo);
        });
        self.settle_race(&link);
    }
}

impl Home for Inner {
    fn ready(&self, connection: H1) {
        let link = Arc::clone(connection.link());
        self.with_state(|state, todo| {
            if link.is_settling.swap(false, Ordering::Relaxed) {
                state.settled(link.seat.host);
            }
            state.check_in(link.seat.host, connection, Instant::now(), todo);
        });
        self.settle_race(&link);
    }

    fn settling(&self, link: &Arc<Link>) {
        self.with_state(|state, _| {
            link.is_settling.store(true, Ordering::Relaxed);
            state.settling(link.seat.host);
        });
    }

    fn unsettled(&self, link: &Arc<Link>) {
        if link.is_settling.load(Ordering::Relaxed) {
            self.with_state(|state, todo| {
                if link.is_settling.swap(false, Ordering::Relaxed) {
                    state.unsettled(link.seat.host, Instant::now(), todo);
                }
            });
        }
    }

    fn places_changed(&self, link: &Arc<Link>) {
        self.with_state(|state, todo| {
            state.places_changed(link.place.load(Ordering::Relaxed), Instant::now(), todo);
        });
    }

    fn retired(&self, link: &Arc<Link>) {
        let leaving =
            self.with_state(|state, todo| state.retired(link.place.load(Ordering::Relaxed), Instant::now(), todo));
        drop(leaving);
        self.unsettled(link);
    }

    fn closed(&self, link: &Link, reason: CloseReason) {
        self.counters.closed(reason, link.born.elapsed());
        self.with_state(|state, todo| {
            if let Some(key) = state.key(link.seat.host) {
                Counters::add(&key.counters.closed);
            }
            state.closed(link.seat.host, Instant::now(), todo);
        });
        tracing::trace!(pool = %self.name, reason = reason.as_str(), "connection closed");
    }

    fn suspect(&self, link: &Link, began: Instant) {
        self.with_state(|state, todo| state.suspect(link.seat.host, began, Instant::now(), todo));
    }

    fn calm(&self, link: &Link) {
        self.with_state(|state, _| state.calm(link.seat.host));
    }

    fn http1_required(&self, link: &Arc<Link>) {
        self.with_state(|state, todo| state.http1_required(link.seat.host, Instant::now(), todo));
    }
}

impl Exclusive for H1 {
    fn place(&self) -> &AtomicUsize {
        &self.link().place
    }

    fn generation(&self) -> u64 {
        self.link().seat.generation
    }

    fn expires(&self) -> Option<Instant> {
        self.link().expires
    }

    fn may_idle_for(&self) -> Option<Duration> {
        H1::may_idle_for(self)
    }

    fn spent(&self) -> Option<CloseReason> {
        H1::spent(self)
    }

    fn rest(&self) {
        self.link().rest();
    }

    fn lend(&self, now: Instant) {
        self.link().lend(now);
    }

    fn lent_for(&self, now: Instant) -> Duration {
        self.link().lent_for(now)
    }
}

impl Multiplexed for H2 {
    type Place = Place;

    fn place(&self) -> &AtomicUsize {
        &self.link().place
    }

    fn try_acquire(&self) -> Option<Place> {
        H2::try_acquire(self)
    }

    fn in_use(&self) -> usize {
        H2::in_use(self)
    }

    fn limit(&self) -> Option<usize> {
        H2::known_limit(self)
    }

    fn is_choked(&self) -> bool {
        self.is_full_of_data() || H2::is_in_doubt(self)
    }

    fn is_in_doubt(&self) -> bool {
        H2::is_in_doubt(self)
    }

    fn expires(&self) -> Option<Instant> {
        self.link().expires
    }

    fn spent(&self) -> Option<CloseReason> {
        H2::spent(self)
    }
}
