//! Those who want a connection that nobody has used.
//!
//! What is idle and what comes home serves them no more than a cap that both of these hold. So where a cap keeps a new
//! connection from them, a connection makes room: one that is idle at once, and one that comes home when those who want
//! a new one stand before all others. Otherwise it would go to those behind them for as long as there are any. The same
//! holds where a host has as many shared connections as it may; but where all of these bear requests, those who want a new
//! one take a place on one of them: streams may last, and no number of them is to keep a request waiting.

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
            None if self.may_share(host) => true,
            None | Some(Cap::Host | Cap::Pool | Cap::Registry) => {
                host.idle.oldest().is_some() || self.unused_shared(host).is_some()
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

    /// A shared connection of which no place is taken.
    pub(super) fn unused_shared(&self, host: &Host<C, S::Place>) -> Option<usize> {
        let is_unused = |entry: &usize| self.shared(*entry).is_some_and(|connection| connection.in_use() == 0);
        host.shared.iter().copied().find(is_unused)
    }

    /// Those who want a new connection cannot use the idle ones, which hold the places under the host's cap: as many of
    /// them leave.
    pub(super) fn make_own_room(&mut self, index: usize, now: Instant, todo: &mut Todo<C, S>) {
        let Some(host) = self.hosts.get(index) else { return };
        let missing = self.wanted(host).saturating_sub(host.dialling);
        let leaves = host.departing < host.queue.fresh().min(missing);
        let idle = || self.parts_with(host, now);
        if let Some(oldest) = leaves.then(idle).flatten() {
            self.expel(oldest, CloseReason::MadeRoom, todo);
            if let Some(host) = self.hosts.get_mut(index) {
                host.departing += 1;
            }
        }
    }

    /// The same where the host has as many shared connections as it may: one that bears no request leaves.
    pub(super) fn make_room_among_shared(&mut self, index: usize, now: Instant, todo: &mut Todo<C, S>) {
        let Some(host) = self.hosts.get(index) else { return };
        // Above that number one would leave for nothing.
        let is_full = host.shared.len() == self.max_shared(host.sites.as_deref());
        if !is_full || host.departing + host.dialling >= host.queue.fresh_before_others(now) {
            return;
        }
        let Some(unused) = self.unused_shared(host) else { return };
        match self.holds_back(host, now) {
            None | Some(Cap::Host) => {}
            Some(Cap::Pool | Cap::Registry) => self.departs(),
            Some(_) => return,
        }
        if let Some(host) = self.hosts.get_mut(index) {
            host.departing += 1;
        }
        self.expel(unused, CloseReason::MadeRoom, todo);
    }

    /// Why a connection of the host that nobody uses is closed for those who want a new one, if it is; it is counted.
    pub(super) fn owed_to_fresh(&mut self, index: usize, marks: Marks, now: Instant) -> Option<CloseReason> {
        let host = self.hosts.get(index)?;
        // One that serves one of them as it is stays.
        if host.queue.fresh() == 0 || host.queue.has_fresh_for(marks.remote, now) {
            return None;
        }
        let is_owed =
            host.departing + host.dialling < host.queue.fresh_before_others(now) && host.dialling < self.wanted(host);
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
