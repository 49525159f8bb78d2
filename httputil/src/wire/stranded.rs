//! HTTP/2 requests that wait within h2 for a stream that the peer does not allow.
//!
//! Places are given out by the limit that the peer has set, and the peer may lower it before a request is written. h2 holds
//! that request back until a stream of those under way has ended. If the limit is zero and none is under way, only other
//! SETTINGS would let it out, and hyper, which waits for that, hears neither that the request was taken back nor that
//! the connection is to end. So a connection that has stood so for a while is given up: what it bears was never written, and
//! is sent elsewhere.
//!
//! The rule: a request counts as unwritten only if that is certain, by the number of its stream (see [`turn`](super::turn)).

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::Sleep;

use super::CloseReason;
use super::h2::Shared;
use super::signs::Bar;

/// A peer that takes no stream may take some a moment later.
const PATIENCE: Duration = Duration::from_secs(1);

/// Looks, while the peer takes no stream, whether anything can still come of the connection.
#[derive(Default)]
pub(super) struct Strand {
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Strand {
    /// Waits for the connection to be of no use to anybody, which only its driver's end lets end then.
    pub(super) fn poll(&mut self, shared: &Shared, cx: &mut Context<'_>) -> Poll<()> {
        if shared.signs.limit() > 0 {
            self.sleep = None;
            return Poll::Pending;
        }
        loop {
            if shared.in_use() == 0 {
                self.sleep = None;
                return if shared.signs.has(Bar::Retired) {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                };
            }
            let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep(PATIENCE)));
            ready!(sleep.as_mut().poll(cx));
            self.sleep = None;
            if shared.gives_up() {
                return Poll::Ready(());
            }
        }
    }
}

impl Shared {
    /// Closes the connection if none of the requests that it bears has been written.
    fn gives_up(&self) -> bool {
        if !self.signs.turns.written_are_over(&self.signs) {
            return false;
        }
        let socket = &self.link.socket;
        socket.set_reason(CloseReason::PeerClosed);
        // From here on nothing is written any more: what was not, was not for good.
        socket.cut();
        self.signs.strand();
        // What h2 was given hears of the end by the task that reads, which the socket wakes no more.
        self.signs.wake_reader();
        true
    }
}
