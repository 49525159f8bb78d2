//! What the pools of one registry share: the caches, one for each resolver.

use std::sync::{Arc, OnceLock};

use reqwest::dns::Resolve;

use super::cache::Cache;
use super::source::Source;
use crate::settings::DnsResolver;

/// The resolvers that pools may use, each with what it has answered. Cheap to clone; clones share it.
#[derive(Clone)]
pub(crate) struct Resolver(Arc<Caches>);

struct Caches {
    custom: Option<Arc<Cache>>,
    system: OnceLock<Arc<Cache>>,
    #[cfg(feature = "hickory")]
    hickory: OnceLock<Arc<Cache>>,
}

impl Resolver {
    /// As each pool's `dns.resolver` says.
    pub(crate) fn system() -> Resolver {
        Resolver::new(None)
    }

    /// The user's own, for every pool.
    pub(crate) fn custom(resolver: Arc<dyn Resolve>) -> Resolver {
        Resolver::new(Some(Cache::of(Source::Custom(resolver))))
    }

    fn new(custom: Option<Arc<Cache>>) -> Resolver {
        Resolver(Arc::new(Caches {
            custom,
            system: OnceLock::new(),
            #[cfg(feature = "hickory")]
            hickory: OnceLock::new(),
        }))
    }

    pub(super) fn cache(&self, wanted: DnsResolver) -> Arc<Cache> {
        if let Some(custom) = &self.0.custom {
            return Arc::clone(custom);
        }
        let cache = match wanted {
            #[cfg(feature = "hickory")]
            DnsResolver::Hickory => self.0.hickory.get_or_init(|| Cache::of(Source::Hickory)),
            // Without the feature the setting is refused before a pool is made.
            _ => self.0.system.get_or_init(|| Cache::of(Source::System)),
        };
        Arc::clone(cache)
    }
}
