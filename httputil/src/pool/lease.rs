//! A lease: the right to use a pool, and the reason that it keeps idle connections.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::Pool;
use crate::wire::{Counts, Holding};

/// A hold on a pool. It ends once: by [`Lease::end`], or when its owner drops it and calls `end`.
#[derive(Debug)]
pub(crate) struct Lease {
    /// The pool that it holds; of one that has ended, the last one. Locked for moments.
    pool: Mutex<Pool>,
    has_ended: AtomicBool,
    under_way: AtomicUsize,
    went: Notify,
}

impl Lease {
    pub(crate) fn new(pool: Pool) -> Arc<Lease> {
        pool.add_lease();
        Arc::new(Lease {
            pool: Mutex::new(pool),
            has_ended: AtomicBool::new(false),
            under_way: AtomicUsize::new(0),
            went: Notify::new(),
        })
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::Acquire)
    }

    /// Ends the lease, and says whether it had not ended before. Requests under way go on; the pool's idle connections are
    /// closed if this was its last lease.
    pub(crate) fn end(&self) -> bool {
        let ends = !self.has_ended.swap(true, Ordering::AcqRel);
        if ends {
            let pool = self.held().clone();
            pool.remove_lease();
        }
        ends
    }

    /// Holds another pool from now on, unless it has ended: that pool keeps its idle connections before the other one lets
    /// go of its own.
    pub(crate) fn move_to(&self, pool: &Pool) {
        let left = {
            let mut held = self.held();
            // `end` says so first, and then looks which pool it is that is held.
            if self.has_ended() || held.is(pool) {
                return;
            }
            pool.add_lease();
            std::mem::replace(&mut *held, pool.clone())
        };
        left.remove_lease();
    }

    fn held(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a request, unless the lease has ended. What comes back is its ticket, which it holds for as long as it is under
    /// way, its body included.
    pub(crate) fn begin(self: &Arc<Self>) -> Option<Holding> {
        // Counted first: `end` followed by a look at the count must see every request that got in.
        self.under_way.fetch_add(1, Ordering::AcqRel);
        let ticket = Holding::of(Arc::clone(self) as Arc<dyn Counts>);
        (!self.has_ended()).then_some(ticket)
    }

    /// Requests under way.
    pub(crate) fn under_way(&self) -> usize {
        self.under_way.load(Ordering::Acquire)
    }

    /// Waits until no request is under way. Cancel-safe.
    pub(crate) async fn drained(&self) {
        loop {
            let went = self.went.notified();
            tokio::pin!(went);
            went.as_mut().enable();
            if self.under_way() == 0 {
                return;
            }
            went.await;
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.end();
    }
}

impl Counts for Lease {
    fn gone(&self) {
        if self.under_way.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.went.notify_waiters();
        }
    }
}
