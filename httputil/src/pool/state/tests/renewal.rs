//! Other settings for a pool in use.

use std::net::SocketAddr;

use super::super::Exclusive;
use super::*;
use crate::connect::Answer;
use crate::pool::key::KeyRef;

fn limits(change: impl FnOnce(&mut settings::Pool)) -> Limits {
    let mut pool = settings::Pool::default();
    change(&mut pool);
    Limits {
        pool,
        max_shared_per_host: 2,
        spreads: false,
    }
}

impl Room {
    /// The same limits anew; hosts begin with `protocol`, or have another way.
    fn renew(&mut self, protocol: Option<Protocol>) {
        self.renew_with(limits(|_| {}), protocol);
    }

    fn renew_with(&mut self, limits: Limits, protocol: Option<Protocol>) {
        self.act(|state, now, todo| {
            let mut closing = state.renew(limits, |_| protocol, now, todo);
            while state.close_some(&mut closing, now, todo) {}
        });
    }

    /// A connection with a request on it.
    fn busy(&mut self, host: usize) -> One {
        let mut waiting = self.wait(host);
        self.dialled(host);
        match waiting.receiver.try_recv() {
            Ok(Delivery::Exclusive(one)) => one,
            other => panic!("{other:?}"),
        }
    }

    fn back_home(&mut self, host: usize, one: One) -> u32 {
        let number = one.number;
        self.act(|state, now, todo| state.check_in(host, one, now, todo));
        number
    }

    /// A connection of now, for a request.
    fn new_one(&mut self) -> One {
        let mut one = self.one();
        one.generation = self.state.renewed();
        one
    }
}

#[test]
fn what_is_idle_leaves_and_what_is_in_use_leaves_when_it_comes_home() {
    let mut room = Room::new(|_| {});
    let host = room.host("a", Protocol::H1);
    let [one, busy] = [room.busy(host), room.busy(host)];
    let idle = room.back_home(host, one);
    room.renew(Some(Protocol::H1));
    assert_eq!(room.left, [(idle, CloseReason::Reloaded)]);
    let number = room.back_home(host, busy);
    assert_eq!(room.left.pop(), Some((number, CloseReason::Reloaded)));
    assert_eq!(room.state.idle(), 0);
    // What is made now stays.
    let new = room.new_one();
    room.back_home(host, new);
    assert_eq!(room.state.idle(), 1);
}

#[test]
fn an_idle_connection_is_not_handed_out_before_its_turn_to_be_closed_comes() {
    let mut room = Room::new(|_| {});
    let host = room.host("a", Protocol::H1);
    let one = room.busy(host);
    let old = room.back_home(host, one);
    let _closing = room.act(|state, now, todo| state.renew(limits(|_| {}), |_| Some(Protocol::H1), now, todo));
    room.wait(host);
    assert_eq!(room.left, [(old, CloseReason::Reloaded)]);
    assert_eq!(room.dials.len(), 1);
}

#[test]
fn those_who_wait_keep_their_places_and_hear_nothing_of_a_dial_of_earlier_settings() {
    let mut room = Room::new(|_| {});
    for ends in 0..3 {
        let host = room.host(["a", "b", "c"][ends], Protocol::H1);
        let mut waiting = room.wait(host);
        let old = room.dial(host);
        let stop = Arc::clone(&old.stop);
        room.renew(Some(Protocol::H1));
        // It was told to stop; whatever came first, it serves nobody.
        assert!(stop.is_stopped());
        let before = room.left.len();
        match ends {
            0 => room.act(|state, now, todo| state.dial_gave_way(&old, now, todo)),
            1 => room.fail(&old),
            _ => {
                let one = room.one();
                room.act(|state, now, todo| state.dialled_exclusive(&old, one, now, todo));
                assert_eq!(room.left.len(), before + 1);
            }
        }
        assert!(waiting.receiver.try_recv().is_err(), "it waits on");
        let number = room.dialled(host);
        assert_eq!(served(&mut waiting.receiver), Some(number));
    }
}

#[test]
fn a_host_left_alone_under_earlier_settings_is_dialled_at_once() {
    let mut room = Room::new(|_| {});
    let host = room.host("a", Protocol::H1);
    let mut waiting = room.wait(host);
    room.fails(host);
    assert!(has_failed(&mut waiting.receiver).is_some());
    room.renew(Some(Protocol::H1));
    room.wait(host);
    assert_eq!(room.dials.len(), 1);
}

#[test]
fn shared_connections_give_out_no_place_and_the_protocol_is_learnt_anew() {
    let mut room = Room::new(|_| {});
    let host = room.host("a", Protocol::Unknown);
    let mut waiting = room.wait(host);
    let many = room.dialled_many(host, 10);
    let Ok(Delivery::Place(seat)) = waiting.receiver.try_recv() else {
        panic!("it was served")
    };
    room.renew(Some(Protocol::H1));
    assert_eq!(room.left, [(0, CloseReason::Reloaded)]);
    room.wait(host);
    room.wait(host);
    assert_eq!(room.dials.len(), 2, "an exclusive connection for each");
    assert_eq!(many.in_use(), 1);
    room.back(seat);
    assert_eq!(room.state.idle(), 0);
}

#[test]
fn those_whose_host_has_another_way_now_ask_again_and_the_host_is_forgotten_when_it_is_quiet() {
    let mut room = Room::new(|_| {});
    let host = room.host("a", Protocol::H1);
    let mut waits = [room.wait(host), room.wait(host)];
    let key = Arc::clone(room.state.key(host).unwrap());
    let found = |room: &mut Room| {
        room.state.find(KeyRef {
            target: &key.target,
            route: &key.route,
            runtime: key.runtime(),
        })
    };
    assert_eq!(found(&mut room), Some(host));
    room.renew(None);
    for waiting in &mut waits {
        assert!(matches!(waiting.receiver.try_recv(), Ok(Delivery::Moved)));
    }
    assert_eq!(room.state.waiting(), 0);
    assert_eq!(found(&mut room), None);
    while !room.dials.is_empty() {
        room.fails(host);
    }
    room.renew(Some(Protocol::H1));
    assert!(room.state.key(host).is_none(), "nothing refers to it");
    assert_eq!(found(&mut room), None);
}

#[test]
fn a_host_that_is_asked_for_again_before_that_is_the_same_and_caps_count_what_drains() {
    let mut room = Room::new(caps(1));
    let host = room.host("a", Protocol::H1);
    let busy = room.busy(host);
    let mut waiting = room.wait(host);
    room.renew_with(limits(caps(1)), None);
    assert!(matches!(waiting.receiver.try_recv(), Ok(Delivery::Moved)));
    assert_eq!(room.host("a", Protocol::H1), host);
    let mut again = room.wait(host);
    assert!(room.dials.is_empty(), "its connection is still open");
    room.back_home(host, busy);
    room.closed(host);
    let number = room.dialled(host);
    assert_eq!(served(&mut again.receiver), Some(number));
}

fn spread(spreads: bool) -> Limits {
    Limits {
        spreads,
        ..limits(caps(1))
    }
}

impl Room {
    /// The oldest dial to a host of one address, when it knows where to go.
    fn routed(&mut self, host: usize) -> (Dial, u32) {
        let dial = self.dial(host);
        let answer = Answer {
            addresses: vec![SocketAddr::from(([10, 0, 0, 1], 80))],
            is_current: true,
            ask_again: None,
        };
        self.act(|state, now, todo| state.assign(&dial, answer, now, todo));
        let site = self.state.arrived(&dial, None, self.now);
        (dial, site)
    }
}

#[test]
fn caps_count_what_drains_and_nobody_has_to_ask_again_where_connections_are_spread_from_now_on() {
    let mut room = Room::with(caps(1), true);
    let host = room.host("a", Protocol::H1);
    let mut first = room.wait(host);
    // A connection that remembers which of the addresses it leads to.
    let ((dial, site), one) = (room.routed(host), room.one());
    one.bond().lead_to(site);
    room.act(|state, now, todo| state.dialled_exclusive(&dial, one, now, todo));
    let Ok(Delivery::Exclusive(busy)) = first.receiver.try_recv() else {
        panic!("it was dialled for")
    };
    let mut waiting = room.wait(host);
    for round in 0..4 {
        room.renew_with(spread(round % 2 == 1), Some(Protocol::H1));
        assert!(room.dials.is_empty() && waiting.receiver.try_recv().is_err());
    }
    room.back_home(host, busy);
    room.state.leave_site(host, site);
    room.closed(host);
    let number = room.dialled(host);
    assert_eq!(served(&mut waiting.receiver), Some(number));
}

#[test]
fn a_dial_that_knew_where_to_go_is_none_of_a_later_list_of_addresses() {
    let mut room = Room::with(caps(1), true);
    let host = room.host("a", Protocol::H1);
    let _waits = room.wait(host);
    let (old, _) = room.routed(host);
    for spreads in [false, true] {
        room.renew_with(spread(spreads), Some(Protocol::H1));
    }
    room.fail(&old);
    let (new, site) = room.routed(host);
    let sites = room.state.hosts.get(host).unwrap().sites.as_deref().unwrap();
    assert_eq!(sites.counts().collect::<Vec<_>>(), [(site, 1, 0)]);
    room.fail(&new);
    let sites = room.state.hosts.get(host).unwrap().sites.as_deref().unwrap();
    assert_eq!((sites.counts().next(), sites.decided), (Some((site, 0, 0)), 0));
}

#[test]
fn caps_count_what_drains() {
    let mut room = Room::new(caps(1));
    let host = room.host("a", Protocol::H1);
    let busy = room.busy(host);
    room.renew_with(limits(caps(1)), Some(Protocol::H1));
    let mut second = room.wait(host);
    assert!(room.dials.is_empty());
    room.back_home(host, busy);
    room.closed(host);
    let number = room.dialled(host);
    assert_eq!(served(&mut second.receiver), Some(number));
}

#[test]
fn other_limits_hold_at_once() {
    let mut room = Room::new(|_| {});
    let host = room.host("a", Protocol::H1);
    let short = Duration::from_secs(1);
    room.renew_with(
        limits(|pool| {
            pool.idle_timeout = short;
            pool.max_idle_per_host = 1;
        }),
        Some(Protocol::H1),
    );
    let numbers = [room.new_one(), room.new_one()].map(|one| room.back_home(host, one));
    assert_eq!(room.left, [(numbers[0], CloseReason::IdleCap)]);
    room.later(1);
    room.act(State::reap);
    assert_eq!(room.left.pop(), Some((numbers[1], CloseReason::IdleTimeout)));
}
