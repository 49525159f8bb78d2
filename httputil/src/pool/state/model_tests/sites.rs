//! Addresses: where dials go, and whether the state machine counts what is where.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::super::sites::Sites;
use super::super::{Bond, Dial, Exclusive, Held, Multiplexed};
use super::events::Pick;
use super::world::World;
use crate::connect::Answer;
use crate::wire::Seat;

impl World {
    /// What a look-up of the host's name would say now.
    pub(super) fn answer(&self, host: usize) -> Answer {
        Answer {
            addresses: self.named[host].clone(),
            is_current: true,
            ask_again: None,
        }
    }

    /// A dial learns where it goes, unless it knows.
    pub(super) fn route(&mut self, which: usize) {
        let (dial, began) = self.dials.remove(which);
        if !self.routed.contains_key(&dial.id) {
            let answer = self.answer(dial.seat.host);
            let fewest = self.fewest(dial.seat.host, &answer);
            let addresses = self.act(|state, now, todo| state.assign(&dial, answer, now, todo));
            assert_eq!(addresses.len(), self.named[dial.seat.host].len());
            let site = self.state.arrived(&dial, None, self.now);
            self.routed.insert(dial.id, site);
            if let Some(fewest) = fewest {
                let open = self.open_at(dial.seat.host).get(&site).copied().unwrap_or(0);
                assert!(open <= fewest + 1, "there was an address with fewer connections");
            }
        }
        self.dials.insert(which, (dial, began));
    }

    /// The fewest connections that an address has, if none of them is passed over.
    fn fewest(&self, host: usize, answer: &Answer) -> Option<usize> {
        let sites = self.state.hosts.get(host)?.sites.as_deref()?;
        let open = answer.addresses.iter().map(|address| sites.open_at(*address, self.now));
        open.collect::<Option<Vec<usize>>>()?.into_iter().min()
    }

    /// A dial is done: it has reached the address that it was meant for, or now and then another.
    pub(super) fn arrived(&mut self, which: Pick) -> Option<(Dial, u32)> {
        if self.dials.is_empty() {
            return None;
        }
        let position = which % self.dials.len();
        self.route(position);
        let (dial, _) = self.dials.remove(position);
        let named = &self.named[dial.seat.host];
        let reached = which.is_multiple_of(3).then(|| named[which % named.len()]);
        let site = self.reach(&dial, reached);
        Some((dial, site))
    }

    /// A dial has reached this address. If another one was meant for it, that one is passed over from now on.
    fn reach(&mut self, dial: &Dial, reached: Option<SocketAddr>) -> u32 {
        let meant = self.routed.remove(&dial.id).unwrap_or(Seat::NO_SITE);
        let address = |world: &World| world.state.hosts.get(dial.seat.host)?.sites.as_deref()?.address(meant);
        let before = address(self);
        let site = self.state.arrived(dial, reached, self.now);
        let is_other = reached.is_some() && reached != before && before == address(self);
        if let Some(meant) = before.filter(|_| is_other) {
            let sites = self
                .state
                .hosts
                .get(dial.seat.host)
                .and_then(|host| host.sites.as_deref());
            let open = sites.and_then(|sites| sites.open_at(meant, self.now));
            assert_eq!(open, None, "it was tried in vain, and is not passed over");
        }
        site
    }

    /// Of each of a host's sites that has something idle whether it is passed over, and what is in use there.
    pub(super) fn busy_at(&self, host: usize) -> BTreeMap<u32, (bool, usize)> {
        let sites = self.state.hosts.get(host).and_then(|host| host.sites.as_deref());
        let is_avoided = |site| {
            let address = sites.and_then(|sites| sites.address(site));
            address.is_some_and(|address| sites.is_some_and(|sites| sites.open_at(address, self.now).is_none()))
        };
        let counts = sites.into_iter().flat_map(Sites::counts);
        counts
            .filter(|(_, _, idle)| *idle > 0)
            .map(|(site, open, idle)| (site, (is_avoided(site), open - idle)))
            .collect()
    }

    /// A request took an idle connection of this site, when so much was in use at each of them: none that is passed over,
    /// where another was to be had.
    pub(super) fn check_turn(busy: &BTreeMap<u32, (bool, usize)>, site: u32) {
        let fewest = busy.values().min();
        assert!(busy.get(&site) == fewest, "site {site} has its turn, of {busy:?}");
    }

    /// A dial has reached an address, and fails there.
    pub(super) fn failing(&mut self, which: Pick) -> Option<(Dial, u32)> {
        if self.dials.is_empty() {
            return None;
        }
        let position = which % self.dials.len();
        self.route(position);
        let (dial, _) = self.dials.remove(position);
        let named = &self.named[dial.seat.host];
        let site = self.reach(&dial, Some(named[which % named.len()]));
        Some((dial, site))
    }

    /// Whether the host has another address that is not passed over.
    pub(super) fn has_beside(&self, host: usize, site: u32) -> bool {
        let sites = self.state.hosts.get(host).and_then(|host| host.sites.as_deref());
        sites.is_some_and(|sites| sites.has_beside(site, self.now))
    }

    /// Connections and dials of a host, by the site where they are.
    fn open_at(&self, host: usize) -> BTreeMap<u32, usize> {
        let mut sites = Vec::new();
        let of_host = |other: &usize| *other == host;
        sites.extend(
            self.dials
                .iter()
                .filter(|(dial, _)| dial.seat.host == host)
                .filter_map(|(dial, _)| self.routed.get(&dial.id).copied()),
        );
        sites.extend(
            self.away
                .iter()
                .filter(|away| away.host == host)
                .map(|away| away.one.bond().site()),
        );
        sites.extend(
            self.settling
                .iter()
                .filter(|(other, _)| of_host(other))
                .map(|(_, one)| one.bond().site()),
        );
        sites.extend(
            self.closing
                .iter()
                .filter(|(other, _)| of_host(other))
                .map(|(_, site)| *site),
        );
        let entries = self.state.entries.iter().filter(|(_, entry)| entry.host == host);
        let mut kept = Vec::new();
        for (_, entry) in entries {
            match &entry.held {
                Held::Idle(one) => sites.push(one.bond().site()),
                Held::Shared(many) => {
                    kept.push(many.number());
                    sites.push(many.site());
                }
            }
        }
        // Those that have left with requests on them.
        for (_, seat) in self.seats.iter().filter(|(other, _)| of_host(other)) {
            if !kept.contains(&seat.many().number()) {
                kept.push(seat.many().number());
                sites.push(seat.many().site());
            }
        }
        let mut counts = BTreeMap::new();
        for site in sites {
            *counts.entry(site).or_insert(0) += 1;
        }
        counts
    }

    /// What is where is counted right, and nothing idle leads to an address that has gone.
    pub(super) fn check_sites(&self) {
        for host in 0..self.model.hosts.len() {
            let Some(sites) = self.state.hosts.get(host).and_then(|host| host.sites.as_deref()) else {
                continue;
            };
            let counts = self.open_at(host);
            let mut idle = BTreeMap::new();
            for (index, entry) in self.state.entries.iter().filter(|(_, entry)| entry.host == host) {
                let site = self.state.site_at(index);
                assert!(
                    sites.is_listed(site),
                    "host {host} keeps a connection to an address that has gone"
                );
                if matches!(entry.held, Held::Idle(_)) {
                    *idle.entry(site).or_insert(0) += 1;
                }
            }
            for (site, open, rests) in sites.counts() {
                assert_eq!(
                    open,
                    counts.get(&site).copied().unwrap_or(0),
                    "open at site {site} of host {host}"
                );
                assert_eq!(
                    rests,
                    idle.get(&site).copied().unwrap_or(0),
                    "idle at site {site} of host {host}"
                );
            }
            let routed = self
                .dials
                .iter()
                .filter(|(dial, _)| dial.seat.host == host)
                .filter(|(dial, _)| self.routed.get(&dial.id).is_some_and(|site| sites.knows(*site)));
            assert_eq!(sites.decided, routed.count(), "dials that know where they go");
            assert!(
                self.has_flipped || !counts.contains_key(&Seat::NO_SITE),
                "a connection that leads nowhere"
            );
        }
    }
}
