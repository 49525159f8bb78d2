//! A value that is not of the type that was asked for, said in the user's words.

use std::fmt;

use serde::de::{self, Expected, Unexpected};

use super::names::did_you_mean;
use super::tree::{Node, Value};
use crate::error::Origin;

/// Why a value could not be read as a type. Never repeats the value.
#[derive(Clone, Debug)]
pub(crate) struct Misfit {
    message: String,
    /// Whether the message was written elsewhere and might repeat the value.
    foreign: bool,
    path: Vec<String>,
    origin: Option<Origin>,
    /// Whether the origin is a key's that is the trouble.
    of_key: bool,
    /// The key that is missing, if that is the trouble.
    missing: Option<&'static str>,
}

impl Misfit {
    pub(crate) fn new(message: String) -> Misfit {
        Misfit {
            message,
            foreign: false,
            path: Vec::new(),
            origin: None,
            of_key: false,
            missing: None,
        }
    }

    /// Where the value stands; the innermost place counts.
    pub(crate) fn at(mut self, node: &Node) -> Misfit {
        if self.foreign {
            self.message = without_value(&self.message, &node.value);
            self.foreign = false;
        }
        self.origin.get_or_insert_with(|| node.origin.clone());
        self
    }

    /// Where the key stands that is the trouble.
    pub(crate) fn at_key(mut self, key: &Origin) -> Misfit {
        self.foreign = false;
        self.of_key |= self.origin.is_none();
        self.origin.get_or_insert_with(|| key.clone());
        self
    }

    /// The value is below this key.
    pub(crate) fn within(mut self, key: &str) -> Misfit {
        self.path.insert(0, key.to_owned());
        self
    }

    /// It is a value further down, behind these keys, that is the trouble.
    pub(crate) fn of(mut self, keys: Vec<String>, origin: &Origin) -> Misfit {
        self.path = keys;
        self.origin = Some(origin.clone());
        self
    }

    /// The keys below the value that was asked for.
    pub(crate) fn keys(&self) -> &[String] {
        &self.path
    }

    /// The same, each with a dot before it.
    pub(crate) fn path(&self) -> String {
        self.path.iter().flat_map(|key| [".", key]).collect()
    }

    pub(crate) fn origin(&self) -> Option<&Origin> {
        self.origin.as_ref()
    }

    /// Whether a key is the trouble, and not its value.
    pub(crate) fn is_of_key(&self) -> bool {
        self.of_key
    }

    /// The key that is missing, if that is the trouble.
    pub(crate) fn missing(&self) -> Option<&'static str> {
        self.missing
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// The message without what was found.
    pub(crate) fn wanted(&self) -> &str {
        let wanted = self.message.split_once(", found ");
        wanted.map_or(&self.message, |(wanted, _)| wanted)
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Misfit {}

impl de::Error for Misfit {
    fn custom<T: fmt::Display>(message: T) -> Misfit {
        Misfit {
            foreign: true,
            ..Misfit::new(message.to_string())
        }
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Misfit {
        Misfit::new(format!(
            "expected {}, found {}",
            in_words(&expected.to_string()),
            kind_of(found)
        ))
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Misfit {
        Misfit::new(format!("expected {}", in_words(&expected.to_string())))
    }

    fn invalid_length(length: usize, expected: &dyn Expected) -> Misfit {
        Misfit::new(format!(
            "expected {}, found {}",
            in_words(&expected.to_string()),
            if length == 1 {
                "1 value".to_owned()
            } else {
                format!("{length} values")
            }
        ))
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Misfit {
        let values: Vec<String> = expected.iter().map(|value| format!("\"{value}\"")).collect();
        Misfit::new(format!("expected {}", values.join(" or ")))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Misfit {
        let shown = super::layer::shown_key(field);
        let hint = did_you_mean(field, expected.iter().copied());
        Misfit::new(match (hint.as_str(), expected) {
            ("", []) => format!("unknown key {shown}; no key is known here"),
            ("", _) => format!("unknown key {shown}; the keys here are {}", expected.join(", ")),
            _ => format!("unknown key {shown}{hint}"),
        })
    }

    fn missing_field(field: &'static str) -> Misfit {
        Misfit {
            missing: Some(field),
            ..Misfit::new(format!("the key {field} is missing"))
        }
    }

    fn duplicate_field(field: &'static str) -> Misfit {
        Misfit::new(format!("the key {field} is given twice"))
    }
}

/// A message written elsewhere, such as in a `FromStr` of the user's, which may repeat the value or a part of it.
fn without_value(message: &str, value: &Value) -> String {
    let value = match value {
        Value::Text(text) | Value::Raw(text) | Value::Date(text) => text.clone(),
        Value::Whole(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        _ if message.starts_with(UNTAGGED) => return NO_FORM.to_owned(),
        // Of a list or a table any part might be repeated.
        _ => return "this value does not fit".to_owned(),
    };
    let message = message.strip_suffix(&format!(": {value:?}")).unwrap_or(message);
    // It may be repeated in another form: `CANARY` for `canary`.
    let (value, lower) = (value.to_lowercase(), message.to_lowercase());
    let mut words = lower.split(|next: char| !next.is_alphanumeric());
    if message.starts_with(UNTAGGED) {
        NO_FORM.to_owned()
    } else if OF_URL.contains(&message) || message.ends_with("address syntax") {
        format!("expected {}", in_words(message))
    } else if words.any(|word| word.len() > 3 && value.contains(word)) || !value.is_empty() && lower.contains(&value) {
        "this value does not fit".to_owned()
    } else {
        message.to_owned()
    }
}

/// How serde begins to say that an untagged enum is in no variant's form.
const UNTAGGED: &str = "data did not match any variant";

const NO_FORM: &str = "this value is in none of the forms that the setting can have";

/// What `url` says about text that is no URL.
const OF_URL: [&str; 9] = [
    "empty host",
    "invalid international domain name",
    "invalid port number",
    "invalid IPv4 address",
    "invalid IPv6 address",
    "invalid domain character",
    "relative URL without a base",
    "relative URL with a cannot-be-a-base base",
    "URLs more than 4 GB are not supported",
];

/// serde's and `url`'s words for what was expected, in a user's.
fn in_words(expected: &str) -> String {
    let range = |min: i128, max: i128| format!("a whole number from {min} to {max}");
    if OF_URL.contains(&expected) {
        return format!("a URL such as \"https://collector:4318/v1/traces\" ({expected})");
    }
    match expected {
        "u8" => range(0, u8::MAX.into()),
        "u16" => range(0, u16::MAX.into()),
        "u32" => range(0, u32::MAX.into()),
        "u64" | "usize" | "u128" => "a whole number, 0 or more".to_owned(),
        "i8" => range(i8::MIN.into(), i8::MAX.into()),
        "i16" => range(i16::MIN.into(), i16::MAX.into()),
        "i32" => range(i32::MIN.into(), i32::MAX.into()),
        "i64" | "isize" | "i128" => "a whole number".to_owned(),
        "f32" | "f64" => "a number".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "a string" | "a str" | "a borrowed string" | "string" => "a text".to_owned(),
        "a string representing an URL" => "a URL such as \"https://collector:4318/v1/traces\"".to_owned(),
        "a character" => "a single character".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a map" => "a table".to_owned(),
        "string or map" => "a text or a table".to_owned(),
        "path string" => "a path".to_owned(),
        "IPv4 address" | "IPv6 address" => format!("an {expected}"),
        "invalid IPv4 address syntax" => "an IPv4 address".to_owned(),
        "invalid IPv6 address syntax" => "an IPv6 address".to_owned(),
        "IP address" | "invalid IP address syntax" => "an IP address".to_owned(),
        "socket address"
        | "IPv4 socket address"
        | "IPv6 socket address"
        | "invalid socket address syntax"
        | "invalid IPv4 socket address syntax"
        | "invalid IPv6 socket address syntax" => "an address with a port, such as \"127.0.0.1:8080\"".to_owned(),
        "a nonzero u32" | "a nonzero u64" | "a nonzero usize" | "a nonzero u16" | "a nonzero u8" => {
            "a whole number, 1 or more".to_owned()
        }
        other
            if ["struct ", "internally tagged enum ", "adjacently tagged enum "]
                .iter()
                .any(|kind| other.starts_with(kind)) =>
        {
            "a table".to_owned()
        }
        other if other.starts_with("enum ") => "a text or a table".to_owned(),
        other if other.starts_with("tuple ") => "a list".to_owned(),
        other if other.starts_with("a tuple of size ") => other.replace("a tuple of size", "a list of length"),
        other if other.starts_with("an array of length ") => other.replace("an array", "a list"),
        other => other.to_owned(),
    }
}

fn kind_of(found: Unexpected<'_>) -> &str {
    match found {
        Unexpected::Bool(_) => "true or false",
        Unexpected::Unsigned(_) | Unexpected::Signed(_) => "a whole number",
        Unexpected::Float(_) => "a number with a fraction",
        Unexpected::Char(_) | Unexpected::Str(_) | Unexpected::UnitVariant => "a text",
        Unexpected::Seq => "a list",
        Unexpected::Map => "a table",
        // Only ours: the words of `Value::what`.
        Unexpected::Other(what) => what,
        _ => "something else",
    }
}
