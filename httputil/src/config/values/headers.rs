//! Default headers: `{ name = "value" }`, `{ name = { file = "…" } }`, `{ name = false }`.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use super::secret::{SecretText, kept_elsewhere};
use crate::settings::DefaultHeader;

/// Headers by name; the check has put the names in lower case.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Headers(BTreeMap<String, HeaderKey>);

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum HeaderKey {
    /// An inherited one is taken out.
    Off(#[expect(dead_code, reason = "the check lets nothing but false through")] bool),
    Plain(String),
    /// What was kept elsewhere, as `secrets` leaves it.
    Secret {
        secret: SecretText,
    },
}

impl Headers {
    /// As settings hold them.
    pub(crate) fn parsed(self) -> BTreeMap<String, DefaultHeader> {
        let parsed = |name: &str, key| match key {
            HeaderKey::Off(_) => None,
            HeaderKey::Plain(text) => Some(DefaultHeader::under(name, text)),
            HeaderKey::Secret { secret } => Some(DefaultHeader::Secret(secret.0.into())),
        };
        let headers = self.0.into_iter();
        headers
            .filter_map(|(name, key)| parsed(&name, key).map(|value| (name, value)))
            .collect()
    }
}

impl JsonSchema for Headers {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Headers".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "x-kind": "headers",
            "propertyNames": { "pattern": "^[A-Za-z0-9!#$%&'*+.^_`|~-]+$" },
            "additionalProperties": {
                "anyOf": [
                    { "type": "string", "minLength": 1 },
                    kept_elsewhere("file"),
                    kept_elsewhere("env"),
                    { "const": false }
                ]
            }
        })
    }
}
