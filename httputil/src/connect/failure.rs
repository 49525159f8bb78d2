//! Why no connection could be made.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use crate::error::{Human, Kind, Phase};

/// A failed dial. Cheap to clone, since every request that waited for the dial hears of it.
#[derive(Clone, Debug)]
pub(crate) struct DialFailure {
    pub(crate) kind: Kind,
    pub(crate) message: Arc<str>,
    pub(crate) source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl DialFailure {
    pub(crate) fn new(kind: Kind, message: impl Into<Arc<str>>) -> DialFailure {
        DialFailure {
            kind,
            message: message.into(),
            source: None,
        }
    }

    pub(crate) fn with_source(mut self, source: impl StdError + Send + Sync + 'static) -> DialFailure {
        self.source = Some(Arc::new(source));
        self
    }

    /// `what` took longer than `after`, which the key `bound` sets.
    pub(crate) fn timed_out(phase: Phase, whom: &str, after: Duration, bound: &str) -> DialFailure {
        let message = format!("{phase} ({whom}) timed out after {} ({bound})", Human(after));
        DialFailure::new(Kind::Timeout { phase, after }, message)
    }
}
