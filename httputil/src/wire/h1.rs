//! An HTTP/1 connection: one exchange at a time.
//!
//! ```text
//! H1 ── send ──► Exchange ── the answer's end ──► settle ──► home
//!  │ doze ──► a sleeper ── wake ──► H1
//! ```
//!
//! Whoever holds the [`H1`] may send the next request. What moves the bytes is the connection's
//! [`driver`](super::driver); both meet in [`Shared`].

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Waker;
use std::time::Duration;

use http::{Request, StatusCode};
use hyper::client::conn::http1;
use tokio::time::Instant;

use super::driven::{Bed, H1Parts, Shared};
use super::driver::Driver;
use super::engine::{Connection, Sender};
use super::exchange::{Exchange, Lent};
use super::head::HeadSigns;
use super::manner::Hold as BodyHold;
use super::phases::Watch;
use super::stream::Answer;
use super::terms::Terms;
use super::upgrade::Asked;
use super::{Awaited, CloseReason, Link, Manner, Peek, Phases, RequestBody, SocketHandle};

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
    ) -> Awaited {
        let held = manner.expect.map(|wait| (wait, hold_body(&mut request)));
        let watch = phases.map(|phases| {
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
        let H1 { hold, shared, terms } = self;
        let Hold::Awake(mut sender) = hold else {
            unreachable!("the pool wakes a connection before it gives it away")
        };
        // The one box on a request's way: hyper's future has room for the request itself, and whatever holds it would be
        // moved with that room (measured: 6 000 instructions a request).
        let answer = Box::pin(sender.try_send_request(request));
        let answer: Answer = match held {
            None => answer,
            Some((wait, body)) => Box::pin(unless_held(answer, wait, body)),
        };
        shared.keep(sender);
        Awaited {
            answer,
            exchange: Some(Exchange::new(Lent { shared, terms }, completion, written)),
            watch,
            received,
            asked,
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
