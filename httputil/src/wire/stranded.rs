//! HTTP/2 requests that wait within h2 for a stream that the peer does not allow.
//!
//! Places are given out by the limit that the peer has set, and the peer may lower it before a request is written. h2 holds
//! that request back until a stream of those under way has ended. If the limit is zero and none is under way, only other
//! SETTINGS would let it out, and hyper, which waits for that, hears neither that the request was taken back nor that
//! the connection is to end. So a connection that has stood so for a while is given up: what it bears was never written, and
//! is sent elsewhere.
//!
//! The rule: a request counts as unwritten only if that is certain. h2 numbers streams in the order in which hyper was given
//! requests, and leaves out those that were taken back before, so that a request is never behind the place in the line that
//! it had when it was given to hyper. One that is taken back while so many streams have not been written may never be.

use std::pin::Pin;
use std::sync::atomic::Ordering;
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
        if !self.bears_none_written() {
            return false;
        }
        let socket = &self.link.socket;
        socket.set_reason(CloseReason::PeerClosed);
        // From here on nothing is written any more: what was not, was not for good.
        socket.cut();
        if self.bears_none_written() {
            self.signs.strand();
        }
        true
    }

    /// Whether for certain none of the requests that the connection bears has been written.
    fn bears_none_written(&self) -> bool {
        // In this order: what ends or is written meanwhile makes it less certain only.
        let given = self.uses.load(Ordering::SeqCst);
        let in_use = self.in_use();
        let written = self.signs.streams_written() + self.unsure.load(Ordering::SeqCst);
        // Whatever is over was written, but for those of which nobody knows.
        written + in_use <= given
    }
}
