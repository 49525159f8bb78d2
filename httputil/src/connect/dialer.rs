//! The one seam of this room: where raw streams come from.

#[cfg(test)]
use std::sync::Arc;

/// Who makes raw streams.
#[derive(Clone)]
pub(crate) enum Dialer {
    /// The resolver and TCP.
    System,
    /// Streams in memory: no file descriptor, and a clock that can be paused.
    #[cfg(test)]
    Memory(Arc<dyn Fn(&super::Target) -> tokio::io::DuplexStream + Send + Sync>),
}
