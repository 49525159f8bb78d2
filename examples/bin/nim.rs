//! Asks a model: `cargo run --bin nim -- --base-url http://nim:8000 --model meta/llama-3.1-8b-instruct "What is a bucket?"`.
//!
//! Without a base URL it starts two replicas that echo, of which one fails now and then.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use httputil::PooledClient as _;
use reqwest::StatusCode;
use services::command::{Configuration, Failure, exit, show_warnings};
use services::nim::{Chat, InputType, Message, Nim};
use services::peers::NimPeer;
use url::Url;

/// Asks a model for an answer, vectors and an order of passages.
#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    configuration: Configuration,
    /// A replica; may be given more than once. Without one, and without `nim.base_url`, two are started
    #[arg(long, value_name = "URL")]
    base_url: Vec<Url>,
    /// The model to ask; the first of the server's own unless given
    #[arg(long)]
    model: Option<String>,
    /// Asks a language model only, as real containers are of one kind each
    #[arg(long)]
    chat_only: bool,
    /// Shows it to a model that can see: a PNG or a JPEG
    #[arg(long, value_name = "FILE")]
    image: Option<PathBuf>,
    /// Waits so long for a model that is still being loaded
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    wait: u64,
    /// What to ask
    #[arg(default_value = "What is a bucket?")]
    question: String,
}

#[tokio::main]
async fn main() -> ExitCode {
    show_warnings();
    exit(run(Flags::parse()).await)
}

async fn run(flags: Flags) -> Result<(), Failure> {
    let mut urls: Vec<String> = flags.base_url.iter().map(Url::to_string).collect();
    let mut peers = Vec::new();
    if urls.is_empty() && flags.configuration.says("nim", "base_url")?.is_none() {
        for _ in 0..2 {
            peers.push(NimPeer::start(None).await);
        }
        peers[0].answer_next([StatusCode::SERVICE_UNAVAILABLE]);
        urls = peers.iter().map(NimPeer::url).collect();
        println!("No base URL is given; started replicas at {}.", urls.join(" and "));
    }
    let list = serde_json::to_string(&urls)?;
    let own = (!urls.is_empty()).then_some(("nim.base_url", list));
    let registry = flags.configuration.registry(own)?;
    let nim = Nim::with_registry(&registry)?;
    nim.until_ready(Duration::from_secs(flags.wait)).await?;
    let model = match flags.model {
        Some(model) => model,
        None => nim
            .models()
            .await?
            .into_iter()
            .next()
            .ok_or("the server has no model")?,
    };
    let messages = [match &flags.image {
        None => Message::user(&flags.question),
        Some(file) => {
            let is_png = file.extension().is_some_and(|extension| extension == "png");
            let kind = if is_png { "image/png" } else { "image/jpeg" };
            Message::of_image(&flags.question, kind, &tokio::fs::read(file).await?)
        }
    }];
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
