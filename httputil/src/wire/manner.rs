//! How a request wants to be sent, beside what it says.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// What a request's own headers ask of its exchange.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Manner {
    /// An answer `101` gives the connection away (HTTP/1 only).
    pub(crate) upgrade: bool,
    /// The body waits so long for `100 Continue` (HTTP/1 only: over HTTP/2 hyper shows no such answer).
    pub(crate) expect: Option<Duration>,
    /// It bears headers that HTTP/2 has no place for.
    pub(crate) has_h1_headers: bool,
    /// It bears a login that none but a proxy may see.
    pub(crate) has_proxy_login: bool,
}

/// What a body waits at before its first byte.
#[derive(Debug, Default)]
pub(super) struct Hold {
    is_open: AtomicBool,
    waiting: Mutex<Option<Waker>>,
}

impl Hold {
    pub(super) fn open(&self) {
        self.is_open.store(true, Ordering::SeqCst);
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(waiting) = waiting {
            waiting.wake();
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.is_open.load(Ordering::SeqCst)
    }

    pub(super) fn poll_open(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_open() {
            return Poll::Ready(());
        }
        *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) = Some(cx.waker().clone());
        // It may have been opened in between.
        if self.is_open() { Poll::Ready(()) } else { Poll::Pending }
    }
}
