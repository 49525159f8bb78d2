//! Which idle connections hibernate: those that have been idle for `pool.hibernate_after`.
//!
//! They stand in a list of their own, in the order in which they fell idle, so that the reaper finds the next one however
//! many there are. A connection goes on being idle in every other respect: its age, its caps and its place among the
//! newest do not change.

use std::time::Duration;

use tokio::time::Instant;

use super::{Exclusive, Held, Multiplexed, State, Todo};

impl<C: Exclusive, S: Multiplexed> State<C, S> {
    /// For how long a connection is idle before it hibernates; none, if it is closed before that.
    fn rests_after(&self) -> Option<Duration> {
        let after = self.limits.pool.hibernate_after;
        after.filter(|after| *after < self.limits.pool.idle_timeout)
    }

    /// An entry has fallen idle.
    pub(super) fn stay_awake(&mut self, index: usize, now: Instant, todo: &mut Todo<C, S>) {
        let is_exclusive = matches!(self.entries.get(index), Some(entry) if matches!(entry.held, Held::Idle(_)));
        let Some(after) = self.rests_after().filter(|_| is_exclusive) else {
            return;
        };
        self.awake.push(&mut self.entries, index);
        // The reapers look at least that often while there are requests, so that this is rare.
        if let Some(rests) = now.checked_add(after)
            && self.reaps_at.is_some_and(|at| at > rests)
        {
            self.reaps_at = Some(rests);
            todo.chores().wake_reapers = true;
        }
    }

    /// Lets those hibernate that have been idle for long enough, `most` of them at most; whether there are more.
    pub(super) fn hibernate(&mut self, now: Instant, most: usize, todo: &mut Todo<C, S>) -> bool {
        for _ in 0..most {
            let Some(index) = self.awake.oldest() else { return false };
            if self.rest_of(index).is_none_or(|rests| rests > now) {
                return false;
            }
            self.awake.unlink(&mut self.entries, index);
            let Some(entry) = self.entries.get_mut(index) else {
                return false;
            };
            if let Held::Idle(connection) = &mut entry.held
                && let Some(driver) = connection.doze()
            {
                entry.is_asleep = true;
                self.asleep += 1;
                todo.chores().drowsy.push(driver);
            }
        }
        true
    }

    fn rest_of(&self, index: usize) -> Option<Instant> {
        self.entries.get(index)?.since.checked_add(self.rests_after()?)
    }

    /// When the next one is to hibernate.
    pub(super) fn next_rest(&self) -> Option<Instant> {
        self.rest_of(self.awake.oldest()?)
    }

    /// How long the reapers may look away while nothing is idle.
    pub(super) fn longest_look_away(&self) -> Duration {
        let idle_timeout = self.limits.pool.idle_timeout;
        self.rests_after().map_or(idle_timeout, |after| after.min(idle_timeout))
    }
}
