//! What the services' binaries have in common: where the configuration comes from, and how they fail.

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use httputil::{Config, ConfigBuilder, Environment, Registry};
use serde_json::Value;
use tracing::Level;

/// The profiles as they are shipped, below whatever file is found.
const SHIPPED: &str = include_str!("../../config/httputil.toml");
const NAME: &str = "the profiles as shipped";

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
        let mut builder = self.builder()?;
        for (key, value) in own {
            builder = builder.set(key, value);
        }
        Ok(Registry::builder().config(builder.load()?).build()?)
    }

    /// What a file, a variable or `--set` says of this key, such as `settings.endpoint`, if it says anything else than the
    /// profiles as shipped: whoever says where a service's server is wants none to be started.
    ///
    /// # Errors
    ///
    /// What is wrong with the configuration, all at once.
    pub fn says(&self, profile: &str, key: &str) -> Result<Option<String>, Failure> {
        let shipped = Config::builder().embedded(NAME, SHIPPED).load()?;
        let shipped = value(&shipped, profile, key)?;
        let said = value(&self.builder()?.load()?, profile, key)?;
        Ok(if said == shipped { None } else { said })
    }

    fn builder(&self) -> Result<ConfigBuilder, Failure> {
        let builder = Config::builder()
            .embedded(NAME, SHIPPED)
            .env(&Environment::of_process());
        let mut builder = match &self.config {
            Some(file) => builder.file(file),
            None => builder.search_from(std::env::current_dir()?),
        };
        for (key, value) in self.values.iter().cloned() {
            builder = builder.set(key, value);
        }
        Ok(builder)
    }
}

/// A key's value in words; `settings.from.endpoint` is a setting's own key.
fn value(config: &Config, profile: &str, key: &str) -> Result<Option<String>, Failure> {
    let Some(setting) = key.strip_prefix("settings.") else {
        let explained = config.explain(profile)?;
        return Ok(explained.key(key).and_then(|key| key.value.clone()));
    };
    let (setting, within) = setting.split_once('.').unwrap_or((setting, ""));
    let value: Option<Value> = config.setting(profile, setting)?;
    let value = match within {
        "" => value,
        key => value.and_then(|mut table| table.get_mut(key).map(Value::take)),
    };
    Ok(value.map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
}

fn key_and_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("expected KEY=VALUE")?;
    Ok((key.trim().to_owned(), value.to_owned()))
}

/// Shows on standard error, from now on, what services warn of: why something waits, or was given up.
pub fn show_warnings() {
    let shown = tracing_subscriber::fmt()
        .with_max_level(Level::WARN)
        .with_writer(std::io::stderr)
        .with_target(false)
        .without_time();
    // Whoever has set another one has his reasons.
    let _ = shown.try_init();
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
