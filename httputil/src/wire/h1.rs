//! An HTTP/1 connection: one exchange at a time.
//!
//! ```text
//! H1 ── send ──► Exchange ── the answer's end ──► settle ──► home
//!  │ doze ──► a sleeper ── wake ──► H1
//! ```
//!
//! Whoever holds the [`H1`] may send the next request. What moves the bytes is the connection's
//! [`driver`](super::driver); both meet in [`Shared`].

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Poll, Waker};
use std::time::Duration;

use http::{Request, Response, StatusCode};
use hyper::client::conn::{TrySendError, http1};
use tokio::time::Instant;

use super::driven::{Bed, H1Parts, Shared};
use super::driver::Driver;
use super::engine::{Connection, Sender};
use super::exchange::{Exchange, Lent};
use super::head::HeadSigns;
use super::manner::Hold as BodyHold;
use super::phases::Watch;
use super::terms::Terms;
use super::upgrade::Asked;
use super::{
    Cause, CloseReason, Late, Link, Manner, Peek, Phases, PooledBody, Processed, RequestBody, SendFailure, SocketHandle,
};

/// The right to put the next request on an HTTP/1 connection. Dropping it closes the connection politely.
pub(crate) struct H1 {
    hold: Hold,
    shared: Arc<Shared>,
    terms: Terms,
}

/// What the holder of a connection has of it.
enum Hold {
    Awake(Sender),
    /// It hibernates, or is about to.
    Asleep(Bed),
}

impl H1 {
    /// Puts a driver around hyper's connection and starts it on the current runtime. `builder` is what wraps the stream
    /// again after the connection has slept.
    pub(super) fn start(
        builder: http1::Builder,
        (sender, connection): (Sender, Connection),
        link: Arc<Link>,
        (received, head): (Arc<AtomicU64>, Arc<HeadSigns>),
        max_requests: Option<u32>,
    ) -> H1 {
        let shared = Shared::new(builder, connection, link, received, head);
        Driver::start(&shared);
        H1::new(sender, shared, Terms::new(max_requests))
    }

    pub(super) fn new(sender: Sender, shared: Arc<Shared>, terms: Terms) -> H1 {
        let hold = Hold::Awake(sender);
        H1 { hold, shared, terms }
    }

    pub(crate) fn link(&self) -> &Arc<Link> {
        &self.shared.link
    }

    pub(crate) fn socket(&self) -> &SocketHandle {
        &self.shared.link.socket
    }

    /// Whether an exchange has been begun on it before.
    pub(crate) fn is_reused(&self) -> bool {
        self.terms.uses() > 0
    }

    /// How long the server lets it be idle, less a second, if its latest answer said.
    pub(crate) fn may_idle_for(&self) -> Option<Duration> {
        self.terms.may_idle_for()
    }

    /// Why it takes no more requests, if it takes no more.
    pub(crate) fn spent(&self) -> Option<CloseReason> {
        self.terms.spent()
    }

    /// Closes the connection politely (a TLS close, then FIN), for `reason`; at once, where its runtime may stand still.
    pub(crate) fn retire(self, reason: CloseReason) {
        self.socket().set_reason(reason);
        self.socket().cut_if_undriven(&self.shared.runtime);
    }

    /// Lets an idle connection hibernate: whoever calls the waker that comes back, after the pool's lock, makes its driver
    /// do so. None, if it stays as it is.
    pub(crate) fn doze(&mut self) -> Option<Waker> {
        if !self.terms.may_hibernate() || matches!(self.hold, Hold::Asleep(_)) {
            return None;
        }
        let waker = self.shared.waker.get()?.clone();
        let asleep = Hold::Asleep(Bed::new(&self.shared));
        if let Hold::Awake(sender) = std::mem::replace(&mut self.hold, asleep) {
            self.shared.doze(sender);
        }
        Some(waker)
    }

    /// Makes a sleeper ready for a request. `false` if its peer has closed it in the meantime.
    pub(crate) fn wake(&mut self) -> bool {
        if let Hold::Asleep(_) = self.hold {
            let Some(sender) = self.shared.wake() else { return false };
            if let Hold::Asleep(bed) = std::mem::replace(&mut self.hold, Hold::Awake(sender)) {
                bed.left();
            }
        }
        true
    }

    /// Gives the connection back to its driver, since there is something in its socket: if the bytes hold no HTTP (a
    /// TLS ticket), the driver brings it home again, else the driver ends.
    pub(crate) fn set_aside(self) {
        let shared = Arc::clone(&self.shared);
        self.put_down();
        // The driver may have read everything before it could see the connection lying here.
        if shared.link.socket.peek() == Peek::Quiet && !shared.is_polling.load(Ordering::SeqCst) {
            shared.settle();
        }
    }

    /// Sends a request and waits for the head of its answer.
    ///
    /// Dropping the future closes the connection: HTTP/1 has no other way to take a request back.
    pub(crate) fn send(
        mut self,
        mut request: Request<RequestBody>,
        deadline: Option<Instant>,
        phases: Option<&Arc<Phases>>,
        manner: Manner,
    ) -> impl Future<Output = Result<Response<PooledBody>, SendFailure>> + Send + use<> {
        let held = manner.expect.map(|wait| (wait, hold_body(&mut request)));
        let mut watch = phases.map(|phases| {
            Box::new(Watch::over(
                phases,
                request.body_mut(),
                Some(self.socket().clone()),
                deadline,
            ))
        });
        let completion = request.body().completion();
        let written = self.socket().written();
        let received = self.shared.received.load(Ordering::Relaxed);
        // Before the request, whose arrival makes the driver look at the deadline.
        self.shared.set_deadline(deadline);
        self.terms.begin(request.headers());
        self.shared.head.await_head();
        let asked = manner.upgrade.then(|| Asked::by(request.headers()));
        if manner.upgrade {
            self.terms.allow_upgrade();
            self.shared.engine().allow_upgrade();
        }
        // The one box on a request's way: hyper's future has room for the request itself, and each future around it would
        // be moved with that room (measured: 6 000 instructions a request).
        let H1 { hold, shared, terms } = self;
        let Hold::Awake(mut sender) = hold else {
            unreachable!("the pool wakes a connection before it gives it away")
        };
        let answer = Box::pin(sender.try_send_request(request));
        shared.keep(sender);
        let mut exchange = Exchange::new(Lent { shared, terms }, completion, written);
        // The request is on its way; what is left to wait for is small.
        async move {
            let answered = match (held, &mut watch) {
                (None, None) => Ok(answer.await),
                (Some((wait, body)), None) => Ok(Box::pin(unless_held(answer, wait, body)).await),
                (None, Some(watch)) => in_time(answer, watch, &exchange).await,
                (Some((wait, body)), Some(watch)) => {
                    in_time(Box::pin(unless_held(answer, wait, body)), watch, &exchange).await
                }
            };
            let answered = match answered {
                Ok(answered) => answered,
                Err(late) => {
                    return Err(too_late(
                        late,
                        exchange,
                        received,
                        watch.map_or(0, |watch| watch.heard()),
                    ));
                }
            };
            match answered {
                Ok(response) => {
                    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                        if asked.as_ref().is_some_and(|asked| asked.is_granted_by(&response)) {
                            exchange.hand_over();
                            return Ok(response.map(|_| PooledBody::ended()));
                        }
                        exchange.close(CloseReason::Error);
                        return Err(SendFailure {
                            processed: Processed::Maybe,
                            request: None,
                            cause: asked.map_or(Cause::UnaskedUpgrade, |asked| Cause::WrongUpgrade(asked.protocols())),
                            has_answer: true,
                            calm: false,
                        });
                    }
                    if let Some(why) = exchange.late_failure() {
                        exchange.close(CloseReason::Error);
                        return Err(SendFailure::of_body(why));
                    }
                    exchange.answered(&response);
                    Ok(response.map(|body| PooledBody::h1(body, exchange, watch)))
                }
                Err(error) => Err(unanswered(error, exchange, received)),
            }
        }
    }

    /// The exchange is over; the connection goes home as soon as hyper can use it again.
    pub(super) fn settle(self) {
        let shared = Arc::clone(&self.shared);
        let link = &shared.link;
        shared.set_deadline(None);
        let is_polling = shared.is_polling.load(Ordering::SeqCst);
        let is_ready = matches!(&self.hold, Hold::Awake(sender) if sender.is_ready());
        if !is_polling && is_ready {
            link.home.ready(self);
            return;
        }
        if is_polling {
            link.home.settling(link);
        }
        self.put_down();
        // In the other case the driver looks for it when its poll is over.
        if !shared.is_polling.load(Ordering::SeqCst) {
            shared.settle();
        }
        if link.is_gone() {
            link.home.retired(link);
        }
    }

    fn put_down(self) {
        let H1 { hold, shared, terms } = self;
        if let Hold::Awake(sender) = hold {
            *shared.lock() = Some(H1Parts { sender, terms });
            shared.has_settling.store(true, Ordering::SeqCst);
        }
    }
}

impl std::fmt::Debug for H1 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("H1")
            .field("link", &self.shared.link)
            .field("terms", &self.terms)
            .finish_non_exhaustive()
    }
}

/// Why there was no answer; `received` is what had been received before the request.
fn unanswered(mut error: TrySendError<Request<RequestBody>>, mut exchange: Exchange, received: u64) -> SendFailure {
    let request = error.take_message().map(Box::new);
    let shared = exchange.shared();
    let has_answer = exchange.received() != received;
    let is_unasked = is_unasked(error.error());
    let rejection = shared.link.socket.rejection().map(str::to_owned);
    let rejection = rejection.filter(|_| !exchange.is_reused());
    let processed = if (is_unasked || rejection.is_some()) && !exchange.is_reused() {
        // It would do so on the next connection, too.
        Processed::Maybe
    } else if request.is_some() || exchange.is_unwritten() {
        Processed::No
    } else if exchange.is_reused() && !has_answer {
        Processed::Unknown
    } else {
        Processed::Maybe
    };
    let cause = if shared.is_timed_out.load(Ordering::Acquire) {
        if exchange.is_reused() && !has_answer {
            shared.link.home.suspect(&shared.link, shared.link.lent_at());
        }
        Cause::Deadline(exchange.phase())
    } else if shared.link.socket.reason() == Some(CloseReason::RuntimeGone) {
        Cause::RuntimeGone
    } else if is_unasked {
        Cause::Unasked
    } else if let Some(words) = rejection {
        Cause::Rejected(words)
    } else {
        Cause::Hyper(error.into_error())
    };
    exchange.close(CloseReason::Error);
    SendFailure {
        processed,
        request,
        cause,
        has_answer,
        calm: false,
    }
}

/// A bound of ours was reached; `heard` is what had been received in the middle of the wait.
fn too_late(late: Late, mut exchange: Exchange, received: u64, heard: u64) -> SendFailure {
    let processed = if exchange.is_unwritten() {
        Processed::No
    } else {
        Processed::Maybe
    };
    let has_answer = exchange.received() != received;
    exchange.late(heard);
    SendFailure {
        processed,
        request: None,
        cause: Cause::Late(late),
        has_answer,
        calm: false,
    }
}

/// Keeps the body back until the hold is opened, by `100 Continue` among others (RFC 9110 §10.1.1).
fn hold_body(request: &mut Request<RequestBody>) -> Arc<BodyHold> {
    let hold = request.body_mut().hold();
    let opened = Arc::clone(&hold);
    hyper::ext::on_informational(request, move |answer| {
        if answer.status() == StatusCode::CONTINUE {
            opened.open();
        }
    });
    hold
}

/// Waits for the answer; a server that has said nothing after `wait` gets the body all the same.
async fn unless_held<A>(mut answer: Pin<Box<A>>, wait: Duration, hold: Arc<BodyHold>) -> A::Output
where
    A: Future + ?Sized,
{
    if let Ok(answered) = tokio::time::timeout(wait, answer.as_mut()).await {
        return answered;
    }
    hold.open();
    answer.await
}

/// Waits for the answer for as long as the bounds of the phases let it.
async fn in_time<A>(mut answer: Pin<Box<A>>, watch: &mut Watch, exchange: &Exchange) -> Result<A::Output, Late>
where
    A: Future + ?Sized,
{
    poll_fn(|cx| match answer.as_mut().poll(cx) {
        Poll::Ready(answered) => Poll::Ready(Ok(answered)),
        Poll::Pending => watch.poll_head(cx, || exchange.received()).map(Err),
    })
    .await
}

/// Whether the server sent bytes before the request was written. hyper has no other way to tell.
fn is_unasked(error: &hyper::Error) -> bool {
    use std::error::Error as _;
    error.is_canceled()
        && error
            .source()
            .is_some_and(|source| source.to_string() == "received unexpected message from connection")
}
