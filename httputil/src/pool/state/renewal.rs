//! Other settings for a pool that is in use.
//!
//! The rule: what was made under earlier settings serves nobody from this moment on. What is idle leaves, what is in use
//! leaves when its request has ended, and dials under way are stopped. Those who wait stay where they stand, and are
//! dialled for anew; where their host is reached by another way now, they are told to ask again.

use std::sync::Arc;

use tokio::time::Instant;

use super::{Closing, Delivery, Dial, Exclusive, Key, Limits, Multiplexed, Protocol, State, Todo};
use crate::wire::CloseReason;

impl<C: Exclusive, S: Multiplexed> State<C, S> {
    /// From now on these limits hold. `begins_with` says of a host which protocol is supposed of it at first, or nothing
    /// if its way is another one now.
    ///
    /// What is idle is closed by [`close_some`](State::close_some); it is handed out no more before.
    pub(in crate::pool) fn renew(
        &mut self,
        limits: Limits,
        begins_with: impl Fn(&Key) -> Option<Protocol>,
        now: Instant,
        todo: &mut Todo<C, S>,
    ) -> Closing {
        let closing = self.close_idle(CloseReason::Reloaded);
        self.renewed = self.generation;
        self.wheel.respan(limits.pool.idle_timeout);
        self.limits = limits;
        for running in &mut self.running {
            running.stop(todo);
        }
        self.sweep_abandoned(now);
        let known: Vec<usize> = self.index.values().copied().collect();
        for index in known {
            self.expel_shared(index, todo);
            let Some(host) = self.hosts.get(index) else { continue };
            let (begins_with, spreads) = (begins_with(&host.key), self.spreads_over_addresses(&host.key));
            match (begins_with, self.hosts.get_mut(index)) {
                (Some(protocol), Some(host)) => {
                    host.begin_anew(protocol, spreads);
                    self.pump(index, now, todo);
                }
                _ => self.abandon(index, todo),
            }
        }
        self.unblock(now, todo);
        todo.chores().wake_reapers = true;
        closing
    }

    /// The generation of the latest settings: what was dialled in an earlier one was made under others.
    pub(in crate::pool) fn renewed(&self) -> u64 {
        self.renewed
    }

    /// Whether a dial began under earlier settings.
    pub(super) fn is_of_old(&self, dial: &Dial) -> bool {
        dial.seat.generation < self.renewed
    }

    fn expel_shared(&mut self, index: usize, todo: &mut Todo<C, S>) {
        while let Some(entry) = self.hosts.get(index).and_then(|host| host.shared.first().copied()) {
            self.expel(entry, CloseReason::Reloaded, todo);
        }
    }

    /// Nobody finds the host any more, and those who wait for it are to ask again. It is forgotten when nothing refers to
    /// it, and found again if somebody goes that way anew before that: what is open still counts.
    fn abandon(&mut self, index: usize, todo: &mut Todo<C, S>) {
        let Some(host) = self.hosts.get_mut(index) else { return };
        self.index.remove(&host.key);
        self.latest = None;
        self.abandoned.insert(Arc::clone(&host.key), index);
        while let Some(waiter) = host.queue.oldest() {
            self.waiting -= 1;
            todo.chores().deliveries.push((waiter.sender, Delivery::Moved));
        }
        self.queue_shrank(index);
    }

    /// A dial of earlier settings is over, however it ended: those who waited for it are dialled for anew.
    pub(super) fn make_up_for_old(&mut self, index: usize, now: Instant, todo: &mut Todo<C, S>) {
        self.pump(index, now, todo);
        self.serve_fresh(index, now, todo);
        self.unblock(now, todo);
    }
}
