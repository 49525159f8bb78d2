//! The stream as hyper holds it, above TLS: bytes received are counted, and HTTP/2 frames looked at.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::head::HeadWatch;
use super::signs::Tap;
use super::{Socket, SocketHandle};
use crate::connect::{Identity, MaybeTls};

pub(super) type Wire = TokioIo<Counted>;

/// Counts the bytes received above TLS, where a close is no byte.
pub(super) struct Counted {
    // Before the stream, whose end it may give a reason for.
    tap: Option<Box<Tap>>,
    head: Option<HeadWatch>,
    stream: MaybeTls<Socket>,
    received: Arc<AtomicU64>,
    /// Where the server has asked who we are and may not have looked at the answer yet.
    asked: Option<(Arc<Identity>, SocketHandle)>,
}

impl Counted {
    pub(super) fn new(stream: MaybeTls<Socket>, received: Arc<AtomicU64>, head: HeadWatch) -> Counted {
        Counted {
            tap: None,
            head: Some(head),
            stream,
            received,
            asked: None,
        }
    }

    /// The server has asked who `asked` is: if it does not like the answer, `socket` learns of it.
    pub(super) fn asked(mut self, asked: Option<Arc<Identity>>, socket: &SocketHandle) -> Counted {
        self.asked = asked.map(|asked| (asked, socket.clone()));
        self
    }

    /// The same for HTTP/2.
    pub(super) fn tapped(stream: MaybeTls<Socket>, tap: Tap) -> Counted {
        Counted {
            received: Arc::clone(tap.received()),
            tap: Some(Box::new(tap)),
            head: None,
            stream,
            asked: None,
        }
    }

    /// Writes a ping of our own, where one is wanted: between two of hyper's frames.
    fn poll_probe(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(tap) = &mut self.tap else {
            return Poll::Ready(Ok(()));
        };
        loop {
            let rest = tap.probe();
            if rest.is_empty() {
                return Poll::Ready(Ok(()));
            }
            match ready!(Pin::new(&mut self.stream).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => tap.probed(written),
            }
        }
    }

    fn wrote(&mut self, written: usize, bufs: &[IoSlice<'_>]) {
        let Some(tap) = &mut self.tap else { return };
        let mut left = written;
        for buf in bufs {
            let taken = left.min(buf.len());
            tap.wrote(&buf[..taken]);
            left -= taken;
        }
    }
}

impl AsyncRead for Counted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if let Some(tap) = &this.tap {
            tap.read_by(cx.waker());
        }
        let before = buf.filled().len();
        let polled = Pin::new(&mut this.stream).poll_read(cx, buf);
        if let Poll::Ready(Err(error)) = &polled
            && let Some((asked, socket)) = this.asked.take()
            && let Some(words) = asked.rejected_by(error)
        {
            socket.reject(words);
        }
        let read = &mut buf.filled_mut()[before..];
        if !read.is_empty() {
            // Sequentially consistent with the look at it in `Signs::doubt`.
            this.received.fetch_add(read.len() as u64, Ordering::SeqCst);
            if let Some(head) = &mut this.head
                && head.read(read).is_err()
            {
                let message = "the server sent more than 1 MiB before the end of its answer's header";
                return Poll::Ready(Err(io::Error::other(message)));
            }
            if let Some(tap) = &mut this.tap
                && let Err(harm) = tap.read(read)
            {
                return Poll::Ready(Err(io::Error::other(harm)));
            }
        }
        polled
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_probe(cx))?;
        let polled = Pin::new(&mut self.stream).poll_write(cx, buf);
        if let Poll::Ready(Ok(written)) = polled {
            self.wrote(written, &[IoSlice::new(buf)]);
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_probe(cx))?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_probe(cx))?;
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        if let Poll::Ready(Ok(written)) = polled {
            self.wrote(written, bufs);
        }
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
