//! Whose turn it is while a request is sent: the caller's, whose stream has nothing to give yet, the wire's, or the
//! peer's, which has all of it.
//!
//! Over HTTP/1 the socket says whether the peer takes what is written. Over HTTP/2, where requests share it, the body is
//! asked for its next piece when the peer's window has room; so a long one is given in small pieces there.

use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::Instant;

use super::SocketHandle;
use super::request::longer_by;
use crate::error::BoxError;

/// Bytes of a piece, where a body is given in pieces: what an HTTP/2 frame bears.
pub(super) const PIECE: usize = 16 << 10;

/// Whose turn it is, and since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    Caller,
    Wire(Instant),
    Peer(Instant),
}

/// How far the request's body is.
#[derive(Debug)]
pub(super) struct Upload(Mutex<Turn>);

impl Upload {
    pub(super) fn new() -> Upload {
        Upload(Mutex::new(Turn::Wire(Instant::now())))
    }

    fn lock(&self) -> MutexGuard<'_, Turn> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The caller's stream has nothing yet, or must not give it yet.
    pub(super) fn waits(&self) {
        *self.lock() = Turn::Caller;
    }

    /// The wire has got a piece; or all, if that `is_last`.
    pub(super) fn gave(&self, is_last: bool) {
        let now = Instant::now();
        *self.lock() = if is_last { Turn::Peer(now) } else { Turn::Wire(now) };
    }

    /// What the body says, corrected by the `socket`: what hyper has taken may lie in its buffers.
    pub(super) fn turn(&self, socket: Option<&SocketHandle>) -> Turn {
        let turn = *self.lock();
        let Some(socket) = socket else { return turn };
        match (socket.stuck_since(), turn) {
            (Some(since), _) => Turn::Wire(since),
            (None, Turn::Peer(since)) => Turn::Peer(since.max(socket.wrote_at())),
            (None, turn) => turn,
        }
    }
}

/// A stream whose pieces are no longer than [`PIECE`].
pub(super) struct InPieces<B> {
    body: B,
    rest: Bytes,
}

impl<B> InPieces<B> {
    pub(super) fn new(body: B) -> InPieces<B> {
        let rest = Bytes::new();
        InPieces { body, rest }
    }
}

impl<B> Body for InPieces<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.rest.is_empty() {
            let frame = match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => frame,
                other => return Poll::Ready(other.map(|frame| frame.map_err(Into::into))),
            };
            match frame.into_data() {
                Ok(data) => self.rest = data,
                Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
            }
        }
        let most = PIECE.min(self.rest.len());
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(most)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        longer_by(self.rest.len() as u64, &self.body.size_hint())
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt, Full};

    use super::*;

    #[tokio::test]
    async fn a_long_piece_becomes_short_ones_and_says_what_is_left() {
        let whole: Bytes = (0..=PIECE * 2).map(|at| at.to_le_bytes()[0]).collect();
        let mut body = InPieces::new(Full::new(whole.clone()));
        let (mut lengths, mut all) = (Vec::new(), Vec::new());
        while !body.is_end_stream() {
            assert_eq!(body.size_hint().exact(), Some((whole.len() - all.len()) as u64));
            let piece = body.frame().await.unwrap().unwrap().into_data().unwrap();
            lengths.push(piece.len());
            all.extend_from_slice(&piece);
        }
        assert_eq!((lengths, all), (vec![PIECE, PIECE, 1], whole.to_vec()));
        assert!(body.frame().await.is_none());
    }
}
