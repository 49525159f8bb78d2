//! Those who want a connection that nobody has used.
//!
//! What is idle and what comes home serves them no more than a cap on sockets that both of these hold. So where such a cap
//! keeps a new connection from them, a connection makes room: one that is idle at once, and one that comes home when those
//! who want a new one stand before all others. Otherwise it would go to those behind them for as long as there are any.
//!
//! Where a host has as many shared connections as it may, and no cap on sockets is reached, a new one is dialled first, in
//! the stead of one that bears no request: that one leaves when the new one is there, and serves on if none comes. Where all
//! of them bear requests, those who want a new one take a place on one of them: streams may last, and no number of them is
//! to keep a request waiting.

use tokio::time::Instant;

use super::dialling::Cap;
use super::host::Host;
use super::{Exclusive, Multiplexed, Protocol, State, Todo};
use crate::wire::{CloseReason, Marks};

impl<C: Exclusive, S: Multiplexed> State<C, S> {
    /// Whether a request that wants a new connection need not wait for others to end.
    pub(in crate::pool) fn has_room_for_new(&self, index: usize, now: Instant) -> bool {
        let Some(host) = self.hosts.get(index) else { return true };
        match self.holds_back(host, now) {
            None => self.may_share(host) || self.unused_shared(host).is_some(),
            Some(Cap::Host | Cap::Pool | Cap::Registry) => {
                host.idle.oldest().is_some() || self.unused_shared(host).is_some()
            }
            Some(_) => false,
        }
    }

    /// The same, and no connection of the host has to be closed before the new one is there.
    pub(super) fn has_room_beside_its_own(&self, index: usize, now: Instant) -> bool {
        let Some(host) = self.hosts.get(index) else { return true };
        match self.holds_back(host, now) {
            None => self.may_share(host) || self.unused_shared(host).is_some(),
            // The one that has been idle longest makes room.
            Some(Cap::Pool | Cap::Registry) => {
                let oldest = self.by_age.oldest().and_then(|oldest| self.entries.get(oldest));
                self.may_share(host) && oldest.is_some_and(|oldest| oldest.host != index)
            }
            Some(_) => false,
        }
    }

    /// Whether a new connection can be had without another's making room for it.
    pub(super) fn has_room_to_spare(&self, index: usize, now: Instant) -> bool {
        let Some(host) = self.hosts.get(index) else { return true };
        self.may_share(host) && self.holds_back(host, now).is_none()
    }

    fn may_share(&self, host: &Host<C, S::Place>) -> bool {
        host.protocol != Protocol::H2 || host.shared.len() < self.max_shared(host.sites.as_deref())
    }

    /// A shared connection of which no place is taken, though there are some.
    pub(super) fn unused_shared(&self, host: &Host<C, S::Place>) -> Option<usize> {
        let is_unused = |entry: &usize| {
            let connection = self.shared(*entry);
            connection.is_some_and(|connection| connection.in_use() == 0 && connection.limit() != Some(0))
        };
        host.shared.iter().copied().find(is_unused)
    }

    /// Those who want a new connection cannot use the idle ones, which hold the places under the host's cap: as many of
    /// them leave.
    pub(super) fn make_own_room(&mut self, index: usize, now: Instant, todo: &mut Todo<C, S>) {
        let Some(host) = self.hosts.get(index) else { return };
        let missing = self.wanted(host).saturating_sub(host.promising());
        let leaves = host.departing < host.queue.fresh().min(missing);
        let idle = || self.parts_with(host, now);
        if let Some(oldest) = leaves.then(idle).flatten() {
            self.expel(oldest, CloseReason::MadeRoom, todo);
            if let Some(host) = self.hosts.get_mut(index) {
                host.departing += 1;
            }
        }
    }

    /// Whether the host has as many shared connections as it may, and a new one can be dialled in the stead of one that
    /// bears no request. Above that number none would leave for it.
    pub(super) fn may_replace_one(&self, host: &Host<C, S::Place>) -> bool {
        host.shared.len() == self.max_shared(host.sites.as_deref()) && self.unused_shared(host).is_some()
    }

    /// Whether those who want a new connection take a place on any, since no other will come.
    pub(super) fn fresh_take_any(&self, host: &Host<C, S::Place>) -> bool {
        let is_full = host.shared.len() >= self.max_shared(host.sites.as_deref());
        is_full && host.dialling == 0 && !self.may_replace_one(host)
    }

    /// A new shared connection is there. If there are more of them than there may be, it has come in the stead of another,
    /// which takes no more requests.
    pub(super) fn replace_one(&mut self, index: usize, new: usize, todo: &mut Todo<C, S>) {
        let Some(host) = self.hosts.get(index) else { return };
        if host.shared.len() <= self.max_shared(host.sites.as_deref()) {
            return;
        }
        let in_use = |entry: &usize| self.shared(*entry).map_or(0, S::in_use);
        // The new one, if it is not wanted any more and all others are.
        let load = |entry: &usize| (in_use(entry) > 0, *entry == new, in_use(entry));
        if let Some(leaves) = host.shared.iter().copied().min_by_key(load) {
            self.expel(leaves, CloseReason::MadeRoom, todo);
        }
    }

    /// Why a connection of the host that nobody uses is closed for those who want a new one, if it is; it is counted.
    pub(super) fn owed_to_fresh(&mut self, index: usize, marks: Marks, now: Instant) -> Option<CloseReason> {
        let host = self.hosts.get(index)?;
        // One that serves one of them as it is stays.
        if host.queue.fresh() == 0 || host.queue.has_fresh_for(marks.remote, now) {
            return None;
        }
        let is_owed = host.departing + host.promising() < host.queue.fresh_before_others(now)
            && host.promising() < self.wanted(host);
        let cap = self.holds_back(host, now).filter(|_| is_owed)?;
        match cap {
            Cap::Host => {}
            Cap::Pool | Cap::Registry => self.departs(),
            _ => return None,
        }
        self.hosts.get_mut(index)?.departing += 1;
        Some(CloseReason::MadeRoom)
    }
}
