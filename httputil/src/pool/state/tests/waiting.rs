//! Who gets a connection that comes back.

use super::*;

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
        close_idle as fn(&mut State<One, Many>, Instant, &mut Todo<One, Many>),
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
    room.act(close_idle);
    room.act(|state, now, todo| state.returned(host, one, now, todo));
    assert_eq!(room.left, [(number, CloseReason::CloseIdle)]);
}

#[test]
fn a_request_that_asks_again_is_served_before_those_who_came_after_it() {
    let mut room = Room::new(caps(1));
    let host = room.host("a", Protocol::H1);
    let mut first = room.wait(host);
    room.dialled(host);
    assert!(served(&mut first.receiver).is_some());
    let mut second = room.wait(host);
    let mut third = room.wait(host);
    // Its connection was no good.
    let Outcome::Wait(mut again) = room.ask_in_turn(host, first.id, None, false) else {
        panic!("a cap is reached")
    };
    room.closed(host);
    let number = room.dialled(host);
    assert_eq!(served(&mut again.receiver), Some(number));
    let other = room.idle(host);
    assert_eq!(served(&mut second.receiver), Some(other));
    let last = room.idle(host);
    assert_eq!(served(&mut third.receiver), Some(last));
}

#[test]
fn so_is_one_that_had_found_an_idle_connection() {
    let mut room = Room::new(caps(1));
    let host = room.host("a", Protocol::H1);
    room.wait(host);
    room.dialled(host);
    let turn = room.state.next_turn();
    let Outcome::Idle(one, _) = room.ask_in_turn(host, turn, None, false) else {
        panic!("one is idle")
    };
    drop(one);
    let mut later = room.wait(host);
    let Outcome::Wait(mut again) = room.ask_in_turn(host, turn, None, false) else {
        panic!("a cap is reached")
    };
    room.closed(host);
    let number = room.dialled(host);
    assert_eq!(served(&mut again.receiver), Some(number));
    assert!(later.receiver.try_recv().is_err());
}

#[test]
fn who_waits_for_no_dial_of_its_own_knows_why() {
    let mut room = Room::new(|pool| pool.max_connections = Some(4));
    let [host, failed] = ["a", "b"].map(|name| room.host(name, Protocol::H1));
    let why = |room: &Room, waiting: &Waiting<One, Seat>| match room.state.standing(waiting.host, waiting.id, room.now)
    {
        Some(Standing::Cap(cap)) => cap,
        other => panic!("{other:?}"),
    };
    let waiting: Vec<_> = (0..3).map(|_| room.wait(host)).collect();
    assert_eq!(why(&room, &waiting[2]), Cap::PoolShare);

    let _first = room.wait(failed);
    room.fails(failed);
    room.later(1);
    let waiting = [room.wait(failed), room.wait(failed)];
    assert_eq!(why(&room, &waiting[1]), Cap::Probe);

    let mut room = Room::new(|_| {});
    let returning = room.host("c", Protocol::H1);
    let waiting = room.wait_after(returning, |state, host, _, _| state.settling(host));
    assert_eq!(why(&room, &waiting), Cap::Return);

    room.state.budget = Budget::new(Some(4));
    let host = room.host("d", Protocol::H1);
    let waiting: Vec<_> = (0..3).map(|_| room.wait(host)).collect();
    assert_eq!(why(&room, &waiting[2]), Cap::RegistryShare);
}
