//! When a request is to be over, what an attempt may have of that, and whether a pause fits.
//!
//! ```
//! use std::time::Duration;
//!
//! use httputil::policy::deadline::Deadline;
//! use tokio::time::Instant;
//!
//! let (began, second) = (Instant::now(), Duration::from_secs(1));
//! // Ten seconds, and the caller wants to know after two.
//! let whole = Deadline::of(began, Some(10 * second), Some(began + 2 * second));
//! assert_eq!((whole.left(began), whole.by()), (Some(2 * second), "the request's deadline"));
//! // An attempt has one of them, and a pause of a second after it would still leave nothing.
//! let attempt = whole.of_attempt(began, Some(second));
//! assert_eq!(attempt.left(began), Some(second));
//! assert!(whole.is_over_after(began + second, second));
//! ```
//!
//! The rule: the nearest bound wins, and says who set it. No pause is begun that the deadline would cut short: there would be
//! nothing left to do in.

use std::time::Duration;

use tokio::time::Instant;

/// When a request is to be over, and what set that.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    pub(crate) at: Option<Instant>,
    /// Of the request's beginning; zero where there is none.
    pub(crate) after: Duration,
    pub(crate) by: &'static str,
}

impl Deadline {
    /// The earlier of a time-out from the beginning, and of a caller's `own` deadline. A time-out too long for the clock is none.
    pub fn of(began: Instant, timeout: Option<Duration>, own: Option<Instant>) -> Deadline {
        let over = timeout.and_then(|timeout| began.checked_add(timeout));
        match own.filter(|own| over.is_none_or(|over| *own < over)) {
            Some(own) => Deadline {
                at: Some(own),
                after: own.saturating_duration_since(began),
                by: "the request's deadline",
            },
            None => Deadline {
                at: over,
                after: timeout.unwrap_or_default(),
                by: "timeout",
            },
        }
    }

    /// The same for an attempt that begins now and has a `bound` of its own.
    #[must_use]
    pub fn of_attempt(&self, began: Instant, bound: Option<Duration>) -> Deadline {
        match of_attempt(self.at, began, bound) {
            (Some(after), at) => Deadline {
                at,
                after,
                by: "timeouts.attempt",
            },
            (None, _) => *self,
        }
    }

    /// When it is; `None` if never.
    pub fn at(&self) -> Option<Instant> {
        self.at
    }

    /// What set it, as errors name it: `timeout`, `timeouts.attempt`, or `the request's deadline`, which its caller set.
    pub fn by(&self) -> &'static str {
        self.by
    }

    /// The time until then; `None` if there is no deadline.
    pub fn left(&self, now: Instant) -> Option<Duration> {
        Some(self.at?.saturating_duration_since(now))
    }

    /// Whether it comes before the end of a pause, or with it.
    pub fn is_over_after(&self, now: Instant, pause: Duration) -> bool {
        is_over_after(self.at, now, pause)
    }
}

/// The bound of an attempt that begins now, if it is over before the request is, and when the attempt is over.
pub(crate) fn of_attempt(
    whole: Option<Instant>,
    began: Instant,
    bound: Option<Duration>,
) -> (Option<Duration>, Option<Instant>) {
    let over = bound.and_then(|bound| began.checked_add(bound));
    let over = over.filter(|over| whole.is_none_or(|whole| *over < whole));
    (bound.filter(|_| over.is_some()), over.or(whole))
}

/// Whether a deadline comes before the end of a pause, or with it.
pub(crate) fn is_over_after(deadline: Option<Instant>, now: Instant, pause: Duration) -> bool {
    let Some(deadline) = deadline else { return false };
    now.checked_add(pause).is_none_or(|then| deadline <= then)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn of_time_out_and_deadline_the_earlier_one_wins() {
        let began = Instant::now();
        let by = |timeout, own| {
            let Deadline { at, after, by } = Deadline::of(began, timeout, own);
            (at.map(|at| at - began), after, by)
        };
        let own = Some(began + SECOND);
        let of_own = (Some(SECOND), SECOND, "the request's deadline");
        assert_eq!(by(Some(SECOND * 2), own), of_own);
        assert_eq!(by(None, own), of_own);
        let half = SECOND / 2;
        assert_eq!(by(Some(half), own), (Some(half), half, "timeout"));
        assert_eq!(by(None, None), (None, Duration::ZERO, "timeout"));
        assert_eq!(by(Some(Duration::MAX), None).0, None, "too far for the clock");
        let over = began.checked_sub(SECOND);
        assert_eq!(by(None, over).1, Duration::ZERO, "it was over before it began");
    }

    #[test]
    fn an_attempt_has_its_own_bound_where_that_is_the_nearer_one() {
        let began = Instant::now();
        let of = |timeout, bound, later| {
            let attempt = Deadline::of(began, timeout, None).of_attempt(began + later, bound);
            (attempt.left(began), attempt.by())
        };
        let two = Some(2 * SECOND);
        assert_eq!(
            of(two, Some(SECOND), Duration::ZERO),
            (Some(SECOND), "timeouts.attempt")
        );
        assert_eq!(of(two, Some(SECOND), SECOND), (two, "timeout"), "both end then");
        assert_eq!(
            of(two, Some(SECOND), SECOND / 2),
            (Some(SECOND * 3 / 2), "timeouts.attempt")
        );
        assert_eq!(of(None, Some(SECOND), SECOND), (two, "timeouts.attempt"));
        assert_eq!(of(two, None, SECOND), (two, "timeout"));
        assert_eq!(of(two, Some(Duration::MAX), SECOND), (two, "timeout"));
        assert_eq!(of(None, None, SECOND), (None, "timeout"));
    }

    #[test]
    fn a_pause_fits_if_it_ends_before_the_deadline() {
        let now = Instant::now();
        let whole = Deadline::of(now, Some(SECOND), None);
        assert!(!whole.is_over_after(now, SECOND / 2));
        assert!(whole.is_over_after(now, SECOND) && whole.is_over_after(now + SECOND, Duration::ZERO));
        assert!(whole.is_over_after(now, Duration::MAX), "too far for the clock");
        assert!(!Deadline::of(now, None, None).is_over_after(now, Duration::MAX));
    }
}
