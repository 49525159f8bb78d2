//! A configuration that has passed every check.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::builder::ConfigBuilder;
use super::embedded::Embedded;
use super::excerpt::{self, Source};
use super::json_schema;
use super::layer::{Layer, shown_key};
use super::merge::Chain;
use super::names::{DEFAULT, GLOBAL, REGISTRY, did_you_mean};
use super::reference;
use super::schema::{Kind, schema_of};
use super::suggest;
use super::tree::Table;
use crate::error::{Error, Origin, Problem, ShownPath};
use crate::settings::{Environment, Profile, Registry};

/// A loaded, checked configuration. Cheap to clone.
///
/// Everything that was written is kept with its place, so that [`origin`](Config::origin) can say who set a value.
#[derive(Clone)]
pub struct Config {
    pub(super) loaded: Arc<Loaded>,
}

/// What a configuration holds.
pub(super) struct Loaded {
    /// Where all of it came from.
    pub(super) source: ConfigBuilder,
    /// The layers as they were written, weakest first.
    pub(super) layers: Vec<Layer>,
    /// The ancestors of each profile, weakest first.
    pub(super) lineages: BTreeMap<String, Vec<String>>,
    pub(super) profiles: BTreeMap<String, Profile>,
    pub(super) registry: Registry,
    pub(super) environment: Environment,
    pub(super) files: Vec<PathBuf>,
    pub(super) sources: Vec<Source>,
    /// What is no mistake, and to be told at once: profiles that may be misspelt, files that were passed over, keys that
    /// this version does not know where these are let through.
    pub(super) told: Vec<Problem>,
}

/// Files and names only: values may be secrets.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let profiles: Vec<&String> = self.loaded.profiles.keys().collect();
        f.debug_struct("Config")
            .field("files", &self.loaded.files)
            .field("profiles", &profiles)
            .finish()
    }
}

impl Config {
    pub(super) fn new(loaded: Loaded) -> Config {
        Config {
            loaded: Arc::new(loaded),
        }
    }

    /// Loads by the file rule from the working directory, and the process's environment.
    ///
    /// # Errors
    ///
    /// One that holds every problem of every layer.
    pub fn load() -> Result<Config, Error> {
        Config::load_above(&[])
    }

    /// [`load`](Config::load) with these files below all others.
    pub(crate) fn load_above(embedded: &[Embedded]) -> Result<Config, Error> {
        let folder = std::env::current_dir().map_err(|error| {
            Error::config(vec![Problem::new(format!(
                "the working directory can't be read: {error}"
            ))])
        })?;
        let builder = Config::builder().env(&Environment::of_process()).shown_from(&folder);
        let builder = embedded.iter().fold(builder, |builder, each| builder.embed(*each));
        builder.search_from(folder).load()
    }

    /// The same once more: the files as they are now, with the variables and values that this one was loaded with. For
    /// [`Registry::reload`](crate::Registry::reload).
    ///
    /// # Errors
    ///
    /// One that holds every problem of every layer.
    pub fn load_again(&self) -> Result<Config, Error> {
        self.loaded.source.clone().load()
    }

    /// Starts from nothing: no file, an empty environment.
    pub fn builder() -> ConfigBuilder {
        ConfigBuilder::default()
    }

    /// The built-in defaults: one profile, `default`, no file, an empty environment.
    #[must_use]
    pub fn empty() -> Config {
        let profiles = BTreeMap::from([(DEFAULT.to_owned(), Profile::named(DEFAULT))]);
        let lineages = BTreeMap::from([(DEFAULT.to_owned(), Vec::new())]);
        Config::new(Loaded {
            source: ConfigBuilder::default(),
            layers: Vec::new(),
            lineages,
            profiles,
            registry: Registry::default(),
            environment: Environment::empty(),
            files: Vec::new(),
            sources: Vec::new(),
            told: Vec::new(),
        })
    }

    /// The JSON schema of a configuration file, for editors: `#:schema ./httputil.schema.json` in its first line makes
    /// them complete keys, show what they mean, and underline what would not load.
    #[must_use]
    pub fn schema() -> String {
        json_schema::text()
    }

    /// The reference of all keys, in Markdown: meaning, default, what a key holds, an example for a file and for a
    /// variable, and whether it is transport or policy.
    #[must_use]
    pub fn reference() -> String {
        reference::text()
    }

    /// The settings of a profile.
    ///
    /// # Errors
    ///
    /// That there is no such profile, with the nearest name.
    pub fn profile(&self, name: &str) -> Result<Profile, Error> {
        self.loaded
            .profiles
            .get(name)
            .cloned()
            .ok_or_else(|| self.no_profile(name))
    }

    /// The settings of `[registry]`, which concern all pools of a registry together. It is no profile: it inherits
    /// nothing, and neither `[default]` nor `[global]` touches it.
    ///
    /// ```
    /// use httputil::Config;
    /// use httputil::settings::MaxConnections;
    ///
    /// let config = Config::builder().set("registry.max_connections", "500").load()?;
    /// assert_eq!(config.registry().max_connections, MaxConnections::AtMost(500));
    /// assert_eq!(Config::empty().registry().max_connections, MaxConnections::Auto);
    /// # Ok::<(), httputil::Error>(())
    /// ```
    #[must_use]
    pub fn registry(&self) -> Registry {
        self.loaded.registry
    }

    /// The names of all profiles, `default` included, sorted.
    #[must_use]
    pub fn profiles(&self) -> Vec<String> {
        self.loaded.profiles.keys().cloned().collect()
    }

    /// A service's own value, `[profile.settings] key`, typed by serde; `None` if it is not set. A value is inherited
    /// and overridden like any other. A [`Duration`](std::time::Duration) is read from text such as `"10s"`, a
    /// [`Secret`](crate::settings::Secret) from a text, `{ file = "…" }` or `{ env = "…" }`.
    ///
    /// In a variable, where all is text, the type says what is meant: `0123` stays `0123` for a `String`. Types that only
    /// look at what they are given (serde's `flatten`, `tag` and `untagged`) get what the same text would be in a file:
    /// `1` is a number, `true` a flag, `'1'` and `one` are texts, `[1, 2]` is a list.
    ///
    /// ```
    /// use std::time::Duration;
    /// use httputil::Config;
    ///
    /// let text = "[telemetry.settings]\nendpoint = \"http://127.0.0.1:4318/v1/traces\"\nflush = \"5s\"";
    /// let config = Config::builder().embedded("built in", text).load()?;
    /// let endpoint: Option<url::Url> = config.setting("telemetry", "endpoint")?;
    /// assert_eq!(endpoint.unwrap().port(), Some(4318));
    /// assert_eq!(config.setting("telemetry", "flush")?, Some(Duration::from_secs(5)));
    /// # Ok::<(), httputil::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// That there is no such profile, or that the value is not of the type: with its place, never with the value.
    pub fn setting<T: DeserializeOwned>(&self, profile: &str, key: &str) -> Result<Option<T>, Error> {
        self.read_setting(profile, key, &RefCell::default())
    }

    /// The problems with the lines that they are about.
    pub(crate) fn underlined(&self, mut problems: Vec<Problem>) -> Vec<Problem> {
        excerpt::underline(&self.loaded.sources, &mut problems);
        problems
    }

    /// The keys of a profile's settings, sorted.
    ///
    /// # Errors
    ///
    /// That there is no such profile.
    pub fn setting_keys(&self, profile: &str) -> Result<Vec<String>, Error> {
        Ok(self.settings(profile)?.into_keys().collect())
    }

    /// Where the value in force of a key was written: `origin("telemetry", "pool.idle_timeout")`,
    /// `origin("telemetry", "settings.endpoint")`, `origin("registry", "max_connections")`.
    ///
    /// # Errors
    ///
    /// That there is no such profile or no such key.
    pub fn origin(&self, profile: &str, key: &str) -> Result<Origin, Error> {
        Ok(self
            .origins(profile, key)?
            .into_iter()
            .next()
            .unwrap_or(Origin::BuiltIn))
    }

    /// Every place where a key's value was written, the one in force first, then those that it shadows; empty if the
    /// built-in default counts.
    ///
    /// # Errors
    ///
    /// As [`origin`](Config::origin).
    pub fn origins(&self, profile: &str, key: &str) -> Result<Vec<Origin>, Error> {
        let of_registry = profile == REGISTRY;
        let chain = if of_registry {
            self.registry_chain()
        } else {
            self.chain(profile)?
        };
        let is_within = ["settings.", "headers.", "dns.overrides."]
            .iter()
            .any(|table| key.starts_with(table));
        let known = (!of_registry && is_within)
            || schema_of(profile)
                .key(key)
                .is_some_and(|key| !matches!(key.kind, Kind::Section(_) | Kind::Free));
        if !known {
            let near = if of_registry {
                suggest::in_registry(key)
            } else {
                suggest::key(key)
            };
            let hint = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
            return Err(Error::config(vec![Problem::new(format!(
                "there is no key {}{hint}",
                shown_key(key)
            ))]));
        }
        Ok(chain.written(key).map(|(_, node)| node.origin.clone()).collect())
    }

    /// The environment that the configuration was loaded with.
    #[must_use]
    pub fn environment(&self) -> &Environment {
        &self.loaded.environment
    }

    /// The files that were read, weakest first.
    #[must_use]
    pub fn files(&self) -> &[PathBuf] {
        &self.loaded.files
    }

    pub(super) fn settings(&self, profile: &str) -> Result<Table, Error> {
        let merged = self.chain(profile)?.merged();
        Ok(merged
            .get("settings")
            .and_then(|entry| entry.node.as_table())
            .cloned()
            .unwrap_or_default())
    }

    pub(super) fn chain<'a>(&'a self, profile: &'a str) -> Result<Chain<'a>, Error> {
        match self.loaded.lineages.get(profile) {
            Some(ancestors) => Ok(Chain::of(&self.loaded.layers, profile, ancestors)),
            None => Err(self.no_profile(profile)),
        }
    }

    pub(super) fn registry_chain(&self) -> Chain<'_> {
        Chain::of_registry(&self.loaded.layers)
    }

    fn no_profile(&self, name: &str) -> Error {
        let shown = shown_key(name);
        Error::config(vec![Problem::new(if name == GLOBAL {
            "[global] is no profile: it overrides every profile".to_owned()
        } else if name == REGISTRY {
            "[registry] is no profile: it concerns all pools together".to_owned()
        } else {
            let hint = did_you_mean(name, self.loaded.profiles.keys().map(String::as_str));
            let place = self.loaded.files.first().map_or_else(
                || {
                    let mut told = self.loaded.told.iter();
                    let passed_over = told.find(|problem| matches!(problem.origin(), Some(Origin::WholeFile(_))));
                    let why = passed_over.map(|problem| format!(" ({problem})")).unwrap_or_default();
                    format!(", and no configuration file was found{why}")
                },
                |file| format!(" in {}", ShownPath(file)),
            );
            format!("no profile is called {shown}{place}{hint}")
        })])
    }
}
