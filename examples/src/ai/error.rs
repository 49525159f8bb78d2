//! Why a prompt failed.

use std::fmt;
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::Value;

/// The longest part of a server's words that is shown.
const LONGEST: usize = 500;

/// Why a prompt failed, after all attempts.
#[derive(Debug)]
#[non_exhaustive]
pub enum AiError {
    /// No answer came, or none that the profile takes.
    Http(httputil::Error),
    /// The server answered, and not well.
    Status {
        /// How.
        status: StatusCode,
        /// What kind of error it says that is, such as `insufficient_quota`; empty if it says nothing.
        kind: String,
        /// What it says, on one line; empty if it says nothing.
        message: String,
        /// The server's name for the request.
        request_id: Option<String>,
        /// When it says to come back. A 429 without that is a limit that does not pass by itself.
        retry_after: Option<Duration>,
    },
    /// The server began to answer, and failed then. What it has said so far stands, and nothing is sent again.
    InStream {
        /// What kind of error it says that is, such as `overloaded_error`.
        kind: String,
        /// What it says, on one line.
        message: String,
    },
    /// The answer broke off: the connection did, or the stream ended without saying so. `None` is the latter.
    BrokeOff(Option<reqwest::Error>),
    /// An event of the stream is larger than the bound, in bytes.
    TooLarge(usize),
    /// The server answered well, by something else than it should.
    Answer(String),
    /// This server has none.
    NoEmbeddings,
}

impl AiError {
    pub(super) fn in_stream(error: &Value) -> AiError {
        let (kind, message) = said(error);
        AiError::InStream { kind, message }
    }
}

/// Kind and message of an error, in each server's form: `{"type": …, "message": …, "code": …}`, or a text.
pub(super) fn said(error: &Value) -> (String, String) {
    let text = |key: &str| error[key].as_str().map(one_line);
    let kind = text("code").or_else(|| text("type")).unwrap_or_default();
    let message = error.as_str().map(one_line).or_else(|| text("message"));
    (kind, message.unwrap_or_else(|| one_line(&error.to_string())))
}

/// A server's words, without what would break a log's line.
pub(super) fn one_line(text: &str) -> String {
    let words = text.split(|next: char| next.is_control() || next.is_whitespace());
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    words.join(" ").chars().take(LONGEST).collect()
}

impl From<httputil::Error> for AiError {
    fn from(error: httputil::Error) -> AiError {
        AiError::Http(error)
    }
}

impl fmt::Display for AiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AiError::Http(error) => error.fmt(f),
            AiError::Status {
                status,
                kind,
                message,
                request_id,
                ..
            } => {
                write!(f, "the model's server answered {status}")?;
                for (before, words) in [(": ", message), (", ", kind)] {
                    if !words.is_empty() {
                        write!(f, "{before}{words}")?;
                    }
                }
                match request_id {
                    Some(id) => write!(f, " (request {id})"),
                    None => Ok(()),
                }
            }
            AiError::InStream { kind, message } => write!(f, "the model failed in mid-answer: {message} ({kind})"),
            AiError::BrokeOff(None) => f.write_str("the answer broke off: the stream ended without saying so"),
            AiError::BrokeOff(Some(error)) => match httputil::Error::of(error) {
                Some(ours) => write!(f, "the answer broke off: {ours}"),
                None => write!(f, "the answer broke off: {error}"),
            },
            AiError::TooLarge(bound) => write!(f, "an event of the stream is larger than {bound} bytes"),
            AiError::Answer(why) => write!(f, "the model's server answered something else than it should: {why}"),
            AiError::NoEmbeddings => f.write_str("this server makes no embeddings"),
        }
    }
}

impl std::error::Error for AiError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            AiError::Http(error) => Some(error),
            AiError::BrokeOff(Some(error)) => Some(error),
            _ => None,
        }
    }
}
