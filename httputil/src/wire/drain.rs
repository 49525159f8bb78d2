//! The rest of an HTTP/1 body that nobody wants.
//!
//! A connection can be used again only when the answer on it has been read to its end. Where little is left, reading it
//! costs less than a new connection; where much is left, or it comes slowly, the connection is closed. What counts is
//! bytes on the wire, so that nothing that a decompressor or a chunk's extension would make of them matters.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use http::header::{CONNECTION, TRANSFER_ENCODING};
use http::{Response, Version};
use http_body::Body;
use hyper::body::Incoming;

use super::CloseReason;
use super::exchange::Exchange;
use super::socket::may_stand_still;
use super::terms::has_length;

/// Bytes that are read at most.
const MOST: u64 = 64 << 10;
/// Time that it may take.
const LONGEST: Duration = Duration::from_millis(50);

/// Whether the server means to keep the connection after this answer (RFC 9112 §9.3), as far as its head tells.
pub(super) fn is_kept_after(response: &Response<Incoming>) -> bool {
    let says = |word: &str| {
        let values = response.headers().get_all(CONNECTION).into_iter();
        let mut tokens = values
            .filter_map(|value| value.to_str().ok())
            .flat_map(|v| v.split(','));
        tokens.any(|token| token.trim().eq_ignore_ascii_case(word))
    };
    // As most answers: to look a name up costs more than to compare lengths.
    let is_silent = !has_length(response.headers(), [CONNECTION.as_str().len()]);
    let is_persistent = if response.version() == Version::HTTP_11 {
        is_silent || !says("close")
    } else {
        !is_silent && says("keep-alive")
    };
    // A body without a length ends with its connection.
    let has_length = response.body().size_hint().exact().is_some();
    is_persistent && (has_length || response.headers().contains_key(TRANSFER_ENCODING))
}

/// The body is dropped before its end: the connection is kept if the rest is little and comes at once, else closed.
///
/// May be called outside the connection's runtime, where what has not come yet is read.
pub(super) fn finish(incoming: Incoming, mut exchange: Exchange) {
    let is_little = incoming.size_hint().exact().is_none_or(|left| left <= MOST);
    let Some(runtime) = exchange.runtime().filter(|_| is_little).cloned() else {
        return exchange.close(CloseReason::HalfRead);
    };
    let mut rest = Rest {
        before: exchange.received(),
        incoming,
        exchange,
    };
    // Most of what is little has come with the head, and needs no task. Nobody else might run one.
    match rest.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Pending if !may_stand_still(&runtime) => drop(runtime.spawn(rest.drain())),
        drained => rest.finish(drained == Poll::Ready(true)),
    }
}

struct Rest {
    incoming: Incoming,
    exchange: Exchange,
    /// What had been received when nobody wanted it any more.
    before: u64,
}

impl Rest {
    async fn drain(mut self) {
        let drained = tokio::time::timeout(LONGEST, poll_fn(|cx| self.poll(cx))).await;
        self.finish(drained == Ok(true));
    }

    fn finish(mut self, is_whole: bool) {
        if is_whole {
            self.exchange.complete();
        } else {
            self.exchange.close(CloseReason::HalfRead);
        }
    }

    /// Reads it to its end; says whether it is whole then.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        loop {
            if self.exchange.received() - self.before > MOST {
                return Poll::Ready(false);
            }
            if let Some(is_whole) = ready!(poll(&mut self.incoming, cx)) {
                return Poll::Ready(is_whole);
            }
        }
    }
}

/// Reads a piece; says when it was the last one, and whether the body is whole then.
fn poll(incoming: &mut Incoming, cx: &mut Context<'_>) -> Poll<Option<bool>> {
    Poll::Ready(match ready!(Pin::new(&mut *incoming).poll_frame(cx)) {
        None => Some(true),
        Some(Err(_)) => Some(false),
        Some(Ok(_)) => incoming.is_end_stream().then_some(true),
    })
}
