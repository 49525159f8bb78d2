//! A profile: the unit that people name.

use super::{Policy, Transport};

/// Everything that a name such as `telemetry` stands for.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Profile {
    /// The profile's name, `[a-z][a-z0-9]*(_[a-z0-9]+)*`.
    pub name: String,
    /// `description`: for people.
    pub description: Option<String>,
    /// `pool.name`: the pool that the profile draws from; its own name unless it says otherwise.
    pub pool: String,
    /// What shapes its connections.
    pub transport: Transport,
    /// What happens to its requests.
    pub policy: Policy,
}

impl Profile {
    /// A profile with every default, drawing from a pool of its own name.
    pub fn named(name: impl Into<String>) -> Profile {
        let name = name.into();
        Profile {
            pool: name.clone(),
            name,
            description: None,
            transport: Transport::default(),
            policy: Policy::default(),
        }
    }
}
