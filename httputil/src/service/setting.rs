//! The words for a setting that is missing or misspelt.

use std::any::type_name;

use crate::config::name_beside;
use crate::error::{Origin, Problem};

/// Says which setting is missing, who needs it, and the line to write.
pub(super) fn missing<T>(service: &str, profile: &str, key: &str) -> Problem {
    let (wanted, example) = words(type_name::<T>()).map_or_else(
        || (String::new(), "…"),
        |(wanted, example)| (format!(" ({wanted})"), example),
    );
    let variable = format!("HTTPUTIL_{}__SETTINGS__{}", profile.to_uppercase(), key.to_uppercase());
    Problem::new(format!(
        "{profile}.settings.{key}: not set, and {service} needs it{wanted}; \
         write `{key} = {example}` under `[{profile}.settings]`, or set {variable}"
    ))
}

/// Says that what is set is not read, and what was meant.
pub(super) fn misspelt(
    origin: &Origin,
    service: &str,
    profile: &str,
    written: &str,
    meant: &str,
    needed: bool,
) -> Problem {
    let needs = if needed {
        format!(", and needs {meant}")
    } else {
        String::new()
    };
    let name = name_beside(origin, profile, &format!("settings.{written}"));
    Problem::at(
        origin.clone(),
        format!("{name}{service} does not read it{needs}; did you mean {meant}?"),
    )
}

/// A type's name without its modules and parameters: `Vec` of `alloc::vec::Vec<u8>`.
pub(super) fn short_name(full: &'static str) -> &'static str {
    let plain = full.split_once('<').map_or(full, |(plain, _)| plain);
    plain.rsplit("::").next().unwrap_or(plain)
}

/// What a type is to someone who writes TOML, and how a value of it looks; of types that have only a name in Rust, nothing.
fn words(type_name: &'static str) -> Option<(&'static str, &'static str)> {
    if type_name.starts_with(['[', '(']) {
        return Some(("a list", "[…]"));
    }
    let words = match short_name(type_name) {
        "u8" | "u16" | "u32" | "u64" | "u128" | "usize" | "i8" | "i16" | "i32" | "i64" | "i128" | "isize"
        | "NonZero" => ("a whole number", "10"),
        "f32" | "f64" => ("a number", "0.5"),
        "bool" => ("true or false", "true"),
        "String" | "str" | "Box" | "Arc" | "Rc" => ("a text", "\"…\""),
        "char" => ("a single character", "\"…\""),
        "Url" => ("a URL", "\"https://…\""),
        "Secret" => ("a secret", "{ file = \"…\" }"),
        "PathBuf" => ("a path", "\"…\""),
        "Duration" => ("a duration", "\"30s\""),
        "Vec" | "HashSet" | "BTreeSet" => ("a list", "[…]"),
        "HashMap" | "BTreeMap" => ("a table", "{ … }"),
        "IpAddr" | "Ipv4Addr" | "Ipv6Addr" => ("an IP address", "\"127.0.0.1\""),
        "SocketAddr" => ("an address with a port", "\"127.0.0.1:8080\""),
        _ => return None,
    };
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::{missing, short_name};

    #[test]
    fn a_missing_setting_names_profile_key_type_and_the_line_to_write() {
        assert_eq!(
            missing::<url::Url>("SpanExporter", "telemetry", "endpoint").to_string(),
            "telemetry.settings.endpoint: not set, and SpanExporter needs it (a URL); write `endpoint = \"https://…\"` \
             under `[telemetry.settings]`, or set HTTPUTIL_TELEMETRY__SETTINGS__ENDPOINT"
        );
    }

    #[test]
    fn a_missing_setting_of_a_type_of_the_user_s_has_no_words_of_rust() {
        struct Mode;
        for said in [
            missing::<Mode>("Typed", "a", "key").to_string(),
            missing::<[u8; 3]>("Typed", "a", "key").to_string(),
            missing::<(u8, Vec<String>)>("Typed", "a", "key").to_string(),
        ] {
            let list = "not set, and Typed needs it (a list); write `key = […]`";
            assert!(
                said.contains("not set, and Typed needs it; write `key = …`") || said.contains(list),
                "{said}"
            );
            assert!(!said.contains("Mode") && !said.contains("u8"), "{said}");
        }
    }

    #[test]
    fn a_type_is_called_by_its_last_name() {
        assert_eq!(short_name("alloc::vec::Vec<core::option::Option<u8>>"), "Vec");
        assert_eq!(short_name("u32"), "u32");
    }
}
