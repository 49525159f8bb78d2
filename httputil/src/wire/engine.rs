//! What moves the bytes of an HTTP/1 connection: hyper, or nobody while it hibernates.
//!
//! An idle connection holds about 27 KB of hyper's buffers for nothing. Hibernating, hyper has given the stream back and
//! is gone; what is left is the stream itself, read only to learn of the peer's close. Taken for a request, it is wrapped
//! again, which sends nothing. The rule: an engine changes only under its lock, and whoever changes it wakes the driver.

use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use hyper::client::conn::http1;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::counted::Wire;
use super::{CloseReason, RequestBody};

pub(super) type Sender = http1::SendRequest<RequestBody>;
pub(super) type Connection = http1::Connection<Wire, RequestBody>;

/// Hyper's connection, or what stands in for it.
pub(super) enum Engine {
    /// Boxed: it is large, and goes when the connection hibernates.
    Running(Box<Connection>),
    /// Gives the stream away at an answer `101`, and to nobody else: it can't hibernate.
    Upgradable(Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>),
    Asleep(Wire),
    /// A sleeper that says goodbye.
    Closing(Wire),
    Ended,
}

impl Engine {
    pub(super) fn running(connection: Connection) -> Engine {
        Engine::Running(Box::new(connection))
    }

    /// Goes on until there is nothing to do; at the connection's end, says why it ended if that is known.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<CloseReason>> {
        match self {
            Engine::Running(connection) => Pin::new(&mut **connection).poll(cx).map(|result| {
                Some(if result.is_ok() {
                    CloseReason::PeerClosed
                } else {
                    CloseReason::Error
                })
            }),
            // It may have been given away instead of closed, and lives on then.
            Engine::Upgradable(connection) => connection.as_mut().poll(cx).map(|result| {
                *self = Engine::Ended;
                result.is_err().then_some(CloseReason::Error)
            }),
            Engine::Asleep(wire) => {
                let mut byte = [0];
                let mut buf = ReadBuf::new(&mut byte);
                match Pin::new(wire.inner_mut()).poll_read(cx, &mut buf) {
                    Poll::Pending => Poll::Pending,
                    Poll::Ready(Ok(())) if buf.filled().is_empty() => {
                        self.close();
                        self.poll_close(cx).map(|()| Some(CloseReason::PeerClosed))
                    }
                    // Nobody has asked for anything.
                    Poll::Ready(_) => Poll::Ready(Some(CloseReason::Error)),
                }
            }
            Engine::Closing(_) => self.poll_close(cx).map(|()| None),
            Engine::Ended => Poll::Ready(None),
        }
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Engine::Closing(wire) => Pin::new(wire.inner_mut()).poll_shutdown(cx).map(drop),
            _ => Poll::Ready(()),
        }
    }

    /// An answer `101` to the next request gives the stream away.
    pub(super) fn allow_upgrade(&mut self) {
        *self = match std::mem::replace(self, Engine::Ended) {
            Engine::Running(connection) => Engine::Upgradable(Box::pin(connection.with_upgrades())),
            other => other,
        };
    }

    /// Takes the stream back from hyper. `false` if bytes lay behind the last answer: the connection is of no use then.
    pub(super) fn fall_asleep(&mut self) -> bool {
        let Engine::Running(connection) = std::mem::replace(self, Engine::Ended) else {
            return false;
        };
        let parts = connection.into_parts();
        let is_clean = parts.read_buf.is_empty();
        if is_clean {
            *self = Engine::Asleep(parts.io);
        }
        is_clean
    }

    /// Gives a sleeper's stream to hyper again; `None` if it is none any more.
    pub(super) fn wake(&mut self, builder: &http1::Builder) -> Option<Sender> {
        let wire = match std::mem::replace(self, Engine::Ended) {
            Engine::Asleep(wire) => wire,
            other => {
                *self = other;
                return None;
            }
        };
        let handshake = pin!(builder.handshake(wire));
        // HTTP/1 has no handshake: the future only moves things.
        match handshake.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok((sender, connection))) => {
                *self = Engine::running(connection);
                Some(sender)
            }
            Poll::Ready(Err(_)) | Poll::Pending => None,
        }
    }

    /// A sleeper closes politely: a TLS close, then FIN.
    pub(super) fn close(&mut self) {
        *self = match std::mem::replace(self, Engine::Ended) {
            Engine::Asleep(wire) => Engine::Closing(wire),
            other => other,
        };
    }
}
