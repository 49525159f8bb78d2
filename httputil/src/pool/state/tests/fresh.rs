//! Those who want a connection that nobody has used.

use super::*;

/// Each cap that may keep a new connection from a host, at this number.
fn each_cap(number: usize) -> [Room; 3] {
    let mut over_pools = Room::new(|_| {});
    over_pools.state.budget = Budget::new(Some(number));
    let of_the_pool = Room::new(|pool| pool.max_connections = Some(number));
    [Room::new(caps(number)), of_the_pool, over_pools]
}

impl Room {
    /// So many connections with requests on them.
    fn fill(&mut self, host: usize, number: usize) -> Vec<Waiting<One, Seat>> {
        let fill = |_| {
            let waiting = self.wait(host);
            self.dialled(host);
            waiting
        };
        (0..number).map(fill).collect()
    }

    fn wait_fresh(&mut self, host: usize) -> Waiting<One, Seat> {
        match self.ask(host, None, true) {
            Outcome::Wait(waiting) => waiting,
            _ => panic!("a used connection was handed out"),
        }
    }
}

#[test]
fn what_comes_home_makes_room_for_one_who_wants_a_new_connection_and_came_first() {
    for mut room in each_cap(2) {
        let host = room.host("a", Protocol::H1);
        let _served = room.fill(host, 2);
        let mut fresh = room.wait_fresh(host);
        let mut others = [room.wait(host), room.wait(host)];
        let back = room.idle(host);
        assert_eq!(
            room.left,
            [(back, CloseReason::MadeRoom)],
            "not to those who came later"
        );
        let next = room.idle(host);
        assert_eq!(served(&mut others[0].receiver), Some(next), "one is enough");
        room.closed(host);
        let new = room.dialled(host);
        assert_eq!(served(&mut fresh.receiver), Some(new));
        let next = room.idle(host);
        assert_eq!(served(&mut others[1].receiver), Some(next));
        assert_eq!(room.left.len(), 1);
    }
}

#[test]
fn those_of_both_sorts_are_served_in_the_order_in_which_they_came() {
    for mut room in each_cap(3) {
        let host = room.host("a", Protocol::H1);
        let _served = room.fill(host, 3);
        let mut first = room.wait(host);
        let mut second = room.wait_fresh(host);
        let mut third = room.wait(host);
        let mut fourth = room.wait_fresh(host);
        let back = room.idle(host);
        assert_eq!(served(&mut first.receiver), Some(back));
        let leaves = room.idle(host);
        let back = room.idle(host);
        assert_eq!(
            served(&mut third.receiver),
            Some(back),
            "room is being made for the second"
        );
        let last = room.idle(host);
        assert_eq!(room.left, [leaves, last].map(|left| (left, CloseReason::MadeRoom)));
        for waiting in [&mut second, &mut fourth] {
            room.closed(host);
            let new = room.dialled(host);
            assert_eq!(served(&mut waiting.receiver), Some(new));
        }
    }
}

#[test]
fn a_new_connection_goes_to_the_first_of_either_sort() {
    let mut room = Room::new(caps(1));
    let host = room.host("a", Protocol::H1);
    let _served = room.fill(host, 1);
    let (mut first, mut second) = (room.wait(host), room.wait_fresh(host));
    assert_eq!(
        [&first, &second].map(|waiting| room.state.hosts.get(host).unwrap().queue.position(waiting.id)),
        [Some(0), Some(1)]
    );
    // The connection breaks, and is made up for.
    room.closed(host);
    assert_eq!(room.begun.last(), Some(&Some(first.id)));
    let new = room.dialled(host);
    assert_eq!(served(&mut first.receiver), Some(new));
    assert!(second.receiver.try_recv().is_err());
}

#[test]
fn a_claim_of_another_host_and_one_who_wants_a_new_connection_get_a_connection_each() {
    let mut room = Room::new(|pool| pool.max_connections = Some(2));
    let (busy, other) = (room.host("a", Protocol::H1), room.host("b", Protocol::H1));
    let _served = room.fill(busy, 2);
    let mut waits = room.wait(other);
    let mut fresh = room.wait_fresh(busy);
    assert!(room.act(|state, now, _| state.reclaim(Some(other), now)));
    room.idle(busy);
    room.idle(busy);
    assert_eq!(room.left.len(), 2);
    room.closed(busy);
    room.closed(busy);
    let number = room.dialled(other);
    assert_eq!(served(&mut waits.receiver), Some(number));
    let number = room.dialled(busy);
    assert_eq!(served(&mut fresh.receiver), Some(number));
}

#[test]
fn a_shared_connection_that_bears_no_request_makes_room_before_those_who_came_later() {
    let mut room = Room::new(caps(1));
    let host = room.host("a", Protocol::H2);
    let mut first = room.wait(host);
    room.dialled_many(host, 1);
    let Ok(Delivery::Place(seat)) = first.receiver.try_recv() else {
        panic!("it was dialled for")
    };
    let (mut fresh, mut later) = (room.wait_fresh(host), room.wait(host));
    room.back(seat);
    assert_eq!(room.left, [(0, CloseReason::MadeRoom)]);
    room.closed(host);
    room.dialled_many(host, 2);
    assert_eq!(
        [served(&mut fresh.receiver), served(&mut later.receiver)],
        [Some(0), Some(0)]
    );
}

impl Room {
    /// A new shared connection, and its only place.
    fn seated(&mut self, host: usize) -> Seat {
        let mut waits = self.wait(host);
        self.dialled_many(host, 1);
        match waits.receiver.try_recv() {
            Ok(Delivery::Place(seat)) => seat,
            _ => panic!("it was dialled for"),
        }
    }

    /// As many shared connections as there may be, two, which bear nothing.
    fn full_and_unused(&mut self, host: usize) {
        let both = [(); 2].map(|()| self.seated(host));
        for seat in both {
            self.back(seat);
        }
    }
}

#[test]
fn of_as_many_shared_connections_as_there_may_be_an_unused_one_makes_room_and_no_more() {
    for mut room in each_cap(2) {
        let host = room.host("a", Protocol::H2);
        room.full_and_unused(host);
        let mut fresh = room.wait_fresh(host);
        assert!(fresh.receiver.try_recv().is_err(), "a used connection was handed out");
        if room.state.budget.max().is_some() {
            // What the cap over all pools would do.
            assert!(room.act(|state, _, todo| state.make_room(todo)));
        }
        assert_eq!(room.left, [(0, CloseReason::MadeRoom)]);
        room.closed(host);
        room.dialled_many(host, 1);
        assert_eq!(served(&mut fresh.receiver), Some(0));
        assert_eq!(room.left.len(), 1);
    }
}

#[test]
fn without_a_cap_on_sockets_an_unused_shared_connection_leaves_when_the_new_one_is_there() {
    let mut room = Room::new(|_| {});
    let host = room.host("a", Protocol::H2);
    room.full_and_unused(host);
    let mut fresh = room.wait_fresh(host);
    let standing = room.state.standing(host, fresh.id, room.now);
    assert!(matches!(standing, Some(Standing::Dial(_))), "{standing:?}");
    let Outcome::Wait(mut other) = room.ask(host, None, false) else {
        panic!("those who wait come first")
    };
    assert_eq!(served(&mut other.receiver), Some(0), "the others serve on");
    assert_eq!((room.left.len(), room.dials.len()), (0, 1));
    room.dialled_many(host, 1);
    assert_eq!(served(&mut fresh.receiver), Some(0));
    assert_eq!(room.left, [(0, CloseReason::MadeRoom)]);
}

#[test]
fn the_place_that_comes_back_serves_who_came_later_and_who_wants_a_new_one_is_dialled_for() {
    let mut room = Room::new(|_| {});
    let host = room.host("a", Protocol::H2);
    let [seat, _busy] = [(); 2].map(|()| room.seated(host));
    let mut fresh = room.wait_fresh(host);
    let mut later = room.wait(host);
    assert!(room.dials.is_empty(), "all that there may be bear requests");
    room.back(seat);
    assert_eq!(served(&mut later.receiver), Some(0));
    assert_eq!(room.dials.len(), 1);
    room.dialled_many(host, 1);
    assert_eq!(served(&mut fresh.receiver), Some(0));
    assert_eq!(room.left, [(0, CloseReason::MadeRoom)]);
}

#[test]
fn a_new_shared_connection_that_nobody_wants_any_more_leaves_before_those_that_bear_requests() {
    let mut room = Room::new(|_| {});
    let host = room.host("a", Protocol::H2);
    room.full_and_unused(host);
    let fresh = room.wait_fresh(host);
    room.act(|state, _, _| state.cancel(host, fresh.id));
    let _busy = [(); 2].map(|()| match room.checkout(host) {
        Outcome::Place(seat) => seat,
        _ => panic!("there is a place"),
    });
    let new = room.dialled_many(host, 1);
    assert_eq!(room.left, [(0, CloseReason::MadeRoom)]);
    assert_eq!(new.place().load(Ordering::SeqCst), crate::wire::Link::NOWHERE);
}

#[test]
fn a_shared_connection_that_was_to_be_replaced_serves_on_where_no_other_can_be_dialled() {
    let mut room = Room::new(|_| {});
    let host = room.host("a", Protocol::H2);
    room.full_and_unused(host);
    let mut fresh = room.wait_fresh(host);
    room.fails(host);
    assert!(has_failed(&mut fresh.receiver).is_some());
    assert!(matches!(room.checkout(host), Outcome::Place(_)));
    assert_eq!((room.left.len(), room.dials.len()), (0, 0));
}

#[test]
fn a_peer_that_allows_no_streams_is_not_dialled_anew_for_ever() {
    let mut room = Room::new(|_| {});
    let host = room.host("a", Protocol::H2);
    let _fresh = room.wait_fresh(host);
    for _ in 0..2 {
        room.dialled_many(host, 0);
    }
    assert!(room.dials.is_empty(), "{:?}", room.dials);
}

#[test]
fn who_wants_a_new_connection_takes_what_there_is_where_all_that_there_may_be_bear_requests() {
    let mut room = Room::new(|_| {});
    let host = room.host("a", Protocol::H2);
    let _busy: Vec<_> = (0..2)
        .map(|_| {
            let waits = room.wait(host);
            room.dialled_many(host, 1);
            waits
        })
        .collect();
    let mut fresh = room.wait_fresh(host);
    assert!(fresh.receiver.try_recv().is_err(), "there is no place");
    room.act(|state, now, todo| {
        let entry = state.hosts.get(host).unwrap().shared[0];
        state.shared(entry).unwrap().allow(2);
        state.places_changed(entry, now, todo);
    });
    assert_eq!((served(&mut fresh.receiver), room.left.len()), (Some(0), 0));
}

#[test]
fn there_is_room_for_a_new_connection_where_no_request_has_to_end_for_it() {
    let has_room = |room: &Room, host| room.state.has_room_for_new(host, room.now);
    for mut room in each_cap(2) {
        let host = room.host("a", Protocol::H1);
        assert!(has_room(&room, host));
        let _served = room.fill(host, 2);
        assert!(!has_room(&room, host), "both bear requests");
        room.idle(host);
        assert!(has_room(&room, host), "what is idle makes room");
    }
}

#[test]
fn there_is_none_while_the_host_is_left_alone_or_enough_handshakes_are_under_way() {
    let has_room = |room: &Room, host| room.state.has_room_for_new(host, room.now);
    let mut room = Room::new(|_| {});
    let (down, slow) = (room.host("a", Protocol::H1), room.host("b", Protocol::H1));
    let _failed = room.wait(down);
    room.fails(down);
    assert!(!has_room(&room, down));
    room.idle(down);
    assert!(!has_room(&room, down), "it would be closed for nothing");
    room.later(1);
    assert!(has_room(&room, down));
    let _wait: Vec<_> = (0..16).map(|_| room.wait(slow)).collect();
    assert!(!has_room(&room, slow));
}

#[test]
fn one_connection_leaves_and_no_more_where_nobody_else_waits() {
    for mut room in each_cap(2) {
        let host = room.host("a", Protocol::H1);
        let _served = room.fill(host, 2);
        let _fresh = room.wait_fresh(host);
        room.idle(host);
        let stays = room.idle(host);
        assert_eq!((room.left.len(), room.taken(host)), (1, stays));
    }
}
