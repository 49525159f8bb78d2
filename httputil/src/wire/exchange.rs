//! An HTTP/1 exchange under way: the connection is lent to one request, until the answer's end decides what becomes of it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use http::Response;
use http_body::Body;
use hyper::body::Incoming;
use tokio::runtime::Handle;
use tokio::time::Instant;

use super::driven::{Shared, UnderWay};
use super::request::Completion;
use super::terms::Terms;
use super::{CloseReason, H1, Held, SocketHandle, drain};
use crate::error::Phase;

/// A connection whose sender lies with the driver.
pub(super) struct Lent {
    pub(super) shared: Arc<Shared>,
    pub(super) terms: Terms,
}

impl Lent {
    fn socket(&self) -> &SocketHandle {
        &self.shared.link.socket
    }

    /// Closes the connection at once, whether or not its driver runs: it would hold a cap for as long as it does not.
    fn abort(self, reason: CloseReason) {
        self.socket().set_reason(reason);
        self.socket().cut();
        let UnderWay { sender, held } = self.shared.take_back();
        drop(sender);
        if let Some(driver) = self.shared.driver.get() {
            driver.abort();
        }
        drop(held);
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
    pub(super) fn new(lent: Lent, completion: Completion, written: u64) -> Exchange {
        Exchange {
            lent: Some(lent),
            completion,
            written,
            is_kept: false,
        }
    }

    /// Why the exchange fails although it was answered, if it does.
    pub(super) fn late_failure(&self) -> Option<&'static str> {
        self.completion.late_failure()
    }

    pub(super) fn shared(&self) -> &Shared {
        &self
            .lent
            .as_ref()
            .expect("an exchange holds its connection until its verdict")
            .shared
    }

    /// Whether the peer may have closed the connection before the request came, since it was used or idle before.
    pub(super) fn is_reused(&self) -> bool {
        self.lent
            .as_ref()
            .is_some_and(|lent| lent.terms.uses() > 1 || lent.shared.link.has_rested())
    }

    /// The head of the answer has come.
    pub(super) fn answered(&mut self, response: &Response<Incoming>) {
        if let Some(lent) = &mut self.lent {
            lent.terms.answered(response);
            if lent.shared.head.is_odd() {
                lent.terms.end();
            }
        }
        self.is_kept = !response.body().is_end_stream() && drain::is_kept_after(response);
    }

    /// What the request holds is given back when the exchange is over, whoever ends it.
    pub(super) fn hold(&self, held: Held) {
        self.shared().hold(held);
    }

    /// What it holds is given back, although the rest of the answer may be read yet.
    pub(super) fn let_go(&self) {
        drop(self.shared().let_go());
    }

    /// Where the rest of the answer is to be read, if the connection could be used again then.
    pub(super) fn runtime(&self) -> Option<&Handle> {
        let lent = self.lent.as_ref()?;
        let is_of_use = self.is_kept && lent.terms.spent().is_none() && self.has_left(lent);
        is_of_use.then_some(&lent.shared.runtime)
    }

    /// What is being waited for until the head comes.
    pub(super) fn phase(&self) -> Phase {
        if self.lent.as_ref().is_none_or(|lent| self.has_left(lent)) {
            Phase::ResponseHeader
        } else {
            Phase::Write
        }
    }

    /// Whether the request has left.
    fn has_left(&self, lent: &Lent) -> bool {
        self.completion.has_left(lent.socket().written() - self.written)
    }

    /// Bytes of HTTP received on the connection so far.
    pub(super) fn received(&self) -> u64 {
        self.shared().received.load(Ordering::Relaxed)
    }

    /// Whether not one byte of the request was written.
    pub(super) fn is_unwritten(&self) -> bool {
        self.shared().link.socket.written() == self.written
    }

    /// A bound of ours ends the exchange. A peer that was silent on a connection that may be stale may be gone, and others
    /// with it: `received` is what had come by the middle of the wait. Whether not one byte of the request was written, nor will
    /// be.
    pub(super) fn late(&mut self, received: u64) -> bool {
        let shared = self.shared();
        if self.is_reused() && shared.received.load(Ordering::Relaxed) == received {
            shared.link.home.suspect(&shared.link, shared.link.lent_at());
        }
        let socket = self.shared().link.socket.clone();
        self.close(CloseReason::Timeout);
        // Behind the close: until then the driver may write.
        socket.written() == self.written
    }

    /// Bounds the rest of the answer.
    pub(super) fn bound(&self, deadline: Instant) {
        self.shared().move_deadline(deadline);
    }

    pub(super) fn is_timed_out(&self) -> bool {
        self.lent
            .as_ref()
            .is_some_and(|lent| lent.shared.is_timed_out.load(Ordering::Acquire))
    }

    pub(super) fn is_runtime_gone(&self) -> bool {
        self.shared().link.socket.reason() == Some(CloseReason::RuntimeGone)
    }

    /// The answer has been read to its end: the connection goes home, if the request is through too.
    pub(super) fn complete(&mut self) {
        let Some(lent) = self.lent.take() else { return };
        if !self.has_left(&lent) {
            return lent.abort(CloseReason::EarlyResponse);
        }
        let Lent { shared, terms } = lent;
        let UnderWay { sender, held } = shared.take_back();
        // Without a sender the driver has ended.
        if let Some(sender) = sender {
            H1::new(sender, shared, terms).settle();
        }
        drop(held);
    }

    /// The connection belongs to another protocol now, and leaves the pool for good.
    pub(super) fn hand_over(&mut self) {
        if let Some(lent) = self.lent.take() {
            lent.socket().set_reason(CloseReason::Upgraded);
            drop(lent.shared.take_back());
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
