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
    pub(super) began: Instant,
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
            began: now,
        }
    }

    pub(super) fn add(&mut self, verdict: Verdict, length: Duration, now: Instant) {
        let newest = self.newest(length, now);
        newest.requests = newest.requests.saturating_add(1);
        if verdict == Verdict::Failure {
            newest.failures = newest.failures.saturating_add(1);
        }
    }

    /// A request that was counted as none has failed since.
    pub(super) fn turn_to_failure(&mut self, length: Duration, now: Instant) {
        let newest = self.newest(length, now);
        newest.failures = newest.failures.saturating_add(1);
    }

    /// The slice of this moment.
    fn newest(&mut self, length: Duration, now: Instant) -> &mut Slice {
        let slice = (length / 10).max(Duration::from_nanos(1));
        // Few requests are a slice's first: the others need neither a difference nor a division.
        if self.began.checked_add(slice).is_some_and(|ends| ends <= now) {
            let passed = now.saturating_duration_since(self.began);
            self.move_on(passed.as_nanos() / slice.as_nanos(), slice, now);
        }
        &mut self.slices[self.newest]
    }

    fn move_on(&mut self, passed: u128, slice: Duration, now: Instant) {
        if passed >= SLICES as u128 {
            *self = Window::new(now);
            return;
        }
        for _ in 0..passed {
            self.newest = (self.newest + 1) % SLICES;
            self.slices[self.newest] = Slice::default();
            self.began += slice;
        }
    }

    pub(super) fn sum(&self) -> Slice {
        self.slices.iter().fold(Slice::default(), |sum, slice| Slice {
            requests: sum.requests.saturating_add(slice.requests),
            failures: sum.failures.saturating_add(slice.failures),
        })
    }
}
