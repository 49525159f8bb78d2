//! Caps on connections, and who makes room for whom.

use super::super::super::budget::Member;
use super::*;

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
fn a_pool_that_gets_one_slot_and_wants_two_asks_for_room_again() {
    let mut room = Room::new(|_| {});
    let budget = Budget::new(Some(1));
    room.state.budget = Arc::clone(&budget);
    assert!(budget.try_take(false), "another pool's");
    let (a, b) = (room.host("a", Protocol::H1), room.host("b", Protocol::H1));
    let _waiting = [room.wait(a), room.wait(b)];
    budget.put_back();
    room.act(State::unblock_in_turn);
    assert_eq!(room.dials.len(), 1);
    assert!(room.wants_slot);
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
fn a_host_that_wants_many_slots_gets_one_and_stands_behind_the_others_again() {
    let mut room = Room::new(|pool| pool.max_connections = Some(8));
    let [full, greedy, other] = ["a", "b", "c"].map(|name| room.host(name, Protocol::H1));
    let _served: Vec<_> = (0..8).map(|_| room.wait(full)).collect();
    for _ in 0..8 {
        room.dialled(full);
    }
    let _waiting: Vec<_> = [greedy, greedy, greedy, other].map(|host| room.wait(host)).into();
    for _ in 0..3 {
        room.closed(full);
    }
    let turns: Vec<usize> = room.dials.iter().map(|dial| dial.seat.host).collect();
    assert_eq!(turns, [greedy, other, greedy]);
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
fn no_room_is_made_for_a_host_that_is_left_alone_after_a_failure() {
    let mut room = Room::new(|pool| pool.max_connections = Some(4));
    let (down, other) = (room.host("a", Protocol::H1), room.host("b", Protocol::H1));
    let _served: Vec<_> = (0..3).map(|_| room.wait(other)).collect();
    for _ in 0..3 {
        room.dialled(other);
    }
    let _served = room.wait(down);
    // It stands in line for another, and hopes for one on its way home when its dial fails.
    let _waits = (room.wait(down), room.ask(down, None, true));
    assert!(room.state.has_blocked());
    for _ in 0..2 {
        room.act(|state, _, _| state.settling(down));
    }
    room.fails(down);
    assert!(!room.state.has_blocked());
    room.closed(other);
    let idle = room.idle(other);
    assert_eq!((room.left.len(), room.taken(other)), (0, idle), "for whom?");
}

#[test]
fn one_idle_connection_leaves_for_each_who_wants_a_new_one_under_the_cap_of_its_host() {
    let mut room = Room::new(caps(3));
    let host = room.host("a", Protocol::H1);
    let _served: Vec<_> = (0..3).map(|_| room.wait(host)).collect();
    for _ in 0..3 {
        room.dialled(host);
    }
    let first = room.idle(host);
    room.idle(host);
    let Outcome::Wait(mut waits) = room.ask(host, None, true) else {
        panic!("nothing new is there")
    };
    room.idle(host);
    assert_eq!(room.left, [(first, CloseReason::MadeRoom)]);
    room.closed(host);
    let number = room.dialled(host);
    assert_eq!(served(&mut waits.receiver), Some(number));
    assert_eq!((room.left.len(), room.state.idle()), (1, 2));
}

#[test]
fn a_dial_that_gives_way_asks_for_no_room_while_another_serves_those_who_wait() {
    let mut room = Room::new(|pool| pool.max_connections = Some(4));
    let (slow, other) = (room.host("a", Protocol::H1), room.host("b", Protocol::H1));
    let (gone, _waits) = (room.wait(slow), room.wait(slow));
    room.act(|state, _, _| state.cancel(slow, gone.id));
    let _served: Vec<_> = (0..3).map(|_| room.wait(other)).collect();
    room.dialled(other);
    room.later(1);
    assert!(room.gives_way(other));
    let dial = room.dial(slow);
    room.act(|state, now, todo| state.dial_gave_way(&dial, now, todo));
    assert_eq!(room.dials.len(), 3, "one, and two to the other");
    room.dialled(other);
    room.dialled(other);
    room.idle(other);
    assert_eq!(room.left, [], "for whom?");
}

#[test]
fn as_many_idle_connections_make_room_for_another_pool_as_it_waits_for() {
    let budget = Budget::new(Some(8));
    let mut room = Room::new(|_| {});
    room.state.budget = Arc::clone(&budget);
    let host = room.host("a", Protocol::H1);
    let waits: Arc<dyn Member> = Arc::new(Waits);
    let full = (0..8).all(|_| budget.try_take(false));
    budget.wait_for_slot(&waits);
    assert!(full);
    // Those that come home, and those that are idle.
    let first = room.idle(host);
    assert_eq!(room.left, [(first, CloseReason::MadeRoom)]);
    room.idle(host);
    assert!(!room.act(|state, _, todo| state.make_room_if_wanted(todo)));
    assert_eq!((room.left.len(), room.state.idle()), (1, 1));
}

/// A pool that waits for a slot.
struct Waits;

impl Member for Waits {
    fn wants_slot(&self) -> bool {
        true
    }

    fn has_turn(&self) {}

    fn makes_room(&self, _: bool) -> bool {
        false
    }

    fn gives_way(&self, _: Presser, _: Instant) -> bool {
        false
    }

    fn gives_back(&self, _: Option<usize>) -> bool {
        false
    }
}
