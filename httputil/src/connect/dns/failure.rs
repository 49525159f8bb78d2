//! Why a look-up gave no address.

use std::error::Error as StdError;
use std::io;
use std::sync::Arc;

use socket2::{Domain, Socket, Type};

use crate::connect::DialFailure;
use crate::connect::failure::{is_our_own, plain};
use crate::error::Kind;

/// What a look-up came to, shared by all who waited for it.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    /// Addresses, at least one.
    Found(Arc<[std::net::IpAddr]>),
    Failed(LookUpFailure),
    /// Nobody looks any more: the runtime that did has shut down, or nobody wanted to know. Who still does asks again.
    Lost,
}

/// Why there is no address. Its message follows the name.
#[derive(Clone, Debug)]
pub(super) struct LookUpFailure {
    message: Arc<str>,
    kind: Kind,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl LookUpFailure {
    pub(super) fn new(message: impl Into<Arc<str>>) -> LookUpFailure {
        LookUpFailure {
            message: message.into(),
            kind: Kind::Dns,
            source: None,
        }
    }

    /// An answer without an address.
    pub(super) fn empty() -> LookUpFailure {
        LookUpFailure::new("gave no address")
    }

    /// The system's resolver said no. `getaddrinfo` says of a name that is not to be found what it says when it cannot open
    /// a file or a socket for want of a descriptor. So we look whether one can be had, and blame no name if not.
    pub(super) fn of_system(error: io::Error) -> LookUpFailure {
        let probe = Socket::new(Domain::IPV4, Type::DGRAM, None);
        let (kind, error) = match probe.err().filter(is_our_own) {
            Some(own) => (Kind::LimitExceeded, own),
            None => (Kind::Dns, error),
        };
        let message = format!("failed: {}", plain(&error));
        LookUpFailure {
            kind,
            source: Some(Arc::new(error)),
            ..LookUpFailure::new(message)
        }
    }

    /// A resolver of the user's said no.
    pub(super) fn of_resolver(error: Box<dyn StdError + Send + Sync>) -> LookUpFailure {
        let message = format!("failed: {error}");
        LookUpFailure {
            source: Some(Arc::from(error)),
            ..LookUpFailure::new(message)
        }
    }

    /// No thread could be started to look: a limit of this process, and no fault of the name.
    pub(super) fn no_thread() -> LookUpFailure {
        LookUpFailure {
            kind: Kind::LimitExceeded,
            ..LookUpFailure::new("failed: no thread could be started (a limit of this process or machine)")
        }
    }

    /// The failure of a dial to this name; `beside` says what else was tried.
    pub(super) fn of_dial(&self, name: &str, beside: &str) -> DialFailure {
        let failure = DialFailure::new(self.kind, format!("name look-up of {name} {}{beside}", self.message));
        match &self.source {
            Some(source) => failure.with_shared_source(Arc::clone(source)),
            None => failure,
        }
    }
}
