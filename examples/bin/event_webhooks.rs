//! Tells a webhook of objects that were made: `cargo run --bin event_webhooks -- --target https://… --signing-key-file …`.
//!
//! Without a target it starts one that checks signatures, and fails now and then.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use clap::Parser;
use httputil::PooledClient as _;
use reqwest::StatusCode;
use serde_json::json;
use services::command::{Configuration, Failure, exit, show_warnings};
use services::events::{EventWebhooks, ObjectEvent};
use services::peers::Webhook;
use url::Url;

/// Sends S3 event notifications to webhooks, signed.
///
/// The targets are those of `[events.settings] targets`, or the one given here.
#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    configuration: Configuration,
    /// A webhook to tell; without it, and without targets in the configuration, one is started
    #[arg(long, value_name = "URL")]
    target: Option<Url>,
    /// What the target's events are signed with
    #[arg(long, value_name = "FILE")]
    signing_key_file: Option<PathBuf>,
    /// How many events
    #[arg(long, default_value_t = 100)]
    events: u64,
}

#[tokio::main]
async fn main() -> ExitCode {
    show_warnings();
    exit(run(Flags::parse()).await)
}

async fn run(flags: Flags) -> Result<(), Failure> {
    let mut peer = None;
    let mut own = Vec::new();
    if let Some(url) = &flags.target {
        let key = flags.signing_key_file.as_ref().map(|file| json!({ "file": file }));
        own.push(target("target", url, key));
    } else if flags.configuration.says("events", "settings.targets")?.is_none() {
        let started = Webhook::start(Some("a key for one run".into()), StatusCode::METHOD_NOT_ALLOWED).await;
        started.answer_next([StatusCode::SERVICE_UNAVAILABLE, StatusCode::BAD_GATEWAY]);
        println!("No target is set; started one at {}.", started.url());
        own.push(target("embedded", &started.url(), Some(json!("a key for one run"))));
        peer = Some(started);
    }
    let registry = flags.configuration.registry(own)?;
    let webhooks = EventWebhooks::with_registry(&registry)?;
    for (name, health) in webhooks.health().await {
        println!("{name}: {health:?}");
    }
    for number in 0..flags.events {
        let event = ObjectEvent {
            name: "ObjectCreated:Put".to_owned(),
            region: "eu-central-1".to_owned(),
            bucket: "photos".to_owned(),
            key: format!("a trip/{number}.jpg"),
            size: 1024 * (1 + number),
            e_tag: "d41d8cd98f00b204e9800998ecf8427e".to_owned(),
            sequencer: number,
            time: SystemTime::now(),
        };
        for name in webhooks.publish(&event) {
            println!("{name}: its queue is full, event {number} was not taken");
        }
    }
    let mut all = true;
    for (name, told) in webhooks.drain(Duration::from_secs(30)).await {
        println!(
            "{name}: {} delivered, {} failed, {} refused",
            told.delivered, told.failed, told.refused
        );
        all &= told.delivered == flags.events;
    }
    let pool = webhooks.client().stats();
    println!("{} requests over {} connections", pool.requests, pool.dialled);
    if let Some(peer) = peer {
        println!(
            "the embedded target has {} events, each with a good signature",
            peer.deliveries().len()
        );
    }
    if all {
        Ok(())
    } else {
        Err("not all events were delivered".into())
    }
}

fn target(name: &str, url: &Url, key: Option<serde_json::Value>) -> (String, String) {
    let key = key
        .map(|key| format!(", signing_key = {}", inline(&key)))
        .unwrap_or_default();
    let targets = format!("[{{ name = {}, url = {}{key} }}]", json!(name), json!(url));
    ("events.settings.targets".to_owned(), targets)
}

/// A text or a table of one text, as TOML.
fn inline(value: &serde_json::Value) -> String {
    match value.as_object().and_then(|table| table.iter().next()) {
        Some((word, text)) => format!("{{ {word} = {text} }}"),
        None => value.to_string(),
    }
}
