//! The server: who may ask, what was asked, and which answer that gets.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use http_body_util::BodyExt as _;
use httputil_tests::server::{Builder, Reply, Server, handlers};
use hyper::Request;
use hyper::body::Incoming;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use serde_json::{Value, json};

use super::speech::{Manner, Speech};
use super::words::{Speaks, of_json};
use crate::peers::answers::lock;
use crate::peers::streamed::streamed;

/// The server; dropped, it is gone with its connections.
pub struct AiPeer {
    /// Its account of connections and requests.
    pub server: Server,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    key: Option<String>,
    refusals: Mutex<VecDeque<Refusal>>,
    manners: Mutex<VecDeque<Manner>>,
    asked: Mutex<Vec<(HeaderMap, Value)>>,
}

/// Status, kind, and when to come back.
type Refusal = (StatusCode, &'static str, Option<u64>);

impl AiPeer {
    /// Starts one that asks for this key, if any, as each of the three does.
    pub async fn start(key: Option<&str>) -> AiPeer {
        AiPeer::start_as(key, Server::builder()).await
    }

    /// Starts one that speaks HTTP/2 and nothing else, without TLS.
    pub async fn start_h2(key: Option<&str>) -> AiPeer {
        AiPeer::start_as(key, Server::builder().h2()).await
    }

    async fn start_as(key: Option<&str>, builder: Builder) -> AiPeer {
        let state = Arc::new(State {
            key: key.map(str::to_owned),
            ..State::default()
        });
        let answering = Arc::clone(&state);
        let handler = move |request| Arc::clone(&answering).answer(request);
        let server = builder.handler(handler).start().await;
        AiPeer { server, state }
    }

    /// Where it is for Ollama; the others' endpoints end in `/v1`.
    pub fn url(&self) -> String {
        self.server.url("")
    }

    /// Refuses the next request, by this status and kind of error, and may say in how many seconds to come back.
    pub fn refuse_next(&self, status: StatusCode, kind: &'static str, retry_after: Option<u64>) {
        lock(&self.state.refusals).push_back((status, kind, retry_after));
    }

    /// The next stream goes like this.
    pub fn stream_next(&self, manner: Manner) {
        lock(&self.state.manners).push_back(manner);
    }

    /// Each request that it did not refuse at the door: its headers and its body.
    pub fn asked(&self) -> Vec<(HeaderMap, Value)> {
        lock(&self.state.asked).clone()
    }
}

impl State {
    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Reply {
        let (parts, body) = request.into_parts();
        let Some(speaks) = Speaks::at(parts.uri.path()) else {
            return handlers::status(StatusCode::NOT_FOUND);
        };
        let Ok(body) = body.collect().await else {
            return handlers::status(StatusCode::BAD_REQUEST);
        };
        let mut reply = self.reply(speaks, &parts, &body.to_bytes());
        let id = match speaks {
            Speaks::Anthropic => "request-id",
            _ => "x-request-id",
        };
        let headers = reply.headers_mut();
        headers.insert(HeaderName::from_static(id), HeaderValue::from_static("req_7"));
        reply
    }

    fn reply(self: &Arc<Self>, speaks: Speaks, parts: &http::request::Parts, body: &[u8]) -> Reply {
        if !self.knows(speaks, &parts.headers) {
            return speaks.refusal(StatusCode::UNAUTHORIZED, "invalid_api_key", "who are you?");
        }
        let Ok(asked) = serde_json::from_slice::<Value>(body) else {
            return speaks.refusal(StatusCode::BAD_REQUEST, "invalid_request_error", "no JSON");
        };
        lock(&self.asked).push((parts.headers.clone(), asked.clone()));
        if let Some((status, kind, retry_after)) = lock(&self.refusals).pop_front() {
            let mut reply = speaks.refusal(status, kind, "not now");
            if let Some(seconds) = retry_after {
                reply.headers_mut().insert(RETRY_AFTER, seconds.into());
            }
            return reply;
        }
        if parts.uri.path().contains("embed") {
            return embeddings(speaks, &asked);
        }
        let last = asked["messages"].as_array().and_then(|messages| messages.last());
        let Some(content) = last.and_then(|last| last["content"].as_str()) else {
            return speaks.refusal(StatusCode::BAD_REQUEST, "invalid_request_error", "messages: none");
        };
        if matches!(speaks, Speaks::Anthropic) && !asked["max_tokens"].is_u64() {
            return speaks.refusal(StatusCode::BAD_REQUEST, "invalid_request_error", "max_tokens: missing");
        }
        let text = format!("You said: {content}");
        // Ollama streams unless it is told not to.
        let streams = match speaks {
            Speaks::Ollama => asked["stream"] != false,
            _ => asked["stream"] == true,
        };
        if !streams {
            return of_json(StatusCode::OK, &speaks.whole(&text, content.len()));
        }
        let (say, mut reply) = streamed();
        let of = match speaks {
            Speaks::Ollama => "application/x-ndjson",
            _ => "text/event-stream",
        };
        reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(of));
        let manner = lock(&self.manners).pop_front();
        let speech = Speech {
            speaks,
            say,
            with_usage: asked["stream_options"]["include_usage"] == true,
        };
        let tokens = content.len();
        tokio::spawn(async move {
            // An error is that nobody listens any more.
            let _ = speech.say_all(&text, tokens, manner).await;
        });
        reply
    }

    /// Anthropic's key comes as in its earlier version of the protocol, or as the others', as in its latest.
    fn knows(&self, speaks: Speaks, headers: &HeaderMap) -> bool {
        let is = |name: &str, wanted: &str| headers.get(name).is_some_and(|is| is == wanted);
        let is_anthropic = matches!(speaks, Speaks::Anthropic);
        let mut versions = ["2023-06-01", "2026-10-21"].into_iter();
        if is_anthropic && !versions.any(|version| is("anthropic-version", version)) {
            return false;
        }
        self.key.as_ref().is_none_or(|key| {
            let by_its_own = is_anthropic && is("x-api-key", key);
            by_its_own || is("authorization", &format!("Bearer {key}"))
        })
    }
}

/// A text's vector is its length, and its place.
fn embeddings(speaks: Speaks, asked: &Value) -> Reply {
    let texts = asked["input"].as_array().into_iter().flatten();
    let vectors = texts
        .enumerate()
        .map(|(index, text)| json!([text.as_str().map_or(0, str::len), index]));
    let vectors: Vec<Value> = vectors.collect();
    if let Speaks::Ollama = speaks {
        return of_json(StatusCode::OK, &json!({ "model": "echo", "embeddings": vectors }));
    }
    // The order is the client's to make.
    let data = vectors.iter().enumerate().rev();
    let data: Vec<Value> = data
        .map(|(index, vector)| json!({ "object": "embedding", "index": index, "embedding": vector }))
        .collect();
    let usage = json!({ "prompt_tokens": 1, "total_tokens": 1 });
    let answer = json!({ "object": "list", "model": "echo", "data": data, "usage": usage });
    of_json(StatusCode::OK, &answer)
}
