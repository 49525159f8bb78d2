//! Shared connections and their places.

use super::*;

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
    room.act(|state, now, todo| state.add_shared(host, many.clone(), None, now, todo));
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
fn those_who_wait_for_a_place_are_dialled_for_when_the_shared_connections_are_to_close() {
    let mut room = Room::new(|_| {});
    let host = room.host("a", Protocol::H2);
    let _served: Vec<_> = (0..2).map(|_| room.wait(host)).collect();
    let many = [room.dialled_many(host, 1), room.dialled_many(host, 1)];
    let mut waits = room.wait(host);
    assert!(room.dials.is_empty(), "two connections at most");
    room.act(close_idle);
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
fn a_peer_that_does_not_say_in_time_how_many_requests_it_takes_is_not_waited_for() {
    let mut room = Room::new(|_| {});
    let host = room.host("a", Protocol::H2);
    let mut waits: Vec<_> = (0..3).map(|_| room.wait(host)).collect();
    let (mute, dial) = (Many::that_says(100, usize::MAX), room.dial(host));
    room.act(|state, now, todo| state.dialled_shared(&dial, mute.clone(), now, todo));
    assert_eq!(served(&mut waits[0].receiver), Some(0), "it takes one in any case");
    let standing = room.state.standing(host, waits[1].id, room.now);
    assert!(matches!(standing, Some(Standing::Cap(Cap::Settings))), "{standing:?}");
    room.act(|state, now, todo| state.look_for_overdue(host, now, todo));
    assert!(room.dials.is_empty(), "not yet");
    room.later(1);
    room.act(|state, now, todo| state.look_for_overdue(host, now, todo));
    assert_eq!(room.dials.len(), 1);
    room.dialled_many(host, 10);
    assert!(waits[1..].iter_mut().all(|waits| served(&mut waits.receiver).is_some()));
}

#[test]
fn one_that_is_in_doubt_when_somebody_has_waited_for_a_while_takes_no_more_requests() {
    let mut room = Room::new(|_| {});
    let host = room.host("a", Protocol::H2);
    let mut first = room.wait(host);
    let doubtful = room.dialled_many(host, 1);
    let _seat = served(&mut first.receiver);
    let mut second = room.wait(host);
    let busy = room.dialled_many(host, 1);
    assert!(served(&mut second.receiver).is_some() && busy.in_use() == 1);
    doubtful.doubt(true);
    let mut waits = room.wait(host);
    let standing = room.state.standing(host, waits.id, room.now);
    assert!(matches!(standing, Some(Standing::Cap(Cap::Streams))), "{standing:?}");
    room.act(|state, now, todo| state.look_for_overdue(host, now, todo));
    assert_eq!(room.left, [(0, CloseReason::Suspect)]);
    assert_eq!(room.dials.len(), 1);
    room.dialled_many(host, 1);
    assert!(served(&mut waits.receiver).is_some());
}

#[test]
fn one_whose_peer_takes_no_more_requests_makes_place_for_another_when_somebody_has_waited_for_a_while() {
    let mut room = Room::new(caps(3));
    let host = room.host("a", Protocol::H2);
    let both = [(); 2].map(|()| {
        let mut waits = room.wait(host);
        let many = room.dialled_many(host, 1);
        assert!(served(&mut waits.receiver).is_some());
        many
    });
    both[1].allow(0);
    let mut waits = room.wait(host);
    assert!(room.dials.is_empty(), "there are as many as there may be");
    room.act(|state, now, todo| state.look_for_overdue(host, now, todo));
    assert_eq!(
        (&room.left[..], room.dials.len()),
        (&[(0, CloseReason::PeerClosed)][..], 1)
    );
    assert_eq!(both[1].place().load(Ordering::SeqCst), crate::wire::Link::NOWHERE);
    room.dialled_many(host, 1);
    assert!(served(&mut waits.receiver).is_some());
}

#[test]
fn one_whose_peer_takes_no_more_requests_and_that_bears_none_gives_its_slot_to_another() {
    let mut room = Room::new(caps(1));
    let host = room.host("a", Protocol::H2);
    let mut first = room.wait(host);
    let shut = room.dialled_many(host, 1);
    let Ok(Delivery::Place(seat)) = first.receiver.try_recv() else {
        panic!("it was dialled for")
    };
    room.back(seat);
    shut.allow(0);
    let mut waits = room.wait(host);
    room.act(|state, now, todo| state.look_for_overdue(host, now, todo));
    assert_eq!(room.left, [(0, CloseReason::PeerClosed)]);
    room.closed(host);
    room.dialled_many(host, 1);
    assert!(served(&mut waits.receiver).is_some());
}

#[test]
fn one_in_doubt_serves_on_where_a_cap_on_sockets_allows_no_other() {
    let per_host: fn(&mut settings::Pool) = |pool| pool.max_connections_per_host = Some(2);
    let per_pool: fn(&mut settings::Pool) = |pool| pool.max_connections = Some(2);
    for cap in [per_host, per_pool] {
        let mut room = Room::new(cap);
        let host = room.host("a", Protocol::H2);
        let mut first = room.wait(host);
        let doubtful = room.dialled_many(host, 2);
        let _seat = served(&mut first.receiver);
        let Outcome::Place(held) = room.checkout(host) else {
            panic!("there is a second place");
        };
        let mut third = room.wait(host);
        let _busy = room.dialled_many(host, 1);
        assert!(served(&mut third.receiver).is_some());
        doubtful.doubt(true);
        let mut waits = room.wait(host);
        room.act(|state, now, todo| state.look_for_overdue(host, now, todo));
        assert!(room.left.is_empty() && room.dials.is_empty());
        // It lives: what is given back serves who waits.
        doubtful.doubt(false);
        room.back(held);
        assert!(served(&mut waits.receiver).is_some());
    }
}

#[test]
fn no_connection_is_dialled_beside_one_whose_peer_says_at_that_moment_how_many_requests_it_takes() {
    for after in 1..8 {
        let mut room = Room::new(|_| {});
        let host = room.host("a", Protocol::H2);
        let mut waits: Vec<_> = (0..3).map(|_| room.wait(host)).collect();
        let (many, dial) = (Many::that_says(100, after), room.dial(host));
        room.act(|state, now, todo| state.dialled_shared(&dial, many.clone(), now, todo));
        let later = [room.checkout(host), room.checkout(host)];
        many.allow(100);
        // The pool hears of it.
        let place = many.place().load(Ordering::SeqCst);
        room.act(|state, now, todo| state.places_changed(place, now, todo));
        let mut all_served = waits.iter_mut().all(|waiting| served(&mut waiting.receiver).is_some());
        for mut outcome in later {
            if let Outcome::Wait(waiting) = &mut outcome {
                all_served &= served(&mut waiting.receiver).is_some();
            }
        }
        assert!(all_served, "after {after}");
        assert_eq!(room.begun.len(), 1, "after {after}");
    }
}

/// A shared connection that is too old, with a request that goes on, where no other may be dialled.
fn too_old_at_a_cap() -> (Room, usize, Seat) {
    let mut room = Room::new(|pool| pool.max_connections = Some(1));
    let host = room.host("a", Protocol::H2);
    let mut long = room.wait(host);
    let (many, dial) = (Many::until(room.now + Duration::from_mins(1), 10), room.dial(host));
    room.act(|state, now, todo| state.dialled_shared(&dial, many, now, todo));
    let Ok(Delivery::Place(long)) = long.receiver.try_recv() else {
        panic!("it has a place")
    };
    room.later(60);
    (room, host, long)
}

#[test]
fn a_connection_that_is_too_old_serves_its_host_beside_a_long_request_while_no_other_may_be_dialled() {
    let (mut room, host, long) = too_old_at_a_cap();
    // Its requests are given a moment to end.
    let mut waits = room.wait(host);
    room.later(1);
    room.act(|_, _, _| {});
    assert!(waits.receiver.try_recv().is_err());
    room.later(1);
    room.act(|_, _, _| {});
    let Ok(Delivery::Place(short)) = waits.receiver.try_recv() else {
        panic!("its host goes without")
    };
    let Outcome::Place(other) = room.checkout(host) else {
        panic!("it is left alone")
    };
    assert_eq!(room.left, []);
    // With the last of them it goes.
    for place in [short, other, long] {
        room.back(place);
    }
    let _waits = room.wait(host);
    assert_eq!(room.left, [(0, CloseReason::MaxLifetime)]);
    room.closed(host);
    assert_eq!(room.dials.len(), 1);
}

#[test]
fn a_connection_that_is_too_old_ends_when_its_requests_do_in_a_moment() {
    let (mut room, host, short) = too_old_at_a_cap();
    let mut waits = room.wait(host);
    room.back(short);
    assert_eq!(room.left, [(0, CloseReason::MaxLifetime)]);
    room.closed(host);
    room.dialled_many(host, 10);
    assert_eq!(served(&mut waits.receiver), Some(0));
}
