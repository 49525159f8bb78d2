//! Building a request, in reqwest's words.
//!
//! The work is reqwest's own: its builder runs on a client that never sends anything, because a multipart form's stream
//! and length are private to it.

use std::fmt;
use std::sync::LazyLock;
use std::time::Duration;

use http::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::Body;
use reqwest::multipart::Form;
use serde::Serialize;

use super::Client;
use super::execute::prepare;
use super::message::to_reqwest;
use crate::error::{Error, Kind};

/// A reqwest client that builds requests and sends none. It opens no socket and starts no task.
pub(super) fn shim() -> &'static reqwest::Client {
    static SHIM: LazyLock<reqwest::Client> = LazyLock::new(|| {
        reqwest::Client::builder()
            .no_proxy()
            .build()
            .expect("a client without proxies and resolvers of its own can always be built")
    });
    &SHIM
}

/// A request under construction: reqwest's builder, bound to a [`Client`].
///
/// A mistake made on the way (a URL that cannot be parsed, a header that cannot be sent) is kept and returned by
/// [`send`](RequestBuilder::send) or [`build`](RequestBuilder::build).
#[must_use = "a request is not sent before `send()`"]
pub struct RequestBuilder {
    client: Client,
    inner: reqwest::RequestBuilder,
}

impl RequestBuilder {
    pub(super) fn new(client: Client, inner: reqwest::RequestBuilder) -> RequestBuilder {
        RequestBuilder { client, inner }
    }

    fn map(self, change: impl FnOnce(reqwest::RequestBuilder) -> reqwest::RequestBuilder) -> RequestBuilder {
        RequestBuilder {
            client: self.client,
            inner: change(self.inner),
        }
    }

    /// Adds a header; an earlier one of the same name stays.
    pub fn header<K, V>(self, name: K, value: V) -> RequestBuilder
    where
        HeaderName: TryFrom<K>,
        <HeaderName as TryFrom<K>>::Error: Into<http::Error>,
        HeaderValue: TryFrom<V>,
        <HeaderValue as TryFrom<V>>::Error: Into<http::Error>,
    {
        self.map(|inner| inner.header(name, value))
    }

    /// Sets headers; earlier ones of the same names are replaced.
    pub fn headers(self, headers: HeaderMap) -> RequestBuilder {
        self.map(|inner| inner.headers(headers))
    }

    /// Sets `Authorization` by the Basic scheme (RFC 7617).
    pub fn basic_auth(self, username: impl fmt::Display, password: Option<impl fmt::Display>) -> RequestBuilder {
        self.map(|inner| inner.basic_auth(username, password))
    }

    /// Sets `Authorization` by the Bearer scheme (RFC 6750).
    pub fn bearer_auth(self, token: impl fmt::Display) -> RequestBuilder {
        self.map(|inner| inner.bearer_auth(token))
    }

    /// Sets the body. Bytes and text can be sent again if the server has not processed them; a stream cannot.
    pub fn body(self, body: impl Into<Body>) -> RequestBuilder {
        self.map(|inner| inner.body(body))
    }

    /// Bounds this request, body included, instead of the profile's `timeout`.
    pub fn timeout(self, timeout: Duration) -> RequestBuilder {
        self.map(|inner| inner.timeout(timeout))
    }

    /// Adds to the URL's query.
    pub fn query<T: Serialize + ?Sized>(self, query: &T) -> RequestBuilder {
        self.map(|inner| inner.query(query))
    }

    /// Sets a form as the body (`application/x-www-form-urlencoded`).
    pub fn form<T: Serialize + ?Sized>(self, form: &T) -> RequestBuilder {
        self.map(|inner| inner.form(form))
    }

    /// Sets JSON as the body.
    pub fn json<T: Serialize + ?Sized>(self, json: &T) -> RequestBuilder {
        self.map(|inner| inner.json(json))
    }

    /// Sets a multipart form as the body (`multipart/form-data`).
    pub fn multipart(self, form: Form) -> RequestBuilder {
        self.map(|inner| inner.multipart(form))
    }

    /// The same request once more; `None` if its body is a stream.
    #[must_use]
    pub fn try_clone(&self) -> Option<RequestBuilder> {
        Some(RequestBuilder {
            client: self.client.clone(),
            inner: self.inner.try_clone()?,
        })
    }

    /// The finished request, for [`Client::execute`].
    ///
    /// # Errors
    ///
    /// [`Kind::Request`] for the first mistake made on the way.
    pub fn build(self) -> Result<reqwest::Request, Error> {
        self.inner.build().map_err(bad_request)
    }

    /// Sends the request; see [`Client::execute`].
    pub fn send(self) -> impl Future<Output = Result<reqwest::Response, Error>> + Send + use<> {
        let RequestBuilder { client, inner } = self;
        let prepared = inner
            .build()
            .map_err(bad_request)
            .and_then(|request| prepare(&client.inner, request));
        async move { prepared?.run(&client.inner, to_reqwest).await }
    }
}

/// reqwest's own words for a mistake hold no secret once its URL is taken out.
pub(super) fn bad_request(error: reqwest::Error) -> Error {
    use std::error::Error as _;
    let error = error.without_url();
    let why = error.source().map_or_else(|| error.to_string(), ToString::to_string);
    Error::new(Kind::Request, format!("the request cannot be built: {why}"))
}

impl fmt::Debug for RequestBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestBuilder")
            .field("client", &self.client)
            .finish_non_exhaustive()
    }
}
