//! What is said at once: refusals and whole answers, in each of the three languages.

use httputil_tests::server::{Reply, handlers};
use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use serde_json::{Value, json};

#[derive(Clone, Copy)]
pub(super) enum Speaks {
    OpenAi,
    Anthropic,
    Ollama,
}

impl Speaks {
    pub(super) fn at(path: &str) -> Option<Speaks> {
        match path {
            "/v1/chat/completions" | "/v1/embeddings" => Some(Speaks::OpenAi),
            "/v1/messages" => Some(Speaks::Anthropic),
            "/api/chat" | "/api/embed" => Some(Speaks::Ollama),
            _ => None,
        }
    }

    pub(super) fn refusal(self, status: StatusCode, kind: &str, message: &str) -> Reply {
        of_json(status, &self.error(kind, message))
    }

    pub(super) fn error(self, kind: &str, message: &str) -> Value {
        match self {
            Speaks::OpenAi => json!({ "error": { "message": message, "type": kind, "param": null, "code": kind } }),
            Speaks::Anthropic => json!({ "type": "error", "error": { "type": kind, "message": message } }),
            Speaks::Ollama => json!({ "error": message }),
        }
    }

    pub(super) fn whole(self, text: &str, tokens: usize) -> Value {
        let usage = |input: &str, output: &str| json!({ input: tokens, output: 3 });
        match self {
            Speaks::OpenAi => json!({
                "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "echo",
                "choices": [{
                    "index": 0, "finish_reason": "stop", "logprobs": null,
                    "message": { "role": "assistant", "content": text, "refusal": null },
                }],
                "usage": { "prompt_tokens": tokens, "completion_tokens": 3, "total_tokens": tokens + 3 },
            }),
            Speaks::Anthropic => json!({
                "id": "msg_1", "type": "message", "role": "assistant", "model": "echo",
                "content": [{ "type": "text", "text": text }],
                "stop_reason": "end_turn", "stop_sequence": null,
                "usage": usage("input_tokens", "output_tokens"),
            }),
            Speaks::Ollama => json!({
                "model": "echo", "created_at": "2026-01-01T00:00:00Z", "done": true, "done_reason": "stop",
                "message": { "role": "assistant", "content": text },
                "prompt_eval_count": tokens, "eval_count": 3,
            }),
        }
    }
}

pub(super) fn of_json(status: StatusCode, value: &Value) -> Reply {
    let mut reply = handlers::full(value.to_string());
    *reply.status_mut() = status;
    let of = HeaderValue::from_static("application/json");
    reply.headers_mut().insert(CONTENT_TYPE, of);
    reply
}
