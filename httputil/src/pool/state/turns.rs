//! The line of hosts that wait for a slot under a cap of the pool or of all pools.
//!
//! A host stands in it while it needs a dial that a cap forbids, and leaves it when it needs none any more, so that no
//! room is made for nobody. It takes one turn at a time: with what it gets, and if it wants more, it goes to the end, and
//! a busy host starves no other.

use tokio::time::Instant;

use super::lists::{BY_TURN, List};
use super::{Exclusive, Multiplexed, State, Todo};
use crate::wire::CloseReason;

/// For whom the next connection that comes home makes room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claimant {
    Host(usize),
    /// Another pool.
    Pool,
}

impl<C: Exclusive, S: Multiplexed> State<C, S> {
    /// The host stands in line, if it does not yet.
    pub(super) fn block(&mut self, index: usize) {
        if self.hosts.get(index).is_some() && !List::<BY_TURN>::has(&self.hosts, index) {
            self.blocked.push(&mut self.hosts, index);
        }
    }

    /// Somebody does not wait for this host any more.
    pub(super) fn queue_shrank(&mut self, index: usize) {
        if let Some(host) = self.hosts.get(index) {
            host.gauge_waiting();
        }
        self.settle_turn(index);
    }

    /// Whether a host waits for a slot.
    pub(in crate::pool) fn has_blocked(&self) -> bool {
        self.blocked.len() > 0
    }

    /// The host may need no dial any more.
    pub(super) fn settle_turn(&mut self, index: usize) {
        if self.has_blocked()
            && List::<BY_TURN>::has(&self.hosts, index)
            && let Some(host) = self.hosts.get(index)
            && (host.queue.is_empty() || host.dialling >= self.wanted(host))
        {
            self.blocked.unlink(&mut self.hosts, index);
        }
    }

    /// Whether more room is wanted than is being made.
    pub(super) fn wants_room(&self) -> bool {
        self.departing < self.blocked.len()
    }

    /// Lets the next connection that comes home make room for the host `to`, or for another pool; whether one is away. A
    /// busy host would keep it for those of its own who wait, for ever.
    pub(in crate::pool) fn reclaim(&mut self, to: Option<usize>) -> bool {
        let is_away = self.open > self.entries.len() + self.running.len();
        self.reclaims = is_away.then(|| to.map_or(Claimant::Pool, Claimant::Host));
        // It has waited long enough to be the next.
        if let Some(to) = to.filter(|to| List::<BY_TURN>::has(&self.hosts, *to)) {
            while let Some(first) = self.blocked.oldest().filter(|first| *first != to) {
                self.blocked.unlink(&mut self.hosts, first);
                self.blocked.push(&mut self.hosts, first);
            }
        }
        is_away
    }

    /// Why a connection that comes home is closed for somebody else, if it is.
    pub(super) fn reclaimed_from(&mut self, index: usize) -> Option<CloseReason> {
        if self.reclaims? == Claimant::Host(index) {
            return None;
        }
        self.reclaims = None;
        self.departing += 1;
        Some(CloseReason::MadeRoom)
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
            let Some(index) = self.blocked.oldest() else { return };
            self.blocked.unlink(&mut self.hosts, index);
            self.pump(index, now, todo);
        }
        let cap = self.limits.pool.max_connections;
        if self.has_blocked() && cap.is_none_or(|cap| self.open < cap) {
            // It is the cap over all pools that holds them.
            todo.wants_room = true;
        }
    }

    /// The same, in this pool's turn among those that wait for a slot under the cap over all pools.
    pub(in crate::pool) fn unblock_in_turn(&mut self, now: Instant, todo: &mut Todo<C, S>) {
        self.is_our_turn = true;
        self.unblock(now, todo);
        self.is_our_turn = false;
    }
}
