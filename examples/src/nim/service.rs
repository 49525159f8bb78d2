//! The annotated service.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use httputil::{Client, Error, PooledClient, RequestBuilder};
use reqwest::StatusCode;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use super::error::NimError;
use super::types::{
    Chat, ChatAnswer, Choices, Completion, Embed, Embedding, InputType, Listed, Model, Rank, Ranking, Rankings, Text,
};

/// The largest answer that is read: a hundred embeddings of 8192 numbers are a tenth of it.
const LARGEST_ANSWER: u64 = 64 << 20;

/// The first pause before readiness is asked for again; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Asks models.
///
/// Where the replicas are is `base_url` of the profile, one or a list; whom they know us by is its `auth.bearer`.
///
/// ```no_run
/// # async fn ask() -> Result<(), Box<dyn std::error::Error>> {
/// use services::nim::{Chat, Message, Nim};
///
/// let nim = Nim::new()?;
/// nim.until_ready(std::time::Duration::from_secs(60)).await?;
/// let messages = [Message::user("How many objects are in a bucket?")];
/// let answer = nim.chat(&Chat { model: "meta/llama-3.1-8b-instruct", messages: &messages, max_tokens: None }).await?;
/// println!("{}", answer.text);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PooledClient)]
#[pooled_client(profile = "nim")]
pub struct Nim {
    client: Client,
}

impl Nim {
    /// Whether a replica says that its model can be asked: 200, and not 503. One is asked, whichever is next.
    ///
    /// # Errors
    ///
    /// That none answers, or by another status.
    pub async fn is_ready(&self) -> Result<bool, NimError> {
        // 503 is an answer here, no failure that another attempt would mend.
        let response = self.client.get("/v1/health/ready").retry(false).send().await?;
        match response.status() {
            status if status.is_success() => Ok(true),
            StatusCode::SERVICE_UNAVAILABLE => Ok(false),
            status => Err(NimError::of_status(status, b"")),
        }
    }

    /// Waits until a replica says that its model can be asked: after a container has begun that may take minutes.
    ///
    /// Cancel-safe.
    ///
    /// # Errors
    ///
    /// [`NimError::NotReady`] after so long, or how the replica that was asked last failed; at once what waiting does not mend.
    pub async fn until_ready(&self, patience: Duration) -> Result<(), NimError> {
        let until = Instant::now() + patience;
        let mut pause = FIRST_PAUSE;
        loop {
            let error = match self.is_ready().await {
                Ok(true) => return Ok(()),
                Ok(false) => NimError::NotReady,
                Err(NimError::Status { status, message }) if status.is_client_error() => {
                    return Err(NimError::Status { status, message });
                }
                Err(error) => error,
            };
            if Instant::now() + pause > until {
                return Err(error);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// The models that can be asked.
    ///
    /// # Errors
    ///
    /// As all calls: no answer, one that is none, or one that cannot be read.
    pub async fn models(&self) -> Result<Vec<String>, NimError> {
        let listed: Listed<Model> = ask(self.client.get("/v1/models")).await?;
        Ok(listed.data.into_iter().map(|model| model.id).collect())
    }

    /// Goes on with a conversation.
    ///
    /// # Errors
    ///
    /// As [`models`](Self::models).
    pub async fn chat(&self, chat: &Chat<'_>) -> Result<ChatAnswer, NimError> {
        first_of(self.post("/v1/chat/completions", chat).await?)
    }

    /// Goes on with a text.
    ///
    /// # Errors
    ///
    /// As [`models`](Self::models).
    pub async fn complete(&self, model: &str, prompt: &str, max_tokens: Option<u32>) -> Result<ChatAnswer, NimError> {
        let completion = Completion {
            model,
            prompt,
            max_tokens,
        };
        first_of(self.post("/v1/completions", &completion).await?)
    }

    /// The vectors of at most [`BATCH`](super::BATCH) texts, in their order. For more there is
    /// [`embed_all`](Self::embed_all).
    ///
    /// # Errors
    ///
    /// As [`models`](Self::models).
    pub async fn embed(&self, model: &str, kind: InputType, texts: &[String]) -> Result<Vec<Vec<f32>>, NimError> {
        let embed = Embed {
            model,
            input: texts,
            input_type: kind,
            encoding_format: "float",
        };
        let listed: Listed<Embedding> = self.post("/v1/embeddings", &embed).await?;
        in_order(listed.data, texts.len())
    }

    /// The passages, the best first.
    ///
    /// # Errors
    ///
    /// As [`models`](Self::models).
    pub async fn rank(&self, model: &str, query: &str, passages: &[&str]) -> Result<Vec<Ranking>, NimError> {
        let rank = Rank {
            model,
            query: Text { text: query },
            passages: passages.iter().map(|text| Text { text }).collect(),
            truncate: "END",
        };
        let mut ranked: Rankings = self.post("/v1/ranking", &rank).await?;
        if ranked.rankings.iter().any(|ranking| ranking.index >= passages.len()) {
            return Err(NimError::Answer("it ranks a passage that there is not".to_owned()));
        }
        ranked.rankings.sort_by(|one, other| other.logit.total_cmp(&one.logit));
        Ok(ranked.rankings)
    }

    async fn post<A: DeserializeOwned>(&self, path: &str, question: &impl Serialize) -> Result<A, NimError> {
        // A model is asked twice without harm.
        ask(self.client.post(path).json(question).idempotent(true)).await
    }
}

async fn ask<A: DeserializeOwned>(request: RequestBuilder) -> Result<A, NimError> {
    let response = request.max_response_bytes(LARGEST_ANSWER).send().await?;
    let status = response.status();
    let body = read(response).await?;
    if !status.is_success() {
        return Err(NimError::of_status(status, &body));
    }
    serde_json::from_slice(&body).map_err(|error| NimError::Answer(error.to_string()))
}

async fn read(response: reqwest::Response) -> Result<Bytes, NimError> {
    let body = reqwest::Body::from(response).collect().await;
    body.map(http_body_util::Collected::to_bytes)
        .map_err(|error| match Error::of(&error) {
            Some(ours) => NimError::Answer(format!("its body broke off: {ours}")),
            None => NimError::Answer(format!("its body broke off: {error}")),
        })
}

fn first_of(choices: Choices) -> Result<ChatAnswer, NimError> {
    let choice = choices.choices.into_iter().next();
    let choice = choice.ok_or_else(|| NimError::Answer("it has no choice".to_owned()))?;
    let said = choice.message.and_then(|message| message.content).or(choice.text);
    Ok(ChatAnswer {
        text: said.unwrap_or_default(),
        finish_reason: choice.finish_reason,
        usage: choices.usage,
    })
}

/// The vectors by their numbers, each once.
fn in_order(data: Vec<Embedding>, count: usize) -> Result<Vec<Vec<f32>>, NimError> {
    let mut vectors = vec![None; count];
    for Embedding { index, embedding } in data {
        match vectors.get_mut(index) {
            Some(place @ None) => *place = Some(embedding),
            _ => return Err(NimError::Answer(format!("it has a vector too many, number {index}"))),
        }
    }
    let all: Option<Vec<Vec<f32>>> = vectors.into_iter().collect();
    all.ok_or_else(|| NimError::Answer("a vector is missing".to_owned()))
}
