//! Where a breaker stands.

use tokio::time::Instant;

use super::window::Window;

#[derive(Debug)]
pub(super) struct State {
    /// Counts the changes of phase.
    pub(super) generation: u64,
    pub(super) phase: Phase,
    /// Openings without a recovery in between.
    pub(super) openings: u32,
    pub(super) forced: Option<Forced>,
}

#[derive(Debug)]
pub(super) enum Phase {
    Closed(Window),
    Open {
        until: Instant,
    },
    HalfOpen {
        under_way: u32,
        succeeded: u32,
        /// When the last probe was let through.
        probed: Instant,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Forced {
    Open,
    Closed,
}

impl State {
    pub(super) fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.generation += 1;
    }
}
