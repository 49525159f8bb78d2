//! What each side has done.

use std::sync::atomic::{AtomicU64, Ordering};

use super::switch::Side;

/// What happened so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessStats {
    /// Which side serves now.
    pub side: Side,
    /// Why it is not RDMA.
    pub why_http: Option<String>,
    /// By RDMA.
    pub rdma: SideStats,
    /// Over HTTP.
    pub http: SideStats,
    /// Operations that RDMA failed and HTTP did, those in mid-object included.
    pub failed_over: u64,
    /// Objects that were gone on with from where they broke, by whichever side.
    pub resumed: u64,
    /// How often RDMA was left,
    pub left: u64,
    /// and taken back.
    pub returned: u64,
}

/// What one side did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SideStats {
    /// Operations that it was asked for.
    pub asked: u64,
    /// Those that it failed.
    pub failed: u64,
    /// Bytes of objects that it read,
    pub read_bytes: u64,
    /// and wrote.
    pub written_bytes: u64,
    /// Probes.
    pub probes: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) rdma: SideCounts,
    pub(super) http: SideCounts,
    pub(super) failed_over: AtomicU64,
    pub(super) resumed: AtomicU64,
    pub(super) left: AtomicU64,
    pub(super) returned: AtomicU64,
}

#[derive(Debug, Default)]
pub(super) struct SideCounts {
    pub(super) asked: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) read_bytes: AtomicU64,
    pub(super) written_bytes: AtomicU64,
    pub(super) probes: AtomicU64,
}

impl Counts {
    pub(super) fn of(&self, side: Side) -> &SideCounts {
        match side {
            Side::Rdma => &self.rdma,
            Side::Http => &self.http,
        }
    }

    pub(super) fn read(&self, side: Side, why_http: Option<String>) -> AccessStats {
        AccessStats {
            side,
            why_http,
            rdma: self.rdma.read(),
            http: self.http.read(),
            failed_over: get(&self.failed_over),
            resumed: get(&self.resumed),
            left: get(&self.left),
            returned: get(&self.returned),
        }
    }
}

impl SideCounts {
    fn read(&self) -> SideStats {
        SideStats {
            asked: get(&self.asked),
            failed: get(&self.failed),
            read_bytes: get(&self.read_bytes),
            written_bytes: get(&self.written_bytes),
            probes: get(&self.probes),
        }
    }
}

pub(super) fn add(count: &AtomicU64, more: u64) {
    count.fetch_add(more, Ordering::Relaxed);
}

fn get(count: &AtomicU64) -> u64 {
    count.load(Ordering::Relaxed)
}
