//! The state machine: what is idle, who waits, what is dialled. No I/O, no clock, no user code.
//!
//! ```text
//! checkout ─► idle (newest first) │ a place │ the queue ─┐
//! check-in, places, dialled ────► the queue, else idle   ├─► pump: how many dials does this host need now, and may it?
//! closed, failed, retired ──────► counts ────────────────┘
//! ```
//!
//! Connections come in two kinds. An *exclusive* one (HTTP/1) is either here, idle, or away with a request. A *shared*
//! one (HTTP/2) always stays here and gives out places; it is idle while none is taken.
//!
//! The rule: an event changes counts, then [`pump`](State::pump) looks whether the host has as many dials as it needs
//! and may have. Nothing is done here; what is to be done after the lock is put into [`Todo`].

mod dialled;
mod dialling;
mod elsewhere;
#[cfg(any(test, feature = "bench-internals"))]
#[cfg_attr(
    not(test),
    allow(dead_code, reason = "the benchmarks use less of them than the tests")
)]
pub(super) mod fakes;
mod fresh;
mod hibernate;
mod host;
mod idle;
mod line;
mod lists;
#[cfg(test)]
mod model_tests;
mod patience;
mod places;
mod queue;
mod renewal;
mod sites;
mod spared;
mod spreading;
#[cfg(test)]
mod tests;
mod turns;
mod wheel;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::task::Waker;
use std::time::Duration;

use hashbrown::{Equivalent, HashMap};
use tokio::runtime::Id;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use super::budget::Budget;
use super::hosts::Directory;
use super::key::{Key, KeyRef};
use super::stop::Stop;
use crate::connect::{DialFailure, Progress};
use crate::settings;
use crate::wire::{CloseReason, Marks, Seat};
use dialling::Running;
use host::Host;
use line::Line;
use lists::{BY_AGE, BY_REST, List, Slab};
use patience::Silence;
use queue::Offer;
use wheel::Wheel;

pub(super) use dialling::{Cap, Standing};
pub(super) use elsewhere::{Failed, Rather};
pub(super) use idle::Closing;
pub(super) use patience::GIVES_WAY_AFTER;
pub(super) use turns::Presser;

/// What ties a connection to its pool.
pub(super) trait Bond {
    /// Where the pool writes down its place; touched under the pool's lock only.
    fn place(&self) -> &AtomicUsize;
    /// The pool's number of its host.
    fn host(&self) -> usize;
    /// Whether it takes no more requests.
    fn is_gone(&self) -> bool;
    /// Whether the pool counts on its coming home in a moment; written under the pool's lock only.
    fn is_settling(&self) -> &AtomicBool;
    /// The pool's number of the host's address that it leads to, where that counts.
    fn site(&self) -> u32;
}

/// A connection for one request at a time.
pub(super) trait Exclusive {
    type Bond: Bond;
    fn bond(&self) -> &Arc<Self::Bond>;
    fn marks(&self) -> Marks;
    /// The pool's generation when it was dialled.
    fn generation(&self) -> u64;
    /// When it is to take no more requests.
    fn expires(&self) -> Option<Instant>;
    /// How long the server lets it be idle, if it said.
    fn may_idle_for(&self) -> Option<Duration>;
    /// Why it takes no more requests, if it does not.
    fn spent(&self) -> Option<CloseReason>;
    /// It is idle from now on.
    fn rest(&self);
    /// A request takes it.
    fn lend(&self, now: Instant);
    /// For how long the last request has had it.
    fn lent_for(&self, now: Instant) -> Duration;
    /// It may hibernate, when the waker that comes back is called after the pool's lock. None, if it can't.
    fn doze(&mut self) -> Option<Waker>;
    /// Closes it, for `reason`. Never under the pool's lock.
    fn retire(self, reason: CloseReason);
}

/// A connection for many requests at a time.
pub(super) trait Multiplexed: Clone {
    type Place;
    fn place(&self) -> &AtomicUsize;
    fn marks(&self) -> Marks;
    /// The pool's number of the host's address that it leads to, where that counts.
    fn site(&self) -> u32;
    fn try_acquire(&self) -> Option<Self::Place>;
    fn in_use(&self) -> usize;
    /// As many places as there are, zero included; unknown before the peer has said.
    fn limit(&self) -> Option<usize>;
    /// Gives no place out although some may be free: its window is used up, or it is in doubt.
    fn is_choked(&self) -> bool;
    /// Whether nobody knows that the peer is still there.
    fn is_in_doubt(&self) -> bool;
    /// Whether its peer, which took requests, takes none any more.
    fn is_shut(&self) -> bool;
    fn expires(&self) -> Option<Instant>;
    fn spent(&self) -> Option<CloseReason>;
    /// It is idle from now on.
    fn rest(&self);
    /// Lets it end after its requests, for `reason`. Never under the pool's lock.
    fn retire(self, reason: CloseReason);
}

/// The protocol that a host's last connection spoke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Unknown,
    H1,
    H2,
}

/// What a waiter is given.
#[derive(Debug)]
pub(super) enum Delivery<C, P> {
    Exclusive(C),
    Place(P),
    Failed(DialFailure),
    /// The host is reached by another way now: ask again.
    Moved,
}

/// What a request asks for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ask {
    pub(super) now: Instant,
    /// Its number in the order in which requests came. One that is sent again keeps it, and so its place before those
    /// that came later.
    pub(super) turn: u64,
    /// When the request is over in any case.
    pub(super) deadline: Option<Instant>,
    /// Only a connection that nobody has used will do.
    pub(super) fresh: bool,
}

/// What a checkout came to.
pub(super) enum Outcome<C, P> {
    /// An idle connection, and since when it was idle.
    Idle(C, Instant),
    Place(P),
    Wait(Waiting<C, P>),
}

#[derive(Debug)]
pub(super) struct Waiting<C, P> {
    pub(super) host: usize,
    pub(super) id: u64,
    pub(super) receiver: oneshot::Receiver<Delivery<C, P>>,
}

/// A dial that the caller is to start.
#[derive(Debug)]
pub(super) struct Dial {
    pub(super) id: u64,
    pub(super) seat: Seat,
    pub(super) key: Arc<Key>,
    /// The waiter that hears of its failure first.
    waiter: Option<u64>,
    /// The host's backoff when it began: of many dials that fail together one counts.
    epoch: u64,
    pub(super) progress: Arc<Progress>,
    /// By what it is stopped, as when it is to make room for another host's.
    pub(super) stop: Arc<Stop>,
}

/// What leaves the pool, and what a connection is closed for; done by the caller after the lock.
pub(super) enum Leaving<C, S> {
    Exclusive(C, CloseReason),
    Shared(S, CloseReason),
    /// A dial that is to stop.
    Dial(Arc<Stop>),
}

/// Something for a waiter, and the way to it.
type HandOver<C, P> = (oneshot::Sender<Delivery<C, P>>, Delivery<C, P>);

/// What the caller has to do after the lock: nothing, after most requests.
pub(super) struct Todo<C, S: Multiplexed>(Option<Box<Chores<C, S>>>);

impl<C, S: Multiplexed> Todo<C, S> {
    /// Where more can be put down.
    fn chores(&mut self) -> &mut Chores<C, S> {
        self.0.get_or_insert_default()
    }

    /// All of it, if there is anything.
    pub(super) fn into_chores(self) -> Option<Box<Chores<C, S>>> {
        self.0
    }
}

impl<C, S: Multiplexed> Default for Todo<C, S> {
    fn default() -> Self {
        Todo(None)
    }
}

/// What there is to do.
pub(super) struct Chores<C, S: Multiplexed> {
    /// Waking a waiter runs its executor's code.
    pub(super) deliveries: Vec<HandOver<C, S::Place>>,
    pub(super) leaving: Vec<Leaving<C, S>>,
    /// Places that nobody wanted. Dropping one comes back to the pool, so it is done after the lock too.
    pub(super) places: Vec<S::Place>,
    pub(super) dials: Vec<Dial>,
    /// Those who want to know that a dial is over.
    pub(super) dial_over: Option<Arc<Notify>>,
    /// Something became idle on this key's runtime, which has no reaper yet.
    pub(super) reaper: Option<Arc<Key>>,
    /// Something is due before the reapers look again.
    pub(super) wake_reapers: bool,
    /// Drivers of connections that are to hibernate.
    pub(super) drowsy: Vec<Waker>,
    /// The cap over all pools is reached: an idle connection elsewhere is to make room.
    pub(super) wants_room: bool,
    /// Slots went back to the cap over all pools.
    pub(super) freed: bool,
    /// The name of this host is to be looked up again.
    pub(super) look_up: Option<Arc<Key>>,
    /// Closed by a cap and dialled again within a second.
    pub(super) regrets: u64,
}

impl<C, S: Multiplexed> Default for Chores<C, S> {
    fn default() -> Self {
        Chores {
            deliveries: Vec::new(),
            leaving: Vec::new(),
            places: Vec::new(),
            dials: Vec::new(),
            dial_over: None,
            reaper: None,
            drowsy: Vec::new(),
            wake_reapers: false,
            wants_room: false,
            freed: false,
            look_up: None,
            regrets: 0,
        }
    }
}

enum Held<C, S> {
    Idle(C),
    Shared(S),
}

struct Entry<C, S> {
    held: Held<C, S>,
    host: usize,
    /// The pool's when it was taken in.
    generation: u64,
    since: Instant,
    /// When it has been idle for long enough, or is too old.
    due: Instant,
    is_asleep: bool,
    /// It was asked to make room in vain, and is not before then. Boxed, since few were, and an entry is moved with each
    /// request.
    left_alone_until: Option<Box<Instant>>,
    /// Its peer has been given time to say how many requests it takes, and had not.
    is_overdue: bool,
}

/// The caps that matter here.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    pub(super) pool: settings::Pool,
    pub(super) max_shared_per_host: usize,
    /// `dns.balance = "round_robin"`
    pub(super) spreads: bool,
}

pub(super) struct State<C, S: Multiplexed> {
    limits: Limits,
    index: HashMap<Arc<Key>, usize>,
    /// The host in the index that was looked for last.
    latest: Option<usize>,
    /// Hosts that nobody finds any more, as they were reached by another way under earlier settings.
    abandoned: HashMap<Arc<Key>, usize>,
    hosts: Slab<Host<C, S::Place>>,
    entries: Slab<Entry<C, S>>,
    by_age: List<BY_AGE>,
    /// Idle and to hibernate, in the order in which they fell idle.
    awake: List<BY_REST>,
    asleep: usize,
    wheel: Wheel,
    next_turn: u64,
    next_dial: u64,
    waiting: usize,
    /// Connections and dials under way: what `pool.max_connections` counts.
    open: usize,
    /// Connections told to make room that are not closed yet.
    departing: usize,
    /// Dials under way, the oldest first.
    running: VecDeque<Running>,
    /// Hosts that need a dial and must wait for a slot under a cap of the pool or of all pools.
    blocked: Line,
    /// How dials that gave way have fared.
    silence: Silence,
    /// The next connection whose request ends makes room, for this host or for another pool.
    reclaims: Option<turns::Claimant>,
    /// Takes no request for a moment, for the sake of that claim.
    spared: Option<spared::Spared>,
    /// Whether the cap over all pools is asked in this pool's turn.
    is_our_turn: bool,
    budget: Arc<Budget>,
    directory: Arc<Directory>,
    sweep_at: usize,
    pub(super) leases: usize,
    /// The runtimes of the hosts. Almost always one.
    runtimes: Vec<Id>,
    /// The runtimes that a reaper runs on.
    reaping: Vec<Id>,
    /// When the reapers look next.
    reaps_at: Option<Instant>,
    /// Raised by `close_idle`: connections dialled before it close after the request that they are away with.
    generation: u64,
    /// What it was when the latest settings came: what was dialled before serves nobody any more.
    renewed: u64,
}

impl<C: Exclusive, S: Multiplexed> State<C, S> {
    /// `epoch` is any instant that is not in the future.
    pub(super) fn new(limits: Limits, budget: Arc<Budget>, directory: Arc<Directory>, epoch: Instant) -> Self {
        State {
            wheel: Wheel::new(epoch, limits.pool.idle_timeout),
            limits,
            index: HashMap::new(),
            latest: None,
            abandoned: HashMap::new(),
            hosts: Slab::default(),
            entries: Slab::default(),
            by_age: List::default(),
            next_turn: 0,
            awake: List::default(),
            asleep: 0,
            next_dial: 0,
            waiting: 0,
            open: 0,
            departing: 0,
            running: VecDeque::new(),
            blocked: Line::default(),
            silence: Silence::default(),
            reclaims: None,
            spared: None,
            is_our_turn: false,
            budget,
            directory,
            sweep_at: host::QUIET_HOSTS,
            leases: 0,
            runtimes: Vec::new(),
            reaping: Vec::new(),
            reaps_at: None,
            generation: 0,
            renewed: 0,
        }
    }

    pub(super) fn idle(&self) -> usize {
        self.by_age.len()
    }

    /// Of those that are idle, how many hibernate.
    pub(super) fn hibernating(&self) -> usize {
        self.asleep
    }

    #[cfg(test)]
    pub(super) fn idle_ones(&self) -> impl Iterator<Item = &C> {
        self.entries.iter().filter_map(|(_, entry)| match &entry.held {
            Held::Idle(connection) => Some(connection),
            Held::Shared(_) => None,
        })
    }

    #[cfg(test)]
    pub(super) fn open(&self) -> usize {
        self.open
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    pub(super) fn key(&self, host: usize) -> Option<&Arc<Key>> {
        self.hosts.get(host).map(|host| &host.key)
    }

    /// The number of a host, if it is known.
    pub(super) fn find(&mut self, key: KeyRef<'_>) -> Option<usize> {
        // Most requests go where the one before went: to compare costs a quarter of looking it up.
        let latest = self.latest.and_then(|latest| self.hosts.get(latest));
        if !latest.is_some_and(|host| key.equivalent(&host.key)) {
            self.latest = self.index.get(&key).copied();
        }
        self.latest
    }

    /// The number of the next request that comes.
    pub(super) fn next_turn(&mut self) -> u64 {
        self.next_turn += 1;
        self.next_turn - 1
    }

    /// A connection for a request: idle, a place, or a wait.
    pub(super) fn checkout(&mut self, host: usize, ask: Ask, todo: &mut Todo<C, S>) -> Outcome<C, S::Place> {
        if !ask.fresh {
            if let Some((connection, since)) = self.take_newest(host, ask.now, todo) {
                self.make_up(host, ask.now, todo);
                self.spread(host, ask.now, todo);
                return Outcome::Idle(connection, since);
            }
            if let Some(place) = self.acquire(host, ask.now, todo) {
                self.spread(host, ask.now, todo);
                return Outcome::Place(place);
            }
        }
        self.wait(host, ask, Vec::new(), todo)
    }

    /// A place in the queue, and what has to be done for those who stand there. One that wants a new connection may want one
    /// that leads elsewhere than to the addresses that it `shuns` as well.
    fn wait(&mut self, host: usize, ask: Ask, shuns: Vec<SocketAddr>, todo: &mut Todo<C, S>) -> Outcome<C, S::Place> {
        let receiver = self.enqueue(host, ask, shuns);
        // A place may be free although others wait: they come first.
        self.serve_places(host, ask.now, todo);
        self.pump(host, ask.now, todo);
        self.make_up(host, ask.now, todo);
        let id = ask.turn;
        self.spread(host, ask.now, todo);
        Outcome::Wait(Waiting { host, id, receiver })
    }

    fn enqueue(&mut self, index: usize, ask: Ask, shuns: Vec<SocketAddr>) -> oneshot::Receiver<Delivery<C, S::Place>> {
        let (sender, receiver) = oneshot::channel();
        if let Some(host) = self.hosts.get_mut(index) {
            let waiter = queue::Waiter {
                id: ask.turn,
                sender,
                deadline: ask.deadline,
                shuns,
            };
            host.queue.push(waiter, ask.fresh);
            self.waiting += 1;
            host.gauge_waiting();
        }
        receiver
    }

    /// A waiter gives up. Its dial, if it has one, goes on and serves the pool.
    pub(super) fn cancel(&mut self, index: usize, id: u64) {
        let Some(host) = self.hosts.get_mut(index) else { return };
        if host.queue.remove(id).is_some() {
            self.waiting -= 1;
            self.queue_shrank(index);
        }
    }

    /// Puts something into the hands of the first waiter that can use it; gives it back if there is none.
    fn deliver(
        &mut self,
        index: usize,
        delivery: Delivery<C, S::Place>,
        offer: Offer,
        now: Instant,
        todo: &mut Todo<C, S>,
    ) -> Result<(), Delivery<C, S::Place>> {
        let Some(host) = self.hosts.get_mut(index) else {
            return Err(delivery);
        };
        let before = host.queue.len();
        if before == 0 {
            return Err(delivery);
        }
        let next = host.queue.next(offer, now, host.service);
        self.waiting -= before - host.queue.len();
        self.queue_shrank(index);
        let Some(waiter) = next else { return Err(delivery) };
        if let Delivery::Exclusive(connection) = &delivery {
            connection.lend(now);
        }
        todo.chores().deliveries.push((waiter.sender, delivery));
        Ok(())
    }
}
