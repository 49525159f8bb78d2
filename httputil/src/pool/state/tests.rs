//! The state machine alone: no socket, no clock, no task.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::dialling::{Cap, Standing};
use super::fakes::{Many, One, Seat};
use super::{Ask, Budget, Delivery, Dial, Leaving, Limits, Multiplexed, Outcome, Protocol, State, Todo, Waiting};
use crate::connect::{DialFailure, Target};
use crate::error::Kind;
use crate::pool::Key;
use crate::settings;
use crate::wire::CloseReason;

struct Room {
    state: State<One, Many>,
    now: Instant,
    left: Vec<(u32, CloseReason)>,
    /// Dials begun, in order, with the waiter that each is for; those under way are in `dials`.
    begun: Vec<Option<u64>>,
    dials: Vec<Dial>,
    regrets: u64,
    /// Places that came back since nobody took them.
    unwanted: usize,
    numbers: u32,
    runtime: tokio::runtime::Runtime,
}

impl Room {
    fn new(change: impl FnOnce(&mut settings::Pool)) -> Room {
        let mut pool = settings::Pool::default();
        change(&mut pool);
        let limits = Limits {
            pool,
            max_shared_per_host: 2,
        };
        let now = Instant::now();
        let mut state = State::new(limits, Budget::new(None), Arc::default(), now);
        state.leases = 1;
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        Room {
            state,
            now,
            left: Vec::new(),
            begun: Vec::new(),
            dials: Vec::new(),
            regrets: 0,
            unwanted: 0,
            numbers: 0,
            runtime,
        }
    }

    fn host(&mut self, name: &str, protocol: Protocol) -> usize {
        let target = Target::of(&format!("http://{name}/").parse().unwrap()).unwrap();
        let key = Key::new(target, self.handle()).unwrap();
        self.state.add_host(Arc::new(key), protocol, self.now)
    }

    fn handle(&self) -> Handle {
        self.runtime.handle().clone()
    }

    fn one(&mut self) -> One {
        self.numbers += 1;
        One::new(self.numbers)
    }

    fn act<T>(&mut self, act: impl FnOnce(&mut State<One, Many>, Instant, &mut Todo<One, Many>) -> T) -> T {
        let mut todo = Todo::default();
        let result = act(&mut self.state, self.now, &mut todo);
        self.regrets += todo.regrets;
        for (sender, delivery) in todo.deliveries {
            // A test that dropped its receiver does not want it.
            let _ = sender.send(delivery);
        }
        for leaving in todo.leaving {
            match leaving {
                Leaving::Exclusive(one, reason) => self.left.push((one.number, reason)),
                Leaving::Shared(_, reason) => self.left.push((0, reason)),
            }
        }
        self.unwanted += todo.places.len();
        self.begun.extend(todo.dials.iter().map(|dial| dial.waiter));
        self.dials.extend(todo.dials);
        result
    }

    fn checkout(&mut self, host: usize) -> Outcome<One, Seat> {
        self.ask(host, None, false)
    }

    fn ask(&mut self, host: usize, deadline: Option<Instant>, fresh: bool) -> Outcome<One, Seat> {
        self.act(|state, now, todo| state.checkout(host, Ask { now, deadline, fresh }, todo))
    }

    fn wait(&mut self, host: usize) -> Waiting<One, Seat> {
        match self.checkout(host) {
            Outcome::Wait(waiting) => waiting,
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

    /// The oldest dial to the host that is under way.
    fn dial(&mut self, host: usize) -> Dial {
        let position = self.dials.iter().position(|dial| dial.seat.host == host);
        self.dials.remove(position.expect("a dial is under way"))
    }

    fn dialled(&mut self, host: usize) -> u32 {
        let (one, dial) = (self.one(), self.dial(host));
        let number = one.number;
        self.act(|state, now, todo| state.dialled_exclusive(&dial, one, now, todo));
        number
    }

    fn dialled_many(&mut self, host: usize, limit: usize) -> Many {
        let (many, dial) = (Many::new(0, limit), self.dial(host));
        self.act(|state, now, todo| state.dialled_shared(&dial, many.clone(), now, todo));
        many
    }

    fn fails(&mut self, host: usize) {
        let dial = self.dial(host);
        self.fail(&dial);
    }

    fn fail(&mut self, dial: &Dial) {
        let failure = DialFailure::new(Kind::Connect, "refused");
        self.act(|state, now, todo| state.dial_failed(dial, &failure, now, todo));
    }

    fn closed(&mut self, host: usize) {
        self.act(|state, now, todo| state.closed(host, now, todo));
    }

    /// A place is given back.
    fn back(&mut self, seat: Seat) {
        let place = seat.leave().place().load(Ordering::SeqCst);
        self.act(|state, now, todo| state.places_changed(place, now, todo));
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

fn has_failed(receiver: &mut oneshot::Receiver<Delivery<One, Seat>>) -> Option<String> {
    match receiver.try_recv() {
        Ok(Delivery::Failed(failure)) => Some(failure.message.to_string()),
        _ => None,
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
    assert_eq!(room.begun, [Some(first.id), Some(second.id)]);
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
    assert_eq!(room.begun.len(), 1, "the first dial is still under way");
    let dialled = room.dialled(host);
    assert_eq!(served(&mut second.receiver), Some(dialled));
}

#[test]
fn a_host_of_unknown_protocol_is_dialled_once_and_for_each_when_it_speaks_http1() {
    let mut room = Room::new(|_| {});
    let host = room.host("a", Protocol::Unknown);
    let mut waiting: Vec<_> = (0..5).map(|_| room.wait(host)).collect();
    assert_eq!(room.begun, [Some(waiting[0].id)]);
    let number = room.dialled(host);
    assert_eq!(served(&mut waiting[0].receiver), Some(number));
    assert_eq!(room.begun.len(), 5, "the other four are dialled for now");
}

#[test]
fn when_the_one_dial_fails_everybody_hears_why() {
    let mut room = Room::new(|_| {});
    let host = room.host("a", Protocol::Unknown);
    let mut waiting: Vec<_> = (0..3).map(|_| room.wait(host)).collect();
    room.fails(host);
    for waiting in &mut waiting {
        assert_eq!(has_failed(&mut waiting.receiver).as_deref(), Some("refused"));
    }
    assert_eq!(room.state.waiting(), 0);
}

#[test]
fn a_failed_dial_fails_one_request_where_others_have_dials_of_their_own() {
    let mut room = Room::new(|_| {});
    let host = room.host("a", Protocol::H1);
    let mut waiting: Vec<_> = (0..2).map(|_| room.wait(host)).collect();
    let second = room.dials.remove(1);
    room.fail(&second);
    assert!(has_failed(&mut waiting[1].receiver).is_some());
    let number = room.dialled(host);
    assert_eq!(served(&mut waiting[0].receiver), Some(number));
}

#[test]
fn a_connection_on_its_way_home_spares_a_dial_and_one_that_does_not_come_is_made_up_for() {
    let mut room = Room::new(|_| {});
    let host = room.host("a", Protocol::H1);
    room.act(|state, _, _| state.settling(host));
    let mut first = room.wait(host);
    assert!(room.begun.is_empty());
    room.act(|state, _, _| state.settled(host));
    let back = room.idle(host);
    assert_eq!(served(&mut first.receiver), Some(back));

    room.act(|state, _, _| state.settling(host));
    let second = room.wait(host);
    room.act(|state, now, todo| state.unsettled(host, now, todo));
    assert_eq!(room.begun, [Some(second.id)]);
}

#[test]
fn no_request_waits_for_a_dial_that_has_failed_for_another() {
    let mut room = Room::new(|_| {});
    let host = room.host("a", Protocol::H1);
    let (mut first, mut second) = (room.wait(host), room.wait(host));
    // The second's dial comes first and serves the first; then the first's dial fails.
    let firsts = room.dials.remove(0);
    room.dialled(host);
    assert!(served(&mut first.receiver).is_some());
    room.fail(&firsts);
    assert!(has_failed(&mut second.receiver).is_some());
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
    room.dialled_many(host, 2);
    let served: Vec<bool> = waiting
        .iter_mut()
        .map(|waiting| served(&mut waiting.receiver).is_some())
        .collect();
    assert_eq!(served, [true, true, false]);
    assert_eq!(room.begun.len(), 2);
    assert_eq!(room.state.idle(), 0);
}

#[test]
fn a_shared_connection_is_idle_while_no_place_is_taken() {
    let mut room = Room::new(|_| {});
    let host = room.host("a", Protocol::H2);
    let many = Many::new(0, 2);
    room.act(|state, now, todo| state.add_shared(host, many.clone(), now, todo));
    assert_eq!(room.state.idle(), 1);
    let Outcome::Place(seat) = room.checkout(host) else {
        panic!("a place is free")
    };
    assert_eq!(room.state.idle(), 0);
    room.back(seat);
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

fn caps(per_host: usize) -> impl FnOnce(&mut settings::Pool) {
    move |pool| pool.max_connections_per_host = Some(per_host)
}

#[test]
fn the_cap_on_connections_counts_dials_and_its_waiters_are_served_in_order() {
    let mut room = Room::new(caps(2));
    let host = room.host("a", Protocol::H1);
    let mut waiting: Vec<_> = (0..5).map(|_| room.wait(host)).collect();
    assert_eq!(room.begun.len(), 2);
    let standing = room.state.standing(host, waiting[2].id, room.now);
    assert!(matches!(standing, Some(Standing::Cap(Cap::Host))), "{standing:?}");
    room.dialled(host);
    room.dialled(host);
    for waiting in &mut waiting[..2] {
        assert!(served(&mut waiting.receiver).is_some());
    }
    // One comes back, one is closed: the next is served, and the one after it dialled for.
    let back = room.idle(host);
    assert_eq!(served(&mut waiting[2].receiver), Some(back));
    room.closed(host);
    assert_eq!(room.begun.len(), 3);
    let new = room.dialled(host);
    assert_eq!(served(&mut waiting[3].receiver), Some(new));
}

#[test]
fn a_failed_dial_under_the_cap_lets_the_next_one_begin() {
    let mut room = Room::new(caps(1));
    let host = room.host("a", Protocol::H1);
    let mut waiting: Vec<_> = (0..3).map(|_| room.wait(host)).collect();
    let dial = room.dial(host);
    let failure = DialFailure::new(Kind::LimitExceeded, "too many open files");
    room.act(|state, now, todo| state.dial_failed(&dial, &failure, now, todo));
    assert!(has_failed(&mut waiting[0].receiver).is_some());
    assert_eq!(room.begun.len(), 2, "not the host's fault: no backoff");
    let number = room.dialled(host);
    assert_eq!(served(&mut waiting[1].receiver), Some(number));
}

#[test]
fn a_host_that_fails_is_left_alone_for_a_while_and_asked_by_one_dial_then() {
    let mut room = Room::new(|_| {});
    let host = room.host("a", Protocol::H1);
    let other = room.host("b", Protocol::H1);
    let mut waits = 50;
    for _ in 0..9 {
        let mut waiting: Vec<_> = (0..3).map(|_| room.wait(host)).collect();
        room.fails(host);
        while room.dials.iter().any(|dial| dial.seat.host == host) {
            room.fails(host);
        }
        for waiting in &mut waiting {
            assert!(has_failed(&mut waiting.receiver).is_some());
        }
        let begun = room.begun.len();
        room.now += Duration::from_millis(waits - 1);
        let mut meanwhile = room.wait(host);
        let message = has_failed(&mut meanwhile.receiver).unwrap();
        assert!(message.contains("refused") && message.contains("in 1 ms"), "{message}");
        assert_eq!(room.begun.len(), begun);
        room.wait(other);
        assert_eq!(room.begun.len(), begun + 1, "another host is not held back");
        room.dials.retain(|dial| dial.seat.host == host);
        room.now += Duration::from_millis(1);
        waits = (waits * 2).min(5000);
        let before = room.begun.len();
        let probes: Vec<_> = (0..3).map(|_| room.wait(host)).collect();
        assert_eq!(room.begun.len(), before + 1, "one dial asks for all");
        for probe in probes {
            room.act(|state, _, _| state.cancel(host, probe.id));
        }
        // Leave it failing for the next round, without a second failure of this one.
        let dial = room.dial(host);
        room.fail(&dial);
        room.now += Duration::from_millis(waits);
        waits = (waits * 2).min(5000);
    }
}

#[test]
fn a_dial_that_succeeds_ends_the_backoff_and_serves_everybody() {
    let mut room = Room::new(|_| {});
    let host = room.host("a", Protocol::H1);
    room.wait(host);
    room.fails(host);
    room.later(1);
    let mut waiting: Vec<_> = (0..4).map(|_| room.wait(host)).collect();
    assert_eq!(room.dials.len(), 1);
    room.dialled(host);
    assert!(served(&mut waiting[0].receiver).is_some());
    assert_eq!(room.dials.len(), 3, "the others are dialled for at once");
}

#[test]
fn dials_that_fail_together_are_one_failure() {
    let mut room = Room::new(|_| {});
    let host = room.host("a", Protocol::H1);
    let waiting: Vec<_> = (0..10).map(|_| room.wait(host)).collect();
    for _ in &waiting {
        room.fails(host);
    }
    room.now += Duration::from_millis(50);
    room.wait(host);
    assert_eq!(room.dials.len(), 1, "50 ms, not 50 doubled ten times");
}

#[test]
fn handshakes_with_a_host_are_paced() {
    let mut room = Room::new(|_| {});
    let host = room.host("a", Protocol::H1);
    let mut waiting: Vec<_> = (0..1000).map(|_| room.wait(host)).collect();
    for waiting in &mut waiting {
        assert!(room.dials.len() <= 16, "{} at once", room.dials.len());
        room.dialled(host);
        assert!(served(&mut waiting.receiver).is_some());
    }
    assert_eq!(room.begun.len(), 1000);
}

#[test]
fn the_pools_cap_closes_an_idle_connection_elsewhere_before_anyone_waits() {
    let mut room = Room::new(|pool| pool.max_connections = Some(4));
    let (a, b) = (room.host("a", Protocol::H1), room.host("b", Protocol::H1));
    let _waiting: Vec<_> = (0..4).map(|_| room.wait(a)).collect();
    // Two at once: no host dials with more than half of the cap.
    assert_eq!(room.dials.len(), 2);
    for _ in 0..4 {
        room.dialled(a);
    }
    let idle = room.idle(a);
    let mut waiting = room.wait(b);
    assert_eq!(room.left, [(idle, CloseReason::MadeRoom)]);
    assert!(room.dials.is_empty(), "the slot is free when the socket is gone");
    room.closed(a);
    let number = room.dialled(b);
    assert_eq!(served(&mut waiting.receiver), Some(number));
}

#[test]
fn what_comes_back_while_another_host_waits_for_a_slot_makes_room() {
    let mut room = Room::new(|pool| pool.max_connections = Some(2));
    let (a, b) = (room.host("a", Protocol::H1), room.host("b", Protocol::H1));
    let mut first = room.wait(a);
    let mut second = room.wait(a);
    room.dialled(a);
    room.dialled(a);
    assert!(served(&mut first.receiver).is_some() && served(&mut second.receiver).is_some());
    let _waits = room.wait(b);
    let back = room.idle(a);
    assert_eq!(room.left, [(back, CloseReason::MadeRoom)]);
    room.closed(a);
    assert_eq!(room.dials.len(), 1);
    room.idle(a);
    assert_eq!(room.left.len(), 1, "one was asked for");
}

#[test]
fn a_dial_that_hangs_gives_way_and_its_requests_wait_on() {
    let mut room = Room::new(|pool| pool.max_connections = Some(1));
    let (a, b) = (room.host("a", Protocol::H1), room.host("b", Protocol::H1));
    let mut hung = room.wait(a);
    let mut healthy = room.wait(b);
    assert!(!room.act(|state, now, _| state.give_way(Some(b), now)), "not yet");
    room.later(1);
    assert!(room.act(|state, now, _| state.give_way(Some(b), now)));
    assert!(!room.act(|state, now, _| state.give_way(Some(b), now)), "once");
    let dial = room.dial(a);
    room.act(|state, now, todo| state.dial_gave_way(&dial, now, todo));
    let number = room.dialled(b);
    assert_eq!(served(&mut healthy.receiver), Some(number));
    assert!(hung.receiver.try_recv().is_err());
    room.closed(b);
    assert!(room.dials.iter().any(|dial| dial.seat.host == a), "its turn again");
}

#[test]
fn pools_share_a_budget() {
    let budget = Budget::new(Some(2));
    let (mut one, mut two) = (Room::new(|_| {}), Room::new(|_| {}));
    one.state.budget = Arc::clone(&budget);
    two.state.budget = Arc::clone(&budget);
    let (a, b) = (one.host("a", Protocol::H1), two.host("b", Protocol::H1));
    let _first = one.wait(a);
    let _second = one.wait(a);
    assert_eq!(one.dials.len(), 1, "half of the cap");
    let _third = two.wait(b);
    one.dialled(a);
    assert_eq!((one.dials.len(), two.dials.len()), (0, 1), "two are open or dialled");
    two.dialled(b);
    two.closed(b);
    one.act(State::unblock_in_turn);
    assert_eq!(one.dials.len(), 1);
}

#[test]
fn a_connection_past_its_lifetime_is_closed_instead_of_handed_out_or_kept() {
    let mut room = Room::new(|_| {});
    let host = room.host("a", Protocol::H1);
    let aged = |room: &mut Room, seconds| {
        let mut one = room.one();
        one.expires = Some(room.now + Duration::from_secs(seconds));
        let number = one.number;
        room.act(|state, now, todo| state.check_in(host, one, now, todo));
        number
    };
    let reaped = aged(&mut room, 10);
    let asked = aged(&mut room, 20);
    room.later(13);
    let looks_at = room.act(State::reap).unwrap();
    assert_eq!(room.left, [(reaped, CloseReason::MaxLifetime)]);
    assert!(looks_at <= room.now + Duration::from_secs(9), "looks in time");
    room.later(7);
    room.wait(host);
    assert_eq!(room.left.last(), Some(&(asked, CloseReason::MaxLifetime)));
    let late = aged(&mut room, 0);
    assert_eq!(room.left.last(), Some(&(late, CloseReason::MaxLifetime)));
}

#[test]
fn the_servers_keep_alive_bounds_the_idle_time() {
    let mut room = Room::new(|_| {});
    let host = room.host("a", Protocol::H1);
    let mut one = room.one();
    one.may_idle_for = Some(Duration::from_secs(4));
    let bounded = one.number;
    room.act(|state, now, todo| state.check_in(host, one, now, todo));
    let free = room.idle(host);
    room.later(6);
    room.act(State::reap);
    assert_eq!(room.left, [(bounded, CloseReason::KeepAlive)]);
    assert_eq!(room.taken(host), free);
}

#[test]
fn what_was_idle_when_another_connection_went_silent_is_not_handed_out() {
    let mut room = Room::new(|_| {});
    let host = room.host("a", Protocol::H1);
    let old: Vec<_> = (0..3).map(|_| room.idle(host)).collect();
    room.later(5);
    let began = room.now;
    room.later(5);
    let proven = room.idle(host);
    room.act(|state, now, todo| state.suspect(host, began, now, todo));
    let suspects: Vec<_> = old.into_iter().map(|number| (number, CloseReason::Suspect)).collect();
    assert_eq!(room.left, suspects);
    assert_eq!(room.taken(host), proven);
}

#[test]
fn a_request_for_a_fresh_connection_takes_no_used_one() {
    let mut room = Room::new(caps(2));
    let host = room.host("a", Protocol::H1);
    room.wait(host);
    room.wait(host);
    let idle = room.dialled(host);
    let other = room.dialled(host);
    let Outcome::Wait(mut fresh) = room.ask(host, None, true) else {
        panic!("a used connection was handed out")
    };
    // The cap is reached by idle connections: one makes room.
    assert_eq!(room.left, [(idle, CloseReason::MadeRoom)]);
    assert_eq!(room.taken(host), other);
    room.idle(host);
    assert!(fresh.receiver.try_recv().is_err(), "one that comes back will not do");
    room.closed(host);
    let new = room.dialled(host);
    assert_eq!(served(&mut fresh.receiver), Some(new));
}

#[test]
fn the_next_shared_connection_is_dialled_before_the_places_run_out() {
    let mut room = Room::new(|_| {});
    let host = room.host("a", Protocol::H2);
    let _first = room.wait(host);
    let many = room.dialled_many(host, 10);
    let mut seats = Vec::new();
    for taken in 2..=8 {
        let Outcome::Place(seat) = room.checkout(host) else {
            panic!("a place is free")
        };
        seats.push(seat);
        assert_eq!(room.dials.len(), usize::from(taken >= 7), "{taken} of 10 taken");
    }
    let next = room.dialled_many(host, 10);
    room.checkout(host);
    assert_eq!((many.in_use(), next.in_use()), (8, 1), "the crowded one is spared");
}

#[test]
fn a_window_used_up_counts_as_full() {
    let mut room = Room::new(|_| {});
    let host = room.host("a", Protocol::H2);
    room.wait(host);
    let many = room.dialled_many(host, 10);
    many.choke(true);
    let mut waiting = room.wait(host);
    assert_eq!(room.dials.len(), 1);
    room.dialled_many(host, 10);
    assert!(served(&mut waiting.receiver).is_some());
}

#[test]
fn a_peer_that_allows_no_streams_is_not_dialled_for_ever() {
    let mut room = Room::new(|_| {});
    let host = room.host("a", Protocol::H2);
    let mut waiting = room.wait(host);
    for _ in 0..2 {
        room.dialled_many(host, 0);
    }
    assert!(room.dials.is_empty(), "two connections at most");
    let standing = room.state.standing(host, waiting.id, room.now);
    assert!(matches!(standing, Some(Standing::Cap(Cap::Streams))));
    assert!(waiting.receiver.try_recv().is_err());
}

#[test]
fn a_host_that_asks_for_http1_is_offered_nothing_else() {
    let mut room = Room::new(|_| {});
    let host = room.host("a", Protocol::Unknown);
    room.wait(host);
    room.dialled_many(host, 10);
    let mut waiting = room.wait_after(host, State::http1_required);
    assert_eq!(room.left, [(0, CloseReason::Http1Required)]);
    assert!(room.dials[0].seat.http1_only);
    let number = room.dialled(host);
    assert_eq!(served(&mut waiting.receiver), Some(number));
}

impl Room {
    fn wait_after(
        &mut self,
        host: usize,
        change: impl FnOnce(&mut State<One, Many>, usize, Instant, &mut Todo<One, Many>),
    ) -> Waiting<One, Seat> {
        self.act(|state, now, todo| change(state, host, now, todo));
        self.wait(host)
    }
}

#[test]
fn connections_are_kept_ready_where_that_is_asked_for() {
    let mut room = Room::new(|pool| pool.min_idle_per_host = 3);
    let host = room.host("a", Protocol::H1);
    let mut waiting = room.wait(host);
    assert_eq!(room.dials.len(), 4, "one for the request, three to be ready");
    let first = room.dialled(host);
    assert_eq!(served(&mut waiting.receiver), Some(first));
    for _ in 0..3 {
        room.dialled(host);
    }
    assert_eq!(room.state.idle(), 3);
    room.taken(host);
    assert_eq!(room.dials.len(), 1, "made up for");
}

#[test]
fn a_cap_that_closes_what_is_wanted_again_is_noticed() {
    let mut room = Room::new(|pool| pool.max_idle_per_host = 1);
    let host = room.host("a", Protocol::H1);
    room.idle(host);
    let kept = room.idle(host);
    assert_eq!(room.taken(host), kept);
    room.now += Duration::from_millis(900);
    room.wait(host);
    assert_eq!(room.regrets, 1);
    room.wait(host);
    assert_eq!(room.regrets, 1, "once for each");
}

#[test]
fn no_connection_and_no_dial_goes_to_a_request_whose_time_is_over() {
    let mut room = Room::new(caps(1));
    let host = room.host("a", Protocol::H1);
    let _first = room.wait(host);
    let soon = room.now + Duration::from_secs(1);
    let Outcome::Wait(mut dead) = room.ask(host, Some(soon), false) else {
        panic!("a cap is reached")
    };
    let mut alive = room.wait(host);
    room.later(1);
    room.dialled(host);
    let back = room.idle(host);
    assert!(dead.receiver.try_recv().is_err());
    assert_eq!(served(&mut alive.receiver), Some(back));
}

#[test]
fn whoever_counted_on_a_connection_that_is_closed_at_its_return_gets_a_dial() {
    for refuse in [
        (|state: &mut State<One, Many>, now, todo: &mut Todo<One, Many>| {
            state.close_idle(CloseReason::CloseIdle, now, todo);
        }) as fn(&mut _, Instant, &mut _),
        |state, _, _| state.limits.pool.reuse = false,
    ] {
        let mut room = Room::new(|_| {});
        let host = room.host("a", Protocol::H1);
        room.act(|state, _, _| state.settling(host));
        let mut waiting = room.wait(host);
        assert!(room.dials.is_empty());
        room.act(refuse);
        room.act(|state, _, _| state.settled(host));
        room.idle(host);
        assert_eq!(room.left.len(), 1);
        let number = room.dialled(host);
        assert_eq!(served(&mut waiting.receiver), Some(number));
    }
}

#[test]
fn without_reuse_a_shared_connection_bears_one_request() {
    let mut room = Room::new(|pool| pool.reuse = false);
    let host = room.host("a", Protocol::Unknown);
    let mut waiting: Vec<_> = (0..3).map(|_| room.wait(host)).collect();
    room.dialled_many(host, 10);
    assert_eq!(room.dials.len(), 2, "one each");
    room.dialled_many(host, 10);
    room.dialled_many(host, 10);
    for waiting in &mut waiting {
        assert!(served(&mut waiting.receiver).is_some());
    }
    assert_eq!(room.left, [(0, CloseReason::NoReuse); 3]);
}

#[test]
fn dials_that_nobody_waits_for_stop_with_the_last_lease() {
    let mut room = Room::new(|_| {});
    let (a, b) = (room.host("a", Protocol::H1), room.host("b", Protocol::H1));
    let (gone, _waits) = (room.wait(a), room.wait(b));
    room.act(|state, _, _| state.cancel(a, gone.id));
    room.state.leases = 0;
    room.act(|state, _, _| state.stop_dials());
    let stopped: Vec<bool> = room.state.running.iter().map(|running| running.is_stopped).collect();
    assert_eq!(stopped, [true, false]);
}

#[test]
fn a_request_for_a_fresh_place_gets_none_of_a_used_connection() {
    let mut room = Room::new(|_| {});
    let host = room.host("a", Protocol::H2);
    let mut first = room.wait(host);
    room.dialled_many(host, 10);
    let Ok(Delivery::Place(seat)) = first.receiver.try_recv() else {
        panic!("a place is free")
    };
    let Outcome::Wait(mut fresh) = room.ask(host, None, true) else {
        panic!("a used connection was handed out")
    };
    room.back(seat);
    assert!(fresh.receiver.try_recv().is_err());
    assert_eq!(room.unwanted, 0, "no place was taken for nobody");
    let new = room.dialled_many(host, 10);
    assert_eq!((served(&mut fresh.receiver), new.in_use()), (Some(0), 1));
}

#[test]
fn a_free_place_is_not_offered_to_one_who_waits_for_a_new_connection() {
    let mut room = Room::new(|_| {});
    let host = room.host("a", Protocol::H2);
    room.wait(host);
    room.dialled_many(host, 4);
    // Its place would come back to the pool, be offered again, and so on until the stack is used up.
    let Outcome::Wait(mut fresh) = room.ask(host, None, true) else {
        panic!("a used connection was handed out")
    };
    assert_eq!(room.unwanted, 0);
    room.dialled_many(host, 4);
    assert_eq!(served(&mut fresh.receiver), Some(0));
}

#[test]
fn in_backoff_the_newcomer_hears_the_error_and_not_the_one_for_whom_a_connection_comes_home() {
    let mut room = Room::new(|_| {});
    let host = room.host("a", Protocol::H1);
    let _refused = room.wait(host);
    room.fails(host);
    room.act(|state, _, _| state.settling(host));
    let (mut first, mut second) = (room.wait(host), room.wait(host));
    assert!(has_failed(&mut second.receiver).is_some());
    room.act(|state, _, _| state.settled(host));
    let back = room.idle(host);
    assert_eq!(served(&mut first.receiver), Some(back));
}

#[test]
fn a_connection_that_its_request_no_longer_wants_makes_room_for_one_who_wants_a_new_one() {
    let mut room = Room::new(caps(1));
    let host = room.host("a", Protocol::H1);
    let mut first = room.wait(host);
    room.dialled(host);
    let Ok(Delivery::Exclusive(one)) = first.receiver.try_recv() else {
        panic!("it was dialled for")
    };
    let Outcome::Wait(_fresh) = room.ask(host, None, true) else {
        panic!("a used connection was handed out")
    };
    let number = one.number;
    room.act(|state, now, todo| state.returned(host, one, now, todo));
    assert_eq!(room.left, [(number, CloseReason::MadeRoom)]);
    room.closed(host);
    assert_eq!(room.dials.len(), 1);
}

#[test]
fn a_connection_that_its_request_no_longer_wants_is_not_kept_after_all_idle_ones_were_closed() {
    let mut room = Room::new(|_| {});
    let host = room.host("a", Protocol::H1);
    let mut first = room.wait(host);
    let number = room.dialled(host);
    let Ok(Delivery::Exclusive(one)) = first.receiver.try_recv() else {
        panic!("it was dialled for")
    };
    room.act(|state, now, todo| state.close_idle(CloseReason::CloseIdle, now, todo));
    room.act(|state, now, todo| state.returned(host, one, now, todo));
    assert_eq!(room.left, [(number, CloseReason::CloseIdle)]);
}

#[test]
fn those_who_wait_for_a_place_are_dialled_for_when_the_shared_connections_are_to_close() {
    let mut room = Room::new(|_| {});
    let host = room.host("a", Protocol::H2);
    let _served: Vec<_> = (0..2).map(|_| room.wait(host)).collect();
    let many = [room.dialled_many(host, 1), room.dialled_many(host, 1)];
    let mut waits = room.wait(host);
    assert!(room.dials.is_empty(), "two connections at most");
    room.act(|state, now, todo| state.close_idle(CloseReason::CloseIdle, now, todo));
    assert_eq!(many.map(|many| many.in_use()), [1, 1], "those under way go on");
    room.dialled_many(host, 1);
    assert_eq!(served(&mut waits.receiver), Some(0));
}

#[test]
fn a_shared_connection_that_comes_after_the_host_asked_for_http1_is_not_used() {
    let mut room = Room::new(|_| {});
    let host = room.host("a", Protocol::H2);
    let mut waits = room.wait(host);
    room.act(|state, now, todo| state.http1_required(host, now, todo));
    room.dialled_many(host, 4);
    assert!(waits.receiver.try_recv().is_err());
    assert_eq!(room.left, [(0, CloseReason::Http1Required)]);
    let number = room.dialled(host);
    assert_eq!(served(&mut waits.receiver), Some(number));
}

#[test]
fn without_descriptors_a_crowded_connection_is_not_dialled_beside_again_and_again() {
    let mut room = Room::new(|_| {});
    let host = room.host("a", Protocol::H2);
    let _served: Vec<_> = (0..3).map(|_| room.wait(host)).collect();
    let _many = room.dialled_many(host, 4);
    let Outcome::Place(_seat) = room.checkout(host) else {
        panic!("a place is free")
    };
    assert_eq!(room.dials.len(), 1, "it is crowded");
    let dial = room.dial(host);
    let failure = DialFailure::new(Kind::LimitExceeded, "too many open files");
    room.act(|state, now, todo| state.dial_failed(&dial, &failure, now, todo));
    assert!(room.dials.is_empty());
}

#[test]
fn a_shared_connection_makes_room_for_one_who_wants_a_new_one_when_its_last_request_is_over() {
    let mut room = Room::new(caps(1));
    let host = room.host("a", Protocol::H2);
    let mut first = room.wait(host);
    room.dialled_many(host, 4);
    let Ok(Delivery::Place(seat)) = first.receiver.try_recv() else {
        panic!("it was dialled for")
    };
    let Outcome::Wait(mut fresh) = room.ask(host, None, true) else {
        panic!("a used connection was handed out")
    };
    room.back(seat);
    assert_eq!(room.left, [(0, CloseReason::MadeRoom)]);
    room.closed(host);
    room.dialled_many(host, 4);
    assert_eq!(served(&mut fresh.receiver), Some(0));
}

#[test]
fn a_host_whose_connections_close_after_each_request_starves_no_other() {
    let mut room = Room::new(|pool| pool.max_connections = Some(1));
    let (busy, other) = (room.host("a", Protocol::H1), room.host("b", Protocol::H1));
    let _waiting: Vec<_> = (0..10).map(|_| room.wait(busy)).collect();
    let mut waits = room.wait(other);
    let mut turns = 0;
    while waits.receiver.try_recv().is_err() {
        turns += 1;
        assert!(turns < 3, "the other's turn never comes");
        let host = room.dials[0].seat.host;
        room.dialled(host);
        if host == busy {
            room.closed(host);
        }
    }
}

#[test]
fn no_room_is_made_for_a_host_whose_requests_have_gone() {
    let mut room = Room::new(|pool| pool.max_connections = Some(1));
    let (a, b) = (room.host("a", Protocol::H1), room.host("b", Protocol::H1));
    room.wait(a);
    room.act(|state, _, _| state.cancel(a, 0));
    let gone = room.wait(b);
    room.act(|state, _, _| state.cancel(b, gone.id));
    let number = room.dialled(a);
    assert_eq!(room.left, []);
    assert_eq!(room.taken(a), number);
}

#[test]
fn in_backoff_one_who_wants_a_new_connection_does_not_wait_for_a_place() {
    let mut room = Room::new(|_| {});
    let host = room.host("a", Protocol::H2);
    let _first = room.wait(host);
    room.dialled_many(host, 4);
    let Outcome::Wait(_refused) = room.ask(host, None, true) else {
        panic!("a used connection was handed out")
    };
    room.fails(host);
    let Outcome::Wait(mut fresh) = room.ask(host, None, true) else {
        panic!("a used connection was handed out")
    };
    assert!(has_failed(&mut fresh.receiver).is_some());
}

#[test]
fn no_connection_is_closed_to_dial_before_another_is_full() {
    let mut room = Room::new(|pool| pool.max_connections = Some(2));
    let (a, b) = (room.host("a", Protocol::H1), room.host("b", Protocol::H2));
    let mut first = room.wait(a);
    let _served: Vec<_> = (0..2).map(|_| room.wait(b)).collect();
    let number = room.dialled(a);
    assert!(served(&mut first.receiver).is_some());
    room.dialled_many(b, 4);
    let back = room.idle(a);
    let Outcome::Place(_seat) = room.checkout(b) else {
        panic!("a place is free")
    };
    assert_eq!(room.left, []);
    assert_eq!(room.taken(a), back, "{number} came back");
}

#[test]
fn no_more_is_kept_ready_than_may_be_idle() {
    for (most, reuse, dials) in [(2, true, 3), (0, true, 1), (2, false, 1)] {
        let mut room = Room::new(|pool| {
            pool.min_idle_per_host = 5;
            pool.max_idle_per_host = most;
            pool.reuse = reuse;
        });
        let host = room.host("a", Protocol::H1);
        let _waits = room.wait(host);
        assert_eq!(room.dials.len(), dials);
    }
}

#[test]
fn those_whose_dial_gave_way_hear_at_once_that_the_host_cannot_be_reached() {
    let mut room = Room::new(|pool| pool.max_connections = Some(4));
    let host = room.host("a", Protocol::H1);
    let other = room.host("b", Protocol::H1);
    let (_first, mut second) = (room.wait(host), room.wait(host));
    let _others = (room.wait(other), room.wait(other), room.wait(other));
    room.fails(host);
    let dial = room.dial(host);
    room.act(|state, now, todo| state.dial_gave_way(&dial, now, todo));
    assert!(has_failed(&mut second.receiver).is_some());
}

#[test]
fn many_that_are_due_together_are_closed_in_turns_with_what_else_needs_the_lock() {
    let mut room = Room::new(|pool| (pool.max_idle, pool.max_idle_per_host) = (1000, 1000));
    let host = room.host("a", Protocol::H1);
    for _ in 0..300 {
        room.idle(host);
    }
    room.later(90);
    let mut turns = 0;
    while let Some(again) = room.act(State::reap) {
        assert_eq!(again, room.now);
        turns += 1;
    }
    assert_eq!((turns, room.left.len()), (2, 300));
}
