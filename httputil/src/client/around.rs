//! A layer of the user's own around whole requests, through both doors.
//!
//! ```text
//! send(), or tower ─► layer ─► deadline ─► limit ─► redirect ─► … ─► wire
//! ```
//!
//! It sees a request before anything of ours does, and the answer that comes back at last: to name requests, to measure them,
//! to answer some of them itself. A client without one has a null pointer here, and no future is boxed.

use std::fmt;
use std::sync::Arc;

use http::{HeaderMap, Method, Response};
use url::Url;

use super::address::without_user;
use super::execute::{Written, prepare};
use super::message::{from_http, to_http};
use super::{Body, Client, LayerFuture, RequestOptions};
use crate::error::Error;

/// A layer of your own around each request as a whole, redirects and retries included; made a client's by
/// [`Client::with_request_layer`](crate::Client::with_request_layer).
///
/// ```
/// use httputil::{Body, Client, ClientConfig, Error, LayerFuture, LayeredRequest, Next, RequestLayer};
///
/// /// Names each request, and tells what takes long.
/// struct Named;
///
/// impl RequestLayer for Named {
///     fn call<'a>(
///         &'a self,
///         mut request: LayeredRequest,
///         next: Next<'a>,
///     ) -> LayerFuture<'a, Result<http::Response<Body>, Error>> {
///         Box::pin(async move {
///             request.headers_mut().insert("x-request-id", "7".parse().expect("a number can stand in a header"));
///             let began = std::time::Instant::now();
///             let answer = next.run(request).await;
///             println!("{:?}", began.elapsed());
///             answer
///         })
///     }
/// }
///
/// let client = Client::new(ClientConfig::default())?.with_request_layer(Named);
/// # Ok::<(), httputil::Error>(())
/// ```
pub trait RequestLayer: Send + Sync + 'static {
    /// Sends the request by [`next`](Next::run), or answers it without. The request's time begins with that call, and does not
    /// bound what is done before and after it.
    fn call<'a>(&'a self, request: LayeredRequest, next: Next<'a>) -> LayerFuture<'a, Result<Response<Body>, Error>>;
}

/// A request on its way to a client, in neither door's language.
pub struct LayeredRequest(Box<Written>);

impl LayeredRequest {
    /// The request's method.
    pub fn method(&self) -> &Method {
        &self.0.method
    }

    /// Where it is to go, without credentials. `None` if what it bears is no URL, which is an error once it is sent.
    pub fn url(&self) -> Option<Url> {
        self.0.address.url().map(|url| without_user(url.into_owned()))
    }

    /// The request's own headers. The profile's are added later.
    pub fn headers(&self) -> &HeaderMap {
        &self.0.headers
    }

    /// The same, to be changed.
    pub fn headers_mut(&mut self) -> &mut HeaderMap {
        &mut self.0.headers
    }

    /// What it wants otherwise than its profile.
    pub fn options_mut(&mut self) -> &mut RequestOptions {
        self.0.options.get_or_insert_default()
    }
}

impl fmt::Debug for LayeredRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LayeredRequest")
            .field("method", self.method())
            .finish_non_exhaustive()
    }
}

/// What is behind a layer: the client itself.
#[derive(Debug)]
pub struct Next<'a> {
    client: &'a Client,
}

impl<'a> Next<'a> {
    /// Sends the request.
    pub fn run(self, request: LayeredRequest) -> LayerFuture<'a, Result<Response<Body>, Error>> {
        let prepared = prepare(&self.client.inner, *request.0);
        Box::pin(async move { prepared?.layered(self.client.layer.as_ref()).run(to_http).await })
    }
}

/// A client's layer.
#[derive(Clone)]
pub(super) struct Around(Arc<dyn RequestLayer>);

impl Around {
    pub(super) fn new(layer: impl RequestLayer) -> Around {
        Around(Arc::new(layer))
    }

    /// Sends a request through the layer.
    pub(super) async fn send(&self, client: &Client, request: Box<Written>) -> Result<Response<Body>, Error> {
        self.0.call(LayeredRequest(request), Next { client }).await
    }

    /// The same for reqwest's door.
    pub(super) async fn send_reqwest(
        &self,
        client: &Client,
        request: Box<Written>,
    ) -> Result<reqwest::Response, Error> {
        let url = request.address.url().map(std::borrow::Cow::into_owned);
        let response = self.send(client, request).await?;
        Ok(from_http(response, url))
    }
}
