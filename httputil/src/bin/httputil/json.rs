//! The crate's answers as JSON.

use httputil::{ExplainedKey, Origin, Place};
use serde_json::{Value as Json, json};

/// Pretty, with a line break at its end.
pub(crate) fn pretty(json: &Json) -> String {
    format!("{json:#}\n")
}

/// `{ "file": …, "line": …, "column": … }`, `{ "variable": … }`, `{ "code": … }`, or `{ "built_in": true }`.
pub(crate) fn of_origin(origin: &Origin) -> Json {
    match origin {
        Origin::File { path, line, column, .. } => {
            json!({ "file": Origin::WholeFile(path.clone()).to_string(), "line": line, "column": column })
        }
        Origin::WholeFile(_) => json!({ "file": origin.to_string() }),
        Origin::Variable(name) => json!({ "variable": **name }),
        Origin::Code(key) => json!({ "code": **key }),
        Origin::BuiltIn => json!({ "built_in": true }),
        other => json!({ "other": other.to_string() }),
    }
}

/// A place with the table that it belongs to.
pub(crate) fn of_place(place: &Place) -> Json {
    let mut json = of_origin(&place.origin);
    json["table"] = place.table.as_str().into();
    json
}

pub(crate) fn of_key(key: &ExplainedKey) -> Json {
    let mut json = json!({
        "key": key.key,
        "origin": key.places.first().map_or_else(|| of_origin(key.origin()), of_place),
        "shadowed": key.shadowed().iter().map(of_place).collect::<Vec<_>>(),
    });
    match &key.value {
        Some(value) if value == "(not set)" => json["value"] = Json::Null,
        Some(value) => json["value"] = of_value(value),
        None => json["hidden"] = true.into(),
    }
    if let Some(leader) = key.follows {
        json["follows"] = leader.into();
    }
    json
}

/// A value as it would be written in a file. What JSON writes differently stays that text.
pub(crate) fn of_value(value: &str) -> Json {
    serde_json::from_str(value).unwrap_or_else(|_| value.into())
}
