//! What makes two requests able to share a connection.

use std::hash::{Hash, Hasher};

use hashbrown::Equivalent;
use http::HeaderValue;
use http::uri::Authority;
use tokio::runtime::{Handle, Id};

use super::hosts::HostCounters;
use crate::connect::{Route, Scheme, Target};

/// Scheme, host, port, the way there, and the runtime whose reactor drives the connection. All else is fixed per pool.
///
/// A connection to a proxy that is sent whole requests could serve all hosts behind it. It serves one, so that caps,
/// backoff, suspicion and statistics are a host's, proxy or not.
///
/// It carries what every request to the host needs, made once.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) target: Target,
    pub(crate) route: Route,
    runtime: Id,
    pub(super) handle: Handle,
    /// `Host` of HTTP/1.
    pub(crate) host_header: HeaderValue,
    /// `:authority` of HTTP/2.
    pub(crate) authority: Authority,
    pub(super) counters: HostCounters,
}

/// A key to look up by, made without an allocation.
#[derive(Clone, Copy, Debug)]
pub(super) struct KeyRef<'a> {
    pub(super) target: &'a Target,
    pub(super) route: &'a Route,
    pub(super) runtime: Id,
}

impl Key {
    /// `None` if the host cannot stand in a `Host` header.
    pub(super) fn new(target: Target, route: Route, handle: Handle) -> Option<Key> {
        let authority = target.authority();
        Some(Key {
            host_header: HeaderValue::from_str(&authority).ok()?,
            authority: Authority::try_from(authority).ok()?,
            runtime: handle.id(),
            handle,
            target,
            route,
            counters: HostCounters::default(),
        })
    }

    pub(super) fn runtime(&self) -> Id {
        self.runtime
    }

    pub(crate) fn is_tls(&self) -> bool {
        self.target.scheme == Scheme::Https
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Key) -> bool {
        self.runtime == other.runtime && self.target == other.target && self.route == other.route
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        KeyRef {
            target: &self.target,
            route: &self.route,
            runtime: self.runtime,
        }
        .hash(state);
    }
}

impl Hash for KeyRef<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Not the route: hardly ever do two lead to one target.
        self.target.hash(state);
        self.runtime.hash(state);
    }
}

impl Equivalent<std::sync::Arc<Key>> for KeyRef<'_> {
    #[inline]
    fn equivalent(&self, key: &std::sync::Arc<Key>) -> bool {
        self.runtime == key.runtime && *self.target == key.target && *self.route == key.route
    }
}
