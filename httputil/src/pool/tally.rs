//! What is counted alike for a pool and for each of its hosts: from dials begun to connections closed.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Kind, Phase};
use crate::wire::CloseReason;

/// Counters that only rise.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(super) dials_started: AtomicU64,
    pub(super) dialled: AtomicU64,
    dial_failures: [AtomicU64; DIAL_PHASES.len()],
    closed: [AtomicU64; CloseReason::ALL.len()],
    pub(super) requests: AtomicU64,
    pub(super) reuses: AtomicU64,
}

/// The phases that a dial can fail in, in words.
const DIAL_PHASES: [&str; 5] = ["dns", "connect", "tls_handshake", "proxy", "egress"];

/// A tally at one moment, with what follows from it.
pub(super) struct Count {
    pub(super) open: u64,
    pub(super) dials_started: u64,
    pub(super) dials_in_progress: u64,
    pub(super) dialled: u64,
    pub(super) dial_failures: Vec<(&'static str, u64)>,
    pub(super) closed: Vec<(CloseReason, u64)>,
    pub(super) requests: u64,
    pub(super) reuses: u64,
}

impl Tally {
    pub(super) fn closed(&self, reason: CloseReason) {
        self.closed[reason as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn dial_failed(&self, kind: Kind) {
        let phase = match kind {
            Kind::Dns | Kind::Timeout { phase: Phase::Dns, .. } => 0,
            Kind::Tls
            | Kind::Protocol
            | Kind::Timeout {
                phase: Phase::TlsHandshake,
                ..
            } => 2,
            Kind::Proxy
            | Kind::Timeout {
                phase: Phase::ProxyConnect,
                ..
            } => 3,
            Kind::Egress => 4,
            _ => 1,
        };
        self.dial_failures[phase].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> Count {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        // Ends are read before beginnings, so that no difference comes out negative.
        let closed: Vec<(CloseReason, u64)> = CloseReason::ALL
            .iter()
            .map(|reason| (*reason, load(&self.closed[*reason as usize])))
            .filter(|(_, count)| *count > 0)
            .collect();
        let dial_failures: Vec<(&'static str, u64)> = DIAL_PHASES
            .iter()
            .zip(&self.dial_failures)
            .map(|(word, count)| (*word, load(count)))
            .collect();
        let dialled = load(&self.dialled);
        let dials_started = load(&self.dials_started);
        Count {
            open: dialled.saturating_sub(total(&closed)),
            dials_started,
            dials_in_progress: dials_started.saturating_sub(dialled + total(&dial_failures)),
            dialled,
            dial_failures,
            closed,
            requests: load(&self.requests),
            reuses: load(&self.reuses),
        }
    }
}

/// The sum over all words.
pub(super) fn total<T>(counts: &[(T, u64)]) -> u64 {
    counts.iter().map(|(_, count)| count).sum()
}

/// The count of one reason.
pub(super) fn count_of(closed: &[(CloseReason, u64)], reason: CloseReason) -> u64 {
    let found = closed.iter().find(|(other, _)| *other == reason);
    found.map_or(0, |(_, count)| *count)
}
