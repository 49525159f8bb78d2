//! Proxies, and the hosts that are reached without them.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

/// The URL of a proxy; may hold a password.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub(crate) struct ProxyUrl(pub(crate) String);

/// Hosts as in `NO_PROXY`; the check has made a list of texts of them.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct Hosts(pub(crate) Vec<String>);

impl std::fmt::Debug for ProxyUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ProxyUrl(not shown)")
    }
}

impl JsonSchema for ProxyUrl {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "ProxyUrl".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        // A scheme may be left out, so that there is little to hold an editor to.
        json_schema!({ "type": "string", "x-kind": "proxy", "minLength": 1 })
    }
}

impl JsonSchema for Hosts {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Hosts".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "array", "x-kind": "hosts", "items": { "type": "string", "minLength": 1 } })
    }
}
