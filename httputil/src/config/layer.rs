//! A layer: one place that settings come from, as it was written.

use std::fmt::Write;
use std::path::PathBuf;

use super::tree::Table;
use crate::error::is_visible;
use crate::error::{Origin, Problem};

/// One file, or all variables, or all values set in code.
pub(crate) struct Layer {
    /// What it is.
    pub(crate) kind: LayerKind,
    /// The folder that relative paths are relative to.
    pub(crate) folder: Option<PathBuf>,
    /// The tables by name: `default`, `global`, `registry`, and the profiles.
    pub(crate) tables: Table,
}

/// The kinds of layers, which differ in how their keys are spelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LayerKind {
    File,
    Variables,
    Code,
}

impl LayerKind {
    /// How the key at `path` of `profile` is written in such a layer.
    pub(crate) fn spell(self, profile: &str, path: &str) -> String {
        match self {
            LayerKind::Variables => variable(profile, path),
            _ => format!("{profile}.{path}"),
        }
    }
}

/// The name of the variable for a key.
pub(crate) fn variable(profile: &str, path: &str) -> String {
    format!(
        "HTTPUTIL_{}__{}",
        profile.to_ascii_uppercase(),
        // Only the name of a header has a dash.
        path.to_ascii_uppercase().replace('.', "__").replace('-', "_")
    )
}

/// The path, below the profile, that a variable or a key set in code names.
pub(crate) fn named(origin: &Origin) -> Option<String> {
    let (text, joint) = match origin {
        Origin::Variable(name) => (name.strip_prefix("HTTPUTIL_")?, "__"),
        Origin::Code(key) => (&**key, "."),
        _ => return None,
    };
    let (_, path) = text.split_once(joint)?;
    Some(match origin {
        Origin::Variable(_) => path.to_ascii_lowercase().replace(joint, "."),
        _ => path.to_owned(),
    })
}

/// Where the value at `path` is written. A table that single variables, or keys set in code, make together has the place of
/// one of them, which may be the one that is right: it is all of them.
pub(crate) fn of_table(origin: &Origin, path: &str) -> Origin {
    let inner = named(origin).is_some_and(|named| named.strip_prefix(path).is_some_and(|rest| rest.starts_with('.')));
    let table = |text: &str, joint: &str| {
        text.split_once(joint)
            .map_or_else(String::new, |(table, _)| table.to_owned())
    };
    match origin {
        Origin::Variable(name) if inner => {
            let path = path.to_ascii_uppercase().replace('.', "__");
            Origin::Variable(format!("{}__{path}__*", table(name, "__")).into())
        }
        Origin::Code(key) if inner => Origin::Code(format!("{}.{path}.*", table(key, ".")).into()),
        origin => origin.clone(),
    }
}

/// What is left of a key's path, below the profile, when the origin is a variable or a key set in code that holds it in
/// an inline table: of `pool.max_idle` in `HTTPUTIL_A__POOL` it is `max_idle`. Nothing where the origin says the whole.
pub(crate) fn within<'a>(origin: &Origin, path: &'a str) -> Option<&'a str> {
    path.strip_prefix(named(origin)?.as_str())?.strip_prefix('.')
}

/// The name of a key for the beginning of a message, as much of it as the origin does not say: all of it, `max_idle: `
/// within a variable's inline table, or nothing.
pub(crate) fn name_beside(origin: &Origin, table: &str, path: &str) -> String {
    match (named(origin), within(origin, path)) {
        (_, Some(inner)) => format!("{}: ", shown_key(inner)),
        (Some(_), None) => String::new(),
        (None, None) => format!("{}: ", shown_key(&format!("{table}.{path}"))),
    }
}

/// A problem with the value of a known key that is not secret; `path` is below `table`.
pub(crate) fn wrong_value(origin: Origin, table: &str, path: &str, value: &str, message: &str) -> Problem {
    match within(&origin, path) {
        Some(inner) => Problem::at(origin.clone(), format!("{inner} = {value}: {message}")),
        None => Problem::with_value(origin, &format!("{table}.{path}"), value, message),
    }
}

/// A key or text from outside, fit for a message: as it is if it is plain, else quoted, and never endless.
pub(crate) fn shown_key(path: &str) -> String {
    let plain = |next: char| next.is_ascii_alphanumeric() || "._-".contains(next);
    if path.len() <= 120 && !path.is_empty() && path.chars().all(plain) {
        path.to_owned()
    } else {
        quoted(path)
    }
}

/// Text in quotes, cut after 60 characters; what a terminal would obey, hide or turn around is escaped.
pub(crate) fn quoted(text: &str) -> String {
    let mut shown = String::from("\"");
    for (index, next) in text.chars().enumerate() {
        if index == 60 {
            shown.push('…');
            break;
        }
        match next {
            '"' | '\\' => {
                shown.push('\\');
                shown.push(next);
            }
            next if !is_visible(next) => {
                let _ = write!(shown, "{}", next.escape_default());
            }
            next => shown.push(next),
        }
    }
    shown.push('"');
    shown
}
