//! The JSON schema that editors read, and the reference that people read.

use httputil::Config;
use serde_json::Value;

#[test]
fn the_committed_schema_is_current() {
    let committed = include_str!("../../../config/httputil.schema.json");
    assert!(
        committed == Config::schema(),
        "config/httputil.schema.json is out of date; regenerate it:\n\
         cargo run -q --bin schema > config/httputil.schema.json"
    );
}

#[test]
fn the_committed_reference_is_current() {
    let committed = include_str!("../../../config/REFERENCE.md");
    assert!(
        committed == Config::reference(),
        "config/REFERENCE.md is out of date; generate it anew:\n\
         cargo run -q --bin schema -- --reference > config/REFERENCE.md"
    );
}

fn key(table: &str, path: &str) -> Value {
    let schema: Value = serde_json::from_str(&Config::schema()).unwrap();
    let path = path.replace('.', "/properties/");
    schema
        .pointer(&format!("/definitions/{table}/properties/{path}"))
        .cloned()
        .unwrap_or_default()
}

#[test]
fn a_key_is_shown_with_its_meaning_and_its_default() {
    let timeout = key("profile", "timeout");
    assert_eq!(timeout["default"], "30s");
    assert_eq!(
        timeout["description"],
        "The whole request: queue, redirects, retries, body. \"none\" switches it off. Default: \"30s\"."
    );
    assert_eq!(timeout["anyOf"][1]["const"], "none");
    assert_eq!(key("profile", "pool.max_idle")["default"], 100);
    assert_eq!(key("profile", "http2.enabled")["default"], true);
}

#[test]
fn only_a_profile_inherits_and_names_a_pool() {
    for path in ["inherits", "pool.name"] {
        assert!(key("profile", path).is_object(), "{path}");
        assert!(key("shared", path).is_null(), "{path}");
    }
    assert!(key("shared", "description").is_object());
}

#[test]
fn no_table_is_open_but_the_settings() {
    fn tables(schema: &Value, path: &str, open: &mut Vec<String>) {
        if schema["type"] == "object" && schema["additionalProperties"] != false {
            open.push(path.to_owned());
        }
        for (name, below) in schema["properties"].as_object().into_iter().flatten() {
            tables(below, &format!("{path}.{name}"), open);
        }
    }
    let schema: Value = serde_json::from_str(&Config::schema()).unwrap();
    let mut open = Vec::new();
    for (name, definition) in schema["definitions"].as_object().unwrap() {
        tables(definition, name, &mut open);
    }
    // Hosts and headers are no keys of ours.
    open.retain(|table| !table.ends_with(".dns.overrides") && !table.ends_with(".headers"));
    assert_eq!(open, ["profile.settings", "shared.settings"]);
}

#[test]
fn nothing_of_rust_shows_in_it() {
    for word in ["null", "\"x-", "uint"] {
        assert!(!Config::schema().contains(word), "{word}");
    }
}

#[test]
fn the_registry_s_keys_are_numbers_or_words() {
    let schema: Value = serde_json::from_str(&Config::schema()).unwrap();
    let registry = &schema["properties"]["registry"];
    assert_eq!(registry["additionalProperties"], false);
    let max_connections = &registry["properties"]["max_connections"];
    assert_eq!(max_connections["default"], "auto");
    for part in ["\"minimum\":1", "\"const\":\"auto\"", "\"const\":\"none\""] {
        assert!(max_connections["anyOf"].to_string().contains(part), "{part}");
    }
}
