//! A token bucket: so many at once, then so many a second.

use std::time::Duration;

use tokio::time::Instant;

/// Kept as the moment at which the bucket will be full again, which needs no timer and no fractions.
#[derive(Debug, Default)]
pub(super) struct Bucket {
    full_at: Option<Instant>,
}

/// Tokens in a full bucket.
const BURST: u32 = 16;
/// Time in which a token comes back: 30 a second.
const PERIOD: Duration = Duration::from_nanos(1_000_000_000 / 30);

impl Bucket {
    /// Takes a token, if there is one.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let is_there = self.next(now) <= now;
        if is_there {
            self.charge(now);
        }
        is_there
    }

    /// Takes a token that is there or, if there is none, nothing.
    pub(super) fn charge(&mut self, now: Instant) {
        let full_at = self.full_at.map_or(now, |at| at.max(now)) + PERIOD;
        self.full_at = Some(full_at.min(now + PERIOD * BURST));
    }

    /// When the next token is there.
    pub(super) fn next(&self, now: Instant) -> Instant {
        let spare = PERIOD * (BURST - 1);
        self.full_at
            .and_then(|at| at.checked_sub(spare))
            .map_or(now, |at| at.max(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixteen_at_once_then_thirty_a_second() {
        let (start, mut bucket) = (Instant::now(), Bucket::default());
        let burst = (0..100).filter(|_| bucket.take(start)).count();
        assert_eq!(burst, 16);
        let mut taken = 0;
        for millis in 0..10_000 {
            taken += usize::from(bucket.take(start + Duration::from_millis(millis)));
        }
        assert!((299..=300).contains(&taken), "{taken}");
    }

    #[test]
    fn a_rest_fills_it_again_and_no_more_than_that() {
        let (start, mut bucket) = (Instant::now(), Bucket::default());
        while bucket.take(start) {}
        let later = start + Duration::from_hours(1);
        assert_eq!((0..100).filter(|_| bucket.take(later)).count(), 16);
    }

    #[test]
    fn a_token_is_there_when_it_is_said_to_be() {
        let (start, mut bucket) = (Instant::now(), Bucket::default());
        while bucket.take(start) {}
        let next = bucket.next(start);
        assert!(next > start && next <= start + PERIOD);
        assert!(!bucket.take(next - Duration::from_nanos(1)));
        assert!(bucket.take(next));
    }

    #[test]
    fn what_is_taken_beyond_the_last_is_no_debt() {
        let (start, mut bucket) = (Instant::now(), Bucket::default());
        for _ in 0..1000 {
            bucket.charge(start);
        }
        assert!(bucket.take(start + PERIOD * 2));
    }
}
