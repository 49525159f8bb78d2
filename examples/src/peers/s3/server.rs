//! The server: where it is, what it has, and how it shall fail.

use std::sync::Arc;

use httputil::settings::Secret;
use httputil_tests::gate::Gate;
use httputil_tests::server::Server;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::account::Asked;
use super::answer::{State, answer};
use super::content::Content;
use super::objects::Stored;
use crate::peers::answers::lock;
use crate::s3::Location;

/// Who may ask,
pub const ACCESS_KEY: &str = "AKIDPEER";
/// by this key,
pub const SECRET_KEY: &str = "a+secret/key";
/// where nothing else is said.
pub const REGION: &str = "eu-central-1";

/// The server; dropped, it is gone with its connections.
pub struct S3Peer {
    /// Its account of connections and requests.
    pub server: Server,
    region: String,
    state: Arc<State>,
}

impl S3Peer {
    /// Starts one in [`REGION`].
    pub async fn start() -> S3Peer {
        S3Peer::start_in(REGION).await
    }

    /// Starts one in this region: what is signed for another one is refused.
    pub async fn start_in(region: &str) -> S3Peer {
        let state = Arc::new(State::new(ACCESS_KEY, SECRET_KEY, region));
        let answering = Arc::clone(&state);
        let handler = move |request| answer(Arc::clone(&answering), request);
        let server = Server::builder().handler(handler).start().await;
        S3Peer {
            server,
            region: region.to_owned(),
            state,
        }
    }

    /// A bucket of it, as a service's settings name it; it is there from now on.
    ///
    /// # Panics
    ///
    /// Never: a server's address is a URL.
    pub fn location(&self, bucket: &str) -> Location {
        lock(&self.state.buckets).entry(bucket.to_owned()).or_default();
        Location {
            endpoint: self.server.url("").parse().expect("a server's address is a URL"),
            region: self.region.clone(),
            bucket: bucket.to_owned(),
            access_key: ACCESS_KEY.to_owned(),
            secret_key: Secret::from(SECRET_KEY),
            session_token: None,
        }
    }

    /// The same as values of a configuration, below `key`.
    pub fn settings(&self, key: &str, bucket: &str) -> Vec<(String, String)> {
        let at = self.location(bucket);
        [
            ("endpoint", at.endpoint.to_string()),
            ("region", at.region),
            ("bucket", at.bucket),
            ("access_key", at.access_key),
            ("secret_key", at.secret_key.expose().to_owned()),
        ]
        .map(|(name, value)| (format!("{key}.{name}"), value))
        .into()
    }

    /// Has an object, with these headers.
    pub fn put<'a>(
        &self,
        bucket: &str,
        key: &str,
        content: Content,
        headers: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) {
        let headers = headers
            .into_iter()
            .filter_map(|(name, value)| Some((HeaderName::try_from(name).ok()?, HeaderValue::try_from(value).ok()?)));
        let stored = Stored::new(content, headers.collect());
        let mut buckets = lock(&self.state.buckets);
        buckets
            .entry(bucket.to_owned())
            .or_default()
            .objects
            .insert(key.to_owned(), stored);
    }

    /// Has an object no more.
    pub fn remove(&self, bucket: &str, key: &str) {
        if let Some(bucket) = lock(&self.state.buckets).get_mut(bucket) {
            bucket.objects.remove(key);
        }
    }

    /// An object's content and headers.
    pub fn object(&self, bucket: &str, key: &str) -> Option<(Content, HeaderMap)> {
        let buckets = lock(&self.state.buckets);
        let stored = buckets.get(bucket)?.objects.get(key)?;
        Some((stored.content.clone(), stored.headers.clone()))
    }

    /// An object's content, `ETag` and headers.
    pub fn stored(&self, bucket: &str, key: &str) -> Option<(Content, String, HeaderMap)> {
        let buckets = lock(&self.state.buckets);
        let stored = buckets.get(bucket)?.objects.get(key)?;
        Some((stored.content.clone(), stored.e_tag.clone(), stored.headers.clone()))
    }

    /// The keys of a bucket.
    pub fn keys(&self, bucket: &str) -> Vec<String> {
        let buckets = lock(&self.state.buckets);
        buckets
            .get(bucket)
            .map(|bucket| bucket.objects.keys().cloned().collect())
            .unwrap_or_default()
    }

    /// How many uploads in parts were begun and neither completed nor given up.
    pub fn uploads(&self) -> usize {
        lock(&self.state.buckets)
            .values()
            .map(|bucket| bucket.uploads.len())
            .sum()
    }

    /// What it was asked, in order of the answers.
    pub fn asked(&self) -> Vec<Asked> {
        lock(&self.state.asked).clone()
    }

    /// Answers the next requests by these, before it answers well again.
    pub fn answer_next(&self, statuses: impl IntoIterator<Item = StatusCode>) {
        self.state.answers.extend(statuses);
    }

    /// Breaks the next downloads off, each after so many bytes.
    pub fn break_next(&self, after: impl IntoIterator<Item = u64>) {
        lock(&self.state.faults).breaks.extend(after);
    }

    /// Lists so many objects a page.
    pub fn list_by(&self, page: usize) {
        lock(&self.state.faults).page = page;
    }

    /// Damages what it sends from now on, or no more.
    pub fn damage(&self, damages: bool) {
        lock(&self.state.faults).damages = damages;
    }

    /// Fails the next completion of an upload inside of a 200.
    pub fn fail_late(&self) {
        lock(&self.state.faults).fails_late = true;
    }

    /// Lets each request wait at the gate before it is looked at.
    pub fn hold(&self, gate: &Gate) {
        *lock(&self.state.gate) = Some(gate.clone());
    }
}
