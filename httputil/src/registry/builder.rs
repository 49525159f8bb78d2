//! Building a registry of one's own.

use std::sync::{Arc, Mutex};

use reqwest::dns::Resolve;

use super::Registry;
use super::holding::Holding;
use super::names::Inner;
use super::reload::Reloads;
use super::services::Services;
use super::watch::Watchers;
use crate::config::Config;
use crate::connect::{Identities, Resolver};
use crate::error::Error;
use crate::pool::Budget;

/// Says what a registry is made of. Without [`config`](RegistryBuilder::config), [`Config::load`] is used.
#[derive(Default)]
#[must_use]
pub struct RegistryBuilder {
    config: Option<Config>,
    resolver: Option<Arc<dyn Resolve>>,
    tls_info: bool,
}

impl RegistryBuilder {
    /// The configuration to follow.
    pub fn config(mut self, config: Config) -> RegistryBuilder {
        self.config = Some(config);
        self
    }

    /// Resolves names by `resolver`, whatever `dns.resolver` says. Ports in its answers are ignored: the URL's counts.
    ///
    /// It is asked for one name once at a time, in a task of the runtime whose request asks first; its answers are kept and
    /// stood in for as `dns.ttl` and `dns.stale_for` say. When nobody waits for a look-up any more, its future is dropped.
    /// One that panics or hangs harms its name only.
    pub fn resolver(mut self, resolver: Arc<dyn Resolve>) -> RegistryBuilder {
        self.resolver = Some(resolver);
        self
    }

    /// Keeps what each TLS handshake agreed on, and the server's certificates, a few kilobytes a connection, for
    /// [`Timings::tls_info`](crate::Timings::tls_info). Off by default.
    pub fn tls_info(mut self, keep: bool) -> RegistryBuilder {
        self.tls_info = keep;
        self
    }

    /// Builds the registry. It opens no connection and needs no runtime. Where `registry.watch` is on, or a profile names
    /// certificates, keys or revocation lists, a thread looks after the files from now on, until the registry is gone: see
    /// [`Registry::reload`].
    ///
    /// # Errors
    ///
    /// Whatever [`Config::load`] says, if no configuration was given; that the system gives no thread.
    pub fn build(self) -> Result<Registry, Error> {
        let config = match self.config {
            Some(config) => config,
            None => Config::load()?,
        };
        let registry = Registry::new(Inner {
            resolver: self.resolver.map_or_else(Resolver::system, Resolver::custom),
            identities: Identities::default(),
            proxy_identities: Identities::default(),
            services: Services::default(),
            tls_info: self.tls_info,
            budget: Budget::of(config.registry().max_connections),
            holding: Mutex::new(Holding::of(config.clone())),
            reloading: Mutex::default(),
            reloads: Reloads::default(),
            watchers: Watchers::default(),
        });
        registry.watch_by_itself(&config)?;
        Ok(registry)
    }
}

impl std::fmt::Debug for RegistryBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RegistryBuilder")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
