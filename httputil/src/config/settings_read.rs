//! What a type reads of the tables of a service's setting, and what it passes over.
//!
//! A type that ignores the keys that it does not know ignores a misspelt one, too. Only its reader sees which it was.

use std::cell::RefCell;

use serde::de::DeserializeOwned;

use super::layer::{name_beside, of_table};
use super::loaded::Config;
use super::read::{Reader, SecretsElsewhere};
use super::tree::{Table, find};
use crate::error::{Error, Origin, Problem};

/// What became of the keys in the tables of one setting. Paths are those below the setting, each key with a dot before it.
#[derive(Default)]
pub(crate) struct Keys {
    /// Those that the type knows, set or not; `*` stands for any item of a list or a map.
    pub(crate) known: Vec<String>,
    pub(crate) ignored: Vec<Ignored>,
    /// The table that lacks a key, and the key.
    pub(crate) missing: Option<(String, &'static str)>,
}

/// A key that the type passed over; no value is in it.
#[derive(Debug)]
pub(crate) struct Ignored {
    pub(crate) key: String,
    /// The table that it stands in.
    pub(crate) table: String,
    /// The same, as in `known`.
    form: String,
    pub(crate) origin: Origin,
    /// The keys that the type knows there.
    pub(crate) known: &'static [&'static str],
    /// The keys that stand beside it.
    beside: Vec<(String, Origin)>,
}

impl Keys {
    /// A table is read into a struct of these fields.
    pub(super) fn know(&mut self, fields: &[&str]) {
        self.known.extend(fields.iter().map(|field| format!(".{field}")));
    }

    /// A key of a table is passed over.
    pub(super) fn ignore(&mut self, key: &str, origin: &Origin, table: &Table, known: &'static [&'static str]) {
        if known.contains(&key) {
            return;
        }
        let beside = table.iter().map(|(key, entry)| (key.clone(), entry.key.clone()));
        self.ignored.push(Ignored {
            key: key.to_owned(),
            table: String::new(),
            form: String::new(),
            origin: origin.clone(),
            known,
            beside: beside.collect(),
        });
    }

    /// How much there is.
    pub(super) fn mark(&self) -> (usize, usize) {
        (self.known.len(), self.ignored.len())
    }

    /// All that came after the mark is below this key, which has this form.
    pub(super) fn put_below(&mut self, (known, ignored): (usize, usize), key: &str, form: &str) {
        for path in &mut self.known[known..] {
            path.insert_str(0, &format!(".{form}"));
        }
        for each in &mut self.ignored[ignored..] {
            each.table.insert_str(0, &format!(".{key}"));
            each.form.insert_str(0, &format!(".{form}"));
        }
    }
}

impl Ignored {
    /// Its path below the setting.
    pub(crate) fn path(&self) -> String {
        format!("{}.{}", self.table, self.key)
    }

    /// The same, as others may know it.
    pub(crate) fn form(&self) -> String {
        format!("{}.{}", self.form, self.key)
    }

    /// Where a key that stands beside it is written.
    pub(crate) fn beside(&self, key: &str) -> Option<&Origin> {
        let mut beside = self.beside.iter();
        beside.find(|(other, _)| other == key).map(|(_, origin)| origin)
    }
}

impl Config {
    /// [`setting`](Config::setting), with what became of the keys in its tables.
    pub(crate) fn setting_with_keys<T: DeserializeOwned>(
        &self,
        profile: &str,
        key: &str,
    ) -> (Result<Option<T>, Error>, Keys) {
        let keys = RefCell::default();
        let read = self.read_setting(profile, key, Some(&keys));
        (read, keys.into_inner())
    }

    pub(super) fn read_setting<T: DeserializeOwned>(
        &self,
        profile: &str,
        key: &str,
        keys: Option<&RefCell<Keys>>,
    ) -> Result<Option<T>, Error> {
        let settings = self.settings(profile)?;
        let Some(entry) = settings.get(key) else {
            return Ok(None);
        };
        let elsewhere = SecretsElsewhere {
            environment: &self.loaded.environment,
            sources: &self.loaded.sources,
        };
        T::deserialize(Reader::of_setting(&entry.node, elsewhere, keys))
            .map(Some)
            .map_err(|misfit| {
                let misfit = misfit.at(&entry.node);
                let inner = misfit.path();
                let path = format!("settings.{key}{inner}");
                let node = entry.node.as_table().and_then(|table| find(table, inner.get(1..)?));
                let parts = node.unwrap_or(&entry.node).as_table().map_or(0, Table::len);
                let origin = misfit.origin().unwrap_or(&entry.node.origin);
                let origin = if parts > 1 && !misfit.is_of_key() {
                    of_table(origin, &path)
                } else {
                    origin.clone()
                };
                let name = name_beside(&origin, profile, &path);
                let problem = Problem::at(origin, format!("{name}{}", misfit.message()));
                if let (Some(keys), Some(missing)) = (keys, misfit.missing()) {
                    keys.borrow_mut().missing = Some((inner, missing));
                }
                Error::config(self.underlined(vec![problem]))
            })
    }
}
