//! The keys of a profile and of `[registry]`: the one description that everything else is made from.
//!
//! The doc comments are the reference's texts, the types say what a value looks like, the attributes what is allowed:
//! `x-transport` marks what profiles sharing a pool must agree on, `x-own` what is not inherited, `x-none` a table that
//! `"none"` switches off as a whole, `x-min`, `x-max` and `x-zero` bound durations and sizes. `schema` reads all of it back as data and drives the checks; serde fills the
//! structs from a merged table that has passed them, and `extract` puts them over the defaults of `settings`.
//!
//! To give life to a key: add the field here, its line in `extract` and in `effective`, and take it off `planned`.

use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::Deserialize;

use super::values::{
    Address, Addresses, Bases, Codings, DurationText, EgressRules, FilePath, FilePaths, Free, HeaderNameText,
    HeaderText, Headers, HostName, Hosts, Interface, Methods, Name, Names, OrAuto, OrNone, Origins, Pins, ProxyUrl,
    RateText, Scopes, SecretText, SizeText, Statuses, TokenText, TokenUrl, Urls,
};

/// A profile.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProfileKeys {
    /// Parent profile, or a list; each ancestor is applied once, parents first, a later one in the list wins.
    #[schemars(extend("x-own" = true))]
    #[expect(dead_code, reason = "resolved before anything is extracted")]
    pub(crate) inherits: Option<Names>,
    /// What the profile is for, for people.
    #[schemars(extend("x-own" = true))]
    pub(crate) description: Option<String>,
    /// The prefix of relative request URLs, or `unix:/path` of a socket; a list means several endpoints, of which each attempt
    /// goes to one.
    pub(crate) base_url: Option<OrNone<Bases>>,
    /// `User-Agent` of requests that name none.
    pub(crate) user_agent: Option<HeaderText>,
    /// Headers of requests that bear none of their names; a secret of them goes to the profile's own origins only.
    pub(crate) headers: Option<Headers>,
    /// Who we say that we are, by `Authorization`, to the profile's own origins only.
    #[serde(default)]
    pub(crate) auth: AuthKeys,
    /// The whole request: queue, redirects, body.
    pub(crate) timeout: Option<OrNone<DurationText>>,
    /// The bounds of single phases.
    #[serde(default)]
    pub(crate) timeouts: TimeoutsKeys,
    /// How many connections are kept, and for how long.
    #[serde(default)]
    #[schemars(extend("x-transport" = true))]
    pub(crate) pool: PoolKeys,
    /// Options of the socket.
    #[serde(default)]
    #[schemars(extend("x-transport" = true))]
    pub(crate) tcp: TcpKeys,
    /// Whom to trust, and how to speak.
    #[serde(default)]
    #[schemars(extend("x-transport" = true))]
    pub(crate) tls: TlsKeys,
    /// HTTP/1.
    #[serde(default)]
    #[schemars(extend("x-transport" = true))]
    pub(crate) http1: Http1Keys,
    /// HTTP/2.
    #[serde(default)]
    #[schemars(extend("x-transport" = true))]
    pub(crate) http2: Http2Keys,
    /// Proxies.
    #[serde(default)]
    #[schemars(extend("x-transport" = true))]
    pub(crate) proxy: ProxyKeys,
    /// Where names lead.
    #[serde(default)]
    #[schemars(extend("x-transport" = true))]
    pub(crate) dns: DnsKeys,
    /// Whom requests may go to.
    #[serde(default)]
    #[schemars(extend("x-transport" = true))]
    pub(crate) egress: EgressKeys,
    /// When a failed request is made again.
    #[serde(default)]
    pub(crate) retry: RetryKeys,
    /// When requests to a host are refused at once.
    #[serde(default)]
    pub(crate) breaker: BreakerKeys,
    /// How many requests go at once, how fast, and how large their answers may be.
    #[serde(default)]
    pub(crate) limit: LimitKeys,
    /// Where an answer may send a request.
    #[serde(default)]
    pub(crate) redirect: RedirectKeys,
    /// Asking a second time before the first answer has come.
    #[serde(default)]
    pub(crate) hedge: HedgeKeys,
    /// Compressed answers.
    #[serde(default)]
    pub(crate) compression: CompressionKeys,
    /// Cookies that answers set go with later requests to their hosts. Needs the feature `cookies`.
    pub(crate) cookies: Option<bool>,
    /// The service's own values.
    #[expect(dead_code, reason = "`Config::setting` reads the merged table itself")]
    pub(crate) settings: Option<Free>,
}

/// `[auth]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AuthKeys {
    /// The Basic scheme.
    #[serde(default)]
    #[schemars(extend("x-none" = true))]
    pub(crate) basic: BasicKeys,
    /// A token, by the Bearer scheme; that of a file is read again when the file has changed, and when an answer is 401.
    pub(crate) bearer: Option<OrNone<TokenText>>,
    /// Tokens that an authorization server gives, by client credentials. Needs the feature `oauth2`.
    #[serde(default)]
    pub(crate) oauth2: OAuth2Keys,
    /// Where credentials and secret headers may go, each an origin such as `https://api.example`; by default that of
    /// `base_url`.
    pub(crate) origins: Option<Origins>,
}

/// `[auth.basic]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BasicKeys {
    /// The user's name, without a colon.
    pub(crate) username: Option<OrNone<SecretText>>,
    /// Goes with `auth.basic.username`.
    pub(crate) password: Option<OrNone<SecretText>>,
}

/// `[auth.oauth2]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OAuth2Keys {
    /// Where tokens are had; fetched over the profile's own pool, renewed before they end, and once on 401.
    pub(crate) token_url: Option<OrNone<TokenUrl>>,
    /// Goes with `auth.oauth2.token_url`.
    pub(crate) client_id: Option<OrNone<String>>,
    /// Goes with `auth.oauth2.token_url`; that of a file is read for each token.
    pub(crate) client_secret: Option<OrNone<TokenText>>,
    /// What is asked for; empty leaves it to the server.
    pub(crate) scopes: Option<Scopes>,
    /// Whom the token is for, where the server wants to be told.
    pub(crate) audience: Option<OrNone<String>>,
    /// How the secret is told: by the Basic scheme, or in the request's body.
    pub(crate) client_auth: Option<ClientAuthKey>,
}

/// A way to tell a secret.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[schemars(inline)]
pub(crate) enum ClientAuthKey {
    #[serde(rename = "basic")]
    Basic,
    #[serde(rename = "body")]
    Body,
}

/// `[timeouts]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TimeoutsKeys {
    /// For a connection, when at a cap; zero does not wait.
    #[schemars(extend("x-zero" = true))]
    pub(crate) pool_wait: Option<DurationText>,
    /// How long a body waits for `100 Continue`, if its request asks for that, over HTTP/1.
    pub(crate) expect_continue: Option<DurationText>,
    /// One attempt, from asking for a connection to the end of the body; a retry has the whole time again.
    pub(crate) attempt: Option<OrNone<DurationText>>,
    /// From the request being sent to the header of its answer.
    pub(crate) response_header: Option<OrNone<DurationText>>,
    /// Between two pieces of the answer's body; 60s where `timeout` is `"none"`.
    pub(crate) read: Option<OrNone<DurationText>>,
    /// Between two pieces of the request that the peer takes; 60s where `timeout` is `"none"`.
    pub(crate) write: Option<OrNone<DurationText>>,
    /// The name look-up.
    #[schemars(extend("x-transport" = true))]
    pub(crate) dns: Option<DurationText>,
    /// The TCP connect, all addresses together.
    #[schemars(extend("x-transport" = true))]
    pub(crate) connect: Option<DurationText>,
    /// A proxy's answer to CONNECT, or the exchange over SOCKS.
    #[schemars(extend("x-transport" = true))]
    pub(crate) proxy_connect: Option<DurationText>,
    /// The TLS handshake.
    #[schemars(extend("x-transport" = true))]
    pub(crate) tls_handshake: Option<DurationText>,
}

/// `[pool]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PoolKeys {
    /// The pool to draw from, by default one of the profile's own name; profiles naming one pool share its connections.
    #[schemars(extend("x-own" = true))]
    pub(crate) name: Option<Name>,
    /// Idle connections kept, over all hosts; the least recently used goes first.
    pub(crate) max_idle: Option<u32>,
    /// Idle connections kept to one host; should be at least the usual concurrency.
    pub(crate) max_idle_per_host: Option<u32>,
    /// An idle connection is closed after this.
    pub(crate) idle_timeout: Option<DurationText>,
    /// An HTTP/1 connection that has been idle for this long gives its buffers back until a request wakes it.
    pub(crate) hibernate_after: Option<OrNone<DurationText>>,
    /// `false` is one connection per request.
    pub(crate) reuse: Option<bool>,
    /// A connection takes no new request after this time since it was made, give or take a tenth.
    pub(crate) max_lifetime: Option<OrNone<DurationText>>,
    /// A connection takes no more requests than these.
    pub(crate) max_requests_per_connection: Option<OrNone<NonZeroU32>>,
    /// Connections to one host, for each tokio runtime: in use, idle and being dialled; beyond it requests wait for
    /// `timeouts.pool_wait`.
    pub(crate) max_connections_per_host: Option<OrNone<NonZeroU32>>,
    /// Connections of the whole pool: in use, idle and being dialled; beyond it requests wait for `timeouts.pool_wait`.
    pub(crate) max_connections: Option<OrNone<NonZeroU32>>,
    /// Connections made ready for a host when it gets a request or is in `warm`; made up for at each request.
    pub(crate) min_idle_per_host: Option<u32>,
    /// URLs whose hosts are connected to before the first request.
    pub(crate) warm: Option<Urls>,
}

/// `[tcp]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TcpKeys {
    /// Idle time before the first keep-alive probe.
    #[schemars(extend("x-min" = "1s", "x-max" = "32767s"))]
    pub(crate) keepalive: Option<OrNone<DurationText>>,
    /// Time between keep-alive probes; by default as `tcp.keepalive`.
    #[schemars(extend("x-min" = "1s", "x-max" = "32767s"))]
    pub(crate) keepalive_interval: Option<DurationText>,
    /// Probes without an answer before the connection is given up.
    #[schemars(range(min = 1, max = 127))]
    pub(crate) keepalive_retries: Option<u32>,
    /// Send small packets at once.
    pub(crate) nodelay: Option<bool>,
    /// Linux: how long sent data, a probe included, may go unacknowledged, or stay unsent since the peer takes none, before
    /// the connection is given up.
    #[schemars(extend("x-min" = "1ms", "x-max" = "2147483647ms"))]
    pub(crate) user_timeout: Option<OrNone<DurationText>>,
    /// The address of this machine that connections are made from; hosts' addresses of the other family are left out.
    pub(crate) local_address: Option<OrNone<Address>>,
    /// Linux: the network interface that connections are made through.
    pub(crate) interface: Option<OrNone<Interface>>,
}

/// `[tls]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TlsKeys {
    /// The lowest TLS version spoken.
    pub(crate) min_version: Option<TlsVersionKey>,
    /// The highest TLS version spoken.
    pub(crate) max_version: Option<TlsVersionKey>,
    /// A PEM file of certificate authorities that replaces the roots.
    pub(crate) ca_file: Option<OrNone<FilePath>>,
    /// A PEM file of certificate authorities that adds to the roots.
    pub(crate) extra_ca_file: Option<OrNone<FilePath>>,
    /// Where trusted roots come from: the operating system, or Mozilla's list built into the program.
    pub(crate) roots: Option<RootsKey>,
    /// The certificate that we show when a server asks for one: a PEM file, its intermediates behind it.
    pub(crate) cert_file: Option<OrNone<FilePath>>,
    /// The certificate's private key: a PEM file, not encrypted.
    pub(crate) key_file: Option<OrNone<FilePath>>,
    /// Certificate revocation lists, PEM or DER. With any, each certificate of a server's chain must be covered by one that
    /// has not expired.
    pub(crate) crl_files: Option<FilePaths>,
    /// The name that a server is asked for (SNI) and verified by, instead of the URL's host.
    pub(crate) server_name: Option<OrNone<HostName>>,
    /// Accepted public keys of servers, as `sha256/…` of the SPKI, beside the chain's own check.
    pub(crate) pins: Option<Pins>,
    /// Accept any certificate; refused unless `HTTPUTIL_ENV` is `development` or `test`.
    pub(crate) insecure_skip_verify: Option<bool>,
}

/// A TLS version.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[schemars(inline)]
pub(crate) enum TlsVersionKey {
    #[serde(rename = "1.2")]
    V1_2,
    #[serde(rename = "1.3")]
    V1_3,
}

/// A source of roots.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[schemars(inline)]
pub(crate) enum RootsKey {
    #[serde(rename = "platform")]
    Platform,
    #[serde(rename = "bundled")]
    Bundled,
}

/// `[http1]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Http1Keys {
    /// The largest response header accepted, status line included.
    #[schemars(extend("x-min" = "1KiB", "x-max" = "16MiB"))]
    pub(crate) max_header_bytes: Option<SizeText>,
    /// The most header lines accepted in a response.
    #[schemars(range(min = 1, max = 32768))]
    pub(crate) max_headers: Option<u32>,
    /// Send header names as `Content-Type` instead of `content-type`, for servers that mind.
    pub(crate) title_case_headers: Option<bool>,
}

/// `[http2]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Http2Keys {
    /// Offer HTTP/2 by ALPN.
    pub(crate) enabled: Option<bool>,
    /// Speak HTTP/2 without asking, over plain TCP too.
    pub(crate) prior_knowledge: Option<bool>,
    /// HTTP/2 connections to one host; the next is dialled at about 70 % of the places. With `dns.balance =
    /// "round_robin"` one for each of its addresses, if these are more.
    #[schemars(range(min = 1))]
    pub(crate) max_connections_per_host: Option<u32>,
    /// Requests at once on one connection, never more than the peer allows.
    #[schemars(range(min = 1))]
    pub(crate) max_streams_per_connection: Option<u32>,
    /// A ping is sent when no frame came for this long.
    pub(crate) keepalive_interval: Option<DurationText>,
    /// The connection is given up when a ping has had no answer for this long.
    pub(crate) keepalive_timeout: Option<DurationText>,
    /// Ping while no request is under way, too.
    pub(crate) keepalive_while_idle: Option<bool>,
    /// Bytes of one response that may be under way unread.
    #[schemars(extend("x-max" = "2147483647B"))]
    pub(crate) initial_stream_window: Option<SizeText>,
    /// Bytes of all responses of a connection that may be under way unread.
    #[schemars(extend("x-min" = "65535B", "x-max" = "2147483647B"))]
    pub(crate) initial_connection_window: Option<SizeText>,
    /// Let the windows follow the measured bandwidth.
    pub(crate) adaptive_window: Option<bool>,
    /// The largest frame accepted.
    #[schemars(extend("x-min" = "16KiB", "x-max" = "16777215B"))]
    pub(crate) max_frame_size: Option<SizeText>,
    /// The largest response header accepted.
    #[schemars(extend("x-max" = "4294967295B"))]
    pub(crate) max_header_list_size: Option<SizeText>,
}

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
    /// `http2.max_connections_per_host` says.
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

/// `[retry]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RetryKeys {
    /// Attempts in all; 1 switches retries off. What the server has certainly not processed is sent again all the same.
    #[schemars(range(min = 1, max = 100))]
    pub(crate) max_attempts: Option<u32>,
    /// The pauses between attempts.
    #[serde(default)]
    pub(crate) backoff: BackoffKeys,
    /// Answers that are failures; 429 only when it bears `Retry-After`.
    pub(crate) statuses: Option<Statuses>,
    /// Methods of requests that may be sent twice.
    pub(crate) methods: Option<Methods>,
    /// A request that bears this header may be sent twice, whatever its method.
    pub(crate) idempotency_header: Option<HeaderNameText>,
    /// How many retries a host is spared.
    #[serde(default)]
    pub(crate) budget: RetryBudgetKeys,
    /// Keep the pause that an answer asks for by `Retry-After`.
    pub(crate) respect_retry_after: Option<bool>,
    /// An answer that asks for a longer pause is not waited for.
    #[schemars(extend("x-zero" = true))]
    pub(crate) max_retry_after: Option<DurationText>,
}

/// `[retry.backoff]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BackoffKeys {
    /// The bound of the first pause; each further one is twice as long.
    pub(crate) base: Option<DurationText>,
    /// The bound of any pause.
    pub(crate) max: Option<DurationText>,
    /// How chance shapes a pause: anything up to the bound, at least half of it, or the bound itself.
    pub(crate) jitter: Option<JitterKey>,
}

/// `[retry.budget]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RetryBudgetKeys {
    /// Retries for each request to a host, over ten seconds; the profile's clients share it.
    #[schemars(range(min = 0.0, max = 1000.0))]
    pub(crate) ratio: Option<f64>,
    /// Retries a second to a host that are free beside these.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub(crate) min_per_second: Option<u32>,
}

/// A way to spread pauses.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(crate) enum JitterKey {
    Full,
    Equal,
    None,
}

/// `[breaker]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BreakerKeys {
    /// Refuse requests to a host that fails; each host has a breaker, which the profile's clients share.
    pub(crate) enabled: Option<bool>,
    /// The share of failures that opens it: no connection, no TLS, a reset, no header in time, 502, 503, 504.
    #[schemars(range(min = 0.01, max = 1.0))]
    pub(crate) failure_ratio: Option<f64>,
    /// Fewer requests within the window open nothing.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) min_requests: Option<u32>,
    /// How far back requests count.
    pub(crate) window: Option<DurationText>,
    /// How long it refuses when it opens first, less up to a tenth by chance; twice as long each time that it opens again
    /// before the host has recovered.
    pub(crate) open_for: Option<DurationText>,
    /// The longest that it refuses.
    pub(crate) max_open_for: Option<DurationText>,
    /// Requests that are let through then to see whether the host is back; as many successes close it.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) half_open_requests: Option<u32>,
}

/// `[compression]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CompressionKeys {
    /// Codings of answers that are asked for and undone, best first: "gzip", "br", "zstd" and "deflate", each with httputil's
    /// feature of that name ("brotli" for "br"). Those of the default that were not built in are left out.
    #[schemars(extend("examples" = [[]]))]
    pub(crate) accept: Option<Codings>,
    /// How many bytes may come of one on the wire, beyond the first 16 MiB.
    #[schemars(range(min = 1))]
    pub(crate) max_ratio: Option<u32>,
}

/// `[limit]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LimitKeys {
    /// Requests under way, over all hosts, until their answers' bodies have ended; those beyond wait within `timeout`.
    pub(crate) max_concurrent: Option<OrNone<NonZeroU32>>,
    /// The same of one host.
    pub(crate) max_concurrent_per_host: Option<OrNone<NonZeroU32>>,
    /// How many may wait for each of the other limits; those beyond fail at once, with 0 all do.
    pub(crate) queue: Option<OrNone<u32>>,
    /// Requests in a second, a minute or an hour, over all hosts; each attempt is one.
    pub(crate) rate: Option<OrNone<RateText>>,
    /// How many may go at once after a quiet time; by default as many as `limit.rate` names.
    pub(crate) burst: Option<OrNone<NonZeroU32>>,
    /// How large a response's body may be, decompressed.
    pub(crate) max_response_bytes: Option<OrNone<SizeText>>,
}

/// `[redirect]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RedirectKeys {
    /// Redirects of one request that are followed, one more is an error; with 0 the answer is the caller's.
    #[schemars(range(min = 0, max = 100))]
    pub(crate) max: Option<u32>,
    /// Follow them to another scheme, host or port, without credentials; else they are an error.
    pub(crate) cross_origin: Option<bool>,
    /// Follow them from https to http; else they are an error.
    pub(crate) downgrade: Option<bool>,
}

/// `[hedge]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HedgeKeys {
    /// When a request that has no answer yet is sent a second time beside the first; the first good answer wins. Only what
    /// may be sent twice is, paid for by `retry.budget`.
    pub(crate) after: Option<OrNone<DurationText>>,
}

/// `[registry]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RegistryKeys {
    /// Connections of all pools together; "auto" is three quarters of the soft limit of open files.
    pub(crate) max_connections: Option<OrNone<OrAuto<NonZeroU32>>>,
    /// Follow the files that the configuration was read from, and those that it names, when they change; needs httputil's
    /// feature of that name. Certificates, keys, revocation lists and tokens are followed in any case.
    pub(crate) watch: Option<bool>,
    /// Refuse keys that this version does not know. `false` makes a warning of each, while programs of several versions read
    /// one file; anything else stays a mistake.
    pub(crate) strict: Option<bool>,
}
