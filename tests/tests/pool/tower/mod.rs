//! The client as a `tower::Service`: the same way to the same pool, in `http`'s types.

mod bodies;
mod service;

use std::error::Error as StdError;

use ::tower::ServiceExt;
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body::Body as HttpBody;
use http_body_util::{BodyExt, Empty};
use httputil::{Body, Client, Error};
use httputil_tests::server::Reply;
use httputil_tests::server::handlers::{self, Echoed};

pub(super) fn request(method: Method, uri: &str) -> http::request::Builder {
    Request::builder().method(method).uri(uri)
}

pub(super) fn empty(uri: &str) -> Request<Empty<Bytes>> {
    request(Method::GET, uri).body(Empty::new()).unwrap()
}

pub(super) async fn text(response: Response<Body>) -> String {
    let body = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(body.to_vec()).unwrap()
}

/// Calls, as a layer would, when the service says that it is ready.
pub(super) async fn call<B>(client: &Client, request: Request<B>) -> Result<Response<Body>, Error>
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    client.clone().oneshot(request).await
}

pub(super) async fn echoed<B>(client: &Client, request: Request<B>) -> Echoed
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    serde_json::from_str(&text(call(client, request).await.unwrap()).await).unwrap()
}

pub(super) async fn call_text(client: Client, uri: String) -> String {
    text(call(&client, empty(&uri)).await.unwrap()).await
}

/// Answers with the request's body, and with its trailer `x-sum`.
pub(super) async fn body_and_sum(request: Request<hyper::body::Incoming>) -> Reply {
    let collected = request.into_body().collect().await.unwrap();
    let sum = collected.trailers().and_then(|trailers| trailers.get("x-sum")).cloned();
    let mut reply = handlers::full(collected.to_bytes());
    if let Some(sum) = sum {
        reply.headers_mut().insert("x-sum", sum);
    }
    reply
}
