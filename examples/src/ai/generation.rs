//! An answer that is being made.

use std::time::Duration;

use super::error::AiError;
use super::lines::Lines;
use super::service::Provider;
use super::sse::Event;
use super::types::{Answer, Step, Told, Usage};
use super::{anthropic, ollama, openai};

/// How long the wire may take to end when the server has said that this was all; it is not waited for longer, and its
/// connection cannot be used again then.
const LINGER: Duration = Duration::from_millis(50);

/// `data: ` stands before what is bounded; what else there is in a line is shorter.
const BESIDE: usize = "data: ".len();

/// An answer that is being made, piece by piece.
///
/// Dropped before its end, the request is abandoned, and the server sees that: it need not go on.
#[derive(Debug)]
pub struct Generation {
    /// Until it has ended: its connection goes back to the pool then, whoever holds this.
    response: Option<reqwest::Response>,
    provider: Provider,
    request_id: Option<String>,
    lines: Lines,
    event: Event,
    bound: usize,
    told: Told,
    state: State,
}

#[derive(Debug, PartialEq)]
enum State {
    Running,
    /// The server has said that this was all.
    Said,
    /// The wire has ended, and what came last is still to be read.
    Rest,
    Over,
}

impl Generation {
    pub(super) fn of(
        response: reqwest::Response,
        provider: Provider,
        request_id: Option<String>,
        bound: usize,
    ) -> Generation {
        Generation {
            response: Some(response),
            provider,
            request_id,
            lines: Lines::bounded(bound, BESIDE),
            event: Event::default(),
            bound,
            told: Told::default(),
            state: State::Running,
        }
    }

    /// The next piece of text, when it has been made; `None` when the server has said that this was all.
    ///
    /// Cancel-safe: dropped while it waits, no piece is lost.
    ///
    /// # Errors
    ///
    /// The server failed, the answer broke off, or it is none; once, and `None` from then on.
    pub async fn next(&mut self) -> Option<Result<String, AiError>> {
        let next = self.step().await;
        if !matches!(next, Some(Ok(_))) {
            self.state = State::Over;
            self.response = None;
        }
        next
    }

    /// All of the text, and what the server has told beside it.
    ///
    /// # Errors
    ///
    /// As [`next`](Self::next).
    pub async fn whole(mut self) -> Result<Answer, AiError> {
        let mut text = String::new();
        while let Some(piece) = self.next().await {
            text.push_str(&piece?);
        }
        Ok(Answer {
            text,
            finish_reason: self.told.finish_reason,
            usage: self.told.usage,
            request_id: self.request_id,
        })
    }

    /// The server's name for the request.
    pub fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref()
    }

    /// What it cost; known at its end.
    pub fn usage(&self) -> Option<Usage> {
        self.told.usage
    }

    /// Why it has ended, in the server's word; known at its end.
    pub fn finish_reason(&self) -> Option<&str> {
        self.told.finish_reason.as_deref()
    }

    async fn step(&mut self) -> Option<Result<String, AiError>> {
        while self.state != State::Over {
            if self.state == State::Said {
                let _ = tokio::time::timeout(LINGER, self.response.as_mut()?.chunk()).await;
                return None;
            }
            match self.read() {
                Ok(Some(Step::Text(text))) => return Some(Ok(text)),
                Ok(Some(Step::Nothing)) => {}
                Ok(Some(Step::Ended)) => self.state = State::Said,
                Err(AiError::Answer(_)) | Ok(None) if self.state == State::Rest => {
                    return Some(Err(AiError::BrokeOff(None)));
                }
                Ok(None) => match self.response.as_mut()?.chunk().await {
                    Ok(Some(piece)) => self.lines.add(&piece),
                    Ok(None) => self.state = State::Rest,
                    Err(error) => return Some(Err(AiError::BrokeOff(Some(error)))),
                },
                Err(error) => return Some(Err(error)),
            }
        }
        None
    }

    /// What has come already, event by event.
    fn read(&mut self) -> Result<Option<Step>, AiError> {
        loop {
            let last;
            let line = match self.lines.next()? {
                Some(line) => line,
                // A line of JSON needs no end of its own.
                None if self.state == State::Rest && self.provider == Provider::Ollama => {
                    last = std::mem::replace(&mut self.lines, Lines::bounded(self.bound, 0));
                    last.rest()
                }
                None => return Ok(None),
            };
            let told = &mut self.told;
            match self.provider {
                Provider::Ollama if line.is_empty() && self.state == State::Rest => return Ok(None),
                Provider::Ollama if line.is_empty() => {}
                Provider::Ollama => return ollama::step(line, told).map(Some),
                Provider::OpenAi | Provider::Anthropic => {
                    if let Some(event) = self.event.take(line, self.bound)? {
                        let step = match self.provider {
                            Provider::OpenAi => openai::step(&event.data, told),
                            _ => anthropic::step(&event.name, &event.data, told),
                        };
                        return step.map(Some);
                    }
                }
            }
        }
    }
}
