//! What the tests of reloading share.

use std::path::{Path, PathBuf};

use httputil::{Client, Config, Environment, PoolStats, Registry};
use httputil_tests::ca::Ca;
use httputil_tests::server::handlers::Echoed;

/// A configuration of these lines.
pub(crate) fn config(lines: &str) -> Config {
    let environment = Environment::empty().with("HTTPUTIL_ENV", "test");
    let text = format!("[default]\nretry.max_attempts = 1\n{lines}");
    Config::builder()
        .embedded("test.toml", text)
        .env(&environment)
        .load()
        .unwrap()
}

pub(crate) fn registry(lines: &str) -> Registry {
    Registry::builder().config(config(lines)).build().unwrap()
}

/// What the server saw of a `GET`.
pub(crate) async fn echoed(client: &Client, url: &str) -> Echoed {
    let answer = client.get(url).send().await.unwrap().bytes().await.unwrap();
    serde_json::from_slice(&answer).unwrap()
}

/// The statistics of one pool of a registry.
pub(crate) fn stats(registry: &Registry, pool: &str) -> PoolStats {
    registry.stats().pool(pool).expect("the pool has been used").clone()
}

/// A folder with the files of a test.
pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    pub(crate) fn new() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file, and gives its path.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    pub(crate) fn ca(&self, name: &str, ca: &Ca) -> PathBuf {
        self.write(name, &ca.pem())
    }
}

/// A path as TOML text.
pub(crate) fn quoted(path: &Path) -> String {
    format!("'{}'", path.display())
}
