//! How long to wait before the next attempt: exponential, with jitter.
//!
//! tower's `ExponentialBackoff` adds its jitter on top of a fixed part, and "full" jitter, which spreads clients best
//! (every pause from nothing to the bound is as likely), cannot be said with it; so the one line that it takes is here.

use std::time::Duration;

use crate::settings::Jitter;

/// How pauses grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Backoff {
    /// `retry.backoff.base`: the bound of the first pause.
    pub(crate) base: Duration,
    /// `retry.backoff.max`: the bound of any pause.
    pub(crate) max: Duration,
    /// `retry.backoff.jitter`
    pub(crate) jitter: Jitter,
}

impl Backoff {
    /// The pause after the failure of attempt `failed`, counted from 1. `chance` is a number from 0 to 1.
    pub(crate) fn pause(&self, failed: u32, chance: f64) -> Duration {
        let doubled = 2_u32.checked_pow(failed.saturating_sub(1)).unwrap_or(u32::MAX);
        let bound = self.base.saturating_mul(doubled).min(self.max);
        match self.jitter {
            Jitter::Full => bound.mul_f64(chance),
            Jitter::Equal => bound.mul_f64(0.5 + chance / 2.0),
            Jitter::None => bound,
        }
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
            .map(|failed| backoff(Jitter::None).pause(failed, 0.3).as_millis())
            .collect();
        assert_eq!(bounds, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        assert_eq!(backoff(Jitter::None).pause(u32::MAX, 0.0), Duration::from_secs(5));
    }

    #[test]
    fn jitter_shapes_the_pause() {
        let at = |jitter, chance| backoff(jitter).pause(2, chance).as_millis();
        assert_eq!([0.0, 0.5, 1.0].map(|chance| at(Jitter::Full, chance)), [0, 100, 200]);
        assert_eq!([0.0, 0.5, 1.0].map(|chance| at(Jitter::Equal, chance)), [100, 150, 200]);
    }

    #[test]
    fn the_longest_base_does_not_overflow() {
        let long = Backoff {
            base: Duration::MAX,
            max: Duration::MAX,
            jitter: Jitter::None,
        };
        assert_eq!(long.pause(40, 1.0), Duration::MAX);
    }
}
