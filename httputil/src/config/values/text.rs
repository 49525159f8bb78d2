//! Values that are text with a rule: names, paths, header values; and the free table.

use std::borrow::Cow;
use std::path::PathBuf;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::config::names::NAME;

/// A name, `[a-z][a-z0-9]*(_[a-z0-9]+)*`.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Name(pub(crate) String);

/// The names of parents; a single one may be written without brackets, the check makes a list of it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Names(
    #[expect(dead_code, reason = "inheritance is resolved before anything is extracted")] Vec<String>,
);

/// A path; the check has made it relative to its file's folder.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct FilePath(pub(crate) PathBuf);

/// Text that fits into a header.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct HeaderText(pub(crate) String);

/// A table whose keys and values are the service's own; `Config::setting` reads it from the merged table.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Free(IgnoredAny);

/// Whether the text can be sent as a header's value; the error says what is wrong.
pub(crate) fn check_header_text(text: &str) -> Result<(), Cow<'static, str>> {
    if text.is_empty() {
        return Err("expected a text that is not empty".into());
    }
    match http::HeaderValue::from_str(text) {
        Ok(_) => Ok(()),
        Err(_) => Err("a header can't hold this text: line breaks and control characters must go".into()),
    }
}

macro_rules! schema {
    ($type:ty, $name:literal, $schema:tt) => {
        impl JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    };
}

schema!(Name, "Name", { "type": "string", "x-kind": "name", "pattern": NAME });
schema!(Names, "Names", {
    "x-kind": "names",
    "anyOf": [
        { "type": "string", "pattern": NAME },
        { "type": "array", "items": { "type": "string", "pattern": NAME } }
    ]
});
schema!(FilePath, "Path", { "type": "string", "x-kind": "path", "minLength": 1 });
schema!(HeaderText, "HeaderText", { "type": "string", "x-kind": "header", "minLength": 1 });
schema!(Free, "Free", { "type": "object", "x-kind": "free", "propertyNames": { "pattern": NAME } });
