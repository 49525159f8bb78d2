//! Dials that take their time while other hosts wait for their slots.

use super::super::GIVES_WAY_AFTER;
use super::*;

impl Room {
    /// Somebody has waited for a second for a host; whether a dial gives way to it now.
    fn gives_way_to(&mut self, host: Option<usize>, is_newcomer: bool) -> bool {
        let to = Presser { host, is_newcomer };
        self.act(|state, now, todo| state.give_way(to, now, todo))
    }

    pub(super) fn gives_way(&mut self, host: usize) -> bool {
        let record = self.state.hosts.get(host).unwrap().record;
        self.gives_way_to(Some(host), record.is_newcomer(self.now))
    }

    /// The dial to `host` has given way.
    fn gave_way(&mut self, host: usize) {
        let dial = self.dial(host);
        self.act(|state, now, todo| state.dial_gave_way(&dial, now, todo));
    }

    /// How many seconds the dial has that is under way, before it gives way to the other of two hosts.
    fn lasts(&mut self, hosts: [usize; 2]) -> u64 {
        let host = self.dials[0].seat.host;
        let other = hosts[0] + hosts[1] - host;
        for seconds in 0..60 {
            if self.gives_way(other) {
                self.gave_way(host);
                return seconds;
            }
            self.later(1);
        }
        panic!("it never gives way")
    }

    fn handshakes(&mut self) {
        for dial in &self.dials {
            dial.progress.enter(Phase::TlsHandshake);
        }
    }
}

fn two_at_a_cap_of_one() -> (Room, usize, usize, [Waiting<One, Seat>; 2]) {
    let mut room = Room::new(|pool| pool.max_connections = Some(1));
    let (a, b) = (room.host("a", Protocol::H1), room.host("b", Protocol::H1));
    let waiting = [room.wait(a), room.wait(b)];
    (room, a, b, waiting)
}

#[test]
fn a_dial_that_hangs_gives_way_and_its_requests_wait_on() {
    let (mut room, a, b, [mut hung, mut healthy]) = two_at_a_cap_of_one();
    assert!(!room.gives_way(b), "not yet");
    room.later(1);
    assert!(room.gives_way(b));
    assert!(!room.gives_way(b), "once");
    room.gave_way(a);
    let number = room.dialled(b);
    assert_eq!(served(&mut healthy.receiver), Some(number));
    assert!(hung.receiver.try_recv().is_err());
    room.closed(b);
    assert!(room.dials.iter().any(|dial| dial.seat.host == a), "its turn again");
}

#[test]
fn dials_that_all_take_long_do_not_stop_each_other_for_ever() {
    let (mut room, a, b, _waiting) = two_at_a_cap_of_one();
    // Each host asks for the other's slot in each second.
    let lasted = [(); 4].map(|()| room.lasts([a, b]));
    assert_eq!(lasted, [1, 1, 4, 4]);
    // One that came to an end is no reason to wait for the next.
    room.dialled(a);
    room.closed(a);
    room.dialled(b);
    room.closed(b);
    let _waits = [room.wait(a), room.wait(b)];
    room.later(1);
    assert!(room.gives_way(b));
}

#[test]
fn hosts_that_have_had_a_long_time_in_vain_have_little_for_a_minute() {
    let (mut room, a, b, _waiting) = two_at_a_cap_of_one();
    let lasted = [(); 10].map(|()| {
        room.handshakes();
        room.lasts([a, b])
    });
    assert_eq!(lasted, [3, 3, 8, 8, 1, 1, 1, 1, 1, 1]);
    room.later(60);
    // The one under way began within that minute.
    let lasted = [(); 4].map(|()| {
        room.handshakes();
        room.lasts([a, b])
    });
    // And a host has been silent for longer than three seconds since: a newcomer has less before the next one.
    assert_eq!(lasted, [0, 1, 3, 8]);
}

#[test]
fn a_dial_in_its_tls_handshake_has_more_time_than_one_that_nobody_answers() {
    let (mut room, a, b, [_first, second]) = two_at_a_cap_of_one();
    room.handshakes();
    room.later(2);
    assert!(!room.gives_way(b));
    room.later(1);
    assert!(room.gives_way(b));
    room.gave_way(a);
    // The other's request goes, too: nobody waits for its dial.
    room.handshakes();
    room.act(|state, _, _| state.cancel(b, second.id));
    room.later(1);
    assert!(room.gives_way(a));
}

#[test]
fn dials_to_hosts_that_gave_way_give_way_to_a_newcomer_in_a_second_but_for_the_oldest() {
    for cap in [1, 4] {
        let mut room = Room::new(|pool| pool.max_connections = Some(cap));
        let names = (0..cap).map(|n| format!("hole{n}"));
        let holes: Vec<usize> = names.map(|name| room.host(&name, Protocol::H1)).collect();
        let _waiting: Vec<_> = holes.iter().map(|hole| room.wait(*hole)).collect();
        room.later(1);
        for hole in holes {
            assert!(room.gives_way_to(None, false));
            room.gave_way(hole);
        }
        room.later(1);
        let newcomer = room.host("newcomer", Protocol::H1);
        let mut healthy = room.wait(newcomer);
        assert!(!room.gives_way_to(None, false), "to one that is no better");
        assert!(room.gives_way(newcomer));
        // The oldest has its time where others have slots, too.
        let stopped = &room.dials[cap.min(2) - 1];
        assert!(stopped.stop.is_stopped());
        let stopped = stopped.seat.host;
        room.gave_way(stopped);
        // And the newcomer does not stand behind the one that has just lost its slot.
        let number = room.dialled(newcomer);
        assert_eq!(served(&mut healthy.receiver), Some(number));
    }
}

#[test]
fn three_newcomers_get_slots_before_a_host_whose_dial_gave_way_and_no_more() {
    let mut room = Room::new(|pool| pool.max_connections = Some(1));
    let [hung, other] = ["a", "b"].map(|name| room.host(name, Protocol::H1));
    let _waiting = [room.wait(hung), room.wait(other)];
    room.later(1);
    assert!(room.gives_way(other));
    room.gave_way(hung);
    let newcomers = ["c", "d", "e"].map(|name| room.host(name, Protocol::H1));
    let _waiting = newcomers.map(|host| room.wait(host));
    let turns: Vec<usize> = (0..5)
        .map(|_| {
            let host = room.dials[0].seat.host;
            room.dialled(host);
            room.closed(host);
            host
        })
        .collect();
    assert_eq!(turns, [other, newcomers[0], newcomers[1], hung, newcomers[2]]);
}

/// Hosts at a cap of four, whose handshakes take so many seconds, or never end; after how many seconds each is connected to
/// that is. Every host asks for a slot when it has waited for a second, and again in each second.
fn connected_after(handshakes: &[Option<f64>]) -> Vec<Option<f64>> {
    const STEP: f64 = 0.1;
    let mut room = Room::new(|pool| pool.max_connections = Some(4));
    let began = room.now;
    let hosts: Vec<usize> = (0..handshakes.len())
        .map(|number| room.host(&format!("host{number}"), Protocol::H1))
        .collect();
    let _waiting: Vec<_> = hosts.iter().map(|host| room.wait(*host)).collect();
    let mut dialled_at = std::collections::BTreeMap::new();
    let mut connected = vec![None; hosts.len()];
    for _ in 0..300 {
        let now = room.now;
        for dial in &room.dials {
            dialled_at.entry(dial.id).or_insert(now);
            dial.progress.enter(Phase::TlsHandshake);
        }
        let is_over = |dial: &Dial| {
            let took = (now - dialled_at[&dial.id]).as_secs_f64();
            handshakes[dial.seat.host].is_some_and(|lasts| took >= lasts - STEP / 2.0)
        };
        let over: Vec<usize> = room
            .dials
            .iter()
            .filter(|dial| is_over(dial))
            .map(|dial| dial.seat.host)
            .collect();
        for host in over {
            room.dialled(host);
            connected[host] = Some((now - began).as_secs_f64());
            // Its slot goes to one of the others.
            room.closed(host);
        }
        if now - began >= GIVES_WAY_AFTER {
            for host in &hosts {
                if let Some(presser) = room.state.presses(*host, now)
                    && room.act(|state, now, todo| state.give_way(presser, now, todo))
                {
                    let is_stopped = |dial: &Dial| {
                        let mut running = room.state.running.iter();
                        running.any(|running| running.id == dial.id && running.is_stopped)
                    };
                    let stopped = room
                        .dials
                        .iter()
                        .find(|dial| is_stopped(dial))
                        .expect("it was told to stop");
                    room.gave_way(stopped.seat.host);
                }
            }
        }
        room.now += Duration::from_secs_f64(STEP);
    }
    connected
}

#[test]
fn a_healthy_host_behind_many_new_ones_that_say_nothing_is_connected_to_in_time() {
    for (silent, bound) in [(6, 4.0), (16, 9.0)] {
        let mut handshakes = vec![None; silent];
        handshakes.push(Some(0.1));
        let connected = connected_after(&handshakes).pop().flatten();
        assert!(connected.is_some_and(|after| after <= bound), "{silent}: {connected:?}");
    }
}

#[test]
fn slow_handshakes_at_a_cap_all_come_to_their_end_and_none_is_stopped_for_another() {
    for (number, lasts) in [(12, 1.5), (20, 1.5), (12, 2.5)] {
        let connected = connected_after(&vec![Some(lasts); number]);
        let last = connected
            .iter()
            .copied()
            .try_fold(0.0, |last: f64, one| Some(last.max(one?)));
        let bound = f64::from(u32::try_from(number.div_ceil(4)).unwrap()) * lasts + 0.5;
        assert!(
            last.is_some_and(|last| last <= bound),
            "{number} of {lasts} s: {connected:?}"
        );
    }
    // Nor do those that take longer than a first dial has.
    let connected = connected_after(&[Some(5.0); 8]);
    assert!(connected.iter().all(Option::is_some), "{connected:?}");
}

#[test]
fn a_proxy_that_takes_its_time_has_as_long_as_a_handshake_the_second_time() {
    let (mut room, a, b, _waiting) = two_at_a_cap_of_one();
    let lasted = [(); 4].map(|()| {
        for dial in &room.dials {
            dial.progress.enter(Phase::ProxyConnect);
        }
        room.lasts([a, b])
    });
    assert_eq!(lasted, [1, 1, 8, 8]);
}
