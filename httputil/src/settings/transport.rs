//! All that shapes a connection.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::{Dns, Egress, Proxy};

/// All that shapes a connection. Profiles that name the same pool must agree on the whole of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Transport {
    /// `[pool]`
    pub pool: Pool,
    /// `[tcp]`
    pub tcp: Tcp,
    /// `[tls]`
    pub tls: Tls,
    /// `[http1]`
    pub http1: Http1,
    /// `[http2]`
    pub http2: Http2,
    /// `[proxy]`
    pub proxy: Proxy,
    /// `[dns]`
    pub dns: Dns,
    /// `[egress]`
    pub egress: Egress,
    /// The bounds of `[timeouts]` that belong to making a connection.
    pub timeouts: Timeouts,
    /// Whether what each TLS handshake agreed on is kept for [`Timings::tls_info`](crate::Timings::tls_info), certificates
    /// included: a few kilobytes a connection. In code only; default false.
    pub tls_info: bool,
}

/// `[pool]`: how many connections are kept, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pool {
    /// `pool.max_idle`: idle connections over all hosts; beyond it the least recently used is closed. Default 100, 0 is none.
    pub max_idle: usize,
    /// `pool.max_idle_per_host`: idle connections to one host. Default 10, 0 is none.
    pub max_idle_per_host: usize,
    /// `pool.idle_timeout`: an idle connection is closed after this. Default 90 s.
    pub idle_timeout: Duration,
    /// `pool.hibernate_after`: an HTTP/1 connection that has been idle for this long gives its buffers back, about 27 KB,
    /// until a request wakes it, which takes microseconds and sends nothing. Default 5 s; `None` is never.
    pub hibernate_after: Option<Duration>,
    /// `pool.reuse`: `false` is one connection per request. Default true.
    pub reuse: bool,
    /// `pool.max_lifetime`: a connection takes no new request after this time since it was made, give or take a tenth.
    /// An HTTP/2 connection that bears a long one, and beside which a cap allows its host no other, serves on until that has
    /// ended. Default 10 min; `None` is for ever.
    pub max_lifetime: Option<Duration>,
    /// `pool.max_requests_per_connection`: a connection takes no more than these, since its server may take no more either.
    /// Where a cap allows its host no other, and it is HTTP/2 and bears a long one, the host's requests wait until that has
    /// ended. Default `None`.
    pub max_requests_per_connection: Option<u32>,
    /// `pool.max_connections_per_host`: in use, idle and being dialled, for each tokio runtime that the pool is used from.
    /// Default `None`.
    pub max_connections_per_host: Option<usize>,
    /// `pool.max_connections`: of the whole pool; in use, idle and being dialled. Default `None`.
    pub max_connections: Option<usize>,
    /// `pool.min_idle_per_host`: connections made ready for a host when it gets a request or is in `warm`; what closes in
    /// between is made up for at the next request. Default 0.
    pub min_idle_per_host: usize,
    /// `pool.warm`: URLs whose hosts, or sockets (`unix:/path`), are connected to when the pool gets its first lease within
    /// a runtime. Default none.
    pub warm: Vec<String>,
}

impl Default for Pool {
    fn default() -> Pool {
        Pool {
            max_idle: 100,
            max_idle_per_host: 10,
            idle_timeout: Duration::from_secs(90),
            hibernate_after: Some(Duration::from_secs(5)),
            reuse: true,
            max_lifetime: Some(Duration::from_mins(10)),
            max_requests_per_connection: None,
            max_connections_per_host: None,
            max_connections: None,
            min_idle_per_host: 0,
            warm: Vec::new(),
        }
    }
}

/// `[tcp]`: options of the socket.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tcp {
    /// `tcp.keepalive`: time before the first keep-alive probe. Default 30 s; `None` sends none.
    pub keepalive: Option<Duration>,
    /// `tcp.keepalive_interval`: between probes. Default: as `tcp.keepalive`.
    pub keepalive_interval: Option<Duration>,
    /// `tcp.keepalive_retries`: probes without an answer before the connection is given up. Default 3.
    pub keepalive_retries: u32,
    /// `tcp.nodelay`: send small packets at once. Default true.
    pub nodelay: bool,
    /// `tcp.user_timeout`, on Linux: how long sent data may go unacknowledged, or stay unsent since the peer takes none,
    /// before the connection is given up (`TCP_USER_TIMEOUT`, RFC 5482). Where both are on, the kernel applies it to
    /// keep-alive probes as well, instead of counting `keepalive_retries`. Default 15 s; `None` leaves it to the kernel.
    pub user_timeout: Option<Duration>,
    /// `tcp.local_address`: the address of this machine that connections are made from. Hosts' addresses of the other
    /// family are left out. Default: as the routes say.
    pub local_address: Option<IpAddr>,
    /// `tcp.interface`, on Linux: the network interface that connections are made through (`SO_BINDTODEVICE`). Default: as
    /// the routes say.
    pub interface: Option<String>,
}

impl Default for Tcp {
    fn default() -> Tcp {
        Tcp {
            keepalive: Some(Duration::from_secs(30)),
            keepalive_interval: None,
            keepalive_retries: 3,
            nodelay: true,
            user_timeout: Some(Duration::from_secs(15)),
            local_address: None,
            interface: None,
        }
    }
}

/// `[tls]`: whom to trust, and how to speak.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tls {
    /// `tls.min_version`. Default 1.2.
    pub min_version: TlsVersion,
    /// `tls.max_version`. Default 1.3.
    pub max_version: TlsVersion,
    /// `tls.roots`: where trusted roots come from. Default the platform's, which are read when they are needed first, and
    /// again when a registry is reloaded.
    pub roots: Roots,
    /// `tls.ca_file`: a PEM file that replaces the roots.
    pub ca_file: Option<PathBuf>,
    /// `tls.extra_ca_file`: a PEM file that adds to the roots.
    pub extra_ca_file: Option<PathBuf>,
    /// `tls.cert_file`: a PEM file with the certificate that we show when a server asks for one, its intermediates behind
    /// it. Needs `key_file`.
    pub cert_file: Option<PathBuf>,
    /// `tls.key_file`: a PEM file with the certificate's private key (PKCS#8, PKCS#1 or SEC1), not encrypted.
    pub key_file: Option<PathBuf>,
    /// `tls.crl_files`: certificate revocation lists, PEM or DER (RFC 5280 §5). With any, each certificate of a server's
    /// chain, up to the root, must be covered by one of them that has not expired, else the server is refused; so must an
    /// https proxy's, which is refused likewise. Of several lists of one issuer and scope the newest (`thisUpdate`)
    /// counts, of one second the one named last. Default none. Without a say where `insecure_skip_verify` is set.
    pub crl_files: Vec<PathBuf>,
    /// `tls.server_name`: the name that a server is asked for (SNI, RFC 6066 §3) and verified by, instead of the URL's host.
    /// An https proxy is asked for and verified by its own name.
    pub server_name: Option<String>,
    /// `tls.pins`: accepted public keys, `sha256/` and the base64 of the SHA-256 of the certificate's
    /// `SubjectPublicKeyInfo`. With any, the server's own certificate (not one above it) must bear one of these keys,
    /// beside the chain's own check, and also where `insecure_skip_verify` is set. Not asked of an https proxy. Default none.
    pub pins: Vec<String>,
    /// `tls.insecure_skip_verify`: accept any certificate. Default false; refused, in a file and in code, unless
    /// `HTTPUTIL_ENV` is `development` or `test`.
    pub insecure_skip_verify: bool,
}

impl Default for Tls {
    fn default() -> Tls {
        Tls {
            min_version: TlsVersion::V1_2,
            max_version: TlsVersion::V1_3,
            roots: Roots::Platform,
            ca_file: None,
            extra_ca_file: None,
            cert_file: None,
            key_file: None,
            crl_files: Vec::new(),
            server_name: None,
            pins: Vec::new(),
            insecure_skip_verify: false,
        }
    }
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TlsVersion {
    /// TLS 1.2, RFC 5246.
    V1_2,
    /// TLS 1.3, RFC 8446.
    V1_3,
}

/// Where trusted roots come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Roots {
    /// The operating system's store.
    Platform,
    /// Mozilla's roots, built into the program.
    Bundled,
}

/// `[http1]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Http1 {
    /// `http1.max_header_bytes`: the largest response header accepted, status line included. Default 64 KiB.
    pub max_header_bytes: u32,
    /// `http1.max_headers`: the most header lines accepted in a response; another number than the default costs an
    /// allocation a response. Default 100.
    pub max_headers: u32,
    /// `http1.title_case_headers`: send header names as `Content-Type` instead of `content-type`. Default false.
    pub title_case_headers: bool,
}

impl Default for Http1 {
    fn default() -> Http1 {
        Http1 {
            max_header_bytes: 64 << 10,
            max_headers: Http1::DEFAULT_MAX_HEADERS,
            title_case_headers: false,
        }
    }
}

impl Http1 {
    /// hyper's own, for which it needs no allocation.
    pub(crate) const DEFAULT_MAX_HEADERS: u32 = 100;
}

/// `[http2]`
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[expect(clippy::struct_excessive_bools, reason = "each is a key of its own")]
pub struct Http2 {
    /// `http2.enabled`: offer `h2` by ALPN. Default true.
    pub enabled: bool,
    /// `http2.prior_knowledge`: speak HTTP/2 without asking, over plain TCP too. Default false.
    pub prior_knowledge: bool,
    /// `http2.max_connections_per_host`. Default 4. With `dns.balance = "round_robin"` one for each address of the host, if
    /// these are more.
    pub max_connections_per_host: usize,
    /// `http2.max_streams_per_connection`: never more than the peer allows. Default 128.
    pub max_streams_per_connection: usize,
    /// `http2.keepalive_interval`: a ping is sent when no frame came for this long. Default 10 s.
    pub keepalive_interval: Duration,
    /// `http2.keepalive_timeout`: the connection is given up when nothing comes for this long after the ping. Default 5 s.
    pub keepalive_timeout: Duration,
    /// `http2.keepalive_while_idle`: ping while no request is under way, too. Default false.
    pub keepalive_while_idle: bool,
    /// `http2.initial_stream_window`, bytes. Default 2 MiB.
    pub initial_stream_window: u32,
    /// `http2.initial_connection_window`, bytes. Default 16 MiB.
    pub initial_connection_window: u32,
    /// `http2.adaptive_window`: let the windows follow the measured bandwidth. Default false.
    pub adaptive_window: bool,
    /// `http2.max_frame_size`, bytes, 16 KiB to 16 MiB - 1. Default 16 KiB.
    pub max_frame_size: u32,
    /// `http2.max_header_list_size`, bytes. Default 64 KiB.
    pub max_header_list_size: u32,
}

impl Default for Http2 {
    fn default() -> Http2 {
        Http2 {
            enabled: true,
            prior_knowledge: false,
            max_connections_per_host: 4,
            max_streams_per_connection: 128,
            keepalive_interval: Duration::from_secs(10),
            keepalive_timeout: Duration::from_secs(5),
            keepalive_while_idle: false,
            initial_stream_window: 2 << 20,
            initial_connection_window: 16 << 20,
            adaptive_window: false,
            max_frame_size: 16 << 10,
            max_header_list_size: 64 << 10,
        }
    }
}

/// The bounds of making a connection, one each.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timeouts {
    /// `timeouts.dns`. Default 10 s.
    pub dns: Duration,
    /// `timeouts.connect`: TCP, all addresses together. Default 30 s.
    pub connect: Duration,
    /// `timeouts.proxy_connect`: the proxy's answer to `CONNECT`, or the SOCKS exchange. Default 10 s.
    pub proxy_connect: Duration,
    /// `timeouts.tls_handshake`. Default 10 s.
    pub tls_handshake: Duration,
}

impl Default for Timeouts {
    fn default() -> Timeouts {
        Timeouts {
            dns: Duration::from_secs(10),
            connect: Duration::from_secs(30),
            proxy_connect: Duration::from_secs(10),
            tls_handshake: Duration::from_secs(10),
        }
    }
}
