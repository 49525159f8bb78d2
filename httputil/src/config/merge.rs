//! The order in which tables count for a profile, and their merger.
//!
//! A key is looked up in `[global]`, the profile, its parents, `[default]`; within each, later layers first. So the
//! order goes by table before it goes by layer, and every value keeps its own line and column. That is why figment
//! does not do it: it merges layer by layer, knows one origin per layer, and would need the same list of tables
//! beside it to answer where a value came from. A list that is looked through, and laid together with
//! [`overlay`](super::tree::overlay), is shorter than the adapter would be.

use std::sync::OnceLock;

use super::layer::Layer;
use super::names::{DEFAULT, GLOBAL, REGISTRY};
use super::schema::schema;
use super::tree::{Node, Table, Value, find, overlay};
use crate::error::Origin;

/// One table that counts for a profile.
pub(crate) struct Link<'a> {
    /// The name of the table: the profile's own, an ancestor's, `default` or `global`.
    pub(crate) name: &'a str,
    /// Whether it is the profile's own, or `[registry]`.
    own: bool,
    table: &'a Table,
}

/// All tables that count for a profile, strongest first.
pub(crate) struct Chain<'a>(Vec<Link<'a>>);

impl<'a> Chain<'a> {
    /// The tables for `profile`, whose `ancestors` are given weakest first.
    pub(crate) fn of(layers: &'a [Layer], profile: &'a str, ancestors: &'a [String]) -> Chain<'a> {
        let parents = ancestors.iter().rev().map(String::as_str);
        let names = [GLOBAL, profile]
            .into_iter()
            .chain(parents)
            .chain((profile != DEFAULT).then_some(DEFAULT));
        Chain(names.flat_map(|name| links(layers, name, name == profile)).collect())
    }

    /// The tables for `[registry]`, which inherits nothing and which nothing overrides.
    pub(crate) fn of_registry(layers: &'a [Layer]) -> Chain<'a> {
        Chain(links(layers, REGISTRY, true).collect())
    }

    /// Every place where the key at `path` is written, with the name of its table, the one in force first.
    pub(crate) fn written(&self, path: &str) -> impl Iterator<Item = (&'a str, &'a Node)> {
        let own = own_keys().iter().any(|key| key == path);
        self.0
            .iter()
            .filter(move |link| link.own || !own)
            .filter_map(|link| find(link.table, path).map(|node| (link.name, node)))
    }

    /// The place in force of a key that was written with as much weight as the other one was, or more.
    pub(crate) fn written_beside(&self, path: &str, other: &str) -> Option<(&'a str, &'a Node)> {
        let weight = |path: &str| self.0.iter().position(|link| find(link.table, path).is_some());
        let mine = weight(path)?;
        weight(other)
            .is_none_or(|other| mine <= other)
            .then(|| self.written(path).next())?
    }

    /// Where the value in force of a key is written.
    pub(crate) fn place(&self, path: &str) -> Origin {
        let written = self.written(path).next();
        written.map_or(Origin::BuiltIn, |(_, node)| node.origin.clone())
    }

    /// All of them as one table.
    pub(crate) fn merged(&self) -> Table {
        let mut merged = Table::new();
        for link in self.0.iter().rev() {
            if link.own {
                overlay(&mut merged, link.table);
            } else {
                let mut table = link.table.clone();
                for key in own_keys() {
                    remove(&mut table, key);
                }
                overlay(&mut merged, &table);
            }
        }
        merged
    }
}

/// The tables of one name, later layers first.
fn links<'a>(layers: &'a [Layer], name: &'a str, own: bool) -> impl Iterator<Item = Link<'a>> {
    let tables = layers
        .iter()
        .rev()
        .filter_map(move |layer| layer.tables.get(name)?.node.as_table());
    tables.map(move |table| Link { name, own, table })
}

/// The keys that are not inherited.
fn own_keys() -> &'static [String] {
    static KEYS: OnceLock<Vec<String>> = OnceLock::new();
    KEYS.get_or_init(|| {
        schema()
            .leaves()
            .into_iter()
            .filter(|(_, key)| key.own)
            .map(|(path, _)| path)
            .collect()
    })
}

fn remove(table: &mut Table, path: &str) {
    match path.split_once('.') {
        None => {
            table.remove(path);
        }
        Some((first, rest)) => {
            if let Some(Value::Table(below)) = table.get_mut(first).map(|entry| &mut entry.node.value) {
                remove(below, rest);
            }
        }
    }
}
