//! The keys of a profile, and of `[registry]`.

use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    AuthKeys, BreakerKeys, CompressionKeys, DnsKeys, EgressKeys, HedgeKeys, Http1Keys, Http2Keys, LimitKeys, PoolKeys,
    ProxyKeys, RedirectKeys, RetryKeys, TcpKeys, TlsKeys,
};
use crate::config::values::{Bases, DurationText, Free, HeaderText, Headers, Names, OrAuto, OrNone};

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
    /// of a relative request goes to one, with the `Host` and the `Authorization` that the request may have itself; an absolute
    /// URL goes where it says.
    pub(crate) base_url: Option<OrNone<Bases>>,
    /// `User-Agent` of requests that name none.
    pub(crate) user_agent: Option<HeaderText>,
    /// Headers of requests that bear none of their names; a secret of them goes to the profile's own origins only.
    pub(crate) headers: Option<Headers>,
    /// Who we say that we are, by `Authorization`, to the profile's own origins only.
    #[serde(default)]
    pub(crate) auth: AuthKeys,
    /// The whole request: queue, redirects, retries, body.
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

/// `[registry]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RegistryKeys {
    /// Connections of all pools together; "auto" is three quarters of the soft limit of open files. A host that does not answer
    /// has one for a second or three while others wait, as under `pool.max_connections`.
    pub(crate) max_connections: Option<OrNone<OrAuto<NonZeroU32>>>,
    /// Follow the files that the configuration was read from, and those that it names, when they change; needs httputil's
    /// feature of that name. Certificates, keys, revocation lists and tokens are followed in any case.
    pub(crate) watch: Option<bool>,
    /// Refuse keys that this version does not know. `false` makes a warning of each, while programs of several versions read
    /// one file; anything else stays a mistake.
    pub(crate) strict: Option<bool>,
}
