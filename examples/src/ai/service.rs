//! The annotated service.

use std::time::{Duration, SystemTime};

use httputil::settings::Secret;
use httputil::{Client, Kind, PooledClient, RequestBuilder};
use reqwest::header::{HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use super::error::{AiError, one_line, said};
use super::generation::Generation;
use super::types::{Answer, Prompt};
use super::{anthropic, ollama, openai};

/// The largest answer that is read whole.
const LARGEST_ANSWER: u64 = 64 << 20;

/// Whose protocol the server speaks.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// `OpenAI`'s chat completions; `endpoint` ends in `/v1`.
    #[default]
    OpenAi,
    /// Anthropic's messages; `endpoint` ends in `/v1`.
    Anthropic,
    /// Ollama's own API; `endpoint` is the server itself.
    Ollama,
}

/// Asks models.
///
/// ```no_run
/// # async fn ask() -> Result<(), Box<dyn std::error::Error>> {
/// use services::ai::{Ai, Message, Prompt};
///
/// let ai = Ai::new()?;
/// let messages = [Message::user("What is a bucket?")];
/// let mut answer = ai.stream(&Prompt { model: "gpt-5-mini", messages: &messages, max_tokens: None }).await?;
/// while let Some(piece) = answer.next().await {
///     print!("{}", piece?);
/// }
/// println!("\n{:?}", answer.usage());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PooledClient)]
#[pooled_client(profile = "ai")]
pub struct Ai {
    client: Client,
    #[pooled_client(setting)]
    endpoint: Url,
    #[pooled_client(setting, default)]
    provider: Provider,
    /// Whom it knows us by.
    #[pooled_client(setting)]
    api_key: Option<Secret>,
    /// How large an event of a stream may be, in bytes.
    #[pooled_client(setting, default = 1 << 20)]
    largest_event: usize,
}

impl Ai {
    /// Asks, and waits for the whole answer; for long ones there is [`stream`](Self::stream).
    ///
    /// # Errors
    ///
    /// No answer, one that is none, or one that cannot be read.
    pub async fn ask(&self, prompt: &Prompt<'_>) -> Result<Answer, AiError> {
        let response = self.prompt(prompt, false).await?;
        let request_id = self.request_id(response.headers());
        let body = response.bytes().await.map_err(|error| AiError::BrokeOff(Some(error)))?;
        let answer = match self.provider {
            Provider::OpenAi => openai::answer(&body),
            Provider::Anthropic => anthropic::answer(&body),
            Provider::Ollama => ollama::answer(&body),
        };
        Ok(Answer { request_id, ..answer? })
    }

    /// Asks, and gives the answer as it is made. This returns when the answer has begun; until then the request may be made
    /// again, and from then on nothing is.
    ///
    /// # Errors
    ///
    /// No answer, or one that is none.
    pub async fn stream(&self, prompt: &Prompt<'_>) -> Result<Generation, AiError> {
        let response = self.prompt(prompt, true).await?;
        let request_id = self.request_id(response.headers());
        Ok(Generation::of(response, self.provider, request_id, self.largest_event))
    }

    /// The vectors of texts, in their order.
    ///
    /// # Errors
    ///
    /// As [`ask`](Self::ask), and [`AiError::NoEmbeddings`] of a server that makes none.
    pub async fn embed(&self, model: &str, texts: &[String]) -> Result<Vec<Vec<f32>>, AiError> {
        let response = match self.provider {
            Provider::OpenAi => {
                let embed = openai::Embed {
                    model,
                    input: texts,
                    encoding_format: "float",
                };
                self.send("embeddings", &embed, Some(LARGEST_ANSWER)).await?
            }
            Provider::Ollama => {
                let embed = ollama::Embed { model, input: texts };
                self.send("api/embed", &embed, Some(LARGEST_ANSWER)).await?
            }
            Provider::Anthropic => return Err(AiError::NoEmbeddings),
        };
        let body = response.bytes().await.map_err(|error| AiError::BrokeOff(Some(error)))?;
        let vectors = match self.provider {
            Provider::Ollama => ollama::vectors(&body)?,
            _ => openai::vectors(&body)?,
        };
        if vectors.len() != texts.len() {
            let (is, of) = (vectors.len(), texts.len());
            return Err(AiError::Answer(format!("it has {is} vectors for {of} texts")));
        }
        Ok(vectors)
    }

    async fn prompt(&self, prompt: &Prompt<'_>, stream: bool) -> Result<Response, AiError> {
        // A stream's pieces are bounded one by one, and the whole by nothing: that is what it is for.
        let bound = (!stream).then_some(LARGEST_ANSWER);
        match self.provider {
            Provider::OpenAi => {
                let completion = openai::Completion::of(prompt, stream);
                self.send("chat/completions", &completion, bound).await
            }
            Provider::Anthropic => {
                let messages = anthropic::Ask::of(prompt, stream);
                self.send("messages", &messages, bound).await
            }
            Provider::Ollama => self.send("api/chat", &ollama::Chat::of(prompt, stream), bound).await,
        }
    }

    async fn send(&self, path: &str, question: &impl Serialize, bound: Option<u64>) -> Result<Response, AiError> {
        let url = format!("{}/{path}", self.endpoint.as_str().trim_end_matches('/'));
        // Asked twice a model answers twice, which harms nobody.
        let mut request = self.client.post(url).json(question).idempotent(true);
        if let Some(bound) = bound {
            request = request.max_response_bytes(bound);
        }
        let response = self.signed(request)?.send().await?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(self.refusal(response).await)
    }

    fn signed(&self, request: RequestBuilder) -> Result<RequestBuilder, AiError> {
        let Some(key) = &self.api_key else {
            return Ok(match self.provider {
                Provider::Anthropic => request.header("anthropic-version", anthropic::VERSION),
                _ => request,
            });
        };
        if self.provider != Provider::Anthropic {
            return Ok(request.bearer_auth(key.expose()));
        }
        let key = HeaderValue::from_str(key.expose());
        let mut key = key.map_err(|_| AiError::Answer("the API key cannot stand in a header".to_owned()))?;
        key.set_sensitive(true);
        let request = request.header("anthropic-version", anthropic::VERSION);
        Ok(request.header("x-api-key", key))
    }

    async fn refusal(&self, response: Response) -> AiError {
        let (status, request_id) = (response.status(), self.request_id(response.headers()));
        let retry_after = retry_after(response.headers());
        let body = response.bytes().await.unwrap_or_default();
        let of_json = serde_json::from_slice::<Value>(&body).ok();
        let (kind, message) = match of_json.as_ref().and_then(|body| body.get("error")) {
            Some(error) => said(error),
            None => (String::new(), one_line(&String::from_utf8_lossy(&body))),
        };
        AiError::Status {
            status,
            kind,
            message,
            request_id,
            retry_after,
        }
    }

    fn request_id(&self, headers: &HeaderMap) -> Option<String> {
        let name = match self.provider {
            Provider::Anthropic => "request-id",
            _ => "x-request-id",
        };
        headers.get(name)?.to_str().ok().map(str::to_owned)
    }
}

impl AiError {
    /// Whether it may pass by itself, so that asking again later is worth it.
    pub fn may_pass(&self) -> bool {
        match self {
            AiError::Http(error) => !matches!(error.kind(), Kind::Stopped | Kind::Egress | Kind::Request),
            AiError::BrokeOff(_) | AiError::InStream { .. } => true,
            // Without a time to come back it is a cap that only money lifts.
            AiError::Status {
                status, retry_after, ..
            } if *status == StatusCode::TOO_MANY_REQUESTS => retry_after.is_some(),
            AiError::Status { status, .. } => status.is_server_error(),
            _ => false,
        }
    }
}

/// Seconds, or a date.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = httpdate::parse_http_date(text).ok()?;
    Some(until.duration_since(SystemTime::now()).unwrap_or_default())
}
