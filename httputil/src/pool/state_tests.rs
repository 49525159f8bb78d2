//! The state machine alone: no socket, no clock, no task.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::key::Key;
use super::state::{Delivery, Exclusive, Leaving, Limits, Multiplexed, Outcome, Protocol, State, Todo, Waiting};
use crate::connect::{DialFailure, Target};
use crate::error::Kind;
use crate::settings;
use crate::wire::{CloseReason, Link};

/// An exclusive connection, known by its number.
#[derive(Debug)]
struct One {
    number: u32,
    place: AtomicUsize,
}

/// A shared connection with two places.
#[derive(Clone, Debug)]
struct Many(Arc<(AtomicUsize, AtomicUsize)>);

#[derive(Debug)]
struct Seat(Many);

impl Exclusive for One {
    fn place(&self) -> &AtomicUsize {
        &self.place
    }

    fn generation(&self) -> u64 {
        0
    }
}

impl Multiplexed for Many {
    type Place = Seat;

    fn place(&self) -> &AtomicUsize {
        &self.0.0
    }

    fn try_acquire(&self) -> Option<Seat> {
        let taken = self.0.1.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |used| {
            (used < 2).then_some(used + 1)
        });
        taken.is_ok().then(|| Seat(self.clone()))
    }

    fn is_unused(&self) -> bool {
        self.0.1.load(Ordering::SeqCst) == 0
    }
}

struct Room {
    state: State<One, Many>,
    now: Instant,
    left: Vec<(u32, CloseReason)>,
    dials: Vec<u64>,
    numbers: u32,
    runtime: tokio::runtime::Runtime,
}

impl Room {
    fn new(change: impl FnOnce(&mut settings::Pool)) -> Room {
        let mut pool = settings::Pool::default();
        change(&mut pool);
        let mut state = State::new(Limits {
            pool,
            max_shared_per_host: 2,
        });
        state.leases = 1;
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        Room {
            state,
            now: Instant::now(),
            left: Vec::new(),
            dials: Vec::new(),
            numbers: 0,
            runtime,
        }
    }

    fn host(&mut self, name: &str, protocol: Protocol) -> usize {
        let target = Target::of(&format!("http://{name}/").parse().unwrap()).unwrap();
        let key = Key::new(target, self.handle()).unwrap();
        self.state.add_host(Arc::new(key), protocol)
    }

    fn handle(&self) -> Handle {
        self.runtime.handle().clone()
    }

    fn one(&mut self) -> One {
        self.numbers += 1;
        One {
            number: self.numbers,
            place: AtomicUsize::new(Link::NOWHERE),
        }
    }

    fn act<T>(&mut self, act: impl FnOnce(&mut State<One, Many>, Instant, &mut Todo<One, Many>) -> T) -> T {
        let mut todo = Todo::default();
        let result = act(&mut self.state, self.now, &mut todo);
        for leaving in todo.leaving {
            match leaving {
                Leaving::Exclusive(one, reason) => self.left.push((one.number, reason)),
                Leaving::Shared(_, reason) => self.left.push((0, reason)),
            }
        }
        self.dials.extend(todo.dials.iter().map(|dial| dial.waiter));
        result
    }

    fn checkout(&mut self, host: usize) -> Outcome<One, Seat> {
        self.act(|state, now, todo| state.checkout(host, now, todo))
    }

    fn wait(&mut self, host: usize) -> Waiting<One, Seat> {
        match self.checkout(host) {
            Outcome::Wait(waiting) => {
                self.dials.extend(waiting.dial.iter().map(|dial| dial.waiter));
                waiting
            }
            _ => panic!("there was a connection"),
        }
    }

    fn taken(&mut self, host: usize) -> u32 {
        match self.checkout(host) {
            Outcome::Idle(one, _) => one.number,
            _ => panic!("there was no idle connection"),
        }
    }

    /// A new connection comes in from a dial and is idle.
    fn idle(&mut self, host: usize) -> u32 {
        let one = self.one();
        let number = one.number;
        self.act(|state, now, todo| state.check_in(host, one, now, todo));
        number
    }

    fn dialled(&mut self, host: usize) -> u32 {
        let one = self.one();
        let number = one.number;
        self.act(|state, now, todo| state.dialled_exclusive(host, one, now, todo));
        number
    }

    fn later(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }
}

fn served(receiver: &mut oneshot::Receiver<Delivery<One, Seat>>) -> Option<u32> {
    match receiver.try_recv().ok()? {
        Delivery::Exclusive(one) => Some(one.number),
        Delivery::Place(_) => Some(0),
        Delivery::Failed(failure) => panic!("{}", failure.message),
    }
}

#[test]
fn the_newest_idle_connection_is_handed_out_first() {
    let mut room = Room::new(|_| {});
    let host = room.host("a", Protocol::H1);
    let (first, second) = (room.idle(host), room.idle(host));
    assert_eq!(room.taken(host), second);
    assert_eq!(room.taken(host), first);
}

#[test]
fn an_expired_connection_is_closed_instead_of_handed_out() {
    let mut room = Room::new(|_| {});
    let host = room.host("a", Protocol::H1);
    let old = room.idle(host);
    room.later(90);
    drop(room.wait(host));
    assert_eq!(room.left, [(old, CloseReason::IdleTimeout)]);
}

#[test]
fn the_cap_per_host_closes_the_host_s_oldest() {
    let mut room = Room::new(|pool| pool.max_idle_per_host = 2);
    let (a, b) = (room.host("a", Protocol::H1), room.host("b", Protocol::H1));
    let oldest = room.idle(a);
    let others = (room.idle(b), room.idle(a), room.idle(a));
    assert_eq!(room.left, [(oldest, CloseReason::IdleCap)]);
    assert_eq!(
        (room.taken(a), room.taken(a), room.taken(b)),
        (others.2, others.1, others.0)
    );
}

#[test]
fn the_cap_over_hosts_closes_the_least_recently_used_of_any_host() {
    let mut room = Room::new(|pool| pool.max_idle = 2);
    let hosts = ["a", "b", "c"].map(|name| room.host(name, Protocol::H1));
    let numbers = hosts.map(|host| room.idle(host));
    assert_eq!(room.left, [(numbers[0], CloseReason::IdleCap)]);
    assert_eq!(room.state.idle(), 2);
}

#[test]
fn zero_means_none() {
    for zero in [
        |pool: &mut settings::Pool| pool.max_idle = 0,
        |pool: &mut settings::Pool| pool.max_idle_per_host = 0,
    ] {
        let mut room = Room::new(zero);
        let host = room.host("a", Protocol::H1);
        let number = room.idle(host);
        assert_eq!(room.left, [(number, CloseReason::IdleCap)]);
        assert_eq!(room.state.idle(), 0);
    }
}

#[test]
fn without_a_lease_nothing_stays_idle() {
    let mut room = Room::new(|_| {});
    let host = room.host("a", Protocol::H1);
    room.state.leases = 0;
    let number = room.idle(host);
    assert_eq!(room.left, [(number, CloseReason::Stopped)]);
}

#[test]
fn a_returning_connection_serves_the_first_that_waits_and_the_dialled_one_the_next() {
    let mut room = Room::new(|_| {});
    let host = room.host("a", Protocol::H1);
    let mut first = room.wait(host);
    let mut second = room.wait(host);
    assert_eq!(room.dials, [first.id, second.id]);
    let returned = room.idle(host);
    assert_eq!(served(&mut first.receiver), Some(returned));
    let dialled = room.dialled(host);
    assert_eq!(served(&mut second.receiver), Some(dialled));
    // The other dial goes to the pool.
    let spare = room.dialled(host);
    assert_eq!(room.taken(host), spare);
}

#[test]
fn a_dial_that_serves_nobody_any_more_serves_the_next_miss() {
    let mut room = Room::new(|_| {});
    let host = room.host("a", Protocol::H1);
    let first = room.wait(host);
    room.idle(host);
    drop(first);
    let mut second = room.wait(host);
    assert_eq!(room.dials.len(), 1, "the first dial is still under way");
    let dialled = room.dialled(host);
    assert_eq!(served(&mut second.receiver), Some(dialled));
}

#[test]
fn a_host_of_unknown_protocol_is_dialled_once_and_for_each_when_it_speaks_http1() {
    let mut room = Room::new(|_| {});
    let host = room.host("a", Protocol::Unknown);
    let mut waiting: Vec<_> = (0..5).map(|_| room.wait(host)).collect();
    assert_eq!(room.dials, [waiting[0].id]);
    let number = room.dialled(host);
    assert_eq!(served(&mut waiting[0].receiver), Some(number));
    assert_eq!(room.dials.len(), 5, "the other four are dialled for now");
}

#[test]
fn when_the_one_dial_fails_everybody_hears_why() {
    let mut room = Room::new(|_| {});
    let host = room.host("a", Protocol::Unknown);
    let mut waiting: Vec<_> = (0..3).map(|_| room.wait(host)).collect();
    let failure = DialFailure::new(Kind::Connect, "refused");
    room.act(|state, _, _| state.dial_failed(host, waiting[0].id, &failure));
    for waiting in &mut waiting {
        assert!(matches!(waiting.receiver.try_recv(), Ok(Delivery::Failed(failure)) if &*failure.message == "refused"));
    }
    assert_eq!(room.state.waiting(), 0);
}

#[test]
fn a_failed_dial_fails_one_request_where_others_have_dials_of_their_own() {
    let mut room = Room::new(|_| {});
    let host = room.host("a", Protocol::H1);
    let mut waiting: Vec<_> = (0..2).map(|_| room.wait(host)).collect();
    let failure = DialFailure::new(Kind::Connect, "refused");
    room.act(|state, _, _| state.dial_failed(host, waiting[1].id, &failure));
    assert!(matches!(waiting[1].receiver.try_recv(), Ok(Delivery::Failed(_))));
    let number = room.dialled(host);
    assert_eq!(served(&mut waiting[0].receiver), Some(number));
}

#[test]
fn a_connection_on_its_way_home_spares_a_dial_and_one_that_does_not_come_is_made_up_for() {
    let mut room = Room::new(|_| {});
    let host = room.host("a", Protocol::H1);
    room.act(|state, _, _| state.settling(host));
    let mut first = room.wait(host);
    assert!(room.dials.is_empty());
    room.act(|state, _, _| state.settled(host));
    let back = room.idle(host);
    assert_eq!(served(&mut first.receiver), Some(back));

    room.act(|state, _, _| state.settling(host));
    let second = room.wait(host);
    room.act(|state, _, todo| state.unsettled(host, todo));
    assert_eq!(room.dials, [second.id]);
}

#[test]
fn no_request_waits_for_a_dial_that_has_failed_for_another() {
    let mut room = Room::new(|_| {});
    let host = room.host("a", Protocol::H1);
    let (first, mut second) = (room.wait(host), room.wait(host));
    // The second's dial comes first and serves the first; then the first's dial fails.
    room.dialled(host);
    let failure = DialFailure::new(Kind::Connect, "refused");
    room.act(|state, _, _| state.dial_failed(host, first.id, &failure));
    assert!(matches!(second.receiver.try_recv(), Ok(Delivery::Failed(_))));
}

#[test]
fn a_cancelled_waiter_leaves_the_queue_and_its_connection_to_the_next() {
    let mut room = Room::new(|_| {});
    let host = room.host("a", Protocol::H1);
    let first = room.wait(host);
    let mut second = room.wait(host);
    room.act(|state, _, _| state.cancel(host, first.id));
    let number = room.dialled(host);
    assert_eq!(served(&mut second.receiver), Some(number));
    assert_eq!(room.state.waiting(), 0);
}

#[test]
fn a_shared_connection_serves_as_many_as_it_has_places_and_the_next_is_dialled() {
    let mut room = Room::new(|_| {});
    let host = room.host("a", Protocol::Unknown);
    let mut waiting: Vec<_> = (0..3).map(|_| room.wait(host)).collect();
    let many = Many(Arc::new((AtomicUsize::new(Link::NOWHERE), AtomicUsize::new(0))));
    room.act(|state, now, todo| state.dialled_shared(host, many.clone(), now, todo));
    let served: Vec<bool> = waiting
        .iter_mut()
        .map(|waiting| served(&mut waiting.receiver).is_some())
        .collect();
    assert_eq!(served, [true, true, false]);
    assert_eq!(room.dials.len(), 2);
    assert_eq!(room.state.idle(), 0);
}

#[test]
fn a_shared_connection_is_idle_while_no_place_is_taken() {
    let mut room = Room::new(|_| {});
    let host = room.host("a", Protocol::H2);
    let many = Many(Arc::new((AtomicUsize::new(Link::NOWHERE), AtomicUsize::new(0))));
    room.act(|state, now, todo| state.add_shared(host, many.clone(), now, todo));
    assert_eq!(room.state.idle(), 1);
    let Outcome::Place(seat) = room.checkout(host) else {
        panic!("a place is free")
    };
    assert_eq!(room.state.idle(), 0);
    seat.0.0.1.fetch_sub(1, Ordering::SeqCst);
    let place = many.0.0.load(Ordering::SeqCst);
    room.act(|state, now, todo| state.places_changed(place, now, todo));
    assert_eq!(room.state.idle(), 1);
    room.later(90);
    room.act(|state, now, todo| assert_eq!(state.reap(now, todo), None));
    assert_eq!(room.left, [(0, CloseReason::IdleTimeout)]);
}

#[test]
fn the_reaper_closes_what_is_due_and_says_when_to_come_again() {
    let mut room = Room::new(|_| {});
    let host = room.host("a", Protocol::H1);
    let old = room.idle(host);
    room.later(50);
    room.idle(host);
    let due = room.now + Duration::from_secs(90);
    room.later(40);
    let next = room.act(State::reap);
    assert_eq!(
        (room.left.clone(), next),
        (vec![(old, CloseReason::IdleTimeout)], Some(due))
    );
}

#[test]
fn a_million_host_names_leave_memory_flat() {
    let mut room = Room::new(|_| {});
    let numbers: BTreeSet<usize> = (0..20_000)
        .map(|number| room.host(&format!("host{number}"), Protocol::H1))
        .collect();
    assert!(numbers.len() <= 1025, "{} places for hosts", numbers.len());
}
