//! The way to a target.

use std::sync::Arc;

use super::ProxyServer;
use crate::connect::DialFailure;

/// How a target is reached; part of what makes two requests able to share a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Route {
    #[default]
    Direct,
    /// The proxy is sent the requests themselves, in absolute-form (RFC 9112 §3.2.2).
    Forward(Arc<ProxyServer>),
    /// The proxy passes bytes on.
    Tunnel(Arc<ProxyServer>),
}

impl Route {
    pub(crate) fn proxy(&self) -> Option<&Arc<ProxyServer>> {
        match self {
            Route::Direct => None,
            Route::Forward(proxy) | Route::Tunnel(proxy) => Some(proxy),
        }
    }

    /// Adds to what went wrong with the target that a proxy lay between.
    pub(in crate::connect) fn mention(&self, mut failure: DialFailure) -> DialFailure {
        if let Some(proxy) = self.proxy() {
            failure.message = format!("{} (through the proxy {proxy})", failure.message).into();
        }
        failure
    }

    /// The proxy that is sent the requests themselves.
    pub(crate) fn forwards(&self) -> Option<&ProxyServer> {
        match self {
            Route::Forward(proxy) => Some(proxy),
            _ => None,
        }
    }
}
