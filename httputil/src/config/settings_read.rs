//! What a type reads of the tables of a service's setting, and what it passes over.
//!
//! A type that ignores the keys that it does not know ignores a misspelt one, too. Only its reader sees which it was.

use std::cell::RefCell;

use serde::de::DeserializeOwned;

use super::layer::{name_beside, of_table};
use super::loaded::Config;
use super::read::{Misfit, Reader, SecretsElsewhere};
use super::settings_hidden::Hidden;
use super::tree::{Node, Table, find};
use crate::error::{Error, Origin, Problem};

/// What became of the keys in the tables of one setting. Paths are those below the setting, each key with a dot before it.
#[derive(Default)]
pub(crate) struct Keys {
    /// Those that the type knows, set or not; `*` stands for any item of a list or a map.
    pub(crate) known: Vec<String>,
    pub(crate) ignored: Vec<Ignored>,
    /// The table that lacks a key, and the key.
    pub(crate) missing: Option<(String, &'static str)>,
    /// The tables, by the keys that lead to them, that are read by what does not say which keys it knows.
    pub(super) opaque: Vec<Vec<String>>,
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
    /// The keys that the type knows there, or those of them that are near.
    pub(crate) known: Vec<String>,
    /// The keys that stand beside it.
    beside: Vec<(String, Origin)>,
}

impl Keys {
    /// A table is read into a struct of these fields; if it has none, into what takes any or does not say.
    pub(super) fn know(&mut self, fields: &[&str]) {
        self.known.extend(fields.iter().map(|field| format!(".{field}")));
        if fields.is_empty() {
            self.opaque.push(Vec::new());
        }
    }

    /// A key of a table is passed over.
    pub(super) fn ignore(&mut self, key: &str, origin: &Origin, table: &Table, known: &[&str]) {
        if !known.contains(&key) {
            let known = known.iter().map(|&known| known.to_owned());
            self.ignored.push(Ignored::of(key, origin, table, known.collect()));
        }
    }

    /// How much there is.
    pub(super) fn mark(&self) -> (usize, usize, usize) {
        (self.known.len(), self.ignored.len(), self.opaque.len())
    }

    /// All that came after the mark is below this key, which has this form.
    pub(super) fn put_below(&mut self, (known, ignored, opaque): (usize, usize, usize), key: &str, form: &str) {
        for path in &mut self.opaque[opaque..] {
            path.insert(0, key.to_owned());
        }
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
    /// In the table itself.
    pub(super) fn of(key: &str, origin: &Origin, table: &Table, known: Vec<String>) -> Ignored {
        let beside = table.iter().map(|(key, entry)| (key.clone(), entry.key.clone()));
        Ignored {
            key: key.to_owned(),
            table: String::new(),
            form: String::new(),
            origin: origin.clone(),
            known,
            beside: beside.collect(),
        }
    }

    /// In the table at these keys.
    pub(super) fn within(mut self, keys: &[String]) -> Ignored {
        self.table = keys.iter().flat_map(|key| [".", key]).collect();
        self.form = form_of(keys);
        self
    }

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

/// The same path for every item of a list.
pub(super) fn form_of(keys: &[String]) -> String {
    let is_index = |key: &str| key.bytes().all(|byte| byte.is_ascii_digit());
    let forms = keys.iter().map(|key| if is_index(key) { "*" } else { key });
    forms.flat_map(|form| [".", form]).collect()
}

impl Config {
    /// [`setting`](Config::setting), with what became of the keys in its tables.
    pub(crate) fn setting_with_keys<T: DeserializeOwned>(
        &self,
        profile: &str,
        key: &str,
    ) -> (Result<Option<T>, Error>, Keys) {
        let keys = RefCell::default();
        let read = self.read_setting(profile, key, &keys);
        (read, keys.into_inner())
    }

    pub(super) fn read_setting<T: DeserializeOwned>(
        &self,
        profile: &str,
        key: &str,
        keys: &RefCell<Keys>,
    ) -> Result<Option<T>, Error> {
        let settings = self.settings(profile)?;
        let Some(entry) = settings.get(key) else {
            return Ok(None);
        };
        let elsewhere = SecretsElsewhere {
            environment: &self.loaded.environment,
            sources: &self.loaded.sources,
        };
        let read = T::deserialize(Reader::of_setting(&entry.node, elsewhere, Some(keys)));
        let tables = std::mem::take(&mut keys.borrow_mut().opaque);
        let again = |node: &Node, poison: Option<&Node>| {
            T::deserialize(Reader::of_setting(node, elsewhere, None).poisoned(poison)).map(drop)
        };
        let hidden = Hidden::of(&entry.node, tables, &again);
        match read {
            Ok(value) => {
                hidden.find_passed_over(&mut keys.borrow_mut());
                Ok(Some(value))
            }
            Err(misfit) => {
                let misfit = hidden.blamed(misfit.at(&entry.node));
                let problem = of_misfit(profile, key, &entry.node, &misfit);
                if let Some(missing) = misfit.missing() {
                    let mut keys = keys.borrow_mut();
                    hidden.find_misspelt(misfit.keys(), missing, &mut keys);
                    keys.missing = Some((misfit.path(), missing));
                }
                Err(Error::config(self.underlined(vec![problem])))
            }
        }
    }
}

/// Why the setting cannot be read, where that is written.
fn of_misfit(profile: &str, key: &str, setting: &Node, misfit: &Misfit) -> Problem {
    let inner = misfit.path();
    let path = format!("settings.{key}{inner}");
    let node = setting
        .as_table()
        .and_then(|table| find(table, inner.get(1..)?))
        .unwrap_or(setting);
    let parts = node.as_table().map_or(0, Table::len);
    let origin = misfit.origin().unwrap_or(&setting.origin);
    let origin = if parts > 1 && !misfit.is_of_key() {
        of_table(origin, &path)
    } else {
        origin.clone()
    };
    let name = name_beside(&origin, profile, &path);
    Problem::at(origin, format!("{name}{}", misfit.message()))
}
