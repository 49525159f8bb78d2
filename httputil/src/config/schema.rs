//! The schema as data: what keys there are and what each may hold.
//!
//! schemars makes a JSON schema from `model`; this reads it back into a tree of [`Key`]s, once a process. Checks,
//! suggestions and listings know the keys from here alone, so a key added to the model is checked and suggested
//! without another line of code.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::Value as Json;

use super::model::{ProfileKeys, RegistryKeys};
use super::names::REGISTRY;
use super::values::{Item, Rule, parse_duration, parse_size};

/// The keys of a table.
pub(crate) struct Section {
    pub(crate) keys: BTreeMap<String, Key>,
}

/// One key.
#[expect(
    clippy::struct_excessive_bools,
    reason = "marks that have nothing to do with each other"
)]
pub(crate) struct Key {
    /// What it holds.
    pub(crate) kind: Kind,
    /// Whether `"none"` switches it off.
    pub(crate) none: bool,
    /// Whether `"auto"` leaves it to us.
    pub(crate) auto: bool,
    /// Whether profiles that share a pool must agree on it.
    pub(crate) transport: bool,
    /// Whether it is a profile's own: not inherited, not in `[default]` or `[global]`.
    pub(crate) own: bool,
}

/// What a key holds.
pub(crate) enum Kind {
    Section(Section),
    Free,
    Duration {
        min: std::time::Duration,
        max: Option<std::time::Duration>,
    },
    Size {
        min: u64,
        max: u64,
    },
    Whole {
        min: i128,
        max: i128,
    },
    Number {
        min: f64,
        max: f64,
    },
    Flag,
    Text,
    Header,
    Name,
    Names,
    Path,
    Proxy,
    Secret,
    List(Item),
    Ruled(Rule),
    /// Hosts and their addresses.
    Addresses,
    /// Headers and their values.
    Headers,
    OneOf(Vec<String>),
}

/// The keys of a profile.
pub(crate) fn schema() -> &'static Section {
    static SCHEMA: OnceLock<Section> = OnceLock::new();
    SCHEMA.get_or_init(|| section(&described(), false))
}

/// The keys of `[registry]`.
pub(crate) fn registry_schema() -> &'static Section {
    static SCHEMA: OnceLock<Section> = OnceLock::new();
    SCHEMA.get_or_init(|| section(&registry_described(), false))
}

/// The keys of a top-level table.
pub(crate) fn schema_of(table: &str) -> &'static Section {
    if table == REGISTRY { registry_schema() } else { schema() }
}

/// What schemars makes of the model of a profile.
pub(crate) fn described() -> Json {
    describe::<ProfileKeys>()
}

/// What schemars makes of the model of `[registry]`.
pub(crate) fn registry_described() -> Json {
    describe::<RegistryKeys>()
}

fn describe<T: JsonSchema>() -> Json {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    settings.into_generator().into_root_schema_for::<T>().to_value()
}

impl Section {
    /// The key at a path, sections and the free table included.
    pub(crate) fn key(&self, path: &str) -> Option<&Key> {
        let (first, rest) = path
            .split_once('.')
            .map_or((path, None), |(first, rest)| (first, Some(rest)));
        let key = self.keys.get(first)?;
        match (&key.kind, rest) {
            (_, None) => Some(key),
            (Kind::Section(section), Some(rest)) => section.key(rest),
            _ => None,
        }
    }

    /// All keys that hold a value, by path, in alphabetical order.
    pub(crate) fn leaves(&self) -> Vec<(String, &Key)> {
        let mut leaves = Vec::new();
        for (name, key) in &self.keys {
            match &key.kind {
                Kind::Section(section) => {
                    leaves.extend(
                        section
                            .leaves()
                            .into_iter()
                            .map(|(path, key)| (format!("{name}.{path}"), key)),
                    );
                }
                _ => leaves.push((name.clone(), key)),
            }
        }
        leaves
    }
}

fn section(schema: &Json, transport: bool) -> Section {
    let properties = schema["properties"].as_object().into_iter().flatten();
    Section {
        keys: properties
            .map(|(name, schema)| (name.clone(), key(schema, transport)))
            .collect(),
    }
}

fn key(schema: &Json, transport: bool) -> Key {
    let flag = |name: &str| schema[name].as_bool().unwrap_or(false);
    let own = flag("x-own");
    let transport = (transport || flag("x-transport")) && !own;
    // The bounds stand on the field, the kind on the type, which `"none"`, `"auto"` and serde's `Option` wrap.
    let kind = kind(schema, typed(schema), transport);
    Key {
        kind,
        none: offers(schema, "none") || flag("x-none"),
        auto: offers(schema, "auto"),
        transport,
        own,
    }
}

/// Whether this word stands beside the value.
fn offers(schema: &Json, word: &str) -> bool {
    let mut choices = schema["anyOf"].as_array().into_iter().flatten();
    choices.any(|choice| choice["const"] == word || offers(choice, word))
}

/// The part of a schema that says what the value is.
fn typed(schema: &Json) -> &Json {
    if schema.get("x-kind").is_some() {
        return schema;
    }
    match schema["anyOf"].as_array().and_then(|choices| choices.first()) {
        Some(first) => typed(first),
        None => schema,
    }
}

fn kind(field: &Json, typed: &Json, transport: bool) -> Kind {
    if let Some(values) = typed["enum"].as_array() {
        return Kind::OneOf(values.iter().filter_map(Json::as_str).map(str::to_owned).collect());
    }
    let bound = |name: &str| field[name].as_str();
    match typed["x-kind"].as_str() {
        Some("duration") => {
            let duration = |text: &str| parse_duration(text).expect("bounds in the model are durations");
            let smallest = std::time::Duration::from_micros(u64::from(field["x-zero"] != true));
            return Kind::Duration {
                min: bound("x-min").map_or(smallest, duration),
                max: bound("x-max").map(duration),
            };
        }
        Some("size") => {
            let size = |text: &str| parse_size(text).expect("bounds in the model are sizes");
            return Kind::Size {
                min: bound("x-min").map_or(1, size),
                max: bound("x-max").map_or(u64::MAX, size),
            };
        }
        Some("free") => return Kind::Free,
        Some("header") => return Kind::Header,
        Some("name") => return Kind::Name,
        Some("names") => return Kind::Names,
        Some("path") => return Kind::Path,
        Some("proxy") => return Kind::Proxy,
        Some("secret") => return Kind::Secret,
        Some("addresses") => return Kind::Addresses,
        Some("headers") => return Kind::Headers,
        Some(word) => {
            if let Some(kind) = Item::of(word).map(Kind::List).or(Rule::of(word).map(Kind::Ruled)) {
                return kind;
            }
        }
        None => {}
    }
    let is = |name: &str| {
        typed["type"] == name
            || typed["type"]
                .as_array()
                .is_some_and(|types| types.iter().any(|each| each == name))
    };
    if is("object") {
        Kind::Section(section(typed, transport))
    } else if is("boolean") {
        Kind::Flag
    } else if is("integer") {
        let number = |name: &str, other: u32| i128::from(typed[name].as_u64().unwrap_or(u64::from(other)));
        Kind::Whole {
            min: number("minimum", 0),
            max: number("maximum", u32::MAX),
        }
    } else if is("number") {
        Kind::Number {
            min: typed["minimum"].as_f64().unwrap_or(f64::MIN),
            max: typed["maximum"].as_f64().unwrap_or(f64::MAX),
        }
    } else {
        Kind::Text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The schema is read from what schemars makes; a new version of it must not change what we check.
    /// Each key of a profile, with its kind.
    const KEYS: &str = "\
auth.basic.password secret none
auth.basic.username secret none
auth.bearer secret none
auth.oauth2.audience text none
auth.oauth2.client_auth one of basic body
auth.oauth2.client_id text none
auth.oauth2.client_secret secret none
auth.oauth2.scopes scopes
auth.oauth2.token_url token_url none
auth.origins origins
base_url bases none
breaker.enabled flag
breaker.failure_ratio number 0.01..1
breaker.half_open_requests whole 1..1000000
breaker.max_open_for duration 1µs..
breaker.min_requests whole 1..1000000
breaker.open_for duration 1µs..
breaker.window duration 1µs..
compression.accept codings
compression.max_ratio whole 1..4294967295
cookies flag
description text own
dns.balance one of first round_robin transport
dns.overrides addresses transport
dns.prefer one of happy_eyeballs ipv4 ipv6 ipv4_only ipv6_only transport
dns.resolver one of system hickory transport
dns.stale_for duration 0ns.. transport
dns.ttl duration 1µs.. transport
egress.allow egress_rules transport
egress.deny egress_rules transport
egress.deny_private flag transport
egress.https_only flag transport
egress.trust_proxy flag transport
headers headers
hedge.after duration 1µs.. none
http1.max_header_bytes size 1024..16777216 transport
http1.max_headers whole 1..32768 transport
http1.title_case_headers flag transport
http2.adaptive_window flag transport
http2.enabled flag transport
http2.initial_connection_window size 65535..2147483647 transport
http2.initial_stream_window size 1..2147483647 transport
http2.keepalive_interval duration 1µs.. transport
http2.keepalive_timeout duration 1µs.. transport
http2.keepalive_while_idle flag transport
http2.max_connections_per_host whole 1..4294967295 transport
http2.max_frame_size size 16384..16777215 transport
http2.max_header_list_size size 1..4294967295 transport
http2.max_streams_per_connection whole 1..4294967295 transport
http2.prior_knowledge flag transport
inherits names own
limit.burst whole 1..4294967295 none
limit.max_concurrent whole 1..4294967295 none
limit.max_concurrent_per_host whole 1..4294967295 none
limit.max_response_bytes size 1..18446744073709551615 none
limit.queue whole 0..4294967295 none
limit.rate rate none
pool.hibernate_after duration 1µs.. none transport
pool.idle_timeout duration 1µs.. transport
pool.max_connections whole 1..4294967295 none transport
pool.max_connections_per_host whole 1..4294967295 none transport
pool.max_idle whole 0..4294967295 transport
pool.max_idle_per_host whole 0..4294967295 transport
pool.max_lifetime duration 1µs.. none transport
pool.max_requests_per_connection whole 1..4294967295 none transport
pool.min_idle_per_host whole 0..4294967295 transport
pool.name name own
pool.reuse flag transport
pool.warm urls transport
proxy.from_env flag transport
proxy.http proxy none transport
proxy.https proxy none transport
proxy.no_proxy hosts none transport
proxy.password secret none transport
proxy.url proxy none transport
proxy.username secret none transport
redirect.cross_origin flag
redirect.downgrade flag
redirect.max whole 0..100
retry.backoff.base duration 1µs..
retry.backoff.jitter one of full equal none
retry.backoff.max duration 1µs..
retry.budget.min_per_second whole 0..1000000
retry.budget.ratio number 0..1000
retry.idempotency_header header_name
retry.max_attempts whole 1..100
retry.max_retry_after duration 0ns..
retry.methods methods
retry.respect_retry_after flag
retry.statuses statuses
settings free
tcp.interface interface none transport
tcp.keepalive duration 1s..32767s none transport
tcp.keepalive_interval duration 1s..32767s transport
tcp.keepalive_retries whole 1..127 transport
tcp.local_address address none transport
tcp.nodelay flag transport
tcp.user_timeout duration 1ms..2147483.647s none transport
timeout duration 1µs.. none
timeouts.attempt duration 1µs.. none
timeouts.connect duration 1µs.. transport
timeouts.dns duration 1µs.. transport
timeouts.expect_continue duration 1µs..
timeouts.pool_wait duration 0ns..
timeouts.proxy_connect duration 1µs.. transport
timeouts.read duration 1µs.. none
timeouts.response_header duration 1µs.. none
timeouts.tls_handshake duration 1µs.. transport
timeouts.write duration 1µs.. none
tls.ca_file path none transport
tls.cert_file path none transport
tls.crl_files paths transport
tls.extra_ca_file path none transport
tls.insecure_skip_verify flag transport
tls.key_file path none transport
tls.max_version one of 1.2 1.3 transport
tls.min_version one of 1.2 1.3 transport
tls.pins pins transport
tls.roots one of platform bundled transport
tls.server_name host_name none transport
user_agent header";

    #[test]
    fn every_key_has_the_kind_that_its_type_says() {
        let text: Vec<String> = schema()
            .leaves()
            .iter()
            .map(|(path, key)| format!("{path} {}", words(key)))
            .collect();
        assert_eq!(text.join("\n"), KEYS);
    }

    #[test]
    fn every_key_of_the_registry_has_the_kind_that_its_type_says() {
        let leaves = registry_schema().leaves();
        let text: Vec<String> = leaves
            .iter()
            .map(|(path, key)| format!("{path} {}", words(key)))
            .collect();
        assert_eq!(
            text,
            [
                "max_connections whole 1..4294967295 none auto",
                "strict flag",
                "watch flag"
            ]
        );
    }

    fn words(key: &Key) -> String {
        let mut text = match &key.kind {
            Kind::Section(_) => "section".to_owned(),
            Kind::Free => "free".to_owned(),
            Kind::Duration { min, max } => {
                format!(
                    "duration {min:?}..{}",
                    max.map(|max| format!("{max:?}")).unwrap_or_default()
                )
            }
            Kind::Size { min, max } => format!("size {min}..{max}"),
            Kind::Whole { min, max } => format!("whole {min}..{max}"),
            Kind::Number { min, max } => format!("number {min}..{max}"),
            Kind::Flag => "flag".to_owned(),
            Kind::Text => "text".to_owned(),
            Kind::Header => "header".to_owned(),
            Kind::Name => "name".to_owned(),
            Kind::Names => "names".to_owned(),
            Kind::Path => "path".to_owned(),
            Kind::Proxy => "proxy".to_owned(),
            Kind::Secret => "secret".to_owned(),
            Kind::List(item) => item.word().to_owned(),
            Kind::Ruled(rule) => rule.word().to_owned(),
            Kind::Addresses => "addresses".to_owned(),
            Kind::Headers => "headers".to_owned(),
            Kind::OneOf(values) => format!("one of {}", values.join(" ")),
        };
        let flags = [
            (key.none, " none"),
            (key.auto, " auto"),
            (key.transport, " transport"),
            (key.own, " own"),
        ];
        for (flag, word) in flags {
            if flag {
                text.push_str(word);
            }
        }
        text
    }
}
