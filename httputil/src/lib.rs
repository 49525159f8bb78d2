//! Shared HTTP connection pools for annotated services.

mod client;
mod config;
mod connect;
mod error;
mod pool;
mod registry;
pub mod service;
pub mod settings;
mod wire;

pub use client::{Client, RequestBuilder, Shutdown};
pub use config::{Config, ConfigBuilder, ExplainedKey, Explanation, Place};
pub use error::{Error, Kind, Origin, Phase, Problem};
pub use httputil_macros::PooledClient;
pub use pool::PoolStats;
pub use registry::{Registry, RegistryBuilder, Stats, default_client};
pub use service::PooledClient;
pub use settings::{ClientConfig, Environment};
pub use wire::CloseReason;

/// What the derive's code calls; no part of the promise.
#[doc(hidden)]
pub mod __private {
    pub use crate::service::generated::*;
}
