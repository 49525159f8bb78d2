//! Names → pools and clients.
//!
//! A [`Registry`] holds one configuration and the pools that its profiles name, each made when its first client is
//! asked for, and knows the annotated services that live on them. Two registries share nothing: no pool, no TLS identity,
//! no session. The rule: a pool stays here when its last lease is back, so that its counters go on, but it keeps no
//! connection then. A reload changes what a pool's connections are made by, and leaves the pool.

mod builder;
mod global;
mod holding;
mod names;
mod reload;
mod report;
mod services;
mod watch;

pub use builder::RegistryBuilder;
pub use global::default_client;
pub use names::{Registry, Stats};
pub use report::{ProfileChange, ReloadReport};
pub use services::ServiceInfo;
#[cfg(feature = "watch")]
pub use watch::{Watch, WatchBuilder};
