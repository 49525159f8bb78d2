//! A transformer of objects: it makes all ASCII letters capitals, as they come.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame};
use http_body_util::BodyExt as _;
use http_body_util::combinators::UnsyncBoxBody;
use httputil_tests::server::{Reply, ReplyBody, Server, handlers};
use hyper::Request;
use hyper::body::Incoming;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use url::Url;

use super::answers::{Answers, lock};
use crate::object_lambda::UserRequest;
use crate::object_lambda::wire::{Event, ROUTE, TOKEN};

/// The server; dropped, it is gone with its connections.
pub struct Transformer {
    /// Its account of connections and requests.
    pub server: Server,
    state: Arc<State>,
}

struct State {
    token: Option<String>,
    client: reqwest::Client,
    answers: Answers,
    says: Mutex<HeaderMap>,
    told: Mutex<Vec<UserRequest>>,
}

impl Transformer {
    /// Starts one that asks for this bearer token, if any.
    ///
    /// # Panics
    ///
    /// Never: a client without settings can be made.
    pub async fn start(token: Option<&str>) -> Transformer {
        let client = reqwest::Client::builder().no_proxy().build();
        let state = Arc::new(State {
            token: token.map(|token| format!("Bearer {token}")),
            client: client.expect("a client without settings can be made"),
            answers: Answers::default(),
            says: Mutex::default(),
            told: Mutex::default(),
        });
        let answering = Arc::clone(&state);
        let handler = move |request| answer(Arc::clone(&answering), request);
        let server = Server::builder().handler(handler).start().await;
        Transformer { server, state }
    }

    /// Where it is.
    ///
    /// # Panics
    ///
    /// Never: a server's address is a URL.
    pub fn url(&self) -> Url {
        self.server
            .url("/transform")
            .parse()
            .expect("a server's address is a URL")
    }

    /// Answers the next requests by these, before it answers well again.
    pub fn answer_next(&self, statuses: impl IntoIterator<Item = StatusCode>) {
        self.state.answers.extend(statuses);
    }

    /// Says this from now on, whatever it would say itself.
    ///
    /// # Panics
    ///
    /// If it can be no header.
    pub fn say(&self, name: &str, value: &str) {
        let name: HeaderName = name.parse().expect("a header's name");
        lock(&self.state.says).insert(name, value.parse().expect("a header's value"));
    }

    /// What it was told of users' requests, by events.
    pub fn told(&self) -> Vec<UserRequest> {
        lock(&self.state.told).clone()
    }
}

async fn answer(state: Arc<State>, request: Request<Incoming>) -> Reply {
    let (parts, body) = request.into_parts();
    let header = |name: HeaderName| parts.headers.get(name).and_then(|value| value.to_str().ok());
    if state.token.is_some() && header(reqwest::header::AUTHORIZATION) != state.token.as_deref() {
        return handlers::status(StatusCode::UNAUTHORIZED);
    }
    if let Some(status) = state.answers.next() {
        return handlers::status(status);
    }
    let length = |headers: &HeaderMap| headers.get(CONTENT_LENGTH).cloned();
    let (route, token, length, object) = if let (Some(route), Some(token)) = (header(ROUTE), header(TOKEN)) {
        let object = body.map_err(drop).boxed_unsync();
        (route.to_owned(), token.to_owned(), length(&parts.headers), object)
    } else {
        let Ok(event) = body.collect().await else {
            return handlers::status(StatusCode::BAD_REQUEST);
        };
        let Ok(event) = serde_json::from_slice::<Event>(&event.to_bytes()) else {
            return handlers::status(StatusCode::BAD_REQUEST);
        };
        lock(&state.told).push(event.user_request);
        let context = event.get_object_context;
        let Ok(object) = state.client.get(context.input_s3_url).send().await else {
            return handlers::status(StatusCode::BAD_GATEWAY);
        };
        let status = object.status();
        let length = length(object.headers());
        let object = reqwest::Body::from(object).map_err(drop).boxed_unsync();
        if !status.is_success() {
            let mut reply = handlers::status(StatusCode::OK);
            state.name(reply.headers_mut(), &context.output_route, &context.output_token);
            let headers = reply.headers_mut();
            headers.insert("x-amz-fwd-status", status.as_u16().into());
            headers.insert("x-amz-fwd-error-code", HeaderValue::from_static("NotReadable"));
            headers.insert(
                "x-amz-fwd-error-message",
                HeaderValue::from_static("the object cannot be read"),
            );
            return reply;
        }
        (context.output_route, context.output_token, length, object)
    };
    let mut reply = http::Response::new(ReplyBody::new(Capitals { object }));
    let headers = reply.headers_mut();
    headers.extend(length.map(|length| (CONTENT_LENGTH, length)));
    headers.insert("x-amz-fwd-header-content-type", HeaderValue::from_static("text/loud"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    state.name(headers, &route, &token);
    reply
}

impl State {
    fn name(&self, headers: &mut HeaderMap, route: &str, token: &str) {
        for (name, value) in [(ROUTE, route), (TOKEN, token)] {
            headers.extend(value.parse().ok().map(|value: HeaderValue| (name, value)));
        }
        for (name, value) in lock(&self.says).iter() {
            headers.insert(name, value.clone());
        }
    }
}

/// An object on its way through; where that breaks off, so does this.
struct Capitals {
    object: UnsyncBoxBody<Bytes, ()>,
}

impl Body for Capitals {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(Ok(frame)) = ready!(Pin::new(&mut self.object).poll_frame(cx)) else {
            return Poll::Ready(None);
        };
        let piece = frame.into_data().unwrap_or_default();
        let mut piece = Vec::from(piece);
        piece.make_ascii_uppercase();
        Poll::Ready(Some(Ok(Frame::data(piece.into()))))
    }
}
