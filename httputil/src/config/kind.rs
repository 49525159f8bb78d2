//! One value against what its key may hold.

use std::borrow::Cow;
use std::path::Path;
use std::time::Duration;

use super::overrides::split_list;
use super::schema::{Key, Kind};
use super::secrets;
use super::tree::{Node, Value};
use super::values::{Item, check_header_text, parse_duration, parse_size, show_duration, show_size};
use super::{layer::quoted, names};
use crate::connect::check_url as check_proxy;
use crate::files::is_no_path;

/// Checks a value and gives it the form that serde will read: text from variables becomes what its key wants, a path
/// becomes relative to `folder`. The error says what would be right.
pub(crate) fn check(key: &Key, node: &mut Node, folder: Option<&Path>) -> Check<()> {
    let is_off = key.none && means_off(&node.value);
    check_form(key, node, folder).map_err(|why| match why {
        why if is_off && !why.contains("\"none\"") => format!("{why}; \"none\" switches it off").into(),
        why => why,
    })
}

/// Whether people write so what is to be switched off.
fn means_off(value: &Value) -> bool {
    match value {
        Value::Flag(flag) => !flag,
        Value::Whole(number) => *number == 0,
        Value::Raw(text) | Value::Text(text) => [
            "off",
            "none",
            "false",
            "no",
            "never",
            "disabled",
            "null",
            "nil",
            "0",
            "infinite",
            "infinity",
            "unlimited",
            "forever",
        ]
        .contains(&&*text.to_ascii_lowercase()),
        _ => false,
    }
}

fn check_form(key: &Key, node: &mut Node, folder: Option<&Path>) -> Check<()> {
    if node.as_text() == Some("none") {
        if key.none {
            return Ok(());
        }
        if matches!(
            key.kind,
            Kind::Duration { .. } | Kind::Size { .. } | Kind::Whole { .. } | Kind::Number { .. } | Kind::Path
        ) {
            return Err(format!("this can't be switched off; {}", wanted(key)).into());
        }
    }
    if key.auto && node.as_text() == Some("auto") {
        return Ok(());
    }
    match &key.kind {
        Kind::Duration { min, max } => check_duration(key, node, *min, *max)?,
        Kind::Size { min, max } => check_size(key, node, *min, *max)?,
        Kind::Whole { min, max } => node.value = Value::Whole(check_whole(key, node, *min, *max)?),
        Kind::Number { min, max } => node.value = Value::Float(check_number(key, node, *min, *max)?),
        Kind::Flag => {
            node.value = Value::Flag(match &node.value {
                Value::Flag(flag) => *flag,
                Value::Raw(text) => text.parse().map_err(|_| wanted(key))?,
                _ => return Err(wanted(key)),
            });
        }
        Kind::OneOf(values) => match &node.value {
            Value::Float(number) if values.contains(&number.to_string()) => {
                return Err(format!("write it in quotes, \"{number}\"").into());
            }
            _ => {
                if !node
                    .as_text()
                    .is_some_and(|text| values.iter().any(|value| value == text))
                {
                    return Err(wanted(key));
                }
            }
        },
        Kind::Text => {
            node.as_text().ok_or_else(|| wanted(key))?;
        }
        Kind::Header => check_header_text(node.as_text().ok_or_else(|| wanted(key))?)?,
        Kind::Name => {
            let text = node.as_text().filter(|text| names::is_name(text));
            if text.ok_or_else(|| wanted(key))? == "none" {
                return Err("this can't be switched off; without it the pool has the profile's name".into());
            }
        }
        Kind::Path => {
            let text = node
                .as_text()
                .filter(|text| !text.is_empty())
                .ok_or_else(|| wanted(key))?;
            node.value = Value::Text(beneath(folder, text)?);
        }
        Kind::Names => {
            let names = match &node.value {
                Value::Text(text) => vec![Node::new(node.origin.clone(), Value::Text(text.clone()))],
                Value::Raw(text) => split_list(text, &node.origin).map_err(|_| wanted(key))?,
                Value::List(names) => names.clone(),
                _ => return Err(wanted(key)),
            };
            if names.iter().any(|name| name.as_text().is_none()) {
                return Err(wanted(key));
            }
            node.value = Value::List(names);
        }
        Kind::Ruled(rule) => rule.check(node.as_text().ok_or_else(|| wanted(key))?)?,
        // The walk looks at each of them, since each has its own place.
        Kind::List(item) => {
            let items = match &node.value {
                Value::Text(_) if *item == Item::Base => vec![node.clone()],
                Value::Raw(text) => split_list(text, &node.origin).map_err(|_| wanted(key))?,
                Value::List(items) if items.is_empty() && *item == Item::Base => {
                    return Err(format!("{}; \"none\" switches it off", wanted(key)).into());
                }
                Value::List(items) => items.clone(),
                _ => return Err(wanted(key)),
            };
            node.value = Value::List(items);
        }
        Kind::Proxy => check_proxy(node.as_text().ok_or_else(|| wanted(key))?)?,
        Kind::Secret => secrets::check(node, folder)?,
        // The walk looks at each host, and at each header.
        Kind::Section(_) | Kind::Free | Kind::Addresses | Kind::Headers => {}
    }
    Ok(())
}

/// A path relative to `folder`. A tree holds text, and a path that was left as it is would be relative to another folder.
/// What surely is none is refused, and never to be shown.
pub(crate) fn beneath(folder: Option<&Path>, path: &str) -> Check<String> {
    if is_no_path(path) {
        let is_of_windows = path.get(1..2) == Some(":") && !path.contains("-----BEGIN");
        let backslashes = if is_of_windows {
            "; in a file, a path with backslashes stands in single quotes"
        } else {
            ""
        };
        return Err(format!("a path is wanted, not the file's text{backslashes}").into());
    }
    let joined = folder.map_or_else(|| Path::new(path).to_owned(), |folder| folder.join(path));
    let text = joined.into_os_string().into_string();
    text.map_err(|_| "the name of the file's folder is not UTF-8; write the whole path, from the root on".into())
}

type Check<T> = Result<T, Cow<'static, str>>;

fn check_duration(key: &Key, node: &Node, min: Duration, max: Option<Duration>) -> Check<()> {
    if let Value::Whole(number @ 1..) = node.value {
        return Err(format!("a duration is text with a unit; write \"{number}s\" or \"{number}ms\"").into());
    }
    let duration = parse_duration(node.as_text().ok_or_else(|| wanted(key))?)?;
    if duration.is_zero() && !min.is_zero() {
        return Err(zero(key));
    }
    if duration < min {
        return Err(format!("too short, at least \"{}\"", show_duration(min)).into());
    }
    match max {
        Some(max) if duration > max => Err(format!("too long, at most \"{}\"", show_duration(max)).into()),
        _ => Ok(()),
    }
}

fn check_size(key: &Key, node: &Node, min: u64, max: u64) -> Check<()> {
    if let Value::Whole(number @ 0..) = node.value {
        return Err(format!("a size is text with a unit; write \"{number}B\" or \"{number}KiB\"").into());
    }
    match parse_size(node.as_text().ok_or_else(|| wanted(key))?)? {
        0 if min > 0 => Err(zero(key)),
        size if size < min => Err(format!("too small, at least \"{}\"", show_size(min)).into()),
        size if size > max => Err(format!("too large, at most \"{}\"", show_size(max)).into()),
        _ => Ok(()),
    }
}

fn check_whole(key: &Key, node: &Node, min: i128, max: i128) -> Check<i128> {
    let number = match &node.value {
        Value::Whole(number) => *number,
        Value::Raw(text) => whole(text).ok_or_else(|| wanted(key))?,
        _ => return Err(wanted(key)),
    };
    match number {
        0 if min > 0 => Err(zero(key)),
        number if number > max => Err(format!("too large, at most {max}").into()),
        number if number < min => Err(wanted(key)),
        number => Ok(number),
    }
}

fn check_number(key: &Key, node: &Node, min: f64, max: f64) -> Check<f64> {
    let number = match &node.value {
        Value::Float(number) => Some(*number),
        // No bound is so large that a whole number would lose a digit.
        Value::Whole(number) => i32::try_from(*number).ok().map(f64::from),
        Value::Raw(text) => text.parse().ok(),
        _ => None,
    };
    number
        .filter(|number| (min..=max).contains(number))
        .ok_or_else(|| wanted(key))
}

fn zero(key: &Key) -> Cow<'static, str> {
    let off = if key.none { "; \"none\" switches it off" } else { "" };
    format!("zero makes no sense here{off}").into()
}

/// What a key may hold, in the user's words.
pub(crate) fn wanted(key: &Key) -> Cow<'static, str> {
    match &key.kind {
        Kind::Duration { .. } => "expected a duration such as \"10s\" or \"250ms\"".into(),
        Kind::Size { .. } => "expected a size such as \"64KiB\" or \"10MB\"".into(),
        Kind::Whole { min, max } if *max == i128::from(u32::MAX) => {
            let words = if key.auto { ", \"auto\" or \"none\"" } else { "" };
            format!("expected a whole number, {min} or more{words}").into()
        }
        Kind::Whole { min, max } => format!("expected a whole number from {min} to {max}").into(),
        Kind::Number { min, max } => format!("expected a number from {min} to {max}").into(),
        Kind::Flag => "expected true or false".into(),
        Kind::OneOf(values) => {
            let values: Vec<String> = values.iter().map(|value| quoted(value)).collect();
            format!("expected {}", values.join(" or ")).into()
        }
        Kind::Text | Kind::Header => "expected a text".into(),
        Kind::Name => "expected a name of a-z, 0-9 and single _, starting with a letter".into(),
        Kind::Names => "expected a profile's name or a list of them".into(),
        Kind::Path => "expected a path".into(),
        Kind::Proxy => "expected the URL of a proxy such as \"http://proxy:3128\"".into(),
        Kind::Secret => secrets::WANTED.into(),
        Kind::List(item) => item.wanted().into(),
        Kind::Ruled(rule) => rule.wanted().into(),
        Kind::Addresses => "expected a table of hosts such as { \"example.com\" = [\"10.0.0.1:443\"] }".into(),
        Kind::Headers => "expected a table of headers such as { \"x-team\" = \"search\" }".into(),
        Kind::Section(_) | Kind::Free => "expected a table".into(),
    }
}

/// A whole number as TOML would take it.
pub(crate) fn whole(text: &str) -> Option<i128> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let limit = if text.starts_with('-') { i128::MIN } else { i128::MAX };
    Some(text.parse().unwrap_or(limit))
}
