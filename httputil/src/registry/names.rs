//! The registry itself.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::RegistryBuilder;
use super::services::Services;
use crate::client::{Breaker, Client, Policies};
use crate::config::Config;
use crate::connect::{Connector, Identities, Identity, Proxies, Resolver};
use crate::error::Error;
use crate::pool::{Budget, Pool, PoolStats};
use crate::settings::Profile;

/// Shared connection pools by name, and the configuration that they follow. Cheap to clone; clones are one registry.
///
/// ```no_run
/// # fn main() -> Result<(), httputil::Error> {
/// let registry = httputil::Registry::global()?;
/// let client = registry.client("telemetry")?;
/// println!("{} connections open", registry.stats().open());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Registry {
    inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) config: Config,
    pub(super) resolver: Resolver,
    pub(super) identities: Identities,
    /// Those of https proxies: a session with a proxy is never one with a server behind it.
    pub(super) proxy_identities: Identities,
    pub(super) pools: Mutex<BTreeMap<String, Pool>>,
    /// By profile: its clients share the budget and the breaker of each host.
    pub(super) policies: Mutex<BTreeMap<String, Arc<Policies>>>,
    pub(super) services: Services,
    /// Whether connections keep what their TLS handshakes agreed on.
    pub(super) tls_info: bool,
    /// `registry.max_connections`
    pub(super) budget: Arc<Budget>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        f.debug_struct("Registry")
            .field("pools", &pools.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// The statistics of all pools of a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// One for each pool that has been used, sorted by name.
    pub pools: Vec<PoolStats>,
}

impl Stats {
    /// One pool's statistics.
    pub fn pool(&self, name: &str) -> Option<&PoolStats> {
        self.pools.iter().find(|pool| pool.name == name)
    }

    /// Connections that exist, over all pools.
    pub fn open(&self) -> u64 {
        self.pools.iter().map(|pool| pool.open).sum()
    }

    /// Idle connections, over all pools.
    pub fn idle(&self) -> u64 {
        self.pools.iter().map(|pool| pool.idle).sum()
    }
}

impl Registry {
    pub(super) fn new(inner: Inner) -> Registry {
        Registry { inner: Arc::new(inner) }
    }

    /// Begins a registry of one's own: for tests, or for two tenants in one process.
    pub fn builder() -> RegistryBuilder {
        RegistryBuilder::default()
    }

    /// A new lease on the pool of a profile.
    ///
    /// # Errors
    ///
    /// [`Kind::Config`](crate::Kind::Config) if there is no such profile (the nearest name is suggested), a file of
    /// its `tls.*` cannot be used, or a proxy variable that it heeds is no URL of a proxy.
    pub fn client(&self, profile: &str) -> Result<Client, Error> {
        let profile = self.inner.config.profile(profile)?;
        let (pool, policies) = (self.pool(&profile)?, self.policies(&profile)?);
        Client::on(pool, profile, policies)
    }

    /// A new lease on a pool of the profile's settings that only services of this type draw from. Its name is the
    /// profile's with the type's own name; `type_name` keeps types of one name in different modules apart.
    pub(crate) fn isolated_client(&self, profile: &str, type_name: &str, own_name: &str) -> Result<Client, Error> {
        let mut profile = self.inner.config.profile(profile)?;
        profile.pool = format!("{}/{own_name}", profile.name);
        let pool = self.pool_at(&format!("{}/{type_name}", profile.name), &profile)?;
        let policies = self.policies(&profile)?;
        Client::on(pool, profile, policies)
    }

    fn policies(&self, profile: &Profile) -> Result<Arc<Policies>, Error> {
        let mut all = self.inner.policies.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(policies) = all.get(&profile.name) {
            return Ok(Arc::clone(policies));
        }
        let policies = Policies::of(profile)?;
        all.insert(profile.name.clone(), Arc::clone(&policies));
        Ok(policies)
    }

    /// The breaker of a host, which the clients of a profile share: an origin, such as `https://host:8443` or
    /// `unix:/run/app.sock`; without a scheme it is of `https`.
    ///
    /// # Errors
    ///
    /// [`Kind::Config`](crate::Kind::Config) if there is no such profile (the nearest name is suggested);
    /// [`Kind::Request`](crate::Kind::Request) if its `breaker.enabled` is false, or this is no host.
    pub fn breaker(&self, profile: &str, host: &str) -> Result<Breaker, Error> {
        let profile = self.inner.config.profile(profile)?;
        Breaker::of(&self.policies(&profile)?, &profile.name, host)
    }

    pub(super) fn services_inner(&self) -> &Services {
        &self.inner.services
    }

    fn pool(&self, profile: &Profile) -> Result<Pool, Error> {
        self.pool_at(&profile.pool, profile)
    }

    /// The pool that is kept under a key, which is its name but for the isolated ones.
    fn pool_at(&self, key: &str, profile: &Profile) -> Result<Pool, Error> {
        let mut pools = self.inner.pools.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pool) = pools.get(key) {
            return Ok(pool.clone());
        }
        let tls = &profile.transport.tls;
        let identity = self
            .inner
            .identities
            .intern(tls)
            .map_err(|problem| Error::config(vec![problem]))?;
        let proxies = self.proxies(profile)?;
        let mut transport = profile.transport.clone();
        transport.tls_info |= self.inner.tls_info;
        let connector = Connector::new(transport, identity, &self.inner.resolver, proxies);
        let pool = Pool::new(profile.pool.as_str(), connector, Arc::clone(&self.inner.budget));
        pools.insert(key.to_owned(), pool.clone());
        Ok(pool)
    }

    fn proxies(&self, profile: &Profile) -> Result<Proxies, Error> {
        let proxies = Proxies::of(profile, self.inner.config.environment()).map_err(Error::config)?;
        if !proxies.need_tls() {
            return Ok(proxies);
        }
        let identities = &self.inner.proxy_identities;
        let identity = identities.intern(&Identity::settings_for_proxies(&profile.transport.tls));
        Ok(proxies.with_identity(identity.map_err(|problem| Error::config(vec![problem]))?))
    }

    /// The configuration in force.
    pub fn config(&self) -> Config {
        self.inner.config.clone()
    }

    /// What all pools count, at this moment. Takes no pool's lock.
    pub fn stats(&self) -> Stats {
        let pools = self.inner.pools.lock().unwrap_or_else(PoisonError::into_inner);
        Stats {
            pools: pools.values().map(Pool::stats).collect(),
        }
    }

    /// Closes the idle connections of every pool now. Those in use close when their requests have ended.
    pub fn close_idle_connections(&self) {
        let pools: Vec<Pool> = self
            .inner
            .pools
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .cloned()
            .collect();
        for pool in pools {
            pool.close_idle();
        }
    }
}
