//! What becomes of spans, in numbers.

use std::sync::atomic::{AtomicU64, Ordering};

/// What became of the spans that have ended, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TelemetryStats {
    /// Taken by the collector.
    pub exported: u64,
    /// Refused by the collector out of a batch that it took otherwise.
    pub rejected: u64,
    /// Given up, since their batch could not be delivered.
    pub failed: u64,
    /// Dropped, since the queue was full.
    pub dropped: u64,
    /// In the queue, or on their way.
    pub waiting: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counts {
    exported: AtomicU64,
    rejected: AtomicU64,
    failed: AtomicU64,
    dropped: AtomicU64,
    waiting: AtomicU64,
}

impl Counts {
    /// Counts a span as waiting, or as dropped if so many wait already.
    pub(super) fn takes(&self, limit: u64) -> bool {
        let add = |waiting: u64| (waiting < limit).then_some(waiting + 1);
        let taken = self
            .waiting
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, add)
            .is_ok();
        self.dropped.fetch_add(u64::from(!taken), Ordering::Relaxed);
        taken
    }

    pub(super) fn ended(&self, spans: u64, well: bool) {
        let count = if well { &self.exported } else { &self.failed };
        count.fetch_add(spans, Ordering::Relaxed);
        self.waiting.fetch_sub(spans, Ordering::Relaxed);
    }

    /// Some of a batch that was taken.
    pub(super) fn rejected(&self, spans: u64) {
        self.rejected.fetch_add(spans, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> TelemetryStats {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let rejected = read(&self.rejected);
        TelemetryStats {
            // Rejections are counted before their batch is.
            exported: read(&self.exported).saturating_sub(rejected),
            rejected,
            failed: read(&self.failed),
            dropped: read(&self.dropped),
            waiting: read(&self.waiting),
        }
    }
}
