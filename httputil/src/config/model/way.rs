//! Which way connections go: proxies, names, egress.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::values::{Addresses, DurationText, EgressRules, Hosts, OrNone, ProxyUrl, SecretText};

/// `[proxy]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProxyKeys {
    /// Heed `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`.
    pub(crate) from_env: Option<bool>,
    /// The proxy for every target, before the variables: http, https, socks5 (names are resolved here) or socks5h.
    pub(crate) url: Option<OrNone<ProxyUrl>>,
    /// The proxy for http targets, before `proxy.url`.
    pub(crate) http: Option<OrNone<ProxyUrl>>,
    /// The proxy for https targets, before `proxy.url`.
    pub(crate) https: Option<OrNone<ProxyUrl>>,
    /// Hosts that are reached directly, written as in `NO_PROXY`, which it replaces.
    pub(crate) no_proxy: Option<OrNone<Hosts>>,
    /// Who we are to a proxy whose URL does not say it.
    pub(crate) username: Option<OrNone<SecretText>>,
    /// Goes with `proxy.username`.
    pub(crate) password: Option<OrNone<SecretText>>,
}

/// `[dns]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DnsKeys {
    /// Names whose addresses are not looked up: `"host" = ["10.0.0.1:443"]`; without a port the URL's counts, and an empty
    /// list takes an inherited host out.
    pub(crate) overrides: Option<Addresses>,
    /// Who resolves names, unless the registry was given a resolver in code; "hickory" needs httputil's feature of that
    /// name.
    pub(crate) resolver: Option<DnsResolverKey>,
    /// How long an answer is used without asking again.
    pub(crate) ttl: Option<DurationText>,
    /// For how long beyond `ttl` the last good answer stands in while the resolver fails, times out or answers without an
    /// address; zero is never.
    #[schemars(extend("x-zero" = true))]
    pub(crate) stale_for: Option<DurationText>,
    /// Which addresses are dialled first: both families in turn, one of them first, or one of them only.
    pub(crate) prefer: Option<DnsPreferenceKey>,
    /// Whether a host's connections go to the first address that answers, or are spread over all of them, 128 at most, and
    /// follow what the DNS adds and drops; over HTTP/2 each address has a connection then, whatever
    /// `http2.max_connections_per_host` says. Over HTTP/1 shares are even up to one connection: where
    /// `pool.max_connections_per_host` is small, make it a multiple of the number of addresses.
    pub(crate) balance: Option<DnsBalanceKey>,
}

/// A resolver.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(crate) enum DnsResolverKey {
    System,
    Hickory,
}

/// An order of addresses.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(crate) enum DnsPreferenceKey {
    HappyEyeballs,
    Ipv4,
    Ipv6,
    Ipv4Only,
    Ipv6Only,
}

/// A way to spread connections.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(crate) enum DnsBalanceKey {
    First,
    RoundRobin,
}

/// `[egress]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EgressKeys {
    /// With any, only these: `"api.example.com"`, `"*.example.com"` (beneath it), `"10.0.0.0/8"`, `"[::1]:8080"`, `"*:443"`,
    /// judged on the URL and on every address dialled. A name that is listed may lead to any address that is not denied.
    pub(crate) allow: Option<EgressRules>,
    /// Never these, written as in `egress.allow`, before which it counts; IPv4 addresses within IPv6 ones included.
    pub(crate) deny: Option<EgressRules>,
    /// Refuse addresses that are not of the public internet: loopback, private, link-local (cloud metadata), shared,
    /// multicast and reserved ones.
    pub(crate) deny_private: Option<bool>,
    /// Refuse `http` URLs.
    pub(crate) https_only: Option<bool>,
    /// Leave what is denied by address to a proxy that looks names up itself; without it, requests to names are refused there
    /// while `egress.deny_private` is set or `egress.deny` lists addresses.
    pub(crate) trust_proxy: Option<bool>,
}
