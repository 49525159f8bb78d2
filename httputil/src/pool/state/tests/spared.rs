//! Shared connections that take no request for a moment, so that they can meet a claim.

use super::*;

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
