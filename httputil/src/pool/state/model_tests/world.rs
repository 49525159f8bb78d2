//! The world around the state machine: dials, connections in use, requests that wait; and what it does with each event.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;
use tokio::time::Instant;

use super::super::fakes::{Many, One, Seat};
use super::super::lists::{BY_TURN, List};
use super::super::sites::Sites;
use super::super::{Bond, Budget, Delivery, Dial, Exclusive, Leaving, Limits, Multiplexed, Protocol, State, Todo};
use super::events::{Event, Pick, Setup};
use super::model::{Model, Patience, Which};
use crate::connect::{Route, Target};
use crate::pool::Key;
use crate::wire::CloseReason;

pub(super) struct Request {
    pub(super) host: usize,
    pub(super) id: u64,
    pub(super) receiver: oneshot::Receiver<Delivery<One, Seat>>,
}

pub(super) struct Away {
    pub(super) host: usize,
    pub(super) one: One,
    pub(super) is_unused: bool,
}

pub(super) struct World {
    pub(super) state: State<One, Many>,
    pub(super) model: Model,
    pub(super) now: Instant,
    pub(super) numbers: u32,
    pub(super) requests: Vec<Request>,
    /// Requests that were served, by host and number.
    pub(super) served: Vec<(usize, u64)>,
    pub(super) dials: Vec<(Dial, Instant)>,
    pub(super) away: Vec<Away>,
    pub(super) settling: Vec<(usize, One)>,
    pub(super) seats: Vec<(usize, Seat)>,
    /// Shared connections that have left the pool with requests on them.
    pub(super) parting: BTreeMap<u32, usize>,
    /// The hosts of connections that have left the pool and whose sockets are not gone yet.
    pub(super) closing: Vec<(usize, u32)>,
    /// What the resolver names for each host.
    pub(super) named: Vec<Vec<SocketAddr>>,
    /// Dials that know where they go, and the site that is meant.
    pub(super) routed: BTreeMap<u64, u32>,
    /// What each dial has before it gives way.
    pub(super) patience: BTreeMap<u64, Patience>,
    /// Dials of earlier settings, which were told to stop.
    pub(super) stopped: BTreeSet<u64>,
    /// What is supposed of each host at first.
    pub(super) begins_with: Vec<Protocol>,
    /// Whether `dns.balance` has been another one before.
    pub(super) has_flipped: bool,
    /// Places that nobody wanted, in a row.
    unwanted: usize,
    _runtime: tokio::runtime::Runtime,
}

pub(super) fn pick<T>(from: &mut Vec<T>, pick: Pick) -> Option<T> {
    (!from.is_empty()).then(|| from.remove(pick % from.len()))
}

/// Those of four addresses whose bits are set.
pub(super) fn addresses(bits: u8) -> Vec<SocketAddr> {
    let is_set = |number: &u8| bits & (1 << number) != 0;
    let all = (0..4).filter(is_set);
    all.map(|number| SocketAddr::from(([10, 0, 0, number], 80))).collect()
}

impl World {
    pub(super) fn new(setup: &Setup) -> World {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let now = Instant::now();
        let limits = Limits {
            pool: setup.pool.clone(),
            max_shared_per_host: setup.max_shared_per_host,
            spreads: setup.spreads,
        };
        let mut state = State::new(limits.clone(), Budget::new(None), Arc::default(), now);
        state.leases = 1;
        for (number, protocol) in setup.hosts.iter().enumerate() {
            let target = Target::of(&format!("http://host{number}/").parse().unwrap()).unwrap();
            let key = Key::new(target, Route::Direct, runtime.handle().clone()).unwrap();
            assert_eq!(state.add_host(Arc::new(key), *protocol, now), number);
        }
        World {
            model: Model::new(limits, &setup.hosts),
            state,
            now,
            numbers: 0,
            requests: Vec::new(),
            served: Vec::new(),
            dials: Vec::new(),
            away: Vec::new(),
            settling: Vec::new(),
            seats: Vec::new(),
            parting: BTreeMap::new(),
            closing: Vec::new(),
            named: vec![addresses(1); setup.hosts.len()],
            routed: BTreeMap::new(),
            patience: BTreeMap::new(),
            stopped: BTreeSet::new(),
            begins_with: setup.hosts.clone(),
            has_flipped: false,
            unwanted: 0,
            _runtime: runtime,
        }
    }

    /// One event, and the judgement of what it led to.
    pub(super) fn happens(&mut self, event: Event) {
        // A dial that ends well has learnt where to go: that is an event of its own.
        if let Event::DialledExclusive { dial, .. } | Event::DialledShared { dial, .. } = event {
            self.happens(Event::Routed(dial));
        }
        self.unwanted = 0;
        self.model.begins(self.now);
        self.dispatch(event);
        self.model.ends();
        for (index, host) in self.model.hosts.iter_mut().enumerate() {
            let sites = self.state.hosts.get(index).and_then(|host| host.sites.as_deref());
            host.addresses = sites.map_or(0, Sites::listed);
        }
        self.model.spared = self.spared();
        for host in 0..self.model.hosts.len() {
            let (busy, closing) = (self.busy(host), self.closing(host));
            self.model.check_host(host, busy, closing);
        }
        self.check_counts();
        self.model.check_spared();
        self.check_sites();
    }

    fn dispatch(&mut self, event: Event) {
        match event {
            Event::Checkout { host, seconds, fresh } => {
                let turn = self.state.next_turn();
                self.checkout(host % self.model.hosts.len(), turn, seconds, fresh);
            }
            Event::Again { request, fresh } => {
                if let Some((host, turn)) = pick(&mut self.served, request) {
                    self.checkout(host, turn, None, fresh);
                }
            }
            Event::Cancel(which) => {
                if let Some(request) = pick(&mut self.requests, which) {
                    drop(request.receiver);
                    self.model.cancelled(request.host, request.id);
                    self.act(|state, _, _| state.cancel(request.host, request.id));
                }
            }
            Event::Vanish(which) => {
                let count = self.requests.len();
                if count > 0 {
                    let request = &mut self.requests[which % count];
                    request.receiver.close();
                    self.model.vanished(request.host, request.id);
                }
            }
            Event::DialledExclusive {
                dial,
                expires,
                may_idle_for,
            } => self.dialled_exclusive(dial, expires, may_idle_for),
            Event::DialledShared { dial, limit } => self.dialled_shared(dial, limit),
            Event::DialFails { dial, is_ours } => self.dial_fails(dial, is_ours),
            Event::GetsOn(which) => self.gets_on(which),
            Event::GiveWay(to, is_newcomer) => self.give_way(to, is_newcomer),
            Event::MakeRoom => {
                self.model.may_make_room();
                let had_idle = self.state.idle() > 0;
                let made = self.act(|state, _, todo| state.make_room(todo));
                assert_eq!(made, had_idle);
            }
            Event::Reclaim(host) => {
                let host = host % self.model.hosts.len();
                let is_sparing = self.state.spared_host().is_some();
                if self.act(|state, now, _| state.reclaim(Some(host), now)) && !is_sparing {
                    self.model.claims(host);
                }
            }
            Event::Passes(millis) => self.now += Duration::from_millis(millis),
            Event::Reap => {
                let looks_at = self.act(State::reap);
                self.model.reaped(looks_at);
            }
            Event::CloseIdle => self.close_idle(CloseReason::CloseIdle),
            Event::LeaseTaken => {
                self.state.leases += 1;
                self.model.leases += 1;
            }
            Event::LeaseBack => self.lease_back(),
            Event::Suspect(host, ago) => {
                let host = host % self.model.hosts.len();
                let began = self.now.checked_sub(Duration::from_millis(ago)).unwrap_or(self.now);
                self.act(|state, now, todo| state.suspect(host, began, now, todo));
                self.model.suspected(host, began);
            }
            Event::Named(host, bits, is_seen) => {
                let host = host % self.model.hosts.len();
                self.named[host] = addresses(bits);
                if is_seen {
                    let answer = self.answer(host);
                    self.act(|state, now, todo| state.follow(host, &answer, now, todo));
                }
            }
            Event::Routed(which) => {
                if !self.dials.is_empty() {
                    let which = which % self.dials.len();
                    self.route(which);
                }
            }
            Event::Http1Required(host) => {
                let host = host % self.model.hosts.len();
                self.model.http1_required(host);
                self.act(|state, now, todo| state.http1_required(host, now, todo));
            }
            Event::Renew(renewal) => self.renew(&renewal),
            Event::Stopped(which) => self.old_dial_stops(which),
            other => self.connection(other),
        }
    }

    fn close_idle(&mut self, reason: CloseReason) {
        self.model.closes_idle();
        let mut closing = self.state.close_idle(reason);
        while self.act(|state, now, todo| state.close_some(&mut closing, now, todo)) {}
        self.model.closed_idle();
    }

    fn lease_back(&mut self) {
        if self.model.leases > 0 {
            self.model.leases -= 1;
            self.state.leases -= 1;
            if self.model.leases == 0 {
                self.close_idle(CloseReason::Stopped);
                self.stop_dials();
            }
        }
    }

    /// No lease is left: dials that nobody waits for end.
    fn stop_dials(&mut self) {
        self.act(|state, _, todo| state.stop_dials(todo));
        let hosts = &self.model.hosts;
        let is_idle = |(dial, _): &mut (Dial, Instant)| hosts[dial.seat.host].waiters.is_empty();
        let stopped: Vec<(Dial, Instant)> = self.dials.extract_if(.., is_idle).collect();
        for (dial, _) in stopped {
            self.routed.remove(&dial.id);
            self.model.hosts[dial.seat.host].dialling -= 1;
            self.act(|state, now, todo| state.dial_gave_way(&dial, now, todo));
        }
    }

    pub(super) fn act<T>(&mut self, act: impl FnOnce(&mut State<One, Many>, Instant, &mut Todo<One, Many>) -> T) -> T {
        let mut todo = Todo::default();
        let result = act(&mut self.state, self.now, &mut todo);
        self.state.end_sparing(self.now, &mut todo);
        self.follow(todo);
        result
    }

    /// Does what the state machine wants done, as the pool would after the lock.
    pub(super) fn follow(&mut self, todo: Todo<One, Many>) {
        let is_in_line = |host: &usize| List::<BY_TURN>::has(&self.state.hosts, *host);
        self.model.in_line = (0..self.model.hosts.len()).filter(is_in_line).collect();
        let todo = todo.into_chores().unwrap_or_default();
        for (sender, delivery) in todo.deliveries {
            if let Err(Delivery::Exclusive(_) | Delivery::Place(_)) = sender.send(delivery) {
                panic!("something was given to a request that has gone");
            }
        }
        for mut request in std::mem::take(&mut self.requests) {
            let (host, id) = (request.host, request.id);
            match request.receiver.try_recv() {
                Ok(Delivery::Exclusive(one)) => {
                    let is_new = self.model.arrival.is_some_and(|arrival| arrival.is_new);
                    let site = one.bond().site();
                    assert!(is_new || !self.state.is_gone(host, site), "its address has gone");
                    self.model.delivered_one(host, id, &one);
                    self.served.push((host, id));
                    self.away.push(Away {
                        host,
                        one,
                        is_unused: true,
                    });
                }
                Ok(Delivery::Place(seat)) => {
                    self.model.delivered_place(host, id, seat.many());
                    self.served.push((host, id));
                    self.seats.push((host, seat));
                }
                Ok(Delivery::Failed(_)) => self.model.failed(host, id),
                Ok(Delivery::Moved) => self.model.moved(host, id),
                Err(TryRecvError::Empty) => self.requests.push(request),
                Err(TryRecvError::Closed) => {
                    if self.state.hosts.get(host).unwrap().queue.position(id).is_some() {
                        self.requests.push(request);
                    } else {
                        self.model.passed_by(host, id);
                    }
                }
            }
        }
        let dials = todo.dials.iter().map(|dial| dial.seat.host).collect::<Vec<_>>();
        for dial in &todo.dials {
            let patience = self.model.hosts[dial.seat.host].fared.patience(self.now);
            self.patience.insert(dial.id, patience);
        }
        self.dials.extend(todo.dials.into_iter().map(|dial| (dial, self.now)));
        self.model.dials(&dials);
        for leaving in todo.leaving {
            match leaving {
                // It ends, and whoever drives the dial tells of it.
                Leaving::Dial(stop) => stop.stop(),
                Leaving::Exclusive(one, reason) => {
                    let (host, site) = (self.model.left(Which::One(one.number), reason), one.bond().site());
                    let has_gone = reason == CloseReason::AddressGone;
                    assert!(!has_gone || self.state.is_gone(host, site), "its address is there");
                    self.closing.push((host, site));
                }
                Leaving::Shared(many, reason) => {
                    let host = self.model.left(Which::Many(many.number()), reason);
                    if many.in_use() == 0 {
                        self.closing.push((host, many.site()));
                    } else {
                        self.parting.insert(many.number(), host);
                    }
                }
            }
        }
        for seat in todo.places {
            self.unwanted += 1;
            assert!(self.unwanted < 100, "a place that nobody wants goes round and round");
            let many = seat.leave();
            let place = many.place().load(Ordering::SeqCst);
            self.model.place_back(&many);
            self.act(|state, now, todo| state.places_changed(place, now, todo));
        }
    }

    /// The connection that takes no request for a moment.
    fn spared(&self) -> Option<u32> {
        let spared = self.state.spared_entry()?;
        self.state.shared(spared).map(Many::number)
    }

    fn closing(&self, host: usize) -> usize {
        self.closing.iter().filter(|(other, _)| *other == host).count()
    }

    /// What of a host is under way.
    fn busy(&self, host: usize) -> usize {
        let seats = self.seats.iter().filter(|(other, _)| *other == host).count();
        let away = self.away.iter().filter(|away| away.host == host).count();
        let settling = self.settling.iter().filter(|(other, _)| *other == host).count();
        let dials = self.dials.iter().filter(|(dial, _)| dial.seat.host == host).count();
        seats + away + settling + dials + self.closing(host)
    }

    fn check_counts(&mut self) {
        let busy: usize = (0..self.model.hosts.len()).map(|host| self.busy(host)).sum();
        self.model.check_pool(busy);
        let waiting: usize = self.model.hosts.iter().map(|host| host.waiters.len()).sum();
        assert_eq!(self.state.waiting(), waiting, "waiting");
        assert_eq!(self.state.idle(), self.model.idle_count(), "idle");
        let open: usize = self.model.hosts.iter().map(|host| host.open + host.dialling).sum();
        assert_eq!(self.state.open, open, "open or dialled");
        assert!(
            self.state.departing <= self.closing.len(),
            "more are to make room than are on their way out"
        );
        for (index, host) in self.model.hosts.iter().enumerate() {
            let counted = self.state.hosts.get(index).unwrap();
            assert_eq!(
                counted.references,
                host.open + host.dialling,
                "open or dialled, of one host"
            );
            assert!(
                counted.departing <= self.closing(index),
                "more are to make room than are on their way out"
            );
            assert_eq!(counted.key.counters.waiting.load(Ordering::Relaxed), host.waiters.len());
            let idle = self.model.idle.iter().filter(|idle| idle.host == index).count();
            assert_eq!(
                counted.key.counters.idle.load(Ordering::Relaxed),
                idle,
                "idle, of one host"
            );
        }
    }

    /// Everybody goes home: nothing may be left.
    pub(super) fn ends(mut self) {
        while !self.requests.is_empty() {
            self.happens(Event::Cancel(0));
        }
        while self.model.leases > 0 {
            self.happens(Event::LeaseBack);
        }
        while (0..self.model.hosts.len()).any(|host| self.busy(host) > 0) {
            for event in [
                Event::DialFails { dial: 0, is_ours: true },
                Event::CheckIn(0),
                Event::Settled(0),
                Event::PlaceBack(0),
                Event::Closed(0),
            ] {
                self.happens(event);
            }
        }
        assert_eq!(self.state.open, 0, "all that was dialled is closed");
        assert_eq!(self.state.entries.iter().count(), 0, "nothing is kept");
        assert!(self.state.blocked.len() == 0 && self.state.running.is_empty());
        assert!(self.parting.is_empty());
    }
}
