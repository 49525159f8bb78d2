//! A profile written in code, for clients that read no configuration at all.
//!
//! One type, its methods by what they are about: `time`, `pool`, `policy`, `way` (proxies, egress, TLS, names), `request`.

mod config;
mod policy;
mod pool;
mod request;
mod time;
mod way;

#[cfg(test)]
mod tests;

pub use config::ClientConfig;
