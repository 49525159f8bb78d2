//! Which configuration is meant: `--config`, `--env`, `--set`, else what a program started here would load.

use std::path::{Path, PathBuf};

use clap::Args;
use httputil::{Config, ConfigBuilder, Environment};

use crate::output::Outcome;

#[derive(Args, Debug)]
pub(crate) struct SourceArgs {
    /// The main file, instead of the one that is found from here upward.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The environment, as `HTTPUTIL_ENV`.
    #[arg(long, global = true, value_name = "ENV")]
    pub(crate) env: Option<String>,
    /// Set a key of a profile, above all files and variables; can be repeated.
    #[arg(long, global = true, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

impl SourceArgs {
    /// Loads it.
    pub(crate) fn load(&self) -> Result<Config, Outcome> {
        let builder = self.builder(self.config.as_deref(), self.env.as_deref())?;
        builder.load().map_err(|error| Outcome::unsound(&error))
    }

    /// With this main file, or the one that is found; in this environment, or the process's.
    pub(crate) fn builder(&self, file: Option<&Path>, environment: Option<&str>) -> Result<ConfigBuilder, Outcome> {
        let folder = std::env::current_dir()
            .map_err(|error| Outcome::failed(format_args!("the working directory can't be read: {error}")))?;
        let mut variables = Environment::of_process();
        if let Some(environment) = environment {
            variables = variables.with("HTTPUTIL_ENV", environment);
        }
        let mut builder = Config::builder().env(&variables).shown_from(&folder);
        for set in &self.set {
            // What has no `=` may be a value, and a value may be a secret.
            let (key, value) = set
                .split_once('=')
                .ok_or_else(|| Outcome::failed("--set takes KEY=VALUE, such as --set telemetry.timeout=10s"))?;
            builder = builder.set(key, value);
        }
        Ok(match file {
            Some(file) => builder.file(file),
            None => builder.search_from(folder),
        })
    }
}
