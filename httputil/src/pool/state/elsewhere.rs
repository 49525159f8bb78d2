//! Another connection than the one that a request has just failed on.
//!
//! One to an address of the host at which nothing failed of late is best, since what failed may be the server there, and an
//! idle one to it costs nothing. Else a new one, which goes to such an address if there is any; else an idle one to an
//! address at which this request, at least, has not failed. Else a new one all the same: behind one address there may be
//! many servers. A new one may be long in coming, or not to be had, and then whichever idle one is better than none; in the
//! end even the same, where it bore a bad answer and is whole.

use std::net::SocketAddr;

use tokio::time::Instant;

use super::places::is_crowded;
use super::{Ask, Exclusive, Held, Multiplexed, Outcome, State, Todo};
use crate::wire::Marks;

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
        if takes_new && self.has_sound(host, failed, ask.now) {
            return self.wait(host, fresh, todo);
        }
        let elsewhere = |_: &Self, marks: Marks| failed.is_elsewhere(marks);
        if let Some(found) = self.take_one_of(host, elsewhere, ask.now, todo) {
            return found;
        }
        if takes_new {
            return self.wait(host, fresh, todo);
        }
        let beside = |_: &Self, marks: Marks| marks.is_beside(failed.on);
        if let Some(found) = self.take_one_of(host, beside, ask.now, todo) {
            return found;
        }
        // Where a cap is reached, the one that failed may make room for it.
        if rather != Rather::Any && self.has_room_for_new(host, ask.now) {
            return self.wait(host, fresh, todo);
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
            Some((connection, idle_for)) => Outcome::Idle(connection, idle_for),
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
