//! How long to wait before the next attempt: exponential, with jitter.
//!
//! ```
//! use std::time::Duration;
//!
//! use httputil::policy::backoff::Backoff;
//!
//! // Up to 100 ms, 200 ms, 400 ms … 5 s: what a client does by default.
//! let backoff = Backoff::default();
//! for failed in 1..4 {
//!     let pause = backoff.pause(failed);
//!     assert!(pause <= Duration::from_millis(100) * 2_u32.pow(failed - 1));
//! }
//! ```
//!
//! tower's `ExponentialBackoff` adds its jitter on top of a fixed part, and "full" jitter, which spreads clients best
//! (every pause from nothing to the bound is as likely), cannot be said with it; so the one line that it takes is here.

use std::time::Duration;

use crate::settings::{self, Jitter};
use crate::wire::chance;

/// How pauses grow: the bound of each is twice that of the one before, and chance chooses below it.
///
/// `Default` is what `retry.backoff.*` says by default: 100 ms, 5 s at most, full jitter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    base: Duration,
    max: Duration,
    jitter: Jitter,
}

impl Backoff {
    /// The first pause is `base` at most, and none is longer than `max`.
    pub fn new(base: Duration, max: Duration, jitter: Jitter) -> Backoff {
        Backoff { base, max, jitter }
    }

    /// The bound of the first pause.
    pub fn base(&self) -> Duration {
        self.base
    }

    /// The pause after the failure of attempt `failed`, counted from 1.
    pub fn pause(&self, failed: u32) -> Duration {
        self.pause_by(failed, chance())
    }

    /// The same by a `chance` of your own, a number from 0 to 1: for simulations, and for tests.
    pub fn pause_by(&self, failed: u32, chance: f64) -> Duration {
        let doubled = 2_u32.checked_pow(failed.saturating_sub(1)).unwrap_or(u32::MAX);
        let bound = self.base.saturating_mul(doubled).min(self.max);
        match self.jitter {
            Jitter::Full => part(bound, chance),
            Jitter::Equal => part(bound, 0.5 + chance / 2.0),
            Jitter::None => bound,
        }
    }
}

/// A share of a time; of one that is too long to reckon with, all of it.
pub(super) fn part(of: Duration, share: f64) -> Duration {
    let seconds = of.as_secs_f64() * share.clamp(0.0, 1.0);
    Duration::try_from_secs_f64(seconds).map_or(of, |part| part.min(of))
}

impl Default for Backoff {
    fn default() -> Backoff {
        Backoff::from(&settings::Retry::default())
    }
}

impl From<&settings::Retry> for Backoff {
    fn from(settings: &settings::Retry) -> Backoff {
        Backoff::new(settings.backoff_base, settings.backoff_max, settings.jitter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backoff(jitter: Jitter) -> Backoff {
        Backoff {
            base: Duration::from_millis(100),
            max: Duration::from_secs(5),
            jitter,
        }
    }

    #[test]
    fn the_bound_doubles_up_to_the_maximum() {
        let bounds: Vec<u128> = (1..9)
            .map(|failed| backoff(Jitter::None).pause_by(failed, 0.3).as_millis())
            .collect();
        assert_eq!(bounds, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        assert_eq!(backoff(Jitter::None).pause_by(u32::MAX, 0.0), Duration::from_secs(5));
    }

    #[test]
    fn jitter_shapes_the_pause() {
        let at = |jitter, chance| backoff(jitter).pause_by(2, chance).as_millis();
        assert_eq!([0.0, 0.5, 1.0].map(|chance| at(Jitter::Full, chance)), [0, 100, 200]);
        assert_eq!([0.0, 0.5, 1.0].map(|chance| at(Jitter::Equal, chance)), [100, 150, 200]);
    }

    #[test]
    fn neither_the_longest_base_nor_a_chance_that_is_none_overflows() {
        for jitter in [Jitter::Full, Jitter::Equal, Jitter::None] {
            let long = Backoff::new(Duration::MAX, Duration::MAX, jitter);
            assert_eq!(long.pause_by(40, 1.0), Duration::MAX);
            let short = backoff(jitter);
            for chance in [-1.0, 2.0, f64::NAN, f64::INFINITY] {
                assert!(short.pause_by(1, chance) <= short.base(), "{chance}");
            }
        }
    }

    #[test]
    fn chance_chooses_each_pause_anew() {
        let pauses: Vec<Duration> = (0..50).map(|_| backoff(Jitter::Full).pause(1)).collect();
        assert!(pauses.iter().all(|pause| *pause <= Duration::from_millis(100)));
        assert!(pauses.iter().any(|pause| *pause != pauses[0]), "{pauses:?}");
    }
}
