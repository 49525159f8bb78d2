//! Registries made of a few lines of TOML.

use std::fs;

use httputil::{Config, Environment, Registry};

/// A registry whose whole configuration is this text.
pub(crate) fn registry(toml: &str) -> Registry {
    let folder = tempfile::tempdir().expect("a folder for the configuration");
    let file = folder.path().join("httputil.toml");
    fs::write(&file, toml).expect("the configuration can be written");
    let config = Config::builder()
        .env(&Environment::empty())
        .file(&file)
        .load()
        .expect("the configuration is right");
    Registry::builder()
        .config(config)
        .build()
        .expect("the registry can be built")
}
