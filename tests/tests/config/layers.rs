//! Which of several values counts: every layer over every other, every table over every other, for every key.

use httputil::Config;
use httputil::settings::{OAuth2, Profile, Secret, Token};

use crate::scenario::Scenario;

/// A key, two values as a variable would hold them, and what the profile shows of it.
type Key = (&'static str, &'static str, &'static str, fn(&Profile) -> String);

macro_rules! keys {
    ($($key:literal, $one:literal, $other:literal, |$profile:ident| $value:expr;)*) => {
        [$(($key, $one, $other, |$profile: &Profile| format!("{:?}", $value))),*]
    };
}

/// Keys that are inherited.
const INHERITED: [Key; 116] = keys! {
    "user_agent", "one", "other", |p| p.policy.user_agent;
    "timeout", "1s", "none", |p| p.policy.timeout;
    "timeouts.pool_wait", "1s", "0s", |p| p.policy.pool_wait;
    "timeouts.expect_continue", "2s", "3s", |p| p.policy.expect_continue;
    "timeouts.attempt", "1s", "none", |p| p.policy.attempt;
    "timeouts.response_header", "1s", "none", |p| p.policy.response_header;
    "timeouts.read", "1s", "none", |p| p.policy.read;
    "timeouts.write", "1s", "none", |p| p.policy.write;
    "timeouts.dns", "1s", "2s", |p| p.transport.timeouts.dns;
    "timeouts.connect", "1s", "2s", |p| p.transport.timeouts.connect;
    "timeouts.tls_handshake", "1s", "2s", |p| p.transport.timeouts.tls_handshake;
    "pool.max_idle", "20", "30", |p| p.transport.pool.max_idle;
    "pool.max_idle_per_host", "0", "3", |p| p.transport.pool.max_idle_per_host;
    "pool.idle_timeout", "1s", "250ms", |p| p.transport.pool.idle_timeout;
    "pool.hibernate_after", "1s", "none", |p| p.transport.pool.hibernate_after;
    "pool.reuse", "false", "true", |p| p.transport.pool.reuse;
    "pool.max_lifetime", "1s", "none", |p| p.transport.pool.max_lifetime;
    "pool.max_requests_per_connection", "1", "none", |p| p.transport.pool.max_requests_per_connection;
    "pool.max_connections_per_host", "1", "none", |p| p.transport.pool.max_connections_per_host;
    "pool.max_connections", "none", "1", |p| p.transport.pool.max_connections;
    "pool.min_idle_per_host", "1", "2", |p| p.transport.pool.min_idle_per_host;
    "pool.warm", "['http://one']", "[]", |p| p.transport.pool.warm;
    "tcp.keepalive", "1s", "none", |p| p.transport.tcp.keepalive;
    "tcp.keepalive_interval", "1s", "2s", |p| p.transport.tcp.keepalive_interval;
    "tcp.keepalive_retries", "1", "2", |p| p.transport.tcp.keepalive_retries;
    "tcp.nodelay", "false", "true", |p| p.transport.tcp.nodelay;
    "tls.min_version", "1.3", "1.2", |p| p.transport.tls.min_version;
    "tls.max_version", "1.2", "1.3", |p| p.transport.tls.max_version;
    "tls.ca_file", "/one.pem", "none", |p| p.transport.tls.ca_file;
    "tls.extra_ca_file", "/one.pem", "/other.pem", |p| p.transport.tls.extra_ca_file;
    "tls.roots", "bundled", "platform", |p| p.transport.tls.roots;
    "tls.insecure_skip_verify", "true", "false", |p| p.transport.tls.insecure_skip_verify;
    "http2.enabled", "false", "true", |p| p.transport.http2.enabled;
    "http2.prior_knowledge", "true", "false", |p| p.transport.http2.prior_knowledge;
    "http2.max_connections_per_host", "1", "2", |p| p.transport.http2.max_connections_per_host;
    "http2.max_streams_per_connection", "1", "2", |p| p.transport.http2.max_streams_per_connection;
    "http2.keepalive_interval", "1s", "2s", |p| p.transport.http2.keepalive_interval;
    "http2.keepalive_timeout", "1s", "2s", |p| p.transport.http2.keepalive_timeout;
    "http2.keepalive_while_idle", "true", "false", |p| p.transport.http2.keepalive_while_idle;
    "http2.initial_stream_window", "1MiB", "1MB", |p| p.transport.http2.initial_stream_window;
    "http2.initial_connection_window", "1MiB", "1MB", |p| p.transport.http2.initial_connection_window;
    "http2.adaptive_window", "true", "false", |p| p.transport.http2.adaptive_window;
    "http2.max_frame_size", "16KiB", "32KiB", |p| p.transport.http2.max_frame_size;
    "http2.max_header_list_size", "16KiB", "32KiB", |p| p.transport.http2.max_header_list_size;
    "proxy.from_env", "false", "true", |p| p.transport.proxy.from_env;
    "proxy.url", "http://one", "none", |p| p.transport.proxy.url;
    "proxy.http", "http://one", "none", |p| p.transport.proxy.http;
    "proxy.https", "none", "http://other", |p| p.transport.proxy.https;
    "proxy.no_proxy", "['one']", "['other']", |p| p.transport.proxy.no_proxy;
    "proxy.username", "one", "none", |p| p.transport.proxy.username.is_some();
    "timeouts.proxy_connect", "1s", "2s", |p| p.transport.timeouts.proxy_connect;
    "base_url", "https://one.example", "https://other.example", |p| p.policy.base_url;
    "cookies", "true", "false", |p| p.policy.cookies;
    "hedge.after", "1s", "none", |p| p.policy.hedge_after;
    "auth.origins", "['https://one.example']", "['https://other.example']", |p| p.policy.auth.origins;
    "auth.bearer", "one", "other", |p| exposed(p.policy.auth.bearer.as_ref());
    "auth.basic.username", "one", "other", |p| p.policy.auth.basic.as_ref().map(|user| user.username.expose());
    "auth.basic.password", "one", "other", |p| p.policy.auth.basic.as_ref().map(|user| user.password.expose());
    "auth.oauth2.token_url", "https://one.example/", "https://other.example/", |p| oauth2(p).token_url;
    "auth.oauth2.client_id", "one", "other", |p| oauth2(p).client_id;
    "auth.oauth2.client_secret", "one", "other", |p| exposed(Some(&oauth2(p).client_secret));
    "auth.oauth2.scopes", "['one']", "[]", |p| oauth2(p).scopes;
    "auth.oauth2.audience", "one", "other", |p| oauth2(p).audience;
    "auth.oauth2.client_auth", "body", "basic", |p| oauth2(p).client_auth;
    "retry.max_attempts", "2", "5", |p| p.policy.retry.max_attempts;
    "retry.backoff.base", "50ms", "60ms", |p| p.policy.retry.backoff_base;
    "retry.backoff.max", "4s", "5s", |p| p.policy.retry.backoff_max;
    "retry.backoff.jitter", "equal", "full", |p| p.policy.retry.jitter;
    "retry.statuses", "[503]", "[502]", |p| p.policy.retry.statuses;
    "retry.methods", "['GET']", "['PUT']", |p| p.policy.retry.methods;
    "retry.idempotency_header", "X-One", "X-Other", |p| p.policy.retry.idempotency_header;
    "retry.budget.ratio", "0.2", "0.3", |p| p.policy.retry.budget_ratio;
    "retry.budget.min_per_second", "2", "4", |p| p.policy.retry.budget_min_per_second;
    "retry.respect_retry_after", "false", "true", |p| p.policy.retry.respect_retry_after;
    "retry.max_retry_after", "20s", "21s", |p| p.policy.retry.max_retry_after;
    "breaker.enabled", "false", "true", |p| p.policy.breaker.enabled;
    "breaker.failure_ratio", "0.7", "0.8", |p| p.policy.breaker.failure_ratio;
    "breaker.min_requests", "30", "40", |p| p.policy.breaker.min_requests;
    "breaker.window", "20s", "30s", |p| p.policy.breaker.window;
    "breaker.open_for", "6s", "7s", |p| p.policy.breaker.open_for;
    "breaker.max_open_for", "50s", "40s", |p| p.policy.breaker.max_open_for;
    "breaker.half_open_requests", "2", "3", |p| p.policy.breaker.half_open_requests;
    "limit.max_concurrent", "5", "none", |p| p.policy.limit.max_concurrent;
    "limit.max_concurrent_per_host", "5", "none", |p| p.policy.limit.max_concurrent_per_host;
    "limit.queue", "5", "6", |p| p.policy.limit.queue;
    "limit.rate", "50/s", "none", |p| p.policy.limit.rate;
    "limit.burst", "5", "6", |p| p.policy.limit.burst;
    "limit.max_response_bytes", "1MiB", "none", |p| p.policy.max_response_bytes;
    "redirect.max", "5", "0", |p| p.policy.redirect.max;
    "redirect.cross_origin", "false", "true", |p| p.policy.redirect.cross_origin;
    "redirect.downgrade", "true", "false", |p| p.policy.redirect.downgrade;
    "compression.accept", "['gzip']", "[]", |p| p.policy.compression.accept;
    "compression.max_ratio", "50", "60", |p| p.policy.compression.max_ratio;
    "dns.resolver", "hickory", "system", |p| p.transport.dns.resolver;
    "dns.ttl", "1s", "2s", |p| p.transport.dns.ttl;
    "dns.stale_for", "1s", "2s", |p| p.transport.dns.stale_for;
    "dns.prefer", "ipv4", "ipv6", |p| p.transport.dns.prefer;
    "dns.balance", "round_robin", "first", |p| p.transport.dns.balance;
    "egress.allow", "['*.one.example']", "[]", |p| p.transport.egress.allow;
    "egress.deny", "['10.0.0.0/8']", "[]", |p| p.transport.egress.deny;
    "egress.deny_private", "true", "false", |p| p.transport.egress.deny_private;
    "egress.https_only", "true", "false", |p| p.transport.egress.https_only;
    "egress.trust_proxy", "true", "false", |p| p.transport.egress.trust_proxy;
    "http1.max_header_bytes", "32KiB", "64KiB", |p| p.transport.http1.max_header_bytes;
    "http1.max_headers", "50", "60", |p| p.transport.http1.max_headers;
    "http1.title_case_headers", "true", "false", |p| p.transport.http1.title_case_headers;
    "tcp.user_timeout", "40s", "none", |p| p.transport.tcp.user_timeout;
    "tcp.local_address", "127.0.0.1", "none", |p| p.transport.tcp.local_address;
    "tcp.interface", "lo", "none", |p| p.transport.tcp.interface;
    "tls.cert_file", "/one.pem", "/other.pem", |p| p.transport.tls.cert_file;
    "tls.key_file", "/one.pem", "/other.pem", |p| p.transport.tls.key_file;
    "tls.crl_files", "['/one.crl']", "[]", |p| p.transport.tls.crl_files;
    "tls.server_name", "one.example", "none", |p| p.transport.tls.server_name;
    "tls.pins", "['sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=']", "[]", |p| p.transport.tls.pins;
    "proxy.password", "one", "other", |p| p.transport.proxy.password.as_ref().map(Secret::expose);
    "settings.endpoint", "one", "other", |p| p.name;
};

/// Keys that are a profile's own.
const OWN: [Key; 2] = keys! {
    "description", "one", "other", |p| p.description;
    "pool.name", "one", "other", |p| p.pool;
};

/// Not looked at here: the first is no value, tables of users' own keys merge, and of `settings` one key stands for all.
const LEFT_OUT: [&str; 4] = ["inherits", "headers", "dns.overrides", "settings"];

/// What a key needs beside it, in the weakest table, as a variable.
fn beside(key: &str) -> Vec<(&'static str, &'static str)> {
    let origins = ("AUTH__ORIGINS", "https://us.example");
    match key {
        "auth.bearer" => vec![origins],
        "auth.basic.username" | "auth.basic.password" => {
            vec![origins, ("AUTH__BASIC", "{ username = 'us', password = 'word' }")]
        }
        key if key.starts_with("auth.oauth2") => vec![
            origins,
            (
                "AUTH__OAUTH2",
                "{ token_url = 'https://login.example/', client_id = 'us', client_secret = 'word' }",
            ),
        ],
        "limit.queue" => vec![("LIMIT__MAX_CONCURRENT", "3")],
        "limit.burst" => vec![("LIMIT__RATE", "3/s")],
        "proxy.password" => vec![("PROXY__USERNAME", "us")],
        "tls.cert_file" | "tls.key_file" => vec![("TLS__CERT_FILE", "/us.pem"), ("TLS__KEY_FILE", "/us.pem")],
        _ => Vec::new(),
    }
}

fn exposed(token: Option<&Token>) -> Option<&str> {
    match token {
        Some(Token::Text(text)) => Some(text.expose()),
        _ => None,
    }
}

fn oauth2(profile: &Profile) -> OAuth2 {
    profile.policy.auth.oauth2.clone().expect("all of it is written")
}

/// Whether this program was built with what the key is of.
fn is_built_in(key: &str) -> bool {
    match key {
        "cookies" => cfg!(feature = "cookies"),
        "compression.accept" => cfg!(feature = "compression"),
        "dns.resolver" => cfg!(feature = "hickory"),
        key => cfg!(feature = "oauth2") || !key.starts_with("auth.oauth2"),
    }
}

/// The keys, of those that this program knows.
fn keys(of: &[Key]) -> impl Iterator<Item = &Key> {
    of.iter().filter(|key| is_built_in(key.0))
}

/// Weakest first.
const LAYERS: [&str; 6] = [
    "embedded",
    "httputil.toml",
    "httputil.test.toml",
    "httputil.local.toml",
    "variable",
    "code",
];

/// Strongest first.
const TABLES: [&str; 5] = ["global", "telemetry", "second", "first", "default"];

/// Values of a key, each in a layer and a table.
struct Written {
    scenario: Scenario,
    embedded: String,
    main: String,
}

impl Written {
    /// For a value of this key.
    fn of(key: &Key) -> Written {
        let scenario = Scenario::new().variable("HTTPUTIL_ENV", "test");
        let scenario = beside(key.0).into_iter().fold(scenario, |scenario, (name, value)| {
            scenario.variable(&format!("HTTPUTIL_DEFAULT__{name}"), value)
        });
        let main = "[telemetry]\ninherits = [\"first\", \"second\"]\n[first]\n[second]\n".to_owned();
        Written {
            scenario,
            embedded: String::new(),
            main,
        }
    }

    fn with(mut self, layer: &str, table: &str, key: &str, value: &str) -> Written {
        let plain = value.parse::<bool>().is_ok()
            || value.parse::<u32>().is_ok()
            || value.starts_with('[')
            || key.ends_with("ratio");
        let literal = if plain {
            value.to_owned()
        } else {
            format!("\"{value}\"")
        };
        // A header of its own, since the table may have one already: `[telemetry.pool]` and `[telemetry]`.
        let (section, leaf) = key
            .rsplit_once('.')
            .map_or((String::new(), key), |(s, leaf)| (format!(".{s}"), leaf));
        let line = format!("[{table}{section}]\n{leaf} = {literal}\n");
        let name = format!("HTTPUTIL_{table}__{key}").to_uppercase().replace('.', "__");
        match layer {
            "embedded" => self.embedded.push_str(&line),
            "httputil.toml" if section.is_empty() && table != "default" && table != "global" => {
                let header = format!("[{table}]\n");
                self.main = self.main.replace(&header, &format!("{header}{leaf} = {literal}\n"));
            }
            "httputil.toml" => self.main.push_str(&line),
            "variable" => self.scenario = self.scenario.variable(&name, value),
            "code" => self.scenario = self.scenario.set(&format!("{table}.{key}"), value),
            file => self.scenario = self.scenario.file(file, line),
        }
        self
    }

    fn load(self) -> Config {
        let scenario = self.scenario.file("httputil.toml", &self.main);
        let loaded = scenario.builder().embedded("embedded", self.embedded).load();
        loaded.unwrap_or_else(|error| panic!("{error}\nin\n{}", self.main))
    }
}

/// The profile's value when it stands in one place alone.
fn alone(key: &Key, value: &str) -> String {
    let profile = Written::of(key)
        .with("code", "telemetry", key.0, value)
        .load()
        .profile("telemetry")
        .unwrap();
    key.3(&profile)
}

fn assert_shows(config: &Config, key: &Key, expected: &str, place: &str, why: &str) {
    let (name, one, other, get) = *key;
    let origins = config.origins("telemetry", name).unwrap();
    let first = origins.first().map(ToString::to_string).unwrap_or_default();
    assert!(first.contains(place), "{name}: {why}: {first}");
    if name == "settings.endpoint" {
        assert_eq!(
            config.setting::<String>("telemetry", "endpoint").unwrap().as_deref(),
            Some(expected),
            "{why}"
        );
    } else {
        assert_ne!(alone(key, one), alone(key, other), "{name}");
        assert_eq!(
            get(&config.profile("telemetry").unwrap()),
            alone(key, expected),
            "{name}: {why}"
        );
    }
}

fn place(layer: &str) -> &str {
    match layer {
        "variable" => "HTTPUTIL_",
        "code" => "set in code",
        file => file,
    }
}

#[test]
fn every_layer_beats_every_weaker_one_for_every_key() {
    for key in keys(&INHERITED).chain(&OWN) {
        for (strength, strong) in LAYERS.iter().enumerate() {
            for weak in &LAYERS[..strength] {
                let (name, one, other, _) = *key;
                let written =
                    Written::of(key)
                        .with(weak, "telemetry", name, one)
                        .with(strong, "telemetry", name, other);
                assert_shows(
                    &written.load(),
                    key,
                    other,
                    place(strong),
                    &format!("{strong} over {weak}"),
                );
            }
        }
    }
}

#[test]
fn every_layer_beats_the_built_in_default_for_every_key() {
    for key in keys(&INHERITED).chain(&OWN) {
        for layer in LAYERS {
            let config = Written::of(key).with(layer, "telemetry", key.0, key.1).load();
            assert_shows(&config, key, key.1, place(layer), layer);
        }
    }
}

/// `[global]` wins over the profile, that over its parents (the later one first), these over `[default]`, whatever
/// the layers: the stronger table is in the weakest layer here, the weaker table in the strongest.
#[test]
fn every_table_beats_every_weaker_one_for_every_key() {
    for key in keys(&INHERITED) {
        for (weakness, weak) in TABLES.iter().enumerate() {
            for strong in &TABLES[..weakness] {
                let (name, one, other, _) = *key;
                let written = Written::of(key)
                    .with("code", weak, name, one)
                    .with("embedded", strong, name, other);
                assert_shows(
                    &written.load(),
                    key,
                    other,
                    "embedded",
                    &format!("[{strong}] over [{weak}]"),
                );
            }
        }
    }
}

#[test]
fn no_key_of_the_reference_is_missing_here() {
    let page = Config::reference();
    let entries = page.split("\n### `").skip(1);
    let of_profiles = entries.filter_map(|entry| {
        let (key, rest) = entry.split_once('`')?;
        let is = |mark: &str| rest.lines().any(|line| line == mark);
        (is("- transport") || is("- policy")).then_some(key)
    });
    let of_profiles: Vec<&str> = of_profiles.collect();
    assert!(of_profiles.len() > 110, "{of_profiles:?}");
    for key in of_profiles {
        let is_here = INHERITED.iter().chain(&OWN).any(|(here, ..)| *here == key);
        assert!(is_here || LEFT_OUT.contains(&key), "{key} is not looked at");
    }
}

#[test]
fn a_variable_for_default_does_not_beat_the_profile_but_one_for_global_does() {
    let file = "[telemetry]\ntimeout = \"1s\"";
    let timeout = |name: &str| {
        let scenario = Scenario::main_file(file).variable(name, "9s");
        scenario
            .config()
            .profile("telemetry")
            .unwrap()
            .policy
            .timeout
            .unwrap()
            .as_secs()
    };
    assert_eq!(timeout("HTTPUTIL_DEFAULT__TIMEOUT"), 1);
    assert_eq!(timeout("HTTPUTIL_GLOBAL__TIMEOUT"), 9);
}

#[test]
fn a_profile_s_own_keys_are_not_inherited() {
    let text = "[parent]\ndescription = \"a parent\"\npool.name = \"shared\"\n[child]\ninherits = \"parent\"\n\
                [default]\ndescription = \"all\"";
    let config = Scenario::main_file(text).config();
    let child = config.profile("child").unwrap();
    assert_eq!((child.description, child.pool.as_str()), (None, "child"));
    let parent = config.profile("parent").unwrap();
    assert_eq!(
        (parent.description.as_deref(), parent.pool.as_str()),
        (Some("a parent"), "shared")
    );
}

#[test]
fn files_for_an_environment_count_only_in_it() {
    let scenario = || Scenario::main_file("[a]").file("httputil.staging.toml", "[a]\ntimeout = \"7s\"\n[only_there]");
    assert_eq!(scenario().config().profiles(), ["a", "default"]);
    let staging = scenario().variable("HTTPUTIL_ENV", "staging").config();
    assert_eq!(staging.profiles(), ["a", "default", "only_there"]);
    assert_eq!(staging.profile("a").unwrap().policy.timeout.unwrap().as_secs(), 7);
}

#[test]
fn none_switches_off_what_was_inherited() {
    let text = "[default]\ntimeout = \"5s\"\ntcp.keepalive = \"9s\"\ntls.ca_file = \"a.pem\"\n\
                pool.max_connections = 9\npool.max_lifetime = \"9s\"\n\
                [a]\ntimeout = \"none\"\ntcp.keepalive = \"none\"\ntls.ca_file = \"none\"\n\
                pool.max_connections = \"none\"\npool.max_lifetime = \"none\"";
    let profile = Scenario::main_file(text).config().profile("a").unwrap();
    assert_eq!(profile.policy.timeout, None);
    assert_eq!(profile.transport.tcp.keepalive, None);
    assert_eq!(profile.transport.tls.ca_file, None);
    assert_eq!(profile.transport.pool.max_connections, None);
    assert_eq!(profile.transport.pool.max_lifetime, None);
}

#[test]
fn none_switches_off_a_whole_user_and_a_later_layer_may_name_another() {
    let text = "[default]\nauth.origins = [\"http://a.test\"]\nauth.basic = { username = \"me\", password = \"word\" }\n\
                [a]\nauth.basic = \"none\"\n[b]\ninherits = \"a\"\nauth.bearer = \"token\"\n\
                [c]\ninherits = \"a\"\nauth.basic = { username = \"other\", password = \"word\" }\n[d]\n[e]\n";
    let config = Scenario::main_file(text)
        .variable("HTTPUTIL_D__AUTH__BASIC", "none")
        .config();
    let user = |profile: &str| {
        config
            .profile(profile)
            .unwrap()
            .policy
            .auth
            .basic
            .map(|basic| basic.username)
    };
    assert!(user("e").is_some());
    for off in ["a", "b", "d"] {
        assert!(user(off).is_none(), "{off}");
    }
    assert!(user("c").is_some() && user("c") != user("e"));
}

#[test]
fn a_whole_table_may_stand_in_a_variable_and_single_keys_of_it_beat_it() {
    let config = Scenario::main_file("[a.settings]\nkept = 1")
        .variable("HTTPUTIL_A__POOL", "{ max_idle = 20, max_idle_per_host = 5 }")
        .variable("HTTPUTIL_A__POOL__MAX_IDLE", "30")
        .variable("HTTPUTIL_A__SETTINGS", "{ endpoint = 'one', deep = { er = true } }")
        .variable("HTTPUTIL_A__SETTINGS__ENDPOINT", "0123")
        .config();
    let pool = config.profile("a").unwrap().transport.pool;
    assert_eq!((pool.max_idle, pool.max_idle_per_host), (30, 5));
    assert_eq!(config.setting_keys("a").unwrap(), ["deep", "endpoint", "kept"]);
    assert_eq!(
        config.setting::<String>("a", "endpoint").unwrap().as_deref(),
        Some("0123")
    );
}

#[test]
fn an_empty_variable_counts_as_not_set() {
    let scenario = Scenario::main_file("[a]\ntimeout = \"1s\"").variable("HTTPUTIL_A__TIMEOUT", "");
    assert_eq!(
        scenario
            .config()
            .profile("a")
            .unwrap()
            .policy
            .timeout
            .unwrap()
            .as_secs(),
        1
    );
}

#[test]
fn profiles_that_share_a_pool_and_agree_are_fine() {
    let text = "[a.pool]\nname = \"s\"\nmax_idle = 7\n[b]\ninherits = \"a\"\npool.name = \"s\"";
    let config = Scenario::main_file(text).config();
    assert_eq!(config.profile("a").unwrap().pool, config.profile("b").unwrap().pool);
}
