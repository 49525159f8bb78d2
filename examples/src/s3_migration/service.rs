//! The annotated service.

use std::collections::VecDeque;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use httputil::{Client, PooledClient};
use reqwest::header::HeaderMap;
use tokio::task::JoinSet;

use super::manifest::{Manifest, Route};
use crate::s3::{Listed, Location, Plan, S3Error, Store};

/// Brings a bucket over from another store.
///
/// ```no_run
/// # async fn migrate() -> Result<(), Box<dyn std::error::Error>> {
/// use services::s3_migration::BucketMigration;
///
/// let migration = BucketMigration::new()?;
/// let report = migration.run("photos/").await?;
/// println!("{} copied, {} were there, {} failed", report.copied, report.skipped, report.failed.len());
/// # Ok(())
/// # }
/// ```
#[derive(PooledClient)]
#[pooled_client(profile = "s3_migration")]
pub struct BucketMigration {
    client: Client,
    /// The bucket that is read.
    #[pooled_client(setting)]
    from: Location,
    /// The bucket that is written.
    #[pooled_client(setting)]
    to: Location,
    /// How many objects are under way at once. Each has two connections for a time.
    #[pooled_client(setting, default = 32)]
    at_once: usize,
    /// Larger objects go in parts of this size, in bytes.
    #[pooled_client(setting, default = 64 * 1024 * 1024)]
    part_bytes: u64,
    /// How often a piece is tried before its object is given up.
    #[pooled_client(setting, default = 4)]
    tries: u32,
    /// Where it is written down what is done; a relative one is relative to the working directory. Without one nothing is.
    #[pooled_client(setting)]
    manifest: Option<PathBuf>,
    #[pooled_client(default)]
    counts: Arc<Counts>,
}

/// How far a migration is; of several runs of one service, all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Objects that were listed so far.
    pub listed: u64,
    /// Their bytes.
    pub listed_bytes: u64,
    /// Objects that are done: copied, passed over, or given up.
    pub done: u64,
    /// Bytes that came, those that came twice included.
    pub moved_bytes: u64,
}

/// What a migration did.
#[derive(Debug, Default)]
pub struct Report {
    /// Objects that were copied.
    pub copied: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Objects that the manifest had.
    pub skipped: u64,
    /// Keys that could not be copied, and why.
    pub failed: Vec<(String, S3Error)>,
}

/// Why a migration ended before its end.
#[derive(Debug)]
pub enum MigrationError {
    /// The bucket cannot be listed any further.
    List(S3Error),
    /// The manifest cannot be read or written.
    Manifest(std::io::Error),
}

#[derive(Default)]
struct Counts {
    listed: AtomicU64,
    listed_bytes: AtomicU64,
    done: AtomicU64,
    moved: Arc<AtomicU64>,
    winds_down: AtomicBool,
}

impl BucketMigration {
    /// Copies what begins with `prefix`. An object that fails is in the report, and keeps no other from being copied.
    ///
    /// Cancel-safe: dropped, it gives up what is under way; what is done is in the manifest.
    ///
    /// # Errors
    ///
    /// That the bucket cannot be listed, or the manifest be kept. What was under way is given up then.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub async fn run(&self, prefix: &str) -> Result<Report, MigrationError> {
        let mut manifest = self.open().await?;
        let (from, to) = (Store::new(&self.client, &self.from), Store::new(&self.client, &self.to));
        let mut report = Report::default();
        let mut under_way = JoinSet::new();
        let mut waiting: VecDeque<Listed> = VecDeque::new();
        let mut next_page = Some(None);
        loop {
            if self.counts.winds_down.load(Ordering::Relaxed) {
                waiting.clear();
                next_page = None;
            }
            while under_way.len() < self.at_once.max(1)
                && let Some(object) = waiting.pop_front()
            {
                let plan = self.plan(&from, &to, object);
                under_way.spawn(async move {
                    let result = plan.carry_out().await;
                    (plan.object, result)
                });
            }
            if waiting.is_empty()
                && let Some(page) = next_page.take()
            {
                // Those under way are tasks: they go on meanwhile.
                let page = from.list(prefix, page.as_deref()).await.map_err(MigrationError::List)?;
                next_page = page.next.map(Some);
                for object in page.objects {
                    self.counts.listed.fetch_add(1, Ordering::Relaxed);
                    self.counts.listed_bytes.fetch_add(object.size, Ordering::Relaxed);
                    if manifest.as_ref().is_some_and(|manifest| manifest.has(&object)) {
                        report.skipped += 1;
                        self.counts.done.fetch_add(1, Ordering::Relaxed);
                    } else {
                        waiting.push_back(object);
                    }
                }
                continue;
            }
            let Some(done) = under_way.join_next().await else {
                return Ok(report);
            };
            let (object, result) = done.expect("copying does not panic");
            self.counts.done.fetch_add(1, Ordering::Relaxed);
            match result {
                Ok(()) => {
                    report.copied += 1;
                    report.bytes += object.size;
                    if let Some(manifest) = &mut manifest {
                        manifest.add(&object).map_err(MigrationError::Manifest)?;
                    }
                }
                Err(error) => {
                    tracing::warn!(key = object.key, %error, "an object was not copied");
                    report.failed.push((object.key, error));
                }
            }
        }
    }

    /// Begins no further object from now on: [`run`](Self::run) returns when those that are under way are done, so that no upload
    /// is left in parts. Dropping its future is quicker, and gives them up.
    pub fn wind_down(&self) {
        self.counts.winds_down.store(true, Ordering::Relaxed);
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Progress {
            listed: read(&self.counts.listed),
            listed_bytes: read(&self.counts.listed_bytes),
            done: read(&self.counts.done),
            moved_bytes: read(&self.counts.moved),
        }
    }

    fn plan(&self, from: &Store, to: &Store, object: Listed) -> Plan {
        Plan {
            from: from.clone(),
            to: to.clone(),
            object,
            headers: HeaderMap::new(),
            part_bytes: self.part_bytes.max(1),
            tries: self.tries,
            moved: Arc::clone(&self.counts.moved),
        }
    }

    async fn open(&self) -> Result<Option<Manifest>, MigrationError> {
        let Some(path) = self.manifest.clone() else {
            return Ok(None);
        };
        let name = |at: &Location| format!("{}/{}", at.endpoint.as_str().trim_end_matches('/'), at.bucket);
        let route = Route {
            from: name(&self.from),
            to: name(&self.to),
        };
        let opened = tokio::task::spawn_blocking(move || Manifest::open(&path, &route)).await;
        let opened = opened.expect("opening does not panic");
        opened.map(Some).map_err(MigrationError::Manifest)
    }
}

impl fmt::Display for MigrationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MigrationError::List(error) => write!(f, "the bucket cannot be listed: {error}"),
            MigrationError::Manifest(error) => write!(f, "the manifest cannot be kept: {error}"),
        }
    }
}

impl std::error::Error for MigrationError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            MigrationError::List(error) => Some(error),
            MigrationError::Manifest(error) => Some(error),
        }
    }
}
