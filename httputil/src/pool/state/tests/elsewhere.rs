//! Requests that have just failed on a connection, and would rather have another one.

use std::net::SocketAddr;

use super::super::{Exclusive, Failed, Rather};
use super::*;
use crate::wire::Marks;

impl Room {
    /// An idle connection to an address of the host.
    fn idle_at(&mut self, host: usize, address: u32) -> Marks {
        let one = self.one();
        one.bond().lead_to(address);
        let marks = one.marks();
        self.act(|state, now, todo| state.check_in(host, one, now, todo));
        marks
    }

    /// So many idle connections, each of which has been dialled.
    fn dialled_and_idle<const N: usize>(&mut self, host: usize) -> [Marks; N] {
        let mut waiting: Vec<_> = (0..N).map(|_| self.wait(host)).collect();
        for _ in 0..N {
            self.dialled(host);
        }
        let home = waiting.iter_mut().map(|waiting| {
            let Ok(Delivery::Exclusive(one)) = waiting.receiver.try_recv() else {
                panic!("it was dialled for");
            };
            let marks = one.marks();
            self.act(|state, now, todo| state.check_in(host, one, now, todo));
            marks
        });
        home.collect::<Vec<_>>().try_into().unwrap()
    }

    /// The oldest dial becomes a shared connection of two places.
    fn dialled_shared(&mut self, host: usize, number: u32) -> Many {
        let (dial, many) = (self.dial(host), Many::new(number, 2));
        self.act(|state, now, todo| state.dialled_shared(&dial, many.clone(), now, todo));
        many
    }

    /// The oldest dial becomes an exclusive connection to an address.
    fn dialled_at(&mut self, host: usize, address: u32) -> Marks {
        let (one, dial) = (self.one(), self.dial(host));
        one.bond().lead_to(address);
        let marks = one.marks();
        self.act(|state, now, todo| state.dialled_exclusive(&dial, one, now, todo));
        marks
    }

    /// A connection to each of these addresses, in the hands of a request.
    fn away<const N: usize>(&mut self, host: usize, addresses: [u32; N]) -> [One; N] {
        addresses.map(|address| {
            let mut waiting = self.wait(host);
            self.dialled_at(host, address);
            match waiting.receiver.try_recv() {
                Ok(Delivery::Exclusive(one)) => one,
                _ => panic!("it was dialled for"),
            }
        })
    }

    fn home(&mut self, host: usize, one: One) -> Marks {
        let marks = one.marks();
        self.act(|state, now, todo| state.check_in(host, one, now, todo));
        marks
    }

    /// The oldest dial becomes a shared connection of two places to an address.
    fn dialled_shared_at(&mut self, host: usize, number: u32, address: u32) {
        let (dial, many) = (self.dial(host), Many::new(number, 2));
        many.lead_to(address);
        self.act(|state, now, todo| state.dialled_shared(&dial, many, now, todo));
    }

    /// Of a host that is known to have another address than the one that the request failed at.
    fn another(&mut self, host: usize, failed: Marks) -> Outcome<One, Seat> {
        let at = [failed.remote.unwrap()];
        self.failed(host, (failed, &at, true), true, Rather::New)
    }

    fn beside(&mut self, host: usize, failed: Marks, rather: Rather) -> Outcome<One, Seat> {
        self.beside_all(host, failed, &[], rather)
    }

    fn beside_all(&mut self, host: usize, on: Marks, at: &[SocketAddr], rather: Rather) -> Outcome<One, Seat> {
        self.failed(host, (on, at, false), true, rather)
    }

    /// The connection is to be kept.
    fn beside_kept(&mut self, host: usize, on: Marks) -> Outcome<One, Seat> {
        self.failed(host, (on, &[], false), false, Rather::New)
    }

    fn failed(
        &mut self,
        host: usize,
        (on, at, has_other): (Marks, &[SocketAddr], bool),
        makes_room: bool,
        rather: Rather,
    ) -> Outcome<One, Seat> {
        let turn = self.state.next_turn();
        self.act(|state, now, todo| {
            let ask = Ask {
                now,
                turn,
                deadline: None,
                fresh: false,
            };
            let failed = Failed {
                on,
                at,
                has_other,
                makes_room,
            };
            state.checkout_beside(host, failed, rather, ask, todo)
        })
    }
}

fn number(outcome: &Outcome<One, Seat>) -> Option<u64> {
    match outcome {
        Outcome::Idle(one, _) => Some(one.number.into()),
        Outcome::Place(seat) => Some(seat.many().number().into()),
        Outcome::Wait(_) => None,
    }
}

#[test]
fn an_idle_connection_to_another_address_comes_first() {
    for spreads in [false, true] {
        for rather in [Rather::New, Rather::Idle, Rather::Any] {
            let mut room = Room::with(|_| {}, spreads);
            let host = room.host("a", Protocol::H1);
            let elsewhere = room.idle_at(host, 2);
            let failed = room.idle_at(host, 1);
            room.idle_at(host, 1);
            let taken = room.beside(host, failed, rather);
            assert_eq!(number(&taken), Some(elsewhere.number), "{rather:?}");
            assert!(room.dials.is_empty(), "{rather:?}");
        }
    }
}

#[test]
fn an_address_at_which_the_request_failed_before_is_elsewhere_no_more() {
    for rather in [Rather::New, Rather::Idle] {
        let mut room = Room::new(|_| {});
        let host = room.host("a", Protocol::H1);
        let [sound, before, failed] = [3, 2, 1].map(|address| room.idle_at(host, address));
        let at = [before, failed].map(|marks| marks.remote.unwrap());
        let taken = room.beside_all(host, failed, &at, rather);
        assert_eq!(number(&taken), Some(sound.number), "{rather:?}");
        // Then a new one is dialled, unless that is to take long.
        let taken = room.beside_all(host, failed, &at, rather);
        assert_eq!(
            number(&taken),
            (rather != Rather::New).then_some(before.number),
            "{rather:?}"
        );
        assert_eq!(room.dials.len(), usize::from(rather == Rather::New), "{rather:?}");
    }
}

#[test]
fn without_one_a_new_connection_comes_before_or_after_another_idle_one() {
    for rather in [Rather::New, Rather::Idle, Rather::Any] {
        let mut room = Room::new(|_| {});
        let host = room.host("a", Protocol::H1);
        let other = room.idle_at(host, 1);
        let failed = room.idle_at(host, 1);
        assert!(room.state.has_beside(host, failed, Rather::Idle));
        let taken = room.beside(host, failed, rather);
        assert_eq!(
            number(&taken),
            (rather != Rather::New).then_some(other.number),
            "{rather:?}"
        );
        assert_eq!(room.dials.len(), usize::from(rather == Rather::New), "{rather:?}");
        assert_eq!(room.state.has_beside(host, failed, Rather::Idle), rather == Rather::New);
    }
}

#[test]
fn the_one_that_failed_serves_only_where_no_new_one_can_be_had() {
    for rather in [Rather::New, Rather::Idle, Rather::Any] {
        let mut room = Room::new(|_| {});
        let host = room.host("a", Protocol::H1);
        let failed = room.idle_at(host, 1);
        assert_eq!(room.state.has_beside(host, failed, rather), rather == Rather::Any);
        let taken = room.beside(host, failed, rather);
        assert_eq!(
            number(&taken),
            (rather == Rather::Any).then_some(failed.number),
            "{rather:?}"
        );
        assert_eq!(room.dials.len(), usize::from(rather != Rather::Any), "{rather:?}");
    }
}

#[test]
fn at_a_cap_no_other_connection_makes_room_for_a_new_one() {
    let per_pool = |pool: &mut settings::Pool| pool.max_connections = Some(2);
    for mut room in [Room::new(caps(2)), Room::new(per_pool)] {
        let host = room.host("a", Protocol::H1);
        let [other, failed] = room.dialled_and_idle(host);
        let taken = room.beside(host, failed, Rather::New);
        assert_eq!(number(&taken), Some(other.number));
        assert!(room.left.is_empty(), "{:?}", room.left);
        // The one that failed does.
        let waits = room.beside(host, failed, Rather::New);
        assert_eq!(number(&waits), None);
        let gone = u32::try_from(failed.number).unwrap();
        assert_eq!(room.left, [(gone, CloseReason::MadeRoom)]);
        room.closed(host);
        assert_eq!(room.dials.len(), 1);
    }
}

#[test]
fn places_of_another_shared_connection_serve_likewise() {
    let mut room = Room::with(|_| {}, true);
    let host = room.host("a", Protocol::H2);
    let waits = room.wait(host);
    let first = room.dialled_shared(host, 1);
    // Nothing beside it, and room for another one.
    let Outcome::Wait(mut new) = room.beside(host, first.marks(), Rather::New) else {
        panic!("there is no other");
    };
    let second = room.dialled_shared(host, 2);
    assert_eq!(served(&mut new.receiver), Some(0));
    // Now there is none: whichever address it leads to.
    for address in [1, 2] {
        first.lead_to(1);
        second.lead_to(address);
        let taken = room.beside(host, first.marks(), Rather::New);
        assert_eq!(number(&taken), Some(2), "{address}");
        if let Outcome::Place(seat) = taken {
            room.back(seat);
        }
    }
    drop(waits);
}

#[test]
fn at_a_cap_an_idle_connection_to_where_something_failed_makes_room_for_one_to_another_address() {
    let per_pool = |pool: &mut settings::Pool| pool.max_connections = Some(2);
    for mut room in [Room::new(caps(2)), Room::new(per_pool)] {
        let host = room.host("a", Protocol::H1);
        let [one, two] = room.away(host, [1, 1]).map(|one| room.home(host, one));
        let Outcome::Wait(mut waits) = room.another(host, two) else {
            panic!("nothing leads to another address");
        };
        let gone = u32::try_from(one.number).unwrap();
        assert_eq!(room.left, [(gone, CloseReason::MadeRoom)]);
        room.closed(host);
        let new = room.dialled_at(host, 2);
        let Ok(Delivery::Exclusive(one)) = waits.receiver.try_recv() else {
            panic!("it was dialled for")
        };
        assert_eq!(one.marks(), new);
        // The next one takes that one when it is idle, and nothing makes room.
        room.home(host, one);
        assert_eq!(number(&room.another(host, two)), Some(new.number));
        assert_eq!((room.left.len(), room.dials.len()), (1, 0));
    }
}

#[test]
fn what_comes_home_from_another_address_serves_who_waits_for_one_and_only_what_does_not_makes_room() {
    let per_pool = |pool: &mut settings::Pool| pool.max_connections = Some(3);
    for mut room in [Room::new(caps(3)), Room::new(per_pool)] {
        let host = room.host("a", Protocol::H1);
        let [bad, worse, good] = room.away(host, [1, 1, 2]);
        let failed = bad.marks();
        let [mut first, mut second] = [0, 1].map(|_| match room.another(host, failed) {
            Outcome::Wait(waiting) => waiting,
            _ => panic!("all are away"),
        });
        let mut other = room.wait(host);
        let number = good.number;
        room.home(host, good);
        assert_eq!((served(&mut first.receiver), room.left.len()), (Some(number), 0));
        let gone = bad.number;
        room.home(host, bad);
        assert_eq!(room.left, [(gone, CloseReason::MadeRoom)]);
        // One is enough.
        let number = worse.number;
        room.home(host, worse);
        assert_eq!((served(&mut other.receiver), room.left.len()), (Some(number), 1));
        room.closed(host);
        let new = room.dialled_at(host, 2);
        assert_eq!(served(&mut second.receiver).map(u64::from), Some(new.number));
    }
}

#[test]
fn of_as_many_shared_connections_as_there_may_be_one_to_where_something_failed_makes_room_at_a_time() {
    let mut room = Room::new(|_| {});
    let host = room.host("a", Protocol::H2);
    let mut seats = Vec::new();
    for number in [1, 1, 2] {
        seats.push(match room.checkout(host) {
            Outcome::Place(seat) => seat,
            Outcome::Wait(mut waiting) => {
                room.dialled_shared_at(host, number, 1);
                match waiting.receiver.try_recv() {
                    Ok(Delivery::Place(seat)) => seat,
                    _ => panic!("it was dialled for"),
                }
            }
            Outcome::Idle(..) => panic!("it is shared"),
        });
    }
    let failed = seats[0].many().marks();
    let [mut first, mut second] = [0, 1].map(|_| match room.another(host, failed) {
        Outcome::Wait(waiting) => waiting,
        _ => panic!("nothing leads to another address"),
    });
    // It bears a request, which goes on.
    assert_eq!(room.left, [(0, CloseReason::MadeRoom)]);
    assert_eq!(room.dials.len(), 1);
    room.dialled_shared_at(host, 3, 2);
    let both = [&mut first, &mut second].map(|waiting| served(&mut waiting.receiver));
    assert_eq!(both, [Some(0), Some(0)]);
    assert_eq!((room.left.len(), room.dials.len()), (1, 0));
}

#[test]
fn a_connection_to_another_address_serves_who_failed_elsewhere_and_is_not_replaced_for_them() {
    let mut room = Room::new(|_| {});
    let host = room.host("a", Protocol::H2);
    let Outcome::Wait(mut waiting) = room.checkout(host) else {
        panic!("nothing is there")
    };
    room.dialled_shared_at(host, 1, 1);
    let Ok(Delivery::Place(seat)) = waiting.receiver.try_recv() else {
        panic!("it was dialled for")
    };
    let failed = seat.many().marks();
    let mut retries: Vec<_> = (0..6)
        .map(|_| match room.another(host, failed) {
            Outcome::Wait(waiting) => waiting,
            _ => panic!("nothing leads to another address"),
        })
        .collect();
    let mut seats = Vec::new();
    while !room.dials.is_empty() {
        let number = u32::try_from(room.begun.len()).unwrap();
        room.dialled_shared_at(host, number, 2);
        seats.extend(retries.iter_mut().filter_map(|retry| match retry.receiver.try_recv() {
            Ok(Delivery::Place(seat)) => Some(seat),
            _ => None,
        }));
    }
    assert_eq!((seats.len(), room.begun.len(), room.left.len()), (4, 3, 1));
    // Both places of one of them come back before the pool hears of it.
    seats.remove(0).leave();
    room.back(seats.remove(0));
    let mut last = retries[4..].iter_mut();
    assert!(last.all(|retry| served(&mut retry.receiver).is_some()));
    assert_eq!((room.dials.len(), room.left.len()), (0, 1));
}

#[test]
fn where_the_dial_leads_to_where_something_failed_all_the_same_nothing_makes_room_for_a_second() {
    let mut room = Room::new(caps(2));
    let host = room.host("a", Protocol::H1);
    let [_one, two] = room.away(host, [1, 1]).map(|one| room.home(host, one));
    let Outcome::Wait(mut waits) = room.another(host, two) else {
        panic!("nothing leads to another address");
    };
    assert_eq!(room.left.len(), 1);
    room.closed(host);
    let new = room.dialled_at(host, 1);
    let Ok(Delivery::Exclusive(one)) = waits.receiver.try_recv() else {
        panic!("it was dialled for")
    };
    assert_eq!(one.marks(), new);
    assert_eq!(number(&room.another(host, new)), Some(two.number));
    room.home(host, one);
    assert_eq!(room.left.len(), 1);
    room.later(1);
    assert_eq!(number(&room.another(host, new)), None);
    assert_eq!(room.left.len(), 2);
}

#[test]
fn at_a_cap_the_one_that_bore_a_bad_answer_once_is_asked_again_and_not_closed() {
    let per_pool = |pool: &mut settings::Pool| pool.max_connections = Some(1);
    for mut room in [Room::new(caps(1)), Room::new(per_pool)] {
        let host = room.host("a", Protocol::H1);
        let [only] = room.dialled_and_idle(host);
        let taken = room.beside_kept(host, only);
        assert_eq!(
            (number(&taken), room.left.len(), room.dials.len()),
            (Some(only.number), 0, 0)
        );
    }
}

#[test]
fn at_a_cap_an_idle_connection_of_another_host_makes_room_for_a_new_one() {
    let mut room = Room::new(|pool| pool.max_connections = Some(2));
    let [host, other] = ["a", "b"].map(|name| room.host(name, Protocol::H1));
    let [longest] = room.dialled_and_idle(other);
    let [only] = room.dialled_and_idle(host);
    assert_eq!(number(&room.beside_kept(host, only)), None);
    assert_eq!(
        room.left,
        [(u32::try_from(longest.number).unwrap(), CloseReason::MadeRoom)]
    );
}

#[test]
fn among_as_many_shared_connections_as_there_may_be_a_new_one_is_dialled_before_another_leaves() {
    let mut room = Room::new(|_| {});
    room.state.limits.max_shared_per_host = 1;
    let host = room.host("a", Protocol::H2);
    let mut first = room.wait(host);
    let old = room.dialled_shared(host, 1);
    let Ok(Delivery::Place(seat)) = first.receiver.try_recv() else {
        panic!("it was dialled for")
    };
    room.back(seat);
    let Outcome::Wait(mut retry) = room.beside_kept(host, old.marks()) else {
        panic!("a new one can be had")
    };
    // It serves all others meanwhile.
    let mut other = room.wait(host);
    let Ok(Delivery::Place(seat)) = other.receiver.try_recv() else {
        panic!("its host goes without")
    };
    room.back(seat);
    assert_eq!((room.left.len(), room.dials.len()), (0, 1));
    assert!(room.state.has_beside(host, old.marks(), Rather::Any));
    let new = room.dialled_shared(host, 2);
    assert_eq!((served(&mut retry.receiver), new.in_use()), (Some(0), 1));
    assert_eq!(room.left, [(0, CloseReason::MadeRoom)]);
}

#[test]
fn at_a_cap_over_hosts_what_leads_to_where_something_failed_makes_room_before_another_host_s() {
    let mut room = Room::new(|pool| pool.max_connections = Some(2));
    let [host, other] = ["a", "b"].map(|name| room.host(name, Protocol::H1));
    let [_longest] = room.away(other, [1]).map(|one| room.home(other, one));
    let [only] = room.away(host, [1]).map(|one| room.home(host, one));
    assert_eq!(number(&room.another(host, only)), None);
    let gone = u32::try_from(only.number).unwrap();
    assert_eq!(room.left, [(gone, CloseReason::MadeRoom)]);
}

#[test]
fn the_last_shared_connection_serves_on_while_it_bears_requests() {
    let mut room = Room::new(caps(1));
    let host = room.host("a", Protocol::H2);
    let mut waits = room.wait(host);
    room.dialled_shared_at(host, 1, 1);
    let Ok(Delivery::Place(seat)) = waits.receiver.try_recv() else {
        panic!("it was dialled for")
    };
    let failed = seat.many().marks();
    let Outcome::Wait(_retry) = room.another(host, failed) else {
        panic!("nothing leads to another address")
    };
    assert_eq!((room.left.len(), room.dials.len()), (0, 0));
}

/// Where connections are spread: one idle connection to each of two addresses of three.
#[test]
fn an_idle_connection_to_an_address_that_is_passed_over_comes_after_a_new_one_that_may_go_to_another() {
    for all_fail in [false, true] {
        let mut room = Room::with(|_| {}, true);
        let host = room.host("a", Protocol::H1);
        // As the marks of these connections have it.
        let addresses: Vec<SocketAddr> = (0..3_u16).map(|n| ([127, 0, 0, 1], n).into()).collect();
        let waiting = [room.wait(host), room.wait(host)];
        let ones = waiting.map(|mut waiting| {
            let (dial, one) = (room.dial(host), room.one());
            let answer = crate::connect::Answer {
                addresses: addresses.clone(),
                is_current: true,
                ask_again: None,
            };
            let route = room.act(|state, now, todo| state.assign(&dial, answer, now, todo));
            one.bond().lead_to(room.state.arrived(&dial, Some(route[0]), room.now));
            room.act(|state, now, todo| state.dialled_exclusive(&dial, one, now, todo));
            match waiting.receiver.try_recv() {
                Ok(Delivery::Exclusive(one)) => one,
                _ => panic!("it was dialled for"),
            }
        });
        let [failed, idle] = ones.map(|one| room.home(host, one));
        let now = room.now;
        for address in &addresses {
            if all_fail || failed.remote == Some(*address) || idle.remote == Some(*address) {
                room.state.sites(host).unwrap().blame(*address, now);
            }
        }
        let at = [failed.remote.unwrap()];
        let taken = room.beside_all(host, failed, &at, Rather::New);
        assert_eq!(number(&taken), all_fail.then_some(idle.number), "all fail: {all_fail}");
    }
}
