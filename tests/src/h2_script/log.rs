//! The frames that clients sent, kept so that a test can count and await them.

use std::future::Future;
use std::panic::Location;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::watch;

use super::frame::{Frame, Kind};
use crate::PATIENCE;

/// All frames received, per connection. DATA is kept without its payload.
#[derive(Clone, Debug)]
pub struct FrameLog(Arc<watch::Sender<Vec<Vec<Frame>>>>);

impl FrameLog {
    pub(super) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(Vec::new())))
    }

    pub(super) fn open(&self, connection: usize) {
        self.0.send_modify(|all| all.resize(connection + 1, Vec::new()));
    }

    pub(super) fn add(&self, connection: usize, frame: &Frame) {
        let mut frame = frame.clone();
        if frame.kind == Kind::Data {
            frame.payload = Bytes::new();
        }
        self.0.send_modify(|all| all[connection].push(frame));
    }

    /// The frames of a connection (from 0), in order; none before it was accepted.
    #[must_use]
    pub fn of(&self, connection: usize) -> Vec<Frame> {
        self.0.borrow().get(connection).cloned().unwrap_or_default()
    }

    /// How many frames of a kind came on a connection.
    #[must_use]
    pub fn count(&self, connection: usize, kind: Kind) -> usize {
        self.0
            .borrow()
            .get(connection)
            .map_or(0, |frames| frames.iter().filter(|frame| frame.kind == kind).count())
    }

    /// Waits until `n` frames of a kind have come on a connection.
    #[track_caller]
    pub fn until(&self, connection: usize, kind: Kind, n: usize) -> impl Future<Output = ()> {
        let caller = Location::caller();
        let log = self.clone();
        async move {
            let mut news = log.0.subscribe();
            let enough = news.wait_for(|all| count(all, connection, kind) >= n);
            let seen = tokio::time::timeout(PATIENCE, enough).await;
            let frames = || {
                log.of(connection)
                    .iter()
                    .map(|frame| (frame.kind, frame.stream))
                    .collect::<Vec<_>>()
            };
            assert!(
                seen.is_ok(),
                "{caller}: waited {PATIENCE:?} for {n} {kind:?} frames; there came {:?}",
                frames()
            );
        }
    }
}

fn count(all: &[Vec<Frame>], connection: usize, kind: Kind) -> usize {
    all.get(connection)
        .map_or(0, |frames| frames.iter().filter(|frame| frame.kind == kind).count())
}
