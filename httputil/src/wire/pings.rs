//! HTTP/2 pings: how often hyper sends them, and whether the last one was missed.
//!
//! hyper ends a connection whose ping was not answered as if all were well, and says so to requests that wait for a head
//! only. So pings are watched beside it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::home::jittered;

/// hyper adds what it is given to the clock without a check.
const LONGEST: Duration = Duration::from_hours(24);

/// When to ping a peer that has complained `calm` times: `http2.keepalive_interval`, doubled each time, jittered.
pub(super) fn interval(interval: Duration, calm: u8) -> Duration {
    let doubled = 1_u32.checked_shl(calm.into()).unwrap_or(u32::MAX);
    jittered(interval.saturating_mul(doubled).min(LONGEST))
}

/// The ping under way on a connection.
#[derive(Debug)]
pub(super) struct Pings {
    epoch: Instant,
    timeout: Duration,
    /// When the ping was written, in nanoseconds after the epoch.
    sent: AtomicU64,
}

const NONE: u64 = u64::MAX;

impl Pings {
    /// `timeout` is `http2.keepalive_timeout`.
    pub(super) fn new(timeout: Duration) -> Pings {
        Pings {
            epoch: Instant::now(),
            timeout: timeout.min(LONGEST),
            sent: AtomicU64::new(NONE),
        }
    }

    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    pub(super) fn sent(&self) {
        let now = u64::try_from(self.epoch.elapsed().as_nanos()).unwrap_or(NONE - 1);
        // While one is under way, hyper sends no other.
        let _ = self
            .sent
            .compare_exchange(NONE, now, Ordering::Relaxed, Ordering::Relaxed);
    }

    pub(super) fn answered(&self) {
        self.sent.store(NONE, Ordering::Relaxed);
    }

    /// Whether there has been no answer for so long that hyper gives the connection up. Its clock started a little
    /// earlier, when the ping was yet to be written.
    pub(super) fn is_missed(&self) -> bool {
        let sent = self.sent.load(Ordering::Relaxed);
        sent != NONE && self.epoch.elapsed().saturating_sub(Duration::from_nanos(sent)) >= self.timeout.mul_f64(0.75)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_doubles_with_every_complaint_and_never_overflows() {
        let ten = Duration::from_secs(10);
        for (calm, seconds) in [(0, 10.0), (1, 20.0), (3, 80.0), (31, 86_400.0), (255, 86_400.0)] {
            let interval = interval(ten, calm).as_secs_f64();
            assert!(
                (seconds * 0.9..=seconds * 1.1).contains(&interval),
                "{calm}: {interval}"
            );
        }
        assert!(interval(Duration::MAX, 200) < Duration::MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn a_ping_is_missed_when_its_answer_is_overdue() {
        let pings = Pings::new(Duration::from_secs(4));
        tokio::time::advance(Duration::from_mins(1)).await;
        assert!(!pings.is_missed());
        pings.sent();
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(!pings.is_missed());
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(pings.is_missed());
        pings.answered();
        assert!(!pings.is_missed());
    }
}
