//! The second door: a client as a `tower::Service` of `http`'s own types.
//!
//! Nothing of reqwest's is made on this way, and nothing is different on it: [`prepare`] and
//! [`run`](super::execute::Prepared::run) are those of [`RequestBuilder::send`](crate::RequestBuilder::send).

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Request, Response, Uri};
use tower_service::Service;

use super::address::Address;
use super::builder::shim;
use super::execute::{Written, prepare};
use super::failure;
use super::handle::{Inner, stopped};
use super::message::to_http;
use super::{Body, Client, RequestOptions, into_url};
use crate::error::{BoxError, Error};
use crate::wire::RequestBody;

/// The answer to a request that [`Client`] was called with as a `tower::Service`.
///
/// Dropping it abandons the request, as with [`Client::execute`].
#[must_use = "a request is not sent before its future is polled"]
pub struct ResponseFuture {
    inner: Pin<Box<dyn Future<Output = Result<Response<Body>, Error>> + Send>>,
}

impl Future for ResponseFuture {
    type Output = Result<Response<Body>, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.inner.as_mut().poll(cx)
    }
}

impl fmt::Debug for ResponseFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

/// Sends requests of `http`'s type. The URI must be absolute, or a path where the profile has a `base_url`. The version
/// asks for a protocol as [`RequestBuilder::version`](crate::RequestBuilder::version) does; [`RequestOptions`] are an
/// extension.
///
/// A body of known length that is one piece and ready, as `Full` and `Empty` are, can be sent again if the server has
/// not processed it, like bytes; any other is streamed, with its trailers (over HTTP/1 hyper sends those that the
/// request's `trailer` header names).
///
/// `poll_ready` is ready until the client was stopped, and an error from then on. It does not wait for a connection:
/// which connections there can be depends on the request's host, and a request that has to wait does so in the pool's
/// queue, up to `timeouts.pool_wait`.
impl<B> Service<Request<B>> for Client
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<Body>;
    type Error = Error;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Service::<Request<B>>::poll_ready(&mut &*self, cx)
    }

    fn call(&mut self, request: Request<B>) -> ResponseFuture {
        (&*self).call(request)
    }
}

/// The same through a shared handle.
impl<B> Service<Request<B>> for &Client
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<Body>;
    type Error = Error;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(if self.is_stopped() { Err(stopped()) } else { Ok(()) })
    }

    fn call(&mut self, request: Request<B>) -> ResponseFuture {
        let (parts, body) = request.into_parts();
        send(self.clone(), parts, RequestBody::of_body(body))
    }
}

/// What does not depend on the type of the body.
fn send(client: Client, parts: http::request::Parts, body: RequestBody) -> ResponseFuture {
    let http::request::Parts {
        method,
        uri,
        version,
        mut headers,
        mut extensions,
        ..
    } = parts;
    let credentials = credentials(&client.inner, &uri, &mut headers);
    let (address, joined) = match address(&client.inner, uri) {
        Ok(address) => (address, Ok(())),
        Err(error) => (Address::Uri(Uri::default()), Err(error)),
    };
    let written = Written {
        method,
        is_relative: matches!(address, Address::Joined(_)),
        address,
        version,
        headers,
        body,
        timeout: None,
        options: extensions.remove::<RequestOptions>().map(Box::new),
    };
    let is_sound = credentials.and(joined);
    if let (Ok(()), Some(around)) = (&is_sound, client.around.clone()) {
        let written = Box::new(written);
        let inner = Box::pin(async move { around.send(&client, written).await });
        return ResponseFuture { inner };
    }
    let prepared = is_sound.and_then(|()| prepare(&client.inner, written));
    // Written where it stays, as `Prepared` is.
    let future = Box::write(Box::new_uninit(), async move {
        let answer = prepared?.layered(client.layer.as_ref()).run(to_http).await;
        // Until here the request keeps the lease.
        drop(client);
        answer
    });
    ResponseFuture {
        inner: Box::into_pin(future),
    }
}

/// A path alone stands behind the profile's `base_url`, if it has one.
fn address(client: &Inner, uri: Uri) -> Result<Address, Error> {
    if uri.scheme().is_some() || uri.authority().is_some() || uri.path() == "*" {
        return Ok(Address::Uri(uri));
    }
    match &client.in_force.load().base {
        Some(base) => {
            let url = into_url::join(client, base, &uri.to_string())?;
            Ok(Address::Joined(Box::new(url)))
        }
        None => Ok(Address::Uri(uri)),
    }
}

/// `user:password@` becomes `Authorization`, as reqwest makes it of a URL; a header that is there already stays.
fn credentials(client: &Inner, uri: &Uri, headers: &mut HeaderMap<HeaderValue>) -> Result<(), Error> {
    let has_user = uri
        .authority()
        .is_some_and(|authority| memchr::memchr(b'@', authority.as_str().as_bytes()).is_some());
    if has_user && uri.scheme().is_some() && !headers.contains_key(AUTHORIZATION) {
        let authorized = shim().get(uri.to_string()).build();
        let mut authorized = authorized.map_err(|error| failure::of_url(client, error))?;
        headers.extend(authorized.headers_mut().drain());
    }
    Ok(())
}
