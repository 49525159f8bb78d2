//! A shared connection that takes no request for a moment, so that it can make room for who has claimed one.
//!
//! A busy one bears requests at all times, and would keep its slot for ever. So the next whose request ends while a claim
//! is on is spared further ones until those that it bears have ended, and then meets the claim. Where they do not, the
//! connection serves its host again as before and is left alone for a while: closed after them, it would leave its host
//! without a connection, and no slot would come back for anybody.
//!
//! The rule: it is spared as long as its requests go on ending, 2 s from the last that did, and 5 s at most.
//!
//! So is one that is too old, and that its host cannot do without, since no other may be dialled.

use std::time::Duration;

use tokio::time::Instant;

use super::turns::Claimant;
use super::{Exclusive, Multiplexed, State, Todo};

/// For how long its host does without the connection when none of its requests ends.
const SPARED_FOR: Duration = Duration::from_secs(2);

/// And in any case.
const SPARED_AT_MOST: Duration = Duration::from_secs(5);

/// For how long it is left alone when that was in vain: another moment may be better.
const LEFT_ALONE_FOR: Duration = Duration::from_secs(3);

/// The same when it was in vain before.
const LEFT_ALONE_THEN: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(super) struct Spared {
    entry: usize,
    began: Instant,
    until: Instant,
    /// For a successor, and not for a claim.
    is_too_old: bool,
}

impl Spared {
    fn goes_on(&mut self, now: Instant) {
        let ends = [now.checked_add(SPARED_FOR), self.began.checked_add(SPARED_AT_MOST)];
        self.until = ends.into_iter().flatten().min().unwrap_or(now);
    }
}

impl<C: Exclusive, S: Multiplexed> State<C, S> {
    pub(super) fn is_spared(&self, entry: usize) -> bool {
        self.spared.as_ref().is_some_and(|spared| spared.entry == entry)
    }

    pub(super) fn spared_entry(&self) -> Option<usize> {
        self.spared.as_ref().map(|spared| spared.entry)
    }

    /// The host whose connection is spared.
    pub(super) fn spared_host(&self) -> Option<usize> {
        self.entries.get(self.spared.as_ref()?.entry).map(|entry| entry.host)
    }

    /// Whether the connection bears requests that may end in a moment.
    pub(super) fn may_be_spared(&self, entry: usize, now: Instant) -> bool {
        let left_alone = self
            .entries
            .get(entry)
            .and_then(|entry| entry.left_alone_until.as_deref().copied());
        self.shared(entry).is_some_and(|connection| connection.in_use() > 0)
            && left_alone.is_none_or(|until| until <= now)
    }

    /// A request on the connection has ended, and others have not: it is spared if another host or pool has claimed one.
    pub(super) fn spare(&mut self, entry: usize, now: Instant) {
        if let Some(spared) = self.spared.as_mut().filter(|spared| spared.entry == entry) {
            return spared.goes_on(now);
        }
        let Some(host) = self.entries.get(entry).map(|entry| entry.host) else {
            return;
        };
        let is_wanted = match self.reclaims {
            Some(Claimant::Host(claimant)) => claimant != host && self.is_in_line(claimant),
            Some(Claimant::Pool) => self.budget.is_wanted(),
            None => false,
        };
        if is_wanted {
            self.begin_sparing(entry, false, now);
        }
    }

    /// A connection is too old, and no other may be dialled before it is gone.
    pub(super) fn spare_too_old(&mut self, entry: usize, now: Instant) {
        self.begin_sparing(entry, true, now);
    }

    fn begin_sparing(&mut self, entry: usize, is_too_old: bool, now: Instant) {
        if self.spared.is_none() && self.may_be_spared(entry, now) {
            let spared = self.spared.insert(Spared {
                entry,
                began: now,
                until: now,
                is_too_old,
            });
            spared.goes_on(now);
        }
    }

    /// Whether a connection is spared for nobody, or has been for long enough.
    pub(in crate::pool) fn is_spared_in_vain(&self, now: impl FnOnce() -> Instant) -> bool {
        self.spared
            .as_ref()
            .is_some_and(|spared| self.reclaims.is_none() && !spared.is_too_old || spared.until <= now())
    }

    /// Lets the connection serve its host again, if it is spared in vain.
    pub(in crate::pool) fn end_sparing(&mut self, now: Instant, todo: &mut Todo<C, S>) {
        if !self.is_spared_in_vain(|| now) {
            return;
        }
        let Some(spared) = self.spared.take() else { return };
        let Some(entry) = self.entries.get_mut(spared.entry) else {
            return;
        };
        if spared.until <= now {
            let was_before = entry.left_alone_until.is_some();
            let until = now.checked_add(if was_before { LEFT_ALONE_THEN } else { LEFT_ALONE_FOR });
            entry.left_alone_until = until.map(Box::new);
        }
        let host = entry.host;
        if self.hosts.get(host).is_some_and(|host| !host.queue.is_empty()) {
            self.serve_places(host, now, todo);
            self.pump(host, now, todo);
        }
    }

    /// It has left.
    pub(super) fn forget_spared(&mut self, entry: usize) {
        self.spared.take_if(|spared| spared.entry == entry);
    }
}
