//! Secrets: a text, or where it is kept.

use std::borrow::Cow;
use std::path::PathBuf;

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
        secret()
    }
}

/// A secret whose file is remembered, since it is read again.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum TokenText {
    Text(SecretText),
    File { file: PathBuf },
}

impl JsonSchema for TokenText {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Token".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        secret()
    }
}

fn secret() -> Schema {
    json_schema!({
        "x-kind": "secret",
        "anyOf": [{ "type": "string", "minLength": 1 }, kept_elsewhere("file"), kept_elsewhere("env")]
    })
}

/// `{ file = "…" }`, or `{ env = "…" }`.
pub(super) fn kept_elsewhere(word: &str) -> Schema {
    json_schema!({
        "type": "object",
        "properties": { word: { "type": "string", "minLength": 1 } },
        "required": [word],
        "additionalProperties": false
    })
}
