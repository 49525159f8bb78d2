//! Idle connections: taking the newest, bringing one home, the caps, and closing what is due.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use super::queue::Offer;
use super::sites::Sites;
use super::{Bond, Delivery, Entry, Exclusive, Held, Leaving, Multiplexed, State, Todo};
use crate::wire::{CloseReason, Link, Seat};

/// So many are reaped before the lock is let go: some tens of microseconds.
const REAPED_AT_ONCE: usize = 128;

/// So many are looked at, and closed, before the lock is let go, when all that is idle is to be closed.
pub(super) const CLOSED_AT_ONCE: usize = 256;

/// How far the closing of all that was idle at a moment has come.
#[derive(Debug)]
pub(in crate::pool) struct Closing {
    /// What was taken in in an earlier generation is to go.
    before: u64,
    next: usize,
    reason: CloseReason,
}

impl<C: Exclusive, S: Multiplexed> State<C, S> {
    /// The newest idle connection of a host that is not due, and since when it has been idle.
    pub(super) fn take_newest(&mut self, host: usize, now: Instant, todo: &mut Todo<C, S>) -> Option<(C, Instant)> {
        self.take_idle(host, |state| state.next_idle(host, now), now, todo)
    }

    /// The first idle connection of a host, of those that `next` names, that is not due.
    pub(super) fn take_idle(
        &mut self,
        host: usize,
        next: impl Fn(&Self) -> Option<usize>,
        now: Instant,
        todo: &mut Todo<C, S>,
    ) -> Option<(C, Instant)> {
        loop {
            let newest = next(self)?;
            let entry = self.unlink_and_remove(newest)?;
            let Held::Idle(connection) = entry.held else { continue };
            if entry.generation < self.renewed {
                todo.chores()
                    .leaving
                    .push(Leaving::Exclusive(connection, CloseReason::Reloaded));
                continue;
            }
            if now < entry.due {
                connection.lend(now);
                if let Some(sites) = self.sites(host) {
                    sites.takes_turn(connection.bond().site());
                }
                return Some((connection, entry.since));
            }
            let reason = self.why_due(connection.expires(), entry.since, now);
            todo.chores().leaving.push(Leaving::Exclusive(connection, reason));
        }
    }

    /// The newest, or where connections are spread the newest to the address whose turn it is.
    fn next_idle(&self, index: usize, now: Instant) -> Option<usize> {
        let host = self.hosts.get(index)?;
        let turn = host.sites.as_deref().and_then(|sites| sites.next_idle(now));
        turn.and_then(|site| self.idle_of(index, site, true))
            .or_else(|| host.idle.newest())
    }

    /// The idle connection that a cap closes: the oldest, or where they are spread the oldest of those that are too many.
    fn least_missed(&self, index: usize) -> Option<usize> {
        let host = self.hosts.get(index)?;
        let fullest = host.sites.as_deref().and_then(Sites::fullest_idle);
        fullest
            .and_then(|site| self.idle_of(index, site, false))
            .or_else(|| host.idle.oldest())
    }

    fn why_due(&self, expires: Option<Instant>, since: Instant, now: Instant) -> CloseReason {
        if expires.is_some_and(|expires| expires <= now) {
            CloseReason::MaxLifetime
        } else if now.saturating_duration_since(since) >= self.limits.pool.idle_timeout {
            CloseReason::IdleTimeout
        } else {
            CloseReason::KeepAlive
        }
    }

    /// Why a connection that was dialled in an earlier generation goes.
    pub(super) fn why_outdated(&self, generation: u64) -> CloseReason {
        if generation < self.renewed {
            CloseReason::Reloaded
        } else if self.leases > 0 {
            CloseReason::CloseIdle
        } else {
            CloseReason::Stopped
        }
    }

    /// Why nothing may be idle, if nothing may.
    pub(super) fn refusal(&self) -> Option<CloseReason> {
        if self.leases == 0 {
            Some(CloseReason::Stopped)
        } else if !self.limits.pool.reuse {
            Some(CloseReason::NoReuse)
        } else if self.limits.pool.max_idle == 0 || self.limits.pool.max_idle_per_host == 0 {
            Some(CloseReason::IdleCap)
        } else {
            None
        }
    }

    /// Why a connection that would be idle is closed instead, if it is; one that makes room is counted.
    pub(super) fn turns_away(&mut self) -> Option<CloseReason> {
        self.refusal()
            .or_else(|| self.departs_if_wanted().then_some(CloseReason::MadeRoom))
    }

    /// A connection will be back in a moment.
    pub(in crate::pool) fn settling(&mut self, index: usize) {
        if let Some(host) = self.hosts.get_mut(index) {
            host.settling += 1;
        }
        self.settle_turn(index);
    }

    /// It is back.
    pub(in crate::pool) fn settled(&mut self, index: usize) {
        if let Some(host) = self.hosts.get_mut(index) {
            host.settling -= 1;
        }
    }

    /// It will not be back in a moment after all: who counted on it needs a dial.
    pub(in crate::pool) fn unsettled(&mut self, index: usize, now: Instant, todo: &mut Todo<C, S>) {
        self.settled(index);
        self.pump(index, now, todo);
    }

    /// A connection is back from its request.
    pub(in crate::pool) fn check_in(&mut self, index: usize, connection: C, now: Instant, todo: &mut Todo<C, S>) {
        if let Some(host) = self.hosts.get_mut(index) {
            host.learn(connection.lent_for(now));
        }
        self.take_in(index, connection, now, todo);
    }

    fn take_in(&mut self, index: usize, connection: C, now: Instant, todo: &mut Todo<C, S>) {
        // A claim is met by whichever connection goes.
        let claimed = self.reclaimed_from(index);
        if claimed.is_some() {
            self.departs();
        }
        let makes_room = claimed.or_else(|| self.owed_to_fresh(index, connection.marks(), now));
        let reason = if !self.limits.pool.reuse {
            Some(CloseReason::NoReuse)
        } else if connection.generation() != self.generation {
            Some(self.why_outdated(connection.generation()))
        } else if connection.expires().is_some_and(|expires| expires <= now) {
            Some(CloseReason::MaxLifetime)
        } else {
            let site = connection.bond().site();
            let spent = connection.spent().or(makes_room);
            spent.or_else(|| self.misplaced(index, site, now))
        };
        match reason {
            Some(reason) => todo.chores().leaving.push(Leaving::Exclusive(connection, reason)),
            None => self.serve(index, connection, false, now, todo),
        }
        // Whoever counted on a connection that was on its way home and got none needs a dial; and one that is idle now
        // may have to make room for a new one.
        self.pump(index, now, todo);
    }

    /// A connection that its request does not want any more, unused since it was given to it.
    pub(in crate::pool) fn returned(&mut self, index: usize, connection: C, now: Instant, todo: &mut Todo<C, S>) {
        self.take_in(index, connection, now, todo);
    }

    /// Gives the connection to the first waiter, else lets it be idle, else closes it.
    pub(in crate::pool) fn serve(
        &mut self,
        index: usize,
        connection: C,
        is_new: bool,
        now: Instant,
        todo: &mut Todo<C, S>,
    ) {
        let to = connection.marks().remote;
        let delivery = Delivery::Exclusive(connection);
        // What comes back is what went in.
        let Err(Delivery::Exclusive(connection)) = self.deliver(index, delivery, Offer { is_new, to }, now, todo)
        else {
            return;
        };
        let site = connection.bond().site();
        let turned_away = self.turns_away();
        let gone = || self.is_gone(index, site).then_some(CloseReason::AddressGone);
        if let Some(reason) = turned_away.or_else(gone) {
            todo.chores().leaving.push(Leaving::Exclusive(connection, reason));
            return;
        }
        let Some(host) = self.hosts.get_mut(index) else { return };
        let oldest = (host.idle.len() >= self.limits.pool.max_idle_per_host)
            .then(|| self.least_missed(index))
            .flatten();
        if let Some(oldest) = oldest {
            self.expel_by_cap(oldest, now, todo);
        }
        let (expires, may_idle_for) = (connection.expires(), connection.may_idle_for());
        let entry = self.entries.insert(Entry {
            held: Held::Idle(connection),
            host: index,
            generation: self.generation,
            since: now,
            due: now,
            is_asleep: false,
            left_alone_until: None,
            is_overdue: false,
        });
        if let Some(Entry {
            held: Held::Idle(connection),
            ..
        }) = self.entries.get(entry)
        {
            connection.bond().place().store(entry, Ordering::Relaxed);
            connection.rest();
        }
        if let Some(host) = self.hosts.get_mut(index) {
            host.idle.push(&mut self.entries, entry);
            if let Some(sites) = &mut host.sites {
                sites.rests(site);
            }
        }
        self.let_idle(entry, expires, may_idle_for, now, todo);
    }

    /// An entry is idle from now on.
    pub(super) fn let_idle(
        &mut self,
        index: usize,
        expires: Option<Instant>,
        may_idle_for: Option<Duration>,
        now: Instant,
        todo: &mut Todo<C, S>,
    ) {
        let idle_timeout = self.limits.pool.idle_timeout;
        let by_idle = now.checked_add(idle_timeout);
        let by_server = may_idle_for.and_then(|bound| now.checked_add(bound));
        let early = [expires, by_server]
            .into_iter()
            .flatten()
            .filter(|due| by_idle.is_none_or(|idle| *due < idle))
            .min();
        let due = early.or(by_idle);
        let Some(entry) = self.entries.get_mut(index) else {
            return;
        };
        entry.since = now;
        // A time-out too long for the clock is a day at a time.
        entry.due = due.unwrap_or_else(|| now + Duration::from_hours(24));
        let (host, due) = (entry.host, entry.due);
        if early.is_some() {
            self.wheel.insert(&mut self.entries, index, due, now);
        }
        self.by_age.push(&mut self.entries, index);
        if let Some(host) = self.hosts.get_mut(host) {
            host.resting += 1;
            host.gauge_idle();
        }
        self.stay_awake(index, now, todo);
        while self.by_age.len() > self.limits.pool.max_idle
            && let Some(oldest) = self.by_age.oldest()
        {
            self.expel_by_cap(oldest, now, todo);
        }
        self.want_reaper(host, todo);
        if early.is_some() && self.wheel.looks_at() < self.reaps_at {
            self.reaps_at = self.wheel.looks_at();
            todo.chores().wake_reapers = true;
        }
    }

    /// Something of this host is idle: a reaper must run on its runtime. One elsewhere would not do, since that runtime
    /// may stand still or go.
    fn want_reaper(&mut self, host: usize, todo: &mut Todo<C, S>) {
        let Some(host) = self.hosts.get(host) else { return };
        let runtime = host.key.runtime();
        if !self.reaping.contains(&runtime) {
            self.reaping.push(runtime);
            todo.chores().reaper = Some(std::sync::Arc::clone(&host.key));
        }
    }

    /// The runtime has no reaper any more.
    pub(in crate::pool) fn reaper_gone(&mut self, runtime: tokio::runtime::Id) {
        self.reaping.retain(|other| *other != runtime);
    }

    /// Closes what has been idle for too long or is too old, and lets hibernate what has been for a while; says when to
    /// look again. At once, if there is more than the
    /// lock should be held for: checkouts come in between.
    pub(in crate::pool) fn reap(&mut self, now: Instant, todo: &mut Todo<C, S>) -> Option<Instant> {
        for _ in 0..REAPED_AT_ONCE {
            let Some((index, reason)) = self.next_due(now) else {
                if self.hibernate(now, REAPED_AT_ONCE, todo) {
                    break;
                }
                self.reaps_at = self.looks_at(now);
                return self.reaps_at;
            };
            self.expel(index, reason, todo);
        }
        self.reaps_at = (self.idle() > 0).then_some(now);
        self.reaps_at
    }

    fn next_due(&mut self, now: Instant) -> Option<(usize, CloseReason)> {
        while let Some(index) = self.wheel.due(now) {
            let Some(entry) = self.entries.get(index) else { break };
            if entry.due <= now {
                let expires = match &entry.held {
                    Held::Idle(connection) => connection.expires(),
                    Held::Shared(connection) => connection.expires(),
                };
                return Some((index, self.why_due(expires, entry.since, now)));
            }
            let due = entry.due;
            self.wheel.remove(&mut self.entries, index);
            self.wheel.insert(&mut self.entries, index, due, now);
        }
        let oldest = self.by_age.oldest()?;
        let due = self
            .entries
            .get(oldest)?
            .since
            .checked_add(self.limits.pool.idle_timeout);
        due.is_some_and(|due| due <= now)
            .then_some((oldest, CloseReason::IdleTimeout))
    }

    /// When something is due, as far as can be told. A time-out too long for the clock is a day at a time.
    fn looks_at(&self, now: Instant) -> Option<Instant> {
        let oldest = self.by_age.oldest().and_then(|oldest| self.entries.get(oldest));
        let by_age = oldest.map(|oldest| {
            let due = oldest.since.checked_add(self.limits.pool.idle_timeout);
            due.unwrap_or_else(|| now + Duration::from_hours(24))
        });
        [by_age, self.wheel.looks_at(), self.next_rest()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Nothing is idle: when a reaper looks once more, if something may be idle by then.
    pub(in crate::pool) fn linger(&mut self, now: Instant) -> Option<Instant> {
        if self.refusal().is_some() {
            return None;
        }
        self.reaps_at = now.checked_add(self.longest_look_away());
        self.reaps_at
    }

    /// Begins to close everything that is idle now; [`close_some`](State::close_some) goes on. What is in use closes when its
    /// requests have ended.
    pub(in crate::pool) fn close_idle(&mut self, reason: CloseReason) -> Closing {
        self.generation += 1;
        Closing {
            before: self.generation,
            next: 0,
            reason,
        }
    }

    /// Closes the next of them, and says whether there may be more: they are closed in as many holds of the lock, so that
    /// checkouts come in between. What becomes idle meanwhile stays.
    pub(in crate::pool) fn close_some(&mut self, closing: &mut Closing, now: Instant, todo: &mut Todo<C, S>) -> bool {
        let end = self.entries.slots().min(closing.next + CLOSED_AT_ONCE);
        let mut shared_of = Vec::new();
        for index in closing.next..end {
            let Some(entry) = self.entries.get(index) else { continue };
            if entry.generation >= closing.before {
                continue;
            }
            if matches!(entry.held, Held::Shared(_)) {
                shared_of.push(entry.host);
            }
            self.expel(index, closing.reason, todo);
        }
        closing.next = end;
        // Those who wait for a place on one of them need another connection, and these may bear requests for long.
        for host in shared_of {
            self.pump(host, now, todo);
        }
        end < self.entries.slots() && self.entries.len() > 0
    }

    /// A connection to this host went silent: what has been idle since before it did may be as dead.
    pub(in crate::pool) fn suspect(&mut self, index: usize, began: Instant, now: Instant, todo: &mut Todo<C, S>) {
        while let Some(oldest) = self.hosts.get(index).and_then(|host| host.idle.oldest())
            && self.entries.get(oldest).is_some_and(|entry| entry.since <= began)
        {
            self.expel(oldest, CloseReason::Suspect, todo);
        }
        let shared = self
            .hosts
            .get(index)
            .map(|host| host.shared.clone())
            .unwrap_or_default();
        for entry in shared {
            let is_old = self.entries.get(entry).is_some_and(|held| {
                matches!(&held.held, Held::Shared(connection) if connection.in_use() == 0 && held.since <= began)
            });
            if is_old {
                self.expel(entry, CloseReason::Suspect, todo);
            }
        }
        self.pump(index, now, todo);
    }

    fn expel_by_cap(&mut self, index: usize, now: Instant, todo: &mut Todo<C, S>) {
        if let Some(host) = self
            .entries
            .get(index)
            .map(|entry| entry.host)
            .and_then(|host| self.hosts.get_mut(host))
        {
            host.capped_at = Some(now);
        }
        self.expel(index, CloseReason::IdleCap, todo);
    }

    pub(super) fn expel(&mut self, index: usize, reason: CloseReason, todo: &mut Todo<C, S>) {
        if let Some(entry) = self.unlink_and_remove(index) {
            todo.chores().leaving.push(match entry.held {
                Held::Idle(connection) => Leaving::Exclusive(connection, reason),
                Held::Shared(connection) => Leaving::Shared(connection, reason),
            });
        }
    }

    /// An entry is not idle any more.
    pub(super) fn unlink_idle(&mut self, index: usize) {
        if self.by_age.unlink(&mut self.entries, index)
            && let Some(entry) = self.entries.get(index)
            && let Some(host) = self.hosts.get_mut(entry.host)
        {
            host.resting -= 1;
            host.gauge_idle();
        }
        self.wheel.remove(&mut self.entries, index);
        self.awake.unlink(&mut self.entries, index);
    }

    pub(super) fn unlink_and_remove(&mut self, index: usize) -> Option<Entry<C, S>> {
        let host = self.entries.get(index)?.host;
        self.unlink_idle(index);
        self.forget_spared(index);
        let site = if self.limits.spreads {
            self.site_at(index)
        } else {
            Seat::NO_SITE
        };
        if let Some(host) = self.hosts.get_mut(host) {
            if host.idle.unlink(&mut self.entries, index)
                && let Some(sites) = &mut host.sites
            {
                sites.rests_no_more(site);
            }
            if let Some(position) = host.shared.iter().position(|shared| *shared == index) {
                host.shared.remove(position);
            }
        }
        let entry = self.entries.remove(index)?;
        self.asleep -= usize::from(entry.is_asleep);
        let place = match &entry.held {
            Held::Idle(connection) => connection.bond().place(),
            Held::Shared(connection) => Multiplexed::place(connection),
        };
        place.store(Link::NOWHERE, Ordering::Relaxed);
        Some(entry)
    }
}
