//! What callers say and hear, whoever the server is; and what a piece of a stream comes to.

use serde::Serialize;

use super::error::AiError;

/// One turn of a conversation.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Message {
    /// `user` or `assistant`; `system` where the server knows it.
    pub role: &'static str,
    /// What is said.
    pub content: String,
}

impl Message {
    /// What a user says.
    pub fn user(content: impl Into<String>) -> Message {
        Message {
            role: "user",
            content: content.into(),
        }
    }
}

/// A question to a model.
#[derive(Clone, Copy, Debug)]
pub struct Prompt<'a> {
    /// Which.
    pub model: &'a str,
    /// The conversation so far.
    pub messages: &'a [Message],
    /// How many tokens the answer may have; Anthropic wants a bound, and is told 4096 without one.
    pub max_tokens: Option<u32>,
}

/// What a model answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The text.
    pub text: String,
    /// Why it ends, in the server's word: `stop`, `length`, `end_turn`, `max_tokens`, …
    pub finish_reason: Option<String>,
    /// What it cost, if the server says so.
    pub usage: Option<Usage>,
    /// The server's name for the request, which its support asks for.
    pub request_id: Option<String>,
}

/// Tokens, counted by the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Of the question.
    pub input: u64,
    /// Of the answer.
    pub output: u64,
}

/// What a stream has said beside its text.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) finish_reason: Option<String>,
    pub(super) usage: Option<Usage>,
}

/// What an event of a stream comes to.
#[derive(Debug, PartialEq)]
pub(super) enum Step {
    Text(String),
    /// A ping, or something beside the text.
    Nothing,
    /// It said that this is all.
    Ended,
}

/// A mistake of the server's, inside of an answer that it began well.
pub(super) fn unreadable(error: &serde_json::Error) -> AiError {
    AiError::Answer(error.to_string())
}
