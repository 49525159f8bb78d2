//! A socket that writes into the ledger how its peer leaves.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use socket2::{SockRef, Socket};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::ledger::{End, Entry};

/// The accepted socket with its entry; dropping it closes both.
#[derive(Debug)]
pub(crate) struct Observed {
    stream: TcpStream,
    entry: Entry,
}

impl Observed {
    pub(crate) fn new(stream: TcpStream, entry: Entry) -> Self {
        // Small answers at once. A socket that is reset already can't be told so, and need not be.
        let _ = stream.set_nodelay(true);
        Self { stream, entry }
    }

    pub(crate) fn entry(&self) -> &Entry {
        &self.entry
    }

    /// The first byte that the client sends, which stays where it is; `None` if there is none.
    pub(crate) async fn first_byte(&self) -> Option<u8> {
        let mut byte = [0];
        match self.stream.peek(&mut byte).await {
            Ok(1) => Some(byte[0]),
            _ => None,
        }
    }

    /// A second handle to the socket, for what TLS and HTTP above it know nothing of. The connection closes with the
    /// last handle.
    pub(crate) fn second_handle(&self) -> Option<Socket> {
        SockRef::from(&self.stream).try_clone().ok()
    }

    fn note<T>(&self, result: &Poll<io::Result<T>>) {
        if let Poll::Ready(Err(error)) = result {
            match error.kind() {
                io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => self.entry.ended(End::Rst),
                _ => {}
            }
        }
    }
}

impl AsyncRead for Observed {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = (buf.filled().len(), buf.remaining());
        let result = Pin::new(&mut self.stream).poll_read(cx, buf);
        if matches!(result, Poll::Ready(Ok(()))) && before.1 > 0 && buf.filled().len() == before.0 {
            self.entry.ended(End::Fin);
        }
        self.note(&result);
        result
    }
}

impl AsyncWrite for Observed {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, data);
        self.note(&result);
        result
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(cx, data);
        self.note(&result);
        result
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
