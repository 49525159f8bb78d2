//! Ollama's own API: a line of JSON for each piece.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::AiError;
use super::types::{Answer, Message, Prompt, Step, Told, Usage, unreadable};

#[derive(Serialize)]
pub(super) struct Chat<'a> {
    model: &'a str,
    messages: &'a [Message],
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    options: Option<Options>,
}

#[derive(Serialize)]
struct Options {
    num_predict: u32,
}

impl<'a> Chat<'a> {
    pub(super) fn of(prompt: &Prompt<'a>, stream: bool) -> Chat<'a> {
        Chat {
            model: prompt.model,
            messages: prompt.messages,
            stream,
            options: prompt.max_tokens.map(|num_predict| Options { num_predict }),
        }
    }
}

/// A line, or the whole answer.
#[derive(Deserialize)]
struct Line {
    message: Option<Said>,
    #[serde(default)]
    done: bool,
    done_reason: Option<String>,
    prompt_eval_count: Option<u64>,
    eval_count: Option<u64>,
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Said {
    content: String,
}

impl Line {
    fn usage(&self) -> Option<Usage> {
        self.done.then(|| Usage {
            // A question that is known from before costs nothing, and is not told of.
            input: self.prompt_eval_count.unwrap_or_default(),
            output: self.eval_count.unwrap_or_default(),
        })
    }
}

pub(super) fn answer(body: &[u8]) -> Result<Answer, AiError> {
    let line: Line = serde_json::from_slice(body).map_err(|error| unreadable(&error))?;
    Ok(Answer {
        usage: line.usage(),
        text: line.message.map(|said| said.content).unwrap_or_default(),
        finish_reason: line.done_reason,
        request_id: None,
    })
}

/// The line that is `done` ends a stream, and may have a last piece of text, which no server has been seen to send.
pub(super) fn step(line: &str, told: &mut Told) -> Result<Step, AiError> {
    let line: Line = serde_json::from_str(line).map_err(|error| unreadable(&error))?;
    if let Some(error) = &line.error {
        return Err(AiError::in_stream(error));
    }
    if line.done {
        told.usage = line.usage();
        told.finish_reason = line.done_reason;
        return Ok(Step::Ended);
    }
    let text = line.message.map(|said| said.content).filter(|text| !text.is_empty());
    Ok(text.map_or(Step::Nothing, Step::Text))
}

#[derive(Serialize)]
pub(super) struct Embed<'a> {
    pub(super) model: &'a str,
    pub(super) input: &'a [String],
}

#[derive(Deserialize)]
struct Embeddings {
    embeddings: Vec<Vec<f32>>,
}

pub(super) fn vectors(body: &[u8]) -> Result<Vec<Vec<f32>>, AiError> {
    let embeddings: Embeddings = serde_json::from_slice(body).map_err(|error| unreadable(&error))?;
    Ok(embeddings.embeddings)
}
