//! The state machine: what is idle, who waits, what is dialled. No I/O, no clock.
//!
//! Connections come in two kinds. An *exclusive* one (HTTP/1) is either here, idle, or away with a request. A *shared*
//! one (HTTP/2) always stays here and gives out places; it is idle while none is taken.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hashbrown::HashMap;
use tokio::runtime::Id;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::key::{Key, KeyRef};
use super::lists::{BY_AGE, BY_HOST, List, Slab};
use crate::connect::{DialFailure, Progress};
use crate::settings;
use crate::wire::{CloseReason, Link, Seat};

/// A connection for one request at a time.
pub(super) trait Exclusive {
    /// Where the pool writes down its place; touched under the pool's lock only.
    fn place(&self) -> &AtomicUsize;
    /// The pool's generation when it was dialled.
    fn generation(&self) -> u64;
}

/// A connection for many requests at a time.
pub(super) trait Multiplexed: Clone {
    type Place;
    fn place(&self) -> &AtomicUsize;
    fn try_acquire(&self) -> Option<Self::Place>;
    fn is_unused(&self) -> bool;
}

/// The protocol that a host's last connection spoke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Unknown,
    H1,
    H2,
}

/// What a waiter is given.
pub(super) enum Delivery<C, P> {
    Exclusive(C),
    Place(P),
    Failed(DialFailure),
}

/// What a checkout came to.
pub(super) enum Outcome<C, P> {
    /// An idle connection, and for how long it was idle.
    Idle(C, Duration),
    Place(P),
    Wait(Waiting<C, P>),
}

pub(super) struct Waiting<C, P> {
    pub(super) host: usize,
    pub(super) id: u64,
    pub(super) receiver: oneshot::Receiver<Delivery<C, P>>,
    /// A dial to start.
    pub(super) dial: Option<Dial>,
    /// A dial that the waiter may be served by; none means that a cap is reached.
    pub(super) progress: Option<Arc<Progress>>,
}

/// A dial that the caller is to start.
#[derive(Debug)]
pub(super) struct Dial {
    pub(super) seat: Seat,
    pub(super) key: Arc<Key>,
    /// The waiter that hears of its failure first.
    pub(super) waiter: u64,
    pub(super) progress: Arc<Progress>,
}

/// What a connection that leaves the pool is closed for; dropped by the caller after the lock.
pub(super) enum Leaving<C, S> {
    Exclusive(C, CloseReason),
    Shared(S, CloseReason),
}

/// What the caller has to do after the lock.
pub(super) struct Todo<C, S: Multiplexed> {
    pub(super) leaving: Vec<Leaving<C, S>>,
    /// Places that nobody wanted. Dropping one comes back to the pool, so it is done after the lock too.
    pub(super) places: Vec<S::Place>,
    pub(super) dials: Vec<Dial>,
    /// Something became idle on this key's runtime, which has no reaper yet.
    pub(super) reaper: Option<Arc<Key>>,
}

impl<C, S: Multiplexed> Default for Todo<C, S> {
    fn default() -> Self {
        Todo {
            leaving: Vec::new(),
            places: Vec::new(),
            dials: Vec::new(),
            reaper: None,
        }
    }
}

struct Waiter<C, P> {
    id: u64,
    sender: oneshot::Sender<Delivery<C, P>>,
}

enum Held<C, S> {
    Idle(C),
    Shared(S),
}

struct Entry<C, S> {
    held: Held<C, S>,
    host: usize,
    since: Instant,
}

struct Host<C, P> {
    key: Arc<Key>,
    protocol: Protocol,
    idle: List<BY_HOST>,
    shared: Vec<usize>,
    waiters: VecDeque<Waiter<C, P>>,
    dialling: usize,
    /// Exclusive connections that come home in a moment.
    settling: usize,
    progress: Option<Arc<Progress>>,
    /// Connections and dials that name this host by its number.
    references: usize,
}

/// The caps that matter here.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    pub(super) pool: settings::Pool,
    pub(super) max_shared_per_host: usize,
}

/// Hosts without a connection are forgotten when there are more of them than this.
const QUIET_HOSTS: usize = 1024;

pub(super) struct State<C, S: Multiplexed> {
    limits: Limits,
    index: HashMap<Arc<Key>, usize>,
    hosts: Slab<Host<C, S::Place>>,
    entries: Slab<Entry<C, S>>,
    by_age: List<BY_AGE>,
    next_waiter: u64,
    waiting: usize,
    sweep_at: usize,
    pub(super) leases: usize,
    /// The runtimes of the hosts. Almost always one.
    runtimes: Vec<Id>,
    /// The runtimes that a reaper runs on.
    reaping: Vec<Id>,
    /// Raised by `close_idle`: connections dialled before it close after the request that they are away with.
    generation: u64,
}

impl<C: Exclusive, S: Multiplexed> State<C, S> {
    pub(super) fn new(limits: Limits) -> Self {
        State {
            limits,
            index: HashMap::new(),
            hosts: Slab::default(),
            entries: Slab::default(),
            by_age: List::default(),
            next_waiter: 0,
            waiting: 0,
            sweep_at: QUIET_HOSTS,
            leases: 0,
            runtimes: Vec::new(),
            reaping: Vec::new(),
            generation: 0,
        }
    }

    pub(super) fn idle(&self) -> usize {
        self.by_age.len()
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    pub(super) fn key(&self, host: usize) -> Option<&Arc<Key>> {
        self.hosts.get(host).map(|host| &host.key)
    }

    /// The number of a host, if it is known.
    pub(super) fn find(&self, key: KeyRef<'_>) -> Option<usize> {
        self.index.get(&key).copied()
    }

    pub(super) fn add_host(&mut self, key: Arc<Key>, protocol: Protocol) -> usize {
        if self.index.len() >= self.sweep_at {
            self.sweep();
        }
        self.meet(key.runtime());
        let host = self.hosts.insert(Host {
            key: Arc::clone(&key),
            protocol,
            idle: List::default(),
            shared: Vec::new(),
            waiters: VecDeque::new(),
            dialling: 0,
            settling: 0,
            progress: None,
            references: 0,
        });
        self.index.insert(key, host);
        host
    }

    /// A host's key keeps its runtime's reactor (two descriptors), even after that runtime has shut down. So when a new
    /// runtime comes, hosts of others that nothing refers to are forgotten: what is kept of runtimes that have gone does
    /// not grow with their number.
    fn meet(&mut self, runtime: Id) {
        if self.runtimes.contains(&runtime) {
            return;
        }
        self.sweep();
        self.runtimes.clear();
        for (_, host) in self.hosts.iter() {
            let other = host.key.runtime();
            if !self.runtimes.contains(&other) {
                self.runtimes.push(other);
            }
        }
        self.runtimes.push(runtime);
    }

    /// Forgets hosts that nothing refers to. The next sweep comes when their number has doubled, so that a pool with
    /// many live hosts does not sweep in vain.
    fn sweep(&mut self) {
        let quiet: Vec<usize> = self
            .hosts
            .iter()
            .filter(|(_, host)| host.references == 0 && host.waiters.is_empty())
            .map(|(index, _)| index)
            .collect();
        for index in quiet {
            if let Some(host) = self.hosts.remove(index) {
                self.index.remove(&host.key);
            }
        }
        self.sweep_at = QUIET_HOSTS.max(self.index.len() * 2);
    }

    /// A connection for a request: idle, a place, or a wait.
    pub(super) fn checkout(&mut self, host: usize, now: Instant, todo: &mut Todo<C, S>) -> Outcome<C, S::Place> {
        while let Some(newest) = self.hosts.get(host).and_then(|host| host.idle.newest()) {
            let Some(entry) = self.unlink_and_remove(newest) else {
                break;
            };
            let idle_for = now.saturating_duration_since(entry.since);
            let Held::Idle(connection) = entry.held else { break };
            if idle_for < self.limits.pool.idle_timeout {
                return Outcome::Idle(connection, idle_for);
            }
            todo.leaving
                .push(Leaving::Exclusive(connection, CloseReason::IdleTimeout));
        }
        if let Some(place) = self.acquire(host) {
            return Outcome::Place(place);
        }
        Outcome::Wait(self.enqueue(host))
    }

    /// A place on one of the host's shared connections, the fullest that has one.
    fn acquire(&mut self, host: usize) -> Option<S::Place> {
        let shared = &self.hosts.get(host)?.shared;
        for position in 0..shared.len() {
            let index = self.hosts.get(host)?.shared[position];
            let Some(Entry {
                held: Held::Shared(connection),
                ..
            }) = self.entries.get(index)
            else {
                continue;
            };
            if let Some(place) = connection.try_acquire() {
                self.by_age.unlink(&mut self.entries, index);
                return Some(place);
            }
        }
        None
    }

    fn enqueue(&mut self, index: usize) -> Waiting<C, S::Place> {
        let id = self.next_waiter;
        self.next_waiter += 1;
        let (may_dial_shared, generation) = (self.may_dial_shared(index), self.generation);
        let host = self
            .hosts
            .get_mut(index)
            .expect("the caller has just found or added the host");
        let needs_dial = match host.protocol {
            // Whichever comes first, a returning connection or the new one, serves the request. A dial whose request was
            // served by another connection serves this one, so that there are never more dials than requests that wait.
            // One that is on its way home serves one of them, too.
            Protocol::H1 => host.dialling + host.settling <= host.waiters.len(),
            // One dial tells all who wait which protocol the host speaks.
            Protocol::Unknown => host.dialling == 0,
            Protocol::H2 => host.dialling == 0 && may_dial_shared,
        };
        let (sender, receiver) = oneshot::channel();
        host.waiters.push_back(Waiter { id, sender });
        self.waiting += 1;
        let dial = needs_dial.then(|| Self::begin_dial(host, index, generation, id));
        Waiting {
            host: index,
            id,
            receiver,
            dial,
            progress: host.progress.clone(),
        }
    }

    fn may_dial_shared(&self, host: usize) -> bool {
        self.hosts
            .get(host)
            .is_some_and(|host| host.shared.len() < self.limits.max_shared_per_host)
    }

    fn begin_dial(host: &mut Host<C, S::Place>, index: usize, generation: u64, waiter: u64) -> Dial {
        host.dialling += 1;
        host.references += 1;
        let progress = Arc::new(Progress::default());
        host.progress = Some(Arc::clone(&progress));
        Dial {
            seat: Seat {
                host: index,
                generation,
                http1_only: false,
                calm: 0,
            },
            key: Arc::clone(&host.key),
            waiter,
            progress,
        }
    }

    /// A dial outside the queue, for a request that must not have a connection that was used before.
    pub(super) fn begin_fresh(&mut self, index: usize) -> Option<Dial> {
        let generation = self.generation;
        let host = self.hosts.get_mut(index)?;
        Some(Self::begin_dial(host, index, generation, u64::MAX))
    }

    fn end_dial(host: &mut Host<C, S::Place>) {
        host.dialling -= 1;
        if host.dialling == 0 {
            host.progress = None;
        }
    }

    /// A waiter gives up. Its dial, if it has one, goes on and serves the pool.
    pub(super) fn cancel(&mut self, host: usize, id: u64) {
        let Some(host) = self.hosts.get_mut(host) else { return };
        if let Some(position) = host.waiters.iter().position(|waiter| waiter.id == id) {
            host.waiters.remove(position);
            self.waiting -= 1;
        }
    }

    /// A dial has become an exclusive connection. It goes to the first waiter, or is returned for `check_in`.
    pub(super) fn dialled_exclusive(&mut self, index: usize, connection: C, now: Instant, todo: &mut Todo<C, S>) {
        if let Some(host) = self.hosts.get_mut(index) {
            Self::end_dial(host);
            host.protocol = Protocol::H1;
            self.serve(index, connection, now, todo);
            // Those who waited to learn the protocol need a connection each.
            let generation = self.generation;
            let Some(host) = self.hosts.get_mut(index) else { return };
            while let Some(waiter) = host.waiters.get(host.dialling + host.settling).map(|waiter| waiter.id) {
                todo.dials.push(Self::begin_dial(host, index, generation, waiter));
            }
        }
    }

    /// A dial outside the queue is over: with a connection that its own request took, or without one.
    pub(super) fn end_fresh(&mut self, index: usize, is_connected: bool) {
        if let Some(host) = self.hosts.get_mut(index) {
            Self::end_dial(host);
            if !is_connected {
                host.references -= 1;
            }
        }
    }

    /// A dial has become a shared connection.
    pub(super) fn dialled_shared(&mut self, index: usize, connection: S, now: Instant, todo: &mut Todo<C, S>) {
        if let Some(host) = self.hosts.get_mut(index) {
            Self::end_dial(host);
        }
        self.add_shared(index, connection, now, todo);
    }

    /// Takes a shared connection in and serves those who wait.
    #[expect(clippy::needless_pass_by_value, reason = "the pool takes the connection in")]
    pub(super) fn add_shared(&mut self, index: usize, connection: S, now: Instant, todo: &mut Todo<C, S>) {
        let Some(host) = self.hosts.get_mut(index) else { return };
        host.protocol = Protocol::H2;
        let entry = self.entries.insert(Entry {
            held: Held::Shared(connection.clone()),
            host: index,
            since: now,
        });
        connection.place().store(entry, Ordering::Relaxed);
        host.shared.push(entry);
        self.places_changed(entry, now, todo);
    }

    /// A shared connection has places free, or none is taken any more.
    pub(super) fn places_changed(&mut self, index: usize, now: Instant, todo: &mut Todo<C, S>) {
        let Some(Entry {
            held: Held::Shared(connection),
            host,
            ..
        }) = self.entries.get(index)
        else {
            return;
        };
        let (connection, host_index) = (connection.clone(), *host);
        while let Some(host) = self.hosts.get_mut(host_index)
            && !host.waiters.is_empty()
        {
            let Some(place) = connection.try_acquire() else { break };
            self.by_age.unlink(&mut self.entries, index);
            if let Err(Delivery::Place(place)) = self.deliver(host_index, Delivery::Place(place)) {
                todo.places.push(place);
                break;
            }
        }
        let (needs_more, generation) = (self.may_dial_shared(host_index), self.generation);
        if let Some(host) = self.hosts.get_mut(host_index)
            && let Some(id) = host.waiters.front().map(|waiter| waiter.id)
            && needs_more
            && host.dialling == 0
        {
            todo.dials.push(Self::begin_dial(host, host_index, generation, id));
        }
        if connection.is_unused() {
            self.shared_is_idle(index, now, todo);
        }
    }

    fn shared_is_idle(&mut self, index: usize, now: Instant, todo: &mut Todo<C, S>) {
        if let Some(reason) = self.refusal() {
            self.expel(index, reason, todo);
            return;
        }
        if let Some(entry) = self.entries.get_mut(index) {
            entry.since = now;
            let host = entry.host;
            self.by_age.unlink(&mut self.entries, index);
            self.by_age.push(&mut self.entries, index);
            self.enforce_cap(todo);
            self.want_reaper(host, todo);
        }
    }

    /// Why nothing may be idle, if nothing may.
    fn refusal(&self) -> Option<CloseReason> {
        if self.leases == 0 {
            Some(CloseReason::Stopped)
        } else if !self.limits.pool.reuse {
            Some(CloseReason::NoReuse)
        } else if self.limits.pool.max_idle == 0 || self.limits.pool.max_idle_per_host == 0 {
            Some(CloseReason::IdleCap)
        } else {
            None
        }
    }

    /// A connection will be back in a moment.
    pub(super) fn settling(&mut self, index: usize) {
        if let Some(host) = self.hosts.get_mut(index) {
            host.settling += 1;
        }
    }

    /// It is back.
    pub(super) fn settled(&mut self, index: usize) {
        if let Some(host) = self.hosts.get_mut(index) {
            host.settling -= 1;
        }
    }

    /// It will not be back in a moment after all: who counted on it needs a dial.
    pub(super) fn unsettled(&mut self, index: usize, todo: &mut Todo<C, S>) {
        self.settled(index);
        let generation = self.generation;
        let Some(host) = self.hosts.get_mut(index) else {
            return;
        };
        while host.protocol == Protocol::H1
            && let Some(waiter) = host.waiters.get(host.dialling + host.settling).map(|waiter| waiter.id)
        {
            todo.dials.push(Self::begin_dial(host, index, generation, waiter));
        }
    }

    /// A connection is back from its request.
    pub(super) fn check_in(&mut self, index: usize, connection: C, now: Instant, todo: &mut Todo<C, S>) {
        if !self.limits.pool.reuse {
            todo.leaving.push(Leaving::Exclusive(connection, CloseReason::NoReuse));
            return;
        }
        if connection.generation() != self.generation {
            todo.leaving
                .push(Leaving::Exclusive(connection, CloseReason::CloseIdle));
            return;
        }
        self.serve(index, connection, now, todo);
    }

    /// Gives the connection to the first waiter, else lets it be idle, else closes it.
    fn serve(&mut self, index: usize, connection: C, now: Instant, todo: &mut Todo<C, S>) {
        // What comes back is what went in.
        let Err(Delivery::Exclusive(connection)) = self.deliver(index, Delivery::Exclusive(connection)) else {
            return;
        };
        if let Some(reason) = self.refusal() {
            todo.leaving.push(Leaving::Exclusive(connection, reason));
            return;
        }
        let Some(host) = self.hosts.get_mut(index) else { return };
        let oldest = (host.idle.len() >= self.limits.pool.max_idle_per_host)
            .then(|| host.idle.oldest())
            .flatten();
        if let Some(oldest) = oldest {
            self.expel(oldest, CloseReason::IdleCap, todo);
        }
        let entry = self.entries.insert(Entry {
            held: Held::Idle(connection),
            host: index,
            since: now,
        });
        if let Some(Entry {
            held: Held::Idle(connection),
            ..
        }) = self.entries.get(entry)
        {
            connection.place().store(entry, Ordering::Relaxed);
        }
        if let Some(host) = self.hosts.get_mut(index) {
            host.idle.push(&mut self.entries, entry);
        }
        self.by_age.push(&mut self.entries, entry);
        self.enforce_cap(todo);
        self.want_reaper(index, todo);
    }

    /// Something of this host is idle: a reaper must run on its runtime. One elsewhere would not do, since that runtime
    /// may stand still or go.
    fn want_reaper(&mut self, host: usize, todo: &mut Todo<C, S>) {
        let Some(host) = self.hosts.get(host) else { return };
        let runtime = host.key.runtime();
        if !self.reaping.contains(&runtime) {
            self.reaping.push(runtime);
            todo.reaper = Some(Arc::clone(&host.key));
        }
    }

    /// The runtime has no reaper any more.
    pub(super) fn reaper_gone(&mut self, runtime: Id) {
        self.reaping.retain(|other| *other != runtime);
    }

    fn enforce_cap(&mut self, todo: &mut Todo<C, S>) {
        while self.by_age.len() > self.limits.pool.max_idle
            && let Some(oldest) = self.by_age.oldest()
        {
            self.expel(oldest, CloseReason::IdleCap, todo);
        }
    }

    /// Hands something to the first waiter that still waits; gives it back if there is none.
    fn deliver(&mut self, index: usize, delivery: Delivery<C, S::Place>) -> Result<(), Delivery<C, S::Place>> {
        let Some(host) = self.hosts.get_mut(index) else {
            return Err(delivery);
        };
        let mut delivery = delivery;
        while let Some(waiter) = host.waiters.pop_front() {
            self.waiting -= 1;
            match waiter.sender.send(delivery) {
                Ok(()) => return Ok(()),
                Err(back) => delivery = back,
            }
        }
        Err(delivery)
    }

    /// A dial has failed.
    pub(super) fn dial_failed(&mut self, index: usize, waiter: u64, failure: &DialFailure) {
        let Some(host) = self.hosts.get_mut(index) else { return };
        Self::end_dial(host);
        host.references -= 1;
        let mut failed = Vec::new();
        if let Some(position) = host.waiters.iter().position(|candidate| candidate.id == waiter) {
            failed.extend(host.waiters.remove(position));
        } else if host.protocol == Protocol::H1 && host.waiters.len() > host.dialling + host.settling {
            // Its own waiter was served by another connection; somebody else relied on this dial.
            failed.extend(host.waiters.pop_front());
        }
        // Without a dial and without a connection there is nothing left to wait for.
        if host.dialling + host.settling == 0 && host.shared.is_empty() {
            failed.extend(host.waiters.drain(..));
        }
        self.waiting -= failed.len();
        for waiter in failed {
            // One that has gone needs to hear nothing.
            let _ = waiter.sender.send(Delivery::Failed(failure.clone()));
        }
    }

    /// A connection's socket is gone.
    pub(super) fn closed(&mut self, index: usize) {
        if let Some(host) = self.hosts.get_mut(index) {
            host.references -= 1;
        }
    }

    /// Takes a connection out that takes no more requests. Those who wait for a place on it need another.
    pub(super) fn retired(&mut self, index: usize, todo: &mut Todo<C, S>) -> Option<Leaving<C, S>> {
        let host = self.entries.get(index)?.host;
        let entry = self.unlink_and_remove(index)?;
        let (may_dial, generation) = (self.may_dial_shared(host), self.generation);
        if let Some(state) = self.hosts.get_mut(host)
            && state.protocol == Protocol::H2
            && state.dialling == 0
            && may_dial
            && let Some(id) = state.waiters.front().map(|waiter| waiter.id)
        {
            todo.dials.push(Self::begin_dial(state, host, generation, id));
        }
        // Its driver has said why.
        Some(match entry.held {
            Held::Idle(connection) => Leaving::Exclusive(connection, CloseReason::PeerClosed),
            Held::Shared(connection) => Leaving::Shared(connection, CloseReason::PeerClosed),
        })
    }

    /// Closes what has been idle for too long; says when to look again.
    pub(super) fn reap(&mut self, now: Instant, todo: &mut Todo<C, S>) -> Option<Instant> {
        while let Some(oldest) = self.by_age.oldest() {
            let due = self.entries.get(oldest)?.since + self.limits.pool.idle_timeout;
            if due > now {
                return Some(due);
            }
            self.expel(oldest, CloseReason::IdleTimeout, todo);
        }
        None
    }

    /// Closes everything that is idle. What is in use closes when its requests have ended.
    pub(super) fn close_idle(&mut self, reason: CloseReason, todo: &mut Todo<C, S>) {
        self.generation += 1;
        while let Some(oldest) = self.by_age.oldest() {
            self.expel(oldest, reason, todo);
        }
        let in_use: Vec<usize> = self.entries.iter().map(|(index, _)| index).collect();
        for shared in in_use {
            self.expel(shared, reason, todo);
        }
    }

    fn expel(&mut self, index: usize, reason: CloseReason, todo: &mut Todo<C, S>) {
        if let Some(entry) = self.unlink_and_remove(index) {
            todo.leaving.push(match entry.held {
                Held::Idle(connection) => Leaving::Exclusive(connection, reason),
                Held::Shared(connection) => Leaving::Shared(connection, reason),
            });
        }
    }

    fn unlink_and_remove(&mut self, index: usize) -> Option<Entry<C, S>> {
        let host = self.entries.get(index)?.host;
        self.by_age.unlink(&mut self.entries, index);
        if let Some(host) = self.hosts.get_mut(host) {
            host.idle.unlink(&mut self.entries, index);
            if let Some(position) = host.shared.iter().position(|shared| *shared == index) {
                host.shared.remove(position);
            }
        }
        let entry = self.entries.remove(index)?;
        let place = match &entry.held {
            Held::Idle(connection) => connection.place(),
            Held::Shared(connection) => Multiplexed::place(connection),
        };
        place.store(Link::NOWHERE, Ordering::Relaxed);
        Some(entry)
    }
}
