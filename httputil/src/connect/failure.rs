//! Why no connection could be made.

use std::error::Error as StdError;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::tcp;
use crate::error::{Human, Kind, Phase};

/// A failed dial. Cheap to clone, since every request that waited for the dial hears of it.
#[derive(Clone, Debug)]
pub(crate) struct DialFailure {
    pub(crate) kind: Kind,
    pub(crate) message: Arc<str>,
    pub(crate) source: Option<Arc<dyn StdError + Send + Sync>>,
    /// The proxy is to blame, whatever host was asked for: its own backoff counts, and the host's does not.
    pub(crate) of_proxy: bool,
    /// Another dial would fare no better before somebody changes something.
    pub(crate) is_lasting: bool,
    /// Before this nobody dials there, and all hear of this failure.
    pub(crate) again_at: Option<Instant>,
    /// Another request that waited for the same dial has heard of it, too.
    pub(crate) is_echo: bool,
    /// The address at which it failed, if the name leads to another one, at which nothing failed of late: whoever waits is
    /// dialled for there.
    pub(crate) passes_over: Option<SocketAddr>,
}

impl DialFailure {
    pub(crate) fn new(kind: Kind, message: impl Into<Arc<str>>) -> DialFailure {
        DialFailure {
            kind,
            message: message.into(),
            source: None,
            of_proxy: false,
            is_lasting: false,
            again_at: None,
            is_echo: false,
            passes_over: None,
        }
    }

    pub(crate) fn with_source(self, source: impl StdError + Send + Sync + 'static) -> DialFailure {
        self.with_shared_source(Arc::new(source))
    }

    pub(crate) fn with_shared_source(mut self, source: Arc<dyn StdError + Send + Sync>) -> DialFailure {
        self.source = Some(source);
        self
    }

    /// `what` took longer than `after`, which the key `bound` sets.
    pub(crate) fn timed_out(phase: Phase, whom: &str, after: Duration, bound: &str) -> DialFailure {
        let message = format!("{phase} ({whom}) timed out after {} ({bound})", Human(after));
        DialFailure::new(Kind::Timeout { phase, after }, message)
    }
}

/// What the system says, without its number: `connection refused`, `network is unreachable`.
pub(crate) fn system_words(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text
        .strip_prefix("failed to lookup address information: ")
        .unwrap_or(&text);
    // One that has a number reads `Connection refused (os error 111)`.
    let text = match error.raw_os_error().zip(text.rsplit_once(" (os error ")) {
        Some((_number, (words, _))) => words,
        None => text,
    };
    let mut letters = text.chars();
    match letters.next() {
        // Not an abbreviation such as `DNS`.
        Some(first) if !letters.as_str().starts_with(char::is_uppercase) => {
            first.to_lowercase().chain(letters).collect()
        }
        _ => text.to_owned(),
    }
}

/// Out of file descriptors (EMFILE, ENFILE) or local ports (EADDRNOTAVAIL): this process's fault, not the host's.
pub(super) fn is_our_own(error: &io::Error) -> bool {
    tcp::is_refused(error)
        || error.kind() == io::ErrorKind::AddrNotAvailable
        || matches!(error.raw_os_error(), Some(23 | 24))
}

/// What the system says, and whose fault it is if it is our own.
pub(super) fn plain(error: &io::Error) -> String {
    let words = system_words(error);
    if is_our_own(error) && !tcp::is_refused(error) {
        format!("{words} (a limit of this process or machine)")
    } else {
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_words_come_without_its_numbers() {
        let refused = io::Error::from_raw_os_error(111);
        assert_eq!(system_words(&refused), "connection refused");
        assert_eq!(
            system_words(&io::Error::other(
                "failed to lookup address information: Name or service not known"
            )),
            "name or service not known"
        );
        assert_eq!(system_words(&io::Error::other("DNS is down")), "DNS is down");
    }
}
