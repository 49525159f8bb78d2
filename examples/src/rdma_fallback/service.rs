//! The annotated service.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use httputil::{Client, PooledClient};
use reqwest::StatusCode;
use uuid::Uuid;

use super::counts::{AccessStats, Counts, add};
use super::hardware::Hardware;
use super::http::Http;
use super::reading::Object;
use super::switch::{Rules, Side, Switch};
use super::transport::{Meta, Transport, Write};
use super::ways::Ways;
use crate::s3::{Location, Page, S3Error, Store};

/// The objects of a bucket, by RDMA or over HTTP.
///
/// ```no_run
/// # async fn read() -> Result<(), Box<dyn std::error::Error>> {
/// use services::rdma_fallback::{ObjectAccess, Rdma};
///
/// let objects = ObjectAccess::new(Rdma::detect())?;
/// objects.put("weights/0", b"...".as_slice().into()).await?;
/// let mut object = objects.get("weights/0").await?;
/// while let Some(piece) = object.next().await? {
///     println!("{} bytes by {:?}", piece.len(), object.side());
/// }
/// println!("{:?}", objects.stats().why_http);
/// # Ok(())
/// # }
/// ```
#[derive(PooledClient)]
#[pooled_client(profile = "rdma_fallback")]
pub struct ObjectAccess {
    client: Client,
    /// The side that is meant.
    rdma: Rdma,
    /// The bucket, as HTTP has it.
    #[pooled_client(setting)]
    store: Location,
    /// What RDMA has for each step: an operation, or the next piece of an object.
    #[pooled_client(setting, default = Duration::from_secs(2))]
    patience: Duration,
    /// After so many failures in a row RDMA is left,
    #[pooled_client(setting, default = 3)]
    fail_after: u32,
    /// for so long at first, and twice as long each time that it comes back only to fail,
    #[pooled_client(setting, default = Duration::from_secs(5))]
    stay: Duration,
    /// but no longer than this.
    #[pooled_client(setting, default = Duration::from_mins(5))]
    longest_stay: Duration,
    /// Then operations have it probed, so often at most,
    #[pooled_client(setting, default = Duration::from_secs(1))]
    probe_every: Duration,
    /// and after so many good probes in a row it is taken back.
    #[pooled_client(setting, default = 3)]
    good_probes: u32,
    /// How often the rest of an object is asked for over HTTP.
    #[pooled_client(setting, default = 3)]
    tries: u32,
    #[pooled_client(default)]
    ways: OnceLock<Arc<Ways>>,
}

/// The RDMA side, or why there is none.
#[derive(Clone, Debug)]
pub enum Rdma {
    /// There is none, and why.
    Absent(String),
    /// Whoever has the driver brings it along.
    Present(Arc<dyn Transport>),
}

/// Why an operation did not succeed.
#[derive(Debug)]
#[non_exhaustive]
pub enum AccessError {
    /// The store answered so.
    Store(S3Error),
    /// There is an object that is not to be overwritten, and it is not of this write.
    Exists,
    /// The object is another one than when it was begun to be read.
    Changed,
    /// No side did it. What was to be written may have been.
    Failed(String),
}

impl Rdma {
    /// What this machine has: this program has no driver, so there is none, and the reason says what the machine has.
    pub fn detect() -> Rdma {
        Rdma::Absent(match Hardware::find(Path::new("/")) {
            Ok(found) => format!("{found} is active, and this program was built without a driver for it"),
            Err(missing) => missing.to_string(),
        })
    }
}

impl ObjectAccess {
    /// An object, from its first byte.
    ///
    /// # Errors
    ///
    /// The store's answer, or that both sides failed.
    pub async fn get(&self, key: &str) -> Result<Object, AccessError> {
        let ways = self.ways();
        let (opened, side) = ways.begin(|side| async move { side.get(key, None).await }).await?;
        if side == Side::Rdma && opened.meta.size == 0 {
            ways.served();
        }
        Ok(Object::new(Arc::clone(ways), key, opened, side, self.tries.max(1)))
    }

    /// What the store says of an object.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub async fn head(&self, key: &str) -> Result<Meta, AccessError> {
        let head = self.ways().run(|side| async move { side.head(key).await }).await;
        head.map(|(meta, _)| meta)
    }

    /// Puts an object, in the place of one that is there.
    ///
    /// Done twice where a side fails, by the same bytes: of two writers of one key at once either may be the last.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub async fn put(&self, key: &str, body: Bytes) -> Result<(), AccessError> {
        self.write(key, &write(body, true)).await
    }

    /// Puts an object if there is none.
    ///
    /// Where a side fails and the other one finds an object, it is looked at: one that bears this write's id is this write's.
    ///
    /// # Errors
    ///
    /// [`AccessError::Exists`], and as [`get`](Self::get).
    pub async fn put_new(&self, key: &str, body: Bytes) -> Result<(), AccessError> {
        let write = write(body, false);
        match self.write(key, &write).await {
            Err(AccessError::Store(S3Error::Status { status, .. })) if status == StatusCode::PRECONDITION_FAILED => {
                match self.head(key).await {
                    Ok(meta) if meta.write == Some(write.id) => Ok(()),
                    Err(error @ AccessError::Failed(_)) => Err(error),
                    _ => Err(AccessError::Exists),
                }
            }
            done => done,
        }
    }

    /// Removes an object; one that is not there is no error.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub async fn delete(&self, key: &str) -> Result<(), AccessError> {
        let done = self.ways().run(|side| async move { side.delete(key).await }).await;
        done.map(|(done, _)| done)
    }

    /// A page of what begins with `prefix`, from where an earlier page said.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub async fn list(&self, prefix: &str, from: Option<&str>) -> Result<Page, AccessError> {
        let listed = self.ways().run(|side| async move { side.list(prefix, from).await });
        listed.await.map(|(page, _)| page)
    }

    /// What each side did, and which one serves.
    pub fn stats(&self) -> AccessStats {
        self.ways().stats()
    }

    async fn write(&self, key: &str, write: &Write) -> Result<(), AccessError> {
        let ways = self.ways();
        let ((), side) = ways.run(|side| async move { side.put(key, write).await }).await?;
        add(&ways.counts.of(side).written_bytes, write.body.len() as u64);
        Ok(())
    }

    fn ways(&self) -> &Arc<Ways> {
        self.ways.get_or_init(|| {
            let rules = Rules {
                fail_after: self.fail_after,
                stay: self.stay,
                longest_stay: self.longest_stay,
                probe_every: self.probe_every,
                good_probes: self.good_probes,
            };
            Arc::new(Ways {
                rdma: self.rdma.clone(),
                http: Arc::new(Http(Store::new(&self.client, &self.store))),
                switch: Mutex::new(Switch::new(rules)),
                counts: Counts::default(),
                patience: self.patience,
                why: Mutex::default(),
            })
        })
    }
}

fn write(body: Bytes, overwrites: bool) -> Write {
    let id = Uuid::new_v4();
    Write { id, body, overwrites }
}

impl fmt::Display for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AccessError::Store(error) => error.fmt(f),
            AccessError::Exists => {
                f.write_str("there is an object of this key already, which is not to be overwritten")
            }
            AccessError::Changed => f.write_str("the object has changed while it was read; read it again"),
            AccessError::Failed(why) => write!(f, "no side did it: {why}"),
        }
    }
}

impl std::error::Error for AccessError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            AccessError::Store(error) => Some(error),
            _ => None,
        }
    }
}
