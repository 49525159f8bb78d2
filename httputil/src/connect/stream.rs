//! The streams that come out of this room.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;
use tokio_rustls::client::TlsStream;

/// What was dialled, before anything is wrapped around it.
#[derive(Debug)]
pub(crate) enum Raw {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
    /// In-memory, for tests with a paused clock.
    #[cfg(test)]
    Memory(tokio::io::DuplexStream),
}

/// The protocol that both sides speak on a new connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Alpn {
    H1,
    H2,
}

/// A stream with or without TLS around it. The TLS side is boxed: it is about 1 KB, and moved several times.
#[derive(Debug)]
pub(crate) enum MaybeTls<S> {
    Plain(S),
    Tls(Box<TlsStream<S>>),
    /// TLS with the target within TLS with a proxy.
    Nested(Box<TlsStream<TlsStream<S>>>),
}

macro_rules! on_each {
    ($this:expr, $stream:ident => $call:expr) => {
        match $this.get_mut() {
            MaybeTls::Plain($stream) => {
                let $stream = Pin::new($stream);
                $call
            }
            MaybeTls::Tls($stream) => {
                let $stream = Pin::new(&mut **$stream);
                $call
            }
            MaybeTls::Nested($stream) => {
                let $stream = Pin::new(&mut **$stream);
                $call
            }
        }
    };
}

#[expect(
    clippy::inline_always,
    reason = "as four calls, a read that finds nothing costs twice as much"
)]
impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for MaybeTls<S> {
    #[inline(always)]
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        on_each!(self, stream => stream.poll_read(cx, buf))
    }
}

#[expect(clippy::inline_always, reason = "as above")]
impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for MaybeTls<S> {
    #[inline]
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        on_each!(self, stream => stream.poll_write(cx, buf))
    }

    #[inline]
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_each!(self, stream => stream.poll_flush(cx))
    }

    #[inline]
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_each!(self, stream => stream.poll_shutdown(cx))
    }

    #[inline(always)]
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        on_each!(self, stream => stream.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            MaybeTls::Plain(stream) => stream.is_write_vectored(),
            MaybeTls::Tls(stream) => stream.is_write_vectored(),
            MaybeTls::Nested(stream) => stream.is_write_vectored(),
        }
    }
}
