//! Where events go.

use std::collections::BTreeMap;

use httputil::settings::Secret;
use serde::Deserialize;
use url::Url;

/// One webhook, an entry of `[events.settings] targets`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// What it is called in statistics and logs.
    pub name: String,
    /// Where it is.
    pub url: Url,
    /// Whom it knows us by: `Authorization: Bearer …`.
    pub token: Option<Secret>,
    /// What its events are signed with.
    pub signing_key: Option<Secret>,
    /// Further headers.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// How many events are on their way to it at once, at most; 4 unless set.
    #[serde(default = "four")]
    pub at_once: usize,
}

impl Target {
    /// A target with nothing but a name and a URL.
    pub fn new(name: impl Into<String>, url: Url) -> Target {
        Target {
            name: name.into(),
            url,
            token: None,
            signing_key: None,
            headers: BTreeMap::new(),
            at_once: four(),
        }
    }
}

fn four() -> usize {
    4
}
