//! A layer: one place that settings come from, as it was written.

use std::fmt::Write;
use std::path::PathBuf;

use super::tree::Table;

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
        path.to_ascii_uppercase().replace('.', "__")
    )
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

/// Text in quotes, control characters escaped, cut after 60 characters.
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
            next if next.is_control() => {
                let _ = write!(shown, "{}", next.escape_default());
            }
            next => shown.push(next),
        }
    }
    shown.push('"');
    shown
}
