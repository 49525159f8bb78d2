//! Sizes in bytes: `"64KiB"`, `"10MB"`.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};

const WANTED: &str = "expected a size such as \"64KiB\" or \"10MB\"";

const UNITS: [(&str, u64); 8] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
    ("kB", 1_000),
    ("B", 1),
];

/// A size as it stands in a file, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SizeText(pub(crate) u64);

/// Reads one whole number with a unit; the error says what would be right.
pub(crate) fn parse_size(text: &str) -> Result<u64, Cow<'static, str>> {
    if text
        .strip_prefix('-')
        .is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
    {
        return Err("a size can't be negative".into());
    }
    let digits = text.find(|next: char| !next.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    if number.is_empty() || unit.is_empty() {
        return Err(WANTED.into());
    }
    if unit.starts_with(['.', ',']) {
        return Err("expected a whole number, such as \"1536KiB\", not a fraction".into());
    }
    let Some((_, factor)) = UNITS.iter().find(|(name, _)| *name == unit) else {
        if unit.chars().all(|letter| letter.is_ascii_alphabetic()) {
            return Err(format!("unknown unit {unit:?}; the units are B, KB, MB, GB, KiB, MiB and GiB").into());
        }
        return Err(WANTED.into());
    };
    number
        .parse()
        .ok()
        .and_then(|number: u64| number.checked_mul(*factor))
        .ok_or_else(|| "too large a size".into())
}

/// Writes a size as it would be written in a file.
pub(crate) fn show_size(bytes: u64) -> String {
    let (unit, factor) = UNITS
        .into_iter()
        .find(|(name, factor)| {
            (name.ends_with("iB") || *name == "B") && bytes >= *factor && bytes.is_multiple_of(*factor)
        })
        .unwrap_or(("B", 1));
    format!("{}{unit}", bytes / factor)
}

impl<'de> Deserialize<'de> for SizeText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<SizeText, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_size(&text).map(SizeText).map_err(de::Error::custom)
    }
}

impl JsonSchema for SizeText {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "x-kind": "size",
            "pattern": "^[0-9]+(B|kB|KB|MB|GB|KiB|MiB|GiB)$"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_decimal_or_binary() {
        for (text, bytes) in [
            ("64KiB", 65_536),
            ("10MB", 10_000_000),
            ("1GiB", 1 << 30),
            ("7B", 7),
            ("0B", 0),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_written_back_reads_the_same() {
        for bytes in [0, 1, 1000, 65_536, 2 << 20, 10_000_000, u64::MAX] {
            assert_eq!(parse_size(&show_size(bytes)), Ok(bytes));
        }
        assert_eq!(show_size(16 << 20), "16MiB");
    }

    #[test]
    fn each_mistake_has_its_own_words() {
        for (text, words) in [
            ("", "such as"),
            ("65536", "such as"),
            ("64 KiB", "such as"),
            ("-1B", "negative"),
            ("1.5MiB", "fraction"),
            ("64kib", "unknown unit \"kib\""),
            ("64K", "unknown unit \"K\""),
            ("99999999999999999999B", "too large"),
            ("99999999999999GiB", "too large"),
        ] {
            let error = parse_size(text).unwrap_err();
            assert!(error.contains(words), "{text:?}: {error}");
        }
    }
}
