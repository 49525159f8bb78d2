//! Asks a model: `cargo run --bin nim -- --base-url http://nim:8000 --model meta/llama-3.1-8b-instruct "What is a bucket?"`.
//!
//! Without a base URL it starts two replicas that echo, of which one fails now and then.

use std::process::ExitCode;

use clap::Parser;
use httputil::PooledClient as _;
use reqwest::StatusCode;
use services::command::{Configuration, Failure, exit};
use services::nim::{Chat, InputType, Message, Nim};
use services::peers::NimPeer;
use url::Url;

/// Asks a model for an answer, vectors and an order of passages.
#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    configuration: Configuration,
    /// A replica; may be given more than once. Without one, two are started
    #[arg(long, value_name = "URL")]
    base_url: Vec<Url>,
    /// The model to ask; the first of the server's own unless given
    #[arg(long)]
    model: Option<String>,
    /// Asks a language model only, as real containers are of one kind each
    #[arg(long)]
    chat_only: bool,
    /// What to ask
    #[arg(default_value = "What is a bucket?")]
    question: String,
}

#[tokio::main]
async fn main() -> ExitCode {
    exit(run(Flags::parse()).await)
}

async fn run(flags: Flags) -> Result<(), Failure> {
    let mut urls: Vec<String> = flags.base_url.iter().map(Url::to_string).collect();
    let mut peers = Vec::new();
    if urls.is_empty() {
        for _ in 0..2 {
            peers.push(NimPeer::start(None).await);
        }
        peers[0].answer_next([StatusCode::SERVICE_UNAVAILABLE]);
        urls = peers.iter().map(NimPeer::url).collect();
        println!("No base URL is given; started replicas at {}.", urls.join(" and "));
    }
    let list = serde_json::to_string(&urls)?;
    let registry = flags.configuration.registry([("nim.base_url", list)])?;
    let nim = Nim::with_registry(&registry)?;
    if !nim.is_ready().await? {
        return Err("the model is still being loaded".into());
    }
    let model = match flags.model {
        Some(model) => model,
        None => nim
            .models()
            .await?
            .into_iter()
            .next()
            .ok_or("the server has no model")?,
    };
    let messages = [Message::user(&flags.question)];
    let chat = Chat {
        model: &model,
        messages: &messages,
        max_tokens: Some(256),
    };
    let answer = nim.chat(&chat).await?;
    println!("{model}: {}", answer.text);
    if let Some(usage) = answer.usage {
        println!(
            "{} tokens, {} of them the question's",
            usage.total_tokens, usage.prompt_tokens
        );
    }
    if !flags.chat_only {
        let texts: Vec<String> = (1..=250).map(|number| format!("object {number}")).collect();
        let vectors = nim.embed_all(&model, InputType::Passage, texts, 4).await;
        let good = vectors.iter().filter(|vector| vector.is_ok()).count();
        println!("{good} of {} texts have a vector", vectors.len());
        let passages = ["a bucket holds objects", "an object has a key"];
        let best = nim.rank(&model, "what holds objects", &passages).await?;
        println!("the best passage: {}", passages[best[0].index]);
    }
    let pool = nim.client().stats();
    println!(
        "{} requests over {} connections, {} retries",
        pool.requests, pool.dialled, pool.retries
    );
    Ok(())
}
