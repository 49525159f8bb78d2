//! Brings objects to other regions: `cargo run --bin replication -- --config httputil.toml photos/1.jpg photos/2.jpg`.
//!
//! Where the configuration names no regions it starts a store here and one in each of two regions, of which one is busy first.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use httputil::PooledClient as _;
use reqwest::StatusCode;
use services::command::{Configuration, Failure, exit, show_warnings};
use services::peers::{Content, S3Peer};
use services::replication::{Change, Replication};

/// Brings objects of a bucket to the same bucket's other regions.
#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    configuration: Configuration,
    /// The objects' keys; without any, stores are started, with objects
    keys: Vec<String>,
    /// The objects are gone here, and are to be removed there
    #[arg(long, requires = "keys")]
    removed: bool,
    /// Gives up what is not there so long after the last change
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    grace: u64,
}

#[tokio::main]
async fn main() -> ExitCode {
    show_warnings();
    exit(run(Flags::parse()).await)
}

async fn run(flags: Flags) -> Result<(), Failure> {
    let mut own = Vec::new();
    let mut peers = Vec::new();
    let mut keys = flags.keys.clone();
    if keys.is_empty() && flags.configuration.says("replication", "settings.regions")?.is_some() {
        return Err("which objects? name their keys".into());
    }
    if keys.is_empty() {
        let from = S3Peer::start().await;
        let mut regions = Vec::new();
        for name in ["eu-west-1", "us-west-2"] {
            let peer = S3Peer::start_in(name).await;
            let at = peer.location("photos");
            regions.push(format!(
                "{{ name = \"{name}\", at = {{ endpoint = \"{}\", region = \"{name}\", bucket = \"photos\", access_key = \"{}\", \
                 secret_key = \"{}\" }} }}",
                at.endpoint,
                at.access_key,
                at.secret_key.expose()
            ));
            peers.push(peer);
        }
        peers[0].answer_next([StatusCode::SERVICE_UNAVAILABLE; 5]);
        for number in 0..100 {
            keys.push(format!("trip/{number}.jpg"));
            from.put("photos", &keys[number], Content::Made(64 << 10), []);
        }
        keys.push("films/a long one.mp4".to_owned());
        from.put("photos", "films/a long one.mp4", Content::Made(200 << 20), []);
        println!(
            "No objects are named; started a store at {} and two regions.",
            from.server.url("")
        );
        own.extend(from.settings("replication.settings.from", "photos"));
        own.push((
            "replication.settings.regions".to_owned(),
            format!("[{}]", regions.join(", ")),
        ));
        peers.push(from);
    }
    let registry = flags.configuration.registry(own)?;
    let replication = Replication::with_registry(&registry)?;
    for key in keys {
        let change = if flags.removed {
            Change::Removed(key)
        } else {
            Change::Put(key)
        };
        for region in replication.publish(&change) {
            eprintln!("the queue of {region} is full: {:?} is refused", change.key());
        }
    }
    let stats = replication.drain(Duration::from_secs(flags.grace)).await;
    if stats.is_empty() {
        return Err("no region is set: replication.settings.regions".into());
    }
    let mut left = 0;
    for (region, told) in stats {
        println!(
            "{region}: {} there, {} failed, {} bytes moved",
            told.replicated, told.failed, told.moved_bytes
        );
        left += told.failed + told.refused;
    }
    let pool = replication.client().stats();
    println!(
        "{} requests over {} connections, {} retries",
        pool.requests, pool.dialled, pool.retries
    );
    match left {
        0 => Ok(()),
        left => Err(format!("{left} changes are not there").into()),
    }
}
