//! What is idle: order, caps, ages, and closing what is due.

use super::super::idle::CLOSED_AT_ONCE;
use super::*;

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
fn while_a_host_cannot_be_reached_one_dial_is_made_whatever_is_to_be_kept_ready() {
    let mut room = Room::new(|pool| pool.min_idle_per_host = 3);
    let host = room.host("a", Protocol::H1);
    let _waits = room.wait(host);
    assert_eq!(room.dials.len(), 4);
    for _ in 0..4 {
        room.fails(host);
    }
    room.later(1);
    let _waits = room.wait(host);
    assert_eq!(room.dials.len(), 1, "it is probed");
    room.dialled(host);
    assert_eq!(room.dials.len(), 0);
    let _waits = room.wait(host);
    assert_eq!(room.dials.len(), 4);
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
    // Those that are closed a second before were not missed.
    let host = room.host("b", Protocol::H1);
    room.idle(host);
    let kept = room.idle(host);
    assert_eq!(room.taken(host), kept);
    room.later(1);
    room.wait(host);
    assert_eq!(room.regrets, 1);
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

#[test]
fn all_that_is_idle_is_closed_some_at_a_time_and_what_becomes_idle_meanwhile_stays() {
    let mut room = Room::new(|pool| {
        pool.max_idle = usize::MAX;
        pool.max_idle_per_host = usize::MAX;
    });
    let hosts = ["a", "b", "c"].map(|name| room.host(name, Protocol::H1));
    let h2 = room.host("d", Protocol::H2);
    for number in 0..1000 {
        room.idle(hosts[number % 3]);
    }
    let _served = room.wait(h2);
    let _in_use = room.dialled_many(h2, 9);

    let mut closing = room.state.close_idle(CloseReason::CloseIdle);
    let mut most = 0;
    let (mut holds, mut kept, mut taken) = (0, Vec::new(), Vec::new());
    loop {
        let before = room.left.len();
        let more = room.act(|state, now, todo| state.close_some(&mut closing, now, todo));
        holds += 1;
        most = most.max(room.left.len() - before);
        if !more {
            break;
        }
        // In between one is asked for, and a new one comes in.
        if let Outcome::Idle(one, _) = room.checkout(hosts[2]) {
            taken.push(one);
        }
        let mut new = room.one();
        new.generation = 1;
        kept.push(new.number);
        room.act(|state, now, todo| state.check_in(hosts[0], new, now, todo));
    }
    assert_eq!((holds, most), (4, CLOSED_AT_ONCE));
    assert_eq!((kept.len(), taken.len()), (3, 3));
    // All of the thousand but those taken, and the shared one, which takes no more.
    assert_eq!(room.left.len(), 1000 - taken.len() + 1);
    assert_eq!(room.state.idle(), kept.len());
    for number in kept.into_iter().rev() {
        assert_eq!(room.taken(hosts[0]), number);
    }
    for one in taken {
        let number = one.number;
        room.act(|state, now, todo| state.check_in(hosts[2], one, now, todo));
        assert_eq!(room.left.pop(), Some((number, CloseReason::CloseIdle)));
    }
}

#[test]
fn what_is_there_to_be_closed_costs_no_more_holds_than_it_needs() {
    let mut room = Room::new(|_| {});
    let host = room.host("a", Protocol::H1);
    let number = room.idle(host);
    let mut closing = room.state.close_idle(CloseReason::CloseIdle);
    assert!(!room.act(|state, now, todo| state.close_some(&mut closing, now, todo)));
    assert_eq!(room.left, [(number, CloseReason::CloseIdle)]);
    let mut closing = room.state.close_idle(CloseReason::CloseIdle);
    assert!(!room.act(|state, now, todo| state.close_some(&mut closing, now, todo)));
}

#[test]
fn the_idle_hibernate_in_their_order_and_are_looked_at_in_time() {
    let mut room = Room::new(|_| {});
    let host = room.host("a", Protocol::H1);
    room.idle(host);
    room.later(2);
    let newest = room.idle(host);
    assert_eq!(room.act(State::reap), Some(room.now + Duration::from_secs(3)));
    room.later(3);
    assert_eq!(room.act(State::reap), Some(room.now + Duration::from_secs(2)));
    assert_eq!(room.state.hibernating(), 1);
    room.later(2);
    room.act(State::reap);
    assert_eq!((room.state.hibernating(), room.state.idle()), (2, 2));
    // Taken out, awake; idle again, it has its time before it.
    assert_eq!(room.taken(host), newest);
    assert_eq!(room.state.hibernating(), 1);
    room.idle(host);
    room.later(4);
    room.act(State::reap);
    assert_eq!(room.state.hibernating(), 1);
    room.act(close_idle);
    assert_eq!((room.state.hibernating(), room.state.idle()), (0, 0));
}

#[test]
fn nothing_hibernates_that_is_closed_before_or_is_told_not_to() {
    for change in [
        |pool: &mut settings::Pool| pool.hibernate_after = None,
        |pool: &mut settings::Pool| pool.idle_timeout = Duration::from_secs(5),
    ] {
        let mut room = Room::new(change);
        let host = room.host("a", Protocol::H1);
        room.idle(host);
        room.later(4);
        room.act(State::reap);
        room.later(2);
        room.act(State::reap);
        assert_eq!(room.state.hibernating(), 0);
    }
}
