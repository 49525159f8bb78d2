//! Closing what has been idle for too long.
//!
//! One task and one timer, there only while something is idle. It wakes when the oldest idle connection is due, not
//! before, and never polls.

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
    let running = Running(Arc::downgrade(pool));
    runtime.spawn(async move {
        while let Some(due) = running.reap() {
            tokio::time::sleep_until(due).await;
        }
    });
}

/// A reaper. It keeps no pool alive, and says when it is gone, also when its runtime shuts down under it.
struct Running(Weak<Inner>);

impl Running {
    fn reap(&self) -> Option<Instant> {
        let pool = self.0.upgrade()?;
        pool.with_state(|state, todo| {
            let due = state.reap(Instant::now(), todo);
            if due.is_none() {
                // Under the lock, so that whoever makes something idle next sees it and arms anew.
                pool.is_reaping.store(false, Ordering::Release);
            }
            due
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(pool) = self.0.upgrade() {
            let state = pool.lock();
            let is_idle = state.idle() > 0;
            drop(state);
            if is_idle {
                pool.is_reaping.store(false, Ordering::Release);
            }
        }
    }
}
