//! Names → pools and clients; leases; the live services; reload.

use crate::client::Client;
use crate::config::Config;
use crate::error::Error;

/// Holds the shared pools, one per profile. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Registry {
    config: Config,
}

/// Builds a registry of one's own.
#[derive(Debug, Default)]
pub struct RegistryBuilder {
    config: Option<Config>,
}

impl Registry {
    /// The process-wide registry, loaded on first use.
    pub fn global() -> Result<Registry, Error> {
        todo!()
    }

    /// A registry of one's own.
    pub fn builder() -> RegistryBuilder {
        RegistryBuilder::default()
    }

    /// A new lease on the pool of `profile`.
    pub fn client(&self, profile: &str) -> Result<Client, Error> {
        self.config.profile(profile)?;
        Client::new(crate::ClientConfig::default())
    }

    /// The configuration in force.
    pub fn config(&self) -> Config {
        self.config.clone()
    }
}

impl RegistryBuilder {
    /// Uses this configuration.
    pub fn config(mut self, config: Config) -> RegistryBuilder {
        self.config = Some(config);
        self
    }

    /// Builds it.
    pub fn build(self) -> Result<Registry, Error> {
        let config = match self.config {
            Some(config) => config,
            None => Config::load()?,
        };
        Ok(Registry { config })
    }
}

/// A lease on the global registry's `default` profile.
pub fn default_client() -> Result<Client, Error> {
    Registry::global()?.client("default")
}
