//! From a target to a connection that takes requests.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use hyper::client::conn::{http1, http2};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::h2::Executor;
use super::{H1, H2, Home, Link, Seat, Socket};
use crate::connect::{Alpn, Connector, DialFailure, Established, MaybeTls, Progress, Target};
use crate::error::Kind;
use crate::settings;

/// A new connection.
#[derive(Debug)]
pub(crate) enum Connection {
    H1(H1),
    H2(H2),
}

/// Dials `target` and starts HTTP on the stream. The connection reports to `home` from then on.
///
/// Dropping the future abandons the dial.
pub(crate) async fn open(
    connector: &Connector,
    target: &Target,
    progress: &Progress,
    home: Arc<dyn Home>,
    seat: Seat,
) -> Result<Connection, DialFailure> {
    let mut socket = None;
    let established = connector.connect(target, progress, |raw| {
        let wrapped = Socket::new(raw);
        socket = Some(wrapped.handle());
        wrapped
    });
    let Established { stream, alpn, .. } = established.await?;
    let socket = socket.expect("a stream was wrapped before it was established");
    let received = Arc::new(AtomicU64::new(0));
    let wire = TokioIo::new(Counted {
        stream,
        received: Arc::clone(&received),
    });
    let failed = |error: hyper::Error| {
        DialFailure::new(
            Kind::Protocol,
            format!("HTTP could not be started with {target}: {error}"),
        )
        .with_source(error)
    };
    let settings::Pool {
        max_lifetime,
        max_requests_per_connection: max_requests,
        ..
    } = connector.transport().pool;
    match alpn {
        Alpn::H1 => {
            let (sender, connection) = http1::Builder::new().handshake(wire).await.map_err(failed)?;
            let link = Link::new(home, seat, socket.clone(), max_lifetime);
            socket.attach(Arc::clone(&link));
            Ok(Connection::H1(H1::start(
                sender,
                connection,
                link,
                received,
                max_requests,
            )))
        }
        Alpn::H2 => {
            let settings = &connector.transport().http2;
            let executor = Executor::default();
            let mut builder = http2::Builder::new(executor.clone());
            builder
                .initial_stream_window_size(settings.initial_stream_window)
                .initial_connection_window_size(settings.initial_connection_window)
                .max_frame_size(settings.max_frame_size)
                .max_header_list_size(settings.max_header_list_size);
            if settings.adaptive_window {
                builder.adaptive_window(true);
            }
            let bound = connector.transport().timeouts.connect;
            let (sender, connection) = tokio::time::timeout(bound, builder.handshake(wire))
                .await
                .map_err(|_| {
                    DialFailure::timed_out(
                        crate::error::Phase::Connect,
                        &target.to_string(),
                        bound,
                        "timeouts.connect",
                    )
                })?
                .map_err(failed)?;
            let link = Link::new(home, seat, socket.clone(), max_lifetime);
            socket.attach(Arc::clone(&link));
            Ok(Connection::H2(H2::start(
                sender,
                connection,
                link,
                executor,
                settings.max_streams_per_connection,
            )))
        }
    }
}

/// The stream as hyper holds it.
pub(super) type Wire = TokioIo<Counted>;

/// Counts the bytes received above TLS, where a close is no byte.
pub(super) struct Counted {
    stream: MaybeTls<Socket>,
    received: Arc<AtomicU64>,
}

impl AsyncRead for Counted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        let read = buf.filled().len() - before;
        if read > 0 {
            self.received.fetch_add(read as u64, Ordering::Relaxed);
        }
        polled
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
