//! Lists of texts, each of which has a rule.

use std::borrow::Cow;
use std::path::PathBuf;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use super::url::check_url;
use crate::connect::{check_exception, check_pin, check_rule};
use crate::settings::{BaseUrl, Coding, check_method, check_origin, check_scope, check_status};

/// Absolute `http` and `https` URLs; the check has made a list of texts of them, as of the others here.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Urls(pub(crate) Vec<String>);

/// Paths; the check has made them relative to their file's folder.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct FilePaths(pub(crate) Vec<PathBuf>);

/// Digests of public keys.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Pins(pub(crate) Vec<String>);

/// Rules of `egress.allow` and `egress.deny`.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct EgressRules(pub(crate) Vec<String>);

/// Content codings.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Codings(pub(crate) Vec<String>);

/// Statuses of answers that are failures; the check has made numbers of them.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Statuses(pub(crate) Vec<u16>);

/// Methods, in capitals.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Methods(pub(crate) Vec<String>);

/// Scopes of a token.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Scopes(pub(crate) Vec<String>);

/// Schemes, hosts and ports.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Origins(pub(crate) Vec<String>);

/// Prefixes for relative URLs, or Unix sockets; one may stand alone.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct Bases(pub(crate) Vec<String>);

/// What stands in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    Url,
    Origin,
    Path,
    Pin,
    Host,
    Egress,
    Coding,
    Method,
    Scope,
    Base,
    /// A number, unlike the others.
    Status,
}

impl Item {
    /// The item of a list that the schema calls by this word.
    pub(crate) fn of(word: &str) -> Option<Item> {
        [
            Item::Url,
            Item::Origin,
            Item::Path,
            Item::Pin,
            Item::Host,
            Item::Egress,
            Item::Coding,
            Item::Method,
            Item::Scope,
            Item::Base,
            Item::Status,
        ]
        .into_iter()
        .find(|item| item.word() == word)
    }

    pub(crate) fn word(self) -> &'static str {
        match self {
            Item::Url => "urls",
            Item::Origin => "origins",
            Item::Path => "paths",
            Item::Pin => "pins",
            Item::Host => "hosts",
            Item::Egress => "egress_rules",
            Item::Coding => "codings",
            Item::Method => "methods",
            Item::Scope => "scopes",
            Item::Base => "bases",
            Item::Status => "statuses",
        }
    }

    /// What is wanted of the list.
    pub(crate) fn wanted(self) -> &'static str {
        match self {
            Item::Url => "expected a list of URLs such as [\"https://collector:4318\"]",
            Item::Origin => "expected a list of origins such as [\"https://api.example\"]",
            Item::Path => "expected a list of paths such as [\"revoked.pem\"]",
            Item::Host => "expected a list of hosts such as [\"example.com\", \"10.0.0.0/8\"]",
            Item::Egress => "expected a list of hosts such as [\"api.example.com\", \"*.example.com\", \"10.0.0.0/8\"]",
            Item::Coding => "expected a list of codings such as [\"gzip\", \"br\"]",
            Item::Pin => "expected a list of pins such as [\"sha256/…\"]",
            Item::Method => "expected a list of methods such as [\"GET\", \"HEAD\"]",
            Item::Scope => "expected a list of scopes such as [\"invoices.read\"]",
            Item::Base => {
                "expected a URL such as \"https://api.example/v1\", \"unix:/run/app.sock\", or a list of them"
            }
            Item::Status => "expected a list of statuses such as [502, 503]",
        }
    }

    /// Whether one text of the list will do; the error says what would be right.
    pub(crate) fn check(self, text: &str) -> Result<(), Cow<'static, str>> {
        match self {
            Item::Url => check_url(text),
            Item::Origin => check_origin(text).map(drop).map_err(Cow::Borrowed),
            Item::Path if text.is_empty() => Err("expected a path".into()),
            Item::Path => Ok(()),
            Item::Host => check_exception(text).map_err(Cow::Borrowed),
            Item::Egress => check_rule(text),
            Item::Coding => Coding::parse(text).map(drop).map_err(Cow::Borrowed),
            Item::Pin => check_pin(text).map_err(Cow::Borrowed),
            Item::Method => check_method(text).map_err(Cow::Borrowed),
            Item::Scope => check_scope(text).map_err(Cow::Borrowed),
            Item::Base => BaseUrl::parse(text).map(drop),
            Item::Status => check_status(text).map_err(Cow::Borrowed),
        }
    }
}

macro_rules! schema {
    ($type:ty, $name:literal, $item:expr, $items:tt) => {
        impl JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "array", "x-kind": $item.word(), "items": $items })
            }
        }
    };
}

schema!(Urls, "Urls", Item::Url, { "type": "string", "pattern": "^(https?://[^/]|unix:/)" });
schema!(Origins, "Origins", Item::Origin, { "type": "string", "pattern": "^https?://[^/]+/?$" });
schema!(FilePaths, "Paths", Item::Path, { "type": "string", "minLength": 1 });
schema!(Pins, "Pins", Item::Pin, { "type": "string", "pattern": "^sha256/[A-Za-z0-9+/]{43}=$" });
schema!(EgressRules, "EgressRules", Item::Egress, { "type": "string", "minLength": 1 });
schema!(Codings, "Codings", Item::Coding, { "enum": Coding::ALL.map(Coding::name) });
schema!(Methods, "Methods", Item::Method, { "type": "string", "pattern": "^[A-Z0-9!#$%&'*+.^_`|~-]+$" });
schema!(Scopes, "Scopes", Item::Scope, { "type": "string", "pattern": "^[!#-\\[\\]-~]+$" });
schema!(Statuses, "Statuses", Item::Status, { "type": "integer", "minimum": 400, "maximum": 599 });

impl JsonSchema for Bases {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Bases".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let base = "^([hH][tT][tT][pP][sS]?://[^/?#@]+(/[^?#]*)?|unix:/.*)$";
        json_schema!({
            "x-kind": Item::Base.word(),
            "anyOf": [
                { "type": "string", "pattern": base },
                { "type": "array", "minItems": 1, "items": { "type": "string", "pattern": base } }
            ]
        })
    }
}
