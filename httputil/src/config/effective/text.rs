//! Values as they would be written in a file.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::config::layer::quoted;
use crate::config::values::{show_address, show_duration, show_size};

/// What stands for the value of a secret.
pub(crate) const NOT_SHOWN: &str = "(not shown)";

/// What stands for the value of a key without a default, of which `"none"` would say something else.
pub(crate) const NOT_SET: &str = "(not set)";

/// An inline table.
pub(super) fn addresses(overrides: &BTreeMap<String, Vec<SocketAddr>>) -> String {
    let hosts: Vec<String> = overrides
        .iter()
        .map(|(host, addresses)| {
            let addresses: Vec<String> = addresses.iter().map(|address| quoted(&show_address(address))).collect();
            format!("{} = [{}]", quoted(host), addresses.join(", "))
        })
        .collect();
    if hosts.is_empty() {
        "{}".to_owned()
    } else {
        format!("{{ {} }}", hosts.join(", "))
    }
}

pub(super) fn bases(bases: &[String]) -> String {
    match bases {
        [] => quoted("none"),
        [only] => quoted(only),
        several => list(several),
    }
}

pub(super) fn duration(duration: Duration) -> String {
    quoted(&show_duration(duration))
}

pub(super) fn duration_or_none(duration: Option<Duration>) -> String {
    duration.map_or_else(|| quoted("none"), self::duration)
}

pub(super) fn number_or_none(number: Option<impl ToString>) -> String {
    number.map_or_else(|| quoted("none"), |number| number.to_string())
}

pub(super) fn size(bytes: u32) -> String {
    quoted(&show_size(u64::from(bytes)))
}

pub(super) fn list(items: impl IntoIterator<Item = impl ToString>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| quoted(&item.to_string())).collect();
    format!("[{}]", items.join(", "))
}

/// A URL without its query, which may be a secret.
pub(super) fn without_query(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or_default()
}

pub(super) fn text_or_none(text: Option<&str>) -> String {
    quoted(text.unwrap_or("none"))
}

pub(super) fn path_or_none(path: Option<&PathBuf>) -> String {
    path.map_or_else(|| quoted("none"), |path| quoted(&path.display().to_string()))
}
