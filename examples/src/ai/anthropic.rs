//! Anthropic's messages.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::AiError;
use super::types::{Answer, Message, Prompt, Step, Told, Usage, unreadable};

/// The version of the protocol, a header of each request. The one after it, 2026-10-21, only takes away what is not said here.
pub(super) const VERSION: &str = "2023-06-01";

#[derive(Serialize)]
pub(super) struct Ask<'a> {
    model: &'a str,
    messages: Vec<&'a Message>,
    #[serde(skip_serializing_if = "Option::is_none")]
    system: Option<String>,
    max_tokens: u32,
    stream: bool,
}

impl<'a> Ask<'a> {
    /// What the system says stands beside the conversation here.
    pub(super) fn of(prompt: &Prompt<'a>, stream: bool) -> Ask<'a> {
        let (system, messages): (Vec<_>, Vec<_>) = prompt.messages.iter().partition(|one| one.role == "system");
        let system: Vec<&str> = system.iter().map(|one| one.content.as_str()).collect();
        Ask {
            model: prompt.model,
            messages,
            system: (!system.is_empty()).then(|| system.join("\n\n")),
            max_tokens: prompt.max_tokens.unwrap_or(4096),
            stream,
        }
    }
}

#[derive(Deserialize)]
struct Whole {
    content: Vec<Block>,
    stop_reason: Option<String>,
    usage: Option<Tokens>,
}

#[derive(Deserialize)]
struct Block {
    text: Option<String>,
}

#[derive(Deserialize)]
struct Tokens {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
}

pub(super) fn answer(body: &[u8]) -> Result<Answer, AiError> {
    let whole: Whole = serde_json::from_slice(body).map_err(|error| unreadable(&error))?;
    Ok(Answer {
        text: whole.content.into_iter().filter_map(|block| block.text).collect(),
        finish_reason: whole.stop_reason,
        usage: whole.usage.map(|tokens| Usage {
            input: tokens.input_tokens.unwrap_or_default(),
            output: tokens.output_tokens.unwrap_or_default(),
        }),
        request_id: None,
    })
}

#[derive(Deserialize)]
struct Piece {
    message: Option<Begun>,
    delta: Option<Delta>,
    usage: Option<Tokens>,
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Begun {
    usage: Option<Tokens>,
}

#[derive(Deserialize)]
struct Delta {
    text: Option<String>,
    stop_reason: Option<String>,
}

/// `message_start` says what the question costs, `message_delta` what the answer does, `message_stop` that this is all.
pub(super) fn step(name: &str, data: &str, told: &mut Told) -> Result<Step, AiError> {
    match name {
        "message_stop" => return Ok(Step::Ended),
        "message_start" | "content_block_delta" | "message_delta" | "error" => {}
        // `ping`, the begin and end of a block, and whatever comes to be: the protocol says to pass over it.
        _ => return Ok(Step::Nothing),
    }
    let piece: Piece = serde_json::from_str(data).map_err(|error| unreadable(&error))?;
    if name == "error" {
        return Err(AiError::in_stream(&piece.error.unwrap_or_default()));
    }
    for tokens in [piece.message.and_then(|begun| begun.usage), piece.usage]
        .into_iter()
        .flatten()
    {
        let usage = told.usage.get_or_insert_default();
        usage.input = tokens.input_tokens.unwrap_or(usage.input);
        usage.output = tokens.output_tokens.unwrap_or(usage.output);
    }
    let Some(delta) = piece.delta else {
        return Ok(Step::Nothing);
    };
    if delta.stop_reason.is_some() {
        told.finish_reason = delta.stop_reason;
    }
    Ok(delta
        .text
        .filter(|text| !text.is_empty())
        .map_or(Step::Nothing, Step::Text))
}
