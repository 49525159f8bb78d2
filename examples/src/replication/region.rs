//! Where objects go.

use serde::Deserialize;

use crate::s3::Location;

/// One region, an entry of `[replication.settings] regions`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Region {
    /// What it is called in statistics and logs.
    pub name: String,
    /// Its bucket.
    pub at: Location,
    /// The storage class that objects get there; the bucket's own unless set.
    pub storage_class: Option<String>,
    /// How many objects are on their way to it at once, at most; 8 unless set.
    #[serde(default = "eight")]
    pub at_once: usize,
}

fn eight() -> usize {
    8
}
