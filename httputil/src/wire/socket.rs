//! The socket that lies beneath TLS and hyper.
//!
//! hyper owns the [`Socket`]; the pool holds a [`SocketHandle`] on the same stream, to count bytes, to peek, and to
//! learn why it was closed. The stream sits behind a mutex that is only ever held for one non-blocking system call;
//! sharing it in an `Arc` instead would lose tokio's trick of not reading again after a short read.

use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::time::Instant;

use super::home::{CloseReason, Link};
use crate::connect::{Raw, Rejection};

/// The stream as TLS and hyper see it. Dropping it closes the stream and tells the pool, if it was not cut before.
#[derive(Debug)]
pub(crate) struct Socket {
    shared: SocketHandle,
}

/// The pool's view of the same stream.
#[derive(Clone, Debug)]
pub(crate) struct SocketHandle(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    stream: Mutex<Option<Raw>>,
    written: AtomicU64,
    made: Instant,
    /// When the kernel last took something, in nanoseconds after `made`.
    wrote: AtomicU64,
    /// Since when the kernel has taken nothing of what was to be written, in nanoseconds after `made`.
    stuck: AtomicU64,
    reason: AtomicU8,
    /// Set once the dial has become a connection of the pool; a dial that fails before is no connection.
    link: Mutex<Option<Arc<Link>>>,
    /// What the server has against us, where its TLS said so after the handshake.
    rejection: OnceLock<Box<Rejection>>,
}

/// The kernel takes all that is written.
const NOT_STUCK: u64 = u64::MAX;

/// What lies in the socket's receive buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peek {
    /// Nothing: the connection is usable as far as the kernel knows.
    Quiet,
    /// Something: a close that is yet to be read, a TLS record, or bytes that nobody asked for.
    Readable,
    /// The peer has closed.
    Closed,
}

impl Shared {
    /// The time now, as it is kept here.
    fn nanos(&self) -> u64 {
        u64::try_from(self.made.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

impl Socket {
    pub(crate) fn new(stream: Raw) -> Socket {
        Socket {
            shared: SocketHandle(Arc::new(Shared {
                stream: Mutex::new(Some(stream)),
                written: AtomicU64::new(0),
                made: Instant::now(),
                wrote: AtomicU64::new(0),
                stuck: AtomicU64::new(NOT_STUCK),
                reason: AtomicU8::new(CloseReason::UNSET),
                link: Mutex::new(None),
                rejection: OnceLock::new(),
            })),
        }
    }

    pub(crate) fn handle(&self) -> SocketHandle {
        self.shared.clone()
    }

    #[expect(clippy::inline_always, reason = "as in `MaybeTls`")]
    #[inline(always)]
    fn on_stream<T>(&self, call: impl FnOnce(Pin<&mut Raw>) -> Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        let mut stream = self.shared.0.stream.lock().unwrap_or_else(PoisonError::into_inner);
        match stream.as_mut() {
            Some(stream) => call(Pin::new(stream)),
            None => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }
}

impl SocketHandle {
    /// From now on the socket is a connection whose end `link` is told of: at once, where it has come already. Hyper's
    /// task has the socket of an HTTP/2 connection from its handshake on, and goes with its runtime or its peer.
    pub(super) fn attach(&self, link: Arc<Link>) {
        *self.0.link.lock().unwrap_or_else(PoisonError::into_inner) = Some(link);
        if self.is_cut() {
            self.tell();
        }
    }

    /// Notes that the server rejected us in a handshake that was over for us.
    pub(super) fn reject(&self, rejection: Rejection) {
        let _ = self.0.rejection.set(Box::new(rejection));
    }

    /// What it has against us.
    pub(super) fn rejection(&self) -> Option<&Rejection> {
        self.0.rejection.get().map(AsRef::as_ref)
    }

    /// Bytes that the kernel has taken so far.
    pub(crate) fn written(&self) -> u64 {
        self.0.written.load(Ordering::Relaxed)
    }

    /// When the kernel last took something.
    pub(crate) fn wrote_at(&self) -> Instant {
        self.0.made + Duration::from_nanos(self.0.wrote.load(Ordering::Relaxed))
    }

    /// Since when the kernel has taken nothing of what is to be written: the peer does not read.
    pub(super) fn stuck_since(&self) -> Option<Instant> {
        let stuck = self.0.stuck.load(Ordering::Relaxed);
        (stuck != NOT_STUCK).then(|| self.0.made + Duration::from_nanos(stuck))
    }

    /// The address of the other end; a Unix socket has none.
    pub(super) fn remote(&self) -> Option<SocketAddr> {
        let stream = self.0.stream.lock().unwrap_or_else(PoisonError::into_inner);
        match stream.as_ref()? {
            Raw::Tcp(stream) => stream.peer_addr().ok(),
            #[cfg(unix)]
            Raw::Unix(_) => None,
            #[cfg(test)]
            Raw::Memory(_) => None,
        }
    }

    /// Says why the connection is about to be closed; the first reason stays.
    pub(crate) fn set_reason(&self, reason: CloseReason) {
        let _ = self
            .0
            .reason
            .compare_exchange(CloseReason::UNSET, reason as u8, Ordering::Relaxed, Ordering::Relaxed);
    }

    pub(crate) fn reason(&self) -> Option<CloseReason> {
        CloseReason::from_number(self.0.reason.load(Ordering::Relaxed))
    }

    /// Closes the stream and tells the pool, whoever owns the socket. Once: the socket's own drop finds nothing left.
    pub(super) fn cut(&self) {
        let stream = self.0.stream.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(stream);
        self.tell();
    }

    /// Whether the stream is closed, so that nothing is written any more.
    pub(super) fn is_cut(&self) -> bool {
        self.0.stream.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// Tells the pool of the end, once.
    fn tell(&self) {
        // The link holds a handle on this: one of the two must let go.
        let link = self.0.link.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(link) = link {
            link.closed(self.reason().unwrap_or(CloseReason::PeerClosed));
        }
    }

    /// Cuts a connection at rest whose driver may never run again. Where it runs all the same, the peer misses a TLS close
    /// or a GOAWAY, on a connection without a request.
    pub(super) fn cut_if_undriven(&self, runtime: &Handle) {
        if may_stand_still(runtime) {
            self.cut();
        }
    }

    /// Looks into the receive buffer without taking anything (one `recv` with `MSG_PEEK`, about 450 ns).
    ///
    /// tokio's readiness would not do: it knows nothing of a FIN that the reactor has not polled.
    pub(crate) fn peek(&self) -> Peek {
        let stream = self.0.stream.lock().unwrap_or_else(PoisonError::into_inner);
        let peeked = match stream.as_ref() {
            None => return Peek::Closed,
            #[cfg(test)]
            Some(Raw::Memory(_)) => return Peek::Quiet,
            Some(Raw::Tcp(stream)) => SockRef::from(stream).peek(&mut [MaybeUninit::uninit()]),
            #[cfg(unix)]
            Some(Raw::Unix(stream)) => SockRef::from(stream).peek(&mut [MaybeUninit::uninit()]),
        };
        match peeked {
            Ok(0) => Peek::Closed,
            Ok(_) => Peek::Readable,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Peek::Quiet,
            Err(_) => Peek::Closed,
        }
    }
}

/// Whether nobody may be there to run what is spawned onto the runtime: it runs only while somebody blocks on it, and that is
/// not this thread. Nobody can ask whether another thread does.
pub(super) fn may_stand_still(runtime: &Handle) -> bool {
    let drives_itself = runtime.runtime_flavor() == RuntimeFlavor::MultiThread;
    !drives_itself && Handle::try_current().map(|here| here.id()).ok() != Some(runtime.id())
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.shared.cut();
    }
}

#[expect(clippy::inline_always, reason = "as in `MaybeTls`")]
impl AsyncRead for Socket {
    #[inline(always)]
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = self.on_stream(|stream| match stream.get_mut() {
            Raw::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            #[cfg(unix)]
            Raw::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
            #[cfg(test)]
            Raw::Memory(stream) => Pin::new(stream).poll_read(cx, buf),
        });
        match &polled {
            Poll::Ready(Ok(())) if buf.filled().len() == before && buf.remaining() > 0 => {
                self.shared.set_reason(CloseReason::PeerClosed);
            }
            Poll::Ready(Err(_)) => self.shared.set_reason(CloseReason::Error),
            _ => {}
        }
        polled
    }
}

impl Socket {
    /// Under the stream's lock: once it is cut, all that was written is counted.
    fn count(&self, polled: &Poll<io::Result<usize>>) {
        match polled {
            Poll::Ready(Ok(written)) => {
                let shared = &self.shared.0;
                shared.written.fetch_add(*written as u64, Ordering::Relaxed);
                shared.wrote.store(shared.nanos(), Ordering::Relaxed);
                shared.stuck.store(NOT_STUCK, Ordering::Relaxed);
            }
            Poll::Ready(Err(_)) => self.shared.set_reason(CloseReason::Error),
            Poll::Pending => {
                let shared = &self.shared.0;
                if shared.stuck.load(Ordering::Relaxed) == NOT_STUCK {
                    shared.stuck.store(shared.nanos(), Ordering::Relaxed);
                }
            }
        }
    }
}

#[expect(clippy::inline_always, reason = "as in `MaybeTls`")]
impl AsyncWrite for Socket {
    #[inline]
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.on_stream(|stream| {
            let polled = match stream.get_mut() {
                Raw::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
                #[cfg(unix)]
                Raw::Unix(stream) => Pin::new(stream).poll_write(cx, buf),
                #[cfg(test)]
                Raw::Memory(stream) => Pin::new(stream).poll_write(cx, buf),
            };
            self.count(&polled);
            polled
        })
    }

    #[inline(always)]
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.on_stream(|stream| {
            let polled = match stream.get_mut() {
                Raw::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
                #[cfg(unix)]
                Raw::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
                #[cfg(test)]
                Raw::Memory(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            };
            self.count(&polled);
            polled
        })
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    #[inline]
    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Neither kind of stream buffers.
        Poll::Ready(Ok(()))
    }

    #[inline]
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.on_stream(|stream| match stream.get_mut() {
            Raw::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            #[cfg(unix)]
            Raw::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
            #[cfg(test)]
            Raw::Memory(stream) => Pin::new(stream).poll_shutdown(cx),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;
    use crate::connect::Spent;
    use crate::wire::{H1, Home, Seat};

    /// A pool that counts what it is told of.
    #[derive(Default)]
    struct Pool {
        closed: AtomicUsize,
    }

    impl Home for Pool {
        fn ready(&self, _: H1) {}
        fn settling(&self, _: &Arc<Link>) {}
        fn unsettled(&self, _: &Arc<Link>) {}
        fn places_changed(&self, _: &Arc<Link>) {}
        fn retired(&self, _: &Arc<Link>) {}
        fn suspect(&self, _: &Link, _: Instant) {}
        fn calm(&self, _: &Link) {}
        fn http1_required(&self, _: &Arc<Link>) {}

        fn closed(&self, _: &Link, _: CloseReason) {
            self.closed.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// A socket, its pool, and the link between them.
    fn socket() -> (Socket, Arc<Pool>, Arc<Link>) {
        let socket = Socket::new(Raw::Memory(tokio::io::duplex(64).0));
        let pool = Arc::<Pool>::default();
        let seat = Seat {
            host: 0,
            generation: 0,
            http1_only: false,
            complaints: Arc::default(),
            site: Seat::NO_SITE,
        };
        let link = Link::new(
            Arc::clone(&pool) as _,
            seat,
            socket.handle(),
            None,
            Spent::default(),
            None,
            None,
        );
        (socket, pool, link)
    }

    #[test]
    fn the_pool_is_told_once_of_a_socket_s_end_before_it_became_a_connection_or_after() {
        for is_first in [true, false] {
            let (socket, pool, link) = socket();
            let handle = socket.handle();
            if is_first {
                drop(socket);
                handle.attach(Arc::clone(&link));
            } else {
                handle.attach(Arc::clone(&link));
                assert_eq!(pool.closed.load(Ordering::SeqCst), 0);
                drop(socket);
            }
            assert_eq!(pool.closed.load(Ordering::SeqCst), 1, "before: {is_first}");
            handle.cut();
            assert_eq!(pool.closed.load(Ordering::SeqCst), 1, "before: {is_first}");
            // Neither holds the other any more.
            drop(handle);
            assert_eq!(Arc::strong_count(&link), 1);
        }
    }
}
