//! What the pool counts for each host, readable without its lock.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::key::Key;
use super::tally::{Tally, count_of, total};
use crate::connect::Target;
use crate::wire::CloseReason;

/// Counters and gauges of one host.
#[derive(Debug, Default)]
pub(crate) struct HostCounters {
    pub(super) tally: Tally,
    pub(super) idle: AtomicUsize,
    pub(super) waiting: AtomicUsize,
}

/// Where the breaker of a host stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BreakerState {
    /// Requests pass.
    Closed,
    /// Requests are refused.
    Open,
    /// A few requests pass, to see whether the host is back.
    HalfOpen,
}

/// One host's statistics at one moment. A host is forgotten, and its numbers with it, when nothing of it is left and
/// the pool knows more than a thousand others.
///
/// As with a pool's, two of the numbers can be a moment apart; once nothing is under way,
/// `dials_started == dial_failures + dialled` and `dialled == open + closed` hold.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HostStats {
    /// Scheme, host and port: `https://example.com:443`; or a Unix socket, `unix:/run/app.sock`.
    pub host: String,
    /// Connections that exist.
    pub open: u64,
    /// Of those, idle.
    pub idle: u64,
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
    /// Dials that failed, by phase: `dns`, `connect`, `tls_handshake`, `proxy`.
    pub dial_failures: Vec<(&'static str, u64)>,
    /// Connections closed, by reason; reasons that never occurred are left out.
    pub closed: Vec<(CloseReason, u64)>,
    /// Requests put on a connection, resends included.
    pub requests: u64,
    /// Of those, on a connection that had been used before.
    pub reuses: u64,
    /// Where the breaker of the client's profile stands; `None` if it has none, `breaker.enabled`.
    pub breaker: Option<BreakerState>,
}

impl HostStats {
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
}

impl HostCounters {
    fn read(&self, key: &Key) -> HostStats {
        let count = self.tally.read();
        let idle = (self.idle.load(Ordering::Relaxed) as u64).min(count.open);
        HostStats {
            host: key.target.origin(),
            open: count.open,
            idle,
            in_use: count.open - idle,
            waiting: self.waiting.load(Ordering::Relaxed),
            dials_started: count.dials_started,
            dials_in_progress: count.dials_in_progress,
            dialled: count.dialled,
            dial_failures: count.dial_failures,
            closed: count.closed,
            requests: count.requests,
            reuses: count.reuses,
            breaker: None,
        }
    }
}

/// The hosts that a pool knows, by its numbers for them. Its lock is held for moments: never over a look into the pool.
#[derive(Debug, Default)]
pub(super) struct Directory {
    hosts: RwLock<Vec<Option<Arc<Key>>>>,
}

impl Directory {
    pub(super) fn add(&self, index: usize, key: &Arc<Key>) {
        let mut hosts = self.hosts.write().unwrap_or_else(PoisonError::into_inner);
        if hosts.len() <= index {
            hosts.resize(index + 1, None);
        }
        hosts[index] = Some(Arc::clone(key));
    }

    pub(super) fn remove(&self, index: usize) {
        let mut hosts = self.hosts.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(host) = hosts.get_mut(index) {
            *host = None;
        }
    }

    /// Sorted by name; one line for each runtime that a host is used from. `breaker` tells of each host's.
    pub(super) fn read(&self, breaker: impl Fn(&Target) -> Option<BreakerState>) -> Vec<HostStats> {
        let keys: Vec<Arc<Key>> = {
            let hosts = self.hosts.read().unwrap_or_else(PoisonError::into_inner);
            hosts.iter().flatten().cloned().collect()
        };
        let mut all: Vec<HostStats> = keys
            .iter()
            .map(|key| HostStats {
                breaker: breaker(&key.target),
                ..key.counters.read(key)
            })
            .collect();
        all.sort_by(|one, other| one.host.cmp(&other.host));
        all
    }
}
