//! Client, RequestBuilder, the request's way through the policies.

use std::time::Duration;

use crate::error::Error;
use crate::settings::ClientConfig;

/// A handle on a shared pool. Clones share one lease.
#[derive(Clone, Debug)]
pub struct Client {}

/// What `shutdown` found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Shutdown {
    /// Requests that were under way and finished within the grace.
    pub finished: usize,
    /// Requests still under way when the grace was over.
    pub left: usize,
}

/// A request under construction.
#[derive(Debug)]
pub struct RequestBuilder {}

impl Client {
    /// A client of its own, without configuration.
    pub fn new(config: ClientConfig) -> Result<Client, Error> {
        let _ = config;
        Ok(Client {})
    }

    /// The profile's name.
    pub fn profile(&self) -> &str {
        "default"
    }

    /// Ends the lease.
    pub fn stop(&self) {}

    /// Whether the lease has ended.
    pub fn is_stopped(&self) -> bool {
        false
    }

    /// Ends the lease and waits.
    pub async fn shutdown(&self, grace: Duration) -> Shutdown {
        let _ = grace;
        Shutdown { finished: 0, left: 0 }
    }

    /// Ends the lease if this is its last clone; what dropping the clone would do, but now.
    #[doc(hidden)]
    pub fn release(&self) {}
}
