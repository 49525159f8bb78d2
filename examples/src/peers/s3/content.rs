//! What objects consist of: bytes, or so many made ones, of which no more is ever held than a piece.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};

use super::signature::hex;

/// The size of a piece that is made or sent.
const PIECE: u64 = 64 << 10;

/// What an object consists of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// These bytes.
    Bytes(Bytes),
    /// So many bytes, each eight of which tell where they are.
    Made(u64),
    /// So many bytes, which were not kept, with this SHA-256.
    Passed(u64, String),
}

impl Content {
    /// How many bytes.
    pub fn len(&self) -> u64 {
        match self {
            Content::Bytes(bytes) => bytes.len() as u64,
            Content::Made(length) | Content::Passed(length, _) => *length,
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The SHA-256, in hexadecimal.
    pub fn sha256(&self) -> String {
        match self {
            Content::Bytes(bytes) => hex(digest(&SHA256, bytes).as_ref()),
            Content::Made(length) => {
                let mut context = aws_lc_rs::digest::Context::new(&SHA256);
                let mut at = 0;
                while at < *length {
                    let piece = self.piece(at, *length);
                    context.update(&piece);
                    at += piece.len() as u64;
                }
                hex(context.finish().as_ref())
            }
            Content::Passed(_, digest) => digest.clone(),
        }
    }

    /// The same as `x-amz-checksum-sha256` has it.
    pub fn checksum(&self) -> String {
        let digest = self.sha256();
        let byte = |at: usize| u8::from_str_radix(&digest[at..at + 2], 16).unwrap_or_default();
        STANDARD.encode((0..digest.len()).step_by(2).map(byte).collect::<Vec<u8>>())
    }

    /// A piece that begins at this byte and ends before `end`.
    fn piece(&self, at: u64, end: u64) -> Bytes {
        let end = end.min(at + PIECE);
        match self {
            Content::Bytes(bytes) => {
                let place = |at: u64| usize::try_from(at).expect("an object in memory is as large as memory at most");
                bytes.slice(place(at)..place(end))
            }
            Content::Made(_) => {
                let first = at / 8;
                let words = usize::try_from(end.div_ceil(8) - first).expect("a piece is small");
                let mut made = BytesMut::zeroed(words * 8);
                for (number, word) in (first..).zip(made.chunks_exact_mut(8)) {
                    word.copy_from_slice(&number.to_le_bytes());
                }
                let skipped = usize::try_from(at % 8).expect("it is less than eight");
                let length = usize::try_from(end - at).expect("a piece is small");
                made.freeze().slice(skipped..skipped + length)
            }
            Content::Passed(..) => Bytes::from(vec![0; usize::try_from(end - at).expect("a piece is small")]),
        }
    }

    /// As a body: these bytes of it, of which it breaks off after `breaks_after`.
    pub(super) fn body(&self, at: u64, end: u64, breaks_after: Option<u64>) -> Pieces {
        let breaks_at = breaks_after.map_or(end, |after| end.min(at + after));
        Pieces {
            content: self.clone(),
            at,
            breaks_at,
            end,
            is_flushed: false,
        }
    }
}

/// The bytes of an object on their way. The server cuts a connection whose body ends before its length.
pub(super) struct Pieces {
    content: Content,
    at: u64,
    breaks_at: u64,
    end: u64,
    is_flushed: bool,
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.at >= self.breaks_at {
            // What has been given is on the wire before the end, which hyper would forget it for.
            if self.at < self.end && !std::mem::replace(&mut self.is_flushed, true) {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            return Poll::Ready(None);
        }
        let piece = self.content.piece(self.at, self.breaks_at);
        self.at += piece.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.at >= self.end
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.end - self.at)
    }
}
