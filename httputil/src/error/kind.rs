//! The classes of failure that a caller can act on.

use std::fmt;
use std::time::Duration;

/// What went wrong, as a caller would sort it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// The configuration is wrong; the message lists every problem with its origin.
    Config,
    /// The host's name could not be resolved.
    Dns,
    /// No TCP connection could be made.
    Connect,
    /// The TLS handshake failed, or the certificate was refused.
    Tls,
    /// The proxy could not be used: its name, its address, its TLS, its answer. No fault of the request's host, except
    /// where the proxy says that it cannot reach it.
    Proxy,
    /// A time-out: `phase` says what was being waited for, `after` how long the bound was.
    #[non_exhaustive]
    Timeout {
        /// What was being waited for.
        phase: Phase,
        /// The bound that was reached.
        after: Duration,
    },
    /// `egress.*` refuses the request's URL, or every address that its host leads to. Nothing was dialled.
    Egress,
    /// A limit of this client was reached (`limit.*`), or the process ran out of sockets or ports.
    LimitExceeded,
    /// The host's breaker is open, `breaker.*`: so many requests to it have failed that this one was not sent.
    #[non_exhaustive]
    BreakerOpen {
        /// When it lets a request through again.
        retry_after: Duration,
    },
    /// No token could be had from the authorization server, `auth.oauth2`. The request was not sent.
    Token,
    /// The client was stopped before the request began.
    Stopped,
    /// The request could not be built or sent as asked (a bad URL, a body that failed).
    Request,
    /// The connection failed while the request was sent or its answer awaited.
    Connection,
    /// The peer broke the protocol.
    Protocol,
    /// The response's body ended wrongly.
    Body,
    /// The server sent the request where it must not go, or around in circles (`redirect.*`).
    Redirect,
    /// The response's body could not be decompressed: it is none of its coding, or ends in the middle of it.
    Decode,
    /// The response's body is larger than `limit.max_response_bytes`, or grows by more than `compression.max_ratio`.
    TooLarge,
}

/// What a request was waiting for when its time was up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// For its turn, while a limit of the profile was reached, `limit.*`.
    Turn,
    /// For a connection, while a cap was reached or another request's dial was under way.
    PoolWait,
    /// For the resolver.
    Dns,
    /// For the TCP connection, all addresses together.
    Connect,
    /// For the proxy: TLS with it, and its answer to `CONNECT` or over SOCKS. A time-out of its name look-up or of the
    /// TCP connection to it is of this phase, too.
    ProxyConnect,
    /// For the TLS handshake.
    TlsHandshake,
    /// For a token, `auth.oauth2`.
    Token,
    /// For a layer of the caller's own around the attempt.
    Signing,
    /// For the peer to take the request.
    Write,
    /// For the response's header.
    ResponseHeader,
    /// For the response's body.
    Body,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Phase::Turn => "waiting for its turn (limit)",
            Phase::PoolWait => "waiting for a connection",
            Phase::Dns => "name look-up",
            Phase::Connect => "TCP connect",
            Phase::ProxyConnect => "proxy connect",
            Phase::TlsHandshake => "TLS handshake",
            Phase::Token => "fetching a token",
            Phase::Signing => "signing the request",
            Phase::Write => "sending the request",
            Phase::ResponseHeader => "waiting for the response header",
            Phase::Body => "reading the response body",
        })
    }
}
