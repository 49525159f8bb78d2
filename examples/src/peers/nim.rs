//! A NIM container of each kind in one: it answers by what it was asked, so that an answer can be told from another's.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_body_util::BodyExt as _;
use httputil_tests::server::{Reply, Server, handlers};
use hyper::body::Incoming;
use hyper::{Method, Request};
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::answers::Answers;

/// The model that it serves.
pub const MODEL: &str = "nvidia/echo-1b";

/// The server; dropped, it is gone with its connections.
pub struct NimPeer {
    /// Its account of connections and requests.
    pub server: Server,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    answers: Answers,
    is_loading: AtomicBool,
    key: Option<String>,
}

impl NimPeer {
    /// Starts one that asks for this bearer token, if any.
    pub async fn start(key: Option<&str>) -> NimPeer {
        let state = Arc::new(State {
            key: key.map(str::to_owned),
            ..State::default()
        });
        let answering = Arc::clone(&state);
        let handler = move |request| answer(Arc::clone(&answering), request);
        let server = Server::builder().handler(handler).start().await;
        NimPeer { server, state }
    }

    /// Where it is: what `base_url` is to be.
    pub fn url(&self) -> String {
        self.server.url("")
    }

    /// Whether the model is still being loaded.
    pub fn set_loading(&self, loading: bool) {
        self.state.is_loading.store(loading, Ordering::SeqCst);
    }

    /// Answers the next requests, but for those about health, by these.
    pub fn answer_next(&self, statuses: impl IntoIterator<Item = StatusCode>) {
        self.state.answers.extend(statuses);
    }
}

async fn answer(state: Arc<State>, request: Request<Incoming>) -> Reply {
    let (parts, body) = request.into_parts();
    let Ok(body) = body.collect().await else {
        return handlers::status(StatusCode::BAD_REQUEST);
    };
    if parts.uri.path() == "/v1/health/ready" {
        if state.is_loading.load(Ordering::SeqCst) {
            return of_json(StatusCode::SERVICE_UNAVAILABLE, &json!({ "detail": "loading" }));
        }
        let ready = json!({ "object": "health.response", "message": "Service is ready." });
        return of_json(StatusCode::OK, &ready);
    }
    if let Some(key) = &state.key {
        let given = parts.headers.get("authorization").and_then(|value| value.to_str().ok());
        if given != Some(&format!("Bearer {key}")) {
            return complaint(StatusCode::UNAUTHORIZED, "who are you?");
        }
    }
    if let Some(status) = state.answers.next() {
        return complaint(status, "not now");
    }
    if parts.method == Method::GET && parts.uri.path() == "/v1/models" {
        return of_json(
            StatusCode::OK,
            &json!({ "object": "list", "data": [{ "id": MODEL, "object": "model" }] }),
        );
    }
    let Ok(asked) = serde_json::from_slice::<Value>(&body.to_bytes()) else {
        return complaint(StatusCode::UNPROCESSABLE_ENTITY, "no JSON");
    };
    if asked["model"] != MODEL {
        return complaint(StatusCode::NOT_FOUND, "no such model");
    }
    match parts.uri.path() {
        "/v1/chat/completions" => chat(&asked),
        "/v1/completions" => completion(&asked),
        "/v1/embeddings" => embeddings(&asked),
        "/v1/ranking" => ranking(&asked),
        _ => complaint(StatusCode::NOT_FOUND, "no such path"),
    }
}

fn chat(asked: &Value) -> Reply {
    let Some(last) = asked["messages"].as_array().and_then(|messages| messages.last()) else {
        return complaint(StatusCode::BAD_REQUEST, "messages: at least one is needed");
    };
    let Some(content) = content(&last["content"]) else {
        return complaint(StatusCode::BAD_REQUEST, "content: neither words nor images");
    };
    of_json(
        StatusCode::OK,
        &json!({
            "id": "chat-1",
            "object": "chat.completion",
            "model": MODEL,
            "choices": [{
                "index": 0,
                "message": { "role": "assistant", "content": format!("You said: {content}") },
                "finish_reason": "stop",
            }],
            "usage": { "prompt_tokens": content.len(), "completion_tokens": 3, "total_tokens": content.len() + 3 },
        }),
    )
}

/// Words, and of an image its size.
fn content(said: &Value) -> Option<String> {
    let Some(parts) = said.as_array() else {
        return said.as_str().map(str::to_owned);
    };
    let words = parts.iter().map(|part| match part["type"].as_str()? {
        "text" => part["text"].as_str().map(str::to_owned),
        "image_url" => {
            let url = part["image_url"]["url"].as_str()?;
            let (kind, image) = url.strip_prefix("data:image/")?.split_once(";base64,")?;
            Some(format!("[{kind} of {} bytes]", STANDARD.decode(image).ok()?.len()))
        }
        _ => None,
    });
    words.collect::<Option<Vec<_>>>().map(|words| words.join(" "))
}

fn completion(asked: &Value) -> Reply {
    let prompt = asked["prompt"].as_str().unwrap_or_default();
    let choice = json!({ "index": 0, "text": format!("{prompt}, and so on"), "finish_reason": "length" });
    of_json(
        StatusCode::OK,
        &json!({ "id": "cmpl-1", "object": "text_completion", "choices": [choice] }),
    )
}

/// A text's vector is its length and whether it is a query; what is empty is refused, as by the real one.
fn embeddings(asked: &Value) -> Reply {
    let texts: Vec<&str> = asked["input"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    if texts.len() > crate::nim::BATCH {
        return complaint(StatusCode::UNPROCESSABLE_ENTITY, "input: too many texts");
    }
    if texts.iter().any(|text| text.is_empty()) {
        return complaint(StatusCode::BAD_REQUEST, "input: an empty text");
    }
    let is_query = match asked["input_type"].as_str() {
        Some("query") => 1,
        Some("passage") => 0,
        _ => return complaint(StatusCode::BAD_REQUEST, "input_type: query or passage"),
    };
    // The order is the client's to make.
    let data = texts.iter().enumerate().rev();
    let data: Vec<Value> = data
        .map(|(index, text)| json!({ "object": "embedding", "index": index, "embedding": [text.len(), is_query] }))
        .collect();
    of_json(
        StatusCode::OK,
        &json!({ "object": "list", "model": MODEL, "data": data }),
    )
}

/// A passage fits by the words that it has in common with the query.
fn ranking(asked: &Value) -> Reply {
    let query = asked["query"]["text"].as_str().unwrap_or_default();
    let fits = |passage: &Value| {
        let text = passage["text"].as_str().unwrap_or_default();
        text.split(' ')
            .filter(|word| query.split(' ').any(|other| other == *word))
            .count()
    };
    let passages = asked["passages"].as_array().into_iter().flatten().enumerate();
    let rankings: Vec<Value> = passages
        .map(|(index, passage)| json!({ "index": index, "logit": fits(passage) as f64 - 1.5 }))
        .collect();
    of_json(StatusCode::OK, &json!({ "rankings": rankings }))
}

fn complaint(status: StatusCode, message: &str) -> Reply {
    of_json(
        status,
        &json!({ "object": "error", "message": message, "type": status.to_string() }),
    )
}

fn of_json(status: StatusCode, value: &Value) -> Reply {
    let mut reply = handlers::full(value.to_string());
    *reply.status_mut() = status;
    reply.headers_mut().insert(
        reqwest::header::CONTENT_TYPE,
        reqwest::header::HeaderValue::from_static("application/json"),
    );
    reply
}
