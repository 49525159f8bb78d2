//! What a store was asked, in order.

use reqwest::Method;
use reqwest::header::HeaderMap;

/// One request that was signed as it must be.
#[derive(Clone, Debug)]
pub struct Asked {
    /// How.
    pub method: Method,
    /// The bucket,
    pub bucket: String,
    /// and the key, as it is; empty for the bucket itself.
    pub key: String,
    /// The query, as it came.
    pub query: String,
    /// What came with it.
    pub headers: HeaderMap,
    /// How it was answered.
    pub answer: u16,
}
