//! The annotated services that are alive, in the order of their construction.
//!
//! A service lives as long as the lease of its own client, whoever holds it: the struct, a clone of it, a bare client in a
//! task. The registry holds no lease itself, so a service that ends is not told of: it is passed over, and forgotten when
//! others are added.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use super::Registry;
use crate::client::{Client, Shutdown, WeakClient, shutdown_all};

/// One constructed service, as [`Registry::services`] lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServiceInfo {
    /// The type, with its modules: `shop::telemetry::SpanExporter`.
    pub type_name: &'static str,
    /// Its profile.
    pub profile: String,
    /// The pool of its own client.
    pub pool: String,
    /// When it was constructed.
    pub since: SystemTime,
}

impl ServiceInfo {
    /// What there is to say of a service that is constructed now.
    pub(crate) fn of(type_name: &'static str, profile: &str, own: &Client) -> ServiceInfo {
        ServiceInfo {
            type_name,
            profile: profile.to_owned(),
            pool: own.pool(),
            since: SystemTime::now(),
        }
    }
}

/// All services of a registry.
#[derive(Debug, Default)]
pub(super) struct Services(Mutex<List>);

#[derive(Debug, Default)]
struct List {
    /// In the order of construction.
    entries: Vec<Arc<Entry>>,
    /// How many were alive when the list was last cleared of those that are not.
    alive: usize,
    /// The keys of the settings that any service reads, and those in their tables, alive or not, and of which profiles.
    settings: BTreeMap<String, BTreeSet<&'static str>>,
}

#[derive(Debug)]
struct Entry {
    info: ServiceInfo,
    /// The one of its own profile first.
    clients: Vec<WeakClient>,
}

impl Entry {
    fn is_alive(&self) -> bool {
        self.clients.first().is_some_and(WeakClient::is_live)
    }
}

impl Services {
    fn list(&self) -> MutexGuard<'_, List> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a service; the client of its own profile comes first.
    fn add(&self, info: ServiceInfo, clients: Vec<WeakClient>) {
        let mut list = self.list();
        // Now and then, so that it costs a step a service, and services that come and go leave nothing behind.
        if list.entries.len() >= 16.max(2 * list.alive) {
            list.entries.retain(|entry| entry.is_alive());
            list.alive = list.entries.len();
        }
        list.entries.push(Arc::new(Entry { info, clients }));
    }

    /// Those that are alive, in the order of construction.
    fn alive(&self) -> Vec<Arc<Entry>> {
        let list = self.list();
        list.entries.iter().filter(|entry| entry.is_alive()).cloned().collect()
    }
}

impl Registry {
    /// The annotated services that are alive, in the order of their construction: until they are stopped, or the last
    /// clone of their client is dropped. Clones of one service are one.
    ///
    /// ```
    /// use httputil::{Client, Config, PooledClient, Registry};
    ///
    /// #[derive(PooledClient)]
    /// #[pooled_client(profile = "default")]
    /// struct Probe {
    ///     client: Client,
    /// }
    ///
    /// let registry = Registry::builder().config(Config::empty()).build()?;
    /// let probe = Probe::with_registry(&registry)?;
    /// for service in registry.services() {
    ///     println!("{} on the pool {} since {:?}", service.type_name, service.pool, service.since);
    /// }
    /// assert_eq!(registry.services().len(), 1);
    /// probe.stop();
    /// assert!(registry.services().is_empty());
    /// # Ok::<(), httputil::Error>(())
    /// ```
    #[must_use]
    pub fn services(&self) -> Vec<ServiceInfo> {
        self.services_inner()
            .alive()
            .iter()
            .map(|entry| {
                let client = entry.clients.first().and_then(WeakClient::upgrade);
                ServiceInfo {
                    // A reload may have led it to another one.
                    pool: client.map_or_else(|| entry.info.pool.clone(), |client| client.pool()),
                    ..entry.info.clone()
                }
            })
            .collect()
    }

    /// Stops all annotated services, the last one constructed first, and waits for each one's requests, bodies included,
    /// before it stops the next: a service may need one that was there before it. All of them share `grace`; when it is
    /// over, the rest is stopped without waiting. Reports the sum.
    ///
    /// Clients that no service was made of go on, and so do services that are constructed meanwhile; the registry can be
    /// used on. Dropping the future leaves those alone whose turn had not come.
    pub async fn shutdown(&self, grace: Duration) -> Shutdown {
        let began = Instant::now();
        let mut sum = Shutdown { finished: 0, left: 0 };
        for entry in self.services_inner().alive().iter().rev() {
            let clients: Vec<Client> = entry.clients.iter().filter_map(WeakClient::upgrade).collect();
            sum = sum.and(shutdown_all(&clients, grace.saturating_sub(began.elapsed())).await);
        }
        sum
    }

    /// Remembers what a service of this profile reads from its settings: no other one may call it misspelt.
    pub(crate) fn remember_settings(&self, profile: &'static str, keys: impl IntoIterator<Item = impl AsRef<str>>) {
        let mut list = self.services_inner().list();
        for key in keys {
            let key = key.as_ref();
            match list.settings.get_mut(key) {
                Some(profiles) => {
                    profiles.insert(profile);
                }
                None => {
                    list.settings.insert(key.to_owned(), BTreeSet::from([profile]));
                }
            }
        }
    }

    /// The profiles whose services read this key.
    pub(crate) fn readers_of_setting(&self, key: &str) -> Vec<&'static str> {
        let list = self.services_inner().list();
        list.settings.get(key).into_iter().flatten().copied().collect()
    }

    /// Adds a service that has just been constructed, the client of its own profile first. From here on others may stop it.
    pub(crate) fn add_service(&self, info: ServiceInfo, clients: &[Client]) {
        let clients = clients.iter().map(Client::downgrade).collect();
        self.services_inner().add(info, clients);
    }
}
