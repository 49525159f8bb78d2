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
fn a_busy_host_gives_one_connection_back_to_a_host_that_has_waited() {
    let mut room = Room::new(|pool| pool.max_connections = Some(2));
    let (busy, other) = (room.host("a", Protocol::H1), room.host("b", Protocol::H1));
    let _served: Vec<_> = (0..2).map(|_| room.wait(busy)).collect();
    room.dialled(busy);
    room.dialled(busy);
    let mut own = room.wait(busy);
    let mut waits = room.wait(other);
    assert!(room.act(|state, now, _| state.reclaim(Some(other), now)));
    let back = room.idle(busy);
    assert_eq!(room.left, [(back, CloseReason::MadeRoom)], "not to its own");
    assert!(own.receiver.try_recv().is_err());
    let next = room.idle(busy);
    assert_eq!(served(&mut own.receiver), Some(next), "one is enough");
    room.closed(busy);
    let number = room.dialled(other);
    assert_eq!(served(&mut waits.receiver), Some(number));
}

#[test]
fn a_claim_ends_with_the_wait_of_the_host_that_made_it() {
    let mut room = Room::new(|pool| pool.max_connections = Some(2));
    let (busy, other) = (room.host("a", Protocol::H1), room.host("b", Protocol::H1));
    let _served: Vec<_> = (0..2).map(|_| room.wait(busy)).collect();
    room.dialled(busy);
    room.dialled(busy);
    let gone = room.wait(other);
    assert!(room.act(|state, now, _| state.reclaim(Some(other), now)));
    room.act(|state, _, _| state.cancel(other, gone.id));
    room.idle(busy);
    assert_eq!(room.left, [], "for whom?");
    // Nor does it serve one who comes for that host later, and has not waited.
    room.taken(busy);
    let (mut own, _waits) = (room.wait(busy), room.wait(other));
    let back = room.idle(busy);
    assert_eq!(served(&mut own.receiver), Some(back));
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
fn a_claim_outlives_a_moment_in_which_its_host_hopes_for_a_connection_on_its_way_home() {
    let mut room = Room::new(|pool| pool.max_connections = Some(2));
    let (busy, other) = (room.host("a", Protocol::H1), room.host("b", Protocol::H1));
    let _served = (room.wait(busy), room.wait(other));
    room.dialled(busy);
    room.dialled(other);
    let _waits = room.wait(other);
    assert!(room.act(|state, now, _| state.reclaim(Some(other), now)));
    room.act(|state, _, _| state.settling(other));
    room.act(|state, now, todo| state.unsettled(other, now, todo));
    let back = room.idle(busy);
    assert_eq!(room.left, [(back, CloseReason::MadeRoom)]);
}

#[test]
fn a_claim_is_not_met_while_its_host_stands_in_no_line() {
    let mut room = Room::new(|pool| pool.max_connections = Some(2));
    let (busy, other) = (room.host("a", Protocol::H1), room.host("b", Protocol::H1));
    let _served = (room.wait(busy), room.wait(other));
    room.dialled(busy);
    room.dialled(other);
    let _waits = room.wait(other);
    assert!(room.act(|state, now, _| state.reclaim(Some(other), now)));
    // Its own comes home in a moment: a slot would be of no use to it.
    room.act(|state, _, _| state.settling(other));
    room.idle(busy);
    assert_eq!(room.left, [], "for whom?");
}

#[test]
fn whoever_claims_a_connection_is_the_next_in_line_and_the_others_keep_their_order() {
    let mut room = Room::new(|pool| pool.max_connections = Some(2));
    let [busy, first, second, claims] = ["a", "b", "c", "d"].map(|name| room.host(name, Protocol::H1));
    let _served = (room.wait(busy), room.wait(busy));
    room.dialled(busy);
    room.dialled(busy);
    let _waiting = [first, second, claims].map(|host| room.wait(host));
    assert!(room.act(|state, now, _| state.reclaim(Some(claims), now)));
    for _ in 0..2 {
        room.idle(busy);
        room.closed(busy);
    }
    let turns = |room: &mut Room| -> Vec<usize> { room.dials.iter().map(|dial| dial.seat.host).collect() };
    assert_eq!(turns(&mut room), [claims, first]);
    room.fails(claims);
    assert_eq!(turns(&mut room), [first, second]);
}

#[test]
fn a_host_that_claims_nothing_does_not_take_the_slot_that_it_gives_to_another() {
    let mut room = Room::new(|pool| pool.max_connections = Some(1));
    let (busy, other) = (room.host("a", Protocol::H1), room.host("b", Protocol::H1));
    let _served = room.wait(busy);
    room.dialled(busy);
    let (_own, mut waits) = (room.wait(busy), room.wait(other));
    assert!(room.act(|state, now, _| state.reclaim(Some(other), now)));
    assert!(
        !room.act(|state, now, _| state.reclaim(Some(busy), now)),
        "all are its own"
    );
    let back = room.idle(busy);
    assert_eq!(room.left, [(back, CloseReason::MadeRoom)]);
    room.closed(busy);
    let number = room.dialled(other);
    assert_eq!(served(&mut waits.receiver), Some(number));
}

#[test]
fn a_claim_is_met_by_a_connection_that_ends_with_its_request_anyway() {
    let mut room = Room::new(|pool| pool.max_connections = Some(2));
    let (busy, other) = (room.host("a", Protocol::H1), room.host("b", Protocol::H1));
    let _served: Vec<_> = (0..2).map(|_| room.wait(busy)).collect();
    room.dialled(busy);
    room.dialled(busy);
    let (mut own, _waits) = (room.wait(busy), room.wait(other));
    assert!(room.act(|state, now, _| state.reclaim(Some(other), now)));
    let (mut old, now) = (room.one(), room.now);
    old.expires = Some(now);
    let number = old.number;
    room.act(|state, now, todo| state.check_in(busy, old, now, todo));
    let next = room.idle(busy);
    assert_eq!(room.left, [(number, CloseReason::MaxLifetime)]);
    assert_eq!(served(&mut own.receiver), Some(next), "one is enough");
}

#[test]
fn a_new_shared_connection_whose_requests_have_not_ended_meets_no_claim() {
    let mut room = Room::new(|pool| pool.max_connections = Some(4));
    let (busy, other) = (room.host("a", Protocol::H1), room.host("b", Protocol::H1));
    let served_there: Vec<_> = (0..3).map(|_| room.wait(busy)).collect();
    room.dialled(busy);
    room.dialled(busy);
    let _waits: Vec<_> = (0..2).map(|_| room.wait(other)).collect();
    assert!(room.act(|state, now, _| state.reclaim(Some(other), now)));
    drop(served_there);
    let mut own = room.wait(busy);
    room.dialled_many(busy, 2);
    assert_eq!(served(&mut own.receiver), Some(0));
    assert!(matches!(room.checkout(busy), Outcome::Place(_)), "its second place");
    assert_eq!(room.left, []);
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
fn a_busy_shared_connection_takes_no_more_requests_for_a_host_that_has_waited() {
    let mut room = Room::new(|pool| pool.max_connections = Some(1));
    let (busy, other) = (room.host("a", Protocol::H2), room.host("b", Protocol::H1));
    let mut first = room.wait(busy);
    room.dialled_many(busy, 10);
    let Ok(Delivery::Place(first)) = first.receiver.try_recv() else {
        panic!("it has a place")
    };
    let Outcome::Place(second) = room.checkout(busy) else {
        panic!("there are places")
    };
    let mut waits = room.wait(other);
    assert!(room.act(|state, now, _| state.reclaim(Some(other), now)));
    room.back(first);
    let mut own = room.wait(busy);
    assert_eq!(room.left, [], "one of its requests goes on");
    room.back(second);
    assert_eq!(room.left, [(0, CloseReason::MadeRoom)]);
    room.closed(busy);
    let number = room.dialled(other);
    assert_eq!(
        served(&mut waits.receiver),
        Some(number),
        "before those of the busy host"
    );
    room.idle(other);
    room.closed(other);
    room.dialled_many(busy, 10);
    assert!(served(&mut own.receiver).is_some());
}

/// A shared connection that bears a long request, and one that has just ended while another host has claimed the next.
fn with_a_long_request() -> (Room, usize, usize, Seat, Waiting<One, Seat>) {
    let mut room = Room::new(|pool| pool.max_connections = Some(1));
    let (busy, other) = (room.host("a", Protocol::H2), room.host("b", Protocol::H1));
    let mut long = room.wait(busy);
    room.dialled_many(busy, 10);
    let Ok(Delivery::Place(long)) = long.receiver.try_recv() else {
        panic!("it has a place")
    };
    let Outcome::Place(short) = room.checkout(busy) else {
        panic!("there are places")
    };
    let waits = room.wait(other);
    assert!(room.act(|state, now, _| state.reclaim(Some(other), now)));
    room.back(short);
    (room, busy, other, long, waits)
}

#[test]
fn a_shared_connection_with_a_long_request_is_given_back_to_its_host_and_left_alone() {
    let (mut room, busy, other, long, _waits) = with_a_long_request();
    let mut own = room.wait(busy);
    room.later(2);
    // Whoever waits for the host looks, or comes.
    room.act(|_, _, _| {});
    let Ok(Delivery::Place(short)) = own.receiver.try_recv() else {
        panic!("its host goes without")
    };
    room.act(|state, now, _| state.reclaim(Some(other), now));
    room.back(short);
    let Outcome::Place(short) = room.checkout(busy) else {
        panic!("it was asked in vain, and is again")
    };
    room.back(short);
    assert_eq!(room.left, []);
    // It makes room when it is free.
    room.back(long);
    assert_eq!(room.left, [(0, CloseReason::MadeRoom)]);
}

/// A shared connection with so many requests, of which the first has just ended while another host has claimed one.
fn spared_with(requests: usize) -> (Room, usize, usize, Vec<Seat>, Waiting<One, Seat>) {
    let mut room = Room::new(|pool| pool.max_connections = Some(1));
    let (busy, other) = (room.host("a", Protocol::H2), room.host("b", Protocol::H1));
    let mut first = room.wait(busy);
    room.dialled_many(busy, 20);
    let Ok(Delivery::Place(first)) = first.receiver.try_recv() else {
        panic!("it has a place")
    };
    let others = (1..requests).map(|_| match room.checkout(busy) {
        Outcome::Place(place) => place,
        _ => panic!("there are places"),
    });
    let others = others.collect();
    let waits = room.wait(other);
    assert!(room.act(|state, now, _| state.reclaim(Some(other), now)));
    room.back(first);
    (room, busy, other, others, waits)
}

#[test]
fn a_shared_connection_is_spared_as_long_as_its_requests_go_on_ending() {
    let (mut room, busy, other, requests, mut waits) = spared_with(4);
    let mut own = room.wait(busy);
    for request in requests {
        room.now += Duration::from_millis(1500);
        assert!(own.receiver.try_recv().is_err());
        room.back(request);
    }
    assert_eq!(room.left, [(0, CloseReason::MadeRoom)]);
    room.closed(busy);
    let number = room.dialled(other);
    assert_eq!(served(&mut waits.receiver), Some(number));
}

#[test]
fn a_shared_connection_is_spared_for_five_seconds_at_most_and_then_left_alone_longer_each_time() {
    let (mut room, busy, other, mut requests, _waits) = spared_with(20);
    let mut own = room.wait(busy);
    for _ in 0..5 {
        assert!(own.receiver.try_recv().is_err());
        room.later(1);
        room.back(requests.pop().unwrap());
    }
    requests.extend(match own.receiver.try_recv() {
        Ok(Delivery::Place(place)) => Some(place),
        other => panic!("its host goes without: {other:?}"),
    });
    // It is asked again when it has been left alone: for 3 s, and after that for 30 s.
    let is_claimed = |room: &mut Room, requests: &mut Vec<Seat>| {
        room.act(|state, now, _| state.reclaim(Some(other), now));
        room.back(requests.pop().unwrap());
        match room.checkout(busy) {
            Outcome::Place(place) => requests.push(place),
            Outcome::Wait(waiting) => {
                room.act(|state, _, _| state.cancel(busy, waiting.id));
                return true;
            }
            Outcome::Idle(..) => panic!("it is no such connection"),
        }
        false
    };
    room.later(2);
    assert!(!is_claimed(&mut room, &mut requests));
    room.later(1);
    assert!(is_claimed(&mut room, &mut requests));
    room.later(2);
    room.act(|_, _, _| {});
    room.later(29);
    assert!(!is_claimed(&mut room, &mut requests));
    room.later(1);
    assert!(is_claimed(&mut room, &mut requests));
    assert_eq!(room.left, []);
}

#[test]
fn a_shared_connection_serves_its_host_again_when_nobody_claims_it_any_more() {
    let (mut room, busy, other, _long, waits) = with_a_long_request();
    let mut own = room.wait(busy);
    assert!(own.receiver.try_recv().is_err());
    room.act(|state, _, _| state.cancel(other, waits.id));
    assert_eq!(served(&mut own.receiver), Some(0));
}

#[test]
fn what_comes_home_to_a_host_is_not_claimed_for_it() {
    let mut room = Room::new(|pool| pool.max_connections = Some(1));
    let host = room.host("a", Protocol::H1);
    let _served = room.wait(host);
    room.dialled(host);
    let _waits = room.wait(host);
    assert!(!room.act(|state, now, _| state.reclaim(Some(host), now)));
}

#[test]
fn of_many_who_wait_for_one_host_one_presses_in_a_second() {
    let mut room = Room::new(|pool| pool.max_connections = Some(1));
    let [busy, host, other] = ["a", "b", "c"].map(|name| room.host(name, Protocol::H1));
    let _served = room.wait(busy);
    let _wait: Vec<_> = [host, host, other].map(|host| room.wait(host)).into();
    assert!(room.state.presses(host, room.now).is_some() && room.state.presses(host, room.now).is_none());
    assert!(room.state.presses(other, room.now).is_some());
    room.later(1);
    assert!(room.state.presses(host, room.now).is_some());
    assert!(
        room.state.presses(busy, room.now).is_none(),
        "it waits for its own dial"
    );
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
