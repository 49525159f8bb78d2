//! Following the DNS: a host's connections over all its addresses (`dns.balance = "round_robin"`).
//!
//! Where it is off a host has no sites, and each of these steps is a look at a `None`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::host::Host;
use super::lists::{BY_HOST, List};
use super::sites::Sites;
use super::{Bond, Dial, Exclusive, Held, Key, Multiplexed, Protocol, State, Todo};
use crate::connect::Answer;
use crate::pool::key::KeyRef;
use crate::wire::{CloseReason, Seat};

impl<C: Exclusive, S: Multiplexed> State<C, S> {
    pub(super) fn sites(&mut self, index: usize) -> Option<&mut Sites> {
        self.hosts.get_mut(index)?.sites.as_deref_mut()
    }

    /// How many shared connections the host may have: one for each of its addresses, if these are more.
    pub(super) fn max_shared(&self, sites: Option<&Sites>) -> usize {
        self.limits.max_shared_per_host.max(sites.map_or(0, Sites::listed))
    }

    /// A dial has learnt where the name leads; the addresses that it is to try, in order.
    pub(in crate::pool) fn assign(
        &mut self,
        dial: &Dial,
        answer: Answer,
        now: Instant,
        todo: &mut Todo<C, S>,
    ) -> Vec<SocketAddr> {
        let index = dial.seat.host;
        let Some(sites) = self.sites(index) else {
            return answer.addresses;
        };
        if answer.is_current || sites.is_empty() {
            self.follow(index, &answer, now, todo);
        }
        let Some(sites) = self.sites(index) else {
            return answer.addresses;
        };
        let addresses = sites.for_dial(now);
        if let Some(first) = addresses.first().copied() {
            let site = sites.enter(first);
            sites.decided += 1;
            self.set_site(dial, site);
        }
        addresses
    }

    /// The dial has reached this address; the number of its site. It may not be the one that was meant for it.
    pub(in crate::pool) fn arrived(&mut self, dial: &Dial, address: Option<SocketAddr>, now: Instant) -> u32 {
        let meant = self.site_of(dial);
        if let Ok(position) = self.running.binary_search_by_key(&dial.id, |running| running.id) {
            self.running[position].has_arrived = address.is_some();
        }
        let Some(sites) = self.sites(dial.seat.host) else {
            return Seat::NO_SITE;
        };
        let Some(address) = address.filter(|address| sites.address(meant).is_some_and(|meant| meant != *address))
        else {
            return meant;
        };
        sites.avoid(meant, now);
        sites.leave(meant);
        let site = sites.enter(address);
        self.set_site(dial, site);
        site
    }

    fn site_of(&self, dial: &Dial) -> u32 {
        let running = self.running.binary_search_by_key(&dial.id, |running| running.id);
        running.map_or(Seat::NO_SITE, |position| self.running[position].site)
    }

    fn set_site(&mut self, dial: &Dial, site: u32) {
        if let Ok(position) = self.running.binary_search_by_key(&dial.id, |running| running.id) {
            self.running[position].site = site;
        }
    }

    /// A dial is over; whether its connection stays. One that failed is no reason to try the same address at once.
    pub(super) fn leave_dial(&mut self, index: usize, site: u32, has_connected: bool, now: Option<Instant>) {
        let Some(sites) = self.sites(index).filter(|sites| sites.knows(site)) else {
            return;
        };
        sites.decided -= 1;
        if has_connected {
            return sites.reached(site);
        }
        sites.leave(site);
        if let Some(now) = now {
            sites.avoid(site, now);
        }
    }

    /// Whether what has failed at one of the host's addresses is to be tried at another.
    pub(super) fn leads_elsewhere(&self, index: usize, now: Instant) -> bool {
        let sites = self.hosts.get(index).and_then(|host| host.sites.as_deref());
        sites.is_some_and(|sites| sites.leads_elsewhere(now))
    }

    /// A request failed at this address of the host: for a while others are dialled.
    pub(in crate::pool) fn blame(&mut self, key: KeyRef<'_>, address: SocketAddr, now: Instant) {
        if let Some(index) = self.find(key)
            && let Some(sites) = self.sites(index)
        {
            sites.blame(address, now);
        }
    }

    /// Whether an address of the host is passed over now.
    pub(super) fn avoids(&self, index: usize, address: SocketAddr, now: Instant) -> bool {
        let sites = self.hosts.get(index).and_then(|host| host.sites.as_deref());
        sites.is_some_and(|sites| sites.avoids(address, now))
    }

    /// A connection's socket is gone.
    pub(in crate::pool) fn leave_site(&mut self, index: usize, site: u32) {
        if let Some(sites) = self.sites(index) {
            sites.leave(site);
        }
    }

    /// The host's addresses are these now. Connections to others end, those in use after their requests.
    pub(in crate::pool) fn follow(&mut self, index: usize, answer: &Answer, now: Instant, todo: &mut Todo<C, S>) {
        let Some(sites) = self.sites(index) else { return };
        sites.due = answer.ask_again;
        if sites.learn(&answer.addresses) {
            self.expel_gone(index, todo);
        }
        // Fewer addresses allow fewer shared connections: who waits for a new one takes a place where none may come.
        if self.hosts.get(index).is_some_and(|host| !host.queue.is_empty()) {
            self.serve_places(index, now, todo);
        }
        // Those who wait for a place on one of them need another connection, and new addresses allow more of these.
        self.pump(index, now, todo);
    }

    fn expel_gone(&mut self, index: usize, todo: &mut Todo<C, S>) {
        let Some(host) = self.hosts.get(index) else { return };
        let mut gone = host.shared.clone();
        let mut next = host.idle.oldest();
        while let Some(entry) = next {
            next = List::<BY_HOST>::newer(&self.entries, entry);
            gone.push(entry);
        }
        gone.retain(|entry| self.is_gone(index, self.site_at(*entry)));
        for entry in gone {
            self.expel(entry, CloseReason::AddressGone, todo);
        }
    }

    /// The site of what is kept at a place.
    pub(super) fn site_at(&self, entry: usize) -> u32 {
        match self.entries.get(entry).map(|entry| &entry.held) {
            Some(Held::Idle(connection)) => connection.bond().site(),
            Some(Held::Shared(connection)) => connection.site(),
            None => Seat::NO_SITE,
        }
    }

    /// Whether the resolver names this address of the host no more.
    pub(super) fn is_gone(&self, index: usize, site: u32) -> bool {
        let sites = self.hosts.get(index).and_then(|host| host.sites.as_deref());
        sites.is_some_and(|sites| !sites.is_listed(site))
    }

    /// Why a connection that comes home is not kept, if its address is the reason: it has gone, or it has more than its
    /// share and another address gets none, since the host's cap is reached.
    pub(super) fn misplaced(&self, index: usize, site: u32, now: Instant) -> Option<CloseReason> {
        let host = self.hosts.get(index)?;
        let sites = host.sites.as_deref()?;
        if !sites.is_listed(site) {
            return Some(CloseReason::AddressGone);
        }
        let cap = self.limits.pool.max_connections_per_host;
        let is_full = cap.is_some_and(|cap| host.references >= cap) && host.dialling == 0;
        (is_full && sites.has_too_many(site, now)).then_some(CloseReason::Rebalanced)
    }

    /// The places of a host's idle connections, the newest first.
    pub(super) fn idle_entries(&self, index: usize) -> impl Iterator<Item = usize> {
        let newest = self.hosts.get(index).and_then(|host| host.idle.newest());
        std::iter::successors(newest, |entry| List::<BY_HOST>::older(&self.entries, *entry))
    }

    /// The place of an idle connection of the site: its newest, or its oldest.
    pub(super) fn idle_of(&self, index: usize, site: u32, newest: bool) -> Option<usize> {
        let idle = &self.hosts.get(index)?.idle;
        let mut next = if newest { idle.newest() } else { idle.oldest() };
        while let Some(entry) = next {
            if self.site_at(entry) == site {
                return Some(entry);
            }
            next = if newest {
                List::<BY_HOST>::older(&self.entries, entry)
            } else {
                List::<BY_HOST>::newer(&self.entries, entry)
            };
        }
        None
    }

    /// Whether nobody has asked for the host for longer than what its name leads to was to be believed.
    pub(in crate::pool) fn is_forgotten(&self, index: usize, ttl: impl FnOnce() -> Duration, now: Instant) -> bool {
        let sites = self.hosts.get(index).and_then(|host| host.sites.as_deref());
        sites.is_some_and(|sites| {
            let is_due = sites.due.is_some_and(|due| due <= now);
            is_due
                && sites
                    .asked_at
                    .is_some_and(|at| now.saturating_duration_since(at) > ttl())
        })
    }

    /// After each request: dials for addresses that have less than their share, if nothing has to make room for them;
    /// and has the name looked up again when its time is over.
    pub(super) fn spread(&mut self, index: usize, now: Instant, todo: &mut Todo<C, S>) {
        let Some(host) = self.hosts.get_mut(index) else { return };
        let Some(sites) = host.sites.as_deref_mut() else { return };
        sites.asked_at = Some(now);
        if sites.due.is_some_and(|due| due <= now) && !sites.is_looked_up {
            sites.is_looked_up = true;
            todo.chores().look_up = Some(Arc::clone(&host.key));
        }
        let caps = &self.limits.pool;
        if !caps.reuse || self.leases == 0 {
            return;
        }
        while let Some(host) = self.hosts.get(index)
            && let Some(sites) = host.sites.as_deref()
            && !host.backoff.is_probing()
        {
            let caps = &self.limits.pool;
            let (missing, may) = match host.protocol {
                Protocol::Unknown => return,
                Protocol::H1 => (
                    sites.missing_exclusive(host.dialling, self.kept(host), now),
                    host.idle.len() + host.dialling < caps.max_idle_per_host && self.by_age.len() < caps.max_idle,
                ),
                Protocol::H2 => (
                    sites.missing_shared(host.dialling, now),
                    host.shared.len() + host.dialling < self.max_shared(Some(sites)),
                ),
            };
            if missing == 0 || !may || self.take_slot(host, now).is_err() {
                return;
            }
            self.begin_dial(index, None, now, todo);
        }
    }

    /// How many exclusive connections of the host may be idle, if all other hosts keep what they have.
    fn kept(&self, host: &Host<C, S::Place>) -> usize {
        let caps = &self.limits.pool;
        let elsewhere = self.by_age.len() - host.idle.len();
        caps.max_idle_per_host.min(caps.max_idle.saturating_sub(elsewhere))
    }

    /// What a look-up in the background came to: an answer, or when to try again.
    pub(in crate::pool) fn looked_up(
        &mut self,
        key: &Arc<Key>,
        answer: Result<&Answer, Duration>,
        now: Instant,
        todo: &mut Todo<C, S>,
    ) {
        let found = self.find(KeyRef {
            target: &key.target,
            route: &key.route,
            runtime: key.runtime(),
        });
        let Some(index) = found else { return };
        let Some(sites) = self.sites(index) else { return };
        sites.is_looked_up = false;
        match answer {
            Ok(answer) => self.follow(index, answer, now, todo),
            // Nobody knows better: what was there stays.
            Err(again) => sites.due = now.checked_add(again),
        }
    }
}
