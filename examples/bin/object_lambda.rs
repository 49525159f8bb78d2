//! Gives an object as a webhook makes it: `cargo run --bin object_lambda -- --webhook https://… --key notes.txt`.
//!
//! The object's bucket is the configuration's, `object_lambda.settings.from`. Without a webhook it starts a store and a
//! transformer that makes capitals, and is busy first.

use std::process::ExitCode;

use clap::Parser;
use http_body_util::BodyExt as _;
use httputil::PooledClient as _;
use reqwest::StatusCode;
use services::command::{Configuration, Failure, exit, show_warnings};
use services::object_lambda::{ObjectLambda, UserRequest};
use services::peers::{Content, S3Peer, Transformer};
use tokio::io::AsyncWriteExt as _;
use url::Url;

/// Writes an object to standard output as a transformer makes it.
#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    configuration: Configuration,
    /// The transformer; without it, and without `object_lambda.settings.webhook`, one is started, and a store
    #[arg(long, value_name = "URL")]
    webhook: Option<Url>,
    /// The object; there is one where a store is started
    #[arg(long)]
    key: Option<String>,
    /// Posts the object, instead of telling where it is
    #[arg(long)]
    post: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    show_warnings();
    exit(run(Flags::parse()).await)
}

async fn run(flags: Flags) -> Result<(), Failure> {
    let mut own = Vec::new();
    let mut peers = None;
    if let Some(webhook) = &flags.webhook {
        own.push(("object_lambda.settings.webhook".to_owned(), webhook.to_string()));
    } else if flags.configuration.says("object_lambda", "settings.webhook")?.is_none() {
        let (store, transformer) = (S3Peer::start().await, Transformer::start(None).await);
        let poem = "shall i compare thee to a summer's day?\nthou art more lovely and more temperate\n";
        store.put(
            "poems",
            "eighteen.txt",
            Content::Bytes(poem.into()),
            [("content-type", "text/plain")],
        );
        transformer.answer_next([StatusCode::SERVICE_UNAVAILABLE]);
        eprintln!("No webhook is given; started one at {} and a store.", transformer.url());
        own.extend(store.settings("object_lambda.settings.from", "poems"));
        own.push((
            "object_lambda.settings.webhook".to_owned(),
            transformer.url().to_string(),
        ));
        peers = Some((store, transformer));
    }
    if flags.post {
        own.push(("object_lambda.settings.input".to_owned(), "body".to_owned()));
    }
    let registry = flags.configuration.registry(own)?;
    let lambda = ObjectLambda::with_registry(&registry)?;
    let of_peer = peers.as_ref().map(|_| "eighteen.txt");
    let key = flags.key.as_deref().or(of_peer).ok_or("which object? name its --key")?;
    let mut transformed = lambda.get(key, &UserRequest::default()).await?;
    if let Some((code, message)) = transformed.failure {
        return Err(format!("{}: {code}: {message}", transformed.status).into());
    }
    let mut output = tokio::io::stdout();
    while let Some(frame) = transformed.body.frame().await {
        if let Ok(piece) = frame?.into_data() {
            output.write_all(&piece).await?;
        }
    }
    output.flush().await?;
    let pool = lambda.client().stats();
    eprintln!(
        "{} requests over {} connections, {} retries",
        pool.requests, pool.dialled, pool.retries
    );
    drop(peers);
    Ok(())
}
