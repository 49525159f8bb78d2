//! The pool as others hold it: the state behind its lock, and what is done after the lock.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::Notify;
use tokio::time::Instant;

use super::counters::{Counters, PoolStats};
use super::state::{Exclusive, Leaving, Limits, Multiplexed, State, Todo};
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
    /// Tells the reapers that there is nothing left to wait for.
    pub(super) reapers_off: Arc<Notify>,
    pub(super) myself: Weak<Inner>,
}

pub(super) type Chores = Todo<H1, H2>;

impl Pool {
    /// A pool without connections. Needs no runtime.
    pub(crate) fn new(name: impl Into<Arc<str>>, connector: Connector) -> Pool {
        let transport = connector.transport();
        let limits = Limits {
            pool: transport.pool.clone(),
            max_shared_per_host: transport.http2.max_connections_per_host,
        };
        let inner = Arc::new_cyclic(|myself| Inner {
            name: name.into(),
            state: Mutex::new(State::new(limits)),
            connector,
            counters: Counters::default(),
            reapers_off: Arc::default(),
            myself: Weak::clone(myself),
        });
        Pool { inner }
    }

    pub(crate) fn stats(&self) -> PoolStats {
        PoolStats {
            unverified: self.inner.connector.transport().tls.insecure_skip_verify,
            ..self.inner.counters.read(&self.inner.name)
        }
    }

    /// Whether the target can be reached by a route that the pool knows how to take.
    pub(crate) fn check_route(&self, target: &Target) -> Result<(), DialFailure> {
        self.inner.connector.check_route(target)
    }

    /// Closes what is idle now. Shared connections in use take no new request and end after those under way.
    pub(crate) fn close_idle(&self) {
        self.inner
            .with_state(|state, todo| state.close_idle(CloseReason::CloseIdle, todo));
    }

    /// Counts a request that is sent again.
    pub(crate) fn count_resend(&self) {
        Counters::add(&self.inner.counters.resends);
    }

    pub(super) fn add_lease(&self) {
        self.inner.with_state(|state, _| state.leases += 1);
    }

    pub(super) fn remove_lease(&self) {
        let is_last = self.inner.with_state(|state, todo| {
            state.leases -= 1;
            if state.leases == 0 {
                state.close_idle(CloseReason::Stopped, todo);
            }
            state.leases == 0
        });
        if is_last {
            self.inner.reapers_off.notify_waiters();
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
        let result = change(&mut state, &mut todo);
        self.counters.idle.store(state.idle(), Ordering::Relaxed);
        self.counters.waiting.store(state.waiting(), Ordering::Relaxed);
        self.counters.leases.store(state.leases, Ordering::Relaxed);
        drop(state);
        self.do_chores(todo);
        result
    }

    fn do_chores(&self, todo: Chores) {
        for leaving in todo.leaving {
            match leaving {
                Leaving::Exclusive(connection, reason) => connection.retire(reason),
                Leaving::Shared(connection, reason) => connection.retire(reason),
            }
        }
        drop(todo.places);
        if todo.dials.is_empty() && todo.reaper.is_none() {
            return;
        }
        let Some(myself) = self.myself.upgrade() else { return };
        for task in todo.dials {
            dial::start(&myself, task);
        }
        if let Some(key) = todo.reaper {
            reaper::start(&myself, &key);
        }
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
                    state.unsettled(link.seat.host, todo);
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
        let leaving = self.with_state(|state, todo| state.retired(link.place.load(Ordering::Relaxed), todo));
        drop(leaving);
        self.unsettled(link);
    }

    fn closed(&self, link: &Link, reason: CloseReason) {
        self.counters.closed(reason);
        self.with_state(|state, _| state.closed(link.seat.host));
        tracing::trace!(pool = %self.name, reason = reason.as_str(), "connection closed");
    }
}

impl Exclusive for H1 {
    fn place(&self) -> &AtomicUsize {
        &self.link().place
    }

    fn generation(&self) -> u64 {
        self.link().seat.generation
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

    fn is_unused(&self) -> bool {
        H2::is_unused(self)
    }
}
