//! The state behind its lock, and what is done after the lock.
//!
//! Generic over connections and over whoever dials them, so that tests can drive it through any order of threads
//! (`races`).

use std::panic::AssertUnwindSafe;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, Weak};

use tokio::sync::Notify;
use tokio::time::Instant;

use super::budget::{Budget, Member};
use super::counters::Counters;
use super::hosts::Directory;
use super::key::Key;
use super::state::{
    Bond, Chores, Closing, Delivery, Dial, Exclusive, Leaving, Limits, Multiplexed, Presser, Protocol, State, Todo,
};
use super::sync::{Mutex, MutexGuard};
use crate::wire::CloseReason;

/// The connections of a pool, and who makes them.
pub(super) trait World: Sized + Send + Sync + 'static {
    type One: Exclusive + Send;
    type Many: Multiplexed<Place: Send> + Send;

    fn dial(core: &Arc<Core<Self>>, dial: Dial);

    /// Starts a reaper on the runtime of `key`.
    fn reap(core: &Arc<Core<Self>>, key: &Key);

    /// Looks the name of `key` up again, while its connections serve on.
    fn look_up(core: &Arc<Core<Self>>, key: &Arc<Key>);
}

pub(super) type PlaceOf<W> = <<W as World>::Many as Multiplexed>::Place;
pub(super) type DeliveryOf<W> = Delivery<<W as World>::One, PlaceOf<W>>;
pub(super) type StateOf<W> = State<<W as World>::One, <W as World>::Many>;
type TodoOf<W> = Todo<<W as World>::One, <W as World>::Many>;
type ChoresOf<W> = Chores<<W as World>::One, <W as World>::Many>;
type BondOf<W> = <<W as World>::One as Exclusive>::Bond;

pub(super) struct Core<W: World> {
    pub(super) name: Arc<str>,
    state: Mutex<StateOf<W>>,
    pub(super) counters: Counters,
    pub(super) directory: Arc<Directory>,
    pub(super) budget: Arc<Budget>,
    /// Tells the reapers to look again: something is due earlier, or nothing is left.
    pub(super) reapers: Arc<Notify>,
    pub(super) world: W,
    myself: Weak<Core<W>>,
}

impl<W: World> Core<W> {
    pub(super) fn new(name: Arc<str>, limits: Limits, budget: Arc<Budget>, world: W) -> Arc<Core<W>> {
        let directory = Arc::<Directory>::default();
        let state = State::new(limits, Arc::clone(&budget), Arc::clone(&directory), Instant::now());
        let core = Arc::new_cyclic(|myself| Core {
            name,
            state: Mutex::new(state),
            counters: Counters::default(),
            directory,
            budget,
            reapers: Arc::default(),
            world,
            myself: Weak::clone(myself),
        });
        core.budget.join(Weak::clone(&core.myself) as _);
        core
    }

    fn lock(&self) -> MutexGuard<'_, StateOf<W>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state, then does what follows from the change, after the lock.
    pub(super) fn with_state<T>(&self, change: impl FnOnce(&mut StateOf<W>, &mut TodoOf<W>) -> T) -> T {
        let mut todo = Todo::default();
        let mut state = self.lock();
        let was_blocked = state.has_blocked();
        let result = change(&mut state, &mut todo);
        if state.is_spared_in_vain(Instant::now) {
            state.end_sparing(Instant::now(), &mut todo);
        }
        let wants_no_slot = was_blocked && !state.has_blocked();
        self.counters.idle.store(state.idle(), Ordering::Relaxed);
        self.counters.hibernating.store(state.hibernating(), Ordering::Relaxed);
        self.counters.waiting.store(state.waiting(), Ordering::Relaxed);
        self.counters.leases.store(state.leases, Ordering::Relaxed);
        drop(state);
        if wants_no_slot {
            self.budget.leave(self);
        }
        if let Some(chores) = todo.into_chores() {
            self.do_chores(*chores);
        }
        result
    }

    fn do_chores(&self, chores: ChoresOf<W>) {
        for (sender, delivery) in chores.deliveries {
            // Waking runs the code of whatever executor waits. If that panics, it is one request's harm.
            let sent = std::panic::catch_unwind(AssertUnwindSafe(|| sender.send(delivery)));
            match sent {
                // The request has gone in the meantime.
                Ok(Err(Delivery::Exclusive(connection))) => self.returned(connection),
                Ok(Err(Delivery::Place(place))) => drop(place),
                Ok(Ok(()) | Err(Delivery::Failed(_) | Delivery::Moved)) => {}
                Err(_) => tracing::error!(pool = %self.name, "a waker panicked"),
            }
        }
        if let Some(over) = chores.dial_over {
            over.notify_waiters();
        }
        for leaving in chores.leaving {
            match leaving {
                Leaving::Exclusive(connection, reason) => connection.retire(reason),
                Leaving::Shared(connection, reason) => connection.retire(reason),
                Leaving::Dial(stop) => stop.stop(),
            }
        }
        drop(chores.places);
        for driver in chores.drowsy {
            driver.wake();
        }
        Counters::add_many(&self.counters.cap_regrets, chores.regrets);
        if chores.wake_reapers {
            self.reapers.notify_waiters();
        }
        if chores.freed {
            self.budget.wake_next();
        }
        if chores.dials.is_empty() && chores.reaper.is_none() && !chores.wants_room && chores.look_up.is_none() {
            return;
        }
        let Some(myself) = self.myself.upgrade() else { return };
        for dial in chores.dials {
            W::dial(&myself, dial);
        }
        if let Some(key) = chores.look_up {
            W::look_up(&myself, &key);
        }
        if let Some(key) = chores.reaper {
            W::reap(&myself, &key);
        }
        if chores.wants_room {
            self.budget.wait_for_slot(&(myself as _));
        }
    }

    /// An exclusive connection has finished an exchange and can take another request.
    pub(super) fn ready(&self, connection: W::One) {
        let bond = Arc::clone(connection.bond());
        self.with_state(|state, todo| {
            if bond.is_settling().swap(false, Ordering::Relaxed) {
                state.settled(bond.host());
            }
            state.check_in(bond.host(), connection, Instant::now(), todo);
        });
        self.settle_race(&*bond);
    }

    /// A connection that its request does not want any more, unused since it was given to it.
    pub(super) fn returned(&self, connection: W::One) {
        let bond = Arc::clone(connection.bond());
        self.with_state(|state, todo| state.returned(bond.host(), connection, Instant::now(), todo));
        self.settle_race(&*bond);
    }

    /// A connection will be ready in a moment.
    pub(super) fn settling(&self, bond: &BondOf<W>) {
        self.with_state(|state, _| {
            bond.is_settling().store(true, Ordering::Relaxed);
            state.settling(bond.host());
        });
    }

    /// It was not ready then after all.
    pub(super) fn unsettled(&self, bond: &impl Bond) {
        if bond.is_settling().load(Ordering::Relaxed) {
            self.with_state(|state, todo| {
                if bond.is_settling().swap(false, Ordering::Relaxed) {
                    state.unsettled(bond.host(), Instant::now(), todo);
                }
            });
        }
    }

    /// A shared connection has a place more, or another number of them.
    pub(super) fn places_changed(&self, bond: &impl Bond) {
        self.with_state(|state, todo| {
            state.places_changed(bond.place().load(Ordering::Relaxed), Instant::now(), todo);
        });
    }

    /// A connection takes no more requests.
    pub(super) fn retired(&self, bond: &impl Bond) {
        let leaving =
            self.with_state(|state, todo| state.retired(bond.place().load(Ordering::Relaxed), Instant::now(), todo));
        drop(leaving);
        self.unsettled(bond);
    }

    /// A connection was taken in. If it went in the meantime, it was not found here then.
    pub(super) fn settle_race(&self, bond: &impl Bond) {
        if bond.is_gone() {
            self.retired(bond);
        }
    }

    /// A connection's socket is gone.
    pub(super) fn closed(&self, host: usize, site: u32, reason: CloseReason) {
        self.with_state(|state, todo| {
            state.leave_site(host, site);
            if let Some(key) = state.key(host) {
                key.counters.tally.closed(reason);
            }
            state.closed(host, Instant::now(), todo);
        });
    }

    /// Closes what is idle now.
    pub(super) fn close_idle(&self) {
        let closing = self.with_state(|state, _| state.close_idle(CloseReason::CloseIdle));
        self.close_all(closing);
    }

    /// Puts other settings in force: `put_in_force` is told the generation that begins with them, under the lock, so that
    /// whoever sees that generation sees these settings. It must neither wait nor drop anything.
    pub(super) fn renew(
        &self,
        limits: Limits,
        begins_with: impl Fn(&Key) -> Option<Protocol>,
        put_in_force: impl FnOnce(u64),
    ) {
        let closing = self.with_state(|state, todo| {
            let closing = state.renew(limits, begins_with, Instant::now(), todo);
            put_in_force(state.renewed());
            closing
        });
        self.close_all(closing);
    }

    /// Gives a lease back; whether it was the last.
    pub(super) fn give_lease_back(&self) -> bool {
        let closing = self.with_state(|state, todo| {
            state.leases -= 1;
            (state.leases == 0).then(|| {
                state.stop_dials(todo);
                state.close_idle(CloseReason::Stopped)
            })
        });
        let was_last = closing.is_some();
        if let Some(closing) = closing {
            self.close_all(closing);
        }
        was_last
    }

    /// One hold of the lock for some at a time.
    fn close_all(&self, mut closing: Closing) {
        while self.with_state(|state, todo| state.close_some(&mut closing, Instant::now(), todo)) {}
    }
}

impl<W: World> Member for Core<W> {
    fn wants_slot(&self) -> bool {
        self.lock().has_blocked()
    }

    fn has_turn(&self) {
        self.with_state(|state, todo| state.unblock_in_turn(Instant::now(), todo));
    }

    fn makes_room(&self, anyhow: bool) -> bool {
        self.with_state(if anyhow {
            State::make_room
        } else {
            State::make_room_if_wanted
        })
    }

    fn gives_way(&self, to: Presser, now: Instant) -> bool {
        self.with_state(|state, todo| state.give_way(to, now, todo))
    }

    fn gives_back(&self, to: Option<usize>) -> bool {
        self.with_state(|state, _| state.reclaim(to, Instant::now()))
    }
}
