//! Closing what has been idle for too long.
//!
//! One task and one timer, there only while something is idle. It wakes when the oldest idle connection is due, not
//! before, and never polls. When the last lease is back it goes at once.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use tokio::runtime::Handle;
use tokio::time::Instant;

use super::shared::Inner;

/// Makes sure that a reaper runs. Called whenever something becomes idle.
pub(super) fn arm(pool: &Arc<Inner>) {
    if pool.is_reaping.load(Ordering::Acquire) {
        return;
    }
    // A body can be dropped on a thread without a runtime; then the next connection to become idle arms the reaper.
    let Ok(runtime) = Handle::try_current() else { return };
    if pool.is_reaping.swap(true, Ordering::AcqRel) {
        return;
    }
    let off = Arc::clone(&pool.reaper_off);
    let mut running = Running {
        pool: Arc::downgrade(pool),
        is_done: false,
    };
    runtime.spawn(async move {
        while let Some(due) = running.reap() {
            // Either the oldest is due, or the last lease is back and there is nothing to look at.
            let _ = tokio::time::timeout_at(due, off.notified()).await;
        }
    });
}

/// A reaper. It keeps no pool alive, and says when it is gone, also when its runtime shuts down under it.
struct Running {
    pool: Weak<Inner>,
    is_done: bool,
}

impl Running {
    fn reap(&mut self) -> Option<Instant> {
        let pool = self.pool.upgrade()?;
        let due = pool.with_state(|state, todo| {
            let due = state.reap(Instant::now(), todo);
            if due.is_none() {
                // Under the lock, so that whoever makes something idle next sees it and arms anew.
                pool.is_reaping.store(false, Ordering::Release);
            }
            due
        });
        self.is_done = due.is_none();
        due
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.is_done
            && let Some(pool) = self.pool.upgrade()
        {
            pool.is_reaping.store(false, Ordering::Release);
        }
    }
}
