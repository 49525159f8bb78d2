//! `OpenAI`'s chat completions, which many servers speak.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::AiError;
use super::types::{Answer, Message, Prompt, Step, Told, Usage, unreadable};

#[derive(Serialize)]
pub(super) struct Completion<'a> {
    model: &'a str,
    messages: &'a [Message],
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u32>,
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_options: Option<StreamOptions>,
}

#[derive(Serialize)]
struct StreamOptions {
    include_usage: bool,
}

impl<'a> Completion<'a> {
    pub(super) fn of(prompt: &Prompt<'a>, stream: bool) -> Completion<'a> {
        Completion {
            model: prompt.model,
            messages: prompt.messages,
            max_completion_tokens: prompt.max_tokens,
            stream,
            // Without it a stream does not say what it cost.
            stream_options: stream.then_some(StreamOptions { include_usage: true }),
        }
    }
}

/// An answer, or a piece of one.
#[derive(Deserialize)]
struct Chosen {
    #[serde(default)]
    choices: Vec<Choice>,
    usage: Option<Tokens>,
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Choice {
    message: Option<Said>,
    delta: Option<Said>,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Said {
    content: Option<String>,
}

#[derive(Deserialize)]
struct Tokens {
    #[serde(default)]
    prompt_tokens: u64,
    #[serde(default)]
    completion_tokens: u64,
}

impl From<Tokens> for Usage {
    fn from(tokens: Tokens) -> Usage {
        Usage {
            input: tokens.prompt_tokens,
            output: tokens.completion_tokens,
        }
    }
}

pub(super) fn answer(body: &[u8]) -> Result<Answer, AiError> {
    let chosen: Chosen = serde_json::from_slice(body).map_err(|error| unreadable(&error))?;
    let choice = chosen.choices.into_iter().next();
    let choice = choice.ok_or_else(|| AiError::Answer("it has no choice".to_owned()))?;
    Ok(Answer {
        text: choice.message.and_then(|said| said.content).unwrap_or_default(),
        finish_reason: choice.finish_reason,
        usage: chosen.usage.map(Usage::from),
        request_id: None,
    })
}

/// `[DONE]` ends a stream; what it cost comes before that, in a piece without a choice.
pub(super) fn step(data: &str, told: &mut Told) -> Result<Step, AiError> {
    if data == "[DONE]" {
        return Ok(Step::Ended);
    }
    let piece: Chosen = serde_json::from_str(data).map_err(|error| unreadable(&error))?;
    if let Some(error) = &piece.error {
        return Err(AiError::in_stream(error));
    }
    if let Some(usage) = piece.usage {
        told.usage = Some(usage.into());
    }
    let Some(choice) = piece.choices.into_iter().next() else {
        return Ok(Step::Nothing);
    };
    if choice.finish_reason.is_some() {
        told.finish_reason = choice.finish_reason;
    }
    let text = choice
        .delta
        .and_then(|said| said.content)
        .filter(|text| !text.is_empty());
    Ok(text.map_or(Step::Nothing, Step::Text))
}

#[derive(Serialize)]
pub(super) struct Embed<'a> {
    pub(super) model: &'a str,
    pub(super) input: &'a [String],
    pub(super) encoding_format: &'static str,
}

#[derive(Deserialize)]
struct Listed {
    data: Vec<Embedding>,
}

#[derive(Deserialize)]
struct Embedding {
    index: usize,
    embedding: Vec<f32>,
}

/// The vectors in the texts' order.
pub(super) fn vectors(body: &[u8]) -> Result<Vec<Vec<f32>>, AiError> {
    let mut listed: Listed = serde_json::from_slice(body).map_err(|error| unreadable(&error))?;
    listed.data.sort_by_key(|one| one.index);
    if let Some((number, _)) = listed
        .data
        .iter()
        .enumerate()
        .find(|(number, one)| *number != one.index)
    {
        return Err(AiError::Answer(format!("vector {number} is missing, or there twice")));
    }
    Ok(listed.data.into_iter().map(|one| one.embedding).collect())
}
