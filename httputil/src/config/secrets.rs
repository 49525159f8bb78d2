//! Secrets that are kept elsewhere: `{ file = "…" }`, `{ env = "…" }`.
//!
//! A layer's check makes a [`Elsewhere`] of such a table, so that it is replaced as a whole by a stronger layer; the one
//! that counts is fetched after the layers were merged. A secret that is shadowed is not fetched, and not missed. In a
//! service's `settings` only the type that is asked for says what is a secret; it is fetched when the service reads it.

use std::borrow::Cow;
use std::path::Path;

use super::kind::beneath;
use super::layer::{name_beside, shown_key};
use super::merge::Chain;
use super::problems::Problems;
use super::toml_text::parse_value;
use super::tree::{Entry, Node, Table, Value};
use crate::error::{Origin, Problem, ShownPath};
use crate::files;
use crate::settings::{Environment, check_token};

/// Where a secret is kept.
#[derive(Clone)]
pub(crate) enum Elsewhere {
    /// In a file, whose last line end does not count.
    File(String),
    /// In a variable.
    Variable(String),
}

pub(crate) const WANTED: &str = "expected a text, { file = \"…\" } or { env = \"…\" }";

/// Checks a secret, and gives it the form that is merged.
pub(crate) fn check(node: &mut Node, folder: Option<&Path>) -> Result<(), Cow<'static, str>> {
    // In a file such a text is no table either, and was meant as one.
    if let Value::Raw(text) | Value::Text(text) = &node.value
        && may_be_a_table(text)
    {
        *node = match (&node.value, parse_value(text.trim(), &node.origin)) {
            (Value::Raw(_), Ok(table)) => table,
            (Value::Raw(_), Err(_)) => {
                return Err(
                    "a table such as { file = \"…\" } needs its quotes; a secret that begins with { is kept in a file"
                        .into(),
                );
            }
            _ => {
                return Err(
                    "a table stands in no quotes, { file = \"…\" }; a secret that begins with { is kept in a file"
                        .into(),
                );
            }
        };
    }
    let table = match &node.value {
        Value::Text(text) | Value::Raw(text) if text.is_empty() => {
            return Err("expected a text that is not empty".into());
        }
        Value::Text(_) | Value::Raw(_) => return Ok(()),
        Value::Table(table) => table,
        _ => return Err(WANTED.into()),
    };
    let mut entries = table.iter();
    let (Some((word, entry)), None) = (entries.next(), entries.next()) else {
        return Err(WANTED.into());
    };
    let text = entry.node.as_text().ok_or(WANTED)?;
    match word.as_str() {
        "file" if text.is_empty() => return Err("the path of the file is empty".into()),
        "env" if text.is_empty() => return Err("the name of the variable is empty".into()),
        "file" if files::is_token(text) => return Err("the path of a file is wanted, not the secret itself".into()),
        _ => {}
    }
    let elsewhere = match word.as_str() {
        "file" => Elsewhere::File(beneath(folder, text)?),
        "env" => Elsewhere::Variable(text.to_owned()),
        _ => return Err(WANTED.into()),
    };
    node.value = Value::Elsewhere(elsewhere);
    Ok(())
}

/// Whether a text begins as a table does, and as no JSON, such as a header may hold.
fn may_be_a_table(text: &str) -> bool {
    let inner = text.trim_start().strip_prefix('{').map(str::trim_start);
    inner.is_some_and(|inner| !inner.starts_with(['"', '}']))
}

/// Fetches the secrets of a profile. Those that cannot be had are taken out, and told.
pub(crate) fn fetch(merged: &mut Table, chain: &Chain<'_>, environment: &Environment, problems: &mut Problems) {
    fetch_below(merged, "", &mut |path, node| {
        let Value::Elsewhere(elsewhere) = &node.value else {
            return true;
        };
        let fetched_text = elsewhere.fetch(environment).and_then(|text| match check_token(&text) {
            // What does not come from a file is checked with all other texts.
            Err(why) if path == "auth.bearer" && matches!(elsewhere, Elsewhere::File(_)) => {
                Err(format!("{}: {why}", elsewhere.shown()))
            }
            _ => Ok(text),
        });
        match fetched_text {
            Ok(text) => {
                node.value = fetched(path, &node.origin, elsewhere, text);
                true
            }
            Err(why) => {
                // Said once, of the table that it is written in.
                let table = chain.written(path).next().map_or("", |(table, _)| table);
                let name = name_beside(&node.origin, table, path);
                problems.add(|| Problem::at(node.origin.clone(), format!("{name}{why}")));
                false
            }
        }
    });
}

/// The form that is extracted: of a header it says that it is a secret, of a token from which file it came.
fn fetched(path: &str, origin: &Origin, elsewhere: &Elsewhere, text: String) -> Value {
    let table = |word: &str, text: String| {
        let entry = Entry {
            key: origin.clone(),
            node: Node::new(origin.clone(), Value::Text(text)),
        };
        Value::Table(Table::from([(word.to_owned(), entry)]))
    };
    match elsewhere {
        _ if path.starts_with("headers.") => table("secret", text),
        Elsewhere::File(file) if ["auth.bearer", "auth.oauth2.client_secret"].contains(&path) => {
            table("file", file.clone())
        }
        _ => Value::Text(text),
    }
}

fn fetch_below(table: &mut Table, above: &str, each: &mut impl FnMut(&str, &mut Node) -> bool) {
    table.retain(|name, entry| {
        let path = match above {
            "" => name.clone(),
            above => format!("{above}.{name}"),
        };
        match &mut entry.node.value {
            Value::Table(table) => {
                fetch_below(table, &path, each);
                true
            }
            _ => each(&path, &mut entry.node),
        }
    });
}

impl Elsewhere {
    /// Where that is, for a message.
    fn shown(&self) -> String {
        match self {
            Elsewhere::File(path) => format!("the file {}", ShownPath(Path::new(path))),
            Elsewhere::Variable(name) => format!("the variable {}", shown_key(name)),
        }
    }

    /// Fetches the secret. The error says what is missing, never what is there.
    pub(super) fn fetch(&self, environment: &Environment) -> Result<String, String> {
        match self {
            Elsewhere::Variable(name) => {
                let value = environment.get(name).filter(|value| !value.is_empty());
                let value = value.ok_or_else(|| format!("{} is not set", self.shown()))?;
                let text = value.to_str().map(str::to_owned);
                text.ok_or_else(|| format!("{} is not UTF-8", self.shown()))
            }
            Elsewhere::File(path) => files::secret(Path::new(path)),
        }
    }
}
