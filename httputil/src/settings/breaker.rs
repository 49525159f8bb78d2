//! When a host is left alone.

use std::time::Duration;

/// When requests to a host are refused at once, since too many before them have failed.
///
/// Each host has a breaker, and the clients of one profile share it. Failures are the host's only: no connection, no TLS, a
/// reset, also in the middle of a body, no header or no next piece of a body in time, and the answers 502, 503 and 504. Of the
/// requests that waited for one dial that failed, one counts. Other answers are successes; what is cancelled, or failed by our
/// own doing (a queue, a limit, a name look-up, a proxy), says nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Breaker {
    /// `breaker.enabled`. Default true.
    pub enabled: bool,
    /// `breaker.failure_ratio`: the share of failures that opens it, 0.01 to 1. Default 0.8.
    pub failure_ratio: f64,
    /// `breaker.min_requests`: fewer within the window open nothing; at least 1. Default 20.
    pub min_requests: u32,
    /// `breaker.window`: how far back requests count. Default 10 s.
    pub window: Duration,
    /// `breaker.open_for`: how long it refuses when it opens first, less up to a tenth by chance. Each time that it opens
    /// again before the host has recovered it is twice as long. Default 5 s.
    pub open_for: Duration,
    /// `breaker.max_open_for`: the longest that it refuses. Default 60 s.
    pub max_open_for: Duration,
    /// `breaker.half_open_requests`: when that time is over, so many requests are let through, and as many successes close
    /// it; at least 1. Default 3.
    pub half_open_requests: u32,
}

impl Default for Breaker {
    fn default() -> Breaker {
        Breaker {
            enabled: true,
            failure_ratio: 0.8,
            min_requests: 20,
            window: Duration::from_secs(10),
            open_for: Duration::from_secs(5),
            max_open_for: Duration::from_mins(1),
            half_open_requests: 3,
        }
    }
}
