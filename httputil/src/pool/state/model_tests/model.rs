//! What a pool should do, in plain lists.

use std::time::Duration;

use tokio::time::Instant;

use super::super::fakes::{Many, One};
use super::super::{Exclusive, Limits, Multiplexed, Protocol};
use crate::wire::CloseReason;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    One(u32),
    Many(u32),
}

#[derive(Clone, Debug)]
pub(super) struct Waiter {
    pub(super) id: u64,
    pub(super) deadline: Option<Instant>,
    pub(super) fresh: bool,
    pub(super) has_gone: bool,
}

/// In seconds: before a dial gives way at all, and when it is in its TLS handshake.
pub(super) type Patience = (u64, u64);

pub(super) const USUAL: Patience = (1, 3);
pub(super) const LONG: Patience = (4, 8);
pub(super) const LEAST: Patience = (1, 1);

/// How a host's dials have fared since the last one came to its end.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fared {
    pub(super) has_given_way: bool,
    /// It has had its long time in vain.
    pub(super) given_up: Option<Instant>,
}

impl Fared {
    pub(super) fn patience(self, now: Instant) -> Patience {
        let is_given_up = |since: Instant| now < since + Duration::from_mins(1);
        match self.given_up {
            Some(since) if is_given_up(since) => LEAST,
            None if self.has_given_way => LONG,
            _ => USUAL,
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Host {
    pub(super) protocol: Protocol,
    pub(super) http1_only: bool,
    /// As they asked; who came first says the number.
    pub(super) waiters: Vec<Waiter>,
    pub(super) dialling: usize,
    /// Connections whose sockets exist.
    pub(super) open: usize,
    /// Of these, closed under the host's own cap for those who want a new one.
    pub(super) departing: usize,
    pub(super) settling: usize,
    pub(super) shared: Vec<Many>,
    pub(super) failures: u32,
    pub(super) until: Option<Instant>,
    pub(super) fared: Fared,
    epoch: u64,
    /// How many addresses it has, where connections are spread.
    pub(super) addresses: usize,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Idle {
    pub(super) which: Which,
    pub(super) host: usize,
    pub(super) since: Instant,
    pub(super) due: Instant,
}

/// A connection that has just come in, and of which nobody knows yet what becomes of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival {
    pub(super) idle: Idle,
    pub(super) is_new: bool,
    /// Why it has to go, if it has.
    pub(super) must_go: Option<CloseReason>,
    /// It may make room for those who want a new one, if another one has stepped aside.
    pub(super) may_make_room: bool,
}

pub(super) struct Model {
    pub(super) limits: Limits,
    pub(super) hosts: Vec<Host>,
    /// Over all hosts, the least recently used first.
    pub(super) idle: Vec<Idle>,
    pub(super) leases: usize,
    pub(super) generation: u64,
    /// What it was when the latest settings came.
    pub(super) renewed: u64,
    pub(super) now: Instant,
    pub(super) arrival: Option<Arrival>,
    /// What has been delivered to whom since the event began: host, waiter, and whether it was new.
    pub(super) delivered: Vec<(usize, Waiter)>,
    pub(super) failed: Vec<(usize, Waiter)>,
    /// Hosts that were dialled since the event began.
    pub(super) dialled: Vec<usize>,
    /// The host a dial to which has failed in this event.
    pub(super) dial_failed: Option<usize>,
    pub(super) made_room: bool,
    pub(super) may_make_room: bool,
    /// Hosts that have closed something under their own cap.
    pub(super) made_own_room: Vec<usize>,
    /// The next connection of another host whose request ends is this one's.
    pub(super) claim: Option<usize>,
    /// The shared connection that takes no request for a moment for its sake.
    pub(super) spared: Option<u32>,
    /// Hosts that stand in line for a slot.
    pub(super) in_line: Vec<usize>,
    /// Shared connections that have to leave in this event.
    pub(super) must_leave: Vec<u32>,
    /// Other settings come into force in this event.
    pub(super) is_renewing: bool,
    /// When a host last took a connection and said nothing for three seconds, unless a slow one has been connected to since.
    pub(super) silent: Option<Instant>,
}

impl Host {
    /// Nothing is known of it but this.
    pub(super) fn begins_anew(&mut self, protocol: Protocol) {
        self.protocol = protocol;
        self.http1_only = false;
        self.failures = 0;
        self.until = None;
        self.fared = Fared::default();
        self.epoch = 0;
    }
}

impl Model {
    pub(super) fn new(limits: Limits, hosts: &[Protocol]) -> Model {
        let host = |protocol: &Protocol| Host {
            protocol: *protocol,
            http1_only: false,
            waiters: Vec::new(),
            dialling: 0,
            open: 0,
            departing: 0,
            settling: 0,
            shared: Vec::new(),
            failures: 0,
            until: None,
            fared: Fared::default(),
            epoch: 0,
            addresses: 0,
        };
        Model {
            limits,
            hosts: hosts.iter().map(host).collect(),
            idle: Vec::new(),
            leases: 1,
            generation: 0,
            renewed: 0,
            now: Instant::now(),
            arrival: None,
            delivered: Vec::new(),
            failed: Vec::new(),
            dialled: Vec::new(),
            dial_failed: None,
            made_room: false,
            may_make_room: false,
            made_own_room: Vec::new(),
            claim: None,
            spared: None,
            in_line: Vec::new(),
            must_leave: Vec::new(),
            is_renewing: false,
            silent: None,
        }
    }

    pub(super) fn begins(&mut self, now: Instant) {
        self.now = now;
        self.arrival = None;
        self.delivered.clear();
        self.failed.clear();
        self.dialled.clear();
        self.dial_failed = None;
        self.made_room = false;
        self.may_make_room = false;
        self.made_own_room.clear();
        self.must_leave.clear();
        self.is_renewing = false;
    }

    pub(super) fn claims(&mut self, host: usize) {
        assert!(self.waits_for_slot(&self.hosts[host]), "a claim for nobody");
        self.claim = Some(host);
    }

    /// Whether a request that has ended on a connection of this host is what somebody has claimed; if so, it has it.
    fn is_claimed(&mut self, from: usize) -> bool {
        let is_claimed = self
            .claim
            .is_some_and(|host| host != from && self.in_line.contains(&host));
        if is_claimed {
            self.claim = None;
        }
        is_claimed
    }

    pub(super) fn take_waiter(&mut self, host: usize, id: u64) -> Waiter {
        let waiters = &mut self.hosts[host].waiters;
        let position = waiters.iter().position(|waiter| waiter.id == id).expect("it waits");
        waiters.remove(position)
    }

    pub(super) fn asks(&mut self, host: usize, id: u64, deadline: Option<Instant>, fresh: bool) {
        self.hosts[host].waiters.push(Waiter {
            id,
            deadline,
            fresh,
            has_gone: false,
        });
    }

    pub(super) fn cancelled(&mut self, host: usize, id: u64) {
        self.take_waiter(host, id);
    }

    pub(super) fn vanished(&mut self, host: usize, id: u64) {
        let waiters = &mut self.hosts[host].waiters;
        if let Some(waiter) = waiters.iter_mut().find(|waiter| waiter.id == id) {
            waiter.has_gone = true;
        }
    }

    pub(super) fn passed_by(&mut self, host: usize, id: u64) {
        let waiter = self.take_waiter(host, id);
        assert!(!self.is_there(&waiter), "{waiter:?} was passed by");
    }

    pub(super) fn failed(&mut self, host: usize, id: u64) {
        let waiter = self.take_waiter(host, id);
        self.failed.push((host, waiter));
    }

    /// A connection is spared for the sake of a claim, and while it bears requests: it is never spared unused.
    pub(super) fn check_spared(&self) {
        let Some(spared) = self.spared else { return };
        assert!(self.claim.is_some(), "a connection is spared for nobody");
        let is_here = |many: &&Many| many.number() == spared;
        let many = self.hosts.iter().flat_map(|host| &host.shared).find(is_here);
        assert!(many.is_some_and(|many| many.in_use() > 0), "it is free, and spared");
    }

    pub(super) fn is_there(&self, waiter: &Waiter) -> bool {
        !waiter.has_gone && waiter.deadline.is_none_or(|deadline| deadline > self.now)
    }

    pub(super) fn took_idle(&mut self, host: usize, id: u64, one: &One, since: Instant) {
        let waiter = self.take_waiter(host, id);
        assert!(!waiter.fresh, "a used connection for a request that wants a new one");
        let newest = self
            .idle
            .iter()
            .rposition(|idle| idle.host == host && idle.which == Which::One(one.number));
        let idle = self.idle.remove(newest.expect("it is idle"));
        let is_newer = |other: &Idle| {
            other.host == host
                && other.since > idle.since
                && matches!(other.which, Which::One(_))
                && other.due > self.now
        };
        // Where connections are spread it is the turn of an address.
        assert!(self.limits.spreads || !self.idle.iter().any(is_newer), "not the newest");
        assert!(idle.due > self.now, "it is due");
        assert_eq!(idle.since, since);
    }

    pub(super) fn took_place(&mut self, host: usize, id: u64, many: &Many) {
        let waiter = self.take_waiter(host, id);
        assert!(!waiter.fresh, "a place for a request that wants a new connection");
        let others = &self.hosts[host].waiters;
        assert!(others.is_empty(), "a place while {others:?} wait");
        self.place_taken(host, many);
    }

    fn place_taken(&mut self, host: usize, many: &Many) {
        assert!(
            !self.hosts[host].http1_only,
            "a place on a host that asked for HTTP/1.1"
        );
        let is_known = self.hosts[host]
            .shared
            .iter()
            .any(|other| other.number() == many.number());
        assert!(is_known, "a place on a connection that has left");
        self.idle.retain(|idle| idle.which != Which::Many(many.number()));
    }

    pub(super) fn delivered_one(&mut self, host: usize, id: u64, one: &One) {
        let waiter = self.take_waiter(host, id);
        assert!(self.is_there(&waiter), "{waiter:?} has gone");
        let arrival = self.arrival.take().expect("only what has just come in is delivered");
        assert_eq!((arrival.idle.which, arrival.idle.host), (Which::One(one.number), host));
        assert_eq!(arrival.must_go, None, "it should have gone");
        assert!(
            arrival.is_new || !waiter.fresh,
            "a used connection for one that wants a new one"
        );
        let comes_before = |other: &&Waiter| other.id < waiter.id && other.deadline.is_none() && self.is_there(other);
        let before = self.hosts[host].waiters.iter().find(comes_before);
        assert!(!arrival.is_new || before.is_none(), "{before:?} came before {waiter:?}");
        self.delivered.push((host, waiter));
    }

    pub(super) fn delivered_place(&mut self, host: usize, id: u64, many: &Many) {
        let waiter = self.take_waiter(host, id);
        assert!(self.is_there(&waiter), "{waiter:?} has gone");
        self.place_taken(host, many);
        self.delivered.push((host, waiter));
    }

    pub(super) fn dialled_exclusive(&mut self, host: usize, one: &One) {
        let is_of_old = self.is_of_old(one.generation());
        if is_of_old {
            self.hosts[host].dialling -= 1;
            self.hosts[host].open += 1;
        } else {
            self.dial_ended_well(host, Protocol::H1);
        }
        self.arrival = Some(Arrival {
            idle: self.would_idle(host, one),
            is_new: true,
            must_go: is_of_old.then_some(CloseReason::Reloaded),
            may_make_room: false,
        });
    }

    /// `generation` is the pool's when the dial began.
    pub(super) fn dialled_shared(&mut self, host: usize, many: &Many, generation: u64) {
        if self.is_of_old(generation) {
            self.must_leave.push(many.number());
            self.hosts[host].dialling -= 1;
            self.hosts[host].open += 1;
            self.hosts[host].shared.push(many.clone());
            return;
        }
        if generation != self.generation {
            // It serves those who wait, and no others.
            self.must_leave.push(many.number());
        }
        if self.hosts[host].http1_only {
            self.dial_ended_well(host, Protocol::H1);
        } else {
            self.dial_ended_well(host, Protocol::H2);
        }
        self.hosts[host].shared.push(many.clone());
    }

    fn dial_ended_well(&mut self, host: usize, protocol: Protocol) {
        let host = &mut self.hosts[host];
        host.dialling -= 1;
        host.open += 1;
        host.protocol = protocol;
        if host.failures > 0 {
            host.failures = 0;
            host.until = None;
            host.epoch += 1;
        }
    }

    pub(super) fn dial_failed(&mut self, index: usize, epoch: u64, is_ours: bool) {
        let now = self.now;
        let host = &mut self.hosts[index];
        host.dialling -= 1;
        if !is_ours && host.epoch == epoch {
            host.until = Some(now + Duration::from_millis((50 << host.failures.min(10)).min(5000)));
            host.epoch += 1;
            host.failures += 1;
        }
        self.dial_failed = Some(index);
    }

    fn would_idle(&self, host: usize, one: &One) -> Idle {
        let by_server = one.may_idle_for.map(|bound| self.now + bound);
        let dues = [one.expires, by_server, Some(self.now + self.limits.pool.idle_timeout)];
        Idle {
            which: Which::One(one.number),
            host,
            since: self.now,
            due: dues.into_iter().flatten().min().expect("there is one"),
        }
    }

    /// A connection comes back from its request, or from one that had gone, while so many of the host's are on their way
    /// out for those who want a new one.
    pub(super) fn arrives(&mut self, host: usize, one: &One, departing: usize, now: Instant) {
        let is_claimed = self.is_claimed(host);
        let [is_owed, may_be_owed] = self.owed_to_fresh(host, departing);
        let must_go = if !self.limits.pool.reuse {
            Some(CloseReason::NoReuse)
        } else if self.is_of_old(one.generation()) {
            Some(CloseReason::Reloaded)
        } else if one.generation() != self.generation {
            Some(if self.leases > 0 {
                CloseReason::CloseIdle
            } else {
                CloseReason::Stopped
            })
        } else if one.expires.is_some_and(|expires| expires <= now) {
            Some(CloseReason::MaxLifetime)
        } else {
            (is_claimed || is_owed).then_some(CloseReason::MadeRoom)
        };
        self.arrival = Some(Arrival {
            idle: self.would_idle(host, one),
            is_new: false,
            must_go,
            may_make_room: may_be_owed,
        });
    }

    pub(super) fn place_back(&mut self, many: &Many) {
        // It is idle anew, if it is idle.
        self.idle.retain(|idle| idle.which != Which::Many(many.number()));
        let is_here = |host: &Host| host.shared.iter().any(|other| other.number() == many.number());
        if let Some(host) = self.hosts.iter().position(is_here)
            && many.in_use() == 0
            && self.is_claimed(host)
        {
            self.must_leave.push(many.number());
        }
    }

    pub(super) fn peer_closed(&mut self, host: usize, which: Which) {
        self.idle.retain(|idle| idle.which != which);
        self.hosts[host]
            .shared
            .retain(|many| Which::Many(many.number()) != which);
    }

    pub(super) fn http1_required(&mut self, host: usize) {
        self.hosts[host].http1_only = true;
        self.hosts[host].protocol = Protocol::H1;
    }

    pub(super) fn closes_idle(&mut self) {
        self.generation += 1;
    }

    pub(super) fn closed_idle(&mut self) {
        assert!(self.idle.is_empty(), "{:?} stays idle", self.idle);
        assert!(self.hosts.iter().all(|host| host.shared.is_empty()));
    }

    pub(super) fn may_make_room(&mut self) {
        self.may_make_room = true;
    }

    pub(super) fn dials(&mut self, hosts: &[usize]) {
        for host in hosts {
            self.claim = self.claim.filter(|claimant| claimant != host);
            self.hosts[*host].dialling += 1;
            self.dialled.push(*host);
        }
    }
}
