//! All that shapes a connection.

use std::path::PathBuf;
use std::time::Duration;

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
    /// `[http2]`
    pub http2: Http2,
    /// `[proxy]`
    pub proxy: Proxy,
    /// The bounds of `[timeouts]` that belong to making a connection.
    pub timeouts: Timeouts,
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
    /// `pool.reuse`: `false` is one connection per request. Default true.
    pub reuse: bool,
}

impl Default for Pool {
    fn default() -> Pool {
        Pool {
            max_idle: 100,
            max_idle_per_host: 10,
            idle_timeout: Duration::from_secs(90),
            reuse: true,
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
}

impl Default for Tcp {
    fn default() -> Tcp {
        Tcp {
            keepalive: Some(Duration::from_secs(30)),
            keepalive_interval: None,
            keepalive_retries: 3,
            nodelay: true,
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
    /// `tls.roots`: where trusted roots come from. Default the platform's.
    pub roots: Roots,
    /// `tls.ca_file`: a PEM file that replaces the roots.
    pub ca_file: Option<PathBuf>,
    /// `tls.extra_ca_file`: a PEM file that adds to the roots.
    pub extra_ca_file: Option<PathBuf>,
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

/// `[http2]`
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Http2 {
    /// `http2.enabled`: offer `h2` by ALPN. Default true.
    pub enabled: bool,
    /// `http2.prior_knowledge`: speak HTTP/2 without asking, over plain TCP too. Default false.
    pub prior_knowledge: bool,
    /// `http2.max_connections_per_host`. Default 4.
    pub max_connections_per_host: usize,
    /// `http2.max_streams_per_connection`: never more than the peer allows. Default 128.
    pub max_streams_per_connection: usize,
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
            initial_stream_window: 2 << 20,
            initial_connection_window: 16 << 20,
            adaptive_window: false,
            max_frame_size: 16 << 10,
            max_header_list_size: 64 << 10,
        }
    }
}

/// `[proxy]`
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Proxy {
    /// `proxy.from_env`: heed `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`. Default true.
    pub from_env: bool,
}

impl Default for Proxy {
    fn default() -> Proxy {
        Proxy { from_env: true }
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
    /// `timeouts.tls_handshake`. Default 10 s.
    pub tls_handshake: Duration,
}

impl Default for Timeouts {
    fn default() -> Timeouts {
        Timeouts {
            dns: Duration::from_secs(10),
            connect: Duration::from_secs(30),
            tls_handshake: Duration::from_secs(10),
        }
    }
}
