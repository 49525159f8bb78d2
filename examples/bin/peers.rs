//! Starts the services' peers for the clients of others: `cargo run --bin peers`.
//!
//! Says in one line of JSON where they are; when its standard input ends, in another one what they have seen, and ends.

use std::process::ExitCode;

use clap::Parser;
use serde_json::json;
use services::command::{Failure, exit};
use services::peers::{AiPeer, Collector};
use tokio::io::AsyncReadExt as _;

/// Starts a server of models and a collector of spans, and leaves them to whoever asks until its standard input ends.
#[derive(Parser)]
struct Flags {
    /// The key that models want
    #[arg(long, default_value = "a key")]
    key: String,
}

#[tokio::main]
async fn main() -> ExitCode {
    exit(run(Flags::parse()).await)
}

async fn run(flags: Flags) -> Result<(), Failure> {
    let (ai, collector) = (AiPeer::start(Some(&flags.key)).await, Collector::start().await);
    let (otlp, zipkin) = (collector.otlp(), collector.zipkin());
    println!("{}", json!({ "ai": ai.url(), "otlp": otlp, "zipkin": zipkin }));
    tokio::io::stdin().read_to_end(&mut Vec::new()).await?;
    let spans = collector.spans().into_iter().map(|span| {
        json!({
            "service": span.service, "name": span.name, "parent": span.parent, "id": span.id,
            "attributes": span.attributes, "error": span.error,
        })
    });
    let spans: Vec<_> = spans.collect();
    println!("{}", json!({ "asked": ai.asked().len(), "spans": spans }));
    Ok(())
}
