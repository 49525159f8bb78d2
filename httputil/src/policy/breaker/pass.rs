//! What passes between a breaker and a request: whether it may go, how it ended, and what that has changed.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Breaker;

/// What the breaker says to a request that wants to go.
#[derive(Debug)]
pub(crate) enum Admission {
    /// `begins` is whether it is the first one after the breaker was open.
    Admitted { pass: Pass, begins: bool },
    /// Come back after this; `by_hand` is whether somebody opened it.
    Refused { retry_after: Duration, by_hand: bool },
}

/// A request that was let through. Dropped without a verdict, it says nothing about the host.
#[derive(Debug)]
#[must_use]
pub(crate) struct Pass {
    pub(super) breaker: Arc<Breaker>,
    pub(super) generation: u64,
    pub(super) is_over: bool,
}

/// How a request ended, as far as its host is to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Success,
    Failure,
}

/// A success that may yet turn out to be none: only the answer's header was judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Success(pub(super) u64);

/// What a verdict has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Nothing,
    Opened { open_for: Duration },
    Closed,
}

impl Pass {
    /// What it will be counted as if it ends well.
    pub(crate) fn success(&self) -> Success {
        Success(self.generation)
    }

    /// Tells how the request ended, and hears what that has changed.
    pub(crate) fn ended(mut self, verdict: Verdict, now: Instant, chance: impl FnOnce() -> f64) -> Change {
        self.is_over = true;
        self.breaker.record(self.generation, verdict, now, chance)
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if !self.is_over {
            self.breaker.forget(self.generation);
        }
    }
}
