//! Answers ready to use. A function is a handler itself (`.handler(echo)`) or makes one (`.handler(fixed("hello"))`).

use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, TRAILER};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use serde::{Deserialize, Serialize};

use super::{ConnectionNumber, Frames, Reply, ReplyBody};
use crate::gate::Gate;

/// The header that [`tagged`] gives back, so that a test can tell whose answer it got.
pub const TAG: HeaderName = HeaderName::from_static("x-tag");

/// The header that says on which of the server's connections the request came, from 0.
pub const CONNECTION_NUMBER: HeaderName = HeaderName::from_static("x-connection");

/// What [`echo`] saw of a request, as the JSON that it answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Echoed {
    /// `GET`, `POST`, …
    pub method: String,
    /// The request target, query included.
    pub target: String,
    /// `HTTP/1.1`, `HTTP/2.0`, …
    pub version: String,
    /// The headers as they came, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, taken for text.
    pub body: String,
    /// The number of the connection, from 0.
    pub connection: usize,
}

impl Echoed {
    /// The first value of a header, by its name in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }
}

/// Answers with an account of the request; see [`Echoed`].
pub async fn echo(request: Request<Incoming>) -> Reply {
    let (head, body) = request.into_parts();
    let Ok(body) = body.collect().await else {
        return status(StatusCode::BAD_REQUEST);
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let seen = Echoed {
        method: head.method.to_string(),
        target: head.uri.to_string(),
        version: format!("{:?}", head.version),
        headers: head
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), text(value.as_bytes())))
            .collect(),
        body: text(&body.to_bytes()),
        connection: number(&head.extensions),
    };
    let json = serde_json::to_vec(&seen).expect("strings and numbers make JSON");
    let mut reply = full(json);
    reply
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    reply
}

/// Answers with the request's body and its `x-tag` header.
pub async fn tagged(request: Request<Incoming>) -> Reply {
    let (head, body) = request.into_parts();
    let Ok(body) = body.collect().await else {
        return status(StatusCode::BAD_REQUEST);
    };
    let mut reply = full(body.to_bytes());
    if let Some(tag) = head.headers.get(TAG) {
        reply.headers_mut().insert(TAG, tag.clone());
    }
    reply
        .headers_mut()
        .insert(CONNECTION_NUMBER, number(&head.extensions).into());
    reply
}

/// Reads the whole request body and answers with its length; 400 if it breaks off.
pub async fn expect_full_body(request: Request<Incoming>) -> Reply {
    match request.into_body().collect().await {
        Ok(body) => full(body.to_bytes().len().to_string()),
        Err(_) => status(StatusCode::BAD_REQUEST),
    }
}

/// Answers a small body with `connection: close`, and closes.
pub fn close_after(_: Request<Incoming>) -> Ready {
    let mut reply = full("goodbye");
    reply
        .headers_mut()
        .insert(CONNECTION, HeaderValue::from_static("close"));
    std::future::ready(reply)
}

/// Answers in two chunks and the trailer `x-checksum: 42`; see [`Frames::trailers`] for when HTTP/1 clients get it.
pub fn chunked_with_trailers(_: Request<Incoming>) -> Ready {
    let trailers = HeaderMap::from_iter([(HeaderName::from_static("x-checksum"), HeaderValue::from_static("42"))]);
    let body = Frames::new([Bytes::from_static(b"hello "), Bytes::from_static(b"world")]).trailers(trailers);
    let mut reply = Response::new(ReplyBody::new(body));
    reply
        .headers_mut()
        .insert(TRAILER, HeaderValue::from_static("x-checksum"));
    std::future::ready(reply)
}

/// Always this body, with its length.
pub fn fixed(body: impl Into<Bytes>) -> impl Fn(Request<Incoming>) -> Ready + Clone {
    let body = body.into();
    move |_| std::future::ready(full(body.clone()))
}

/// Always this status, with an empty body: 204, 304, 503.
pub fn always(code: StatusCode) -> impl Fn(Request<Incoming>) -> Ready + Clone {
    move |_| std::future::ready(status(code))
}

/// Always `n` bytes, their number told.
pub fn large(n: usize) -> impl Fn(Request<Incoming>) -> Ready + Clone {
    fixed(vec![b'x'; n])
}

/// Waits at the gate, then lets the other handler answer.
pub fn hold<H, F>(gate: &Gate, then: H) -> impl Fn(Request<Incoming>) -> Held + Clone + use<H, F>
where
    H: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Reply> + Send + 'static,
{
    let gate = gate.clone();
    move |request| {
        let (gate, then) = (gate.clone(), then.clone());
        Box::pin(async move {
            gate.pass().await;
            then(request).await
        })
    }
}

/// Answers the head at once, a first piece of the body, and the rest when the gate opens.
pub fn hold_body(gate: &Gate) -> impl Fn(Request<Incoming>) -> Ready + Clone + use<> {
    let gate = gate.clone();
    move |_| std::future::ready(Response::new(ReplyBody::new(super::body::Gated::new(gate.clone()))))
}

/// A choice by path: `/echo`, `/tagged`, `/length`, `/close`, `/chunked`, `/bytes/{n}`, `/status/{code}`; else `hello`.
pub async fn by_path(request: Request<Incoming>) -> Reply {
    let path = request.uri().path().to_owned();
    let argument = path.rsplit('/').next().unwrap_or_default();
    match path.split('/').nth(1).unwrap_or_default() {
        "echo" => echo(request).await,
        "tagged" => tagged(request).await,
        "length" => expect_full_body(request).await,
        "close" => close_after(request).await,
        "chunked" => chunked_with_trailers(request).await,
        "bytes" => argument
            .parse()
            .map_or_else(|_| status(StatusCode::BAD_REQUEST), |n| full(vec![b'x'; n])),
        "status" => status(argument.parse().unwrap_or(StatusCode::BAD_REQUEST)),
        _ => full("hello"),
    }
}

/// A future that is an answer already.
pub type Ready = std::future::Ready<Reply>;

/// A future that waits at a gate.
pub type Held = Pin<Box<dyn Future<Output = Reply> + Send>>;

/// 200 with this body.
pub fn full(body: impl Into<Bytes>) -> Reply {
    Response::new(ReplyBody::new(Full::new(body.into())))
}

/// This status with an empty body.
#[must_use]
pub fn status(code: StatusCode) -> Reply {
    let mut reply = Response::new(ReplyBody::new(Empty::<Bytes>::new()));
    *reply.status_mut() = code;
    reply
}

fn number(extensions: &http::Extensions) -> usize {
    extensions
        .get::<ConnectionNumber>()
        .map_or(usize::MAX, |number| number.0)
}
