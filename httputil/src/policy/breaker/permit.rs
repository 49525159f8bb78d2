//! What passes between a breaker and a request: whether it may go, how it ended, and what that has changed.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use tokio::time::Instant;

use super::Breaker;
use crate::error::{Human, Kind, Phase};
use crate::wire::chance;

/// A request that was let through. Dropped without a verdict, it says nothing about the host, and gives its place among the
/// probes back: what was cancelled is no failure.
#[derive(Debug)]
#[must_use = "a request whose end nobody tells says nothing about its host"]
pub struct Permit {
    pub(super) breaker: Arc<Breaker>,
    pub(super) generation: u64,
    pub(super) is_first: bool,
    pub(super) is_over: bool,
}

/// How a request ended, as far as its host is to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The host is well.
    Success,
    /// It is the host's fault: no connection, no answer in time, or one that says that it cannot do it.
    Failure,
}

/// A success that may yet turn out to be none: only the answer's header was judged. Of use to the breaker that it came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Success(pub(super) u64);

/// What a verdict has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// Nothing.
    Nothing,
    /// The breaker is open by it.
    Opened {
        /// For so long requests are refused.
        open_for: Duration,
    },
    /// The host is back, and requests pass again.
    Closed,
}

/// A request was refused: the breaker is open, or its probes are under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Open {
    pub(super) retry_after: Duration,
    pub(super) by_hand: bool,
}

impl Verdict {
    /// What an answer's status says of the host: 502, 503 and 504 are its failures, every other one shows that it is well.
    pub fn of_status(status: StatusCode) -> Verdict {
        match status {
            StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => Verdict::Failure,
            _ => Verdict::Success,
        }
    }

    /// What a failure of this kind says of the host; `None` if nothing. The attempt `began`, and was `sent` if it had a connection.
    pub(crate) fn of_failure(kind: Kind, began: Instant, sent: Option<Instant>, now: Instant) -> Option<Verdict> {
        let is_failure = match kind {
            Kind::Connection | Kind::Connect | Kind::Tls => true,
            Kind::Timeout { phase, .. } => match phase {
                Phase::Connect | Phase::TlsHandshake => true,
                // Not that of a request which had spent its time in a queue of ours.
                Phase::ResponseHeader => sent.is_some_and(|sent| now - sent >= (now - began) / 2),
                _ => false,
            },
            _ => false,
        };
        is_failure.then_some(Verdict::Failure)
    }
}

impl Permit {
    /// Whether it is the first one after the breaker was open, which asks whether the host is back.
    pub fn is_first_probe(&self) -> bool {
        self.is_first
    }

    /// What it will be counted as if it ends well, for [`Breaker::take_back`].
    pub fn success(&self) -> Success {
        Success(self.generation)
    }

    /// Tells how the request ended, and hears what that has changed.
    pub fn ended(self, verdict: Verdict) -> Change {
        self.ended_at(verdict, Instant::now(), chance)
    }

    /// The same at a time and by a chance that are the caller's.
    pub(crate) fn ended_at(mut self, verdict: Verdict, now: Instant, chance: impl FnOnce() -> f64) -> Change {
        self.is_over = true;
        self.breaker.record(self.generation, verdict, now, chance)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if !self.is_over {
            self.breaker.forget(self.generation);
        }
    }
}

impl Open {
    /// Come back after this.
    pub fn retry_after(&self) -> Duration {
        self.retry_after
    }

    /// Whether somebody opened it ([`Breaker::force_open`]).
    pub fn is_by_hand(&self) -> bool {
        self.by_hand
    }
}

impl fmt::Display for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.by_hand {
            return f.write_str("not asked: the breaker was opened by hand");
        }
        let again = Human(self.retry_after);
        write!(
            f,
            "not asked: the breaker is open, since too many requests have failed; it lets one through in {again}"
        )
    }
}

impl std::error::Error for Open {}
