//! The addresses of one host, under `dns.balance = "round_robin"`: how many connections each of them has, and whose
//! turn it is.
//!
//! A site is a slot. A connection remembers its number, so a slot is given to another address only when nothing of the
//! first is open any more. An address that the resolver names no more is not *listed*: its connections end after their
//! requests. One that could not be reached, or failed a request, is passed over for a while, and no others are closed or
//! dialled for its sake, unless all that is in use is at such addresses. No list gives a number that an earlier list of its
//! host has given: a connection that was made under other settings knows nothing of it.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::Instant;

use crate::wire::Seat;

/// Of a larger answer some are not used.
const SITES: usize = 128;

/// So many sites that fail one after another are passed over while any other can be used.
const DETOURS: usize = 15;

#[derive(Debug, Default)]
pub(super) struct Sites {
    all: Vec<Site>,
    /// The number of the first.
    begins: u32,
    /// Dials that know where they go.
    pub(super) decided: usize,
    turn: u64,
    /// Draws lots where there are too many addresses.
    lot: RandomState,
    /// When the last request came.
    pub(super) asked_at: Option<Instant>,
    /// When the name is to be looked up again.
    pub(super) due: Option<Instant>,
    pub(super) is_looked_up: bool,
}

#[derive(Debug)]
struct Site {
    address: SocketAddr,
    is_listed: bool,
    /// Connections and dials.
    open: usize,
    /// Idle exclusive connections.
    idle: usize,
    /// Streams under way on shared connections, as of the last count.
    streams: usize,
    /// The turn in which it was last chosen.
    used: u64,
    /// It could not be reached.
    unreachable: Detour,
    /// Requests failed there, though it could be reached.
    failing: Detour,
}

/// For how long a site is passed over: longer each time.
#[derive(Debug, Default)]
struct Detour {
    failures: u32,
    until: Option<Instant>,
}

impl Detour {
    const FIRST: Duration = Duration::from_secs(1);
    const LONGEST: Duration = Duration::from_secs(30);

    fn is_on(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| until > now)
    }

    /// What fails together is one failure.
    fn begin(&mut self, now: Instant) {
        if self.is_on(now) {
            return;
        }
        let wait = Detour::FIRST
            .saturating_mul(1 << self.failures.min(16))
            .min(Detour::LONGEST);
        self.failures = self.failures.saturating_add(1);
        self.until = now.checked_add(wait);
    }

    /// Whether it has been over for so long that what fails now has nothing to do with it.
    fn is_history(&self, now: Instant) -> bool {
        self.until
            .is_some_and(|until| now.saturating_duration_since(until) > 2 * Detour::LONGEST)
    }
}

impl Site {
    fn new(address: SocketAddr, is_listed: bool) -> Site {
        Site {
            address,
            is_listed,
            open: 0,
            idle: 0,
            streams: 0,
            used: 0,
            unreachable: Detour::default(),
            failing: Detour::default(),
        }
    }

    fn is_usable(&self, now: Instant) -> bool {
        self.is_listed && !self.is_avoided(now)
    }

    fn is_avoided(&self, now: Instant) -> bool {
        self.unreachable.is_on(now) || self.failing.is_on(now)
    }

    fn busy(&self) -> usize {
        self.open - self.idle
    }
}

impl Sites {
    /// A list whose numbers begin where those of an earlier one [end](Sites::end).
    pub(super) fn beginning(at: u32) -> Sites {
        Sites {
            begins: at,
            ..Sites::default()
        }
    }

    /// One more than the highest number that was given.
    pub(super) fn end(&self) -> u32 {
        self.number(self.all.len())
    }

    fn number(&self, index: usize) -> u32 {
        let number = u32::try_from(index)
            .ok()
            .and_then(|index| self.begins.checked_add(index));
        number.unwrap_or(Seat::NO_SITE)
    }

    fn get(&self, site: u32) -> Option<&Site> {
        self.all.get(usize::try_from(site.checked_sub(self.begins)?).ok()?)
    }

    fn get_mut(&mut self, site: u32) -> Option<&mut Site> {
        self.all.get_mut(usize::try_from(site.checked_sub(self.begins)?).ok()?)
    }

    /// Whether it is a number of this list.
    pub(super) fn knows(&self, site: u32) -> bool {
        self.get(site).is_some()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.listed() == 0
    }

    /// Addresses that the resolver names.
    pub(super) fn listed(&self) -> usize {
        self.all.iter().filter(|site| site.is_listed).count()
    }

    pub(super) fn is_listed(&self, site: u32) -> bool {
        // A connection that came by another way, such as a proxy or earlier settings, is nobody's business here.
        self.get(site).is_none_or(|site| site.is_listed)
    }

    /// These are the addresses now; whether one has gone that has connections.
    pub(super) fn learn(&mut self, addresses: &[SocketAddr]) -> bool {
        // The same few of very many, in whichever order they come, and not the same for every client.
        let mut named = addresses.to_vec();
        named.sort_unstable();
        named.dedup();
        if named.len() > SITES {
            named.sort_by_cached_key(|address| self.lot.hash_one(address));
            named.truncate(SITES);
            named.sort_unstable();
        }
        let mut has_gone = false;
        for site in &mut self.all {
            let position = named.binary_search(&site.address);
            has_gone |= site.is_listed && position.is_err() && site.open > 0;
            site.is_listed = position.is_ok();
        }
        for address in named {
            if !self.all.iter().any(|site| site.address == address) {
                self.add(Site::new(address, true));
            }
        }
        has_gone
    }

    /// The addresses for a dial: the one with the fewest connections first, and in turn where these are equal.
    pub(super) fn for_dial(&mut self, now: Instant) -> Vec<SocketAddr> {
        let mut listed: Vec<&Site> = self.all.iter().filter(|site| site.is_listed).collect();
        listed.sort_by_key(|site| (!site.is_usable(now), site.open, site.used));
        listed.into_iter().map(|site| site.address).collect()
    }

    /// A dial or a connection is at this address from now on.
    pub(super) fn enter(&mut self, address: SocketAddr) -> u32 {
        self.turn += 1;
        // It may have gone, and its slot, while a dial was on its way there.
        let index = self
            .all
            .iter()
            .position(|site| site.address == address)
            .unwrap_or_else(|| self.add(Site::new(address, false)));
        let site = &mut self.all[index];
        site.open += 1;
        site.used = self.turn;
        self.number(index)
    }

    /// Puts a site into a slot of which nothing is open.
    fn add(&mut self, site: Site) -> usize {
        if let Some(vacant) = self.all.iter().position(|site| !site.is_listed && site.open == 0) {
            self.all[vacant] = site;
            vacant
        } else {
            self.all.push(site);
            self.all.len() - 1
        }
    }

    /// A dial or a connection is there no more.
    pub(super) fn leave(&mut self, site: u32) {
        if let Some(site) = self.get_mut(site) {
            site.open -= 1;
        }
    }

    pub(super) fn address(&self, site: u32) -> Option<SocketAddr> {
        self.get(site).map(|site| site.address)
    }

    /// Whether a dial that has failed at one site may be made up for by one to another: some can be used, and are as many
    /// as those that cannot, lest a host of very many addresses that all fail is dialled at each before anybody hears of it.
    pub(super) fn leads_elsewhere(&self, now: Instant) -> bool {
        let listed = || self.all.iter().filter(|site| site.is_listed);
        let usable = listed().filter(|site| site.is_usable(now)).count();
        let avoided = listed().count() - usable;
        usable > 0 && avoided <= usize::max(usable, DETOURS)
    }

    /// It could not be reached.
    pub(super) fn avoid(&mut self, site: u32, now: Instant) {
        if let Some(site) = self.get_mut(site) {
            site.unreachable.begin(now);
        }
    }

    /// A request failed there. That it can be reached is nothing new then.
    pub(super) fn blame(&mut self, address: SocketAddr, now: Instant) {
        if let Some(site) = self.all.iter_mut().find(|site| site.address == address) {
            if site.failing.is_history(now) {
                site.failing = Detour::default();
            }
            site.failing.begin(now);
        }
    }

    /// Whether this address is passed over.
    pub(super) fn avoids(&self, address: SocketAddr, now: Instant) -> bool {
        let site = self.all.iter().find(|site| site.address == address);
        site.is_some_and(|site| site.is_avoided(now))
    }

    /// The addresses that are passed over.
    pub(super) fn avoided(&self, now: Instant) -> impl Iterator<Item = SocketAddr> {
        let avoided = self.all.iter().filter(move |site| site.is_avoided(now));
        avoided.map(|site| site.address)
    }

    /// Whether an address beside these can be used.
    pub(super) fn has_usable_beside(&self, failed: &[SocketAddr], now: Instant) -> bool {
        let is_beside = |site: &Site| site.is_usable(now) && !failed.contains(&site.address);
        self.all.iter().any(is_beside)
    }

    /// It could be reached.
    pub(super) fn reached(&mut self, site: u32) {
        if let Some(site) = self.get_mut(site) {
            site.unreachable = Detour::default();
        }
    }

    pub(super) fn rests(&mut self, site: u32) {
        if let Some(site) = self.get_mut(site) {
            site.idle += 1;
        }
    }

    pub(super) fn rests_no_more(&mut self, site: u32) {
        if let Some(site) = self.get_mut(site) {
            site.idle -= 1;
        }
    }

    /// The site whose idle connection is to take the next request: the one with the fewest in use, and in turn. One that is
    /// passed over comes last.
    pub(super) fn next_idle(&self, now: Instant) -> Option<u32> {
        let idle = self.all.iter().enumerate().filter(|(_, site)| site.idle > 0);
        let best = idle.min_by_key(|(_, site)| (site.is_avoided(now), site.busy(), site.used));
        best.map(|(index, _)| self.number(index))
    }

    /// How little an idle connection of this site is to be preferred, as above.
    pub(super) fn turn(&self, site: u32) -> (usize, u64) {
        self.get(site).map_or((0, 0), |site| (site.busy(), site.used))
    }

    /// The site of which an idle connection is missed least.
    pub(super) fn fullest_idle(&self) -> Option<u32> {
        let idle = self.all.iter().enumerate().filter(|(_, site)| site.idle > 0);
        let fullest = idle.max_by_key(|(_, site)| (!site.is_listed, site.open));
        fullest.map(|(index, _)| self.number(index))
    }

    /// It was chosen.
    pub(super) fn takes_turn(&mut self, site: u32) {
        self.turn += 1;
        let turn = self.turn;
        if let Some(site) = self.get_mut(site) {
            site.used = turn;
        }
    }

    /// Begins a count of streams.
    pub(super) fn count_streams(&mut self, connections: impl Iterator<Item = (u32, usize)>) {
        for site in &mut self.all {
            site.streams = 0;
        }
        for (site, streams) in connections {
            if let Some(site) = self.get_mut(site) {
                site.streams += streams;
            }
        }
    }

    /// How little a stream of this site is to be preferred: by streams under way there, and in turn; last, if it is passed over.
    pub(super) fn streams(&self, site: u32, now: Instant) -> (bool, usize, u64) {
        let site = self.get(site);
        site.map_or((false, 0, 0), |site| (site.is_avoided(now), site.streams, site.used))
    }

    /// How many dials would give each site its share of what is in use, beside those that are under way and do not know
    /// yet where they go. Beyond `kept`, what may be idle or is there, only where others have more than an even share:
    /// what has no room to be idle would be closed after its request, and missed again at the next. Where only sites that are
    /// passed over bear requests, each of the others is to have a connection.
    pub(super) fn missing_exclusive(&self, dialling: usize, kept: usize, now: Instant) -> usize {
        let usable = || self.all.iter().filter(|site| site.is_usable(now));
        let (count, busy, open) = usable().fold((0, 0, 0), |(count, busy, open), site| {
            (count + 1, busy + site.busy(), open + site.open)
        });
        let count = usize::max(count, 1);
        let is_borne = self.all.iter().any(|site| site.is_listed && site.busy() > 0);
        let share = busy.div_ceil(count).max(usize::from(is_borne));
        let below = |share: usize| usable().map(|site| share.saturating_sub(site.open)).sum::<usize>();
        let listed: usize = self
            .all
            .iter()
            .filter(|site| site.is_listed)
            .map(|site| site.open)
            .sum();
        let room = kept.saturating_sub(listed).max(below(open / count));
        below(share).min(room).saturating_sub(dialling - self.decided)
    }

    /// The same, for a shared connection each.
    pub(super) fn missing_shared(&self, dialling: usize, now: Instant) -> usize {
        let missing = self
            .all
            .iter()
            .filter(|site| site.is_usable(now) && site.open == 0)
            .count();
        missing.saturating_sub(dialling - self.decided)
    }

    /// Whether a connection of this site would be missed less than one is missed elsewhere.
    pub(super) fn has_too_many(&self, site: u32, now: Instant) -> bool {
        let fewest = self
            .all
            .iter()
            .filter(|site| site.is_usable(now))
            .map(|site| site.open)
            .min();
        self.get(site)
            .zip(fewest)
            .is_some_and(|(site, fewest)| site.open >= fewest + 2)
    }
}

#[cfg(test)]
impl Sites {
    /// What is open and what is idle at each site.
    pub(super) fn counts(&self) -> impl Iterator<Item = (u32, usize, usize)> {
        let counts = |(index, site): (usize, &Site)| (self.number(index), site.open, site.idle);
        self.all.iter().enumerate().map(counts)
    }

    /// Whether another site than this can be used.
    pub(super) fn has_beside(&self, site: u32, now: Instant) -> bool {
        let others = self
            .all
            .iter()
            .enumerate()
            .filter(|(index, _)| self.number(*index) != site);
        others.into_iter().any(|(_, other)| other.is_usable(now))
    }

    /// What is open at an address, unless it is passed over.
    pub(super) fn open_at(&self, address: SocketAddr, now: Instant) -> Option<usize> {
        match self.all.iter().find(|site| site.address == address) {
            Some(site) => (!site.is_avoided(now)).then_some(site.open),
            None => Some(0),
        }
    }
}
