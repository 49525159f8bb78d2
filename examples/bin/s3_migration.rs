//! Brings a bucket over: `cargo run --bin s3_migration -- --from https://s3.eu-central-1.amazonaws.com/photos --to https://…/photos`.
//!
//! Without buckets it starts two stores, of which one is busy now and then and breaks transfers off.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use httputil::PooledClient as _;
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::StatusCode;
use services::command::{Configuration, Failure, exit, show_warnings};
use services::peers::{Content, S3Peer};
use services::s3_migration::{BucketMigration, Report};
use url::Url;

/// Copies what is in one bucket into another one, of another store.
///
/// Credentials come from the configuration, best as `HTTPUTIL_S3_MIGRATION__SETTINGS__FROM__ACCESS_KEY`, `…__SECRET_KEY` and the
/// same of `TO`; buckets may come from there, too. With a manifest it goes on where it was when it is started again.
#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    configuration: Configuration,
    /// The bucket that is read, behind its store; without both, and without those of the configuration, two stores are started
    #[arg(long, value_name = "URL", requires = "to")]
    from: Option<Url>,
    /// The bucket that is written
    #[arg(long, value_name = "URL", requires = "from")]
    to: Option<Url>,
    /// The region of the bucket that is read
    #[arg(long, value_name = "REGION", requires = "from")]
    from_region: Option<String>,
    /// The region of the bucket that is written
    #[arg(long, value_name = "REGION", requires = "to")]
    to_region: Option<String>,
    /// Copies only what begins with this
    #[arg(long, default_value = "")]
    prefix: String,
    /// Where it is written down what is done
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,
    /// How many objects the store has that is started
    #[arg(long, default_value_t = 1000, conflicts_with = "from")]
    objects: u64,
}

#[tokio::main]
async fn main() -> ExitCode {
    show_warnings();
    exit(run(Flags::parse()).await)
}

async fn run(flags: Flags) -> Result<(), Failure> {
    let mut own = Vec::new();
    let mut peers = None;
    if let (Some(from), Some(to)) = (&flags.from, &flags.to) {
        own.extend(bucket(
            "s3_migration.settings.from",
            from,
            flags.from_region.as_deref(),
        )?);
        own.extend(bucket("s3_migration.settings.to", to, flags.to_region.as_deref())?);
    } else if flags
        .configuration
        .says("s3_migration", "settings.from.endpoint")?
        .is_none()
    {
        let (from, to) = (S3Peer::start().await, S3Peer::start().await);
        for number in 0..flags.objects {
            let key = format!("photos/{:03}/{number}.jpg", number % 7);
            from.put("old", &key, Content::Made(64 << 10), [("content-type", "image/jpeg")]);
        }
        from.put("old", "films/a long one.mp4", Content::Made(200 << 20), []);
        from.break_next([10_000, 70_000_000]);
        to.answer_next([StatusCode::SERVICE_UNAVAILABLE, StatusCode::INTERNAL_SERVER_ERROR]);
        println!(
            "No buckets are given; started stores at {} and {}.",
            from.server.url(""),
            to.server.url("")
        );
        own.extend(from.settings("s3_migration.settings.from", "old"));
        own.extend(to.settings("s3_migration.settings.to", "new"));
        peers = Some((from, to));
    }
    if let Some(manifest) = &flags.manifest {
        own.push((
            "s3_migration.settings.manifest".to_owned(),
            manifest.display().to_string(),
        ));
    }
    let registry = flags.configuration.registry(own)?;
    let migration = BucketMigration::with_registry(&registry)?;
    let (report, was_stopped) = with_progress(&migration, &flags.prefix).await?;
    println!(
        "{} objects of {} bytes copied, {} were there, {} failed",
        report.copied,
        report.bytes,
        report.skipped,
        report.failed.len()
    );
    let pool = migration.client().stats();
    println!(
        "{} requests over {} connections, {} retries",
        pool.requests, pool.dialled, pool.retries
    );
    migration.shutdown(Duration::from_secs(10)).await;
    drop(peers);
    for (key, error) in &report.failed {
        eprintln!("{key:?}: {error}");
    }
    match report.failed.len() {
        0 if was_stopped => Err("stopped; another run copies the rest".into()),
        0 => Ok(()),
        failed => Err(format!("{failed} objects were not copied; the next run tries them again").into()),
    }
}

/// A bucket's settings, of its URL: path-style, the bucket behind the store.
fn bucket(key: &str, url: &Url, region: Option<&str>) -> Result<Vec<(String, String)>, Failure> {
    let path = url.path().trim_matches('/');
    let (before, name) = path.rsplit_once('/').unwrap_or(("", path));
    if name.is_empty() {
        return Err(format!("{url}: expected a store's URL with a bucket behind it").into());
    }
    let mut endpoint = url.clone();
    endpoint.set_path(before);
    let mut settings = vec![
        (format!("{key}.endpoint"), endpoint.to_string()),
        (format!("{key}.bucket"), name.to_owned()),
    ];
    settings.extend(region.map(|region| (format!("{key}.region"), region.to_owned())));
    Ok(settings)
}

/// Runs it, and shows on a terminal how far it is. Ctrl-C has it end what is under way; says whether it did.
async fn with_progress(migration: &BucketMigration, prefix: &str) -> Result<(Report, bool), Failure> {
    let bar = ProgressBar::no_length();
    let style = "{wide_bar} {bytes} of {total_bytes}, {binary_bytes_per_sec}, {msg}";
    bar.set_style(ProgressStyle::with_template(style)?);
    let mut running = std::pin::pin!(migration.run(prefix));
    let mut shown = tokio::time::interval(Duration::from_millis(100));
    let mut is_stopped = false;
    loop {
        tokio::select! {
            report = &mut running => {
                bar.finish_and_clear();
                return Ok((report?, is_stopped));
            }
            _ = tokio::signal::ctrl_c() => {
                if is_stopped {
                    bar.finish_and_clear();
                    return Err("given up; uploads in parts may be left at the target".into());
                }
                is_stopped = true;
                migration.wind_down();
                bar.suspend(|| eprintln!("What is under way is ended; once more gives it up."));
            }
            _ = shown.tick() => {
                let now = migration.progress();
                bar.set_length(now.listed_bytes);
                bar.set_position(now.moved_bytes.min(now.listed_bytes));
                bar.set_message(format!("{} of {} objects", now.done, now.listed));
            }
        }
    }
}
