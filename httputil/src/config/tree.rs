//! A TOML value whose every part knows where it was written.
//!
//! Layers are kept as such trees, merged as such trees, and read by serde from such trees, so that whatever goes wrong
//! at whatever step can name file, line and column, or the variable. Nothing here is `Debug`: values may be secrets.

use std::collections::BTreeMap;

use super::secrets::Elsewhere;
use crate::error::Origin;

/// Keys and their values.
pub(crate) type Table = BTreeMap<String, Entry>;

/// A key with its value.
#[derive(Clone)]
pub(crate) struct Entry {
    /// Where the key is written.
    pub(crate) key: Origin,
    /// The value.
    pub(crate) node: Node,
}

/// A value.
#[derive(Clone)]
pub(crate) struct Node {
    /// Where the value is written.
    pub(crate) origin: Origin,
    /// What is written there.
    pub(crate) value: Value,
}

/// The kinds of values.
#[derive(Clone)]
pub(crate) enum Value {
    Text(String),
    /// Text from outside TOML (a variable, a value set in code): its type is unknown until its key's is.
    Raw(String),
    Whole(i128),
    Float(f64),
    Flag(bool),
    Date(String),
    List(Vec<Node>),
    Table(Table),
    /// A secret that is kept elsewhere.
    Elsewhere(Elsewhere),
}

impl Node {
    pub(crate) fn new(origin: Origin, value: Value) -> Node {
        Node { origin, value }
    }

    pub(crate) fn as_table(&self) -> Option<&Table> {
        match &self.value {
            Value::Table(table) => Some(table),
            _ => None,
        }
    }

    /// The text of a string or of a value from outside TOML.
    pub(crate) fn as_text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) | Value::Raw(text) => Some(text),
            _ => None,
        }
    }
}

impl Value {
    /// What this is, in the user's words.
    pub(crate) fn what(&self) -> &'static str {
        match self {
            Value::Text(_) | Value::Raw(_) => "a text",
            Value::Whole(_) => "a whole number",
            Value::Float(_) => "a number with a fraction",
            Value::Flag(_) => "true or false",
            Value::Date(_) => "a date",
            Value::List(_) => "a list",
            Value::Table(_) | Value::Elsewhere(_) => "a table",
        }
    }
}

/// Lays `strong` over `weak`: tables merge, everything else replaces. A table that says where a secret is kept is a value.
pub(crate) fn overlay(weak: &mut Table, strong: &Table) {
    for (name, entry) in strong {
        match (weak.get_mut(name).map(|below| &mut below.node.value), &entry.node.value) {
            (Some(Value::Table(below)), Value::Table(above)) if !(names_a_place(below) && names_a_place(above)) => {
                overlay(below, above);
            }
            _ => {
                weak.insert(name.clone(), entry.clone());
            }
        }
    }
}

/// Whether this is `{ file = "…" }` or `{ env = "…" }`.
fn names_a_place(table: &Table) -> bool {
    let mut entries = table.iter();
    let first = entries.next().filter(|_| entries.next().is_none());
    first.is_some_and(|(word, entry)| ["file", "env"].contains(&word.as_str()) && entry.node.as_text().is_some())
}

/// The value at a path of keys.
pub(crate) fn find<'a>(table: &'a Table, path: &str) -> Option<&'a Node> {
    let (first, rest) = path
        .split_once('.')
        .map_or((path, None), |(first, rest)| (first, Some(rest)));
    let node = &table.get(first)?.node;
    match rest {
        None => Some(node),
        Some(rest) => find(node.as_table()?, rest),
    }
}

/// Takes out the value that stands where the path needs a table, with the number of keys that lead to it.
pub(crate) fn take_in_the_way(table: &mut Table, path: &[&str]) -> Option<(usize, Entry)> {
    let (first, rest) = path.split_first().filter(|(_, rest)| !rest.is_empty())?;
    match &mut table.get_mut(*first)?.node.value {
        Value::Table(below) => take_in_the_way(below, rest).map(|(depth, entry)| (depth + 1, entry)),
        _ => table.remove(*first).map(|entry| (1, entry)),
    }
}

/// Sets the value at a path, making the tables on the way; a value in the way is replaced.
pub(crate) fn put(table: &mut Table, path: &[&str], key: &Origin, node: Node) {
    let Some((first, rest)) = path.split_first() else {
        return;
    };
    if rest.is_empty() {
        table.insert((*first).to_owned(), Entry { key: key.clone(), node });
        return;
    }
    let empty = || Node::new(key.clone(), Value::Table(Table::new()));
    let entry = table.entry((*first).to_owned()).or_insert_with(|| Entry {
        key: key.clone(),
        node: empty(),
    });
    if entry.node.as_table().is_none() {
        entry.node = empty();
    }
    if let Value::Table(below) = &mut entry.node.value {
        put(below, rest, key, node);
    }
}
