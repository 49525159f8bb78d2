//! The task that puts events on disk, many at once where many come at once.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::service::{AuditError, Counts};
use super::spool::{Batch, Spool};

/// An event that wants to be on disk, and whom to tell when it is.
pub(super) struct Recorded {
    pub(super) line: Vec<u8>,
    pub(super) safe: oneshot::Sender<Result<(), AuditError>>,
}

/// When a batch ends, and how much may lie in the spool.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    pub(super) events: u64,
    pub(super) age: Duration,
    pub(super) bytes: u64,
}

/// Writes what comes until nobody can send any more; then the open batch ends, too.
pub(super) async fn run(
    mut spool: Spool,
    bounds: Bounds,
    mut events: mpsc::Receiver<Recorded>,
    batches: mpsc::UnboundedSender<Batch>,
    counts: Arc<Counts>,
) {
    let mut ends: Option<Instant> = None;
    loop {
        let mut waiting = VecDeque::new();
        let came = tokio::select! {
            came = events.recv() => came,
            () = at(ends) => {
                spool = close(spool, &batches).await;
                ends = None;
                continue;
            }
        };
        let Some(first) = came else { break };
        waiting.push_back(first);
        while let Ok(more) = events.try_recv() {
            waiting.push_back(more);
        }
        while !waiting.is_empty() {
            let room = usize::try_from(bounds.events.saturating_sub(spool.pending())).unwrap_or(usize::MAX);
            let some: Vec<Recorded> = waiting.drain(..room.clamp(1, waiting.len())).collect();
            spool = write(spool, some, bounds.bytes, &counts).await;
            if spool.pending() > 0 {
                ends.get_or_insert_with(|| Instant::now() + bounds.age);
            }
            if spool.pending() >= bounds.events {
                spool = close(spool, &batches).await;
                ends = None;
            }
        }
    }
    close(spool, &batches).await;
}

async fn at(when: Option<Instant>) {
    match when {
        Some(when) => tokio::time::sleep_until(when).await,
        None => std::future::pending().await,
    }
}

async fn write(spool: Spool, events: Vec<Recorded>, limit: u64, counts: &Counts) -> Spool {
    let (lines, told): (Vec<_>, Vec<_>) = events.into_iter().map(|event| (event.line, event.safe)).unzip();
    let bytes = lines.iter().map(|line| line.len() as u64 + 1).sum();
    let (spool, result) = if counts.takes(bytes, limit) {
        let (spool, written) = blocking(spool, move |spool| spool.append(&lines)).await;
        if written.is_err() {
            counts.gives_back(bytes);
        }
        (spool, written.map_err(|error| AuditError::Disk(Arc::new(error))))
    } else {
        (spool, Err(AuditError::Full { limit }))
    };
    if result.is_ok() {
        counts.recorded(told.len() as u64);
    }
    for safe in told {
        let _ = safe.send(result.clone());
    }
    spool
}

async fn close(spool: Spool, batches: &mpsc::UnboundedSender<Batch>) -> Spool {
    let (spool, closed) = blocking(spool, Spool::close).await;
    match closed {
        // The sender ends when the writer does, or at the end of a grace: the file stays for the next start.
        Ok(Some(batch)) => drop(batches.send(batch)),
        Ok(None) => {}
        Err(error) => tracing::error!(%error, "a batch could not be closed; the next start sends it"),
    }
    spool
}

async fn blocking<T: Send + 'static>(
    mut spool: Spool,
    what: impl FnOnce(&mut Spool) -> io::Result<T> + Send + 'static,
) -> (Spool, io::Result<T>) {
    let done = tokio::task::spawn_blocking(move || {
        let result = what(&mut spool);
        (spool, result)
    });
    done.await.expect("writing does not panic")
}
