//! A webhook that checks signatures, and answers badly as often as it is told to.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::BodyExt as _;
use httputil::settings::Secret;
use httputil_tests::server::{Reply, Server, handlers};
use hyper::body::Incoming;
use hyper::{Method, Request};
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use url::Url;

use super::answers::{Answers, lock};
use crate::events::{Notification, SIGNATURE, is_signed};

/// The server; dropped, it is gone with its connections.
pub struct Webhook {
    /// Its account of connections and requests.
    pub server: Server,
    state: Arc<State>,
}

/// One `POST` that it answered well.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// What came with it.
    pub headers: HeaderMap,
    /// What it tells.
    pub notification: Notification,
}

struct State {
    key: Option<Secret>,
    head: StatusCode,
    answers: Answers,
    deliveries: Mutex<Vec<Delivery>>,
}

impl Webhook {
    /// Starts one that refuses what is not signed with the key, and answers `HEAD` by `head`.
    pub async fn start(key: Option<Secret>, head: StatusCode) -> Webhook {
        let state = Arc::new(State {
            key,
            head,
            answers: Answers::default(),
            deliveries: Mutex::default(),
        });
        let answering = Arc::clone(&state);
        let handler = move |request| answer(Arc::clone(&answering), request);
        let server = Server::builder().handler(handler).start().await;
        Webhook { server, state }
    }

    /// Where it is.
    ///
    /// # Panics
    ///
    /// Never: a server's address is a URL.
    pub fn url(&self) -> Url {
        let url = Url::parse(&self.server.url("/events"));
        url.expect("a server's address is a URL")
    }

    /// Answers the next requests by these, before it answers well again.
    pub fn answer_next(&self, statuses: impl IntoIterator<Item = StatusCode>) {
        self.state.answers.extend(statuses);
    }

    /// What it took, in order.
    pub fn deliveries(&self) -> Vec<Delivery> {
        lock(&self.state.deliveries).clone()
    }
}

impl State {
    fn take(&self, headers: HeaderMap, body: &Bytes) -> StatusCode {
        if let Some(key) = &self.key {
            let given = headers.get(SIGNATURE).map_or(&b""[..], |value| value.as_bytes());
            if !is_signed(key, body, given) {
                return StatusCode::UNAUTHORIZED;
            }
        }
        let Ok(notification) = serde_json::from_slice(body) else {
            return StatusCode::BAD_REQUEST;
        };
        if let Some(status) = self.answers.next() {
            return status;
        }
        lock(&self.deliveries).push(Delivery { headers, notification });
        StatusCode::OK
    }
}

async fn answer(state: Arc<State>, request: Request<Incoming>) -> Reply {
    if request.method() == Method::HEAD {
        return handlers::status(state.head);
    }
    let (parts, body) = request.into_parts();
    match body.collect().await {
        Ok(body) => handlers::status(state.take(parts.headers, &body.to_bytes())),
        Err(_) => handlers::status(StatusCode::BAD_REQUEST),
    }
}
