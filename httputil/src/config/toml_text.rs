//! TOML text → tree with origins.
//!
//! `toml`'s own `Display` prints the source line, which may hold a secret; only its message and the place are used.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::position::Positions;
use super::tree::{Entry, Node, Table, Value};
use crate::error::{Origin, Problem};

/// Syntax errors shown of one file: after the first few, the rest are consequences.
const MOST_ERRORS: usize = 10;

/// A document that is no TOML.
pub(crate) struct Broken {
    pub(crate) problems: Vec<Problem>,
    /// What it says without the lines that are wrong, if that is TOML: its mistakes can be told at once.
    pub(crate) rest: Option<Table>,
}

/// Reads a document; `shown` is the path as messages show it.
pub(crate) fn parse_document(text: &str, shown: &Arc<PathBuf>) -> Result<Table, Broken> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let positions = Positions::new(text);
    let at = |offset: usize| {
        let (line, column) = positions.of(offset);
        Origin::File {
            path: Arc::clone(shown),
            line,
            column,
        }
    };
    let (document, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        return Ok(table(document.into_inner(), &at));
    }
    let mut problems: Vec<(usize, Problem)> = Vec::new();
    let mut lines = BTreeSet::new();
    for error in errors {
        let offset = error.span().map_or(0, |span| span.start);
        let line = positions.of(offset).0;
        // The parser goes on after an error, and what it meets on the same line is nearly always the same mistake.
        if lines.insert(line) && problems.len() < MOST_ERRORS {
            let rest = text.get(offset..).unwrap_or_default();
            let message = format!("not TOML: {}", plain_words(error.message(), rest));
            problems.push((line, Problem::at(at(offset), message)));
        }
    }
    // Keys are read before values, so they come out of order.
    problems.sort_by_key(|(line, _)| *line);
    let rest = without(text, &lines);
    let parsed = rest.as_deref().map(DeTable::parse_recoverable);
    Err(Broken {
        problems: problems.into_iter().map(|(_, problem)| problem).collect(),
        rest: parsed
            .filter(|(_, errors)| errors.is_empty())
            .map(|(rest, _)| table(rest.into_inner(), &at)),
    })
}

/// The text with these lines left blank, and of a table whose head is among them all lines: they would count as another's. None
/// where one of the lines begins or ends what others hold.
fn without(text: &str, lines: &BTreeSet<usize>) -> Option<String> {
    let mut is_headless = false;
    let kept = text.split('\n').enumerate().map(|(index, line)| {
        let is_wrong = lines.contains(&(index + 1));
        let is_head = line.trim_start().starts_with('[');
        if is_head {
            is_headless = is_wrong;
        }
        if is_wrong && !is_head && !is_closed(line) {
            return None;
        }
        // As many bytes, so that all places stay the same.
        let is_blank = is_wrong || is_headless;
        Some(if is_blank {
            " ".repeat(line.len())
        } else {
            line.to_owned()
        })
    });
    let kept: Vec<String> = kept.collect::<Option<_>>()?;
    Some(kept.join("\n"))
}

/// Whether a line has as many closing brackets as opening ones, and no quotes that go over several lines.
fn is_closed(line: &str) -> bool {
    let count = |bracket: char| line.matches(bracket).count();
    let is_long = ["\"\"\"", "'''"].iter().any(|quotes| line.contains(quotes));
    count('{') == count('}') && count('[') == count(']') && !is_long
}

/// Reads one value, such as an inline table, that stands in a variable or in code; all of it has that origin.
pub(crate) fn parse_value(text: &str, origin: &Origin) -> Result<Node, String> {
    let (value, errors) = DeValue::parse_recoverable(text);
    match errors.first() {
        Some(error) => {
            let rest = error.span().and_then(|span| text.get(span.start..)).unwrap_or_default();
            Err(format!("not TOML: {}", plain_words(error.message(), rest)))
        }
        None => Ok(node(value, &|_| origin.clone())),
    }
}

/// The parser's words where they help, ours where a user would not know them; `rest` is the text from where it met the error.
fn plain_words<'a>(message: &'a str, rest: &str) -> &'a str {
    let word = rest
        .split(|next: char| !next.is_alphanumeric())
        .next()
        .unwrap_or_default();
    // A word that begins as `nan`, `inf`, a flag or a number does, or a number with more behind it: `none`, `0.5s`.
    let is_unquoted = matches!(
        message,
        "string values must be quoted, expected literal string"
            | "invalid float, expected `nan`"
            | "invalid float, expected `inf`"
            | "invalid float, expected nothing"
            | "invalid mantissa, expected digits"
    );
    let begins_with = |some: &[char]| rest.trim_start_matches([' ', '\t']).starts_with(some);
    match message {
        _ if begins_with(&['“', '”', '„', '‘', '’', '‚', '«', '»']) => {
            "text must stand in straight quotes, \" or '"
        }
        _ if is_unquoted && ["yes", "no", "on", "off"].contains(&word) => "expected true or false, or text in quotes",
        _ if is_unquoted && ["null", "nil", "None"].contains(&word) => {
            "TOML has no such value; leave the key out, or write \"none\" in quotes where it switches off"
        }
        _ if message.starts_with("unexpected key or value") && rest.starts_with("//") => "a comment begins with #",
        _ if message.starts_with("unexpected key or value") && rest.starts_with([',', ';']) => {
            "nothing stands between a value and the end of its line"
        }
        "string values must be quoted, expected literal string"
            if begins_with(&['\n', '\r', '#']) || rest.is_empty() =>
        {
            "a key without a value, expected one after `=`"
        }
        _ if message.contains("unicode value digits") || message.starts_with("missing escaped value") => {
            "a backslash begins an escape in such quotes; a path with backslashes stands in single quotes, or is written with /"
        }
        "cannot recurse further; max recursion depth met" | "recursion limit" => "nested too deeply",
        "duplicate key" => "this key or table is written twice",
        _ if is_unquoted => "text must stand in quotes",
        "invalid boolean, expected `true`" => "expected true, or text in quotes",
        "invalid boolean, expected `false`" => "expected false, or text in quotes",
        "unexpected leading zero, expected nothing" => "a number begins with no zero; text must stand in quotes",
        _ if message.starts_with("key with no value") => "a key without a value, expected `=`",
        _ if message.starts_with("invalid basic string") => {
            "a text that is not well-formed, or whose quotes are not closed"
        }
        _ => message,
    }
}

fn table(table: DeTable<'_>, at: &impl Fn(usize) -> Origin) -> Table {
    let entry = |(key, value): (Spanned<_>, Spanned<DeValue<'_>>)| {
        let origin = at(key.span().start);
        let is_headed = value.span().start < key.span().start;
        let name: std::borrow::Cow<'_, str> = key.into_inner();
        let mut node = node(value, at);
        if matches!(node.value, Value::Table(_)) || is_headed {
            // The span of a table, and of a list of tables, is its header's, or none where only its children have one: its key is
            // what people look for.
            node.origin = origin.clone();
        }
        (name.into_owned(), Entry { key: origin, node })
    };
    table.into_iter().map(entry).collect()
}

fn node(value: Spanned<DeValue<'_>>, at: &impl Fn(usize) -> Origin) -> Node {
    let origin = at(value.span().start);
    let value = match value.into_inner() {
        DeValue::String(text) => Value::Text(text.into_owned()),
        // Beyond 128 bits every number is as much too large as the largest.
        DeValue::Integer(whole) => {
            let limit = if whole.as_str().starts_with('-') {
                i128::MIN
            } else {
                i128::MAX
            };
            Value::Whole(i128::from_str_radix(whole.as_str(), whole.radix()).unwrap_or(limit))
        }
        DeValue::Float(float) => Value::Float(float.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(flag) => Value::Flag(flag),
        DeValue::Datetime(date) => Value::Date(date.to_string()),
        DeValue::Array(list) => Value::List(list.into_iter().map(|value| node(value, at)).collect()),
        DeValue::Table(below) => Value::Table(table(below, at)),
    };
    Node::new(origin, value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tree::find;

    fn parse(text: &str) -> Result<Table, Broken> {
        parse_document(text, &Arc::new(PathBuf::from("f.toml")))
    }

    #[test]
    fn every_key_and_value_knows_its_place() {
        let table = parse("\u{feff}[a.b]\r\nc = 1\r\n\r\nd = { e = \"ä\", f = [true] }\r\n")
            .ok()
            .unwrap();
        let place = |path: &str| find(&table, path).unwrap().origin.to_string();
        assert_eq!(place("a.b.c"), "f.toml:2:5");
        assert_eq!(place("a.b.d"), "f.toml:4:1");
        assert_eq!(place("a.b.d.e"), "f.toml:4:11");
        assert_eq!(place("a.b.d.f"), "f.toml:4:20");
        assert_eq!(place("a"), "f.toml:1:2");
    }

    #[test]
    fn what_is_not_wrong_in_a_broken_document_keeps_its_place() {
        let rest = |text: &str| parse(text).err().unwrap().rest;
        let table = rest("[a]\n\"ä\" = x\nb = 1\n[c\nd = 2\n[e]\nf = 3\n").unwrap();
        let place = |path: &str| find(&table, path).unwrap().origin.to_string();
        assert_eq!(
            (place("a.b"), place("e.f")),
            ("f.toml:3:5".to_owned(), "f.toml:7:5".to_owned())
        );
        assert!(find(&table, "a.d").is_none() && find(&table, "c").is_none());
        // What the wrong line has begun does not end.
        assert!(rest("[a]\nb = x [\n 'c',\n]\nd = 1\n").is_none());
    }

    #[test]
    fn no_number_is_too_large_to_be_read() {
        let digits = "9".repeat(60);
        let table = parse(&format!("a = {digits}\nb = -{digits}\nc = 0xff\nd = 1_000"))
            .ok()
            .unwrap();
        let whole = |path: &str| match find(&table, path).unwrap().value {
            Value::Whole(whole) => whole,
            _ => panic!("not a whole number"),
        };
        assert_eq!(
            (whole("a"), whole("b"), whole("c"), whole("d")),
            (i128::MAX, i128::MIN, 255, 1000)
        );
    }
}
