//! An endpoint that takes audit batches, once for each key.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::BodyExt as _;
use httputil_tests::server::{Builder, Reply, Server, handlers};
use httputil_tests::tcp::ClosedPort;
use hyper::Request;
use hyper::body::Incoming;
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use url::Url;

use super::answers::{Answers, lock};
use crate::audit::AuditEvent;

/// The server; dropped, it is gone with its connections.
pub struct AuditSink {
    /// Its account of connections and requests.
    pub server: Server,
    state: State,
}

/// One try of a batch, taken or not.
#[derive(Clone, Debug, PartialEq)]
pub struct Try {
    /// The batch's `Idempotency-Key`.
    pub key: String,
    /// Its bytes.
    pub body: Bytes,
    /// What came with it.
    pub headers: HeaderMap,
    /// How it was answered.
    pub answer: StatusCode,
}

#[derive(Clone, Default)]
struct State {
    answers: Answers,
    tries: Arc<Mutex<Vec<Try>>>,
}

impl AuditSink {
    /// Starts one on a free port.
    pub async fn start() -> AuditSink {
        let state = State::default();
        let server = state.server().start().await;
        AuditSink { server, state }
    }

    /// Starts one on this port.
    pub async fn start_on(port: Arc<ClosedPort>) -> AuditSink {
        let state = State::default();
        let server = state.server().start_on(port).await;
        AuditSink { server, state }
    }

    /// Where it is.
    ///
    /// # Panics
    ///
    /// Never: a server's address is a URL.
    pub fn url(&self) -> Url {
        Url::parse(&self.server.url("/audit")).expect("a server's address is a URL")
    }

    /// Answers the next requests by these, before it answers well again.
    pub fn answer_next(&self, statuses: impl IntoIterator<Item = StatusCode>) {
        self.state.answers.extend(statuses);
    }

    /// Every try of every batch, in order.
    pub fn tries(&self) -> Vec<Try> {
        lock(&self.state.tries).clone()
    }

    /// The batches that it took, in order, each once.
    ///
    /// # Panics
    ///
    /// If a batch that it took is none.
    pub fn batches(&self) -> Vec<Vec<AuditEvent>> {
        let mut keys = Vec::new();
        let tries = self.tries().into_iter();
        let taken = tries.filter(|one| one.answer.is_success());
        let once = taken.filter(|one| {
            let new = !keys.contains(&one.key);
            keys.push(one.key.clone());
            new
        });
        let parse = |one: Try| serde_json::from_slice(&one.body).expect("only batches are taken");
        once.map(parse).collect()
    }
}

impl State {
    fn server(&self) -> Builder {
        let state = self.clone();
        Server::builder().handler(move |request| state.clone().answer(request))
    }

    async fn answer(self, request: Request<Incoming>) -> Reply {
        let (parts, body) = request.into_parts();
        let Ok(body) = body.collect().await else {
            return handlers::status(StatusCode::BAD_REQUEST);
        };
        let body = body.to_bytes();
        let key = parts.headers.get("idempotency-key");
        let key = key.and_then(|key| key.to_str().ok()).unwrap_or_default().to_owned();
        let is_batch = !key.is_empty() && serde_json::from_slice::<Vec<AuditEvent>>(&body).is_ok();
        let well = if is_batch {
            StatusCode::OK
        } else {
            StatusCode::BAD_REQUEST
        };
        let answer = self.answers.next().unwrap_or(well);
        lock(&self.tries).push(Try {
            key,
            body,
            headers: parts.headers,
            answer,
        });
        handlers::status(answer)
    }
}
