//! What must hold after each event.

use super::super::dialling::PACE;
use super::super::fakes::Many;
use super::super::{Multiplexed, Protocol};
use super::model::{Host, Model, Waiter, Which};

/// Why a host has no further dial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Held {
    Backoff,
    Host,
    Pace,
    Pool,
}

/// Whether a connection of the host gives out no place, for reasons of its own.
fn is_mute(host: &Host) -> bool {
    let gives_none = |many: &Many| many.is_choked() || many.limit() == Some(0);
    host.shared.iter().any(gives_none)
}

fn is_probing(host: &Host) -> bool {
    host.failures > 0
}

impl Model {
    pub(super) fn in_backoff(&self, host: &Host) -> bool {
        host.until.is_some_and(|until| self.now < until)
    }

    /// The dials that those who wait need.
    fn wanted(&self, host: &Host) -> usize {
        let fresh = host.waiters.iter().filter(|waiter| waiter.fresh).count();
        let others = host.waiters.len() - fresh;
        let is_crowded = |many: &Many| {
            let limit = many.limit().expect("it is known");
            many.is_choked() || limit >= 4 && many.in_use() * 10 >= limit * 7
        };
        let wanted = match host.protocol {
            Protocol::H1 => fresh + others.saturating_sub(host.settling),
            Protocol::Unknown => usize::from(!host.waiters.is_empty()),
            Protocol::H2 if !self.limits.pool.reuse => host.waiters.len(),
            Protocol::H2 if host.shared.len() >= self.max_shared(host) => {
                usize::from(fresh > 0 && self.may_replace_one(host))
            }
            Protocol::H2 if host.waiters.is_empty() => {
                usize::from(!host.shared.is_empty() && host.shared.iter().all(is_crowded))
            }
            Protocol::H2 => 1,
        };
        if is_probing(host) { wanted.min(1) } else { wanted }
    }

    pub(super) fn max_shared(&self, host: &Host) -> usize {
        self.limits.max_shared_per_host.max(host.addresses)
    }

    /// Whether a new shared connection can take the place of one that bears no request.
    fn may_replace_one(&self, host: &Host) -> bool {
        let is_unused = |many: &Many| many.in_use() == 0 && many.limit() != Some(0);
        host.shared.len() == self.max_shared(host) && host.shared.iter().any(is_unused)
    }

    fn pace(&self) -> usize {
        self.limits
            .pool
            .max_connections
            .map_or(PACE, |cap| PACE.min((cap / 2).max(1)))
    }

    fn open(&self) -> usize {
        self.hosts.iter().map(|host| host.open + host.dialling).sum()
    }

    fn holds_back(&self, host: &Host) -> Option<Held> {
        let caps = &self.limits.pool;
        if self.in_backoff(host) {
            Some(Held::Backoff)
        } else if caps
            .max_connections_per_host
            .is_some_and(|cap| host.open + host.dialling >= cap)
        {
            Some(Held::Host)
        } else if host.dialling >= self.pace() {
            Some(Held::Pace)
        } else if caps.max_connections.is_some_and(|cap| self.open() >= cap) {
            Some(Held::Pool)
        } else {
            None
        }
    }

    /// Whether the host needs a dial and the pool's cap forbids it.
    pub(super) fn waits_for_slot(&self, host: &Host) -> bool {
        let needs_dial = !host.waiters.is_empty() && host.dialling < self.wanted(host);
        needs_dial && self.holds_back(host) == Some(Held::Pool)
    }

    /// Whether a connection that comes home to the host is to make room for those who want a new one, and whether it may:
    /// those who have little time may have stepped aside.
    pub(super) fn owed_to_fresh(&self, index: usize, departing: usize) -> [bool; 2] {
        let host = &self.hosts[index];
        let is_held = matches!(self.holds_back(host), Some(Held::Host | Held::Pool));
        let those = |fresh: bool| {
            let waiters = host.waiters.iter();
            waiters.filter(move |waiter| waiter.fresh == fresh && self.is_there(waiter))
        };
        let is_owed = |first: Option<u64>| {
            let before = those(true).filter(|waiter| first.is_none_or(|first| waiter.id < first));
            departing + host.dialling < before.count() && host.dialling < self.wanted(host) && is_held
        };
        let ids = |may_step_aside: bool| {
            let others = those(false).filter(move |waiter| may_step_aside || waiter.deadline.is_none());
            others.map(|waiter| waiter.id).min()
        };
        [is_owed(ids(true)), is_owed(ids(false))]
    }

    /// `busy` is what of the host is under way: dials, connections and places in use, and sockets that are `closing`.
    pub(super) fn check_host(&self, index: usize, busy: usize, closing: usize) {
        let host = &self.hosts[index];
        let stays = |many: &Many| self.must_leave.contains(&many.number());
        assert!(
            !host.shared.iter().any(stays),
            "a shared connection stays that had to go"
        );
        self.check_caps(index);
        self.check_order(index);
        self.check_service(index);

        let wanted = self.wanted(host);
        // A crowded connection beside which nobody waits is dialled beside at the next request.
        let is_short = host.dialling < wanted && !host.waiters.is_empty();
        match self.holds_back(host) {
            None => {
                // What leaves the pool is made up for when its socket is gone. And nobody says that a backoff is over:
                // those who wait then wait for what is under way.
                let is_over = is_probing(host) && (busy > 0 || is_mute(host)) || closing > 0;
                assert!(
                    !is_short || is_over,
                    "host {index} needs {wanted} dials and has {}",
                    host.dialling
                );
            }
            Some(Held::Backoff) => {
                let covered = match host.protocol {
                    // A dial under way asks for all.
                    Protocol::H1 => host.dialling > 0 || host.waiters.len() <= host.settling,
                    Protocol::Unknown => host.dialling > 0,
                    Protocol::H2 => host.dialling > 0 || !host.shared.is_empty(),
                };
                assert!(
                    covered || closing > 0 || host.waiters.is_empty(),
                    "host {index} cannot be reached and has not said so"
                );
            }
            Some(Held::Host) => assert!(
                !is_short || busy > 0 || is_mute(host),
                "host {index} waits for its cap and nothing is under way"
            ),
            Some(Held::Pace | Held::Pool) => {}
        }
        let somebody_waits = host.waiters.iter().any(|waiter| self.is_there(waiter));
        if somebody_waits && wanted == 0 {
            assert!(busy > 0 || is_mute(host), "host {index} waits for nothing");
        }
        // No room is made for nobody.
        assert!(
            !self.in_line.contains(&index) || self.waits_for_slot(host),
            "host {index} stands in line and no slot would help it"
        );
        // What leaves the pool is made up for when its socket is gone. And nobody says that a backoff is over.
        assert!(
            !self.waits_for_slot(host) || self.in_line.contains(&index) || closing > 0 || is_probing(host),
            "host {index} waits for a slot and does not stand in line"
        );
        let has_failed = self.dial_failed == Some(index) && host.waiters.is_empty();
        assert!(!has_failed || !self.dialled.contains(&index), "dialled again and again");
        // Never more dials than are needed, unless some are to be kept ready, or addresses have none.
        let caps = &self.limits.pool;
        let kept_ready = caps.min_idle_per_host.min(caps.max_idle).min(caps.max_idle_per_host);
        if self.dialled.contains(&index) && (kept_ready == 0 || !caps.reuse) {
            let may_spread = self.limits.spreads && caps.reuse && self.leases > 0;
            let may_be_kept = match host.protocol {
                Protocol::H1 => caps.max_idle_per_host.saturating_sub(self.idle_of(index)),
                Protocol::H2 => self.max_shared(host).saturating_sub(host.shared.len()),
                Protocol::Unknown => 0,
            };
            // One that was to be replaced may have been taken meanwhile.
            let is_for_fresh =
                host.shared.len() >= self.max_shared(host) && host.waiters.iter().any(|waiter| waiter.fresh);
            let wanted = wanted.max(usize::from(is_for_fresh));
            let most = if may_spread { wanted.max(may_be_kept) } else { wanted };
            assert!(
                host.dialling <= most,
                "host {index} needs {most} dials and has {}",
                host.dialling
            );
        }
    }

    fn check_caps(&self, index: usize) {
        let (host, caps) = (&self.hosts[index], &self.limits.pool);
        // Addresses that go leave it with more.
        assert!(
            self.limits.spreads || host.addresses > 0 || host.shared.len() <= self.max_shared(host),
            "{} shared connections",
            host.shared.len()
        );
        let open = host.open + host.dialling;
        // Above a cap that was lowered nothing is closed, but nothing is dialled either.
        let was_dialled = self.dialled.contains(&index);
        assert!(
            !was_dialled || caps.max_connections_per_host.is_none_or(|cap| open <= cap),
            "{open} to one host"
        );
        assert!(
            !was_dialled || host.dialling <= self.pace(),
            "{} handshakes",
            host.dialling
        );
        assert!(
            self.idle_of(index) <= caps.max_idle_per_host,
            "{} idle",
            self.idle_of(index)
        );
        if host.http1_only {
            assert!(host.shared.is_empty());
        }
    }

    /// First come, first served, among those who asked alike and have time.
    fn check_order(&self, index: usize) {
        let host = &self.hosts[index];
        let of_host = |list: &[(usize, Waiter)]| -> Vec<Waiter> {
            let here = list.iter().filter(|(other, _)| *other == index);
            here.map(|(_, waiter)| waiter.clone()).collect()
        };
        for served in of_host(&self.delivered) {
            let before = host.waiters.iter().find(|waiter| {
                waiter.fresh == served.fresh
                    && waiter.id < served.id
                    && waiter.deadline.is_none()
                    && self.is_there(waiter)
            });
            assert!(before.is_none(), "{before:?} came before {served:?}");
        }
        // A host that cannot be reached: those whom dials under way serve are the first.
        if self.dial_failed != Some(index) {
            for failed in of_host(&self.failed) {
                let behind = host
                    .waiters
                    .iter()
                    .find(|waiter| waiter.fresh == failed.fresh && waiter.id > failed.id && waiter.deadline.is_none());
                assert!(
                    behind.is_none() || failed.deadline.is_some(),
                    "{failed:?} heard an error and {behind:?} waits on"
                );
            }
        }
    }

    /// Nobody waits beside a connection that would do.
    fn check_service(&self, index: usize) {
        let host = &self.hosts[index];
        let is_full = host.shared.len() >= self.max_shared(host);
        // Where none may be dialled, those who want a new one take what there is.
        let may_wait = !is_full || host.dialling > 0 || self.may_replace_one(host);
        let has_idle = self.idle_of(index) > 0;
        let has_place = host
            .shared
            .iter()
            .filter(|many| self.spared != Some(many.number()))
            .any(|many| !many.is_choked() && many.limit() > Some(many.in_use()));
        for waiter in host.waiters.iter().filter(|waiter| self.is_there(waiter)) {
            assert!(
                waiter.fresh || !has_idle,
                "host {index}: {waiter:?} waits beside an idle connection"
            );
            assert!(
                waiter.fresh && may_wait || !has_place,
                "host {index}: {waiter:?} waits beside a free place"
            );
        }
    }

    /// `busy` is what of all hosts is under way.
    pub(super) fn check_pool(&self, busy: usize) {
        let caps = &self.limits.pool;
        assert!(
            self.dialled.is_empty() || caps.max_connections.is_none_or(|cap| self.open() <= cap),
            "{} open",
            self.open()
        );
        assert!(self.idle_count() <= caps.max_idle);
        if self.leases == 0 || !caps.reuse {
            assert_eq!(self.idle_count(), 0, "nothing may be idle");
        }
        let waits_for_slot = self.hosts.iter().any(|host| self.waits_for_slot(host));
        if waits_for_slot {
            assert!(busy > 0, "a host waits for a slot and nothing is under way");
        }
        if busy == 0 {
            for (index, host) in self.hosts.iter().enumerate() {
                let somebody_waits = host.waiters.iter().any(|waiter| self.is_there(waiter));
                assert!(
                    !somebody_waits || is_mute(host),
                    "host {index}: nothing is under way and {:?} wait",
                    host.waiters
                );
            }
        }
        for (index, host) in self.hosts.iter().enumerate() {
            let fresh = host.waiters.iter().filter(|waiter| waiter.fresh).count();
            assert!(
                !self.made_own_room.contains(&index) || host.departing <= fresh,
                "host {index} closes {} for {fresh}",
                host.departing
            );
        }
        if self.made_room && !self.may_make_room {
            let is_pressed = |host: &Host| {
                let at_cap = caps
                    .max_connections_per_host
                    .is_some_and(|cap| host.open + host.dialling >= cap);
                (at_cap || host.departing > 0) && host.waiters.iter().any(|waiter| waiter.fresh)
            };
            assert!(
                waits_for_slot || self.hosts.iter().any(is_pressed),
                "room was made for nobody"
            );
        }
        let lists_twice = |which: Which| self.idle.iter().filter(|idle| idle.which == which).count() > 1;
        assert!(!self.idle.iter().any(|idle| lists_twice(idle.which)));
    }
}
