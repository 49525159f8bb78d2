//! Values from outside TOML: text at a path, from a variable or from code.

use super::layer::{shown_key, within};
use super::problems::Problems;
use super::schema::{Kind, schema};
use super::toml_text::parse_value;
use super::tree::{Entry, Node, Table, Value, put, take_in_the_way};
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
///
/// The further tables hold what can't stand there because a key below it is set as well, `A__POOL=x` beside
/// `A__POOL__MAX_IDLE=3`: to be checked as if it stood alone, and to count for nothing.
pub(crate) fn into_tables(mut overrides: Vec<Override>, problems: &mut Problems) -> (Table, Vec<Table>) {
    overrides.sort_by_key(|each| each.path.len());
    let mut tables = Table::new();
    let mut aside = Vec::new();
    for Override { path, origin, value } in overrides {
        if path.len() > DEEPEST {
            problems.add(|| Problem::at(origin.clone(), "nested too deeply"));
            continue;
        }
        let parts: Vec<&str> = path.iter().map(String::as_str).collect();
        let mut node = Node::new(origin.clone(), Value::Raw(value));
        let holds_a_table = schema().key(&parts[1..].join(".")).is_some_and(|key| {
            matches!(
                key.kind,
                Kind::Section(_) | Kind::Free | Kind::Addresses | Kind::Headers
            )
        });
        if holds_a_table && let Err(message) = open_table(&mut node) {
            problems.add(|| Problem::at(origin.clone(), message));
            continue;
        }
        if let Some((depth, mut entry)) = take_in_the_way(&mut tables, &parts) {
            let place = &parts[..depth];
            match open_table(&mut entry.node) {
                Ok(true) => put(&mut tables, place, &entry.key, entry.node),
                Ok(false) => {
                    if parts[1] == "settings" && depth > 2 {
                        problems.add(|| is_both(&place[1..].join("."), &entry, &origin));
                    }
                    let mut alone = Table::new();
                    put(&mut alone, place, &entry.key, entry.node);
                    aside.push(alone);
                }
                Err(message) => problems.add(|| Problem::at(entry.node.origin.clone(), message)),
            }
        }
        put(&mut tables, &parts, &origin, node);
    }
    (tables, aside)
}

/// Reads text that is an inline table; whether the node holds a table now.
fn open_table(node: &mut Node) -> Result<bool, String> {
    if let Value::Raw(text) = &node.value
        && text.starts_with('{')
    {
        *node = parse_value(text, &node.origin)?;
    }
    Ok(node.as_table().is_some())
}

/// Nobody but the service knows whether its setting is a table, but it can't be a table and a value.
fn is_both(path: &str, value: &Entry, below: &Origin) -> Problem {
    let below = match below {
        Origin::Variable(name) | Origin::Code(name) => name.to_string(),
        other => other.to_string(),
    };
    let inner = within(&value.node.origin, path).map(|inner| format!("{}: ", shown_key(inner)));
    Problem::at(
        value.node.origin.clone(),
        format!(
            "{}a value, where {below} needs a table; keep one of the two",
            inner.unwrap_or_default()
        ),
    )
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
    // TOML lets a list end with a comma, too.
    let text = text.trim_end().strip_suffix(',').unwrap_or(text);
    Ok(text.split(',').map(item).collect())
}
