//! Closing what has been idle for too long.
//!
//! One task and one timer a runtime, there while something is idle and one idle time-out longer. It wakes when the oldest
//! idle connection is due, not before, and never polls. When the last lease is back it goes at once.
//!
//! Each reaper looks at the whole pool: a connection is due wherever it lives, and a runtime may stand still, or go with
//! its reaper while connections of other runtimes are idle.

use std::pin::pin;
use std::sync::{Arc, Weak};

use tokio::runtime::Id;
use tokio::time::Instant;

use super::core::{Core, World};
use super::key::Key;

/// Starts a reaper on the runtime of `key`, of which the state has noted that it has one now.
pub(super) fn start<W: World>(pool: &Arc<Core<W>>, key: &Key) {
    let again = Arc::clone(&pool.reapers);
    let mut running = Running::new(pool, key);
    key.handle.spawn(async move {
        loop {
            // Enabled before the look at the pool, so that what happens in between is not missed.
            let mut again = pin!(again.notified());
            again.as_mut().enable();
            let Some(due) = running.reap() else { return };
            if due <= Instant::now() {
                // There is more, and others wait for the lock and for this thread.
                tokio::task::yield_now().await;
                continue;
            }
            // Something is due, or something is due earlier, or the last lease is back and there is nothing to look at.
            let _ = tokio::time::timeout_at(due, again).await;
        }
    });
}

/// A reaper. It keeps no pool alive, and says when it is gone, also when its runtime shuts down under it.
pub(super) struct Running<W: World> {
    pool: Weak<Core<W>>,
    runtime: Id,
    /// Nothing was idle at the last look. One more look is taken: with one request after another nothing is idle most of
    /// the time, and a task for each would cost more than the request.
    lingers: bool,
    is_done: bool,
}

impl<W: World> Running<W> {
    pub(super) fn new(pool: &Arc<Core<W>>, key: &Key) -> Running<W> {
        Running {
            pool: Arc::downgrade(pool),
            runtime: key.runtime(),
            lingers: false,
            is_done: false,
        }
    }

    /// Closes what is due, and says when to look again; `None` if nothing is left.
    pub(super) fn reap(&mut self) -> Option<Instant> {
        let pool = self.pool.upgrade()?;
        let lingers = self.lingers;
        let (due, is_idle) = pool.with_state(|state, todo| {
            let now = Instant::now();
            let due = state.reap(now, todo);
            let next = due.or_else(|| if lingers { None } else { state.linger(now) });
            if next.is_none() {
                // Under the lock, so that whoever makes something idle next sees it and starts another.
                state.reaper_gone(self.runtime);
            }
            (next, due.is_some())
        });
        self.lingers = !is_idle;
        self.is_done = due.is_none();
        due
    }
}

impl<W: World> Drop for Running<W> {
    fn drop(&mut self) {
        if !self.is_done
            && let Some(pool) = self.pool.upgrade()
        {
            pool.with_state(|state, _| state.reaper_gone(self.runtime));
        }
    }
}
