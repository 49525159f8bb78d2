//! Records what was done and delivers it in batches: `cargo run --bin audit_webhooks -- --endpoint https://… --spool DIR`.
//!
//! Without an endpoint it starts one that fails now and then.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use httputil::PooledClient as _;
use reqwest::StatusCode;
use services::audit::{AuditEvent, AuditTrail};
use services::command::{Configuration, Failure, exit, show_warnings};
use services::peers::AuditSink;
use url::Url;

/// Delivers audit events in batches, at least once and in order.
///
/// Each event is on disk before it is said to be recorded; killed, it goes on where it was when it is started again.
#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    configuration: Configuration,
    /// Who takes the batches; without it, and without `audit.settings.endpoint`, one is started
    #[arg(long, value_name = "URL")]
    endpoint: Option<Url>,
    /// Where batches wait; without it, and without an endpoint, a folder for this run
    #[arg(long, value_name = "FOLDER")]
    spool: Option<PathBuf>,
    /// How many events to record
    #[arg(long, default_value_t = 1000)]
    events: u64,
    /// Gives up what is not delivered so long after the last event; it stays in the spool
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    grace: u64,
}

#[tokio::main]
async fn main() -> ExitCode {
    show_warnings();
    exit(run(Flags::parse()).await)
}

async fn run(flags: Flags) -> Result<(), Failure> {
    let mut own = Vec::new();
    let (mut peer, mut folder) = (None, None);
    if let Some(endpoint) = &flags.endpoint {
        own.push(("audit.settings.endpoint", endpoint.to_string()));
    } else if flags.configuration.says("audit", "settings.endpoint")?.is_none() {
        let started = AuditSink::start().await;
        started.answer_next([StatusCode::SERVICE_UNAVAILABLE, StatusCode::BAD_GATEWAY]);
        println!("No endpoint is given; started one at {}.", started.url());
        own.push(("audit.settings.endpoint", started.url().to_string()));
        peer = Some(started);
    }
    if let Some(spool) = &flags.spool {
        own.push(("audit.settings.spool", spool.display().to_string()));
    } else if peer.is_some() {
        let made = tempfile::tempdir()?;
        own.push(("audit.settings.spool", made.path().display().to_string()));
        folder = Some(made);
    }
    let registry = flags.configuration.registry(own)?;
    let trail = AuditTrail::with_registry(&registry)?;
    trail.start().await?;
    for number in 0..flags.events {
        let event = AuditEvent {
            time: format!("2026-01-01T00:00:00.{number:06}Z"),
            user: "ada".to_owned(),
            action: "PutObject".to_owned(),
            resource: format!("photos/{number}.jpg"),
            status: 200,
        };
        trail.record(&event).await?;
        if (number + 1) % 100 == 0 || number + 1 == flags.events {
            println!("{} recorded", number + 1);
        }
    }
    let told = trail.drain(Duration::from_secs(flags.grace)).await;
    println!(
        "{} delivered, {} refused, {} bytes wait in the spool",
        told.delivered, told.refused, told.waiting
    );
    let pool = trail.client().stats();
    println!("{} requests over {} connections", pool.requests, pool.dialled);
    if let Some(peer) = peer {
        println!("the endpoint has {} batches", peer.batches().len());
    }
    drop(folder);
    match told.waiting {
        0 => Ok(()),
        _ => Err("not all events were delivered; the next start goes on".into()),
    }
}
