//! Other settings, as they come into force in the middle of everything.

use std::sync::Arc;

use super::super::{Key, Protocol};
use super::events::{Pick, Renewal};
use super::model::Model;
use super::world::World;

impl Model {
    /// Whether what was dialled in this generation serves nobody any more.
    pub(super) fn is_of_old(&self, generation: u64) -> bool {
        generation < self.renewed
    }

    /// These caps hold from now on, and what was learnt of the hosts, which begin with these protocols, counts no more.
    fn renews(&mut self, renewal: &Renewal, begins_with: &[Protocol]) {
        self.closes_idle();
        self.renewed = self.generation;
        self.is_renewing = true;
        self.limits.pool.max_connections_per_host = renewal.max_connections_per_host;
        self.limits.pool.max_connections = renewal.max_connections;
        self.limits.spreads ^= renewal.flips;
        for (host, protocol) in self.hosts.iter_mut().zip(begins_with) {
            host.begins_anew(*protocol);
        }
    }

    /// A dial of earlier settings has come to nothing, and nobody is to hear of it.
    pub(super) fn old_dial_over(&mut self, host: usize) {
        self.hosts[host].dialling -= 1;
    }

    /// The waiter is told to ask again.
    pub(super) fn moved(&mut self, host: usize, id: u64) {
        assert!(self.is_renewing, "nothing was renewed");
        self.take_waiter(host, id);
        self.claim = self.claim.filter(|claimant| *claimant != host);
    }
}

impl World {
    pub(super) fn renew(&mut self, renewal: &Renewal) {
        let hosts = 0..self.model.hosts.len();
        let keys: Vec<Arc<Key>> = hosts.filter_map(|host| self.state.key(host).cloned()).collect();
        let begins_with = self.begins_with.clone();
        self.model.renews(renewal, &begins_with);
        self.has_flipped |= renewal.flips;
        self.stopped.extend(self.dials.iter().map(|(dial, _)| dial.id));
        let waiting: Vec<_> = self.model.hosts.iter().map(|host| host.waiters.clone()).collect();
        let moves = |host: usize| renewal.moved & (1 << host) != 0;
        let limits = self.model.limits.clone();
        let way = |key: &Key| {
            let host = keys.iter().position(|other| **other == *key)?;
            (!moves(host)).then(|| begins_with[host])
        };
        let mut closing = self.act(|state, now, todo| state.renew(limits, way, now, todo));
        while self.act(|state, now, todo| state.close_some(&mut closing, now, todo)) {}
        self.model.closed_idle();
        for (host, waiting) in waiting.into_iter().enumerate().filter(|(host, _)| moves(*host)) {
            let again = self
                .state
                .add_host(Arc::clone(&keys[host]), self.begins_with[host], self.now);
            assert_eq!(again, host, "what is open of it would not count");
            for waiter in waiting {
                if self.model.is_there(&waiter) {
                    self.ask(host, waiter.id, waiter.deadline, waiter.fresh);
                }
            }
        }
    }

    /// A dial that was told to stop since other settings came does so.
    pub(super) fn old_dial_stops(&mut self, which: Pick) {
        let old: Vec<usize> = (0..self.dials.len())
            .filter(|position| self.stopped.contains(&self.dials[*position].0.id))
            .collect();
        if let Some(position) = old.get(which % old.len().max(1)) {
            let (dial, _) = self.dials.remove(*position);
            self.routed.remove(&dial.id);
            self.model.old_dial_over(dial.seat.host);
            self.act(|state, now, todo| state.dial_gave_way(&dial, now, todo));
        }
    }
}
