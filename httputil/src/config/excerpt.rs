//! The line that a problem is about, with its key underlined and nothing of its value.
//!
//! ```text
//! 2 | idel_timeout = …
//!   | ^^^^^^^^^^^^
//! ```
//!
//! A value may be a secret, whatever its key, so an excerpt is put together from what is surely a key: from the spans
//! that the parser gives, or, in a text that is no TOML, where anything may be part of a value, from the words that our
//! keys are made of. What is neither is left out, and then there is no excerpt.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::de::{DeTable, DeValue};

use super::names::{DEFAULT, GLOBAL, REGISTRY};
use super::position::Positions;
use super::schema::{Section, registry_schema, schema};
use crate::error::{Excerpt, Origin, Problem, is_visible};

/// Longer lines are not for people; it bounds the work for a hostile file too.
const LONGEST_LINE: usize = 2000;
const LONGEST_KEY: usize = 100;

/// A text that was read, so that its lines can be shown, and what is beside it can be found.
pub(crate) struct Source {
    shown: Arc<PathBuf>,
    folder: Option<PathBuf>,
    text: String,
}

impl Source {
    /// `shown` is the path as messages show it; relative paths in the text are relative to `folder`.
    pub(super) fn new(shown: Arc<PathBuf>, folder: Option<&Path>, text: &str) -> Source {
        Source {
            shown,
            folder: folder.map(Path::to_owned),
            text: text.strip_prefix('\u{feff}').unwrap_or(text).to_owned(),
        }
    }

    /// The folder that relative paths are relative to, if this is the text that is shown so.
    pub(super) fn folder_of(&self, shown: &Path) -> Option<&Path> {
        self.folder.as_deref().filter(|_| *self.shown == shown)
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }
}

/// Gives each problem the line that it is about, where that can be shown.
pub(super) fn underline(sources: &[Source], problems: &mut [Problem]) {
    for source in sources {
        let mut lines = None;
        for problem in &mut *problems {
            if let Some(Origin::File { path, line, column }) = problem.origin()
                && *path == source.shown
            {
                let place = (*line, *column);
                let lines = lines.get_or_insert_with(|| Lines::of(&source.text));
                if let Some(excerpt) = lines.excerpt(place) {
                    problem.underline(excerpt);
                }
            }
        }
    }
}

/// A text's lines, and its keys if it is TOML.
struct Lines<'a> {
    text: &'a str,
    positions: Positions<'a>,
    /// Where each key is written, in the order of the text; `None` if the text is no TOML.
    keys: Option<Vec<Range<usize>>>,
}

impl<'a> Lines<'a> {
    fn of(text: &'a str) -> Lines<'a> {
        let (document, errors) = DeTable::parse_recoverable(text);
        let keys = errors.is_empty().then(|| {
            let mut keys = Vec::new();
            collect_keys(document.get_ref(), &mut keys);
            keys.sort_by_key(|key| (key.start, key.end));
            // Of a table written in parts, `[a.b]` and `[a.c]`, each part may have the key's first place.
            keys.dedup();
            keys
        });
        Lines {
            text,
            positions: Positions::new(text),
            keys,
        }
    }

    fn excerpt(&self, (line, column): (usize, usize)) -> Option<Excerpt> {
        let range = self.positions.line(line).filter(|line| line.len() <= LONGEST_LINE)?;
        let Some(keys) = &self.keys else {
            return of_words(line, &self.text[range]);
        };
        let within: String = self.text[range.clone()].chars().take(column - 1).collect();
        let offset = range.start + within.len();
        let last = keys.partition_point(|key| key.start <= offset).checked_sub(1)?;
        // An item of a list stands below the line of its key.
        let (line, _) = self.positions.of(keys[last].start);
        let range = self.positions.line(line).filter(|line| line.len() <= LONGEST_LINE)?;
        self.of_keys(line, &range, keys, last)
    }

    /// The dotted key that `which` is a part of, in its line.
    fn of_keys(&self, line: usize, range: &Range<usize>, keys: &[Range<usize>], which: usize) -> Option<Excerpt> {
        let joined = |left: &Range<usize>, right: &Range<usize>| {
            let between = self.text.get(left.end..right.start).unwrap_or_default();
            between.trim_matches([' ', '\t']) == "."
        };
        let first = (1..=which)
            .rev()
            .take_while(|index| joined(&keys[index - 1], &keys[*index]))
            .last()
            .map_or(which, |index| index - 1);
        let last = (which + 1..keys.len())
            .take_while(|index| joined(&keys[index - 1], &keys[*index]))
            .last()
            .unwrap_or(which);
        let start = keys[first].start;
        let written = self.text.get(range.start..start)?.trim_start_matches([' ', '\t']);
        let rest = written.trim_start_matches('[');
        let brackets = &written[..written.len() - rest.len()];
        // The parser gives the span of `a` in `[a.b]` only where it met `a` first.
        let repeated = rest.bytes().all(is_of_bare_keys) && (rest.is_empty() || rest.trim_end().ends_with('.'));
        let (before, start) = if repeated && brackets.len() <= 2 {
            (brackets, start - rest.len())
        } else if brackets.is_empty() {
            ("… ", start)
        } else {
            return None;
        };
        let path = self.text.get(start..keys[last].end)?;
        let start = keys[which].start - start;
        shown(line, before, path, start..start + keys[which].len())
    }
}

/// What can stand in `a . b-c`, and in no value that a key could follow in its line.
fn is_of_bare_keys(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_-. \t".contains(&byte)
}

/// Every key of a table, at any depth.
fn collect_keys(table: &DeTable<'_>, keys: &mut Vec<Range<usize>>) {
    fn of_value(value: &DeValue<'_>, keys: &mut Vec<Range<usize>>) {
        match value {
            DeValue::Table(table) => collect_keys(table, keys),
            DeValue::Array(list) => list.iter().for_each(|value| of_value(value.get_ref(), keys)),
            _ => {}
        }
    }
    for (key, value) in table {
        keys.push(key.span());
        of_value(value.get_ref(), keys);
    }
}

/// The key at the beginning of a line of which nothing is certain, if it is made of words of ours.
fn of_words(line: usize, text: &str) -> Option<Excerpt> {
    let text = text.trim_start_matches([' ', '\t']);
    let path = text.trim_start_matches('[');
    let before = text.get(..text.len() - path.len()).filter(|before| before.len() <= 2)?;
    let end = path
        .find(|next: char| !(next.is_ascii_alphanumeric() || next == '_' || next == '.'))
        .unwrap_or(path.len());
    let path = &path[..end];
    let known = words();
    if !path.split('.').all(|word| known.contains(word)) {
        return None;
    }
    shown(line, before, path, 0..path.len())
}

/// The words that our keys are made of.
fn words() -> BTreeSet<&'static str> {
    fn add(section: &'static Section, words: &mut BTreeSet<&'static str>) {
        for (name, key) in &section.keys {
            words.insert(name);
            if let super::schema::Kind::Section(section) = &key.kind {
                add(section, words);
            }
        }
    }
    let mut words = BTreeSet::from([DEFAULT, GLOBAL, REGISTRY]);
    add(schema(), &mut words);
    add(registry_schema(), &mut words);
    words
}

/// The line as it is shown; `key` is what is underlined of `path`.
fn shown(line: usize, before: &str, path: &str, key: Range<usize>) -> Option<Excerpt> {
    if path.len() > LONGEST_KEY || !path.chars().all(|next| next == '\t' || is_visible(next)) {
        return None;
    }
    let after = match before {
        "[" => "]",
        "[[" => "]]",
        _ => " = …",
    };
    let characters = |text: &str| text.chars().count();
    Some(Excerpt {
        line,
        start: characters(before) + characters(path.get(..key.start)?),
        width: characters(path.get(key)?),
        text: format!("{before}{}{after}", path.replace('\t', " ")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn excerpt(text: &str, place: (usize, usize)) -> Option<String> {
        Lines::of(text).excerpt(place).map(|excerpt| excerpt.to_string())
    }

    #[test]
    fn the_key_is_underlined_whether_it_or_its_value_is_meant() {
        let text = "[a.pool]\n  max_idle = -1 # canary\n";
        let shown = "2 | max_idle = …\n  | ^^^^^^^^";
        assert_eq!(excerpt(text, (2, 3)).as_deref(), Some(shown));
        assert_eq!(excerpt(text, (2, 14)).as_deref(), Some(shown));
        assert_eq!(excerpt(text, (1, 4)).as_deref(), Some("1 | [a.pool]\n  |    ^^^^"));
    }

    #[test]
    fn only_keys_are_shown_of_a_line_that_holds_several() {
        let text = "[b]\na = { token = \"canary\", \"e e\" . f = 1, g = [\"canary\"] }";
        assert_eq!(
            excerpt(text, (2, 33)).as_deref(),
            Some("2 | … \"e e\" . f = …\n  |           ^")
        );
        assert_eq!(excerpt(text, (2, 46)).as_deref(), Some("2 | … g = …\n  |   ^"));
    }

    #[test]
    fn a_table_written_in_parts_is_shown_as_it_is_written() {
        let text = "[a.b]\n[a.c]\nd.e = 1\nd.f = 2\n[\"g h\".i]\n[\"g h\".j]";
        assert_eq!(excerpt(text, (2, 4)).as_deref(), Some("2 | [a.c]\n  |    ^"));
        assert_eq!(excerpt(text, (4, 7)).as_deref(), Some("4 | d.f = …\n  |   ^"));
        assert_eq!(excerpt(text, (5, 8)).as_deref(), Some("5 | [\"g h\".i]\n  |        ^"));
        assert_eq!(excerpt(text, (6, 8)), None);
    }

    #[test]
    fn an_item_of_a_list_is_shown_by_the_line_of_its_key() {
        let text = "[a.pool]\nwarm = [\n  \"https://fine\",\n  \"https://u:canary@h\",\n]";
        assert_eq!(excerpt(text, (4, 3)).as_deref(), Some("2 | warm = …\n  | ^^^^"));
    }

    #[test]
    fn of_a_text_that_is_no_toml_only_words_of_ours_are_shown() {
        for (line, expected) in [
            ("timeout = canary", Some("1 | timeout = …\n  | ^^^^^^^")),
            (
                "  pool.max_idle = canary",
                Some("1 | pool.max_idle = …\n  | ^^^^^^^^^^^^^"),
            ),
            ("canary = = 1", None),
            ("canary canary", None),
            ("timeout.canary = = 1", None),
            ("[canary", None),
            ("[default", Some("1 | [default]\n  |  ^^^^^^^")),
            ("MIIEvgIBADANBg==", None),
        ] {
            assert_eq!(excerpt(line, (1, line.len())).as_deref(), expected, "{line}");
        }
    }

    #[test]
    fn what_a_terminal_would_obey_or_nobody_could_read_is_not_shown() {
        assert_eq!(excerpt("\"a\u{202e}b\" = 1", (1, 1)), None);
        assert_eq!(excerpt(&format!("{} = 1", "a".repeat(101)), (1, 1)), None);
        assert_eq!(excerpt(&format!("a = \"{}\"", "b".repeat(3000)), (1, 1)), None);
    }
}
