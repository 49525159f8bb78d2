//! What a breaker has counted of late: requests and failures, in slices of time, so that the oldest are forgotten by and by.

use std::time::Duration;

use tokio::time::Instant;

use super::Verdict;

/// Parts of the window.
const SLICES: usize = 10;

/// Requests and failures, in slices of time.
#[derive(Debug)]
pub(super) struct Window {
    slices: [Slice; SLICES],
    newest: usize,
    /// All of them together.
    sum: Slice,
    pub(super) began: Instant,
    /// When the newest slice ends.
    ends: Instant,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Slice {
    pub(super) requests: u32,
    pub(super) failures: u32,
}

impl Window {
    pub(super) fn new(now: Instant) -> Window {
        Window {
            slices: [Slice::default(); SLICES],
            newest: 0,
            sum: Slice::default(),
            began: now,
            // As if it were over: its length is heard of with the first request.
            ends: now,
        }
    }

    pub(super) fn add(&mut self, verdict: Verdict, length: Duration, now: Instant) {
        self.count(
            length,
            now,
            Slice {
                requests: 1,
                failures: u32::from(verdict == Verdict::Failure),
            },
        );
    }

    /// A request that was counted as none has failed since.
    pub(super) fn turn_to_failure(&mut self, length: Duration, now: Instant) {
        self.count(
            length,
            now,
            Slice {
                requests: 0,
                failures: 1,
            },
        );
    }

    fn count(&mut self, length: Duration, now: Instant, more: Slice) {
        // Few requests are a slice's first: the others need neither a difference nor a division.
        if self.ends <= now {
            self.move_on(length, now);
        }
        self.slices[self.newest].add(more);
        self.sum.add(more);
    }

    fn move_on(&mut self, length: Duration, now: Instant) {
        let slice = (length / 10).max(Duration::from_nanos(1));
        let passed = now.saturating_duration_since(self.began).as_nanos() / slice.as_nanos();
        if passed >= SLICES as u128 {
            *self = Window::new(now);
        } else if passed > 0 {
            for _ in 0..passed {
                self.newest = (self.newest + 1) % SLICES;
                self.slices[self.newest] = Slice::default();
                self.began += slice;
            }
            self.sum = Slice::default();
            for slice in self.slices {
                self.sum.add(slice);
            }
        }
        // One too long for the clock never ends.
        self.ends = self
            .began
            .checked_add(slice)
            .unwrap_or(now + Duration::from_hours(24 * 365));
    }

    pub(super) fn sum(&self) -> Slice {
        self.sum
    }
}

impl Slice {
    fn add(&mut self, more: Slice) {
        self.requests = self.requests.saturating_add(more.requests);
        self.failures = self.failures.saturating_add(more.failures);
    }
}
