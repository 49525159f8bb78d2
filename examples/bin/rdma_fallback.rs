//! Reads and writes objects: `cargo run --bin rdma_fallback -- --store http://127.0.0.1:9000/photos get trip/1.jpg`.
//!
//! Without a store it starts one, with a fabric beside it that refuses, breaks off in mid-object, loses an acknowledgement, and
//! is away for a time.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use clap::{Parser, Subcommand};
use httputil::PooledClient as _;
use services::command::{Configuration, Failure, exit, show_warnings};
use services::peers::{Content, Fabric, Fault, S3Peer};
use services::rdma_fallback::{ObjectAccess, Rdma, Side};
use url::Url;

/// Objects of a bucket, by RDMA where there is any, else over HTTP.
///
/// Credentials come from the configuration, best as `HTTPUTIL_RDMA_FALLBACK__SETTINGS__STORE__ACCESS_KEY` and `…__SECRET_KEY`;
/// the store may come from there, too.
#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    configuration: Configuration,
    /// The bucket, behind its store; without it, an operation and `rdma_fallback.settings.store`, one is started
    #[arg(long, value_name = "URL")]
    store: Option<Url>,
    /// The bucket's region
    #[arg(long, value_name = "REGION", requires = "store")]
    region: Option<String>,
    #[command(subcommand)]
    operation: Option<Operation>,
}

#[derive(Subcommand)]
enum Operation {
    /// Writes an object to standard output
    Get { key: String },
    /// Puts a file
    Put {
        key: String,
        file: PathBuf,
        /// Does not overwrite
        #[arg(long)]
        new: bool,
    },
    /// Says an object's size and `ETag`
    Head { key: String },
    /// Removes an object
    Delete { key: String },
    /// Lists what begins with this
    List {
        #[arg(default_value = "")]
        prefix: String,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    show_warnings();
    let flags = Flags::parse();
    exit(run(&flags).await)
}

async fn run(flags: &Flags) -> Result<(), Failure> {
    if let Some(operation) = &flags.operation {
        return operate(flags, operation).await;
    }
    let endpoint = flags.configuration.says("rdma_fallback", "settings.store.endpoint")?;
    if flags.store.is_some() || endpoint.is_some() {
        return Err("what is to be done there? see --help".into());
    }
    show(flags).await
}

async fn operate(flags: &Flags, operation: &Operation) -> Result<(), Failure> {
    let mut own = Vec::new();
    if let Some(store) = &flags.store {
        let path = store.path().trim_matches('/');
        let (before, bucket) = path.rsplit_once('/').unwrap_or(("", path));
        if bucket.is_empty() {
            return Err(format!("{store}: expected a store's URL with a bucket behind it").into());
        }
        let mut endpoint = store.clone();
        endpoint.set_path(before);
        own.push(("rdma_fallback.settings.store.endpoint", endpoint.to_string()));
        own.push(("rdma_fallback.settings.store.bucket", bucket.to_owned()));
    }
    if let Some(region) = &flags.region {
        own.push(("rdma_fallback.settings.store.region", region.clone()));
    }
    let registry = flags.configuration.registry(own)?;
    let objects = ObjectAccess::with_registry(&registry, Rdma::detect())?;
    if let Some(why) = objects.stats().why_http {
        eprintln!("over HTTP: {why}");
    }
    match operation {
        Operation::Get { key } => {
            let mut object = objects.get(key).await?;
            while let Some(piece) = object.next().await? {
                std::io::stdout().write_all(&piece)?;
            }
        }
        Operation::Put { key, file, new } => {
            let body = Bytes::from(tokio::fs::read(file).await?);
            if *new {
                objects.put_new(key, body).await?;
            } else {
                objects.put(key, body).await?;
            }
        }
        Operation::Head { key } => {
            let meta = objects.head(key).await?;
            println!("{} bytes, {}", meta.size, meta.e_tag);
        }
        Operation::Delete { key } => objects.delete(key).await?,
        Operation::List { prefix } => {
            let mut from = None;
            loop {
                let page = objects.list(prefix, from.as_deref()).await?;
                for object in page.objects {
                    println!("{:>12} {}", object.size, object.key);
                }
                from = page.next;
                if from.is_none() {
                    break;
                }
            }
        }
    }
    Ok(())
}

async fn show(flags: &Flags) -> Result<(), Failure> {
    println!(
        "No operation is given; started a store with a fabric. This machine's own: {:?}.",
        Rdma::detect()
    );
    let peer = Arc::new(S3Peer::start().await);
    let mut own = peer.settings("rdma_fallback.settings.store", "photos");
    for (key, value) in [("stay", "200ms"), ("probe_every", "50ms")] {
        own.push((format!("rdma_fallback.settings.{key}"), value.to_owned()));
    }
    let fabric = Fabric::to(&peer, "photos");
    let registry = flags.configuration.registry(own)?;
    let objects = ObjectAccess::with_registry(&registry, Rdma::Present(Arc::new(fabric.clone())))?;
    let body = Bytes::from(vec![7; 4 << 20]);
    peer.put("photos", "weights", Content::Bytes(body.clone()), []);

    fabric.fail_next([Fault::Refused]);
    objects.put("trip/1.jpg", body.slice(..1000)).await?;
    fabric.fail_next([Fault::BreaksAfter(1 << 20)]);
    let read = objects.get("weights").await?.bytes().await?;
    if read != body {
        return Err("the object that broke off was not put together well".into());
    }
    fabric.fail_next([Fault::AnswerLost]);
    objects.put_new("trip/2.jpg", body.slice(..1000)).await?;
    fabric.set_down(true);
    while objects.stats().side == Side::Rdma {
        objects.head("weights").await?;
    }
    println!("RDMA is left: {}", objects.stats().why_http.unwrap_or_default());
    fabric.set_down(false);
    while objects.stats().side == Side::Http {
        objects.head("weights").await?;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let stats = objects.stats();
    println!(
        "and taken back after {} probes; {} operations of {} were failed over, {} bytes of one from where it broke",
        stats.rdma.probes,
        stats.failed_over,
        stats.rdma.asked + stats.http.asked,
        stats.http.read_bytes
    );
    let pool = objects.client().stats();
    println!("{} requests over {} connections", pool.requests, pool.dialled);
    objects.shutdown(Duration::from_secs(5)).await;
    Ok(())
}
