//! What the services' binaries have in common: where the configuration comes from, and how they fail.

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use httputil::{Config, Environment, Registry};

/// The profiles as they are shipped, below whatever file is found.
const SHIPPED: &str = include_str!("../../config/httputil.toml");

/// Whatever went wrong, on its way to `main`.
pub type Failure = Box<dyn Error + Send + Sync>;

/// Where the configuration comes from.
#[derive(Args, Clone, Debug, Default)]
pub struct Configuration {
    /// The configuration file; without it `httputil.toml` or `config/httputil.toml` is searched from here upward
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// One value above all files and variables, such as `events.timeout=5s`
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = key_and_value)]
    pub values: Vec<(String, String)>,
}

impl Configuration {
    /// A registry of this configuration and the process's environment, with `own` values on top.
    ///
    /// # Errors
    ///
    /// What is wrong with the configuration, all at once.
    pub fn registry<K, V>(&self, own: impl IntoIterator<Item = (K, V)>) -> Result<Registry, Failure>
    where
        K: Into<String>,
        V: Into<String>,
    {
        let mut builder = Config::builder()
            .embedded("the profiles as shipped", SHIPPED)
            .env(&Environment::of_process());
        builder = match &self.config {
            Some(file) => builder.file(file),
            None => builder.search_from(std::env::current_dir()?),
        };
        for (key, value) in self.values.iter().cloned() {
            builder = builder.set(key, value);
        }
        for (key, value) in own {
            builder = builder.set(key, value);
        }
        Ok(Registry::builder().config(builder.load()?).build()?)
    }
}

fn key_and_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("expected KEY=VALUE")?;
    Ok((key.trim().to_owned(), value.to_owned()))
}

/// Says on standard error what went wrong, in one line, if anything did.
#[must_use]
pub fn exit(result: Result<(), Failure>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
