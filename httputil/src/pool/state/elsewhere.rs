//! Another connection than the one that a request has just failed on.
//!
//! One to an address of the host at which nothing failed of late is best, since what failed may be the server there, and an
//! idle one to it costs nothing. Else a new one, which goes to such an address if there is any; else an idle one to an
//! address at which this request, at least, has not failed. Else a new one all the same: behind one address there may be
//! many servers. A new one may be long in coming, or not to be had, and then whichever idle one is better than none; in the
//! end even the same, where it bore a bad answer and is whole. It is closed for a new one, under a cap, only when it bore
//! no answer, or a bad one again: it serves all others of its host, and nobody knows whether the new one will come.
//!
//! Where a cap keeps a new one from it, and all that the host has leads to addresses at which something failed while another
//! address is known, one of these connections makes room: one for each request that waits, and not for a second after a
//! dial led to such an address all the same. What leads elsewhere and comes home meanwhile serves it, and is never closed for it.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::Instant;

use super::dialling::Cap;
use super::host::Host;
use super::lists::{BY_HOST, List};
use super::places::is_crowded;
use super::{Ask, Exclusive, Held, Multiplexed, Outcome, State, Todo};
use crate::wire::{CloseReason, Marks};

/// For so long after a dial that led to an address at which something failed no connection makes room for one that is to lead
/// elsewhere.
const STRAYED_FOR: Duration = Duration::from_secs(1);

/// What comes after an idle connection to another address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pool) enum Rather {
    /// A new one, if there is room for it, before an idle one.
    New,
    /// An idle one, before a new one.
    Idle,
    /// An idle one, before the one that the request failed on.
    Any,
}

/// Where a request has failed.
#[derive(Clone, Copy, Debug)]
pub(in crate::pool) struct Failed<'a> {
    /// On this connection, a moment ago.
    pub(in crate::pool) on: Marks,
    /// At these addresses, in all its attempts.
    pub(in crate::pool) at: &'a [SocketAddr],
    /// While the host's name is known to lead to another address than these.
    pub(in crate::pool) has_other: bool,
    /// The connection may be closed for a new one, before that is there.
    pub(in crate::pool) makes_room: bool,
}

impl Failed<'_> {
    fn is_elsewhere(self, marks: Marks) -> bool {
        marks.is_elsewhere(self.on) && marks.remote.is_some_and(|remote| !self.at.contains(&remote))
    }
}

impl<C: Exclusive, S: Multiplexed> State<C, S> {
    /// A connection for a request that has just failed on `failed`.
    pub(in crate::pool) fn checkout_beside(
        &mut self,
        host: usize,
        failed: Failed<'_>,
        rather: Rather,
        ask: Ask,
        todo: &mut Todo<C, S>,
    ) -> Outcome<C, S::Place> {
        let sound = |state: &Self, marks: Marks| {
            failed.is_elsewhere(marks) && !marks.remote.is_some_and(|remote| state.avoids(host, remote, ask.now))
        };
        if let Some(found) = self.take_one_of(host, sound, ask.now, todo) {
            return found;
        }
        let fresh = Ask { fresh: true, ..ask };
        let takes_new = rather == Rather::New && self.has_room_to_spare(host, ask.now);
        let is_known = self.leads_beside(host, failed, ask.now);
        let makes_room = is_known && rather == Rather::New && self.may_make_room(host, ask.now);
        if makes_room || takes_new && self.has_sound(host, failed, ask.now) {
            let shuns = is_known.then(|| self.shunned(host, failed, ask.now));
            return self.wait(host, fresh, shuns.unwrap_or_default(), todo);
        }
        let elsewhere = |_: &Self, marks: Marks| failed.is_elsewhere(marks);
        if let Some(found) = self.take_one_of(host, elsewhere, ask.now, todo) {
            return found;
        }
        if takes_new {
            return self.wait(host, fresh, Vec::new(), todo);
        }
        let beside = |_: &Self, marks: Marks| marks.is_beside(failed.on);
        if let Some(found) = self.take_one_of(host, beside, ask.now, todo) {
            return found;
        }
        let has_room = if failed.makes_room {
            self.has_room_for_new(host, ask.now)
        } else {
            self.has_room_beside_its_own(host, ask.now)
        };
        if rather != Rather::Any && has_room {
            return self.wait(host, fresh, Vec::new(), todo);
        }
        self.checkout(host, Ask { fresh: false, ..ask }, todo)
    }

    /// Whether there is one at hand beside that which the request failed on, or that one where it is better than none.
    pub(in crate::pool) fn has_beside(&self, host: usize, failed: Marks, rather: Rather) -> bool {
        let beside = |marks: Marks| rather == Rather::Any || marks.is_beside(failed);
        let shared = |entry: &usize| {
            let will_do = |connection: &S| beside(connection.marks()) && !is_crowded(connection);
            !self.is_spared(*entry) && self.shared(*entry).is_some_and(will_do)
        };
        let known = self.hosts.get(host);
        self.idle_one_of(host, beside).is_some() || known.is_some_and(|host| host.shared.iter().any(shared))
    }

    /// Whether a new connection may go to an address at which nothing failed of late, as far as that is known.
    fn has_sound(&self, host: usize, failed: Failed<'_>, now: Instant) -> bool {
        let sites = self.hosts.get(host).and_then(|host| host.sites.as_deref());
        sites.is_none_or(|sites| sites.has_usable_beside(failed.at, now))
    }

    /// Whether the host is known to have an address at which nothing failed of late.
    fn leads_beside(&self, index: usize, failed: Failed<'_>, now: Instant) -> bool {
        let sites = self.hosts.get(index).and_then(|host| host.sites.as_deref());
        sites.map_or(failed.has_other, |sites| sites.has_usable_beside(failed.at, now))
    }

    /// Whether a connection that leads to where something failed may make room for one that leads elsewhere.
    fn may_make_room(&self, index: usize, now: Instant) -> bool {
        let Some(host) = self.hosts.get(index) else {
            return false;
        };
        let is_at_cap = matches!(
            self.holds_back(host, now),
            None | Some(Cap::Host | Cap::Pool | Cap::Registry)
        );
        let has_strayed = host
            .strayed_at
            .is_some_and(|at| now.saturating_duration_since(at) < STRAYED_FOR);
        is_at_cap && !has_strayed
    }

    /// The addresses of the host at which something failed.
    fn shunned(&self, index: usize, failed: Failed<'_>, now: Instant) -> Vec<SocketAddr> {
        let sites = self.hosts.get(index).and_then(|host| host.sites.as_deref());
        let avoided = sites.into_iter().flat_map(|sites| sites.avoided(now));
        failed.at.iter().copied().chain(avoided).collect()
    }

    /// A new connection leads there. Those who wait for one that leads elsewhere take what there is then, lest others make room
    /// for nothing.
    pub(super) fn leads_to(&mut self, index: usize, marks: Marks, now: Instant) {
        if let (Some(host), Some(remote)) = (self.hosts.get_mut(index), marks.remote)
            && host.queue.fresh() > 0
            && host.queue.shun_no_more(remote)
        {
            host.strayed_at = Some(now);
        }
    }

    /// The connection that makes room under a cap for those who want a new one: one that nobody uses. Where the first of them
    /// wants it to lead elsewhere than to some addresses, one that leads there.
    pub(super) fn parts_with(&self, host: &Host<C, S::Place>, now: Instant) -> Option<usize> {
        let shunned = host.queue.shunned(now);
        if shunned.is_empty() {
            return host.idle.oldest().or_else(|| self.unused_shared(host));
        }
        let newer = |entry: &usize| List::<BY_HOST>::newer(&self.entries, *entry);
        let leads_there = |entry: &usize| match self.entries.get(*entry).map(|entry| &entry.held) {
            Some(Held::Idle(connection)) => connection.marks().is_at(shunned),
            _ => false,
        };
        std::iter::successors(host.idle.oldest(), newer)
            .find(leads_there)
            // That cap counts it until its requests have ended: the last one serves on.
            .or_else(|| self.shunned_shared(host, host.shared.len() > 1, now))
    }

    /// The shared connection with the fewest requests, none unless it `may_bear_some`, that leads to where the first of those
    /// who want a new one does not want it to.
    fn shunned_shared(&self, host: &Host<C, S::Place>, may_bear_some: bool, now: Instant) -> Option<usize> {
        let shunned = host.queue.shunned(now);
        let load = |entry: &usize| {
            let connection = self.shared(*entry)?;
            let in_use = connection.in_use();
            let leaves = connection.marks().is_at(shunned) && (may_bear_some || in_use == 0);
            leaves.then_some((in_use, *entry))
        };
        let least = host.shared.iter().filter_map(load).min();
        least.map(|(_, entry)| entry)
    }

    /// Where the host has as many shared connections as it may: one that leads to where something failed takes no more requests.
    pub(super) fn part_with_shunned(&mut self, index: usize, now: Instant, todo: &mut Todo<C, S>) {
        let Some(host) = self.hosts.get(index) else { return };
        let is_full = host.shared.len() == self.max_shared(host.sites.as_deref());
        if is_full
            && is_due_elsewhere(host, now)
            && self.holds_back(host, now).is_none()
            && let Some(leaves) = self.shunned_shared(host, true, now)
        {
            self.expel(leaves, CloseReason::MadeRoom, todo);
        }
    }

    /// Under a cap of the pool or of all pools: where those who wait want to lead elsewhere than what the host has, its own
    /// makes room rather than another host's.
    pub(super) fn makes_room_itself(&mut self, index: usize, now: Instant, todo: &mut Todo<C, S>) {
        let Some(host) = self.hosts.get(index) else { return };
        if is_due_elsewhere(host, now)
            && let Some(leaves) = self.parts_with(host, now)
        {
            self.departs();
            if let Some(host) = self.hosts.get_mut(index) {
                host.departing += 1;
            }
            self.expel(leaves, CloseReason::MadeRoom, todo);
        }
    }

    /// An idle connection, or a place, of those that will do.
    fn take_one_of(
        &mut self,
        host: usize,
        will_do: impl Fn(&Self, Marks) -> bool,
        now: Instant,
        todo: &mut Todo<C, S>,
    ) -> Option<Outcome<C, S::Place>> {
        let idle = self.take_idle(
            host,
            |state| state.idle_one_of(host, |marks| will_do(state, marks)),
            now,
            todo,
        );
        let found = match idle {
            Some((connection, since)) => Outcome::Idle(connection, since),
            None => Outcome::Place(self.place_of(host, &will_do, now, todo)?),
        };
        self.make_up(host, now, todo);
        self.spread(host, now, todo);
        Some(found)
    }

    /// The newest, or where connections are spread the newest to the address whose turn it is.
    fn idle_one_of(&self, index: usize, will_do: impl Fn(Marks) -> bool) -> Option<usize> {
        let sites = self.hosts.get(index)?.sites.as_deref();
        let suits = |entry: &usize| match self.entries.get(*entry).map(|entry| &entry.held) {
            Some(Held::Idle(connection)) => will_do(connection.marks()),
            _ => false,
        };
        let turn = |entry: &usize| sites.map(|sites| sites.turn(self.site_at(*entry)));
        self.idle_entries(index).filter(suits).min_by_key(turn)
    }

    /// A place, unless others wait for one, on the least crowded connection.
    fn place_of(
        &mut self,
        index: usize,
        will_do: impl Fn(&Self, Marks) -> bool,
        now: Instant,
        todo: &mut Todo<C, S>,
    ) -> Option<S::Place> {
        let queue = &self.hosts.get(index)?.queue;
        if queue.len() > queue.fresh() {
            return None;
        }
        self.expel_worn_out(index, now, todo);
        let suits = |entry: &usize| {
            let connection = self.shared(*entry)?;
            let load = (is_crowded(connection), connection.in_use());
            (will_do(self, connection.marks()) && !self.is_spared(*entry)).then_some((load, *entry))
        };
        let mut suiting: Vec<_> = self.hosts.get(index)?.shared.iter().filter_map(suits).collect();
        suiting.sort_unstable();
        let (entry, place) = suiting
            .into_iter()
            .find_map(|(_, entry)| Some((entry, self.shared(entry)?.try_acquire()?)))?;
        self.handed_out(index, entry, todo);
        // The next connection is dialled before this one is full.
        self.pump(index, now, todo);
        Some(place)
    }
}

/// Whether the first of those who want a new connection wants it to lead elsewhere than to some addresses, and none is on its
/// way.
fn is_due_elsewhere<C, P>(host: &Host<C, P>, now: Instant) -> bool {
    let is_covered = host.departing + host.promising() >= host.queue.fresh_before_others(now);
    !is_covered && !host.queue.shunned(now).is_empty()
}
