//! An answer's body that is said piece by piece, by a task that sees when nobody listens any more.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame};
use httputil_tests::server::{Reply, ReplyBody};
use tokio::sync::mpsc;

/// An answer, and what says its body; dropped, that is the body's end.
pub(super) fn streamed() -> (mpsc::Sender<Bytes>, Reply) {
    let (say, said) = mpsc::channel(1);
    (say, Reply::new(ReplyBody::new(Streamed(said))))
}

struct Streamed(mpsc::Receiver<Bytes>);

impl Body for Streamed {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let said = self.0.poll_recv(cx);
        said.map(|said| said.map(|piece| Ok(Frame::data(piece))))
    }
}
