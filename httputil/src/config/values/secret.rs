//! Secrets: a text, or where it is kept.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

/// A secret; what was kept elsewhere has been fetched (`secrets`).
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub(crate) struct SecretText(pub(crate) String);

impl std::fmt::Debug for SecretText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretText(not shown)")
    }
}

impl JsonSchema for SecretText {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let kept = |word: &str| {
            json_schema!({
                "type": "object",
                "properties": { word: { "type": "string", "minLength": 1 } },
                "required": [word],
                "additionalProperties": false
            })
        };
        json_schema!({
            "x-kind": "secret",
            "anyOf": [{ "type": "string", "minLength": 1 }, kept("file"), kept("env")]
        })
    }
}
