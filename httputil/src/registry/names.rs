//! The registry itself.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::RegistryBuilder;
use super::holding::{Held, Holding, Recipe};
use super::reload::Reloads;
use super::services::Services;
use super::watch::Watchers;
use crate::client::{Breaker, Client};
use crate::config::Config;
use crate::connect::{Connector, Identities, Identity, Proxies, Resolver};
use crate::error::Error;
use crate::pool::{Budget, Pool, PoolStats};
use crate::settings::{Environment, Profile};

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
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) resolver: Resolver,
    pub(super) identities: Identities,
    /// Those of https proxies: a session with a proxy is never one with a server behind it.
    pub(super) proxy_identities: Identities,
    pub(super) services: Services,
    /// Whether connections keep what their TLS handshakes agreed on.
    pub(super) tls_info: bool,
    /// `registry.max_connections`
    pub(super) budget: Arc<Budget>,
    pub(super) holding: Mutex<Holding>,
    /// One reload at a time.
    pub(super) reloading: Mutex<()>,
    pub(super) reloads: Reloads,
    pub(super) watchers: Watchers,
}

impl Inner {
    pub(super) fn holding(&self) -> MutexGuard<'_, Holding> {
        self.holding.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What connections of a pool with this profile's settings are made by; files are read now.
    ///
    /// # Errors
    ///
    /// That a file or a variable that counts cannot be used.
    pub(super) fn recipe(&self, profile: &Profile, environment: &Environment) -> Result<Recipe, Error> {
        let told = |problem| Error::config(vec![problem]);
        let tls = &profile.transport.tls;
        let identity = self.identities.intern(tls).map_err(told)?;
        let mut proxies = Proxies::of(profile, environment).map_err(Error::config)?;
        if proxies.need_tls() {
            let tls = Identity::settings_for_proxies(tls);
            proxies = proxies.with_identity(self.proxy_identities.intern(&tls).map_err(told)?);
        }
        let mut transport = profile.transport.clone();
        transport.tls_info |= self.tls_info;
        Ok(Recipe {
            transport,
            identity,
            proxies,
        })
    }

    pub(super) fn connector(&self, recipe: &Recipe) -> Connector {
        let Recipe {
            transport,
            identity,
            proxies,
        } = recipe;
        Connector::new(transport.clone(), Arc::clone(identity), &self.resolver, proxies.clone())
    }

    /// A pool that is not there yet.
    pub(super) fn make(&self, profile: &Profile, recipe: Recipe, is_isolated: bool) -> Held {
        let connector = self.connector(&recipe);
        Held {
            pool: Pool::new(profile.pool.as_str(), connector, Arc::clone(&self.budget)),
            recipe,
            only_for: is_isolated.then(|| profile.name.clone()),
        }
    }

    /// The pool that is kept under a key.
    fn pool_at(&self, holding: &mut Holding, key: &str, profile: &Profile, is_isolated: bool) -> Result<Pool, Error> {
        if let Some(held) = holding.pools.get(key) {
            return Ok(held.pool.clone());
        }
        let recipe = self.recipe(profile, holding.config.environment());
        let recipe = recipe.map_err(|error| holding.config.placed(&profile.name, error))?;
        let held = self.make(profile, recipe, is_isolated);
        let pool = held.pool.clone();
        holding.pools.insert(key.to_owned(), held);
        Ok(pool)
    }

    fn pools(&self) -> Vec<Pool> {
        self.holding().pools.values().map(|held| held.pool.clone()).collect()
    }
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry")
            .field("pools", &self.holding().pools.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// The statistics of all pools of a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// One for each pool that has been used, sorted by name.
    pub pools: Vec<PoolStats>,
    /// Configurations put in force by [`Registry::reload`], those that changed nothing included.
    pub reloads: u64,
    /// Reloads that changed nothing since the configuration, or a file that it names, could not be used.
    pub reloads_refused: u64,
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
        let holding = &mut *self.inner.holding();
        let profile = holding.config.profile(profile)?;
        let key = profile.pool.clone();
        let pool = self.inner.pool_at(holding, &key, &profile, false)?;
        let client = holding.client_on(pool, &profile)?;
        holding.add_follower(&client, None);
        Ok(client)
    }

    /// A new lease on a pool of the profile's settings that only services of this type draw from. Its name is the
    /// profile's with the type's own name, and as much of its modules as keeps it apart from those that are there.
    pub(crate) fn isolated_client(&self, profile: &str, type_name: &str) -> Result<Client, Error> {
        let holding = &mut *self.inner.holding();
        let mut profile = holding.config.profile(profile)?;
        let isolated = holding.isolated(&profile.name, type_name);
        profile.pool.clone_from(&isolated.name);
        let pool = self.inner.pool_at(holding, &isolated.key, &profile, true)?;
        let client = holding.client_on(pool, &profile)?;
        holding.add_follower(&client, Some(isolated));
        Ok(client)
    }

    /// The breaker of a host, which the clients of a profile share: an origin, such as `https://host:8443` or
    /// `unix:/run/app.sock`; without a scheme it is that of `base_url` with this host and port, else of `https`.
    ///
    /// # Errors
    ///
    /// [`Kind::Config`](crate::Kind::Config) if there is no such profile (the nearest name is suggested);
    /// [`Kind::Request`](crate::Kind::Request) if its `breaker.enabled` is false, or this is no host.
    pub fn breaker(&self, profile: &str, host: &str) -> Result<Breaker, Error> {
        let holding = &mut *self.inner.holding();
        let profile = holding.config.profile(profile)?;
        Breaker::of(&holding.policies(&profile)?, &profile.name, host)
    }

    pub(super) fn services_inner(&self) -> &Services {
        &self.inner.services
    }

    /// The configuration in force.
    pub fn config(&self) -> Config {
        self.inner.holding().config.clone()
    }

    /// What all pools count, at this moment. Takes no pool's lock.
    pub fn stats(&self) -> Stats {
        let (reloads, reloads_refused) = self.inner.reloads.read();
        Stats {
            pools: self.inner.pools().iter().map(Pool::stats).collect(),
            reloads,
            reloads_refused,
        }
    }

    /// Closes the idle connections of every pool now. Those in use close when their requests have ended.
    pub fn close_idle_connections(&self) {
        for pool in self.inner.pools() {
            pool.close_idle();
        }
    }
}
