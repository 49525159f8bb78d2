//! A client for the stores of the crate `object_store` ([`Client::to_object_store`]).
//!
//! The rule: what a store decides stays the store's (retries, signatures, ranges), and what the profile decides stays the
//! profile's (connections, time-outs, proxies, egress). What both would decide is refused by name where it would be lost in
//! silence.

use std::fmt;

use async_trait::async_trait;
use http::HeaderMap;
use http_body_util::BodyExt as _;
use object_store::client::{HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse};
use object_store::client::{HttpResponseBody, HttpService};
use object_store::{ClientConfigKey, ClientOptions};
use tower_service::Service as _;

use super::{Client, RequestOptions};
use crate::error::{Error, Kind, Phase};

/// A [`Client`] as an [`object_store::client::HttpConnector`]; made by [`Client::to_object_store`].
///
/// Clones are cheap and share the client's lease, as do the stores that are built with one.
#[derive(Clone)]
pub struct ObjectStoreConnector {
    client: Client,
}

impl Client {
    /// This client for the stores of the crate `object_store`: `with_http_connector(client.to_object_store())`. Needs the
    /// feature `object_store`.
    ///
    /// It is the same client: lease, pool, limits, breaker, egress rules and time-outs are those of the profile. A bulk profile
    /// has `timeout = "none"`, since this bounds an object's body, too. Retries are the store's (its `RetryConfig`), by which it
    /// also goes on where a body broke off; this client makes none. An exchange that certainly was not sent is told so, and
    /// made again whatever its method is.
    ///
    /// Of the store's `ClientOptions`, `allow_http` and the default headers hold. Its time-outs, user agent, pool and TLS
    /// settings are the profile's to say, and do not reach here. A proxy, a resolver, or certificates that are not verified are
    /// errors of the store's `build`.
    ///
    /// Limits of `object_store` itself, which a client can't lift: a key with `//`, `.`, `..` or a control character has no
    /// `Path`, and fails the whole listing that it is in; `dir/` becomes `dir`; `put` holds the whole object, only
    /// `put_multipart` streams; it signs a payload's digest, and does not wait for `Retry-After`.
    #[cfg_attr(not(doctest), doc = include_str!("../../docs/object_store.md"))]
    pub fn to_object_store(&self) -> ObjectStoreConnector {
        ObjectStoreConnector { client: self.clone() }
    }
}

impl fmt::Debug for ObjectStoreConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ObjectStoreConnector").field(&self.client).finish()
    }
}

impl HttpConnector for ObjectStoreConnector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let is_set = |key: &ClientConfigKey| options.get_config_value(key).is_some_and(|value| value != "false");
        let mut refused = Vec::new();
        for (key, instead) in [
            (ClientConfigKey::ProxyUrl, "proxy.url"),
            (ClientConfigKey::ProxyCaCertificate, "proxy.url"),
            (ClientConfigKey::ProxyExcludes, "proxy.no_proxy"),
            (ClientConfigKey::AllowInvalidCertificates, "tls.insecure_skip_verify"),
        ] {
            if is_set(&key) {
                refused.push(format!("{} (say {instead})", key.as_ref()));
            }
        }
        if options.dns_resolver().is_some() {
            refused.push("a resolver (say dns.*)".to_owned());
        }
        if !refused.is_empty() {
            let message = format!(
                "the store's client options are the profile's to set: {}",
                refused.join(", ")
            );
            return Err(object_store::Error::NotSupported { source: message.into() });
        }
        Ok(HttpClient::new(Exchange {
            client: self.client.clone(),
            allows_http: is_set(&ClientConfigKey::AllowHttp),
            headers: options.get_default_headers().cloned().unwrap_or_default(),
        }))
    }
}

/// What one store sends by.
#[derive(Debug)]
struct Exchange {
    client: Client,
    allows_http: bool,
    headers: HeaderMap,
}

#[async_trait]
impl HttpService for Exchange {
    async fn call(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        if !self.allows_http && request.uri().scheme_str() != Some("https") {
            let message = "the store's URL is not https, and its client options do not set allow_http";
            return Err(HttpError::new_boxed(HttpErrorKind::Unknown, message.into()));
        }
        for (name, value) in &self.headers {
            request.headers_mut().entry(name).or_insert_with(|| value.clone());
        }
        request
            .extensions_mut()
            .get_or_insert_with(|| RequestOptions::default().retry(false));
        let response = (&self.client).call(request).await.map_err(told)?;
        Ok(response.map(|body| HttpResponseBody::new(body.map_err(told))))
    }
}

/// In the store's words, by which it decides whether to try again.
fn told(error: Error) -> HttpError {
    let kind = match error.kind() {
        Kind::Timeout { phase, .. } if was_not_sent(phase) => HttpErrorKind::Connect,
        Kind::Timeout { .. } => HttpErrorKind::Timeout,
        Kind::BreakerOpen { .. } => HttpErrorKind::Connect,
        Kind::Dns | Kind::Connect | Kind::Tls | Kind::Proxy | Kind::LimitExceeded if error.is_retryable() => {
            HttpErrorKind::Connect
        }
        Kind::Connection | Kind::Body => HttpErrorKind::Interrupted,
        Kind::Decode => HttpErrorKind::Decode,
        _ => HttpErrorKind::Unknown,
    };
    HttpError::new(kind, error)
}

fn was_not_sent(phase: Phase) -> bool {
    matches!(
        phase,
        Phase::Turn
            | Phase::PoolWait
            | Phase::Dns
            | Phase::Connect
            | Phase::ProxyConnect
            | Phase::TlsHandshake
            | Phase::Token
            | Phase::Signing
    )
}
