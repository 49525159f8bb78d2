//! The process-wide registry.

use std::sync::{Mutex, PoisonError};

use super::Registry;
use crate::client::Client;
use crate::error::Error;

static GLOBAL: Mutex<Option<Registry>> = Mutex::new(None);

impl Registry {
    /// The process-wide registry, loaded on first use by the file rule and from the process's environment.
    ///
    /// # Errors
    ///
    /// Whatever [`Config::load`](crate::Config::load) says. Nothing is kept of a failure, so that a later call can
    /// succeed once the mistake is mended.
    pub fn global() -> Result<Registry, Error> {
        let mut global = GLOBAL.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(registry) = &*global {
            return Ok(registry.clone());
        }
        let registry = Registry::builder().build()?;
        *global = Some(registry.clone());
        Ok(registry)
    }
}

/// A new lease on the `default` profile of [`Registry::global`]. Each call gives its own, so that nobody can stop it for
/// others.
pub fn default_client() -> Result<Client, Error> {
    Registry::global()?.client("default")
}
