//! Leaving alone for a while what could not be reached.

use std::time::Duration;

use tokio::time::Instant;

use super::DialFailure;
use crate::error::{Human, Kind};

/// What cannot be reached is dialled again after 50 ms, doubling to 5 s; requests hear the last error meanwhile.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
    until: Option<Instant>,
    last: Option<DialFailure>,
    /// Counts changes: dials that began in one epoch and all fail are one failure.
    epoch: u64,
}

impl Backoff {
    const FIRST: Duration = Duration::from_millis(50);
    const LONGEST: Duration = Duration::from_secs(5);

    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Whether the last dial failed: one is tried before many are.
    pub(crate) fn is_probing(&self) -> bool {
        self.failures > 0
    }

    pub(crate) fn holds(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now < until)
    }

    pub(crate) fn failed(&mut self, epoch: u64, failure: &DialFailure, now: Instant) {
        // Out of descriptors or ports: no fault of the other side.
        if failure.kind == Kind::LimitExceeded {
            return;
        }
        self.last = Some(failure.clone());
        if epoch != self.epoch {
            return;
        }
        self.epoch += 1;
        let wait = Self::FIRST
            .saturating_mul(1 << self.failures.min(16))
            .min(Self::LONGEST);
        self.failures = self.failures.saturating_add(1);
        self.until = now.checked_add(wait);
    }

    pub(crate) fn succeeded(&mut self) {
        if self.failures > 0 {
            *self = Backoff {
                epoch: self.epoch + 1,
                ..Backoff::default()
            };
        }
    }

    /// A failure that was just counted, with the end of the pause.
    pub(crate) fn dated(&self, failure: &DialFailure) -> DialFailure {
        DialFailure {
            again_at: self.until,
            ..failure.clone()
        }
    }

    /// The last error, in words that say that it is not a new one.
    pub(crate) fn remembered(&self, now: Instant) -> Option<DialFailure> {
        let mut failure = self.last.clone()?;
        let left = self.until?.saturating_duration_since(now);
        let millis = u64::try_from(left.as_millis()).unwrap_or(u64::MAX).max(1);
        let next = if left.is_zero() {
            "is under way".to_owned()
        } else {
            format!("is made in {}", Human(Duration::from_millis(millis)))
        };
        failure.message = format!("{} (the error of the last try; the next {next})", failure.message).into();
        failure.again_at = self.until;
        Some(failure)
    }
}
