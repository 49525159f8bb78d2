//! A response's body: what is left of an exchange once the head has come.
//!
//! When it has been read to its end, the connection goes back to the pool; dropped before, an HTTP/1 connection is
//! drained or closed and an HTTP/2 stream reset. The deadline holds although nobody reads: for HTTP/1 the connection's driver
//! keeps it, for HTTP/2 a small task that takes the body away. Without a deadline `timeouts.read` takes its place, counted from
//! when the reader last asked.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::exchange::Exchange;
use super::phases::Watch;
use super::request::longer_by;
use super::stream::Stream;
use super::{CloseReason, Held, Late, drain};
use crate::error::Phase;

/// Bytes of a body that are taken off an HTTP/1 connection before anybody asks: hyper holds them anyway, since it reads more
/// than a head at once.
const SHORT: u64 = 8 << 10;

/// The body of a response over a pooled connection.
pub(crate) struct PooledBody {
    /// What came with the head.
    first: Piece,
    hold: Hold,
    /// Where the time between two pieces is bounded.
    watch: Option<Box<Watch>>,
}

type Piece = Option<Result<Frame<Bytes>, BodyFailure>>;

enum Hold {
    H1 {
        incoming: Incoming,
        exchange: Exchange,
    },
    /// Boxed, since it weighs twice as much as the other and is rare: most bodies have an end that somebody watches for.
    H2(Box<Stream>),
    /// An HTTP/2 body with an end that somebody else watches for.
    Watched {
        shared: Arc<Mutex<Watched>>,
        guard: AbortHandle,
    },
    Ended,
}

struct Watched {
    stream: Option<Stream>,
    reader: Option<Waker>,
    /// When it is over, unless the reader asks for more.
    until: Instant,
}

/// Why a body ended early.
#[derive(Debug)]
pub(crate) enum BodyFailure {
    Deadline,
    /// Nobody asked for more of it for this time.
    Unread(Duration),
    /// The bound of a phase.
    Late(Late),
    /// The server answered no ping within this time.
    Ping(Duration),
    /// It ended this many bytes before its length.
    Short(u64),
    /// It was reset before its end.
    Cut,
    /// The runtime that drove the connection has shut down.
    RuntimeGone,
    Hyper(hyper::Error),
}

impl BodyFailure {
    /// Whether the peer is to blame: it broke the answer off, or fell silent while its next piece was awaited.
    pub(crate) fn is_the_peer_s(&self) -> bool {
        match self {
            BodyFailure::Late(late) => late.phase == Phase::Body,
            BodyFailure::Ping(_) | BodyFailure::Short(_) | BodyFailure::Cut => true,
            BodyFailure::Hyper(error) => !error.is_parse() && !error.is_user(),
            BodyFailure::Deadline | BodyFailure::Unread(_) | BodyFailure::RuntimeGone => false,
        }
    }
}

impl PooledBody {
    pub(super) fn h1(mut incoming: Incoming, mut exchange: Exchange, watch: Option<Box<Watch>>) -> PooledBody {
        if incoming.is_end_stream() {
            exchange.complete();
            return PooledBody::of(Hold::Ended);
        }
        let mut first = None;
        // A short body is mostly here with the head, whole. Then the connection is free at once, whoever reads.
        if incoming.size_hint().exact().is_some_and(|length| length <= SHORT) {
            let mut cx = Context::from_waker(Waker::noop());
            let (polled, is_over) = poll_h1(&mut incoming, &mut exchange, watch.as_deref(), &mut cx);
            // That it broke off is told once, and is what the reader gets.
            if let Poll::Ready(polled) = polled {
                first = polled;
            }
            if is_over {
                let (hold, watch) = (Hold::Ended, None);
                return PooledBody { first, hold, watch };
            }
        }
        let body = PooledBody {
            first,
            hold: Hold::H1 { incoming, exchange },
            watch,
        };
        body.leave();
        body
    }

    /// Of a stream whose body begins. It is taken only if it has not ended by then: it is large.
    pub(super) fn h2(slot: &mut Option<Stream>, deadline: Option<Instant>, watch: Option<Box<Watch>>) -> PooledBody {
        let Some(stream) = slot else {
            return PooledBody::ended();
        };
        if stream.is_end_stream() {
            stream.finish();
            *slot = None;
            return PooledBody::ended();
        }
        // A short body is often here with the head, whole. Then its place is free at once, and nobody need watch it. The
        // reader leaves a waker that counts.
        let first = match stream.poll_body(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(first) => first,
            Poll::Pending => None,
        };
        if stream.is_over() {
            *slot = None;
            let (hold, watch) = (Hold::Ended, None);
            return PooledBody { first, hold, watch };
        }
        let half_time = deadline.and_then(|deadline| stream.half_time(deadline));
        let Some(stream) = slot.take() else {
            return PooledBody::ended();
        };
        let unread_until = watch.as_ref().and_then(|watch| watch.unread_until());
        let Some(until) = deadline.or(unread_until) else {
            let hold = Hold::H2(Box::new(stream));
            return PooledBody { first, hold, watch };
        };
        let (stream, reader) = (Some(stream), None);
        let shared = Arc::new(Mutex::new(Watched { stream, reader, until }));
        let guard = tokio::spawn(end(Arc::clone(&shared), half_time)).abort_handle();
        let hold = Hold::Watched { shared, guard };
        PooledBody { first, hold, watch }
    }

    /// From now on the reader does something else.
    fn leave(&self) {
        let Some(unread_until) = self.watch.as_ref().and_then(|watch| watch.unread_until()) else {
            return;
        };
        match &self.hold {
            Hold::H1 { exchange, .. } => exchange.bound(unread_until),
            Hold::Watched { shared, .. } => {
                shared.lock().unwrap_or_else(PoisonError::into_inner).until = unread_until;
            }
            Hold::H2(_) | Hold::Ended => {}
        }
    }

    /// Keeps what the request holds until the exchange is over.
    pub(crate) fn hold(&mut self, held: Held) {
        match &mut self.hold {
            // The wire is through with it, whatever is left to read.
            Hold::Ended => drop(held),
            Hold::H1 { exchange, .. } => exchange.hold(held),
            Hold::H2(stream) => stream.hold(held),
            Hold::Watched { shared, .. } => {
                let mut watched = shared.lock().unwrap_or_else(PoisonError::into_inner);
                let over = match &mut watched.stream {
                    Some(stream) => {
                        stream.hold(held);
                        None
                    }
                    None => Some(held),
                };
                drop(watched);
                drop(over);
            }
        }
    }

    /// All that there is of it, if that is here and in one piece.
    pub(crate) fn whole(&mut self) -> Option<Bytes> {
        if !matches!(self.hold, Hold::Ended) || !matches!(&self.first, Some(Ok(first)) if first.is_data()) {
            return None;
        }
        self.first.take()?.ok()?.into_data().ok()
    }

    /// No body at all.
    pub(crate) fn ended() -> PooledBody {
        PooledBody::of(Hold::Ended)
    }

    fn of(hold: Hold) -> PooledBody {
        PooledBody {
            first: None,
            hold,
            watch: None,
        }
    }
}

/// Ends an HTTP/2 body when its time is over. Whether it was silent since `half_time` says something of its connection.
async fn end(watched: Arc<Mutex<Watched>>, half_time: Option<Instant>) {
    let look = || watched.lock().unwrap_or_else(PoisonError::into_inner);
    let mut received = None;
    // A head that came later than that is a sign of life that is late enough.
    if let Some(half_time) = half_time {
        tokio::time::sleep_until(half_time).await;
        received = look().stream.as_ref().and_then(Stream::received);
    }
    let mut until = look().until;
    let (stream, reader) = loop {
        tokio::time::sleep_until(until).await;
        let mut watched = look();
        if watched.until <= until {
            break (watched.stream.take(), watched.reader.take());
        }
        until = watched.until;
    };
    if let Some(stream) = stream {
        stream.timed_out(received);
    }
    if let Some(reader) = reader {
        reader.wake();
    }
}

/// The next piece of an HTTP/1 body, and whether it is over with that: then the connection goes home, or is closed.
fn poll_h1(
    incoming: &mut Incoming,
    exchange: &mut Exchange,
    watch: Option<&Watch>,
    cx: &mut Context<'_>,
) -> (Poll<Piece>, bool) {
    let polled = Pin::new(&mut *incoming).poll_frame(cx);
    let is_over = match &polled {
        Poll::Ready(Some(Err(_))) => true,
        Poll::Ready(None) => {
            exchange.complete();
            true
        }
        // The last piece of a body of known length: the end need not be asked for.
        Poll::Ready(Some(Ok(_))) if incoming.is_end_stream() => {
            exchange.complete();
            true
        }
        _ => false,
    };
    let polled = polled.map_err(|error| {
        let failure = if exchange.is_timed_out() {
            out_of_time(watch)
        } else if exchange.is_runtime_gone() {
            BodyFailure::RuntimeGone
        } else {
            BodyFailure::Hyper(error)
        };
        exchange.close(CloseReason::Error);
        failure
    });
    (polled, is_over)
}

/// What has ended a body that was not the reader's to end.
fn out_of_time(watch: Option<&Watch>) -> BodyFailure {
    watch
        .and_then(Watch::patience)
        .map_or(BodyFailure::Deadline, BodyFailure::Unread)
}

impl Body for PooledBody {
    type Data = Bytes;
    type Error = BodyFailure;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyFailure>>> {
        if let Some(first) = self.first.take() {
            if let Some(watch) = &mut self.watch {
                watch.progress();
            }
            self.leave();
            return Poll::Ready(Some(first));
        }
        let this = &mut *self;
        let (polled, is_over) = match &mut this.hold {
            Hold::Ended => return Poll::Ready(None),
            Hold::H1 { incoming, exchange } => poll_h1(incoming, exchange, this.watch.as_deref(), cx),
            Hold::H2(stream) => {
                let polled = stream.poll_body(cx);
                (polled, stream.is_over())
            }
            Hold::Watched { shared, guard } => {
                let mut watched = shared.lock().unwrap_or_else(PoisonError::into_inner);
                let (polled, is_over) = match &mut watched.stream {
                    Some(stream) => {
                        let polled = stream.poll_body(cx);
                        (polled, stream.is_over())
                    }
                    None => (Poll::Ready(Some(Err(out_of_time(this.watch.as_deref())))), true),
                };
                if polled.is_pending() {
                    watched.reader = Some(cx.waker().clone());
                }
                // Taken out: the aborted watch goes when its runtime comes to it, and the place must not wait for that.
                let ended = if is_over { watched.stream.take() } else { None };
                drop(watched);
                if is_over {
                    guard.abort();
                }
                drop(ended);
                (polled, is_over)
            }
        };
        if is_over {
            this.hold = Hold::Ended;
        }
        let Some(watch) = &mut this.watch else { return polled };
        if let Poll::Ready(next) = &polled {
            // A piece of nothing is none: a peer could send them for ever.
            if !matches!(next, Some(Ok(frame)) if frame.data_ref().is_some_and(Bytes::is_empty)) {
                watch.progress();
            }
            this.leave();
            return polled;
        }
        let Poll::Ready(late) = watch.poll_body(cx, || this.hold.received()) else {
            this.leave();
            return Poll::Pending;
        };
        let heard = watch.heard();
        std::mem::replace(&mut this.hold, Hold::Ended).late(heard);
        Poll::Ready(Some(Err(BodyFailure::Late(late))))
    }

    fn is_end_stream(&self) -> bool {
        if self.first.is_some() {
            return false;
        }
        match &self.hold {
            Hold::Ended => true,
            Hold::H1 { incoming, .. } => incoming.is_end_stream(),
            Hold::H2(stream) => stream.is_end_stream(),
            Hold::Watched { .. } => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.rest();
        let Some(Ok(first)) = &self.first else { return rest };
        let taken = first.data_ref().map_or(0, Bytes::len) as u64;
        longer_by(taken, &rest)
    }
}

impl Hold {
    /// Bytes received on the connection so far.
    fn received(&self) -> u64 {
        match self {
            Hold::Ended => 0,
            Hold::H1 { exchange, .. } => exchange.received(),
            Hold::H2(stream) => stream.received().unwrap_or(0),
            Hold::Watched { shared, .. } => {
                let watched = shared.lock().unwrap_or_else(PoisonError::into_inner);
                watched.stream.as_ref().and_then(Stream::received).unwrap_or(0)
            }
        }
    }

    /// A bound ends the exchange; `heard` is what had been received when half of the wait was over.
    fn late(self, heard: u64) {
        match self {
            Hold::Ended => {}
            Hold::H1 { mut exchange, .. } => {
                exchange.late(heard);
            }
            Hold::H2(stream) => stream.timed_out(Some(heard)),
            Hold::Watched { shared, guard } => {
                guard.abort();
                let stream = shared.lock().unwrap_or_else(PoisonError::into_inner).stream.take();
                if let Some(stream) = stream {
                    stream.timed_out(Some(heard));
                }
            }
        }
    }
}

impl PooledBody {
    /// The length of what is yet to come.
    fn rest(&self) -> SizeHint {
        match &self.hold {
            Hold::Ended => SizeHint::with_exact(0),
            Hold::H1 { incoming, .. } => incoming.size_hint(),
            Hold::H2(stream) => stream.size_hint(),
            Hold::Watched { shared, .. } => {
                let watched = shared.lock().unwrap_or_else(PoisonError::into_inner);
                watched
                    .stream
                    .as_ref()
                    .map_or_else(SizeHint::default, Stream::size_hint)
            }
        }
    }
}

impl Drop for PooledBody {
    fn drop(&mut self) {
        if matches!(self.hold, Hold::Ended) {
            return;
        }
        match std::mem::replace(&mut self.hold, Hold::Ended) {
            Hold::H1 { incoming, exchange } => {
                exchange.let_go();
                drain::finish(incoming, exchange);
            }
            Hold::Watched { guard, shared } => {
                guard.abort();
                let stream = shared.lock().unwrap_or_else(PoisonError::into_inner).stream.take();
                drop(stream);
            }
            Hold::H2(_) | Hold::Ended => {}
        }
    }
}
