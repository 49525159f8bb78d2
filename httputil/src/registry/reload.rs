//! Another configuration for a registry in use.
//!
//! The rule: everything that can fail is done first, without a change to anything; what is left then cannot fail. So a
//! reload changes all that it says, or nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Registry;
use super::holding::{Followed, Held, Holding, Recipe, trusts_platform};
use super::names::Inner;
use super::report::{ProfileChange, ReloadReport};
use crate::client::{Policies, Successor};
use crate::config::Config;
use crate::connect::{Connector, read_platform_again};
use crate::error::{Error, Problem};
use crate::pool::Pool;
use crate::settings::{MaxConnections, Profile};

/// How reloads ended.
#[derive(Debug, Default)]
pub(super) struct Reloads {
    done: AtomicU64,
    refused: AtomicU64,
}

impl Reloads {
    pub(super) fn read(&self) -> (u64, u64) {
        (self.done.load(Ordering::Relaxed), self.refused.load(Ordering::Relaxed))
    }

    pub(super) fn refuse(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }
}

impl Registry {
    /// Puts another configuration in force, under the clients that are held, and says what has changed.
    ///
    /// *Policy* counts from the next request on, and connections stay; budgets of retries, breakers and limits keep their
    /// state where their rules are the same. Where *transport* has changed, or what a file holds that it names (a
    /// certificate, a CRL), no request that begins after this call uses a connection or TLS session from before, nor does
    /// one that waits for a connection: idle connections are closed at once
    /// ([`CloseReason::Reloaded`](crate::CloseReason::Reloaded)), dials under way are stopped and begun anew, and those in
    /// use close when their requests have ended, whom nothing disturbs. A request keeps the policy that it began with.
    ///
    /// Clients of a profile that is gone go on with the settings that they had, and follow it again when it comes back.
    /// Clients made in code, with [`Client::new`](crate::Client::new), follow no configuration; neither do the values that
    /// a service read from `[profile.settings]` when it was constructed. The platform's trusted roots are read again, if
    /// they have been needed: where they are others than before, that is a change of transport.
    ///
    /// What a profile's certificates, keys and revocation lists hold is reloaded by itself when it changes, within seconds
    /// (at once with the feature `watch`); and so is everything else, with `registry.watch = true`. What cannot be used
    /// changes nothing: a warning and [`Stats::reloads_refused`](crate::Stats::reloads_refused) tell of it.
    ///
    /// Blocks while files of certificates are read. Other calls of `reload` wait for this one.
    ///
    /// ```
    /// use httputil::{Config, ProfileChange, Registry};
    ///
    /// let load = |text: &str| Config::builder().embedded("built in", text).load();
    /// let registry = Registry::builder().config(load("[telemetry]\ntimeout = '5s'")?).build()?;
    /// let client = registry.client("telemetry")?;
    /// let report = registry.reload(load("[telemetry]\ntimeout = '10s'")?)?;
    /// assert_eq!(report.profile("telemetry"), Some(ProfileChange::Policy));
    /// # Ok::<(), httputil::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Kind::Config`](crate::Kind::Config) if a client that is held could not follow it: a file of its `tls.*` or a proxy
    /// variable cannot be used. Then nothing at all has changed.
    pub fn reload(&self, config: Config) -> Result<ReloadReport, Error> {
        let mut followers = Vec::new();
        let _one_at_a_time = lock(&self.inner.reloading);
        self.put_in_force(config, true, &mut followers)
    }

    /// The same in place of this one; `None` if another one is in force meanwhile. What changes nothing is mentioned only if
    /// it `is_news`.
    pub(super) fn reload_instead(
        &self,
        of: &Config,
        config: Config,
        is_news: bool,
    ) -> Option<Result<ReloadReport, Error>> {
        let mut followers = Vec::new();
        let _one_at_a_time = lock(&self.inner.reloading);
        let is_in_force = self.inner.holding().config.is(of);
        is_in_force.then(|| self.put_in_force(config, is_news, &mut followers))
    }

    /// One at a time. Leaves the clients that it has looked at, for after that lock: a service that ends meanwhile is not to
    /// say its farewell, which may ask for anything, under one.
    fn put_in_force(
        &self,
        config: Config,
        is_news: bool,
        followers: &mut Vec<Followed>,
    ) -> Result<ReloadReport, Error> {
        let inner = &*self.inner;
        if trusts_or_trusted_platform(&inner.holding(), &config) {
            read_platform_again();
        }
        let reloaded = {
            let holding = &mut *inner.holding();
            *followers = holding.followers();
            Plan::make(inner, holding, &config, followers).and_then(|plan| {
                self.watch_by_itself(&config)?;
                Ok(plan.note(inner, holding, config))
            })
        };
        let result = reloaded.map(|(report, change)| {
            change.put_in_force(inner);
            inner.watchers.wake();
            report
        });
        inner.identities.forget_unused();
        inner.proxy_identities.forget_unused();
        match &result {
            Ok(report) if report.is_nothing() && !is_news => {}
            Ok(report) => {
                inner.reloads.done.fetch_add(1, Ordering::Relaxed);
                tracing::info!("configuration reloaded: {report}");
            }
            Err(error) => {
                inner.reloads.refuse();
                tracing::warn!("configuration not reloaded, the earlier one stays in force: {error}");
            }
        }
        result
    }
}

/// Whether a pool was made by what the platform said, or one may be made by what it says now.
fn trusts_or_trusted_platform(holding: &Holding, config: &Config) -> bool {
    let profile = |name: String| config.profile(&name).ok();
    let mut was = holding.pools.values().map(|held| &held.recipe.transport);
    let mut is = config.profiles().into_iter().filter_map(profile);
    was.any(trusts_platform) || is.any(|profile| trusts_platform(&profile.transport))
}

fn lock(mutex: &Mutex<()>) -> MutexGuard<'_, ()> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a reload comes to, made without a change to anything.
struct Plan {
    /// Pools that are made by other settings from now on, by key.
    renewed: BTreeMap<String, Recipe>,
    /// Pools that nobody had asked for yet, by key.
    new: BTreeMap<String, Held>,
    policies: BTreeMap<String, Arc<Policies>>,
    successors: Vec<Successor>,
    /// Clients that live of profiles that are gone.
    left_behind: BTreeMap<String, usize>,
}

/// What is left to do when it is known what there is to do.
struct Change {
    connectors: Vec<(Pool, Connector)>,
    successors: Vec<Successor>,
    policies: Vec<Arc<Policies>>,
    max_connections: Option<MaxConnections>,
}

impl Plan {
    fn make(inner: &Inner, holding: &Holding, config: &Config, followers: &[Followed]) -> Result<Plan, Error> {
        let mut problems: Vec<Problem> = Vec::new();
        let mut plan = Plan {
            renewed: BTreeMap::new(),
            new: BTreeMap::new(),
            policies: BTreeMap::new(),
            successors: Vec::new(),
            left_behind: BTreeMap::new(),
        };
        for (key, held) in &holding.pools {
            let Some(profile) = leader(holding, config, key, held) else {
                continue;
            };
            match inner.recipe(&profile, config.environment()) {
                Ok(recipe) if recipe.is(&held.recipe) => {}
                Ok(recipe) => drop(plan.renewed.insert(key.clone(), recipe)),
                Err(error) => add(&mut problems, config.placed_of_many(&profile.name, error)),
            }
        }
        for (name, earlier) in &holding.policies {
            let Ok(profile) = config.profile(name) else {
                // Of one that is gone: its clients go on, and so does what they share.
                plan.policies.insert(name.clone(), Arc::clone(earlier));
                continue;
            };
            match Policies::succeeding(earlier, &profile) {
                Ok(policies) => drop(plan.policies.insert(name.clone(), policies)),
                Err(error) => add(&mut problems, config.placed_of_many(name, error)),
            }
        }
        for (client, isolated) in followers {
            let isolated = isolated.as_ref();
            let name = client.profile().to_owned();
            let Ok(mut profile) = config.profile(&name) else {
                *plan.left_behind.entry(name).or_default() += 1;
                continue;
            };
            if let Some(isolated) = isolated {
                profile.pool.clone_from(&isolated.name);
            }
            let key = isolated.map_or_else(|| profile.pool.clone(), |isolated| isolated.key.clone());
            let Some(policies) = plan.policies.get(&name).cloned() else {
                continue;
            };
            let pool = plan.pool(inner, holding, config, &key, &profile, isolated.is_some());
            match pool.and_then(|pool| client.clone().succeed(pool, profile, policies)) {
                Ok(successor) => plan.successors.extend(successor),
                Err(error) => add(&mut problems, config.placed_of_many(&name, error)),
            }
        }
        if problems.is_empty() {
            Ok(plan)
        } else {
            Err(Error::config(config.underlined(problems)))
        }
    }

    fn pool(
        &mut self,
        inner: &Inner,
        holding: &Holding,
        config: &Config,
        key: &str,
        profile: &Profile,
        is_isolated: bool,
    ) -> Result<Pool, Error> {
        if let Some(held) = holding.pools.get(key).or_else(|| self.new.get(key)) {
            return Ok(held.pool.clone());
        }
        let held = inner.make(profile, inner.recipe(profile, config.environment())?, is_isolated);
        let pool = held.pool.clone();
        self.new.insert(key.to_owned(), held);
        Ok(pool)
    }

    /// Writes down what is the case from now on; nothing of it is felt before the change that is left.
    fn note(self, inner: &Inner, holding: &mut Holding, config: Config) -> (ReloadReport, Change) {
        let profiles = self.profiles(holding, &config);
        let registry = holding.config.registry() != config.registry();
        let (mut connectors, mut renewed_pools) = (Vec::new(), Vec::new());
        for (key, recipe) in self.renewed {
            if let Some(held) = holding.pools.get_mut(&key) {
                connectors.push((held.pool.clone(), inner.connector(&recipe)));
                renewed_pools.push(held.pool.name().to_owned());
                held.recipe = recipe;
            }
        }
        renewed_pools.sort_unstable();
        holding.pools.extend(self.new);
        holding.policies = self.policies;
        let change = Change {
            connectors,
            successors: self.successors,
            policies: holding.policies.values().cloned().collect(),
            max_connections: registry.then(|| config.registry().max_connections),
        };
        holding.config = config;
        let report = ReloadReport {
            profiles,
            renewed_pools,
            registry,
        };
        (report, change)
    }

    fn profiles(&self, holding: &Holding, config: &Config) -> BTreeMap<String, ProfileChange> {
        let names: BTreeSet<String> = holding.config.profiles().into_iter().chain(config.profiles()).collect();
        let change = |name: &str| match (holding.config.profile(name), config.profile(name)) {
            (Ok(was), Ok(is)) => {
                let draws_from_renewed = self.renewed.keys().any(|key| {
                    let only_for = holding.pools.get(key).and_then(|held| held.only_for.as_deref());
                    only_for.map_or(*key == is.pool, |only| only == name)
                });
                if was.transport != is.transport || was.pool != is.pool || draws_from_renewed {
                    ProfileChange::Transport
                } else if was.policy == is.policy {
                    ProfileChange::Unchanged
                } else {
                    ProfileChange::Policy
                }
            }
            (Err(_), _) => ProfileChange::Added,
            (Ok(_), Err(_)) => ProfileChange::Removed {
                clients: self.left_behind.get(name).copied().unwrap_or_default(),
            },
        };
        let told = names.into_iter().map(|name| {
            let change = change(&name);
            (name, change)
        });
        told.collect()
    }
}

impl Change {
    fn put_in_force(self, inner: &Inner) {
        if let Some(max) = self.max_connections {
            inner.budget.change(max);
        }
        for (pool, connector) in self.connectors {
            pool.renew(connector);
        }
        for successor in self.successors {
            successor.put_in_force();
        }
        for policies in self.policies {
            policies.come_into_force();
        }
    }
}

/// The profile whose settings a pool follows; none if the new configuration has nothing to say of it.
fn leader(holding: &Holding, config: &Config, key: &str, held: &Held) -> Option<Profile> {
    if let Some(only) = &held.only_for {
        return config.profile(only).ok();
    }
    let named = |config: &Config| -> Vec<Profile> {
        let all = config
            .profiles()
            .into_iter()
            .filter_map(|name| config.profile(&name).ok());
        all.filter(|profile| profile.pool == key).collect()
    };
    // Those that name one pool agree on its settings.
    if let Some(profile) = named(config).into_iter().next() {
        return Some(profile);
    }
    // All have left it for other pools: requests that still wait here are to be served by their new settings, too.
    let mut left = named(&holding.config).into_iter();
    left.find_map(|profile| config.profile(&profile.name).ok())
}

fn add(problems: &mut Vec<Problem>, error: Error) {
    for problem in error.into_problems() {
        if !problems.contains(&problem) {
            problems.push(problem);
        }
    }
}
