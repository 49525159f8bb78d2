//! From files, variables and values in code to a checked configuration.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use super::embedded::Embedded;
use super::loaded::{Config, Loaded};
use super::loading::Loading;
use super::names::REGISTRY;
use super::problems::Problems;
use super::read::Misfit;
use super::{contradictions, environment, excerpt, extract, homeless, inherit, merge::Chain, secrets, walk};
use crate::error::{Error, Problem, ShownPath};
use crate::settings::{Environment, Registry};

/// Says where a configuration comes from.
///
/// Layers, weakest first: built-in defaults, [`embedded`](ConfigBuilder::embedded) texts, the main file, its
/// `httputil.<HTTPUTIL_ENV>.toml` and `httputil.local.toml` siblings, variables, values [set](ConfigBuilder::set) in code.
///
/// ```
/// use httputil::{Config, Environment};
///
/// let environment = Environment::empty().with("HTTPUTIL_TELEMETRY__POOL__MAX_IDLE", "50");
/// let config = Config::builder()
///     .embedded("built in", "[telemetry]\ntimeout = \"5s\"")
///     .env(&environment)
///     .set("telemetry.timeout", "10s")
///     .load()?;
/// let telemetry = config.profile("telemetry")?;
/// assert_eq!(telemetry.policy.timeout.unwrap().as_secs(), 10);
/// assert_eq!(telemetry.transport.pool.max_idle, 50);
/// # Ok::<(), httputil::Error>(())
/// ```
#[derive(Clone, Default)]
#[must_use]
pub struct ConfigBuilder {
    pub(super) main: Main,
    pub(super) embedded: Vec<(String, String)>,
    pub(super) environment: Environment,
    pub(super) values: Vec<(String, String)>,
    /// Paths below this folder are shown relative to it.
    pub(super) shown_from: Option<PathBuf>,
}

/// Where the main file is.
#[derive(Clone, Default)]
pub(super) enum Main {
    #[default]
    Nowhere,
    Exactly(PathBuf),
    SearchFrom(PathBuf),
}

/// Where from, but no values: they may be secrets.
impl fmt::Debug for ConfigBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("ConfigBuilder");
        match &self.main {
            Main::Nowhere => {}
            Main::Exactly(path) => drop(debug.field("file", path)),
            Main::SearchFrom(folder) => drop(debug.field("search_from", folder)),
        }
        debug.field(
            "embedded",
            &self.embedded.iter().map(|(name, _)| name).collect::<Vec<_>>(),
        );
        debug.field("env", &self.environment);
        debug.field("set", &self.values.iter().map(|(key, _)| key).collect::<Vec<_>>());
        debug.finish_non_exhaustive()
    }
}

impl ConfigBuilder {
    /// Exactly this file as the main file; its `httputil.<env>.toml` and `httputil.local.toml` siblings count too.
    /// `HTTPUTIL_CONFIG` is not heeded. That the file is missing is an error.
    pub fn file(mut self, path: impl Into<PathBuf>) -> ConfigBuilder {
        self.main = Main::Exactly(path.into());
        self
    }

    /// Finds the main file by the file rule, from this folder upward; `HTTPUTIL_CONFIG` replaces the search. That
    /// there is no file is no error.
    pub fn search_from(mut self, folder: impl Into<PathBuf>) -> ConfigBuilder {
        self.main = Main::SearchFrom(folder.into());
        self
    }

    /// A TOML text that counts as a file below all others, such as one put into the program by `include_str!`. `name`
    /// stands for its path in messages. A later one is stronger than an earlier one.
    pub fn embedded(mut self, name: impl Into<String>, text: impl Into<String>) -> ConfigBuilder {
        self.embedded.push((name.into(), text.into()));
        self
    }

    /// A file of the program's own, as [`embedded`](ConfigBuilder::embedded) takes a text:
    /// `embed(embed_config!("../httputil.toml"))`.
    pub fn embed(self, embedded: Embedded) -> ConfigBuilder {
        self.embedded(embedded.name(), embedded.text())
    }

    /// The environment to read variables from; none by default.
    pub fn env(mut self, environment: &Environment) -> ConfigBuilder {
        self.environment = environment.clone();
        self
    }

    /// Sets a key in code, the strongest layer: `set("telemetry.timeout", "10s")`, `set("registry.max_connections",
    /// "500")`. The value is written as in a variable; the profile must exist.
    pub fn set(mut self, key: impl Into<String>, value: impl Into<String>) -> ConfigBuilder {
        self.values.push((key.into(), value.into()));
        self
    }

    /// The main file that [`load`](ConfigBuilder::load) would read: `None` if there is none, or if it is unclear which.
    #[must_use]
    pub fn main_file(&self) -> Option<PathBuf> {
        Loading::of(self).main_file().map(|(path, _)| path)
    }

    /// Shows paths below this folder without it, in messages and origins. [`Config::load`] shows them from the working
    /// directory.
    pub fn shown_from(mut self, folder: impl Into<PathBuf>) -> ConfigBuilder {
        self.shown_from = Some(folder.into());
        self
    }

    /// Reads, checks, merges.
    ///
    /// # Errors
    ///
    /// One of [`Kind::Config`](crate::Kind::Config) that holds every problem of every layer.
    pub fn load(self) -> Result<Config, Error> {
        let mut loading = Loading::of(&self);
        let name = loading.environment_name();
        loading.read_files(name.as_deref());
        loading
            .layers
            .iter_mut()
            .for_each(|layer| walk::check(layer, &mut loading.problems));
        let names = loading.profile_names();
        loading.add_overrides(&names);
        let mut told = loading.misspelt_profiles();
        told.append(&mut loading.passed_over);
        let Loading {
            mut problems,
            layers,
            files,
            sources,
            complete,
            ..
        } = loading;

        let lineages = inherit::lineages(&layers, &names, complete, &mut problems);
        let environment = environment::environment_name(&self.environment);
        let mut profiles = BTreeMap::new();
        for (name, ancestors) in &lineages {
            let chain = Chain::of(&layers, name, ancestors);
            let mut merged = chain.merged();
            secrets::fetch(&mut merged, &chain, &self.environment, &mut problems);
            match extract::profile(name, merged) {
                Ok(profile) => {
                    contradictions::within(&profile, &chain, environment.as_deref(), &mut problems);
                    profiles.insert(name.clone(), profile);
                }
                Err(misfit) => problems.add(|| unreadable(name, &misfit)),
            }
        }
        let registry = extract::registry(Chain::of_registry(&layers).merged()).unwrap_or_else(|misfit| {
            problems.add(|| unreadable(REGISTRY, &misfit));
            Registry::default()
        });
        contradictions::within_registry(&registry, &Chain::of_registry(&layers), &mut problems);
        let chains = profiles
            .values()
            .map(|profile| (profile, Chain::of(&layers, &profile.name, &lineages[&profile.name])));
        contradictions::between(chains, &mut problems);
        if complete {
            let chains = profiles
                .values()
                .map(|profile| (profile, Chain::of(&layers, &profile.name, &lineages[&profile.name])));
            // The warnings are asked for by `Config::warnings`.
            homeless::between(chains, &mut problems, &mut Problems::default());
        }
        if !registry.strict {
            told.extend(problems.take_unknown_keys());
        }
        excerpt::underline(&sources, &mut told);
        problems.into_result().map_err(|mut error| {
            excerpt::underline(&sources, error.problems_mut());
            error
        })?;

        for problem in &told {
            tracing::warn!("{problem}");
        }
        if !files.is_empty() {
            let shown: Vec<String> = files.iter().map(|path| ShownPath(path).to_string()).collect();
            tracing::info!(
                files = shown.join(", "),
                profiles = profiles.len(),
                "configuration loaded"
            );
        }
        Ok(Config::new(Loaded {
            source: self.clone(),
            layers,
            lineages,
            profiles,
            registry,
            environment: self.environment,
            files,
            sources,
            told,
        }))
    }
}

/// The checks accept only what can be read; should they ever differ, this says where.
fn unreadable(table: &str, misfit: &Misfit) -> Problem {
    let message = format!("{table}{}: {}", misfit.path(), misfit.message());
    match misfit.origin() {
        Some(origin) => Problem::at(origin.clone(), message),
        None => Problem::new(message),
    }
}
