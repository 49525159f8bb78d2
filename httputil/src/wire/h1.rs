//! An HTTP/1 connection: one exchange at a time, and a driver of our own around hyper's.
//!
//! The driver does two things that hyper's does not. It keeps the deadline of the exchange under way, so that a
//! response that nobody reads still ends in time and no request pays for a timer: one sleep a connection, set anew only
//! when a nearer deadline comes. And it hands the connection home when an exchange is over, but only after hyper's poll
//! has returned: until then hyper may hold bytes behind the answer that it has not complained about yet, and a request
//! written over them would take them for its answer.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;
use tokio::time::{Instant, Sleep};

use super::counted::Wire;
use super::drain;
use super::request::Completion;
use super::terms::Terms;
use super::{Cause, CloseReason, Link, Peek, PooledBody, Processed, RequestBody, SendFailure, SocketHandle};

type Sender = http1::SendRequest<RequestBody>;

/// The right to put the next request on an HTTP/1 connection. Dropping it closes the connection politely.
pub(crate) struct H1 {
    sender: Sender,
    shared: Arc<Shared>,
    terms: Terms,
}

struct Shared {
    link: Arc<Link>,
    /// Deadlines are kept as nanoseconds after this instant.
    epoch: Instant,
    deadline: AtomicU64,
    is_timed_out: AtomicBool,
    /// Bytes of HTTP received, above TLS.
    received: Arc<AtomicU64>,
    driver: OnceLock<AbortHandle>,
    runtime: Handle,
    is_polling: AtomicBool,
    /// A connection whose exchange is over and that hyper is not ready to use again.
    has_settling: AtomicBool,
    settling: Mutex<Option<H1Parts>>,
    /// The sender of the exchange under way. Kept here, so that the driver's end ends it, too: a request that is put into
    /// hyper's queue in the very moment in which the driver drops it comes back only with the last sender.
    sending: Mutex<Option<Sender>>,
}

struct H1Parts {
    sender: Sender,
    terms: Terms,
}

const NO_DEADLINE: u64 = u64::MAX;

impl H1 {
    /// Puts a driver around hyper's connection and starts it on the current runtime.
    pub(super) fn start(
        sender: Sender,
        connection: http1::Connection<Wire, RequestBody>,
        link: Arc<Link>,
        received: Arc<AtomicU64>,
        max_requests: Option<u32>,
    ) -> H1 {
        let shared = Arc::new(Shared {
            link,
            epoch: Instant::now(),
            deadline: AtomicU64::new(NO_DEADLINE),
            is_timed_out: AtomicBool::new(false),
            received,
            driver: OnceLock::new(),
            runtime: Handle::current(),
            is_polling: AtomicBool::new(false),
            has_settling: AtomicBool::new(false),
            settling: Mutex::new(None),
            sending: Mutex::new(None),
        });
        let driver = Driver {
            connection,
            shared: Arc::clone(&shared),
            sleep: Box::pin(tokio::time::sleep_until(shared.epoch)),
            armed: NO_DEADLINE,
            is_finished: false,
        };
        let _ = shared.driver.set(tokio::spawn(driver).abort_handle());
        H1 {
            sender,
            shared,
            terms: Terms::new(max_requests),
        }
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

    /// Closes the connection politely (a TLS close, then FIN), for `reason`.
    pub(crate) fn retire(self, reason: CloseReason) {
        self.socket().set_reason(reason);
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
        request: Request<RequestBody>,
        deadline: Option<Instant>,
    ) -> impl Future<Output = Result<Response<PooledBody>, SendFailure>> + Send + use<> {
        let completion = request.body().completion();
        let written = self.socket().written();
        let received = self.shared.received.load(Ordering::Relaxed);
        // Before the request, whose arrival makes the driver look at the deadline.
        self.shared.set_deadline(deadline);
        self.terms.begin(request.headers());
        // The one box on a request's way: hyper's future has room for the request itself, and each future around it would
        // be moved with that room (measured: 6 000 instructions a request).
        let H1 {
            mut sender,
            shared,
            terms,
        } = self;
        let answer = Box::pin(sender.try_send_request(request));
        shared.keep(sender);
        let mut exchange = Exchange {
            lent: Some(Lent { shared, terms }),
            completion,
            written,
            is_kept: false,
        };
        // The request is on its way; what is left to wait for is small.
        async move {
            match answer.await {
                Ok(response) => {
                    if let Some(why) = exchange.completion.late_failure() {
                        exchange.close(CloseReason::Error);
                        return Err(SendFailure::of_body(why));
                    }
                    exchange.answered(&response);
                    Ok(response.map(|body| PooledBody::h1(body, exchange)))
                }
                Err(mut error) => {
                    let request = error.take_message().map(Box::new);
                    let shared = exchange.shared();
                    let has_answer = shared.received.load(Ordering::Relaxed) != received;
                    let is_unasked = is_unasked(error.error());
                    let processed = if is_unasked && !exchange.is_reused() {
                        // It would do so on the next connection, too.
                        Processed::Maybe
                    } else if request.is_some() || shared.link.socket.written() == written {
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
                        Cause::Deadline
                    } else if shared.link.socket.reason() == Some(CloseReason::RuntimeGone) {
                        Cause::RuntimeGone
                    } else if is_unasked {
                        Cause::Unasked
                    } else {
                        Cause::Hyper(error.into_error())
                    };
                    exchange.close(CloseReason::Error);
                    Err(SendFailure {
                        processed,
                        request,
                        cause,
                        has_answer,
                        calm: false,
                    })
                }
            }
        }
    }

    /// The exchange is over; the connection goes home as soon as hyper can use it again.
    fn settle(self) {
        let shared = Arc::clone(&self.shared);
        let link = &shared.link;
        shared.set_deadline(None);
        let is_polling = shared.is_polling.load(Ordering::SeqCst);
        if !is_polling && self.sender.is_ready() {
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
        let H1 { sender, shared, terms } = self;
        *shared.lock() = Some(H1Parts { sender, terms });
        shared.has_settling.store(true, Ordering::SeqCst);
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

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Option<H1Parts>> {
        self.settling.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps the sender of an exchange, unless the driver has ended.
    fn keep(&self, sender: Sender) {
        *self.sending.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender);
        if self.link.is_gone() {
            drop(self.take_back());
        }
    }

    fn take_back(&self) -> Option<Sender> {
        self.sending.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn set_deadline(&self, deadline: Option<Instant>) {
        let nanos = deadline.map_or(NO_DEADLINE, |deadline| {
            u64::try_from(deadline.saturating_duration_since(self.epoch).as_nanos()).unwrap_or(NO_DEADLINE)
        });
        self.deadline.store(nanos, Ordering::Release);
    }

    /// Brings a settled connection home.
    fn settle(self: &Arc<Self>) {
        if !self.has_settling.load(Ordering::SeqCst) {
            return;
        }
        let mut settling = self.lock();
        let Some(parts) = settling.take_if(|parts| parts.sender.is_ready() || parts.sender.is_closed()) else {
            drop(settling);
            self.link.home.unsettled(&self.link);
            return;
        };
        self.has_settling.store(false, Ordering::SeqCst);
        drop(settling);
        if parts.sender.is_closed() {
            return;
        }
        let H1Parts { sender, terms } = parts;
        self.link.home.ready(H1 {
            sender,
            shared: Arc::clone(self),
            terms,
        });
    }
}

/// A connection whose sender lies with the driver.
struct Lent {
    shared: Arc<Shared>,
    terms: Terms,
}

impl Lent {
    fn socket(&self) -> &SocketHandle {
        &self.shared.link.socket
    }

    /// Closes the connection at once.
    fn abort(self, reason: CloseReason) {
        self.socket().set_reason(reason);
        drop(self.shared.take_back());
        if let Some(driver) = self.shared.driver.get() {
            driver.abort();
        }
    }
}

/// An exchange under way. Dropping it without a verdict closes the connection.
pub(super) struct Exchange {
    lent: Option<Lent>,
    completion: Completion,
    written: u64,
    /// Whether the server means to keep the connection, once it has answered with a body.
    is_kept: bool,
}

impl Exchange {
    fn shared(&self) -> &Shared {
        &self
            .lent
            .as_ref()
            .expect("an exchange holds its connection until its verdict")
            .shared
    }

    /// Whether the peer may have closed the connection before the request came, since it was used or idle before.
    fn is_reused(&self) -> bool {
        self.lent
            .as_ref()
            .is_some_and(|lent| lent.terms.uses() > 1 || lent.shared.link.has_rested())
    }

    /// The head of the answer has come.
    fn answered(&mut self, response: &Response<Incoming>) {
        if let Some(lent) = &mut self.lent {
            lent.terms.answered(response.headers());
        }
        self.is_kept = !response.body().is_end_stream() && drain::is_kept_after(response);
    }

    /// Where the rest of the answer is to be read, if the connection could be used again then.
    pub(super) fn runtime(&self) -> Option<&Handle> {
        let lent = self.lent.as_ref()?;
        let is_of_use = self.is_kept && lent.terms.spent().is_none() && self.has_left(lent);
        is_of_use.then_some(&lent.shared.runtime)
    }

    /// Whether the request has left.
    fn has_left(&self, lent: &Lent) -> bool {
        self.completion.has_left(lent.socket().written() - self.written)
    }

    /// Bytes of HTTP received on the connection so far.
    pub(super) fn received(&self) -> u64 {
        self.shared().received.load(Ordering::Relaxed)
    }

    pub(super) fn is_timed_out(&self) -> bool {
        self.lent
            .as_ref()
            .is_some_and(|lent| lent.shared.is_timed_out.load(Ordering::Acquire))
    }

    /// The answer has been read to its end: the connection goes home, if the request is through too.
    pub(super) fn complete(&mut self) {
        let Some(lent) = self.lent.take() else { return };
        if !self.has_left(&lent) {
            return lent.abort(CloseReason::EarlyResponse);
        }
        let Lent { shared, terms } = lent;
        // Without a sender the driver has ended.
        if let Some(sender) = shared.take_back() {
            H1 { sender, shared, terms }.settle();
        }
    }

    pub(super) fn close(&mut self, reason: CloseReason) {
        if let Some(lent) = self.lent.take() {
            lent.abort(reason);
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.close(CloseReason::Cancelled);
    }
}

/// Whether the server sent bytes before the request was written. hyper has no other way to tell.
fn is_unasked(error: &hyper::Error) -> bool {
    use std::error::Error as _;
    error.is_canceled()
        && error
            .source()
            .is_some_and(|source| source.to_string() == "received unexpected message from connection")
}

struct Driver {
    connection: http1::Connection<Wire, RequestBody>,
    shared: Arc<Shared>,
    sleep: Pin<Box<Sleep>>,
    /// The deadline that `sleep` is set to.
    armed: u64,
    is_finished: bool,
}

impl Driver {
    /// Whether the exchange under way is out of time.
    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let deadline = self.shared.deadline.load(Ordering::Acquire);
            // Only a nearer deadline sets the sleep anew; one that has moved away is looked at when the sleep is over.
            if deadline < self.armed {
                self.armed = deadline;
                self.sleep
                    .as_mut()
                    .reset(self.shared.epoch + Duration::from_nanos(deadline));
            }
            if self.armed == NO_DEADLINE || self.sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            if deadline <= self.armed {
                return Poll::Ready(());
            }
            self.armed = NO_DEADLINE;
        }
    }
}

impl Future for Driver {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        this.shared.is_polling.store(true, Ordering::SeqCst);
        if this.poll_deadline(cx).is_ready() {
            this.shared.is_timed_out.store(true, Ordering::Release);
            this.shared.link.socket.set_reason(CloseReason::Timeout);
            this.is_finished = true;
            return Poll::Ready(());
        }
        match Pin::new(&mut this.connection).poll(cx) {
            Poll::Ready(result) => {
                let reason = if result.is_ok() {
                    CloseReason::PeerClosed
                } else {
                    CloseReason::Error
                };
                this.shared.link.socket.set_reason(reason);
                this.is_finished = true;
                Poll::Ready(())
            }
            Poll::Pending => {
                this.shared.is_polling.store(false, Ordering::SeqCst);
                this.shared.settle();
                Poll::Pending
            }
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if !self.is_finished {
            self.shared.link.socket.set_reason(CloseReason::RuntimeGone);
        }
        // From here on nobody looks for a settled connection; `is_polling` stays set only for those that come later.
        self.shared.is_polling.store(false, Ordering::SeqCst);
        let settled = self.shared.lock().take();
        drop(settled);
        self.shared.link.retired();
        // After the mark that it sets: whoever keeps a sender later sees that.
        drop(self.shared.take_back());
    }
}
