//! The process-wide registry.

use std::sync::{Mutex, PoisonError};

use super::Registry;
use crate::client::Client;
use crate::config::{Config, Embedded};
use crate::error::{Error, Problem};

static GLOBAL: Mutex<Global> = Mutex::new(Global {
    embedded: Vec::new(),
    registry: None,
});

struct Global {
    /// Files below those that are found; a later one is stronger.
    embedded: Vec<Embedded>,
    registry: Option<Registry>,
}

impl Embedded {
    /// Makes it the lowest file of the process-wide registry, which must not have been used yet. A later one is stronger
    /// than an earlier one.
    ///
    /// # Errors
    ///
    /// [`Kind::Config`](crate::Kind::Config) if the registry is in use already, for then it would change nothing.
    pub fn install(self) -> Result<(), Error> {
        let mut global = GLOBAL.lock().unwrap_or_else(PoisonError::into_inner);
        if global.registry.is_some() {
            let message = format!(
                "{}: embedded too late, the process-wide registry is in use already; install it first thing in main",
                self.name()
            );
            return Err(Error::config(vec![Problem::new(message)]));
        }
        if !global.embedded.contains(&self) {
            global.embedded.push(self);
        }
        Ok(())
    }
}

impl Registry {
    /// The process-wide registry, loaded on first use by the file rule and from the process's environment,
    /// above what was [installed](Embedded::install).
    ///
    /// # Errors
    ///
    /// Whatever [`Config::load`](crate::Config::load) says. Nothing is kept of a failure, so that a later call can
    /// succeed once the mistake is mended.
    pub fn global() -> Result<Registry, Error> {
        let mut global = GLOBAL.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(registry) = &global.registry {
            return Ok(registry.clone());
        }
        let config = Config::load_above(&global.embedded)?;
        let registry = Registry::builder().config(config).build()?;
        global.registry = Some(registry.clone());
        Ok(registry)
    }
}

/// A new lease on the `default` profile of [`Registry::global`]. Each call gives its own, so that nobody can stop it for
/// others.
pub fn default_client() -> Result<Client, Error> {
    Registry::global()?.client("default")
}
