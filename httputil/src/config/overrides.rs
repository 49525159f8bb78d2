//! Values from outside TOML: text at a path, from a variable or from code.

use super::problems::Problems;
use super::schema::{Kind, schema};
use super::toml_text::parse_value;
use super::tree::{Node, Table, Value, put};
use crate::error::{Origin, Problem};

/// Deeper than any key of ours or any sane setting.
const DEEPEST: usize = 16;

/// One value to be set.
pub(crate) struct Override {
    /// The path, profile first.
    pub(crate) path: Vec<String>,
    /// The variable or the key in code.
    pub(crate) origin: Origin,
    /// The text.
    pub(crate) value: String,
}

/// A layer's tables of them. A whole table comes before single keys of it, whatever their order, so that these win.
pub(crate) fn into_tables(mut overrides: Vec<Override>, problems: &mut Problems) -> Table {
    overrides.sort_by_key(|each| each.path.len());
    let mut tables = Table::new();
    for Override { path, origin, value } in overrides {
        if path.len() > DEEPEST {
            problems.add(|| Problem::at(origin.clone(), "nested too deeply"));
            continue;
        }
        let parts: Vec<&str> = path.iter().map(String::as_str).collect();
        let holds_a_table = schema()
            .key(&parts[1..].join("."))
            .is_some_and(|key| matches!(key.kind, Kind::Section(_) | Kind::Free));
        let node = if holds_a_table && value.starts_with('{') {
            match parse_value(&value, &origin) {
                Ok(node) => node,
                Err(message) => {
                    problems.add(|| Problem::at(origin.clone(), message));
                    continue;
                }
            }
        } else {
            Node::new(origin.clone(), Value::Raw(value))
        };
        put(&mut tables, &parts, &origin, node);
    }
    tables
}

/// A list: a TOML array, or texts between commas.
pub(crate) fn split_list(text: &str, origin: &Origin) -> Result<Vec<Node>, String> {
    if text.trim_start().starts_with('[') {
        return match parse_value(text.trim(), origin)?.value {
            Value::List(list) => Ok(list),
            _ => Err("not a list".to_owned()),
        };
    }
    let item = |item: &str| Node::new(origin.clone(), Value::Raw(item.trim().to_owned()));
    Ok(text.split(',').map(item).collect())
}
