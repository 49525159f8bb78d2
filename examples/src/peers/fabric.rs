//! The RDMA side of a store, for want of hardware: a transport that reaches into it without a socket, and fails as it is told.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream;
use reqwest::StatusCode;

use super::answers::lock;
use super::s3::{Content, S3Peer};
use crate::rdma_fallback::{Meta, Opened, Transport, TransportError, Write};
use crate::s3::{Listed, Page, S3Error};

/// The size of a piece.
const PIECE: usize = 64 << 10;

/// How the next operation shall fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is not begun.
    Refused,
    /// An object breaks off after so many bytes.
    BreaksAfter(usize),
    /// An object stands still after so many bytes.
    HangsAfter(usize),
    /// It is done, and its acknowledgement is lost.
    AnswerLost,
    /// It is never answered.
    Hangs,
}

/// A fabric to one bucket of a store.
#[derive(Clone)]
pub struct Fabric {
    store: Arc<S3Peer>,
    bucket: String,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    faults: Mutex<VecDeque<Fault>>,
    is_down: AtomicBool,
    asked: AtomicUsize,
    probes: AtomicUsize,
}

impl Fabric {
    /// One that works.
    pub fn to(store: &Arc<S3Peer>, bucket: &str) -> Fabric {
        Fabric {
            store: Arc::clone(store),
            bucket: bucket.to_owned(),
            state: Arc::default(),
        }
    }

    /// The next operations fail so, one each, before others go well.
    pub fn fail_next(&self, faults: impl IntoIterator<Item = Fault>) {
        lock(&self.state.faults).extend(faults);
    }

    /// Nothing gets through while it is down, probes included.
    pub fn set_down(&self, is_down: bool) {
        self.state.is_down.store(is_down, Ordering::SeqCst);
    }

    /// Operations that it was asked for, without probes.
    pub fn asked(&self) -> usize {
        self.state.asked.load(Ordering::SeqCst)
    }

    /// Probes that it was asked for.
    pub fn probes(&self) -> usize {
        self.state.probes.load(Ordering::SeqCst)
    }

    /// What is to go wrong with the operation that begins.
    async fn begin(&self) -> Result<Option<Fault>, TransportError> {
        self.state.asked.fetch_add(1, Ordering::SeqCst);
        self.is_up()?;
        let fault = lock(&self.state.faults).pop_front();
        match fault {
            Some(Fault::Refused) => Err(TransportError::failed("the queue pair is in the error state")),
            Some(Fault::Hangs) => std::future::pending().await,
            fault => Ok(fault),
        }
    }

    fn is_up(&self) -> Result<(), TransportError> {
        if self.state.is_down.load(Ordering::SeqCst) {
            return Err(TransportError::failed("the port is down"));
        }
        Ok(())
    }

    fn end<T>(done: T, fault: Option<Fault>) -> Result<T, TransportError> {
        match fault {
            Some(Fault::AnswerLost) => Err(TransportError::failed(
                "the completion was lost: retry counter exceeded",
            )),
            _ => Ok(done),
        }
    }

    fn object(&self, key: &str) -> Result<(Bytes, Meta), TransportError> {
        let found = self.store.stored(&self.bucket, key);
        let (content, e_tag, headers) = found.ok_or_else(|| refused(StatusCode::NOT_FOUND, "NoSuchKey"))?;
        let Content::Bytes(bytes) = content else {
            return Err(refused(StatusCode::NOT_IMPLEMENTED, "NotInMemory"));
        };
        let write = headers
            .get("x-amz-meta-write")
            .and_then(|id| id.to_str().ok()?.parse().ok());
        let size = bytes.len() as u64;
        Ok((bytes, Meta { size, e_tag, write }))
    }
}

#[async_trait]
impl Transport for Fabric {
    async fn probe(&self) -> Result<(), TransportError> {
        self.state.probes.fetch_add(1, Ordering::SeqCst);
        self.is_up()
    }

    async fn get(&self, key: &str, rest: Option<(u64, u64, &str)>) -> Result<Opened, TransportError> {
        let fault = self.begin().await?;
        let (bytes, meta) = self.object(key)?;
        if rest.is_some_and(|(_, _, e_tag)| e_tag != meta.e_tag) {
            return Err(refused(StatusCode::PRECONDITION_FAILED, "PreconditionFailed"));
        }
        let whole = 0..bytes.len();
        let range = rest.map_or(Some(whole.clone()), |(first, end, _)| {
            Some(usize::try_from(first).ok()?..usize::try_from(end).ok()?.min(whole.end))
        });
        let bytes = bytes.slice(range.unwrap_or(whole));
        let (good, then) = match fault {
            Some(Fault::BreaksAfter(after)) => (after.min(bytes.len()), Some(false)),
            Some(Fault::HangsAfter(after)) => (after.min(bytes.len()), Some(true)),
            _ => (bytes.len(), None),
        };
        let pieces = stream::unfold((0, then), move |(at, then)| {
            let bytes = bytes.clone();
            async move {
                if at < good {
                    let end = good.min(at + PIECE);
                    return Some((Ok(bytes.slice(at..end)), (end, then)));
                }
                if then? {
                    return std::future::pending().await;
                }
                let flushed = TransportError::failed("the read was flushed in mid-way");
                Some((Err(flushed), (at, None)))
            }
        });
        let pieces = Box::pin(pieces);
        Self::end(Opened { meta, pieces }, fault)
    }

    async fn head(&self, key: &str) -> Result<Meta, TransportError> {
        let fault = self.begin().await?;
        let (_, meta) = self.object(key)?;
        Self::end(meta, fault)
    }

    async fn put(&self, key: &str, write: &Write) -> Result<(), TransportError> {
        let fault = self.begin().await?;
        if !write.overwrites && self.store.stored(&self.bucket, key).is_some() {
            return Err(refused(StatusCode::PRECONDITION_FAILED, "PreconditionFailed"));
        }
        let (id, content) = (write.id.to_string(), Content::Bytes(write.body.clone()));
        self.store
            .put(&self.bucket, key, content, [("x-amz-meta-write", id.as_str())]);
        Self::end((), fault)
    }

    async fn delete(&self, key: &str) -> Result<(), TransportError> {
        let fault = self.begin().await?;
        self.store.remove(&self.bucket, key);
        Self::end((), fault)
    }

    async fn list(&self, prefix: &str, _from: Option<&str>) -> Result<Page, TransportError> {
        let fault = self.begin().await?;
        let keys = self
            .store
            .keys(&self.bucket)
            .into_iter()
            .filter(|key| key.starts_with(prefix));
        let objects = keys.filter_map(|key| {
            let (content, e_tag, _) = self.store.stored(&self.bucket, &key)?;
            let size = content.len();
            Some(Listed { key, size, e_tag })
        });
        let objects = objects.collect();
        Self::end(Page { objects, next: None }, fault)
    }
}

fn refused(status: StatusCode, code: &str) -> TransportError {
    TransportError::Answered(S3Error::Status {
        status,
        code: code.to_owned(),
        message: String::new(),
        after: None,
    })
}

impl std::fmt::Debug for Fabric {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fabric")
            .field("bucket", &self.bucket)
            .finish_non_exhaustive()
    }
}
