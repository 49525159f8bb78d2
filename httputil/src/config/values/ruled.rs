//! Single texts with a rule of their own.

use std::borrow::Cow;
use std::net::IpAddr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use crate::connect::{check_interface, check_server_name};
use crate::settings::{self, check_header_name, check_token_url};

/// An IP address of this machine.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct Address(pub(crate) IpAddr);

/// A network interface's name.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct Interface(pub(crate) String);

/// A host's name, or an address, as a certificate bears it.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct HostName(pub(crate) String);

/// The name of a header.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct HeaderNameText(pub(crate) String);

/// A number of requests in a time.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct RateText(pub(crate) String);

/// Where tokens are had.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct TokenUrl(pub(crate) String);

/// The rule of such a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    Address,
    Interface,
    HostName,
    HeaderName,
    Rate,
    TokenUrl,
}

impl Rule {
    /// The rule that the schema calls by this word.
    pub(crate) fn of(word: &str) -> Option<Rule> {
        [
            Rule::Address,
            Rule::Interface,
            Rule::HostName,
            Rule::HeaderName,
            Rule::Rate,
            Rule::TokenUrl,
        ]
        .into_iter()
        .find(|rule| rule.word() == word)
    }

    pub(crate) fn word(self) -> &'static str {
        match self {
            Rule::Address => "address",
            Rule::Interface => "interface",
            Rule::HostName => "host_name",
            Rule::HeaderName => "header_name",
            Rule::Rate => "rate",
            Rule::TokenUrl => "token_url",
        }
    }

    pub(crate) fn wanted(self) -> &'static str {
        match self {
            Rule::Address => "expected an IP address such as \"192.0.2.7\"",
            Rule::Interface => "expected the name of a network interface such as \"eth0\"",
            Rule::HostName => "expected a host's name such as \"collector.example\"",
            Rule::HeaderName => "expected the name of a header such as \"Idempotency-Key\"",
            Rule::Rate => "expected a rate such as \"50/s\", \"300/m\" or \"1000/h\"",
            Rule::TokenUrl => "expected a URL such as \"https://login.example/token\"",
        }
    }

    /// Whether the text follows the rule; the error says what would be right.
    pub(crate) fn check(self, text: &str) -> Result<(), Cow<'static, str>> {
        match self {
            Rule::Address => text
                .parse::<IpAddr>()
                .map(drop)
                .map_err(|_| Cow::Borrowed(self.wanted())),
            Rule::Interface => check_interface(text).map_err(Cow::Borrowed),
            Rule::HostName => check_server_name(text).map_err(Cow::Borrowed),
            Rule::HeaderName => check_header_name(text).map_err(Cow::Borrowed),
            Rule::Rate => settings::Rate::parse(text).map(drop).map_err(Cow::Borrowed),
            Rule::TokenUrl => check_token_url(text).map_err(Cow::Borrowed),
        }
    }
}

macro_rules! schema {
    ($type:ty, $name:literal, $rule:expr, $pattern:literal) => {
        impl JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "x-kind": $rule.word(), "pattern": $pattern })
            }
        }
    };
}

schema!(Address, "Address", Rule::Address, "^[0-9a-fA-F.:]+$");
schema!(Interface, "Interface", Rule::Interface, "^[^/ ]{1,15}$");
schema!(HostName, "HostName", Rule::HostName, ".");
schema!(
    HeaderNameText,
    "HeaderName",
    Rule::HeaderName,
    "^[A-Za-z0-9!#$%&'*+.^_`|~-]+$"
);
schema!(RateText, "Rate", Rule::Rate, "^[0-9]+/[smh]$");
schema!(TokenUrl, "TokenUrl", Rule::TokenUrl, "^[hH][tT][tT][pP][sS]?://[^/?#@]");
