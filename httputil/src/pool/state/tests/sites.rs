//! Addresses of one host, under `dns.balance = "round_robin"`.

use std::net::SocketAddr;

use super::super::Exclusive;
use super::super::sites::Sites;
use super::*;
use crate::connect::Answer;

fn at(number: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, number], 80))
}

impl Room {
    fn answer(&self, numbers: &[u8]) -> Answer {
        Answer {
            addresses: numbers.iter().copied().map(at).collect(),
            is_current: true,
            ask_again: Some(self.now + Duration::from_secs(30)),
        }
    }

    fn follow(&mut self, host: usize, numbers: &[u8]) {
        let answer = self.answer(numbers);
        self.act(|state, now, todo| state.follow(host, &answer, now, todo));
    }

    /// The oldest dial becomes a connection to the address that it is given first; which that is.
    fn dialled_to(&mut self, host: usize, numbers: &[u8]) -> SocketAddr {
        let (dial, one, answer) = (self.dial(host), self.one(), self.answer(numbers));
        let route = self.act(|state, now, todo| state.assign(&dial, answer, now, todo));
        assert_eq!(route.len(), numbers.len(), "it may go on to the others");
        let site = self.state.arrived(&dial, Some(route[0]), self.now);
        one.bond().lead_to(site);
        self.act(|state, now, todo| state.dialled_exclusive(&dial, one, now, todo));
        route[0]
    }

    /// The oldest dial becomes a shared connection to this address.
    fn shared_at(&mut self, host: usize, number: u8, named: &[u8]) -> Many {
        let (dial, many, answer) = (self.dial(host), Many::new(0, 2), self.answer(named));
        self.act(|state, now, todo| state.assign(&dial, answer, now, todo));
        many.lead_to(self.state.arrived(&dial, Some(at(number)), self.now));
        self.act(|state, now, todo| state.dialled_shared(&dial, many.clone(), now, todo));
        many
    }
}

#[test]
fn each_dial_goes_to_the_address_with_the_fewest_connections() {
    let mut room = Room::with(|_| {}, true);
    let host = room.host("a", Protocol::H1);
    let _waiting: Vec<_> = (0..6).map(|_| room.wait(host)).collect();
    let mut reached: Vec<_> = (0..6).map(|_| room.dialled_to(host, &[1, 2, 3])).collect();
    reached.sort_unstable();
    assert_eq!(reached, [at(1), at(1), at(2), at(2), at(3), at(3)]);
}

#[test]
fn dials_under_way_count_and_one_that_failed_is_not_tried_again_at_once() {
    let mut room = Room::with(|_| {}, true);
    let host = room.host("a", Protocol::H1);
    let _waiting: Vec<_> = (0..3).map(|_| room.wait(host)).collect();
    let (first, second) = (room.dial(host), room.dial(host));
    let mut routes = Vec::new();
    for dial in [&first, &second] {
        let answer = room.answer(&[1, 2]);
        routes.push(room.act(|state, now, todo| state.assign(dial, answer, now, todo)));
    }
    assert_eq!(routes, [[at(1), at(2)], [at(2), at(1)]]);
    room.fail(&first);
    assert_eq!(room.dialled_to(host, &[1, 2]), at(2));
}

#[test]
fn an_address_that_failed_a_request_is_dialled_after_the_others_for_a_while_though_it_can_be_reached() {
    let mut room = Room::with(|_| {}, true);
    let host = room.host("a", Protocol::H1);
    let _first = room.wait(host);
    let blamed = room.dialled_to(host, &[1, 2]);
    let sites = room.state.sites(host).unwrap();
    sites.blame(blamed, room.now);
    let _others: Vec<_> = (0..2).map(|_| room.wait(host)).collect();
    // Though the other one has a connection then.
    assert_ne!(room.dialled_to(host, &[1, 2]), blamed);
    assert_ne!(room.dialled_to(host, &[1, 2]), blamed);
    // A dial that began before, and has found it there, changes nothing.
    let sites = room.state.sites(host).unwrap();
    sites.reached(0);
    sites.reached(1);
    let (now, second) = (room.now, Duration::from_secs(1));
    let first_at = |sites: &mut Sites, now| sites.for_dial(now)[0];
    assert_ne!(first_at(sites, now), blamed);
    // Its time is over; and it is longer the second time, until it has served for a minute.
    assert_eq!(first_at(sites, now + second), blamed);
    sites.blame(blamed, now + second);
    assert_ne!(first_at(sites, now + 2 * second), blamed);
    assert_eq!(first_at(sites, now + 3 * second), blamed);
    sites.blame(blamed, now + 70 * second);
    assert_eq!(first_at(sites, now + 71 * second), blamed);
}

#[test]
fn where_only_addresses_that_are_passed_over_bear_requests_another_one_gets_a_connection() {
    for is_blamed in [false, true] {
        let mut room = Room::with(|_| {}, true);
        let host = room.host("a", Protocol::H1);
        let mut waiting: Vec<_> = (0..2).map(|_| room.wait(host)).collect();
        let bear: Vec<_> = (0..2).map(|_| room.dialled_to(host, &[1, 2, 3, 4])).collect();
        if is_blamed {
            let sites = room.state.sites(host).unwrap();
            for address in &bear {
                sites.blame(*address, room.now);
            }
        }
        let Ok(Delivery::Exclusive(one)) = waiting[0].receiver.try_recv() else {
            panic!("it was dialled for");
        };
        room.act(|state, now, todo| state.check_in(host, one, now, todo));
        assert!(matches!(room.ask(host, None, false), Outcome::Idle(..)));
        let mut dialled: Vec<_> = (0..2).map(|_| room.dialled_to(host, &[1, 2, 3, 4])).collect();
        dialled.extend(bear);
        dialled.sort_unstable();
        assert_eq!(dialled, [at(1), at(2), at(3), at(4)], "{is_blamed}");
        // They have their share, though they bear nothing yet.
        assert!(matches!(room.ask(host, None, false), Outcome::Idle(..)));
        assert!(room.dials.is_empty(), "{is_blamed}");
    }
}

#[test]
fn a_dial_that_fails_at_one_address_is_made_up_for_at_another_and_nobody_hears_of_it_before_all_have() {
    for protocol in [Protocol::Unknown, Protocol::H1, Protocol::H2] {
        let mut room = Room::with(|_| {}, true);
        let host = room.host("a", protocol);
        let mut waiting = room.wait(host);
        let mut failed = Vec::new();
        for left in [2, 1, 0] {
            let (dial, answer) = (room.dial(host), room.answer(&[1, 2, 3]));
            let route = room.act(|state, now, todo| state.assign(&dial, answer, now, todo));
            room.state.arrived(&dial, Some(route[0]), room.now);
            failed.push(route[0]);
            room.fail(&dial);
            assert_eq!(has_failed(&mut waiting.receiver).is_some(), left == 0, "{protocol:?}");
            assert_eq!(room.dials.len(), usize::from(left > 0), "{protocol:?}");
        }
        failed.sort_unstable();
        assert_eq!(failed, [at(1), at(2), at(3)]);
    }
}

#[test]
fn an_idle_connection_to_an_address_that_goes_is_closed_and_one_in_use_when_it_comes_home() {
    let mut room = Room::with(|_| {}, true);
    let host = room.host("a", Protocol::H1);
    let mut waiting: Vec<_> = (0..2).map(|_| room.wait(host)).collect();
    room.dialled_to(host, &[1, 2]);
    room.dialled_to(host, &[1, 2]);
    let ones: Vec<One> = waiting
        .iter_mut()
        .map(|waiting| match waiting.receiver.try_recv() {
            Ok(Delivery::Exclusive(one)) => one,
            _ => panic!("it was dialled for"),
        })
        .collect();
    let [idle, in_use]: [One; 2] = ones.try_into().unwrap();
    let numbers = [idle.number, in_use.number];
    room.act(|state, now, todo| state.check_in(host, idle, now, todo));
    room.follow(host, &[3]);
    room.act(|state, now, todo| state.check_in(host, in_use, now, todo));
    assert_eq!(room.left, numbers.map(|number| (number, CloseReason::AddressGone)));
}

#[test]
fn a_shared_connection_to_an_address_that_has_gone_serves_those_who_waited_for_it_and_no_others() {
    let mut room = Room::with(|_| {}, true);
    let host = room.host("a", Protocol::Unknown);
    let mut waiting = room.wait(host);
    room.shared_at(host, 9, &[1]);
    assert_eq!(served(&mut waiting.receiver), Some(0));
    assert_eq!(room.left, [(0, CloseReason::AddressGone)]);
    // The protocol is remembered: one dial serves all who come now.
    let _waiting = (room.wait(host), room.wait(host));
    assert_eq!(room.dials.len(), 1);
}

#[test]
fn who_waits_for_a_new_shared_connection_takes_a_place_when_fewer_addresses_allow_no_more_of_them() {
    let mut room = Room::with(caps(2), true);
    let host = room.host("a", Protocol::H2);
    room.follow(host, &[1, 2, 3]);
    let _first = room.wait(host);
    let shared = [room.shared_at(host, 1, &[1, 2, 3]), room.shared_at(host, 2, &[1, 2, 3])];
    let _second = room.checkout(host);
    let Outcome::Wait(mut fresh) = room.ask(host, None, true) else {
        panic!("nothing new is there")
    };
    assert!(served(&mut fresh.receiver).is_none());
    room.follow(host, &[1, 2]);
    assert_eq!(served(&mut fresh.receiver), Some(0));
    drop(shared);
}

#[test]
fn a_name_is_looked_up_again_by_the_first_request_after_its_time_and_once() {
    let mut room = Room::with(|_| {}, true);
    let host = room.host("a", Protocol::H1);
    let _held = room.wait(host);
    room.dialled_to(host, &[1]);
    room.wait(host);
    assert_eq!(room.look_ups, 0);
    room.later(30);
    room.wait(host);
    room.wait(host);
    assert_eq!(room.look_ups, 1);
    let key = Arc::clone(room.state.key(host).unwrap());
    let again = Duration::from_secs(5);
    room.act(|state, now, todo| state.looked_up(&key, Err(again), now, todo));
    room.wait(host);
    assert_eq!(room.look_ups, 1);
    room.later(5);
    room.wait(host);
    assert_eq!(room.look_ups, 2);
}

#[test]
fn an_answer_of_a_thousand_addresses_is_not_a_thousand_connections() {
    let mut room = Room::with(|_| {}, true);
    let host = room.host("a", Protocol::H2);
    let answer = Answer {
        addresses: (0..1000)
            .map(|port| SocketAddr::from(([10, 0, 0, 1], port + 1)))
            .collect(),
        ..room.answer(&[])
    };
    room.act(|state, now, todo| state.follow(host, &answer, now, todo));
    let sites = room.state.sites(host).unwrap();
    assert_eq!(sites.listed(), 128);
    // The same few, in whichever order they come.
    let mut turned = answer.addresses.clone();
    turned.reverse();
    assert!(!sites.learn(&turned));
    assert_eq!(sites.counts().count(), 128);
}

#[test]
fn what_leads_to_an_address_that_is_passed_over_serves_requests_when_nothing_else_does() {
    let mut room = Room::with(|_| {}, true);
    let host = room.host("a", Protocol::H1);
    let mut waiting = [room.wait(host), room.wait(host)];
    let reached = [room.dialled_to(host, &[1, 2]), room.dialled_to(host, &[1, 2])];
    let ones = waiting.each_mut().map(|waiting| match waiting.receiver.try_recv() {
        Ok(Delivery::Exclusive(one)) => one,
        _ => panic!("it was dialled for"),
    });
    let [bad, good] = [ones[0].number, ones[1].number];
    for one in ones {
        room.act(|state, now, todo| state.check_in(host, one, now, todo));
    }
    room.state.sites(host).unwrap().blame(reached[0], room.now);
    // Whoever's turn it is.
    assert_eq!([room.taken(host), room.taken(host)], [good, bad]);
}

#[test]
fn likewise_over_shared_connections() {
    let mut room = Room::with(|_| {}, true);
    let host = room.host("a", Protocol::H2);
    let mut first = room.wait(host);
    let bad = room.shared_at(host, 1, &[1, 2]);
    let Ok(Delivery::Place(seat)) = first.receiver.try_recv() else {
        panic!("it was dialled for")
    };
    room.back(seat);
    // The next request has the other one dialled.
    let Outcome::Place(seat) = room.checkout(host) else {
        panic!("there are places")
    };
    let good = room.shared_at(host, 2, &[1, 2]);
    room.back(seat);
    room.state.sites(host).unwrap().blame(at(1), room.now);
    let places = |room: &mut Room| match room.checkout(host) {
        Outcome::Place(seat) => seat,
        _ => panic!("there are places"),
    };
    let seats = [(); 3].map(|()| places(&mut room));
    let taken = seats.each_ref().map(|seat| seat.many().site());
    assert_eq!(taken, [good.site(), good.site(), bad.site()], "as many as it has");
}
