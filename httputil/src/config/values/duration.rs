//! Durations: `"250ms"`, `"30s"`, `"1m30s"`.

use std::borrow::Cow;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};

const WANTED: &str = "expected a duration such as \"10s\" or \"250ms\"";

/// Longer is surely a mistake, and adding it to an `Instant` could overflow.
const LONGEST: Duration = Duration::from_hours(365 * 24);

/// Units from large to small, in microseconds.
const UNITS: [(&str, u128); 5] = [
    ("h", 3_600_000_000),
    ("m", 60_000_000),
    ("s", 1_000_000),
    ("ms", 1_000),
    ("us", 1),
];

/// A duration as it stands in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DurationText(pub(crate) Duration);

/// Reads whole numbers with units, large units first; the error says what would be right.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, Cow<'static, str>> {
    if text
        .strip_prefix('-')
        .is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
    {
        return Err("a duration can't be negative".into());
    }
    let mut rest = text;
    let mut total: u128 = 0;
    let mut smallest = UNITS.len();
    let mut first = true;
    while first || !rest.is_empty() {
        let digits = rest.find(|next: char| !next.is_ascii_digit()).unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        if number.is_empty() {
            return Err(WANTED.into());
        }
        if after.starts_with(['.', ',']) {
            return Err("expected whole numbers, such as \"1s500ms\", not a fraction".into());
        }
        let letters = after
            .find(|next: char| !next.is_ascii_alphabetic())
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        if unit.is_empty() {
            return Err(WANTED.into());
        }
        let Some(position) = UNITS.iter().position(|(name, _)| *name == unit) else {
            return Err(format!("unknown unit {unit:?}; the units are h, m, s, ms and us").into());
        };
        if !first && position <= smallest {
            return Err("units go from large to small, each once, such as \"1m30s\"".into());
        }
        // A number too long for u128 is too long for a year as well.
        let micros = number
            .parse()
            .ok()
            .and_then(|number: u128| number.checked_mul(UNITS[position].1));
        let sum = micros.and_then(|micros| total.checked_add(micros));
        match sum {
            Some(sum) if sum <= LONGEST.as_micros() => total = sum,
            _ => return Err("too long; the longest duration is a year, \"8760h\"".into()),
        }
        smallest = position;
        first = false;
        rest = after;
    }
    Ok(Duration::from_micros(u64::try_from(total).unwrap_or(u64::MAX)))
}

/// Writes a duration as it would be written in a file.
pub(crate) fn show_duration(duration: Duration) -> String {
    let mut rest = duration.as_micros();
    let mut text = String::new();
    for (unit, micros) in UNITS {
        if rest >= micros {
            text.extend([(rest / micros).to_string().as_str(), unit]);
            rest %= micros;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

impl<'de> Deserialize<'de> for DurationText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<DurationText, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_duration(&text).map(DurationText).map_err(de::Error::custom)
    }
}

impl JsonSchema for DurationText {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "x-kind": "duration",
            "minLength": 2,
            "pattern": "^([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?([0-9]+us)?$"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_with_units_add_up() {
        for (text, millis) in [
            ("250ms", 250),
            ("30s", 30_000),
            ("1m30s", 90_000),
            ("2h", 7_200_000),
            ("0s", 0),
            ("1h1m1s1ms", 3_661_001),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        assert_eq!(parse_duration("8760h"), Ok(LONGEST));
    }

    #[test]
    fn what_is_written_back_reads_the_same() {
        for text in ["250ms", "30s", "1m30s", "2h", "0s", "1h1m1s1ms1us", "10m"] {
            assert_eq!(show_duration(parse_duration(text).unwrap()), text);
        }
    }

    #[test]
    fn each_mistake_has_its_own_words() {
        for (text, words) in [
            ("", "such as"),
            ("10", "such as"),
            ("s", "such as"),
            (" 10s", "such as"),
            ("10 s", "such as"),
            ("ten seconds", "such as"),
            ("\u{0663}s", "such as"),
            ("-5s", "negative"),
            ("1.5s", "fraction"),
            ("10sec", "unknown unit \"sec\""),
            ("10S", "unknown unit \"S\""),
            ("1d", "unknown unit \"d\""),
            ("1s1m", "large to small"),
            ("1s1s", "large to small"),
            ("8760h1us", "too long"),
            ("99999999999999999999h", "too long"),
            ("99999999999999999999999999999999999999999999999999s", "too long"),
        ] {
            let error = parse_duration(text).unwrap_err();
            assert!(error.contains(words), "{text:?}: {error}");
        }
    }
}
