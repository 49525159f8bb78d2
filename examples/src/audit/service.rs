//! The annotated service.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use httputil::settings::Secret;
use httputil::{Client, PooledClient};
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use url::Url;

use super::sender::Sender;
use super::spool::{Batch, Spool};
use super::writer::{self, Bounds, Recorded};

/// One thing that was done.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct AuditEvent {
    /// When, ISO 8601 in UTC.
    pub time: String,
    /// Who did it.
    pub user: String,
    /// What was done, such as `PutObject`.
    pub action: String,
    /// To which resource.
    pub resource: String,
    /// How the system answered.
    pub status: u16,
}

/// Tells an endpoint what was done, and loses nothing.
///
/// ```no_run
/// # async fn tell(event: services::audit::AuditEvent) -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use services::audit::AuditTrail;
///
/// let trail = AuditTrail::new()?;
/// trail.start().await?; // sends what an earlier process has left
/// trail.record(&event).await?; // it is on disk
/// trail.drain(Duration::from_secs(10)).await;
/// # Ok(())
/// # }
/// ```
#[derive(PooledClient)]
#[pooled_client(profile = "audit")]
pub struct AuditTrail {
    client: Client,
    /// Where batches go.
    #[pooled_client(setting)]
    endpoint: Url,
    /// Whom it knows us by: `Authorization: Bearer …`.
    #[pooled_client(setting)]
    token: Option<Secret>,
    /// A batch ends with so many events,
    #[pooled_client(setting, default = 100)]
    batch: u64,
    /// or so long after its first one.
    #[pooled_client(setting, default = Duration::from_secs(1))]
    flush_after: Duration,
    /// The folder of batches that wait; a relative one is relative to the working directory.
    #[pooled_client(setting)]
    spool: PathBuf,
    /// So much may wait there.
    #[pooled_client(setting, default = 64 * 1024 * 1024)]
    spool_bytes: u64,
    #[pooled_client(default)]
    counts: Arc<Counts>,
    #[pooled_client(default)]
    running: Mutex<Running>,
}

#[derive(Default)]
enum Running {
    #[default]
    NotStarted,
    Started(Tasks),
    Drained,
}

struct Tasks {
    events: mpsc::Sender<Recorded>,
    writer: JoinHandle<()>,
    sender: JoinHandle<()>,
}

/// Why an event is not safe.
#[derive(Clone, Debug)]
pub enum AuditError {
    /// The spool is full: the endpoint has been down for too long.
    Full {
        /// The bound, in bytes.
        limit: u64,
    },
    /// The spool cannot be read or written.
    Disk(Arc<io::Error>),
    /// The service was drained.
    Drained,
}

/// What became of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditStats {
    /// On disk, since the start.
    pub recorded: u64,
    /// Taken by the endpoint, those of earlier processes included.
    pub delivered: u64,
    /// Refused by the endpoint, and put aside.
    pub refused: u64,
    /// Bytes in the spool that wait.
    pub waiting: u64,
}

/// What both tasks count.
#[derive(Default)]
pub(super) struct Counts {
    recorded: AtomicU64,
    delivered: AtomicU64,
    refused: AtomicU64,
    waiting: AtomicU64,
}

impl AuditTrail {
    /// Opens the spool and begins to send what an earlier process has left. The first [`record`](Self::record) does it, too.
    ///
    /// # Errors
    ///
    /// That the spool cannot be opened, or that another process has it.
    pub async fn start(&self) -> Result<(), AuditError> {
        self.events().await.map(drop)
    }

    /// Records an event; when this returns it is on disk, and will be delivered.
    ///
    /// Cancel-safe: dropped while it waits, the event is recorded or not.
    ///
    /// # Errors
    ///
    /// That the spool is full or cannot be written, or that the service was drained. The event is not recorded then.
    ///
    /// # Panics
    ///
    /// Never: an event has a JSON form.
    pub async fn record(&self, event: &AuditEvent) -> Result<(), AuditError> {
        let line = serde_json::to_vec(event).expect("text and numbers have a JSON form");
        let (safe, told) = oneshot::channel();
        let events = self.events().await?;
        events
            .send(Recorded { line, safe })
            .await
            .map_err(|_| AuditError::Drained)?;
        told.await.unwrap_or(Err(AuditError::Drained))
    }

    /// What became of events so far.
    pub fn stats(&self) -> AuditStats {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        AuditStats {
            recorded: read(&self.counts.recorded),
            delivered: read(&self.counts.delivered),
            refused: read(&self.counts.refused),
            waiting: read(&self.counts.waiting),
        }
    }

    /// Takes no more events, sends what waits, and stops the service. What is left after `grace` stays in the spool for
    /// the next start.
    ///
    /// Cancel-safe: dropped before its end, the tasks go on until all is sent, and the service is not stopped.
    pub async fn drain(&self, grace: Duration) -> AuditStats {
        let until = Instant::now() + grace;
        let running = std::mem::replace(&mut *self.running.lock().await, Running::Drained);
        if let Running::Started(Tasks {
            events,
            writer,
            mut sender,
        }) = running
        {
            drop(events);
            // Disks have no deadline: what has been promised is written.
            let _ = writer.await;
            if tokio::time::timeout_at(until, &mut sender).await.is_err() {
                sender.abort();
                let _ = sender.await;
            }
        }
        self.shutdown(until.saturating_duration_since(Instant::now())).await;
        self.stats()
    }

    async fn events(&self) -> Result<mpsc::Sender<Recorded>, AuditError> {
        let mut running = self.running.lock().await;
        match &*running {
            Running::Started(tasks) => return Ok(tasks.events.clone()),
            Running::Drained => return Err(AuditError::Drained),
            Running::NotStarted => {}
        }
        let folder = self.spool.clone();
        let opened = tokio::task::spawn_blocking(move || Spool::open(&folder)).await;
        let opened = opened.expect("opening does not panic");
        let (spool, left) = opened.map_err(|error| AuditError::Disk(Arc::new(error)))?;
        let (events, recorded) = mpsc::channel(1024);
        let (batches, closed) = mpsc::unbounded_channel();
        for batch in left {
            self.counts.waiting.fetch_add(batch.bytes, Ordering::Relaxed);
            let _ = batches.send(batch);
        }
        let bounds = Bounds {
            events: self.batch.max(1),
            age: self.flush_after,
            bytes: self.spool_bytes,
        };
        let sender = Sender {
            client: self.client.clone(),
            endpoint: self.endpoint.clone(),
            token: self.token.clone(),
            counts: Arc::clone(&self.counts),
            lock: spool.lock(),
        };
        let writing = writer::run(spool, bounds, recorded, batches, Arc::clone(&self.counts));
        *running = Running::Started(Tasks {
            events: events.clone(),
            writer: tokio::spawn(writing),
            sender: tokio::spawn(sender.run(closed)),
        });
        Ok(events)
    }
}

impl Counts {
    /// Counts the bytes as waiting, if there is room for them.
    pub(super) fn takes(&self, bytes: u64, limit: u64) -> bool {
        let add = |waiting: u64| waiting.checked_add(bytes).filter(|sum| *sum <= limit);
        self.waiting
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, add)
            .is_ok()
    }

    pub(super) fn gives_back(&self, bytes: u64) {
        self.waiting.fetch_sub(bytes, Ordering::Relaxed);
    }

    pub(super) fn recorded(&self, events: u64) {
        self.recorded.fetch_add(events, Ordering::Relaxed);
    }

    pub(super) fn delivered(&self, batch: &Batch) {
        self.delivered.fetch_add(batch.events, Ordering::Relaxed);
        self.gives_back(batch.bytes);
    }

    pub(super) fn refused(&self, batch: &Batch) {
        self.refused.fetch_add(batch.events, Ordering::Relaxed);
        self.gives_back(batch.bytes);
    }
}

impl fmt::Display for AuditError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AuditError::Full { limit } => write!(f, "the spool holds {limit} bytes already; is the endpoint down?"),
            AuditError::Disk(error) => write!(f, "the spool: {error}"),
            AuditError::Drained => f.write_str("the audit trail was drained"),
        }
    }
}

impl std::error::Error for AuditError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            AuditError::Disk(error) => Some(error.as_ref()),
            _ => None,
        }
    }
}
