//! What one request wants otherwise than its profile.
//!
//! Both doors bear it: [`RequestBuilder`](crate::RequestBuilder) has a method for each option, an [`http::Request`] takes
//! [`RequestOptions`] as an extension, and a `reqwest::Request`, which has no place for them, goes with them through
//! [`Client::execute_with`](crate::Client::execute_with). A request without options carries a null pointer.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use crate::error::BoxError;
use crate::wire::BodyFactory;

/// What one request wants otherwise than its profile: an extension of an [`http::Request`], and what
/// [`Client::execute_with`](crate::Client::execute_with) takes. What is not set is as the profile says.
///
/// ```
/// use std::time::{Duration, Instant};
/// use httputil::RequestOptions;
///
/// let until = Instant::now() + Duration::from_secs(2);
/// let request = http::Request::post("http://127.0.0.1:8080/orders")
///     .extension(RequestOptions::default().deadline(until).idempotent(true))
///     .body(String::new());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "options do nothing before a request bears them"]
pub struct RequestOptions {
    pub(super) timeout: Option<Duration>,
    pub(super) deadline: Option<Instant>,
    pub(super) retry: Option<bool>,
    pub(super) idempotent: Option<bool>,
    pub(super) fresh_connection: bool,
    pub(super) max_redirects: Option<u32>,
    pub(super) max_response_bytes: Option<u64>,
    pub(super) body: Option<BodyFactory>,
}

impl RequestOptions {
    /// Bounds the request, body included, instead of the profile's `timeout`. Where the host did not answer within it, that
    /// counts for the host's breaker only if it had a second's time.
    pub fn timeout(mut self, timeout: Duration) -> RequestOptions {
        self.timeout = Some(timeout);
        self
    }

    /// When the request, body included, is to be over: std's or tokio's `Instant`, such as the deadline that the caller has
    /// itself. The profile's `timeout` holds beside it; the earlier one wins. Of several deadlines the last one set holds.
    pub fn deadline(mut self, deadline: impl Into<Instant>) -> RequestOptions {
        self.deadline = Some(deadline.into());
        self
    }

    /// `false`: a failed attempt is not made again. `true` is what the profile says (`retry.*`). What the server has
    /// certainly not acted on is sent again in any case; that is no retry.
    pub fn retry(mut self, retry: bool) -> RequestOptions {
        self.retry = Some(retry);
        self
    }

    /// Whether the server may get the request twice, whatever its method and headers say: `true` lets a `POST` be sent
    /// again as a `GET` is, `false` takes that from a `GET`.
    pub fn idempotent(mut self, idempotent: bool) -> RequestOptions {
        self.idempotent = Some(idempotent);
        self
    }

    /// `true`: the request goes over a connection that no request has used. It goes to the pool as others do afterwards.
    /// At a cap on connections an idle one makes room for it, and is gone then even if the new one cannot be dialled. Where a
    /// host has `http2.max_connections_per_host` connections, one that bears no request leaves when the new one is there;
    /// where all of them bear some, the request goes over one of these.
    pub fn fresh_connection(mut self, fresh: bool) -> RequestOptions {
        self.fresh_connection = fresh;
        self
    }

    /// How many redirects are followed, instead of the profile's `redirect.max`; with 0 the answer that redirects is the
    /// caller's.
    pub fn max_redirects(mut self, max: u32) -> RequestOptions {
        self.max_redirects = Some(max);
        self
    }

    /// How large the response's body may be, decompressed, instead of the profile's `limit.max_response_bytes`.
    pub fn max_response_bytes(mut self, bytes: u64) -> RequestOptions {
        self.max_response_bytes = Some(bytes);
        self
    }

    /// The request's body, in place of its own, made anew for each sending: so a stream can be sent again where bytes could
    /// be, by a retry, a hedge, a redirect that keeps the body, or after a 401. `make` is to make the same body each time,
    /// and soon: it is called from within the request's task, for the first time when the request is begun. A panic of it
    /// fails the request, as one of the stream does.
    ///
    /// ```no_run
    /// use bytes::Bytes;
    /// use http_body_util::Full;
    /// use httputil::RequestOptions;
    ///
    /// let lines = Bytes::from_static(b"one\ntwo\n");
    /// // Any body will do; a stream is what needs it.
    /// let options = RequestOptions::default().idempotent(true).body_factory(move || Full::new(lines.clone()));
    /// ```
    pub fn body_factory<B>(mut self, make: impl Fn() -> B + Send + Sync + 'static) -> RequestOptions
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        self.body = Some(BodyFactory::new(make));
        self
    }

    /// The options that are set, as a mistake names them.
    pub(super) fn set(&self) -> Vec<&'static str> {
        let RequestOptions {
            timeout,
            deadline,
            retry,
            idempotent,
            fresh_connection,
            max_redirects,
            max_response_bytes,
            body,
        } = self;
        [
            (timeout.is_some(), "timeout"),
            (deadline.is_some(), "deadline"),
            (retry.is_some(), "retry"),
            (idempotent.is_some(), "idempotent"),
            (*fresh_connection, "fresh_connection"),
            (max_redirects.is_some(), "max_redirects"),
            (max_response_bytes.is_some(), "max_response_bytes"),
            (body.is_some(), "body_factory"),
        ]
        .into_iter()
        .filter_map(|(is_set, name)| is_set.then_some(name))
        .collect()
    }
}

/// Whether a request may be sent twice: as it says itself, else as `by_rule` finds.
pub(super) fn may_repeat(options: Option<&RequestOptions>, by_rule: impl FnOnce() -> bool) -> bool {
    options.and_then(|own| own.idempotent).unwrap_or_else(by_rule)
}

/// Whether a failed attempt of a request may be made again.
pub(super) fn may_retry(options: Option<&RequestOptions>) -> bool {
    options.and_then(|own| own.retry) != Some(false)
}

/// How many redirects a request follows.
pub(super) fn max_redirects(options: Option<&RequestOptions>, by_profile: u32) -> u32 {
    options.and_then(|own| own.max_redirects).unwrap_or(by_profile)
}
