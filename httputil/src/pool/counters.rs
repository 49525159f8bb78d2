//! What the pool counts, readable without its lock.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use super::tally::{Tally, count_of, total};
use crate::wire::CloseReason;

/// Counters and gauges of one pool.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) tally: Tally,
    pub(super) resends: AtomicU64,
    pub(super) retries: AtomicU64,
    pub(super) retries_denied: AtomicU64,
    pub(super) breaker_openings: AtomicU64,
    pub(super) breaker_refusals: AtomicU64,
    pub(super) shed: AtomicU64,
    pub(super) redirects: AtomicU64,
    pub(super) redirects_refused: AtomicU64,
    pub(super) timed_out: AtomicU64,
    pub(super) egress_refused: AtomicU64,
    pub(super) endpoints_passed_over: AtomicU64,
    pub(super) credentials_renewed: AtomicU64,
    pub(super) tokens_fetched: AtomicU64,
    pub(super) token_failures: AtomicU64,
    pub(super) hedges: AtomicU64,
    pub(super) hedges_won: AtomicU64,
    pub(super) too_large: AtomicU64,
    /// Closed by a cap on idle connections and dialled again within a second.
    pub(super) cap_regrets: AtomicU64,
    /// Milliseconds that closed connections have lived, in all.
    lived: AtomicU64,
    pub(super) idle: AtomicUsize,
    pub(super) hibernating: AtomicUsize,
    pub(super) waiting: AtomicUsize,
    pub(super) leases: AtomicUsize,
}

/// A pool's statistics at one moment.
///
/// Read from atomics without stopping the pool, so that two of the numbers can be a moment apart: under load
/// `open + dials_in_progress` may read above a cap that holds at each moment. Once nothing is under way,
/// `dials_started == dial_failures + dialled` and `dialled == open + closed` hold.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolStats {
    /// The pool's name.
    pub name: String,
    /// Leases held on it.
    pub leases: usize,
    /// Connections that exist.
    pub open: u64,
    /// Of those, idle.
    pub idle: u64,
    /// Of the idle, HTTP/1 connections that hibernate, `pool.hibernate_after`: their buffers are freed.
    pub hibernating: u64,
    /// Of those, with a request on them.
    pub in_use: u64,
    /// Requests that wait for a connection.
    pub waiting: usize,
    /// Dials begun.
    pub dials_started: u64,
    /// Dials under way.
    pub dials_in_progress: u64,
    /// Dials that became a connection.
    pub dialled: u64,
    /// Dials that failed, by phase: `dns`, `connect`, `tls_handshake`, `proxy` (all that is a proxy's),
    /// `egress` (no address is left that `egress.*` allows).
    pub dial_failures: Vec<(&'static str, u64)>,
    /// Connections closed, by reason; reasons that never occurred are left out.
    pub closed: Vec<(CloseReason, u64)>,
    /// Requests put on a connection, resends and retries included.
    pub requests: u64,
    /// Of those, on a connection that had been used before.
    pub reuses: u64,
    /// Requests sent again because the server had not processed them.
    pub resends: u64,
    /// Attempts after the first of their request, `retry.max_attempts`.
    pub retries: u64,
    /// Retries that were not made, since the budget of the host was spent, `retry.budget`.
    pub retries_denied: u64,
    /// How often the breaker of a host opened, `breaker.*`.
    pub breaker_openings: u64,
    /// Attempts that were not made, since the breaker of the host was open.
    pub breaker_refusals: u64,
    /// Requests that were not sent, since a limit was reached and the queue full, or their time over: `limit.*`.
    pub shed: u64,
    /// Redirects that were followed, `redirect.max`.
    pub redirects: u64,
    /// Redirects that were neither followed nor given to the user: `redirect.*`, or a `Location` that is none.
    pub redirects_refused: u64,
    /// Attempts, and whole requests, whose time was over: `timeout`, `timeouts.attempt`, `timeouts.response_header`,
    /// `timeouts.read`, `timeouts.write`, a deadline. Dials that took too long are among `dial_failures`.
    pub timed_out: u64,
    /// What `egress.*` refused: requests for their URL, and dials since it left none of the addresses.
    pub egress_refused: u64,
    /// How often an attempt had the choice between several endpoints and left one out: since its breaker was open, it had said
    /// `Retry-After`, its places were taken (`limit.max_concurrent_per_host`) or `egress.*` refuses its URL.
    pub endpoints_passed_over: u64,
    /// Requests that were sent once more after a 401: with another token (`auth.bearer` of a file, `auth.oauth2`), or signed
    /// anew by an [`AttemptLayer`](crate::AttemptLayer).
    pub credentials_renewed: u64,
    /// Tokens that an authorization server gave, `auth.oauth2`.
    pub tokens_fetched: u64,
    /// Times that it gave none.
    pub token_failures: u64,
    /// Second attempts beside a first one without an answer, `hedge.after`.
    pub hedges: u64,
    /// Of those, the ones whose answer was the first good one.
    pub hedges_won: u64,
    /// Responses that were cut since their body is too large, `limit.max_response_bytes` and `compression.max_ratio`.
    pub responses_too_large: u64,
    /// Dials to a host within a second of closing an idle connection to it for a cap: `pool.max_idle` or
    /// `pool.max_idle_per_host` may be too low.
    pub cap_regrets: u64,
    /// How long closed connections had lived, in all; divide by [`closed_total`](PoolStats::closed_total) for the mean.
    pub lived: Duration,
    /// Name look-ups begun.
    pub dns_look_ups: u64,
    /// Of those, look-ups that gave no address: failed, empty, or given up.
    pub dns_failures: u64,
    /// Dials to an older answer, since the resolver gave none (`dns.stale_for`).
    pub dns_stale: u64,
    /// Certificates are not verified, `tls.insecure_skip_verify`. What a rustls configuration of your own does is not
    /// known here, and is no `true`.
    pub unverified: bool,
}

impl PoolStats {
    /// Connections closed, for whatever reason.
    pub fn closed_total(&self) -> u64 {
        total(&self.closed)
    }

    /// Connections closed for one reason.
    pub fn closed_for(&self, reason: CloseReason) -> u64 {
        count_of(&self.closed, reason)
    }

    /// Dials that failed, in whatever phase.
    pub fn dial_failures_total(&self) -> u64 {
        total(&self.dial_failures)
    }

    /// The share of requests that found a connection that had been used before, 0 to 1.
    pub fn reuse_ratio(&self) -> f64 {
        if self.requests == 0 {
            0.0
        } else {
            self.reuses as f64 / self.requests as f64
        }
    }
}

impl Counters {
    pub(super) fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn add_many(counter: &AtomicU64, many: u64) {
        if many > 0 {
            counter.fetch_add(many, Ordering::Relaxed);
        }
    }

    pub(super) fn closed(&self, reason: CloseReason, age: Duration) {
        let millis = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        self.lived.fetch_add(millis, Ordering::Relaxed);
        self.tally.closed(reason);
    }

    pub(super) fn read(&self, name: &str) -> PoolStats {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let count = self.tally.read();
        let idle = (self.idle.load(Ordering::Relaxed) as u64).min(count.open);
        PoolStats {
            name: name.to_owned(),
            leases: self.leases.load(Ordering::Relaxed),
            open: count.open,
            idle,
            hibernating: (self.hibernating.load(Ordering::Relaxed) as u64).min(idle),
            in_use: count.open - idle,
            waiting: self.waiting.load(Ordering::Relaxed),
            dials_started: count.dials_started,
            dials_in_progress: count.dials_in_progress,
            dialled: count.dialled,
            dial_failures: count.dial_failures,
            closed: count.closed,
            requests: count.requests,
            reuses: count.reuses,
            resends: load(&self.resends),
            retries: load(&self.retries),
            retries_denied: load(&self.retries_denied),
            breaker_openings: load(&self.breaker_openings),
            breaker_refusals: load(&self.breaker_refusals),
            shed: load(&self.shed),
            redirects: load(&self.redirects),
            redirects_refused: load(&self.redirects_refused),
            timed_out: load(&self.timed_out),
            egress_refused: load(&self.egress_refused),
            endpoints_passed_over: load(&self.endpoints_passed_over),
            credentials_renewed: load(&self.credentials_renewed),
            tokens_fetched: load(&self.tokens_fetched),
            token_failures: load(&self.token_failures),
            hedges: load(&self.hedges),
            hedges_won: load(&self.hedges_won),
            responses_too_large: load(&self.too_large),
            cap_regrets: load(&self.cap_regrets),
            lived: Duration::from_millis(load(&self.lived)),
            dns_look_ups: 0,
            dns_failures: 0,
            dns_stale: 0,
            unverified: false,
        }
    }
}
