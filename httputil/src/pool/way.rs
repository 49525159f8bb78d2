//! The way to a target, and which settings of the pool led there.

use std::ops::Deref;

use crate::connect::Route;

/// A route, as a pool's settings gave it at one time. A checkout finds it anew if the pool has other settings by then.
#[derive(Clone, Debug)]
pub(crate) struct Way {
    route: Route,
    /// The generation of the pool that the settings began.
    generation: u64,
    /// What is to be said there is no request that a proxy could pass on.
    needs_tunnel: bool,
}

impl Way {
    pub(super) fn new(route: Route, generation: u64, needs_tunnel: bool) -> Way {
        Way {
            route,
            generation,
            needs_tunnel,
        }
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    pub(super) fn needs_tunnel(&self) -> bool {
        self.needs_tunnel
    }
}

impl Deref for Way {
    type Target = Route;

    fn deref(&self) -> &Route {
        &self.route
    }
}
