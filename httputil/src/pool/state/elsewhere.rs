//! Another connection than the one that a request has just failed on.
//!
//! One to another address of the host is best, since what failed may be the server there, and an idle one to it costs
//! nothing. Else a new one: behind one address there may be many servers, and the host's other addresses are dialled before
//! the one that failed. A new one may be long in coming, or not to be had, and then whichever idle one is better than none.

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

impl<C: Exclusive, S: Multiplexed> State<C, S> {
    /// A connection for a request that has just failed on `failed`.
    pub(in crate::pool) fn checkout_beside(
        &mut self,
        host: usize,
        failed: Marks,
        rather: Rather,
        ask: Ask,
        todo: &mut Todo<C, S>,
    ) -> Outcome<C, S::Place> {
        let elsewhere = |marks: Marks| marks.is_elsewhere(failed);
        if let Some(found) = self.take_one_of(host, elsewhere, ask.now, todo) {
            return found;
        }
        let fresh = Ask { fresh: true, ..ask };
        if rather == Rather::New && self.has_room_to_spare(host, ask.now) {
            return self.wait(host, fresh, todo);
        }
        let beside = |marks: Marks| marks.is_beside(failed);
        if let Some(found) = self.take_one_of(host, beside, ask.now, todo) {
            return found;
        }
        // Where a cap is reached, the one that failed may make room for it.
        if rather != Rather::Any && self.has_room_for_new(host, ask.now) {
            return self.wait(host, fresh, todo);
        }
        self.checkout(host, Ask { fresh: false, ..ask }, todo)
    }

    /// Whether there is one at hand beside that which the request failed on.
    pub(in crate::pool) fn has_beside(&self, host: usize, failed: Marks) -> bool {
        let beside = |marks: Marks| marks.is_beside(failed);
        let shared = |entry: &usize| {
            let will_do = |connection: &S| beside(connection.marks()) && !is_crowded(connection);
            !self.is_spared(*entry) && self.shared(*entry).is_some_and(will_do)
        };
        let known = self.hosts.get(host);
        self.idle_one_of(host, beside).is_some() || known.is_some_and(|host| host.shared.iter().any(shared))
    }

    /// An idle connection, or a place, of those that will do.
    fn take_one_of(
        &mut self,
        host: usize,
        will_do: impl Fn(Marks) -> bool,
        now: Instant,
        todo: &mut Todo<C, S>,
    ) -> Option<Outcome<C, S::Place>> {
        let idle = self.take_idle(host, |state| state.idle_one_of(host, &will_do), now, todo);
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
        will_do: impl Fn(Marks) -> bool,
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
            (will_do(connection.marks()) && !self.is_spared(*entry)).then_some((load, *entry))
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
