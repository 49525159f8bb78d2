//! The world around the state machine: dials, connections in use, requests that wait; and what it does with each event.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;
use tokio::time::Instant;

use super::super::fakes::{Many, One, Seat};
use super::super::{
    Ask, Budget, Delivery, Dial, GIVES_WAY_AFTER, Held, Leaving, Limits, Multiplexed, Outcome, State, Todo,
};
use super::events::{Event, Pick, Setup};
use super::model::{Model, Which};
use crate::connect::{DialFailure, Target};
use crate::error::Kind;
use crate::pool::Key;
use crate::wire::CloseReason;

struct Request {
    host: usize,
    id: u64,
    receiver: oneshot::Receiver<Delivery<One, Seat>>,
}

struct Away {
    host: usize,
    one: One,
    is_unused: bool,
}

pub(super) struct World {
    state: State<One, Many>,
    model: Model,
    now: Instant,
    numbers: u32,
    requests: Vec<Request>,
    dials: Vec<(Dial, Instant)>,
    away: Vec<Away>,
    settling: Vec<(usize, One)>,
    seats: Vec<(usize, Seat)>,
    /// Shared connections that have left the pool with requests on them.
    parting: BTreeMap<u32, usize>,
    /// The hosts of connections that have left the pool and whose sockets are not gone yet.
    closing: Vec<usize>,
    /// Places that nobody wanted, in a row.
    unwanted: usize,
    _runtime: tokio::runtime::Runtime,
}

fn pick<T>(from: &mut Vec<T>, pick: Pick) -> Option<T> {
    (!from.is_empty()).then(|| from.remove(pick % from.len()))
}

impl World {
    pub(super) fn new(setup: &Setup) -> World {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let now = Instant::now();
        let limits = Limits {
            pool: setup.pool.clone(),
            max_shared_per_host: setup.max_shared_per_host,
        };
        let mut state = State::new(limits.clone(), Budget::new(None), Arc::default(), now);
        state.leases = 1;
        for (number, protocol) in setup.hosts.iter().enumerate() {
            let target = Target::of(&format!("http://host{number}/").parse().unwrap()).unwrap();
            let key = Key::new(target, runtime.handle().clone()).unwrap();
            assert_eq!(state.add_host(Arc::new(key), *protocol, now), number);
        }
        World {
            model: Model::new(limits, &setup.hosts),
            state,
            now,
            numbers: 0,
            requests: Vec::new(),
            dials: Vec::new(),
            away: Vec::new(),
            settling: Vec::new(),
            seats: Vec::new(),
            parting: BTreeMap::new(),
            closing: Vec::new(),
            unwanted: 0,
            _runtime: runtime,
        }
    }

    /// One event, and the judgement of what it led to.
    pub(super) fn happens(&mut self, event: Event) {
        self.unwanted = 0;
        self.model.begins(self.now);
        self.dispatch(event);
        self.model.ends();
        for host in 0..self.model.hosts.len() {
            let (busy, closing) = (self.busy(host), self.closing(host));
            self.model.check_host(host, busy, closing);
        }
        self.check_counts();
    }

    fn dispatch(&mut self, event: Event) {
        match event {
            Event::Checkout { host, seconds, fresh } => {
                self.checkout(host % self.model.hosts.len(), seconds, fresh);
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
            Event::GiveWay(but) => self.give_way(but),
            Event::MakeRoom => {
                self.model.may_make_room();
                let had_idle = self.state.idle() > 0;
                let made = self.act(|state, _, todo| state.make_room(todo));
                assert_eq!(made, had_idle);
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
            Event::Http1Required(host) => {
                let host = host % self.model.hosts.len();
                self.model.http1_required(host);
                self.act(|state, now, todo| state.http1_required(host, now, todo));
            }
            other => self.connection(other),
        }
    }

    /// What happens to connections that are in use, on their way home, or leaving.
    fn connection(&mut self, event: Event) {
        match event {
            Event::CheckIn(which) => {
                if let Some(away) = pick(&mut self.away, which) {
                    self.model.arrives(away.host, &away.one, self.now);
                    self.act(|state, now, todo| state.check_in(away.host, away.one, now, todo));
                }
            }
            Event::Return(which) => {
                if self
                    .away
                    .get(which % self.away.len().max(1))
                    .is_some_and(|away| away.is_unused)
                    && let Some(away) = pick(&mut self.away, which)
                {
                    self.model.arrives(away.host, &away.one, self.now);
                    self.act(|state, now, todo| state.returned(away.host, away.one, now, todo));
                }
            }
            Event::Settle(which) => {
                if let Some(away) = pick(&mut self.away, which) {
                    self.model.hosts[away.host].settling += 1;
                    self.act(|state, _, _| state.settling(away.host));
                    self.settling.push((away.host, away.one));
                }
            }
            Event::Settled(which) => {
                if let Some((host, one)) = pick(&mut self.settling, which) {
                    self.model.hosts[host].settling -= 1;
                    self.model.arrives(host, &one, self.now);
                    self.act(|state, now, todo| {
                        state.settled(host);
                        state.check_in(host, one, now, todo);
                    });
                }
            }
            Event::Unsettled(which) => {
                if let Some((host, one)) = pick(&mut self.settling, which) {
                    drop(one);
                    self.model.hosts[host].settling -= 1;
                    self.closing.push(host);
                    self.act(|state, now, todo| state.unsettled(host, now, todo));
                }
            }
            Event::Breaks(which) => {
                if let Some(away) = pick(&mut self.away, which) {
                    self.closing.push(away.host);
                }
            }
            Event::PlaceBack(which) => {
                if let Some((host, seat)) = pick(&mut self.seats, which) {
                    self.place_back(host, seat);
                }
            }
            Event::Limit(which, limit) => self.shared_changes(which, |many| many.allow(limit)),
            Event::Choke(which, is_choked) => self.shared_changes(which, |many| many.choke(is_choked)),
            Event::PeerCloses(which) => self.peer_closes(which),
            Event::Closed(which) => {
                if let Some(host) = pick(&mut self.closing, which) {
                    self.model.hosts[host].open -= 1;
                    self.act(|state, now, todo| state.closed(host, now, todo));
                }
            }
            other => unreachable!("{other:?} is dealt with elsewhere"),
        }
    }

    fn checkout(&mut self, host: usize, seconds: Option<u64>, fresh: bool) {
        let deadline = seconds.map(|seconds| self.now + Duration::from_secs(seconds));
        // A request that has to wait is known before what it leads to is judged.
        let id = self.state.next_waiter;
        self.model.asks(host, id, deadline, fresh);
        let mut todo = Todo::default();
        let ask = Ask {
            now: self.now,
            deadline,
            fresh,
        };
        let outcome = self.state.checkout(host, ask, &mut todo);
        match outcome {
            Outcome::Idle(one, idle_for) => {
                self.model.took_idle(host, id, &one, idle_for);
                self.away.push(Away {
                    host,
                    one,
                    is_unused: false,
                });
            }
            Outcome::Place(seat) => {
                self.model.took_place(host, id, &seat.0);
                self.seats.push((host, seat));
            }
            Outcome::Wait(waiting) => {
                assert_eq!((waiting.host, waiting.id), (host, id));
                self.requests.push(Request {
                    host,
                    id,
                    receiver: waiting.receiver,
                });
            }
        }
        self.follow(todo);
    }

    fn dialled_exclusive(&mut self, which: Pick, expires: Option<u64>, may_idle_for: Option<u64>) {
        let Some((dial, _)) = pick(&mut self.dials, which) else {
            return;
        };
        self.numbers += 1;
        let mut one = One::new(self.numbers);
        one.generation = dial.seat.generation;
        one.expires = expires.map(|seconds| self.now + Duration::from_secs(seconds));
        one.may_idle_for = may_idle_for.map(Duration::from_secs);
        self.model.dialled_exclusive(dial.seat.host, &one);
        self.act(|state, now, todo| state.dialled_exclusive(&dial, one, now, todo));
    }

    fn dialled_shared(&mut self, which: Pick, limit: usize) {
        if self.dials.is_empty() || self.dials[which % self.dials.len()].0.seat.http1_only {
            return;
        }
        let Some((dial, _)) = pick(&mut self.dials, which) else {
            return;
        };
        self.numbers += 1;
        let many = Many::new(self.numbers, limit);
        self.model.dialled_shared(dial.seat.host, &many);
        self.act(|state, now, todo| state.dialled_shared(&dial, many, now, todo));
    }

    fn dial_fails(&mut self, which: Pick, is_ours: bool) {
        let Some((dial, _)) = pick(&mut self.dials, which) else {
            return;
        };
        self.model.dial_failed(dial.seat.host, dial.epoch, is_ours);
        let kind = if is_ours { Kind::LimitExceeded } else { Kind::Connect };
        let failure = DialFailure::new(kind, "refused");
        self.act(|state, now, todo| state.dial_failed(&dial, &failure, now, todo));
    }

    fn give_way(&mut self, but: Option<Pick>) {
        let but = but.map(|host| host % self.model.hosts.len());
        let due = self
            .dials
            .iter()
            .position(|(dial, began)| Some(dial.seat.host) != but && *began + GIVES_WAY_AFTER <= self.now);
        assert_eq!(self.state.give_way(but, self.now), due.is_some());
        if let Some(due) = due {
            let (dial, _) = self.dials.remove(due);
            self.model.hosts[dial.seat.host].dialling -= 1;
            self.act(|state, now, todo| state.dial_gave_way(&dial, now, todo));
        }
    }

    fn close_idle(&mut self, reason: CloseReason) {
        self.model.closes_idle();
        self.act(|state, now, todo| state.close_idle(reason, now, todo));
        self.model.closed_idle();
    }

    fn lease_back(&mut self) {
        if self.model.leases > 0 {
            self.model.leases -= 1;
            self.state.leases -= 1;
            if self.model.leases == 0 {
                self.close_idle(CloseReason::Stopped);
            }
        }
    }

    fn place_back(&mut self, host: usize, seat: Seat) {
        let many = seat.leave();
        let place = many.place().load(Ordering::SeqCst);
        self.model.place_back(&many);
        self.act(|state, now, todo| state.places_changed(place, now, todo));
        if many.in_use() == 0 && self.parting.remove(&many.number()).is_some() {
            self.closing.push(host);
        }
    }

    fn shared_changes(&mut self, which: Pick, change: impl FnOnce(&Many)) {
        let all: Vec<Many> = self.model.hosts.iter().flat_map(|host| host.shared.clone()).collect();
        if all.is_empty() {
            return;
        }
        let many = &all[which % all.len()];
        change(many);
        self.model.place_back(many);
        let place = many.place().load(Ordering::SeqCst);
        self.act(|state, now, todo| state.places_changed(place, now, todo));
    }

    /// The peer of an idle or of a shared connection closes it.
    fn peer_closes(&mut self, which: Pick) {
        let places: Vec<(usize, usize)> = self
            .state
            .entries
            .iter()
            .map(|(index, held)| (index, held.host))
            .collect();
        if places.is_empty() {
            return;
        }
        let (place, host) = places[which % places.len()];
        let which = match &self.state.entries.get(place).unwrap().held {
            Held::Idle(one) => Which::One(one.number),
            Held::Shared(many) => Which::Many(many.number()),
        };
        self.model.peer_closed(host, which);
        match self.act(|state, now, todo| state.retired(place, now, todo)) {
            Some(Leaving::Shared(many, _)) if many.in_use() > 0 => {
                self.parting.insert(many.number(), host);
            }
            Some(_) => self.closing.push(host),
            None => panic!("it was there"),
        }
    }

    fn act<T>(&mut self, act: impl FnOnce(&mut State<One, Many>, Instant, &mut Todo<One, Many>) -> T) -> T {
        let mut todo = Todo::default();
        let result = act(&mut self.state, self.now, &mut todo);
        self.follow(todo);
        result
    }

    /// Does what the state machine wants done, as the pool would after the lock.
    fn follow(&mut self, todo: Todo<One, Many>) {
        for (sender, delivery) in todo.deliveries {
            if let Err(Delivery::Exclusive(_) | Delivery::Place(_)) = sender.send(delivery) {
                panic!("something was given to a request that has gone");
            }
        }
        for mut request in std::mem::take(&mut self.requests) {
            let (host, id) = (request.host, request.id);
            match request.receiver.try_recv() {
                Ok(Delivery::Exclusive(one)) => {
                    self.model.delivered_one(host, id, &one);
                    self.away.push(Away {
                        host,
                        one,
                        is_unused: true,
                    });
                }
                Ok(Delivery::Place(seat)) => {
                    self.model.delivered_place(host, id, &seat.0);
                    self.seats.push((host, seat));
                }
                Ok(Delivery::Failed(_)) => self.model.failed(host, id),
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
        self.dials.extend(todo.dials.into_iter().map(|dial| (dial, self.now)));
        self.model.dials(&dials);
        for leaving in todo.leaving {
            match leaving {
                Leaving::Exclusive(one, reason) => self.closing.push(self.model.left(Which::One(one.number), reason)),
                Leaving::Shared(many, reason) => {
                    let host = self.model.left(Which::Many(many.number()), reason);
                    if many.in_use() == 0 {
                        self.closing.push(host);
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

    fn closing(&self, host: usize) -> usize {
        self.closing.iter().filter(|other| **other == host).count()
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
        for (index, host) in self.model.hosts.iter().enumerate() {
            let counted = self.state.hosts.get(index).unwrap();
            assert_eq!(
                counted.references,
                host.open + host.dialling,
                "open or dialled, of one host"
            );
            assert_eq!(counted.key.counters.waiting.load(Ordering::Relaxed), host.waiters.len());
            let idle = self.model.idle_of(index);
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
        for _ in 0..1000 {
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
        assert!(self.state.blocked.is_empty() && self.state.running.is_empty());
        assert!(self.parting.is_empty());
    }
}
