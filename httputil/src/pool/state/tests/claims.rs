//! Hosts that have waited for a second for a slot, and claim the next connection of another host whose request ends.

use super::*;

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
