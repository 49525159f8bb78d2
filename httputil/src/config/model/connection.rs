//! What a connection is, and how many there are.

use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::values::{
    Address, DurationText, FilePath, FilePaths, HostName, Interface, Name, OrNone, Pins, SizeText, Urls,
};

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
    /// A connection takes no more requests than these. Where a cap allows its host no other, requests wait until the last of
    /// those that an HTTP/2 connection bears has ended.
    pub(crate) max_requests_per_connection: Option<OrNone<NonZeroU32>>,
    /// Connections to one host, for each tokio runtime: in use, idle and being dialled; beyond it requests wait for
    /// `timeouts.pool_wait`. With `dns.balance = "round_robin"` a multiple of the number of addresses: of five connections
    /// to four addresses one has two, and twice the requests of the others.
    pub(crate) max_connections_per_host: Option<OrNone<NonZeroU32>>,
    /// Connections of the whole pool: in use, idle and being dialled; beyond it requests wait for `timeouts.pool_wait`. A host
    /// that does not answer has one for a second, or three if it hangs in its TLS handshake, while others wait: behind twenty of
    /// these, with two connections, a sound host waits for ten seconds.
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
    /// Certificate revocation lists, PEM or DER. With any, each certificate of a server's chain, and of an https proxy's, must
    /// be covered by one that has not expired; of an issuer's lists the newest counts.
    pub(crate) crl_files: Option<FilePaths>,
    /// The name that a server is asked for (SNI) and verified by, instead of the URL's host; an https proxy is by its own.
    pub(crate) server_name: Option<OrNone<HostName>>,
    /// Accepted public keys of servers, as `sha256/…` of the SPKI, beside the chain's own check; not of an https proxy.
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
