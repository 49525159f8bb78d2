//! The line of hosts that wait for a slot under a cap of the pool or of all pools.
//!
//! A host stands in it while it needs a dial that a cap forbids, and leaves it when it needs none any more, so that no
//! room is made for nobody. It takes one turn at a time: with what it gets, and if it wants more, it goes to the end, and
//! a busy host starves no other.
//!
//! A host that has stood there for a second claims the next connection of another host whose request ends. The claim is met
//! by one connection that bears no other (`spared`), if the host stands in line at that moment. It ends when the host gets
//! a slot, or when nobody waits for it any more: one who has come since has not waited for a second.

use tokio::time::Instant;

use super::line::Line;
use super::patience::GIVES_WAY_AFTER;
use super::{Entry, Exclusive, Held, Multiplexed, State, Todo};
use crate::wire::CloseReason;

/// A host for which somebody has waited for a second.
#[derive(Clone, Copy, Debug)]
pub(in crate::pool) struct Presser {
    /// None, if it is of another pool.
    pub(in crate::pool) host: Option<usize>,
    /// None of its dials has given way of late.
    pub(in crate::pool) is_newcomer: bool,
}

/// For whom the next connection whose request ends makes room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claimant {
    Host(usize),
    /// Another pool.
    Pool,
}

impl<C: Exclusive, S: Multiplexed> State<C, S> {
    /// The host stands in line, if it does not yet.
    pub(super) fn block(&mut self, index: usize, now: Instant) {
        if let Some(host) = self.hosts.get(index)
            && !Line::has(&self.hosts, index)
        {
            let is_newcomer = host.record.is_newcomer(now);
            self.blocked.push(&mut self.hosts, index, is_newcomer);
        }
    }

    /// Somebody does not wait for this host any more.
    pub(super) fn queue_shrank(&mut self, index: usize) {
        if let Some(host) = self.hosts.get(index) {
            host.gauge_waiting();
            if host.queue.is_empty() {
                self.end_claim(index);
            }
        }
        self.settle_turn(index);
    }

    pub(super) fn is_in_line(&self, index: usize) -> bool {
        Line::has(&self.hosts, index)
    }

    /// Whether a host waits for a slot.
    pub(in crate::pool) fn has_blocked(&self) -> bool {
        self.blocked.len() > 0
    }

    /// The host may need no dial any more.
    pub(super) fn settle_turn(&mut self, index: usize) {
        if self.has_blocked()
            && Line::has(&self.hosts, index)
            && let Some(host) = self.hosts.get(index)
            && (host.queue.is_empty() || host.promising() >= self.wanted(host))
        {
            self.leave_line(index);
        }
    }

    pub(super) fn leave_line(&mut self, index: usize) {
        self.blocked.unlink(&mut self.hosts, index);
    }

    /// What the host has claimed it has now, or does not need any more.
    pub(super) fn end_claim(&mut self, index: usize) {
        if self.reclaims == Some(Claimant::Host(index)) {
            self.reclaims = None;
        }
    }

    /// Whether more room is wanted under this pool's cap than is being made.
    pub(super) fn wants_room(&self) -> bool {
        let cap = self.limits.pool.max_connections;
        self.departing < self.blocked.len() && cap.is_some_and(|cap| self.open >= cap)
    }

    /// A connection leaves to make room.
    pub(super) fn departs(&mut self) {
        self.departing += 1;
        self.budget.departs();
    }

    /// Whether a connection that would be idle is to make room instead, under either cap; if so, it is counted.
    pub(super) fn departs_if_wanted(&mut self) -> bool {
        if self.wants_room() {
            self.departs();
            return true;
        }
        let is_wanted = self.budget.departs_if_wanted();
        self.departing += usize::from(is_wanted);
        is_wanted
    }

    /// Somebody has waited for a second for a host. That counts if the host stands in line, and of many who wait for it one
    /// presses.
    pub(in crate::pool) fn presses(&mut self, index: usize, now: Instant) -> Option<Presser> {
        if !Line::has(&self.hosts, index) {
            return None;
        }
        let host = self.hosts.get_mut(index)?;
        let is_due = host
            .pressed_at
            .is_none_or(|at| now.saturating_duration_since(at) >= GIVES_WAY_AFTER);
        if is_due {
            host.pressed_at = Some(now);
        }
        is_due.then(|| Presser {
            host: Some(index),
            is_newcomer: host.record.is_newcomer(now),
        })
    }

    /// Lets the next connection whose request ends make room for the host `to`, or for another pool; whether there is
    /// one. A busy host would keep it for those of its own who wait, for ever.
    pub(in crate::pool) fn reclaim(&mut self, to: Option<usize>, now: Instant) -> bool {
        if to.is_some_and(|to| !self.is_in_line(to)) {
            return false;
        }
        // Room is being made. A host that is asked for it does not need it for another.
        if let Some(spared) = self.spared_host().filter(|_| self.reclaims.is_some()) {
            return Some(spared) != to;
        }
        // What comes home to the host itself serves it anyway.
        let own = to.and_then(|to| self.hosts.get(to)).map_or(0, |host| {
            host.references
                .saturating_sub(host.idle.len() + host.shared.len() + host.dialling)
        });
        let away = self.open.saturating_sub(self.entries.len() + self.running.len());
        let is_other = |(index, entry): (usize, &Entry<C, S>)| {
            matches!(entry.held, Held::Shared(_)) && Some(entry.host) != to && self.may_be_spared(index, now)
        };
        let is_away = away > own + self.departing || self.entries.iter().any(is_other);
        if !is_away {
            return false;
        }
        self.reclaims = Some(to.map_or(Claimant::Pool, Claimant::Host));
        // It has waited long enough to be the next. Where nothing is claimed for it, what comes home is somebody else's,
        // and it would take that one's slot.
        if let Some(to) = to {
            self.blocked.put_first(&mut self.hosts, to);
        }
        true
    }

    /// Why a connection of the host whose request has ended is closed for somebody else, if it is. It meets the claim.
    pub(super) fn reclaimed_from(&mut self, index: usize) -> Option<CloseReason> {
        let claimant = self.reclaims?;
        if let Claimant::Host(host) = claimant
            && (host == index || !self.is_in_line(host))
        {
            return None;
        }
        self.reclaims = None;
        // The other pool may have been served meanwhile.
        let is_wanted = claimant != Claimant::Pool || self.budget.is_wanted();
        is_wanted.then_some(CloseReason::MadeRoom)
    }

    fn has_slot(&self) -> bool {
        let cap = self.limits.pool.max_connections;
        cap.is_none_or(|cap| self.open < cap) && self.budget.has_slot(self.is_our_turn)
    }

    /// Slots came back: those who wait for one try again, the first in line first.
    pub(in crate::pool) fn unblock(&mut self, now: Instant, todo: &mut Todo<C, S>) {
        for _ in 0..self.blocked.len() {
            if !self.has_slot() {
                break;
            }
            let Some(index) = self.blocked.pop(&mut self.hosts) else {
                return;
            };
            self.pump(index, now, todo);
        }
        let cap = self.limits.pool.max_connections;
        if self.has_blocked() && cap.is_none_or(|cap| self.open < cap) {
            // It is the cap over all pools that holds them.
            todo.chores().wants_room = true;
        }
    }

    /// The same, in this pool's turn among those that wait for a slot under the cap over all pools.
    pub(in crate::pool) fn unblock_in_turn(&mut self, now: Instant, todo: &mut Todo<C, S>) {
        self.is_our_turn = true;
        self.unblock(now, todo);
        self.is_our_turn = false;
    }
}
