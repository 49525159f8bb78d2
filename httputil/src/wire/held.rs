//! What a request holds while its exchange is under way, and who gives it back.
//!
//! A request counts at its lease, in the limits of its profile and its host, and at its endpoint. The wire keeps all that with
//! the exchange, and not the answer's body: whoever ends the exchange gives it back, be it the reader, the deadline of an
//! answer that nobody reads, or the peer.

use std::sync::Arc;

/// What counts those who are under way.
pub(crate) trait Counts: Send + Sync {
    /// One has gone.
    fn gone(&self);
}

/// One who is under way, until it is dropped.
pub(crate) struct Holding(Arc<dyn Counts>);

/// All that one request holds. Without a box: a request that is under way costs no allocation for it.
pub(crate) type Held = [Option<Holding>; 4];

impl Holding {
    /// Of one that was counted.
    pub(crate) fn of(counts: Arc<dyn Counts>) -> Holding {
        Holding(counts)
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        self.0.gone();
    }
}

impl std::fmt::Debug for Holding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Holding").finish_non_exhaustive()
    }
}
