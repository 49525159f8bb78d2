//! How profiles, setting keys and environments may be called.

use super::suggest::{nearest, plain};

/// Names that a profile can't have: they mean something else in a file, a variable or on the command line.
pub(crate) const RESERVED: [&str; 13] = [
    "global", "registry", "config", "env", "log", "profile", "profiles", "include", "version", "settings", "all",
    "none", "self",
];

/// Top-level tables that are not ordinary profiles.
pub(crate) const DEFAULT: &str = "default";
pub(crate) const GLOBAL: &str = "global";
pub(crate) const REGISTRY: &str = "registry";

/// A name as a pattern; [`is_name`] says the same.
pub(crate) const NAME: &str = "^[a-z][a-z0-9]*(_[a-z0-9]+)*$";

/// Whether a top-level table of this name means something else than an ordinary profile.
pub(crate) fn special(name: &str) -> bool {
    [DEFAULT, GLOBAL, REGISTRY].contains(&name)
}

/// `[a-z][a-z0-9]*(_[a-z0-9]+)*`: what can be part of a variable's name without ambiguity.
pub(crate) fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.split('_').all(|part| {
            !part.is_empty()
                && part
                    .chars()
                    .all(|next| next.is_ascii_lowercase() || next.is_ascii_digit())
        })
}

/// The nearest text that is a name: lower case, `_` for anything else, and between the words of `camelCase`.
pub(crate) fn as_name(text: &str) -> Option<String> {
    let lower = plain(text);
    let parts: Vec<&str> = lower
        .split(|next: char| !next.is_ascii_alphanumeric())
        .filter(|part| !part.is_empty())
        .collect();
    let name = parts.join("_");
    is_name(&name).then_some(name)
}

/// Why a table can't be called this, if so.
pub(crate) fn refuse_profile(name: &str) -> Option<String> {
    if special(name) {
        return None;
    }
    if ["profile", "profiles"].contains(&name) {
        return Some("this name is reserved; a profile's table has only its name, as [telemetry]".to_owned());
    }
    if RESERVED.contains(&name) {
        return Some("this name is reserved, a profile can't have it".to_owned());
    }
    if !is_name(name) {
        let hint = as_name(name)
            .map(|name| format!("; did you mean {name}?"))
            .unwrap_or_default();
        return Some(format!(
            "a profile's name is made of a-z, 0-9 and single _, and starts with a letter{hint}"
        ));
    }
    // One slip away from a table that means something is surely that table, and would otherwise do nothing.
    let near = [DEFAULT, GLOBAL, REGISTRY]
        .into_iter()
        .find(|special| strsim::osa_distance(name, special) == 1)?;
    Some(format!(
        "too near to [{near}] to be a profile's name; did you mean {near}?"
    ))
}

/// `HTTPUTIL_ENV`: `[a-z][a-z0-9_-]*`, and not a name that files beside the main one already have.
pub(crate) fn refuse_environment(name: &str) -> Option<&'static str> {
    let letters = |next: char| next.is_ascii_lowercase() || next.is_ascii_digit() || next == '_' || next == '-';
    if !name.starts_with(|first: char| first.is_ascii_lowercase()) || !name.chars().all(letters) {
        return Some("expected a name such as \"production\", of a-z, 0-9, _ and -, starting with a letter");
    }
    match name {
        "local" => Some("httputil.local.toml is always read; expected a name such as \"production\""),
        "schema" => Some("this name is reserved; expected a name such as \"production\""),
        _ => None,
    }
}

/// `; did you mean …?` with the nearest of these names, or nothing.
pub(crate) fn did_you_mean<'a>(name: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    nearest(name, names)
        .map(|near| format!("; did you mean {near}?"))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_can_be_part_of_a_variable() {
        for name in ["a", "telemetry", "s3_migration", "a1_2b"] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", "A", "1a", "_a", "a_", "a__b", "a-b", "ä", "a b", "a.b"] {
            assert!(!is_name(name), "{name}");
        }
    }

    #[test]
    fn a_slip_away_from_a_special_table_is_no_profile() {
        for name in ["defualt", "defaults", "globl", "registy"] {
            assert!(refuse_profile(name).unwrap().contains("did you mean"), "{name}");
        }
        assert_eq!(refuse_profile("telemetry"), None);
    }

    #[test]
    fn another_spelling_is_turned_into_a_name() {
        assert_eq!(as_name("S3-Migration").as_deref(), Some("s3_migration"));
        assert_eq!(as_name("telemetryExport").as_deref(), Some("telemetry_export"));
        assert_eq!(as_name("..."), None);
    }
}
