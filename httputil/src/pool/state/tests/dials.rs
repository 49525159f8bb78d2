//! Dials: as many as are needed, and what becomes of those who wait for one that fails.

use super::*;

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
fn dials_that_nobody_waits_for_stop_with_the_last_lease() {
    let mut room = Room::new(|_| {});
    let (a, b) = (room.host("a", Protocol::H1), room.host("b", Protocol::H1));
    let (gone, _waits) = (room.wait(a), room.wait(b));
    room.act(|state, _, _| state.cancel(a, gone.id));
    room.state.leases = 0;
    room.act(|state, _, todo| state.stop_dials(todo));
    let stopped: Vec<bool> = room.state.running.iter().map(|running| running.is_stopped).collect();
    assert_eq!(stopped, [true, false]);
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

/// A host for which somebody waits for a dial that hangs at an address.
fn hanging(room: &mut Room, protocol: Protocol) -> (usize, Waiting<One, Seat>, std::net::SocketAddr) {
    let host = room.host("a", protocol);
    let waiting = room.wait(host);
    let address = std::net::SocketAddr::from(([10, 0, 0, 1], 443));
    room.dials[0].progress.reach(address);
    room.act(|state, now, todo| state.doubt(host, address, now, todo));
    assert_eq!(room.begun.len(), 1, "it was reached a moment ago");
    room.later(1);
    room.act(|state, now, todo| state.doubt(host, address, now, todo));
    assert_eq!(room.begun.len(), 2, "{protocol:?}");
    (host, waiting, address)
}

#[test]
fn one_who_waits_for_a_dial_that_hangs_is_dialled_for_once_more_and_served_by_whichever_comes_first() {
    for protocol in [Protocol::Unknown, Protocol::H1, Protocol::H2] {
        for fails in [false, true] {
            let mut room = Room::new(|_| {});
            let (host, mut waiting, address) = hanging(&mut room, protocol);
            // Where the other one is dialled to the same address, that is the end of it.
            room.dials[1].progress.reach(address);
            room.later(1);
            room.act(|state, now, todo| state.doubt(host, address, now, todo));
            assert_eq!(room.begun.len(), 2, "{protocol:?}");
            if fails {
                room.fails(host);
                assert!(served(&mut waiting.receiver).is_none(), "the other dial may serve it");
            }
            let number = room.dialled(host);
            assert_eq!(served(&mut waiting.receiver), Some(number), "{protocol:?}");
            // Neither is counted any more, and the host is not left alone.
            let _next = room.wait(host);
            let under_way = room.begun.len() - 2 + usize::from(!fails);
            assert_eq!(room.dials.len(), under_way, "{protocol:?}, fails: {fails}");
            assert_eq!(under_way, 1, "{protocol:?}, fails: {fails}");
        }
    }
}

#[test]
fn nobody_waits_on_for_a_dial_that_hangs_when_the_other_one_has_failed() {
    for protocol in [Protocol::Unknown, Protocol::H1, Protocol::H2] {
        let mut room = Room::new(|_| {});
        let (host, mut waiting, _) = hanging(&mut room, protocol);
        let other = room.dials.remove(1);
        room.fail(&other);
        assert_eq!(
            has_failed(&mut waiting.receiver).as_deref(),
            Some("refused"),
            "{protocol:?}"
        );
        let mut next = room.wait(host);
        assert!(
            has_failed(&mut next.receiver).is_some(),
            "{protocol:?}: it is left alone for a moment"
        );
        let number = room.dialled(host);
        assert_eq!(room.taken(host), number, "{protocol:?}: it was slow only");
    }
}
