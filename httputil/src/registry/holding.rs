//! What a registry holds: its configuration, the pools and policies that were made by it, and who follows it.
//!
//! The rule: all of it is behind one lock, so that a client is made by one configuration, and a reload finds every client.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::client::{Client, Policies, WeakClient};
use crate::config::Config;
use crate::connect::{Identity, Proxies};
use crate::error::Error;
use crate::pool::Pool;
use crate::settings::{Profile, Roots, Transport};

pub(super) struct Holding {
    pub(super) config: Config,
    /// By key, which is the pool's name but for the isolated ones.
    pub(super) pools: BTreeMap<String, Held>,
    /// By profile: its clients share what is remembered of each host.
    pub(super) policies: BTreeMap<String, Arc<Policies>>,
    followers: Vec<Follower>,
    /// How many followers there were after those that had gone were last forgotten.
    alive: usize,
}

/// A pool, and what it was made by.
pub(super) struct Held {
    pub(super) pool: Pool,
    pub(super) recipe: Recipe,
    /// The one profile whose settings it has, where no other one can name it.
    pub(super) only_for: Option<String>,
}

/// All that a pool's connections are made by.
pub(super) struct Recipe {
    pub(super) transport: Transport,
    pub(super) identity: Arc<Identity>,
    pub(super) proxies: Proxies,
}

/// Whether the platform says who is trusted.
pub(super) fn trusts_platform(transport: &Transport) -> bool {
    transport.tls.roots == Roots::Platform && transport.tls.ca_file.is_none()
}

impl Recipe {
    /// Whether a connection made by one would have been made by the other, too.
    pub(super) fn is(&self, other: &Recipe) -> bool {
        self.transport == other.transport
            && Arc::ptr_eq(&self.identity, &other.identity)
            && self.proxies.are(&other.proxies)
    }
}

/// A client of a profile.
#[derive(Clone)]
pub(super) struct Follower {
    pub(super) client: WeakClient,
    /// Of one with a pool of its type's own.
    pub(super) isolated: Option<Isolated>,
}

/// A client while it is looked at.
pub(super) type Followed = (Client, Option<Isolated>);

/// A pool that only services of one type draw from.
#[derive(Clone)]
pub(super) struct Isolated {
    /// Under which it is kept: two types in different modules may have one name.
    pub(super) key: String,
    /// The pool's.
    pub(super) name: String,
}

impl Holding {
    pub(super) fn of(config: Config) -> Holding {
        Holding {
            config,
            pools: BTreeMap::new(),
            policies: BTreeMap::new(),
            followers: Vec::new(),
            alive: 0,
        }
    }

    /// What the profile's clients share.
    pub(super) fn policies(&mut self, profile: &Profile) -> Result<Arc<Policies>, Error> {
        if let Some(policies) = self.policies.get(&profile.name) {
            return Ok(Arc::clone(policies));
        }
        let policies = Policies::of(profile)?;
        self.policies.insert(profile.name.clone(), Arc::clone(&policies));
        Ok(policies)
    }

    /// The pool of a type with this name, modules and all, on a profile. The shortest name that no other pool has is its own.
    pub(super) fn isolated(&self, profile: &str, type_name: &str) -> Isolated {
        let key = format!("{profile}/{type_name}");
        let mut names = type_name
            .rmatch_indices("::")
            .map(|(at, joint)| &type_name[at + joint.len()..])
            .chain([type_name])
            .map(|name| format!("{profile}/{name}"));
        let is_free = |name: &String| {
            let mut others = self.pools.iter().filter(|(other, _)| **other != key);
            others.all(|(_, held)| held.pool.name() != name)
        };
        let name = match self.pools.get(&key) {
            Some(held) => held.pool.name().to_owned(),
            None => names.find(is_free).unwrap_or_else(|| key.clone()),
        };
        Isolated { key, name }
    }

    /// A client of the profile over this pool.
    ///
    /// # Errors
    ///
    /// That none can be made of its values, at the place of the wrong one.
    pub(super) fn client_on(&mut self, pool: Pool, profile: &Profile) -> Result<Client, Error> {
        let client = self
            .policies(profile)
            .and_then(|policies| Client::on(pool, profile.clone(), policies));
        client.map_err(|error| self.config.placed(&profile.name, error))
    }

    /// The client follows what is reloaded, until it is gone.
    pub(super) fn add_follower(&mut self, client: &Client, isolated: Option<Isolated>) {
        // Now and then, so that it costs a step a client.
        if self.followers.len() >= 16.max(2 * self.alive) {
            self.followers.retain(|follower| follower.client.is_live());
            self.alive = self.followers.len();
        }
        self.followers.push(Follower {
            client: client.downgrade(),
            isolated,
        });
    }

    /// The clients that live. Any of them may be the last one of its service when it is dropped, so that is for after all
    /// locks.
    pub(super) fn followers(&self) -> Vec<Followed> {
        let alive = self.followers.iter().filter(|follower| follower.client.is_live());
        let followed = alive.filter_map(|follower| Some((follower.client.upgrade()?, follower.isolated.clone())));
        followed.collect()
    }
}
