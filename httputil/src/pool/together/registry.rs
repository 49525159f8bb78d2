//! A registry whose pools wait for no clock and no thread, and what events do to it.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;
use tokio::time::Instant;

use super::super::budget::Budget;
use super::super::core::{Core, World};
use super::super::key::Key;
use super::super::state::fakes::{Many, One, Place, Seat, Tie};
use super::super::state::{
    Ask, Bond, Cap, Delivery, Dial, Exclusive, Failed, Limits, Multiplexed, Outcome, Rather, Standing,
};
use super::events::{Event, Pick, Setup, Wish};
use super::judge::check_beside;
use crate::connect::{DialFailure, Route, Target};
use crate::error::Kind;
use crate::settings::{self, MaxConnections};
use crate::wire::{self, CloseReason, Marks};

/// What a pool asked of the world.
#[derive(Default)]
pub(super) struct Desk {
    pub(super) dials: Mutex<Vec<Dial>>,
    /// Connections that nobody holds any more, and whose sockets are not gone yet: of which host.
    closing: Mutex<Vec<usize>>,
    /// Exclusive connections that were closed to make room.
    pub(super) made_room: AtomicUsize,
}

impl World for Desk {
    type One = One;
    type Many = Many;

    fn dial(core: &Arc<Core<Desk>>, dial: Dial) {
        let (used, max) = (core.budget.used(), core.budget.max().expect("there is a cap"));
        assert!(used <= max, "{used} of {max} when a dial begins");
        core.world.dials.lock().unwrap().push(dial);
    }

    fn reap(_: &Arc<Core<Desk>>, _: &Key) {}

    fn look_up(_: &Arc<Core<Desk>>, _: &Arc<Key>) {}
}

impl Place for Core<Desk> {
    fn gone(&self, tie: &Tie) {
        self.retired(tie);
        let made_room = tie.closed_for() == Some(CloseReason::MadeRoom);
        self.world.made_room.fetch_add(made_room.into(), Ordering::SeqCst);
        self.world.closing.lock().unwrap().push(tie.host());
    }

    fn places_changed(&self, tie: &Tie) {
        Core::places_changed(self, tie);
    }
}

pub(super) struct Request {
    pub(super) pool: usize,
    pub(super) host: usize,
    pub(super) id: u64,
    is_fresh: bool,
    receiver: oneshot::Receiver<Delivery<One, Seat>>,
}

pub(super) struct Registry {
    pub(super) budget: Arc<Budget>,
    pub(super) cores: Vec<Arc<Core<Desk>>>,
    hosts: usize,
    pub(super) requests: Vec<Request>,
    /// Exclusive connections in use: of which pool and host.
    pub(super) away: Vec<(usize, usize, One)>,
    pub(super) seats: Vec<Seat>,
    numbers: u32,
    /// Those that have been used.
    used: BTreeSet<u32>,
    /// What requests have failed on: connections of each pool and host.
    seen: Vec<(usize, usize, Marks)>,
    closed: u64,
    dialled: u64,
    runtime: Runtime,
}

fn pick<T>(from: &mut Vec<T>, pick: Pick) -> Option<T> {
    (!from.is_empty()).then(|| from.remove(pick % from.len()))
}

pub(super) fn address(marks: Marks) -> std::net::SocketAddr {
    marks.remote.expect("each leads to an address")
}

impl Registry {
    pub(super) fn new(setup: &Setup) -> Registry {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let budget = Budget::new(Some(setup.cap));
        let guard = runtime.enter();
        let core = |(number, (per_host, whole)): (usize, &(Option<usize>, Option<usize>))| {
            let limits = Limits {
                pool: settings::Pool {
                    max_connections_per_host: *per_host,
                    max_connections: *whole,
                    ..settings::Pool::default()
                },
                max_shared_per_host: 2,
                spreads: false,
            };
            let core = Core::new(
                format!("pool{number}").into(),
                limits,
                Arc::clone(&budget),
                Desk::default(),
            );
            core.with_state(|state, _| {
                state.leases = 1;
                for (host, protocol) in setup.protocols.iter().enumerate() {
                    let target = Target::of(&format!("http://host{host}/").parse().unwrap()).unwrap();
                    let key = Key::new(target, Route::Direct, runtime.handle().clone()).unwrap();
                    assert_eq!(state.add_host(Arc::new(key), *protocol, Instant::now()), host);
                }
            });
            core
        };
        let cores = setup.pools.iter().enumerate().map(core).collect();
        drop(guard);
        Registry {
            budget,
            cores,
            hosts: setup.protocols.len(),
            requests: Vec::new(),
            away: Vec::new(),
            seats: Vec::new(),
            numbers: 0,
            used: BTreeSet::new(),
            seen: Vec::new(),
            closed: 0,
            dialled: 0,
            runtime,
        }
    }

    pub(super) fn happens(&mut self, event: &Event) {
        let handle = self.runtime.handle().clone();
        if let Event::Passes(millis) = event {
            let passes = tokio::time::advance(Duration::from_millis(*millis));
            return self.runtime.block_on(passes);
        }
        let _in = handle.enter();
        let waited = !self.requests.is_empty();
        let made_room = self.made_room();
        self.dispatch(event);
        self.follow();
        let asks = matches!(event, Event::Asks(..));
        assert!(
            waited || asks || self.made_room() == made_room,
            "room was made for nobody"
        );
        self.check();
    }

    fn dispatch(&mut self, event: &Event) {
        match *event {
            Event::Asks(pool, host, wish) => self.asks(pool % self.cores.len(), host % self.hosts, wish),
            Event::Cancels(which) => {
                if let Some(request) = pick(&mut self.requests, which) {
                    drop(request.receiver);
                    self.cores[request.pool].with_state(|state, _| state.cancel(request.host, request.id));
                }
            }
            Event::Dialled(which, is_shared, at) => {
                if let Some((pool, dial)) = self.dial(which) {
                    self.dialled(pool, &dial, is_shared, at);
                }
            }
            Event::DialFails(which) => {
                if let Some((pool, dial)) = self.dial(which) {
                    let failure = DialFailure::new(Kind::LimitExceeded, "refused");
                    self.cores[pool].with_state(|state, todo| state.dial_failed(&dial, &failure, Instant::now(), todo));
                }
            }
            Event::CheckIn(which) => {
                if let Some((pool, _, one)) = pick(&mut self.away, which) {
                    self.cores[pool].ready(one);
                }
            }
            Event::Breaks(which) => drop(pick(&mut self.away, which)),
            Event::PlaceBack(which) => drop(pick(&mut self.seats, which)),
            Event::Closed(which) => self.socket_closes(which),
            Event::Presses(which) => self.presses(which),
            Event::CloseIdle(pool) => self.cores[pool % self.cores.len()].close_idle(),
            Event::Caps(cap) => self.budget.change(MaxConnections::AtMost(cap)),
            Event::Passes(_) => unreachable!("it has passed"),
        }
    }

    fn asks(&mut self, pool: usize, host: usize, wish: Wish) {
        let core = Arc::clone(&self.cores[pool]);
        let idle: Vec<Marks> = core.with_state(|state, _| {
            let of_host = state.idle_ones().filter(|one| one.bond().host() == host);
            of_host.map(Exclusive::marks).collect()
        });
        let seen: Vec<Marks> = self
            .seen
            .iter()
            .filter(|seen| (seen.0, seen.1) == (pool, host))
            .map(|seen| seen.2)
            .collect();
        let (outcome, id) = core.with_state(|state, todo| {
            let ask = Ask {
                now: Instant::now(),
                turn: state.next_turn(),
                deadline: None,
                fresh: matches!(wish, Wish::Fresh),
            };
            let outcome = match wish {
                Wish::Beside {
                    on,
                    also_at,
                    has_other,
                    makes_room,
                    rather,
                } if !seen.is_empty() => {
                    let on = seen[on % seen.len()];
                    let at = [address(on), ([127, 0, 0, 1], also_at).into()];
                    let failed = Failed {
                        on,
                        at: &at,
                        has_other,
                        makes_room,
                    };
                    let rather = [Rather::New, Rather::Idle, Rather::Any][rather];
                    let outcome = state.checkout_beside(host, failed, rather, ask, todo);
                    check_beside(&outcome, &idle, failed, rather);
                    outcome
                }
                _ => state.checkout(host, ask, todo),
            };
            (outcome, ask.turn)
        });
        match outcome {
            Outcome::Idle(one, _) => {
                assert!(!matches!(wish, Wish::Fresh), "it has been used");
                self.hands(pool, host, one);
            }
            Outcome::Place(seat) => {
                assert!(!matches!(wish, Wish::Fresh), "it has been used");
                self.seats(pool, host, seat);
            }
            Outcome::Wait(waiting) => self.requests.push(Request {
                pool,
                host,
                id,
                is_fresh: matches!(wish, Wish::Fresh),
                receiver: waiting.receiver,
            }),
        }
    }

    fn hands(&mut self, pool: usize, host: usize, one: One) {
        self.used.insert(one.number);
        self.seen.push((pool, host, one.marks()));
        self.away.push((pool, host, one));
    }

    fn seats(&mut self, pool: usize, host: usize, seat: Seat) {
        self.seen.push((pool, host, seat.many().marks()));
        self.seats.push(seat);
    }

    fn dial(&mut self, which: Pick) -> Option<(usize, Dial)> {
        let counts: Vec<usize> = self
            .cores
            .iter()
            .map(|core| core.world.dials.lock().unwrap().len())
            .collect();
        let mut which = which % counts.iter().sum::<usize>().max(1);
        for (pool, count) in counts.into_iter().enumerate() {
            if which < count {
                return Some((pool, self.cores[pool].world.dials.lock().unwrap().remove(which)));
            }
            which -= count;
        }
        None
    }

    fn dialled(&mut self, pool: usize, dial: &Dial, is_shared: bool, at: u16) {
        self.numbers += 1;
        self.dialled += 1;
        let core = &self.cores[pool];
        let home: Arc<dyn Place> = Arc::clone(core) as _;
        if is_shared && !dial.seat.http1_only {
            let many = Many::at(self.numbers, 2, dial.seat.host, Some(home));
            many.lead_to(at.into());
            core.with_state(|state, todo| state.dialled_shared(dial, many, Instant::now(), todo));
        } else {
            let mut one = One::at(self.numbers, dial.seat.host, Some(home));
            one.bond().lead_to(at.into());
            one.generation = dial.seat.generation;
            core.with_state(|state, todo| state.dialled_exclusive(dial, one, Instant::now(), todo));
        }
    }

    fn socket_closes(&mut self, which: Pick) {
        let closing: Vec<usize> = (0..self.cores.len()).filter(|pool| self.closing(*pool) > 0).collect();
        if let Some(pool) = closing.get(which % closing.len().max(1)) {
            let core = &self.cores[*pool];
            let host = pick(&mut core.world.closing.lock().unwrap(), which);
            if let Some(host) = host {
                self.closed += 1;
                core.closed(host, wire::Seat::NO_SITE, CloseReason::PeerClosed);
            }
        }
    }

    pub(super) fn closing(&self, pool: usize) -> usize {
        self.cores[pool].world.closing.lock().unwrap().len()
    }

    /// As a request does that waits and finds the cap over all pools in its way.
    fn presses(&mut self, which: Pick) {
        let count = self.requests.len();
        if count == 0 {
            return;
        }
        let Request { pool, host, id, .. } = self.requests[which % count];
        let (core, now) = (&self.cores[pool], Instant::now());
        let standing = core.with_state(|state, _| state.standing(host, id, now));
        if let Some(Standing::Cap(Cap::Registry)) = standing
            && let Some(presser) = core.with_state(|state, _| state.presses(host, now))
        {
            self.budget.press(&(Arc::clone(core) as _), presser, now);
        }
    }

    /// Those who wait take what they are given, and dials that were stopped end.
    fn follow(&mut self) {
        loop {
            let mut is_still = true;
            for mut request in std::mem::take(&mut self.requests) {
                let (pool, host) = (request.pool, request.host);
                match request.receiver.try_recv() {
                    Ok(Delivery::Exclusive(one)) => {
                        let is_new = !self.used.contains(&one.number);
                        assert!(is_new || !request.is_fresh, "a used one for who wants a new one");
                        self.hands(pool, host, one);
                    }
                    Ok(Delivery::Place(seat)) => self.seats(pool, host, seat),
                    Ok(Delivery::Failed(_)) => {}
                    Ok(Delivery::Moved) | Err(TryRecvError::Closed) => {
                        panic!("nothing has moved, and its time is not over")
                    }
                    Err(TryRecvError::Empty) => {
                        self.requests.push(request);
                        continue;
                    }
                }
                is_still = false;
            }
            for core in &self.cores {
                let is_stopped = |dial: &mut Dial| dial.stop.is_stopped();
                let stopped: Vec<Dial> = core.world.dials.lock().unwrap().extract_if(.., is_stopped).collect();
                for dial in stopped {
                    core.with_state(|state, todo| state.dial_gave_way(&dial, Instant::now(), todo));
                    is_still = false;
                }
            }
            if is_still {
                return;
            }
        }
    }

    /// All that is under way comes to its end: everybody is served, and nothing is left.
    pub(super) fn ends(mut self) {
        for turn in 0.. {
            assert!(turn < 10_000, "it goes on and on: {} wait", self.requests.len());
            let before = (
                self.requests.len(),
                self.away.len(),
                self.seats.len(),
                self.closed,
                self.dialled,
            );
            for event in [
                Event::Dialled(0, false, 1),
                Event::CheckIn(0),
                Event::PlaceBack(0),
                Event::Closed(0),
                Event::Closed(1),
            ] {
                self.happens(&event);
            }
            let after = (
                self.requests.len(),
                self.away.len(),
                self.seats.len(),
                self.closed,
                self.dialled,
            );
            if self.requests.is_empty() && before == after {
                break;
            }
        }
        {
            let _in = self.runtime.enter();
            for core in &self.cores {
                core.give_lease_back();
            }
        }
        while (0..self.cores.len()).any(|pool| self.closing(pool) > 0) {
            self.happens(&Event::Closed(0));
        }
        assert_eq!((self.closed, self.budget.used()), (self.dialled, 0));
    }
}
