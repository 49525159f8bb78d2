//! What the derive writes against: the trait of a service, and what the generated code calls.
//!
//! ```text
//! #[derive(PooledClient)] ─► from_registry ─► Parts ─► clients (registry) and settings (config), or all problems
//!                         └► Drop ─► release
//! ```
//!
//! A service goes in as its profile, its settings' keys and the caller's arguments; what comes out is the struct, or
//! one error with everything that is wrong. The rule: generated code calls one function here per field and holds no
//! logic of its own.

mod farewell;
mod is_client;
mod nearness;
mod parts;
mod pooled_client;
mod readable;
mod release;
mod setting;

pub use pooled_client::PooledClient;

/// What only generated code calls.
pub(crate) mod generated {
    pub use super::is_client::IsClient;
    pub use super::parts::{Complete, Part, Parts};
    pub use super::release::release;
    pub use serde::de::DeserializeOwned;
}
