//! A folder with files, some variables, some values in code.

use std::path::{Path, PathBuf};

use httputil::{Config, ConfigBuilder, Environment, Error};
use tempfile::TempDir;

/// What a test arranges.
pub(crate) struct Scenario {
    folder: TempDir,
    environment: Environment,
    values: Vec<(String, String)>,
}

impl Scenario {
    pub(crate) fn new() -> Scenario {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Scenario {
            folder,
            environment: Environment::empty(),
            values: Vec::new(),
        }
    }

    /// Only `httputil.toml`.
    pub(crate) fn main_file(text: &str) -> Scenario {
        Scenario::new().file("httputil.toml", text)
    }

    pub(crate) fn file(self, name: &str, text: impl AsRef<[u8]>) -> Scenario {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a file is in a folder")).expect("a folder can be made");
        std::fs::write(path, text).expect("a file can be written");
        self
    }

    pub(crate) fn variable(mut self, name: &str, value: &str) -> Scenario {
        self.environment = self.environment.with(name, value);
        self
    }

    pub(crate) fn set(mut self, key: &str, value: &str) -> Scenario {
        self.values.push((key.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }

    pub(crate) fn builder(&self) -> ConfigBuilder {
        let builder = Config::builder().search_from(self.folder()).env(&self.environment);
        self.values
            .iter()
            .fold(builder, |builder, (key, value)| builder.set(key, value))
    }

    pub(crate) fn load(&self) -> Result<Config, Error> {
        self.builder().load()
    }

    /// The loaded configuration; panics with the messages if there is none.
    pub(crate) fn config(&self) -> Config {
        self.load().unwrap_or_else(|error| panic!("{error}"))
    }

    /// The messages, with paths relative to the folder; empty if the configuration is sound.
    pub(crate) fn messages(&self) -> String {
        self.load().err().map(|error| self.relative(&error)).unwrap_or_default()
    }

    /// An error's text with paths relative to the folder.
    pub(crate) fn relative(&self, error: &impl ToString) -> String {
        error.to_string().replace(&format!("{}/", self.folder().display()), "")
    }
}
