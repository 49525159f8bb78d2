//! What an HTTP/2 connection's frames have said so far.
//!
//! ```text
//! socket task:  bytes ─ Tap ─► Signs: bars, limit, notes     anybody:  may a stream be opened?
//!                                └─ wakes ─► driver ─ tell ─► the pool
//! ```
//!
//! The [`Tap`] runs within hyper's poll, partly under h2's own lock. So it only writes down and wakes; the connection's
//! driver tells the pool. What keeps new streams away, a *bar*, holds from the very byte that says so.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use h2::Reason;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::frames::{Event, Frames};
use super::pings::{Complaints, KeepAlive, Pings, Silence};
use super::probe::{self, Probe};
use super::turn::Turns;
use super::window::Window;
use super::{CloseReason, Link, Peek, SocketHandle};

/// Why no new stream may be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Bar {
    /// We said so.
    Retired = 1,
    /// The peer said GOAWAY.
    Leaving = 2,
    /// Unread bodies have used up the connection's window.
    Full = 4,
    /// It has been silent for half of the time that a request then ran out of.
    Doubt = 8,
}

/// What the pool is yet to be told.
const PLACES: u8 = 1;
const LEAVING: u8 = 2;
const CALM: u8 = 4;
const HTTP1: u8 = 8;
/// No note: the peer's first SETTINGS have come.
const SETTLED: u8 = 16;
/// No note: the complaint was a GOAWAY, which is meant for every request.
const LEFT_FOR_CALM: u8 = 32;
/// No note: the connection was given up, since none of the requests that it bore had been written.
const STRANDED: u8 = 64;

/// Shared by the tap, the driver and the handles of one connection.
#[derive(Debug)]
pub(super) struct Signs {
    received: Arc<AtomicU64>,
    /// Streams that the peer allows.
    limit: AtomicUsize,
    /// Places that are taken.
    pub(super) in_use: AtomicUsize,
    /// The newest stream that was written; 0 before the first.
    newest: AtomicU32,
    bars: AtomicU8,
    notes: AtomicU8,
    /// What has happened, and is not told again.
    once: AtomicU8,
    driver: OnceLock<Waker>,
    /// The task that owns the socket.
    socket_task: OnceLock<Waker>,
    /// A ping of our own is wanted.
    wants_probe: AtomicBool,
    /// How often the host has complained: then it is not pinged out of turn.
    complaints: Arc<Complaints>,
    /// Told when the first SETTINGS come, or at the end.
    settled: Notify,
    pub(super) pings: Pings,
    pub(super) turns: Turns,
}

impl Signs {
    /// Of a new connection, with `http2.keepalive_timeout`, to a host that has complained so often.
    pub(super) fn new(keepalive_timeout: Duration, complaints: Arc<Complaints>) -> Arc<Signs> {
        Arc::new(Signs {
            received: Arc::default(),
            // Until the peer's SETTINGS have come: more might wait within h2, and be lost with the connection.
            limit: AtomicUsize::new(1),
            in_use: AtomicUsize::new(0),
            newest: AtomicU32::new(0),
            bars: AtomicU8::new(0),
            notes: AtomicU8::new(0),
            once: AtomicU8::new(0),
            driver: OnceLock::new(),
            socket_task: OnceLock::new(),
            wants_probe: AtomicBool::new(false),
            complaints,
            settled: Notify::new(),
            pings: Pings::new(keepalive_timeout),
            turns: Turns::default(),
        })
    }

    /// Bytes received so far.
    pub(super) fn received(&self) -> u64 {
        self.received.load(Ordering::SeqCst)
    }

    pub(super) fn limit(&self) -> usize {
        self.limit.load(Ordering::Acquire)
    }

    pub(super) fn is_barred(&self) -> bool {
        self.bars.load(Ordering::SeqCst) != 0
    }

    pub(super) fn has(&self, bar: Bar) -> bool {
        self.bars.load(Ordering::SeqCst) & bar as u8 != 0
    }

    /// Whether it was not there before.
    pub(super) fn bar(&self, bar: Bar) -> bool {
        self.bars.fetch_or(bar as u8, Ordering::SeqCst) & bar as u8 == 0
    }

    /// Whether it was there.
    fn lift(&self, bar: Bar) -> bool {
        self.bars.fetch_and(!(bar as u8), Ordering::SeqCst) & bar as u8 != 0
    }

    /// Whether the peer's first SETTINGS have come.
    pub(super) fn is_settled(&self) -> bool {
        self.once.load(Ordering::Acquire) & SETTLED != 0
    }

    /// Waits for the peer's first SETTINGS, or for the end of the connection.
    pub(super) async fn settle(&self) {
        let settled = self.settled.notified();
        tokio::pin!(settled);
        settled.as_mut().enable();
        if !self.is_settled() && !self.has(Bar::Retired) {
            settled.await;
        }
    }

    /// Waits for the peer's first SETTINGS to allow no stream at all; for ever, if they allow one. The one stream that may
    /// be opened before would then wait within h2, and nobody would hear of it. Written before they came, it runs.
    pub(super) async fn allows_nothing(&self) {
        self.settle().await;
        if self.streams_written() > 0 || !self.is_settled() || self.limit() > 0 {
            std::future::pending::<()>().await;
        }
    }

    /// Streams that have been written, and those before them that never will be.
    pub(super) fn streams_written(&self) -> usize {
        self.newest.load(Ordering::Acquire).div_ceil(2) as usize
    }

    /// The connection is given up: nothing is written any more.
    pub(super) fn strand(&self) {
        self.once.fetch_or(STRANDED, Ordering::AcqRel);
    }

    pub(super) fn is_stranded(&self) -> bool {
        self.once.load(Ordering::Acquire) & STRANDED != 0
    }

    /// The connection takes no more requests, and nobody need wait for its SETTINGS.
    pub(super) fn end(&self) {
        self.bar(Bar::Retired);
        self.settled.notify_waiters();
    }

    /// Whether the peer has ended the connection with a complaint of too much.
    pub(super) fn is_left_for_calm(&self) -> bool {
        self.once.load(Ordering::Relaxed) & LEFT_FOR_CALM != 0
    }

    /// A request ran out of time, and nothing came since `received` was as it is here: the connection is in doubt until
    /// something comes. A ping asks for it.
    pub(super) fn doubt(&self, received: u64) -> bool {
        if self.received() != received {
            return false;
        }
        let is_new = self.bar(Bar::Doubt);
        // The tap counts first and looks for the bar then: one of us sees the other.
        if self.received() != received {
            self.lift(Bar::Doubt);
            return false;
        }
        if is_new && self.complaints.count() == 0 && self.once.load(Ordering::Relaxed) & CALM == 0 {
            self.wants_probe.store(true, Ordering::Release);
            self.wake_reader();
        }
        true
    }

    /// The task that reads the socket, and flushes it whenever it is woken.
    fn read_by(&self, waker: &Waker) {
        if self.socket_task.get().is_none() {
            let _ = self.socket_task.set(waker.clone());
        }
    }

    pub(super) fn wake_reader(&self) {
        if let Some(task) = self.socket_task.get() {
            task.wake_by_ref();
        }
    }

    /// The task that tells the pool.
    pub(super) fn driven_by(&self, waker: &Waker) {
        if self.driver.get().is_none() {
            let _ = self.driver.set(waker.clone());
        }
    }

    fn note(&self, note: u8) {
        self.notes.fetch_or(note, Ordering::AcqRel);
        self.wake_driver();
    }

    pub(super) fn wake_driver(&self) {
        if let Some(driver) = self.driver.get() {
            driver.wake_by_ref();
        }
    }

    /// Tells the pool what it has not been told. Never called from within a poll of hyper's.
    pub(super) fn tell(&self, link: &Arc<Link>) {
        if self.notes.load(Ordering::Acquire) == 0 {
            return;
        }
        let notes = self.notes.swap(0, Ordering::AcqRel);
        // First what shapes the next dial, then what may cause one.
        if notes & CALM != 0 {
            link.home.calm(link);
        }
        if notes & HTTP1 != 0 {
            link.home.http1_required(link);
        }
        if notes & LEAVING != 0 {
            link.retired();
        }
        if notes & PLACES != 0 {
            link.home.places_changed(link);
        }
    }

    fn complain(&self, reason: Reason) {
        let note = match reason {
            Reason::ENHANCE_YOUR_CALM => CALM,
            Reason::HTTP_1_1_REQUIRED | Reason::INADEQUATE_SECURITY => HTTP1,
            _ => return,
        };
        if self.once.fetch_or(note, Ordering::Relaxed) & note == 0 {
            self.note(note);
        }
    }
}

/// Looks at the bytes of a connection as they pass.
pub(super) struct Tap {
    signs: Arc<Signs>,
    socket: SocketHandle,
    incoming: Frames,
    outgoing: Frames,
    window: Window,
    /// Bytes written since the last frame that carried something.
    written: u64,
    /// HEADERS that were written, and that came.
    requests: u64,
    heads: u64,
    probe: Probe,
    keep_alive: KeepAlive,
    /// The peer has been silent for so long that it is to be pinged.
    is_ping_due: bool,
}

/// Frames in a row that carry nothing, before the peer is taken for one that means harm. A ping answered every ten seconds
/// takes a day for it.
const MOST_FUTILE: u64 = 10_000;
/// An upload makes the peer send `WINDOW_UPDATE`s: one more frame is allowed for each of so many bytes.
const BYTES_A_FRAME: u64 = 64;
/// Headers that a server may send: so many to a connection, and for each request so many more. An answer takes two, with
/// its trailers; the others are informational (RFC 9110 §15.2), which nobody counts but this.
const MOST_HEADS: u64 = 10_000;
const HEADS_A_REQUEST: u64 = 100;

impl Tap {
    pub(super) fn new(signs: Arc<Signs>, socket: SocketHandle, keep_alive: KeepAlive) -> Tap {
        Tap {
            signs,
            socket,
            incoming: Frames::of_server(),
            outgoing: Frames::of_client(),
            window: Window::new(),
            written: 0,
            requests: 0,
            heads: 0,
            probe: Probe::default(),
            keep_alive,
            is_ping_due: false,
        }
    }

    pub(super) fn received(&self) -> &Arc<AtomicU64> {
        &self.signs.received
    }

    /// These bytes came, and are counted already. An error ends the connection.
    pub(super) fn read(&mut self, bytes: &mut [u8]) -> Result<(), &'static str> {
        self.keep_alive.heard();
        let mut answered = None;
        let Tap {
            signs,
            socket,
            incoming,
            window,
            heads,
            ..
        } = self;
        incoming.feed(bytes, |event, end| match event {
            Event::Data(length) => {
                window.take(length);
                if window.is_used_up() {
                    signs.bar(Bar::Full);
                }
            }
            Event::Settings { max_streams } => {
                let said = max_streams.map(|max| usize::try_from(max).unwrap_or(usize::MAX));
                // The first SETTINGS that name no limit set none; later ones leave it as it was.
                if let Some(limit) = said.or((!signs.is_settled()).then_some(usize::MAX)) {
                    signs.limit.store(limit, Ordering::Release);
                }
                signs.once.fetch_or(SETTLED, Ordering::AcqRel);
                signs.settled.notify_waiters();
                signs.note(PLACES);
            }
            Event::GoAway(reason) => {
                signs.bar(Bar::Leaving);
                socket.set_reason(match reason {
                    Reason::HTTP_1_1_REQUIRED | Reason::INADEQUATE_SECURITY => CloseReason::Http1Required,
                    _ => CloseReason::PeerClosed,
                });
                signs.complain(reason);
                if reason == Reason::ENHANCE_YOUR_CALM {
                    signs.once.fetch_or(LEFT_FOR_CALM, Ordering::Relaxed);
                }
                signs.note(LEAVING);
            }
            Event::Reset(reason) => signs.complain(reason),
            Event::Ping {
                is_answer: true,
                payload: probe::PAYLOAD,
            } => answered = Some(end),
            Event::Headers(_) => *heads += 1,
            Event::Ping { .. } | Event::Window(_) => {}
        });
        if let Some(end) = answered {
            self.probe.hide_answer(bytes, end);
        }
        let signs = &self.signs;
        if signs.has(Bar::Doubt) && signs.lift(Bar::Doubt) {
            signs.note(PLACES);
        }
        if self.heads > MOST_HEADS + HEADS_A_REQUEST * self.requests {
            self.socket.set_reason(CloseReason::Error);
            return Err("the server floods the connection with informational answers");
        }
        match u64::from(self.incoming.futile()) {
            0 => self.written = 0,
            futile if futile > MOST_FUTILE + self.written / BYTES_A_FRAME => {
                self.socket.set_reason(CloseReason::Error);
                return Err("the server floods the connection with HTTP/2 frames that carry nothing");
            }
            _ => {}
        }
        Ok(())
    }

    /// The task that reads.
    pub(super) fn read_by(&self, waker: &Waker) {
        self.signs.read_by(waker);
    }

    /// Something is about to go out for good: if that is a request, the keep-alive's clock must run.
    pub(super) fn watch(&mut self, cx: &mut Context<'_>) -> Result<(), &'static str> {
        if self.keep_alive.is_set() {
            return Ok(());
        }
        match self.poll_silence(cx) {
            Poll::Ready(gone) => Err(gone),
            Poll::Pending => Ok(()),
        }
    }

    /// Waits for the peer to be silent for too long. For when nothing is left to be read, or when hyper, waiting for the
    /// peer to take something, reads nothing.
    pub(super) fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<&'static str> {
        loop {
            let in_use = self.signs.in_use.load(Ordering::Acquire) > 0;
            match ready!(self.keep_alive.poll(cx, in_use)) {
                Silence::Ask => self.is_ping_due = true,
                // What the runtime has not told of yet may have lain there since before.
                Silence::Gone if self.socket.peek() != Peek::Quiet => self.keep_alive.heard(),
                Silence::Gone => {
                    self.signs.pings.miss();
                    self.socket.set_reason(CloseReason::PingTimeout);
                    return Poll::Ready("the server answered no ping");
                }
            }
        }
    }

    /// What of a ping of our own is to be written before anything else.
    pub(super) fn probe(&mut self) -> &'static [u8] {
        let signs = &self.signs;
        let is_wanted = signs.wants_probe.load(Ordering::Acquire);
        if (is_wanted || self.is_ping_due) && self.outgoing.is_between() {
            if is_wanted {
                signs.wants_probe.store(false, Ordering::Relaxed);
                let now = Instant::now();
                if signs.has(Bar::Doubt) && self.probe.begin(now) {
                    self.keep_alive.asks(now);
                }
            }
            if std::mem::take(&mut self.is_ping_due) {
                self.probe.begin_at_once();
            }
        }
        self.probe.rest()
    }

    /// So much of it was written.
    pub(super) fn probed(&mut self, written: usize) {
        self.probe.wrote(written);
    }

    /// These bytes were written.
    pub(super) fn wrote(&mut self, bytes: &[u8]) {
        self.written += bytes.len() as u64;
        let Tap {
            signs,
            outgoing,
            window,
            requests,
            ..
        } = self;
        outgoing.feed(bytes, |event, _| match event {
            Event::Window(more) => {
                window.grant(more);
                if !window.is_used_up() && signs.has(Bar::Full) && signs.lift(Bar::Full) {
                    signs.note(PLACES);
                }
            }
            Event::Headers(stream) => {
                *requests += 1;
                // Streams are opened in the order of their numbers, and trailers bear that of their stream.
                if stream > signs.newest.load(Ordering::Relaxed) {
                    signs.newest.store(stream, Ordering::Release);
                }
            }
            _ => {}
        });
    }
}
