//! What goes over the wire, as NIM's reference has it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

/// One turn of a conversation.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Message {
    /// `system`, `user` or `assistant`.
    pub role: String,
    /// What is said, or shown.
    pub content: Content,
}

/// What a turn consists of.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Content {
    /// Words.
    Text(String),
    /// Words and images, for models that can see.
    Parts(Vec<Part>),
}

/// A part of a turn.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Part {
    /// Words.
    Text {
        /// These.
        text: String,
    },
    /// An image.
    ImageUrl {
        /// Where it is.
        image_url: ImageUrl,
    },
}

/// Where an image is: a URL that the server can reach, or a `data:` URL that has the image in it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct ImageUrl {
    /// The URL.
    pub url: String,
}

impl Message {
    /// What a user says.
    pub fn user(content: impl Into<String>) -> Message {
        Message {
            role: "user".to_owned(),
            content: Content::Text(content.into()),
        }
    }

    /// What a user says of an image, which goes along; `media_type` is `image/png` or `image/jpeg`.
    pub fn of_image(text: impl Into<String>, media_type: &str, image: &[u8]) -> Message {
        let url = format!("data:{media_type};base64,{}", STANDARD.encode(image));
        let image_url = ImageUrl { url };
        Message {
            role: "user".to_owned(),
            content: Content::Parts(vec![Part::Text { text: text.into() }, Part::ImageUrl { image_url }]),
        }
    }
}

/// A question to a language model.
#[derive(Clone, Debug, Serialize)]
pub struct Chat<'a> {
    /// One of [`models`](super::Nim::models).
    pub model: &'a str,
    /// The conversation so far.
    pub messages: &'a [Message],
    /// How many tokens the answer may have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
}

/// What a language model answered.
#[derive(Clone, Debug, PartialEq)]
pub struct ChatAnswer {
    /// The text.
    pub text: String,
    /// Why it ends: `stop`, `length`, …
    pub finish_reason: Option<String>,
    /// What it cost, if the server says so.
    pub usage: Option<Usage>,
}

/// Tokens, counted by the server.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
pub struct Usage {
    /// Of the question.
    pub prompt_tokens: u64,
    /// Of question and answer.
    pub total_tokens: u64,
}

/// What a text is to be compared with: retrieval models embed both sides differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum InputType {
    /// With passages.
    Query,
    /// With queries.
    Passage,
}

/// How well a passage fits a query.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
pub struct Ranking {
    /// Which passage, from 0.
    pub index: usize,
    /// The more the better.
    pub logit: f64,
}

#[derive(Deserialize)]
pub(super) struct Listed<T> {
    pub(super) data: Vec<T>,
}

#[derive(Deserialize)]
pub(super) struct Model {
    pub(super) id: String,
}

#[derive(Deserialize)]
pub(super) struct Choices {
    pub(super) choices: Vec<Choice>,
    pub(super) usage: Option<Usage>,
}

/// A choice of a chat has a message, one of a completion a text.
#[derive(Deserialize)]
pub(super) struct Choice {
    pub(super) message: Option<Said>,
    pub(super) text: Option<String>,
    pub(super) finish_reason: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Said {
    pub(super) content: Option<String>,
}

#[derive(Serialize)]
pub(super) struct Completion<'a> {
    pub(super) model: &'a str,
    pub(super) prompt: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) max_tokens: Option<u32>,
}

#[derive(Serialize)]
pub(super) struct Embed<'a> {
    pub(super) model: &'a str,
    pub(super) input: &'a [String],
    pub(super) input_type: InputType,
    pub(super) encoding_format: &'static str,
}

#[derive(Deserialize)]
pub(super) struct Embedding {
    pub(super) index: usize,
    pub(super) embedding: Vec<f32>,
}

#[derive(Serialize)]
pub(super) struct Rank<'a> {
    pub(super) model: &'a str,
    pub(super) query: Text<'a>,
    pub(super) passages: Vec<Text<'a>>,
    pub(super) truncate: &'static str,
}

#[derive(Serialize)]
pub(super) struct Text<'a> {
    pub(super) text: &'a str,
}

#[derive(Deserialize)]
pub(super) struct Rankings {
    pub(super) rankings: Vec<Ranking>,
}

/// The forms that errors have: that of the interface, NIM's own, and that of the web framework beneath.
#[derive(Deserialize)]
pub(super) struct Complaint {
    error: Option<Detail>,
    message: Option<String>,
    detail: Option<serde_json::Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Detail {
    Text(String),
    Table { message: String },
}

impl Complaint {
    /// What it says, in whichever form.
    pub(super) fn said(self) -> Option<String> {
        let of_error = self.error.map(|error| match error {
            Detail::Text(message) | Detail::Table { message } => message,
        });
        let of_detail = || {
            let detail = self.detail?;
            Some(detail.as_str().map_or_else(|| detail.to_string(), str::to_owned))
        };
        of_error.or(self.message).or_else(of_detail)
    }
}
