//! Where a bucket is, and by whose leave.

use httputil::settings::Secret;
use serde::Deserialize;
use url::Url;

/// A bucket of a store, as a service's settings name it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Location {
    /// The store, such as `https://s3.eu-central-1.amazonaws.com`; buckets and keys stand behind it, path-style.
    pub endpoint: Url,
    /// The region that requests are signed for.
    #[serde(default = "us_east_1")]
    pub region: String,
    /// The bucket.
    pub bucket: String,
    /// Who signs,
    pub access_key: String,
    /// by this key.
    pub secret_key: Secret,
    /// Of credentials that are lent for a time.
    pub session_token: Option<Secret>,
}

fn us_east_1() -> String {
    "us-east-1".to_owned()
}
