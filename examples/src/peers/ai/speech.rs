//! A stream, said in each of the three languages, well or not.

use std::time::Duration;

use bytes::Bytes;
use httputil_tests::gate::Gate;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::words::Speaks;

/// How a stream goes, where it does not go well; one of them a stream.
#[derive(Clone, Debug)]
pub enum Manner {
    /// It waits at the gate after its first piece.
    Waits(Gate),
    /// It fails after its first piece, inside of the answer.
    Fails,
    /// It ends after its first piece, without saying so.
    Ends,
    /// It says that it is there, so often with so long between, before its first piece; Ollama says so by an empty piece.
    Pings(usize, Duration),
    /// Its first piece has so many letters.
    IsLarge(usize),
}

/// A stream that is being said.
pub(super) struct Speech {
    pub(super) speaks: Speaks,
    pub(super) say: mpsc::Sender<Bytes>,
    pub(super) with_usage: bool,
}

pub(super) type Said = Result<(), mpsc::error::SendError<Bytes>>;

impl Speech {
    pub(super) async fn say_all(&self, text: &str, tokens: usize, manner: Option<Manner>) -> Said {
        if let Speaks::Anthropic = self.speaks {
            let usage = json!({ "input_tokens": tokens, "output_tokens": 1 });
            let message = json!({
                "id": "msg_1", "type": "message", "role": "assistant", "model": "echo", "content": [],
                "stop_reason": null, "stop_sequence": null, "usage": usage,
            });
            self.event("message_start", json!({ "message": message })).await?;
            let block = json!({ "index": 0, "content_block": { "type": "text", "text": "" } });
            self.event("content_block_start", block).await?;
        }
        if let Some(Manner::Pings(times, between)) = manner {
            for _ in 0..times {
                self.ping().await?;
                tokio::time::sleep(between).await;
            }
        }
        if let Some(Manner::IsLarge(letters)) = manner {
            return self.piece(&"x".repeat(letters)).await;
        }
        for (number, piece) in text.split_inclusive(' ').enumerate() {
            self.piece(piece).await?;
            match &manner {
                Some(Manner::Waits(gate)) if number == 0 => tokio::select! {
                    () = gate.pass() => {}
                    () = self.say.closed() => return Ok(()),
                },
                Some(Manner::Fails) => return self.fail().await,
                Some(Manner::Ends) => return Ok(()),
                _ => {}
            }
        }
        self.end(tokens).await
    }

    async fn piece(&self, text: &str) -> Said {
        match self.speaks {
            Speaks::OpenAi => {
                self.chunk(json!([{ "index": 0, "delta": { "content": text }, "finish_reason": null }]))
                    .await
            }
            Speaks::Anthropic => {
                let delta = json!({ "index": 0, "delta": { "type": "text_delta", "text": text } });
                self.event("content_block_delta", delta).await
            }
            Speaks::Ollama => {
                let message = json!({ "role": "assistant", "content": text });
                self.line(json!({ "message": message, "done": false })).await
            }
        }
    }

    async fn ping(&self) -> Said {
        match self.speaks {
            Speaks::OpenAi => self.raw(": still here\n\n".to_owned()).await,
            Speaks::Anthropic => self.event("ping", json!({})).await,
            Speaks::Ollama => self.piece("").await,
        }
    }

    async fn fail(&self) -> Said {
        let error = self.speaks.error("overloaded_error", "the model is overloaded");
        match self.speaks {
            Speaks::OpenAi => self.raw(format!("data: {error}\n\n")).await,
            Speaks::Anthropic => self.raw(format!("event: error\ndata: {error}\n\n")).await,
            Speaks::Ollama => self.raw(format!("{error}\n")).await,
        }
    }

    async fn end(&self, tokens: usize) -> Said {
        match self.speaks {
            Speaks::OpenAi => {
                let last = json!([{ "index": 0, "delta": {}, "finish_reason": "stop" }]);
                self.chunk(last).await?;
                if self.with_usage {
                    let usage = json!({
                        "prompt_tokens": tokens, "completion_tokens": 3, "total_tokens": tokens + 3,
                    });
                    let chunk = json!({
                        "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "echo",
                        "choices": [], "usage": usage,
                    });
                    self.raw(format!("data: {chunk}\n\n")).await?;
                }
                self.raw("data: [DONE]\n\n".to_owned()).await
            }
            Speaks::Anthropic => {
                self.event("content_block_stop", json!({ "index": 0 })).await?;
                let delta = json!({ "stop_reason": "end_turn", "stop_sequence": null });
                let delta = json!({ "delta": delta, "usage": { "output_tokens": 3 } });
                self.event("message_delta", delta).await?;
                self.event("message_stop", json!({})).await
            }
            Speaks::Ollama => {
                self.line(json!({
                    "message": { "role": "assistant", "content": "" }, "done": true, "done_reason": "stop",
                    "prompt_eval_count": tokens, "eval_count": 3,
                }))
                .await
            }
        }
    }

    async fn chunk(&self, choices: Value) -> Said {
        let chunk = json!({
            "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "echo", "choices": choices,
        });
        self.raw(format!("data: {chunk}\n\n")).await
    }

    async fn event(&self, name: &str, mut data: Value) -> Said {
        data["type"] = name.into();
        self.raw(format!("event: {name}\ndata: {data}\n\n")).await
    }

    async fn line(&self, mut line: Value) -> Said {
        line["model"] = "echo".into();
        line["created_at"] = "2026-01-01T00:00:00Z".into();
        self.raw(format!("{line}\n")).await
    }

    async fn raw(&self, text: String) -> Said {
        self.say.send(text.into()).await
    }
}
