//! What happens to one request.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Auth, Breaker, Compression, DefaultHeader, Limit, Redirect, Retry};

/// What happens to one request; every profile has its own, also where two share a pool.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Policy {
    /// `timeout`: the whole request, from `send()` to the end of the body. Default 30 s; `None` is unbounded.
    pub timeout: Option<Duration>,
    /// `timeouts.pool_wait`: how long to wait for a connection while a cap is reached. Default 10 s.
    pub pool_wait: Duration,
    /// `timeouts.expect_continue`: how long the body of a request with `Expect: 100-continue` waits for the server's word
    /// over HTTP/1 before it is sent all the same. Default 1 s.
    pub expect_continue: Duration,
    /// `timeouts.attempt`: one attempt, from asking for a connection to the end of the body. Default `None`. A retry, which
    /// there is while no head has come, has the whole time again; `timeout` bounds all attempts together.
    pub attempt: Option<Duration>,
    /// `timeouts.response_header`: from the request's last byte being taken by the kernel (HTTP/1) or by the stream
    /// (HTTP/2) to the answer's head. Default `None`.
    pub response_header: Option<Duration>,
    /// `timeouts.read`: the longest silence while the reader waits for the next piece of the response's body. Where neither
    /// `timeout` nor `attempt` would end it, a response whose reader asks for nothing for as long is over, too, since it holds
    /// a connection. Default: none; 60 s where `timeout` is off.
    pub read: PhaseBound,
    /// `timeouts.write`: how long the peer may take nothing of the request while there is something to send. Default: none;
    /// 60 s where `timeout` is off.
    pub write: PhaseBound,
    /// `base_url`: the prefix of relative request URLs, an `http` or `https` URL, or `unix:/path` of a socket. Default none.
    /// Of several, endpoints of one service, each attempt goes to one: of two that chance names the one with less under way
    /// and faster answers, never to one whose breaker is open while another's is not, and a retry to another one.
    ///
    /// `https://host/v1` and `users/7`, or `/users/7`, make `https://host/v1/users/7`. Requests to a socket are HTTP without
    /// TLS, with `Host: localhost`.
    pub base_url: Vec<String>,
    /// `user_agent`: sent when the request names none. Default `httputil/<version>`.
    pub user_agent: String,
    /// `headers`: default headers, by their names in lower case; a request's own header of the name replaces them. Default
    /// none.
    pub headers: BTreeMap<String, DefaultHeader>,
    /// `auth.*`: who we say that we are, and to whom.
    pub auth: Auth,
    /// `retry.*`: when a failed request is made again.
    pub retry: Retry,
    /// `breaker.*`: when requests to a host are refused at once.
    pub breaker: Breaker,
    /// `hedge.after`: when a request that has no answer yet is sent a second time beside the first, if it may be and the
    /// host's retry budget pays for it. Default none.
    pub hedge_after: Option<Duration>,
    /// `limit.*`: how many requests go at once, and how fast.
    pub limit: Limit,
    /// `redirect.*`: which redirects are followed.
    pub redirect: Redirect,
    /// `compression.*`: which compressed answers are asked for.
    pub compression: Compression,
    /// `cookies`: whether cookies that answers set go with later requests. Default `false`. Needs the feature `cookies`.
    ///
    /// They are kept in memory, by all clients of the profile together (a service that is `isolated` has its own), for
    /// their own hosts (RFC 6265; a Unix socket is none): at most 180 and 32 KiB of one registered domain, 3000 in all.
    /// Where `base_url` or `auth.origins` is set, only those origins' are kept and sent; after a redirect to another origin
    /// none goes along. A request's own `Cookie` replaces them.
    pub cookies: bool,
    /// `limit.max_response_bytes`: how large a response's body may be, decompressed. Default `None`.
    pub max_response_bytes: Option<u64>,
}

/// Why cookies cannot be kept, if they cannot: this program was built without them.
pub(crate) fn without_cookies(policy: &Policy) -> Option<&'static str> {
    let is_missing = policy.cookies && !cfg!(feature = "cookies");
    is_missing
        .then_some("this program was built without cookies; turn on httputil's feature \"cookies\", or leave it out")
}

/// A bound whose default depends on whether the whole request has one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum PhaseBound {
    /// None; 60 s where `timeout` is off: such a request would wait for a dead peer for ever.
    #[default]
    Default,
    /// None, also where `timeout` is off.
    Off,
    /// This one.
    After(Duration),
}

impl PhaseBound {
    /// The bound of a request whose profile's `timeout` is this.
    pub fn beside(self, timeout: Option<Duration>) -> Option<Duration> {
        match self {
            PhaseBound::Default => timeout.is_none().then_some(Duration::from_mins(1)),
            PhaseBound::Off => None,
            PhaseBound::After(bound) => Some(bound),
        }
    }
}

impl From<Option<Duration>> for PhaseBound {
    fn from(bound: Option<Duration>) -> PhaseBound {
        bound.map_or(PhaseBound::Off, PhaseBound::After)
    }
}

impl Default for Policy {
    fn default() -> Policy {
        Policy {
            timeout: Some(Duration::from_secs(30)),
            pool_wait: Duration::from_secs(10),
            expect_continue: Duration::from_secs(1),
            base_url: Vec::new(),
            attempt: None,
            response_header: None,
            read: PhaseBound::Default,
            write: PhaseBound::Default,
            user_agent: concat!("httputil/", env!("CARGO_PKG_VERSION")).to_owned(),
            headers: BTreeMap::new(),
            auth: Auth::default(),
            retry: Retry::default(),
            breaker: Breaker::default(),
            hedge_after: None,
            limit: Limit::default(),
            redirect: Redirect::default(),
            compression: Compression::default(),
            cookies: false,
            max_response_bytes: None,
        }
    }
}
