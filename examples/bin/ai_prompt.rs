//! Asks a model, and shows the answer as it is made:
//! `cargo run --bin ai_prompt -- --endpoint https://api.openai.com/v1 --model gpt-5-mini "What is a bucket?"`.
//!
//! Without an endpoint it starts a server that echoes, and is busy at first.

use std::io::Write as _;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use httputil::PooledClient as _;
use reqwest::StatusCode;
use services::ai::{Ai, Message, Prompt};
use services::command::{Configuration, Failure, exit, show_warnings};
use services::peers::AiPeer;
use url::Url;

/// Asks a model, and shows its answer as it is made.
///
/// The key comes from the profile: `ai.settings.api_key = { env = "OPENAI_API_KEY" }`, or a file.
#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    configuration: Configuration,
    /// The API, `/v1` included but for Ollama's; without it, and without `ai.settings.endpoint`, a server is started
    #[arg(long, value_name = "URL")]
    endpoint: Option<Url>,
    /// Whose protocol it speaks, `openai` unless the configuration says otherwise
    #[arg(long, value_enum)]
    provider: Option<Speaks>,
    /// Which model to ask
    #[arg(long, default_value = "echo")]
    model: String,
    /// Asks another model for the question's vector, too
    #[arg(long, value_name = "MODEL")]
    embed: Option<String>,
    /// What to ask
    #[arg(default_value = "What is a bucket?")]
    question: String,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Speaks {
    Openai,
    Anthropic,
    Ollama,
}

#[tokio::main]
async fn main() -> ExitCode {
    show_warnings();
    exit(run(Flags::parse()).await)
}

async fn run(flags: Flags) -> Result<(), Failure> {
    let mut own = Vec::new();
    let mut peer = None;
    let provider = flags.provider.map(|provider| match provider {
        Speaks::Openai => "openai".to_owned(),
        Speaks::Anthropic => "anthropic".to_owned(),
        Speaks::Ollama => "ollama".to_owned(),
    });
    let provider = match provider {
        Some(provider) => Some(provider),
        None => flags.configuration.says("ai", "settings.provider")?,
    };
    if let Some(endpoint) = &flags.endpoint {
        own.push(("ai.settings.endpoint", endpoint.to_string()));
    } else if flags.configuration.says("ai", "settings.endpoint")?.is_none() {
        let started = AiPeer::start(None).await;
        started.refuse_next(StatusCode::SERVICE_UNAVAILABLE, "overloaded_error", None);
        let path = if provider.as_deref() == Some("ollama") {
            ""
        } else {
            "/v1"
        };
        let url = format!("{}{path}", started.url());
        println!("No endpoint is given; started a server at {url}.");
        own.push(("ai.settings.endpoint", url));
        peer = Some(started);
    }
    own.extend(provider.map(|provider| ("ai.settings.provider", provider)));
    let registry = flags.configuration.registry(own)?;
    let ai = Ai::with_registry(&registry)?;
    let messages = [Message::user(flags.question.as_str())];
    let prompt = Prompt {
        model: &flags.model,
        messages: &messages,
        max_tokens: Some(1024),
    };
    let mut answer = ai.stream(&prompt).await?;
    let mut pieces = 0;
    while let Some(piece) = answer.next().await {
        print!("{}", piece?);
        std::io::stdout().flush()?;
        pieces += 1;
    }
    println!();
    let reason = answer.finish_reason().unwrap_or("nobody knows why");
    println!("{pieces} pieces, ended: {reason}");
    if let Some(usage) = answer.usage() {
        println!("{} tokens in, {} out", usage.input, usage.output);
    }
    if let Some(id) = answer.request_id() {
        println!("request {id}");
    }
    if let Some(model) = &flags.embed {
        let vectors = ai.embed(model, &[flags.question]).await?;
        println!("a vector of {} numbers", vectors[0].len());
    }
    let pool = ai.client().stats();
    println!(
        "{} requests over {} connections, {} retries",
        pool.requests, pool.dialled, pool.retries
    );
    drop(peer);
    Ok(())
}
