//! A layer of the user's own around each attempt, on its final headers: where requests are signed.
//!
//! ```text
//! … redirect ─► credentials ─► retry ─► breaker ─► sign ─► resend ─► pool ─► wire
//!                    ▲ 401: refresh, once ─┘
//! ```
//!
//! It stands outside of the resends, so that what the server has not acted on is sent again as it was signed. A client
//! without a layer has a null pointer here, and no future is boxed.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, HOST, TE, TRANSFER_ENCODING, UPGRADE};
use http::uri::PathAndQuery;
use http::{HeaderMap, Method};
use tokio::time::Instant;
use url::Url;

use super::address::without_user;
use super::execute::Prepared;
use super::retry::{Fault, Head};
use crate::error::{BoxError, Error, Kind, Phase};

/// What a layer gives back: a future in a box.
pub type LayerFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A layer of your own around each attempt of a request, on the headers that it goes out with; made a client's by
/// [`Client::with_attempt_layer`](crate::Client::with_attempt_layer).
///
/// It is asked for the requests that a caller sends to the profile's own origins (`auth.origins`, or that of `base_url`), or,
/// where neither is set, to any; and no more once a redirect has led to another origin.
///
/// ```
/// use httputil::{Attempt, AttemptLayer, BoxError, Client, ClientConfig, LayerFuture};
///
/// /// Signs path and body with a key that is shared with the server.
/// struct Signer {
///     key: Vec<u8>,
/// }
/// # fn mac(_: &[u8], _: &str, _: &[u8]) -> String { "1".to_owned() }
///
/// impl AttemptLayer for Signer {
///     fn sign<'a>(&'a self, attempt: &'a mut Attempt<'_>) -> LayerFuture<'a, Result<(), BoxError>> {
///         Box::pin(async move {
///             let body = attempt.body().ok_or("a stream can't be signed")?;
///             let signature = mac(&self.key, attempt.url().path(), body);
///             attempt.headers_mut().insert("x-signature", signature.parse()?);
///             Ok(())
///         })
///     }
/// }
///
/// let client = Client::new(ClientConfig::default().base_url("https://api.example"))?;
/// let client = client.with_attempt_layer(Signer { key: b"key".to_vec() });
/// # Ok::<(), httputil::Error>(())
/// ```
pub trait AttemptLayer: Send + Sync + 'static {
    /// Before an attempt: changes its headers. Called anew for each attempt, retries and redirects included; what the server
    /// has certainly not acted on is sent again as it was signed.
    ///
    /// # Errors
    ///
    /// Whatever keeps the request from being sent: it fails with [`Kind::Request`], whose `source()` is this error, and whose
    /// message repeats its words.
    fn sign<'a>(&'a self, attempt: &'a mut Attempt<'_>) -> LayerFuture<'a, Result<(), BoxError>>;

    /// The answer to a request that was signed is 401: whether it is to be signed anew and sent once more. Called once a
    /// request, if its body can be sent again. By default it is not.
    fn refresh<'a>(&'a self, refused: &'a Refused) -> LayerFuture<'a, bool> {
        let _ = refused;
        Box::pin(std::future::ready(false))
    }
}

/// An attempt that is about to be made.
#[derive(Debug)]
pub struct Attempt<'a> {
    method: &'a Method,
    url: &'a Url,
    path: PathAndQuery,
    headers: &'a mut HeaderMap,
    body: Option<Bytes>,
    number: u32,
}

impl Attempt<'_> {
    /// The request's method.
    pub fn method(&self) -> &Method {
        self.method
    }

    /// Where it goes, without credentials.
    pub fn url(&self) -> &Url {
        self.url
    }

    /// Its path and query, byte for byte as they are sent. Those of [`url`](Self::url) may differ where the request came as an
    /// `http::Request`: a URL resolves `.` and `..`, which a URI keeps.
    pub fn path_and_query(&self) -> &PathAndQuery {
        &self.path
    }

    /// The headers that it goes out with: the request's own, the profile's, and `Authorization` if there is one. `Host` is the
    /// URL's and added afterwards, unless the request has one of its own.
    pub fn headers(&self) -> &HeaderMap {
        self.headers
    }

    /// The same, to be changed, but for `Host` and what says how a message is framed: that is an error of the request.
    pub fn headers_mut(&mut self) -> &mut HeaderMap {
        self.headers
    }

    /// The body, empty where there is none; `None` if it is a stream.
    pub fn body(&self) -> Option<&Bytes> {
        self.body.as_ref()
    }

    /// Which attempt it is at this place, from 1.
    pub fn number(&self) -> u32 {
        self.number
    }
}

/// An answer that refused the request.
#[derive(Debug)]
pub struct Refused {
    headers: HeaderMap,
}

impl Refused {
    /// The answer's headers, `WWW-Authenticate` among them.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }
}

/// A client's layer.
#[derive(Clone)]
pub(super) struct Layer(Arc<dyn AttemptLayer>);

impl Layer {
    pub(super) fn new(layer: impl AttemptLayer) -> Layer {
        Layer(Arc::new(layer))
    }
}

impl fmt::Debug for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Layer")
    }
}

/// Headers that are no layer's business: it would change how the message ends, or whom it is for.
const FRAMING: [http::HeaderName; 7] = [HOST, CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION, UPGRADE, TE, EXPECT];

impl Prepared {
    /// The request goes through the client's layer, if it has one.
    pub(super) fn layered(mut self: Box<Self>, layer: Option<&Layer>) -> Box<Self> {
        if let Some(layer) = layer {
            self.layer = Some(layer.clone());
            self.draft.keeps_headers = true;
        }
        self
    }

    /// The layer that is asked here.
    fn asked_layer(&self) -> Option<&Layer> {
        let origins = &self.in_force.origins;
        let layer = self.layer.as_ref();
        layer.filter(|_| origins.session_may_go(&self.target, self.has_strayed))
    }

    /// The headers of an attempt that is over by `deadline`, signed; `None` if nobody signs them.
    pub(super) async fn signed(&self, number: u32, deadline: Option<Instant>) -> Result<Option<HeaderMap>, Fault> {
        let Some(Layer(layer)) = self.asked_layer() else {
            return Ok(None);
        };
        let fail = |error: Error| Fault::lasting(self.failing.describe(error));
        let url = self.failing.address.url().map(|url| without_user(url.into_owned()));
        let url = url.ok_or_else(|| fail(Error::new(Kind::Request, "the URI is no URL that could be signed")))?;
        let path = self.failing.address.path();
        let path = path.map_err(|why| fail(Error::new(Kind::Request, why)))?;
        let defaults = self.in_force.defaults(
            self.failing.address.is_reqwest(),
            self.draft.decodes,
            self.tells_secrets,
            self.authorization.as_ref(),
        );
        let mut before = defaults.without_host(self.draft.headers.clone());
        self.add_cookies(&mut before);
        let mut headers = before.clone();
        let mut attempt = Attempt {
            method: &self.failing.method,
            url: &url,
            path,
            headers: &mut headers,
            body: self.draft.body.bytes(),
            number,
        };
        let signing = layer.sign(&mut attempt);
        let signed = match deadline {
            Some(deadline) => tokio::time::timeout_at(deadline, signing).await,
            None => Ok(signing.await),
        };
        let Ok(signed) = signed else {
            return Err(self.failing.deadline(Phase::Signing).retryable(true).into());
        };
        signed.map_err(|error| {
            let message = format!("the request could not be signed: {error}");
            fail(Error::new(Kind::Request, message).with_source(Arc::from(error)))
        })?;
        let is_changed = |name: &&http::HeaderName| !headers.get_all(*name).iter().eq(before.get_all(*name).iter());
        if let Some(name) = FRAMING.iter().find(is_changed) {
            let message =
                format!("the request could not be signed: its layer changed the header {name}, which is not its own");
            return Err(fail(Error::new(Kind::Request, message)));
        }
        Ok(Some(headers))
    }

    /// Whether the layer wants the request, which was refused, to be signed anew and sent once more.
    pub(super) async fn refresh(&self, head: &Head) -> bool {
        let Some(Layer(layer)) = self.asked_layer() else {
            return false;
        };
        let refused = Refused {
            headers: head.headers().clone(),
        };
        let refreshing = layer.refresh(&refused);
        match self.deadline {
            Some(deadline) => tokio::time::timeout_at(deadline, refreshing).await.unwrap_or(false),
            None => refreshing.await,
        }
    }
}
