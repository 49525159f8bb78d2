//! What the pool counts for each host, readable without its lock.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::key::Key;

/// Counters and gauges of one host.
#[derive(Debug, Default)]
pub(crate) struct HostCounters {
    pub(super) dials_started: AtomicU64,
    pub(super) dialled: AtomicU64,
    pub(super) dial_failures: AtomicU64,
    pub(super) closed: AtomicU64,
    pub(super) requests: AtomicU64,
    pub(super) reuses: AtomicU64,
    pub(super) idle: AtomicUsize,
    pub(super) waiting: AtomicUsize,
}

/// One host's statistics at one moment. A host is forgotten, and its numbers with it, when nothing of it is left and
/// the pool knows more than a thousand others.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HostStats {
    /// Scheme, host and port: `https://example.com:443`; or a Unix socket, `unix:/run/app.sock`.
    pub host: String,
    /// Connections that exist.
    pub open: u64,
    /// Of those, idle HTTP/1 connections.
    pub idle: u64,
    /// Requests that wait for a connection.
    pub waiting: usize,
    /// Dials begun.
    pub dials_started: u64,
    /// Dials that became a connection.
    pub dialled: u64,
    /// Dials that failed.
    pub dial_failures: u64,
    /// Connections closed.
    pub closed: u64,
    /// Requests put on a connection, resends included.
    pub requests: u64,
    /// Of those, on a connection that had been used before.
    pub reuses: u64,
}

impl HostCounters {
    fn read(&self, key: &Key) -> HostStats {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        // Ends before beginnings, so that no difference comes out negative.
        let (closed, dial_failures) = (load(&self.closed), load(&self.dial_failures));
        let dialled = load(&self.dialled);
        let open = dialled.saturating_sub(closed);
        HostStats {
            host: key.target.origin(),
            open,
            idle: (self.idle.load(Ordering::Relaxed) as u64).min(open),
            waiting: self.waiting.load(Ordering::Relaxed),
            dials_started: load(&self.dials_started),
            dialled,
            dial_failures,
            closed,
            requests: load(&self.requests),
            reuses: load(&self.reuses),
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

    /// Sorted by name; one line for each runtime that a host is used from.
    pub(super) fn read(&self) -> Vec<HostStats> {
        let keys: Vec<Arc<Key>> = {
            let hosts = self.hosts.read().unwrap_or_else(PoisonError::into_inner);
            hosts.iter().flatten().cloned().collect()
        };
        let mut all: Vec<HostStats> = keys.iter().map(|key| key.counters.read(key)).collect();
        all.sort_by(|one, other| one.host.cmp(&other.host));
        all
    }
}
