//! A webhook that checks signatures, and answers badly as often as it is told to.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http_body_util::BodyExt as _;
use httputil::settings::Secret;
use httputil_tests::server::{Reply, Server, handlers};
use hyper::body::Incoming;
use hyper::{Method, Request};
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use url::Url;

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
    told: Mutex<Told>,
}

#[derive(Default)]
struct Told {
    answers: VecDeque<StatusCode>,
    deliveries: Vec<Delivery>,
}

impl Webhook {
    /// Starts one that refuses what is not signed with the key, and answers `HEAD` by `head`.
    pub async fn start(key: Option<Secret>, head: StatusCode) -> Webhook {
        let state = Arc::new(State {
            key,
            head,
            told: Mutex::default(),
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
        self.state.told().answers.extend(statuses);
    }

    /// What it took, in order.
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.state.told().deliveries.clone()
    }
}

impl State {
    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

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
        let mut told = self.told();
        if let Some(status) = told.answers.pop_front() {
            return status;
        }
        told.deliveries.push(Delivery { headers, notification });
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
