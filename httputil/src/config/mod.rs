//! What the user wrote: layers, spans, origins → settings.

use std::path::PathBuf;

use serde::de::DeserializeOwned;

use crate::error::Error;
use crate::settings::{Environment, Profile};

/// A loaded, checked configuration. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Config {}

/// Says where a configuration comes from.
#[derive(Clone, Debug, Default)]
pub struct ConfigBuilder {}

impl Config {
    /// Loads by the file rule and the process's environment.
    pub fn load() -> Result<Config, Error> {
        Config::builder()
            .env(&Environment::of_process())
            .search_from(std::env::current_dir().unwrap_or_default())
            .load()
    }

    /// Starts from nothing: no file, an empty environment.
    pub fn builder() -> ConfigBuilder {
        ConfigBuilder::default()
    }

    /// The settings of a profile, or an error that names the nearest one.
    pub fn profile(&self, name: &str) -> Result<Profile, Error> {
        Ok(Profile::named(name))
    }

    /// The names of all profiles, `default` included, sorted.
    pub fn profiles(&self) -> Vec<String> {
        Vec::new()
    }

    /// A service's own value, `[profile.settings] key`, typed; `None` if it is not set.
    pub fn setting<T: DeserializeOwned>(&self, profile: &str, key: &str) -> Result<Option<T>, Error> {
        let _ = (profile, key);
        Ok(None)
    }

    /// The environment that the configuration was loaded with.
    pub fn environment(&self) -> &Environment {
        todo!()
    }
}

impl ConfigBuilder {
    /// Exactly this file as the main file; its `httputil.<env>.toml` and `httputil.local.toml` siblings count too.
    pub fn file(self, path: impl Into<PathBuf>) -> ConfigBuilder {
        let _ = path.into();
        self
    }

    /// Finds the file by the file rule, from this folder upward.
    pub fn search_from(self, folder: impl Into<PathBuf>) -> ConfigBuilder {
        let _ = folder.into();
        self
    }

    /// The environment to read variables from.
    pub fn env(self, environment: &Environment) -> ConfigBuilder {
        let _ = environment;
        self
    }

    /// Sets a key in code, the strongest layer.
    pub fn set(self, key: impl Into<String>, value: impl Into<String>) -> ConfigBuilder {
        let _ = (key.into(), value.into());
        self
    }

    /// Reads, checks, merges.
    pub fn load(self) -> Result<Config, Error> {
        Ok(Config {})
    }
}
