//! A request that was put on an HTTP/1 connection, until the head of its answer has come.
//!
//! Written by hand: an `async` block holds what it was given beside what it makes of that, and a request's future is moved
//! with all of it.

use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};

use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;

use super::exchange::Exchange;
use super::phases::Watch;
use super::stream::Answer;
use super::upgrade::Asked;
use super::{Cause, CloseReason, Late, PooledBody, Processed, RequestBody, SendFailure};

const ONCE: &str = "it is not polled again when it is over";

/// An answer that is awaited. Dropping it closes the connection: HTTP/1 has no other way to take a request back.
#[must_use = "nobody hears of an answer that is not awaited"]
pub(crate) struct Awaited {
    pub(super) answer: Answer,
    /// Gone when the answer has come.
    pub(super) exchange: Option<Exchange>,
    pub(super) watch: Option<Box<Watch>>,
    /// Bytes that had been received before the request.
    pub(super) received: u64,
    /// The other protocol that the request asks for.
    pub(super) asked: Option<Asked>,
}

impl Awaited {
    /// Waits for the head of the answer. The rest is put into `body`, and not handed up with it: it is larger, and would be
    /// moved at each step.
    pub(crate) fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        body: &mut PooledBody,
    ) -> Poll<Result<Response<()>, SendFailure>> {
        match self.answer.as_mut().poll(cx) {
            Poll::Pending => self.poll_late(cx).map(Err),
            Poll::Ready(Ok(response)) => Poll::Ready(self.answered(response, body)),
            Poll::Ready(Err(error)) => {
                let exchange = self.exchange.take().expect(ONCE);
                Poll::Ready(Err(unanswered(error, exchange, self.received)))
            }
        }
    }

    /// Whether a bound of ours is reached before the answer is there.
    fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<SendFailure> {
        let (Some(watch), Some(exchange)) = (&mut self.watch, &self.exchange) else {
            return Poll::Pending;
        };
        let late = ready!(watch.poll_head(cx, || exchange.received()));
        let exchange = self.exchange.take().expect(ONCE);
        Poll::Ready(self.too_late(late, exchange))
    }

    fn answered(&mut self, response: Response<Incoming>, body: &mut PooledBody) -> Result<Response<()>, SendFailure> {
        let mut exchange = self.exchange.take().expect(ONCE);
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            let asked = self.asked.take();
            if asked.as_ref().is_some_and(|asked| asked.is_granted_by(&response)) {
                exchange.hand_over();
                *body = PooledBody::ended();
                return Ok(response.map(drop));
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
        let watch = self.watch.take();
        Ok(response.map(|incoming| *body = PooledBody::h1(incoming, exchange, watch)))
    }

    /// A bound of ours was reached.
    fn too_late(&self, late: Late, mut exchange: Exchange) -> SendFailure {
        let has_answer = exchange.received() != self.received;
        // What had been received in the middle of the wait.
        let heard = self.watch.as_ref().map_or(0, |watch| watch.heard());
        let is_unwritten = exchange.late(heard);
        SendFailure {
            processed: if is_unwritten { Processed::No } else { Processed::Maybe },
            request: None,
            cause: Cause::Late(late),
            has_answer,
            calm: false,
        }
    }
}

/// Why there was no answer; `received` is what had been received before the request.
fn unanswered(mut error: TrySendError<Request<RequestBody>>, mut exchange: Exchange, received: u64) -> SendFailure {
    let request = error.take_message().map(Box::new);
    let shared = exchange.shared();
    let has_answer = exchange.received() != received;
    let is_unasked = is_unasked(error.error());
    let rejection = shared.link.socket.rejection().cloned();
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
    } else if let Some(rejection) = rejection {
        Cause::Rejected(Box::new(rejection))
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

/// Whether the server sent bytes before the request was written. hyper has no other way to tell.
fn is_unasked(error: &hyper::Error) -> bool {
    use std::error::Error as _;
    error.is_canceled()
        && error
            .source()
            .is_some_and(|source| source.to_string() == "received unexpected message from connection")
}
