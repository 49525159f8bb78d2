//! What a pool's look-ups came to.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters, written by look-ups that outlive whoever asked.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) look_ups: AtomicU64,
    pub(super) failures: AtomicU64,
    pub(super) stale: AtomicU64,
}

/// The counts at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DnsCounts {
    pub(crate) look_ups: u64,
    pub(crate) failures: u64,
    pub(crate) stale: u64,
}

impl Counters {
    pub(super) fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> DnsCounts {
        // Ends before beginnings, so that there are never more of them.
        let failures = self.failures.load(Ordering::Relaxed);
        DnsCounts {
            look_ups: self.look_ups.load(Ordering::Relaxed),
            failures,
            stale: self.stale.load(Ordering::Relaxed),
        }
    }
}
