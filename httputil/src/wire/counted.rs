//! The stream as hyper holds it, above TLS: bytes received are counted, and HTTP/2 frames looked at.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
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
    /// Why a write failed, while it is looked for what the server has said of it.
    failed: Option<io::Error>,
}

impl Counted {
    pub(super) fn new(stream: MaybeTls<Socket>, received: Arc<AtomicU64>, head: HeadWatch) -> Counted {
        Counted {
            tap: None,
            head: Some(head),
            stream,
            received,
            asked: None,
            failed: None,
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
            failed: None,
        }
    }

    /// Whether hyper's frames may go: before them a ping of our own, where one is wanted, and nothing behind a write that failed.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.failed.take() {
            Some(error) => Poll::Ready(Err(error)),
            None => self.poll_probe(cx),
        }
    }

    /// Writes a ping of our own: between two of hyper's frames.
    fn poll_probe(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(tap) = &mut self.tap else {
            return Poll::Ready(Ok(()));
        };
        let mut has_asked = false;
        loop {
            let rest = tap.probe();
            if rest.is_empty() {
                break;
            }
            match ready!(Pin::new(&mut self.stream).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => tap.probed(written),
            }
            has_asked = true;
        }
        // The clock is to run for the answer.
        if has_asked && let Poll::Ready(gone) = tap.poll_silence(cx) {
            return Poll::Ready(Err(gone_silent(gone)));
        }
        Poll::Ready(Ok(()))
    }

    /// Looks at what was read.
    fn read(&mut self, read: &mut [u8]) -> io::Result<()> {
        if read.is_empty() {
            return Ok(());
        }
        // Sequentially consistent with the look at it in `Signs::doubt`.
        self.received.fetch_add(read.len() as u64, Ordering::SeqCst);
        if let Some(head) = &mut self.head
            && head.read(read).is_err()
        {
            let message = "the server sent more than 1 MiB before the end of its answer's header";
            return Err(io::Error::other(message));
        }
        match &mut self.tap {
            Some(tap) => tap.read(read).map_err(io::Error::other),
            None => Ok(()),
        }
    }

    /// Notes what the server has against us, where the error of a read says so.
    fn note(&mut self, error: &io::Error) {
        if let Some((asked, socket)) = self.asked.take()
            && let Some(rejection) = asked.rejected_by(error)
        {
            socket.reject(rejection);
        }
    }

    /// A server that rejects us says so, closes, and takes nothing more. What it said may be unread yet when a write fails by
    /// that, and what comes of the close is soon to be read, be it an end. Of an HTTP/2 connection nothing is read any more
    /// when a write has failed; of an HTTP/1 one, an answer may be.
    fn poll_rejection(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut scratch = [MaybeUninit::uninit(); 256];
        while self.asked.is_some() {
            let mut unread = ReadBuf::uninit(&mut scratch);
            match ready!(Pin::new(&mut self.stream).poll_read(cx, &mut unread)) {
                Ok(()) if unread.filled().is_empty() => break,
                Ok(()) => {}
                Err(error) => self.note(&error),
            }
        }
        Poll::Ready(())
    }

    /// What comes of a write, or of a flush, that failed.
    fn poll_failed(&mut self, cx: &mut Context<'_>, error: io::Error) -> Poll<io::Error> {
        use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
        let is_theirs = matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset);
        if is_theirs && self.tap.is_some() && self.poll_rejection(cx).is_pending() {
            self.failed = Some(error);
            return Poll::Pending;
        }
        Poll::Ready(error)
    }

    /// Looks at what the stream took. A peer that takes nothing may be gone.
    fn wrote(
        &mut self,
        cx: &mut Context<'_>,
        polled: Poll<io::Result<usize>>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = match polled {
            Poll::Ready(Err(error)) => return self.poll_failed(cx, error).map(Err),
            other => other,
        };
        let Some(tap) = &mut self.tap else { return polled };
        match polled {
            Poll::Ready(Ok(mut left)) => {
                for buf in bufs {
                    let taken = left.min(buf.len());
                    tap.wrote(&buf[..taken]);
                    left -= taken;
                }
            }
            Poll::Ready(Err(_)) => {}
            Poll::Pending => return tap.poll_silence(cx).map(|gone| Err(gone_silent(gone))),
        }
        polled
    }
}

fn gone_silent(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, what)
}

impl AsyncRead for Counted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if let Some(tap) = &this.tap {
            tap.read_by(cx.waker());
        }
        if let Some(head) = &this.head
            && head.dry().is_known()
        {
            return Poll::Pending;
        }
        let before = buf.filled().len();
        match Pin::new(&mut this.stream).poll_read(cx, buf) {
            // As most polls end.
            Poll::Pending => {
                if let Some(head) = &this.head {
                    head.dry().note();
                }
                match &mut this.tap {
                    None => Poll::Pending,
                    Some(tap) => tap.poll_silence(cx).map(|gone| Err(gone_silent(gone))),
                }
            }
            Poll::Ready(Ok(())) => Poll::Ready(this.read(&mut buf.filled_mut()[before..])),
            Poll::Ready(Err(error)) => {
                this.note(&error);
                Poll::Ready(Err(error))
            }
        }
    }
}

/// Only over HTTP/2 there is anything to be done.
impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.tap.is_none() {
            return Pin::new(&mut self.stream).poll_write(cx, buf);
        }
        let polled = match self.poll_ready(cx) {
            Poll::Ready(Ok(())) => Pin::new(&mut self.stream).poll_write(cx, buf),
            other => other.map_ok(|()| 0),
        };
        self.wrote(cx, polled, &[IoSlice::new(buf)])
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(tap) = &mut self.tap else {
            return Pin::new(&mut self.stream).poll_flush(cx);
        };
        tap.watch(cx).map_err(gone_silent)?;
        let flushed = match ready!(self.poll_ready(cx)) {
            Ok(()) => ready!(Pin::new(&mut self.stream).poll_flush(cx)),
            failed => failed,
        };
        match flushed {
            Ok(()) => Poll::Ready(Ok(())),
            Err(error) => self.poll_failed(cx, error).map(Err),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.tap.is_none() {
            return Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        }
        let polled = match self.poll_ready(cx) {
            Poll::Ready(Ok(())) => Pin::new(&mut self.stream).poll_write_vectored(cx, bufs),
            other => other.map_ok(|()| 0),
        };
        self.wrote(cx, polled, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Wake, Waker};
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
    use tokio::sync::Notify;
    use tokio::time::Instant;

    use super::*;
    use crate::connect::Raw;
    use crate::settings::Http2;
    use crate::wire::CloseReason;
    use crate::wire::head::HeadSigns;
    use crate::wire::pings::KeepAlive;
    use crate::wire::signs::Signs;

    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    const HEADERS: &[u8] = b"\0\0\x01\x01\x05\0\0\0\x01\x82";
    const PING: &[u8] = b"\0\0\x08\x06\0\0\0\0\0httputil";

    /// A stream whose preface is written, and its peer, which takes `room` bytes unread.
    async fn connected(room: usize) -> (Counted, Arc<Signs>, SocketHandle, DuplexStream) {
        let (ours, mut peer) = tokio::io::duplex(room);
        let socket = Socket::new(Raw::Memory(ours));
        let handle = socket.handle();
        let settings = Http2::default();
        let signs = Signs::new(settings.keepalive_timeout, Arc::default());
        let tap = Tap::new(
            Arc::clone(&signs),
            handle.clone(),
            KeepAlive::new(&settings, Arc::default()),
        );
        let mut counted = Counted::tapped(MaybeTls::Plain(socket), tap);
        counted.write_all(PREFACE).await.unwrap();
        peer.read_exact(&mut [0; PREFACE.len()]).await.unwrap();
        (counted, signs, handle, peer)
    }

    /// A task that is woken.
    #[derive(Default)]
    struct Woken(Notify);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.notify_one();
        }
    }

    /// What h2 does when its task is woken: it reads, then writes.
    fn turn(counted: &mut Counted, cx: &mut Context<'_>) -> Poll<io::Error> {
        let mut counted = Pin::new(counted);
        let (mut room, mut all) = ([0; 64], 0);
        loop {
            let mut buf = ReadBuf::new(&mut room);
            match counted.as_mut().poll_read(cx, &mut buf) {
                Poll::Ready(Ok(())) => all += buf.filled().len(),
                Poll::Ready(Err(error)) => return Poll::Ready(error),
                Poll::Pending => break,
            }
            assert!(all < 64, "nothing ends here");
        }
        assert!(counted.poll_flush(cx).map(Result::unwrap).is_ready());
        Poll::Pending
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_gets_out_after_the_look_for_streams_is_watched_all_the_same() {
        let (mut counted, signs, socket, mut peer) = connected(1024).await;
        let woken = Arc::<Woken>::default();
        let waker = Waker::from(Arc::clone(&woken));
        let mut cx = Context::from_waker(&waker);
        assert!(turn(&mut counted, &mut cx).is_pending(), "no stream is there yet");
        // In the middle of the task's turn another thread opens one, and nothing wakes the task for it.
        signs.in_use.fetch_add(1, Ordering::SeqCst);
        assert!(Pin::new(&mut counted).poll_write(&mut cx, HEADERS).is_ready());
        assert!(Pin::new(&mut counted).poll_flush(&mut cx).is_ready());
        peer.read_exact(&mut [0; HEADERS.len()]).await.unwrap();
        let began = Instant::now();
        let mut ping = [0; PING.len()];
        let asked = async {
            peer.read_exact(&mut ping).await.unwrap();
            began.elapsed()
        };
        let gone = async {
            loop {
                woken.0.notified().await;
                if let Poll::Ready(error) = turn(&mut counted, &mut cx) {
                    return error;
                }
            }
        };
        let both = async { tokio::join!(asked, gone) };
        let both = tokio::time::timeout(Duration::from_mins(1), both).await;
        let (asked, error) = both.expect("nothing would wake the task");
        assert_eq!(ping, PING);
        // Ten seconds, give or take a tenth, and five more.
        assert!((9..=11).contains(&asked.as_secs()), "{asked:?}");
        let gone = began.elapsed().saturating_sub(asked).as_secs_f64();
        assert!((4.9..5.1).contains(&gone), "{gone}");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(signs.pings.is_missed());
        assert_eq!(socket.reason(), Some(CloseReason::PingTimeout));
    }

    #[tokio::test]
    async fn within_one_poll_an_empty_stream_is_asked_once_and_what_comes_then_wakes() {
        let head = Arc::<HeadSigns>::default();
        let (ours, mut peer) = tokio::io::duplex(1024);
        let stream = MaybeTls::Plain(Socket::new(Raw::Memory(ours)));
        let mut counted = Counted::new(stream, Arc::default(), HeadWatch::new(Arc::clone(&head)));
        let woken = Arc::<Woken>::default();
        let waker = Waker::from(Arc::clone(&woken));
        let mut cx = Context::from_waker(&waker);
        let mut read = || {
            let mut room = [0; 64];
            let mut buf = ReadBuf::new(&mut room);
            let polled = Pin::new(&mut counted).poll_read(&mut cx, &mut buf);
            polled.map(|result| result.map(|()| buf.filled().len()).unwrap())
        };
        head.dry.begin();
        assert!(read().is_pending());
        peer.write_all(b"HTTP/1.1").await.unwrap();
        assert!(read().is_pending(), "in the same poll");
        head.dry.end();
        let woken = tokio::time::timeout(Duration::from_mins(1), woken.0.notified()).await;
        woken.expect("what came wakes the task");
        head.dry.begin();
        assert_eq!(read(), Poll::Ready(8));
        assert!(read().is_pending());
        head.dry.end();
        peer.write_all(b" 200").await.unwrap();
        assert_eq!(read(), Poll::Ready(4), "outside of a poll nothing is kept");
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_takes_nothing_is_found_out_while_hyper_waits_to_write() {
        let (mut counted, signs, _, _peer) = connected(PREFACE.len()).await;
        signs.in_use.fetch_add(1, Ordering::SeqCst);
        let began = Instant::now();
        let error = counted.write_all(&[HEADERS, &[0; 100]].concat()).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!((14..=16).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
    }
}
