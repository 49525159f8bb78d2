//! What is idle, and what leaves.

use std::time::Duration;

use tokio::time::Instant;

use super::super::Multiplexed;
use super::super::fakes::Many;
use super::model::{Idle, Model, Which};
use crate::wire::CloseReason;

impl Model {
    pub(super) fn suspected(&mut self, host: usize, began: Instant) {
        let is_suspect = |idle: &&Idle| idle.host == host && idle.since <= began;
        assert!(self.idle.iter().find(is_suspect).is_none(), "kept what may be dead");
    }

    pub(super) fn reaped(&mut self, looks_at: Option<Instant>) {
        // Those that are due early are looked at in spans of a 63rd.
        let slack = self.limits.pool.idle_timeout / 63 + Duration::from_nanos(1);
        let timeout = self.limits.pool.idle_timeout;
        let is_late = |idle: &&Idle| idle.since + timeout <= self.now || idle.due + slack <= self.now;
        assert!(self.idle.iter().find(is_late).is_none(), "the reaper left something");
        assert_eq!(
            looks_at.is_some(),
            !self.idle.is_empty(),
            "a reaper runs while something is idle"
        );
        if let Some(looks_at) = looks_at {
            assert!(looks_at > self.now);
            assert!(
                self.idle.iter().all(|idle| looks_at <= idle.due + slack),
                "looks too late"
            );
        }
    }

    /// A connection has left the pool: was that right? Says whose it was.
    pub(super) fn left(&mut self, which: Which, reason: CloseReason) -> usize {
        if let Some(arrival) = self.arrival.filter(|arrival| arrival.idle.which == which) {
            self.arrival = None;
            let is_owed = arrival.may_make_room && reason == CloseReason::MadeRoom;
            let expected = arrival.must_go.or_else(|| self.refusal(reason));
            assert!(
                is_owed || expected == Some(reason),
                "{reason:?} instead of {expected:?}"
            );
            self.made_room |= reason == CloseReason::MadeRoom;
            if reason == CloseReason::MadeRoom && arrival.must_go.is_none() && !is_owed {
                // Those of its own host come first, unless it was claimed.
                let waiters = &self.hosts[arrival.idle.host].waiters;
                let own = waiters
                    .iter()
                    .find(|waiter| self.is_there(waiter) && (arrival.is_new || !waiter.fresh));
                assert!(own.is_none(), "closed beside {own:?}");
            }
            if reason == CloseReason::Rebalanced {
                let (host, cap) = (
                    &self.hosts[arrival.idle.host],
                    self.limits.pool.max_connections_per_host,
                );
                let is_full = cap.is_some_and(|cap| host.open >= cap) && host.dialling == 0;
                assert!(is_full, "closed for an address that could be dialled beside it");
            }
            return arrival.idle.host;
        }
        // What has come in and was not given away is idle from here on, and may push others out.
        self.arrival_is_idle();
        let shared = self
            .hosts
            .iter()
            .position(|host| host.shared.iter().any(|many| Which::Many(many.number()) == which));
        let is_replaced = shared.is_some_and(|host| self.hosts[host].shared.len() > self.max_shared(&self.hosts[host]));
        if let Some(host) = shared {
            let is_it = |many: &mut Many| Which::Many(many.number()) == which;
            for many in self.hosts[host].shared.extract_if(.., is_it) {
                let may_go = many.in_use() == 0 || self.must_leave.contains(&many.number());
                assert!(
                    reason != CloseReason::MadeRoom || may_go || is_replaced,
                    "it bears requests, and nobody has claimed it"
                );
            }
        }
        let position = self.idle.iter().position(|idle| idle.which == which);
        let Some(position) = position else {
            // One that bears requests, or comes in and may not be idle.
            return shared.expect("it left twice");
        };
        let idle = self.idle.remove(position);
        let is_oldest_of_host = || {
            if self.limits.spreads {
                // It is one of an address that has many.
                return true;
            }
            let is_older = |other: &Idle| other.host == idle.host && matches!(other.which, Which::One(_));
            !self.idle[..position].iter().any(is_older)
        };
        match reason {
            CloseReason::IdleTimeout => assert!(idle.since + self.limits.pool.idle_timeout <= self.now),
            CloseReason::MaxLifetime | CloseReason::KeepAlive => assert!(idle.due <= self.now),
            CloseReason::IdleCap => assert!(
                (self.idle.len() + self.newly_idle() >= self.limits.pool.max_idle && position == 0)
                    || (self.idle_of(idle.host) >= self.limits.pool.max_idle_per_host && is_oldest_of_host()),
                "no cap is reached, or it is not the least recently used"
            ),
            CloseReason::MadeRoom if is_replaced => {}
            CloseReason::MadeRoom => {
                self.made_room = true;
                let for_fresh = self.hosts[idle.host].waiters.iter().any(|waiter| waiter.fresh);
                // Where it is the number of shared connections that keeps a new one away, one of these leaves.
                let is_shared = matches!(idle.which, Which::Many(_));
                let will_do = position == 0 || for_fresh && (is_shared || is_oldest_of_host());
                assert!(will_do, "not the oldest: {idle:?} of {:?}", self.hosts[idle.host]);
                if for_fresh && !self.may_make_room && self.in_line.is_empty() {
                    self.hosts[idle.host].departing += 1;
                    self.made_own_room.push(idle.host);
                }
            }
            CloseReason::AddressGone => assert!(self.limits.spreads),
            CloseReason::Reloaded => assert!(self.is_renewing),
            CloseReason::Suspect | CloseReason::CloseIdle | CloseReason::Stopped | CloseReason::Http1Required => {}
            other => panic!("closed for {other:?}"),
        }
        idle.host
    }

    /// Why nothing that comes in may be idle. Whether room is wanted is judged at the event's end.
    fn refusal(&self, said: CloseReason) -> Option<CloseReason> {
        if self.limits.spreads && matches!(said, CloseReason::AddressGone | CloseReason::Rebalanced) {
            Some(said)
        } else if self.leases == 0 {
            Some(CloseReason::Stopped)
        } else if !self.limits.pool.reuse {
            Some(CloseReason::NoReuse)
        } else if self.limits.pool.max_idle == 0 || self.limits.pool.max_idle_per_host == 0 {
            Some(CloseReason::IdleCap)
        } else {
            (said == CloseReason::MadeRoom).then_some(said)
        }
    }

    fn arrival_is_idle(&mut self) {
        if let Some(arrival) = self.arrival.take() {
            assert_eq!(arrival.must_go, None, "it should have gone");
            assert_eq!(self.refusal(CloseReason::IdleTimeout), None, "nothing may be idle");
            self.idle.push(arrival.idle);
        }
    }

    /// The event is over: what is idle now is idle.
    pub(super) fn ends(&mut self) {
        self.arrival_is_idle();
        // Nobody waits for it any more.
        self.claim = self.claim.filter(|host| !self.hosts[*host].waiters.is_empty());
        for (index, host) in self.hosts.iter().enumerate() {
            for many in &host.shared {
                let which = Which::Many(many.number());
                if many.in_use() == 0 && !self.idle.iter().any(|idle| idle.which == which) {
                    self.idle.push(Idle {
                        which,
                        host: index,
                        since: self.now,
                        due: self.now + self.limits.pool.idle_timeout,
                    });
                }
            }
        }
    }

    /// Shared connections that have become idle in this event.
    fn newly_idle(&self) -> usize {
        let shared = self.hosts.iter().flat_map(|host| &host.shared);
        let is_listed = |many: &Many| self.idle.iter().any(|idle| idle.which == Which::Many(many.number()));
        shared.filter(|many| many.in_use() == 0 && !is_listed(many)).count()
    }

    pub(super) fn idle_count(&self) -> usize {
        self.idle.len()
    }

    /// Exclusive idle connections of one host.
    pub(super) fn idle_of(&self, host: usize) -> usize {
        let is_one = |idle: &&Idle| idle.host == host && matches!(idle.which, Which::One(_));
        self.idle.iter().filter(is_one).count()
    }
}
