//! What the tests have in common: clients and registries that look at nothing outside, and the reading of errors.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use httputil::settings::{Profile, ProxyChoice, Roots};
use httputil::{Client, ClientConfig, Config, Environment, Error, Kind, Phase, PoolStats, Registry};
use httputil_tests::ca::Ca;
use httputil_tests::resolver::ScriptedResolver;
use httputil_tests::{PATIENCE, one_attempt, within};
use tempfile::TempDir;

/// A client of its own; the built-in roots, no proxy, one attempt.
pub(crate) fn client(change: impl FnOnce(&mut Profile)) -> Client {
    Client::new(config(change)).expect("the settings are right")
}

/// What [`client`] is made of.
pub(crate) fn config(change: impl FnOnce(&mut Profile)) -> ClientConfig {
    let mut config = one_attempt();
    let profile = config.profile_mut();
    profile.transport.proxy.from_env = false;
    profile.transport.tls.roots = Roots::Bundled;
    change(profile);
    config
}

/// A client of its own that trusts this authority alone.
pub(crate) fn client_of(trust: &Trust, change: impl FnOnce(&mut Profile)) -> Client {
    client(|profile| {
        profile.transport.tls.ca_file = Some(trust.path());
        change(profile);
    })
}

/// A client of its own that takes this proxy for everything, loopback included.
pub(crate) fn client_through(proxy: &str, change: impl FnOnce(&mut Profile)) -> Client {
    client(|profile| {
        profile.transport.proxy.url = Some(ProxyChoice::Through(proxy.into()));
        change(profile);
    })
}

/// A registry that follows this TOML.
pub(crate) fn registry(toml: &str) -> Registry {
    registry_in(toml, &Environment::empty(), &ScriptedResolver::new())
}

/// A registry that follows this TOML and these variables, asks this resolver, and makes one attempt of each request.
pub(crate) fn registry_in(toml: &str, environment: &Environment, resolver: &ScriptedResolver) -> Registry {
    let config = Config::builder()
        .embedded("test.toml", toml)
        .env(environment)
        .set("global.retry.max_attempts", "1")
        .load();
    Registry::builder()
        .config(config.expect("the configuration is right"))
        .resolver(Arc::new(resolver.clone()))
        .build()
        .expect("a registry of a loaded configuration can be built")
}

/// A registry's default client, which asks this resolver; `keys` are lines of `[default]`.
pub(crate) fn client_with_names(resolver: &ScriptedResolver, keys: &str) -> Client {
    let toml = format!("[default]\ntls.roots = \"bundled\"\n{keys}");
    registry_in(&toml, &Environment::empty(), resolver)
        .client("default")
        .expect("there always is a default profile")
}

/// Files of trusted roots, there for as long as this value.
pub(crate) struct Trust {
    folder: TempDir,
}

impl Trust {
    /// A file that holds these authorities.
    pub(crate) fn of<'a>(authorities: impl IntoIterator<Item = &'a Ca>) -> Trust {
        let pem: Vec<String> = authorities.into_iter().map(Ca::pem).collect();
        let trust = Trust {
            folder: TempDir::new().expect("a temporary folder can be made"),
        };
        std::fs::write(trust.path(), pem.concat()).expect("a file can be written there");
        trust
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }
}

/// A path as a TOML string.
pub(crate) fn quoted(path: impl AsRef<Path>) -> String {
    format!("'{}'", path.as_ref().display())
}

/// The text that a server answers.
pub(crate) async fn get(client: &Client, url: impl AsRef<str>) -> Result<String, Error> {
    let response = within(PATIENCE, client.get(url.as_ref()).send()).await?;
    let text = within(PATIENCE, response.text()).await;
    Ok(text.expect("the body ends well"))
}

/// The error of a request that must fail: of this class, one line about this host, in words of our own.
pub(crate) async fn failure(client: &Client, url: impl AsRef<str>) -> Error {
    let url = url.as_ref();
    let sent = within(PATIENCE, client.get(url).send()).await;
    let error = sent.map(|answer| answer.status()).expect_err("the request fails");
    assert_clear(&error, url);
    error
}

/// One line that names the request, without what says nothing.
pub(crate) fn assert_clear(error: &Error, url: &str) {
    let text = error.to_string();
    assert!(
        text.starts_with(&format!("GET {url}: ")),
        "the request comes first: {text}"
    );
    assert!(!text.contains('\n'), "one line: {text}");
    for empty in ["error sending request", "os error", "Error {", "Some("] {
        assert!(!text.contains(empty), "no {empty:?}: {text}");
    }
    assert!(error.elapsed().is_some() && error.profile() == Some("default"));
}

/// The error holds all these words.
#[track_caller]
pub(crate) fn assert_says(error: &Error, kind: Kind, words: &[&str]) {
    assert_eq!(error.kind(), kind, "{error}");
    let text = error.to_string();
    for word in words {
        assert!(text.contains(word), "{word:?} is missing: {text}");
    }
}

/// A time-out of this phase and bound, whose message names the key, and that took about as long as the bound.
#[track_caller]
pub(crate) fn assert_bound(error: &Error, expected: Phase, bound: Duration, key: &str) {
    assert_bound_in(error, expected, &expected.to_string(), bound, key);
}

/// The same, where the message names the phase more closely.
#[track_caller]
pub(crate) fn assert_bound_in(error: &Error, expected: Phase, words: &str, bound: Duration, key: &str) {
    let Kind::Timeout { phase, after, .. } = error.kind() else {
        panic!("not a time-out: {error}");
    };
    assert_eq!((phase, after), (expected, bound), "{error}");
    assert!(error.is_timeout() && !error.is_config());
    let text = error.to_string();
    assert!(text.contains(&format!("({key})")), "the key {key} is named: {text}");
    assert!(text.contains(words), "the phase is named: {text}");
    let spent = error.elapsed().expect("a request takes time");
    assert!(
        spent >= bound && spent < bound + GENEROUS,
        "bound {bound:?}, spent {spent:?}"
    );
}

/// How much longer than its bound a loaded machine may take to say so.
const GENEROUS: Duration = Duration::from_secs(4);

/// The books of a pool where nothing is under way.
#[track_caller]
pub(crate) fn assert_balanced(stats: &PoolStats) {
    assert_eq!(stats.dials_in_progress, 0, "{stats:?}");
    assert_eq!(stats.waiting, 0, "{stats:?}");
    assert_eq!(
        stats.dials_started,
        stats.dial_failures_total() + stats.dialled,
        "{stats:?}"
    );
    assert_eq!(stats.dialled, stats.open + stats.closed_total(), "{stats:?}");
}

/// Waits until something that has no event of its own is so; looks every 5 ms.
#[track_caller]
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) -> impl Future<Output = ()> {
    let caller = std::panic::Location::caller();
    async move {
        let looking = async {
            while !holds() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let seen = tokio::time::timeout(PATIENCE, looking).await;
        assert!(seen.is_ok(), "{caller}: waited {PATIENCE:?} for {what}");
    }
}

/// Asks until the host is dialled again: for a moment after a failed dial, requests hear that dial's error.
pub(crate) async fn after_backoff(client: &Client, url: impl AsRef<str>) -> Result<String, Error> {
    let began = std::time::Instant::now();
    loop {
        match get(client, url.as_ref()).await {
            Err(error) if error.to_string().contains("the error of the last try") && began.elapsed() < PATIENCE => {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            answer => return answer,
        }
    }
}
