//! An object that is being read, by whichever side.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use reqwest::StatusCode;

use super::counts::add;
use super::service::AccessError;
use super::switch::Side;
use super::transport::{Meta, Opened, Pieces, TransportError};
use super::ways::Ways;
use crate::s3::S3Error;

/// The pause before HTTP goes on where it broke; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// An object that is being read. Where a side breaks, HTTP goes on from that byte, if the object is still the one that it
/// began with.
pub struct Object {
    ways: Arc<Ways>,
    key: String,
    meta: Meta,
    position: u64,
    side: Side,
    pieces: Option<Pieces>,
    tries: u32,
    pause: Duration,
}

impl Object {
    pub(super) fn new(ways: Arc<Ways>, key: &str, opened: Opened, side: Side, tries: u32) -> Object {
        Object {
            ways,
            key: key.to_owned(),
            meta: opened.meta,
            position: 0,
            side,
            pieces: Some(opened.pieces),
            tries,
            pause: FIRST_PAUSE,
        }
    }

    /// What the store says of it.
    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    /// Which side it comes by now.
    pub fn side(&self) -> Side {
        self.side
    }

    /// The next piece; `None` behind the last byte.
    ///
    /// Cancel-safe: dropped, no byte is lost.
    ///
    /// # Errors
    ///
    /// That both sides broke, or that the object has changed since.
    pub async fn next(&mut self) -> Result<Option<Bytes>, AccessError> {
        while self.position < self.meta.size {
            let error = match self.piece().await {
                Ok(piece) => return self.count(piece).map(Some),
                Err(error) => error,
            };
            self.pieces = None;
            match (error, self.side) {
                (TransportError::Answered(error), _) => return Err(changed(error)),
                (TransportError::Failed(why), Side::Rdma) => {
                    self.ways.rdma_failed(why);
                    self.side = Side::Http;
                    add(&self.ways.counts.failed_over, 1);
                }
                (TransportError::Failed(why), Side::Http) => {
                    add(&self.ways.counts.http.failed, 1);
                    self.tries = self.tries.saturating_sub(1);
                    if self.tries == 0 {
                        return Err(AccessError::Failed(why));
                    }
                    tokio::time::sleep(self.pause).await;
                    self.pause *= 2;
                }
            }
        }
        Ok(None)
    }

    /// The rest of it, in memory.
    ///
    /// # Errors
    ///
    /// As [`next`](Self::next).
    pub async fn bytes(mut self) -> Result<Bytes, AccessError> {
        let mut all = BytesMut::new();
        while let Some(piece) = self.next().await? {
            all.extend_from_slice(&piece);
        }
        Ok(all.freeze())
    }

    async fn piece(&mut self) -> Result<Bytes, TransportError> {
        let pieces = match &mut self.pieces {
            Some(pieces) => pieces,
            none => {
                let rest = (self.position, self.meta.size, self.meta.e_tag.as_str());
                add(&self.ways.counts.http.asked, 1);
                let opened = self.ways.http.get(&self.key, Some(rest)).await?;
                add(&self.ways.counts.resumed, 1);
                none.insert(opened.pieces)
            }
        };
        let piece = async { pieces.next().await.transpose() };
        let piece = match self.side {
            Side::Rdma => self.ways.in_time(piece).await?,
            Side::Http => piece.await?,
        };
        piece.ok_or_else(|| TransportError::Failed("it ended before the object did".to_owned()))
    }

    fn count(&mut self, piece: Bytes) -> Result<Bytes, AccessError> {
        self.position += piece.len() as u64;
        let counts = self.ways.counts.of(self.side);
        counts.read_bytes.fetch_add(piece.len() as u64, Ordering::Relaxed);
        if self.position > self.meta.size {
            let why = "more bytes than the object has".to_owned();
            return Err(AccessError::Store(S3Error::Answer(why)));
        }
        if self.position == self.meta.size && self.side == Side::Rdma {
            self.ways.served();
        }
        Ok(piece)
    }
}

/// The one answer to a range that has a meaning of its own here.
fn changed(error: S3Error) -> AccessError {
    match error {
        S3Error::Status { status, .. }
            if [StatusCode::PRECONDITION_FAILED, StatusCode::NOT_FOUND].contains(&status) =>
        {
            AccessError::Changed
        }
        error => AccessError::Store(error),
    }
}
