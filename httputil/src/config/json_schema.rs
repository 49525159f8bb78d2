//! The JSON schema for editors: `config/httputil.schema.json`.
//!
//! What schemars makes of the model is one profile, for our own eyes: with `null` for what may be left out and marks
//! for the checks. Here it becomes the schema of a whole file, for an editor that completes keys, shows their texts and
//! underlines typos. The rule: every key that the checks refuse is refused here, so no table is open but `settings`.
//!
//! It speaks draft 7, which editors know best, and no look-ahead, which some of them lack.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};

use super::effective::{NOT_SET, registry_values, values};
use super::names::{NAME, RESERVED, special};
use super::schema::{Section, described, registry_described, registry_schema, schema};
use crate::settings::{Profile, Registry};

/// The names of the definitions: a profile, and a table that applies to many.
const PROFILE: &str = "#/definitions/profile";
const SHARED: &str = "#/definitions/shared";

/// The schema of a configuration file, as pretty JSON with a line break at its end.
pub(crate) fn text() -> String {
    let profile = profile();
    let mut document = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "httputil.toml",
        "description": "Profiles of HTTP clients. A key is looked up in [global], the profile, the profiles it inherits \
                        from, [default], and the built-in defaults.",
        "type": "object",
        "properties": {
            "default": table("Where every profile starts; also a profile itself.", SHARED),
            "global": global(),
            "registry": registry()
        },
        "propertyNames": {
            "pattern": NAME,
            "not": { "enum": RESERVED.iter().filter(|name| !special(name)).collect::<Vec<_>>() }
        },
        "additionalProperties": { "$ref": PROFILE },
        "definitions": { "shared": without_own(&profile), "profile": profile }
    });
    // Another crate of the build may have switched serde_json to the order of insertion.
    document.sort_all_objects();
    format!("{document:#}\n")
}

/// Draft 7 ignores what stands beside a `$ref`.
fn table(description: &str, definition: &str) -> Json {
    json!({ "description": description, "allOf": [{ "$ref": definition }] })
}

/// No profile, so that there is nothing to describe.
fn global() -> Json {
    let mut global = table(
        "An operator's override of every profile, whatever it says itself.",
        SHARED,
    );
    global["not"] = json!({ "required": ["description"] });
    global
}

fn profile() -> Json {
    let built_in = Profile::named("default");
    let defaults = values(&built_in)
        .into_iter()
        .filter(|(key, value)| value != NOT_SET && schema().key(key).is_some_and(|key| !key.own))
        .collect();
    section(&described(), "", schema(), &defaults)
}

fn registry() -> Json {
    let defaults = registry_values(&Registry::default()).into_iter().collect();
    let mut registry = section(&registry_described(), "", registry_schema(), &defaults);
    registry["description"] = "What concerns all pools together; no profile, and inherits nothing.".into();
    registry
}

type Defaults = BTreeMap<&'static str, String>;

fn section(described: &Json, path: &str, keys: &Section, defaults: &Defaults) -> Json {
    let properties = described["properties"].as_object().into_iter().flatten();
    let properties: Map<String, Json> = properties
        .map(|(name, described)| {
            let path = match path {
                "" => name.clone(),
                path => format!("{path}.{name}"),
            };
            (name.clone(), property(described, &path, keys, defaults))
        })
        .collect();
    json!({
        "description": described["description"],
        "type": "object",
        "properties": properties,
        "additionalProperties": false
    })
}

fn property(described: &Json, path: &str, keys: &Section, defaults: &Defaults) -> Json {
    if described.get("properties").is_some() {
        let mut table = section(described, path, keys, defaults);
        if keys.key(path).is_some_and(|key| key.none) {
            let description = table["description"].as_str().unwrap_or_default();
            let description = format!("{description} \"none\" switches it off.");
            table["description"] = description.clone().into();
            return json!({ "description": description, "anyOf": [table, { "const": "none" }] });
        }
        return table;
    }
    let mut property = plain(described);
    let mut text = vec![described["description"].as_str().unwrap_or_default().to_owned()];
    let bound = |name: &str| described[name].as_str();
    text.extend(match (bound("x-min"), bound("x-max")) {
        (Some(min), Some(max)) => Some(format!("From {min} to {max}.")),
        (Some(min), None) => Some(format!("At least {min}.")),
        (None, Some(max)) => Some(format!("At most {max}.")),
        (None, None) => None,
    });
    if keys.key(path).is_some_and(|key| key.none) {
        text.push("\"none\" switches it off.".to_owned());
    }
    if let Some(default) = defaults.get(path) {
        text.push(format!("Default: {default}."));
        property["default"] = serde_json::from_str(default).expect("a default is written as JSON would write it");
    }
    property["description"] = text.join(" ").into();
    property
}

/// Without `null`, which TOML does not have, without our marks, and without formats that only Rust knows.
fn plain(described: &Json) -> Json {
    let Json::Object(fields) = described else {
        return described.clone();
    };
    let mut plain_fields = Map::new();
    for (name, value) in fields {
        let values = value.as_array().map(Vec::as_slice).unwrap_or_default();
        match name.as_str() {
            // Only Rust knows it, but a number beyond its type does not load.
            "format" if value == "uint32" => {
                plain_fields.entry("maximum").or_insert_with(|| u32::MAX.into());
            }
            "format" => {}
            mark if mark.starts_with("x-") => {}
            "type" => {
                let mut types = values.iter().filter(|each| *each != "null");
                let only = types.next().unwrap_or(value);
                debug_assert!(types.next().is_none(), "a value of the model has one type");
                plain_fields.insert(name.clone(), only.clone());
            }
            "enum" => {
                let values: Vec<&Json> = values.iter().filter(|each| !each.is_null()).collect();
                plain_fields.insert(name.clone(), json!(values));
            }
            "anyOf" => {
                let mut choices: Vec<Json> = values.iter().filter(|each| each["type"] != "null").map(plain).collect();
                match (choices.len(), choices.pop()) {
                    (1, Some(Json::Object(only))) => plain_fields.extend(only),
                    (_, last) => {
                        choices.extend(last);
                        plain_fields.insert(name.clone(), choices.into());
                    }
                }
            }
            "items" => {
                plain_fields.insert(name.clone(), plain(value));
            }
            _ => {
                plain_fields.insert(name.clone(), value.clone());
            }
        }
    }
    Json::Object(plain_fields)
}

/// The same without what only a single profile can say; a description does no harm anywhere.
fn without_own(profile: &Json) -> Json {
    let mut shared = profile.clone();
    for (path, key) in schema().leaves() {
        if key.own && path != "description" {
            remove(&mut shared, &path);
        }
    }
    shared
}

fn remove(section: &mut Json, path: &str) {
    let Some(properties) = section["properties"].as_object_mut() else {
        return;
    };
    match path.split_once('.') {
        None => drop(properties.remove(path)),
        Some((first, rest)) => properties
            .get_mut(first)
            .into_iter()
            .for_each(|below| remove(below, rest)),
    }
}
