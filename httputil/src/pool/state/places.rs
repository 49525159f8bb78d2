//! Shared connections: who gets a place, and when the next connection is dialled.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use super::dialling::Cap;
use super::host::Host;
use super::queue::Offer;
use super::{Delivery, Entry, Exclusive, Held, Leaving, Multiplexed, Protocol, State, Todo};
use crate::wire::CloseReason;

/// A peer that has not said by then how many requests it takes is not relied on.
const SAYS_WITHIN: Duration = Duration::from_secs(1);

impl<C: Exclusive, S: Multiplexed> State<C, S> {
    pub(super) fn shared(&self, index: usize) -> Option<&S> {
        match &self.entries.get(index)?.held {
            Held::Shared(connection) => Some(connection),
            Held::Idle(_) => None,
        }
    }

    /// A place for a request, unless others wait for one: on the first connection that is not crowded, else on any.
    pub(super) fn acquire(&mut self, index: usize, now: Instant, todo: &mut Todo<C, S>) -> Option<S::Place> {
        let host = self.hosts.get(index)?;
        if host.shared.is_empty() || !host.queue.is_empty() {
            return None;
        }
        let place = self.try_acquire(index, now, todo)?;
        // The next connection is dialled before this one is full.
        self.pump(index, now, todo);
        Some(place)
    }

    fn try_acquire(&mut self, index: usize, now: Instant, todo: &mut Todo<C, S>) -> Option<S::Place> {
        self.expel_worn_out(index, now, todo);
        if let Some(entry) = self.in_turn(index, now)
            && let Some(place) = self.shared(entry).and_then(S::try_acquire)
        {
            self.handed_out(index, entry, todo);
            return Some(place);
        }
        for may_crowd in [false, true] {
            for position in 0..self.hosts.get(index)?.shared.len() {
                let entry = self.hosts.get(index)?.shared[position];
                let Some(connection) = self.shared(entry) else { continue };
                if !may_crowd && is_crowded(connection) || self.is_spared(entry) {
                    continue;
                }
                if let Some(place) = connection.try_acquire() {
                    self.given(entry, todo);
                    return Some(place);
                }
            }
        }
        None
    }

    /// Where connections are spread: the one to the address with the fewest streams that is not crowded.
    fn in_turn(&mut self, index: usize, now: Instant) -> Option<usize> {
        let but = self.spared_entry();
        let host = self.hosts.get_mut(index)?;
        let (sites, entries) = (host.sites.as_deref_mut()?, &self.entries);
        let shared = |entry: &usize| match &entries.get(*entry)?.held {
            Held::Shared(connection) => Some((*entry, connection)),
            Held::Idle(_) => None,
        };
        let connections = || host.shared.iter().filter_map(shared);
        sites.count_streams(connections().map(|(_, connection)| (connection.site(), connection.in_use())));
        let free = connections().filter(|(entry, connection)| !is_crowded(*connection) && Some(*entry) != but);
        let best = free.min_by_key(|(_, connection)| (sites.streams(connection.site(), now), connection.in_use()));
        best.map(|(entry, _)| entry)
    }

    /// A place was given out, in its address's turn.
    pub(super) fn handed_out(&mut self, index: usize, entry: usize, todo: &mut Todo<C, S>) {
        let site = self.site_at(entry);
        if let Some(sites) = self.sites(index) {
            sites.takes_turn(site);
        }
        self.given(entry, todo);
    }

    /// A place was given out: the connection is not idle, and without reuse it was the only one.
    fn given(&mut self, entry: usize, todo: &mut Todo<C, S>) {
        self.unlink_idle(entry);
        if !self.limits.pool.reuse {
            self.expel(entry, CloseReason::NoReuse, todo);
        }
    }

    /// Those that are too old, or have borne enough requests, end after the streams that they bear. One that is too old
    /// serves on as long as it bears some and no other may be dialled, but for moments in which they may end.
    pub(super) fn expel_worn_out(&mut self, index: usize, now: Instant, todo: &mut Todo<C, S>) {
        let mut position = 0;
        while let Some(host) = self.hosts.get(index)
            && let Some(entry) = host.shared.get(position).copied()
        {
            let reason = self.shared(entry).and_then(|connection| {
                if connection.expires().is_some_and(|expires| expires <= now) {
                    Some(CloseReason::MaxLifetime)
                } else {
                    connection.spent()
                }
            });
            match reason {
                Some(CloseReason::MaxLifetime) if self.is_irreplaceable(index, entry, now) => {
                    self.spare_too_old(entry, now);
                    position += 1;
                }
                Some(reason) => self.expel(entry, reason, todo),
                None => position += 1,
            }
        }
    }

    /// Whether the connection's host would be without one as long as its streams go on.
    fn is_irreplaceable(&self, index: usize, entry: usize, now: Instant) -> bool {
        let bears_some = self.shared(entry).is_some_and(|connection| connection.in_use() > 0);
        let host = self.hosts.get(index).filter(|host| host.shared.len() == 1);
        bears_some && host.is_some_and(|host| self.holds_back(host, now).is_some())
    }

    /// Whether another shared connection should be dialled.
    pub(super) fn wants_shared(&self, host: &Host<C, S::Place>) -> bool {
        if host.shared.len() >= self.max_shared(host.sites.as_deref()) {
            return host.queue.fresh() > 0 && self.may_replace_one(host);
        }
        let connections = || host.shared.iter().filter_map(|entry| self.shared(*entry));
        if !host.queue.is_empty() {
            // One that has not said how many it takes may take everybody, unless that is long in coming. And one that has
            // said so since those who wait were served takes them in a moment, when the pool hears of it.
            let takes_none = |connection: &S| connection.limit().is_some_and(|limit| !has_place(connection, limit));
            let mut connections = host.shared.iter().filter(|entry| !self.is_spared(**entry));
            let is_of_no_use = |entry: &usize| self.is_overdue(*entry) || self.shared(*entry).is_none_or(takes_none);
            return host.queue.fresh() > 0 || connections.all(is_of_no_use);
        }
        // One in doubt is made up for when somebody comes: a sign of life may be sooner.
        !host.shared.is_empty() && connections().all(|connection| is_crowded(connection) && !connection.is_in_doubt())
    }

    fn is_overdue(&self, entry: usize) -> bool {
        let is_overdue = self.entries.get(entry).is_some_and(|entry| entry.is_overdue);
        is_overdue
            && self
                .shared(entry)
                .is_some_and(|connection| connection.limit().is_none())
    }

    /// Somebody has waited for a while for a place, and the peer has not said how many requests it takes, takes none any more,
    /// or nobody knows whether it is still there. One that had time enough for the first is not waited for any more, and one
    /// of the others takes no more requests: another connection is dialled. Where none may be, it is all that there is.
    pub(in crate::pool) fn look_for_overdue(&mut self, index: usize, now: Instant, todo: &mut Todo<C, S>) {
        let Some(host) = self.hosts.get(index) else { return };
        let entries = host.shared.clone();
        let may_have_another = self.may_have_another(index, now);
        let leaves = |entry: usize| {
            let connection = self.shared(entry)?;
            let shut = connection.is_shut().then_some((entry, CloseReason::PeerClosed));
            let why = shut.or_else(|| connection.is_in_doubt().then_some((entry, CloseReason::Suspect)));
            // What bears nothing gives its slot back at once.
            why.filter(|_| may_have_another || connection.in_use() == 0)
        };
        if let Some((entry, reason)) = entries.iter().copied().find_map(leaves) {
            self.expel(entry, reason, todo);
        }
        for entry in entries {
            let is_known = self
                .shared(entry)
                .is_some_and(|connection| connection.limit().is_some());
            if let Some(entry) = self.entries.get_mut(entry) {
                entry.is_overdue |= !is_known && now.saturating_duration_since(entry.since) >= SAYS_WITHIN;
            }
        }
        self.pump(index, now, todo);
    }

    /// Whether a connection of the host may be dialled, or as soon as an idle one of this pool has made room.
    fn may_have_another(&self, index: usize, now: Instant) -> bool {
        let held_back = self.hosts.get(index).and_then(|host| self.holds_back(host, now));
        match held_back {
            None => true,
            Some(Cap::Pool | Cap::Registry) => self.by_age.oldest().is_some(),
            Some(_) => false,
        }
    }

    /// Takes a new shared connection in, serves those who wait, and keeps it, unless it has to be `gone` once they are
    /// served.
    #[expect(clippy::needless_pass_by_value, reason = "the pool takes the connection in")]
    pub(super) fn add_shared(
        &mut self,
        index: usize,
        connection: S,
        gone: Option<CloseReason>,
        now: Instant,
        todo: &mut Todo<C, S>,
    ) {
        let Some(host) = self.hosts.get_mut(index) else { return };
        host.protocol = Protocol::H2;
        let entry = self.entries.insert(Entry {
            held: Held::Shared(connection.clone()),
            host: index,
            generation: self.generation,
            since: now,
            due: now,
            is_asleep: false,
            left_alone_until: None,
            is_overdue: false,
        });
        connection.place().store(entry, Ordering::Relaxed);
        host.shared.push(entry);
        self.give_places(entry, true, now, todo);
        // Without reuse it may have left with those whom it serves.
        if connection.place().load(Ordering::Relaxed) != entry {
            return;
        }
        if let Some(reason) = gone {
            self.expel(entry, reason, todo);
        } else {
            self.replace_one(index, entry, todo);
            self.offer_places(entry, now, todo);
            // It may have left for one that serves, of which those who wanted a new one take places then.
            if connection.place().load(Ordering::Relaxed) != entry {
                self.serve_places(index, now, todo);
            }
        }
    }

    /// Gives places of one connection to those who wait.
    fn give_places(&mut self, entry: usize, is_new: bool, now: Instant, todo: &mut Todo<C, S>) {
        let Some(index) = self.entries.get(entry).map(|entry| entry.host) else {
            return;
        };
        if self.is_spared(entry) {
            return;
        }
        let Some(to) = self.shared(entry).map(|connection| connection.marks().remote) else {
            return;
        };
        let offer = Offer { is_new, to };
        while let Some(host) = self.hosts.get_mut(index)
            && !host.queue.is_empty()
        {
            // A place that nobody can use is not taken: it would come back at once, and be offered again.
            if !host.queue.has_next(offer, now) {
                let before = host.queue.len();
                host.queue.forget_gone(now);
                self.waiting -= before - host.queue.len();
                self.queue_shrank(index);
                return;
            }
            let Some(place) = self.shared(entry).and_then(S::try_acquire) else {
                if let Some(reason) = self.shared(entry).and_then(S::spent) {
                    self.expel(entry, reason, todo);
                }
                return;
            };
            self.given(entry, todo);
            if let Err(Delivery::Place(place)) = self.deliver(index, Delivery::Place(place), offer, now, todo) {
                todo.chores().places.push(place);
                return;
            }
        }
    }

    /// Gives places of all connections to those who wait.
    pub(super) fn serve_places(&mut self, index: usize, now: Instant, todo: &mut Todo<C, S>) {
        let Some(host) = self.hosts.get(index) else { return };
        if host.shared.is_empty() {
            return;
        }
        if host.queue.fresh() > 0 {
            self.part_with_shunned(index, now, todo);
        }
        let Some(host) = self.hosts.get(index) else { return };
        let is_first = || host.queue.fresh_before_others(now) > host.promising() + host.departing;
        // One that leads elsewhere than where it failed is as good.
        let is_served = || host.shared.iter().any(|entry| self.serves_fresh(host, *entry, now));
        if host.queue.fresh() > 0 && self.may_replace_one(host) && is_first() && !is_served() {
            // Those behind would take it before another is dialled in its stead.
            self.pump(index, now, todo);
        }
        self.expel_worn_out(index, now, todo);
        let Some(host) = self.hosts.get(index) else { return };
        let (entries, take_any) = (host.shared.clone(), self.fresh_take_any(host));
        for entry in entries {
            self.give_places(entry, take_any, now, todo);
        }
        if !take_any {
            self.serve_fresh(index, now, todo);
        }
    }

    /// Whether the first of those who want a new connection takes a place on this one as it is.
    fn serves_fresh(&self, host: &Host<C, S::Place>, entry: usize, now: Instant) -> bool {
        let connection = self.shared(entry).filter(|_| !self.is_spared(entry));
        connection.is_some_and(|connection| {
            // Before its peer has said how many it takes, there is one.
            let has_one = connection
                .limit()
                .map_or(connection.in_use() == 0, |limit| has_place(connection, limit));
            has_one && host.queue.serves_first_fresh(connection.marks().remote, now)
        })
    }

    /// Gives places to those who want a new connection, if none will come.
    pub(super) fn serve_fresh(&mut self, index: usize, now: Instant, todo: &mut Todo<C, S>) {
        let Some(host) = self.hosts.get(index) else { return };
        if host.queue.fresh() > 0 && !host.shared.is_empty() && self.fresh_take_any(host) {
            for entry in host.shared.clone() {
                self.give_places(entry, true, now, todo);
            }
        }
    }

    /// A shared connection has places free, or none is taken any more.
    pub(in crate::pool) fn places_changed(&mut self, entry: usize, now: Instant, todo: &mut Todo<C, S>) {
        let Some(index) = self.entries.get(entry).map(|entry| entry.host) else {
            return;
        };
        if let Some(connection) = self.shared(entry).filter(|connection| connection.in_use() == 0) {
            let marks = connection.marks();
            let claimed = self.reclaimed_from(index);
            if claimed.is_some() {
                self.departs();
            }
            if let Some(reason) = claimed.or_else(|| self.owed_to_fresh(index, marks, now)) {
                self.expel(entry, reason, todo);
                return self.pump(index, now, todo);
            }
            // Nobody wants it but its own host.
            self.forget_spared(entry);
        } else {
            self.spare(entry, now);
        }
        self.offer_places(entry, now, todo);
    }

    /// Serves those who wait with what places there are; the connection is idle if none of its own is taken.
    fn offer_places(&mut self, entry: usize, now: Instant, todo: &mut Todo<C, S>) {
        let Some(index) = self.entries.get(entry).map(|entry| entry.host) else {
            return;
        };
        if self.hosts.get(index).is_some_and(|host| !host.queue.is_empty()) {
            self.serve_places(index, now, todo);
        }
        if self.hosts.get(index).is_some_and(|host| !host.queue.is_empty()) {
            self.pump(index, now, todo);
        }
        let Some(connection) = self.shared(entry) else { return };
        if connection.in_use() == 0 {
            self.shared_is_idle(entry, now, todo);
        }
    }

    fn shared_is_idle(&mut self, index: usize, now: Instant, todo: &mut Todo<C, S>) {
        let Some(connection) = self.shared(index) else { return };
        let (expires, spent) = (connection.expires(), connection.spent());
        let silent = connection.is_in_doubt().then_some(CloseReason::Suspect);
        let refused = self.refusal().or(spent).or(silent);
        if let Some(reason) = refused.or_else(|| self.turns_away()) {
            self.expel(index, reason, todo);
            return;
        }
        if let Some(connection) = self.shared(index) {
            connection.rest();
        }
        self.unlink_idle(index);
        self.let_idle(index, expires, None, now, todo);
    }

    /// Takes a connection out that takes no more requests. Those who wait for a place on it need another.
    pub(in crate::pool) fn retired(
        &mut self,
        entry: usize,
        now: Instant,
        todo: &mut Todo<C, S>,
    ) -> Option<Leaving<C, S>> {
        let host = self.entries.get(entry)?.host;
        let entry = self.unlink_and_remove(entry)?;
        self.pump(host, now, todo);
        // Its driver has said why.
        Some(match entry.held {
            Held::Idle(connection) => Leaving::Exclusive(connection, CloseReason::PeerClosed),
            Held::Shared(connection) => Leaving::Shared(connection, CloseReason::PeerClosed),
        })
    }

    /// The host has asked for HTTP/1.1: it is offered nothing else from now on.
    pub(in crate::pool) fn http1_required(&mut self, index: usize, now: Instant, todo: &mut Todo<C, S>) {
        let Some(host) = self.hosts.get_mut(index) else { return };
        host.http1_only = true;
        host.protocol = Protocol::H1;
        while let Some(entry) = self.hosts.get(index).and_then(|host| host.shared.first().copied()) {
            self.expel(entry, CloseReason::Http1Required, todo);
        }
        self.pump(index, now, todo);
    }

    /// The host has complained: its connections are pinged half as often from now on.
    pub(in crate::pool) fn calm(&mut self, index: usize) {
        if let Some(host) = self.hosts.get(index) {
            host.complaints.add();
        }
    }
}

fn has_place<S: Multiplexed>(connection: &S, limit: usize) -> bool {
    !connection.is_choked() && connection.in_use() < limit
}

/// At about 70 % of its places, or when it gives none out, the next connection is due. Of very few places all are used
/// before.
pub(super) fn is_crowded<S: Multiplexed>(connection: &S) -> bool {
    connection.is_choked()
        || connection
            .limit()
            .is_some_and(|limit| limit >= 4 && connection.in_use() * 10 >= limit * 7)
}
