//! The task that drives an HTTP/1 connection, around hyper's.
//!
//! It does what hyper's does not. It keeps the deadline of the exchange under way, so that a response that nobody reads
//! still ends in time and no request pays for a timer: one sleep a connection, set anew only when a nearer deadline comes.
//! It hands the connection home when an exchange is over, but only after hyper's poll has returned: until then hyper may
//! hold bytes behind the answer that it has not complained about yet, and a request written over them would take them for
//! its answer. And it lets the connection hibernate, and watches a sleeper for the peer's close.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Sleep;

use super::CloseReason;
use super::driven::{NO_DEADLINE, Shared, UnderWay};
use super::engine::Engine;

pub(super) struct Driver {
    shared: Arc<Shared>,
    /// Set to what is `armed`.
    sleep: Pin<Box<Sleep>>,
    /// Whether it has been polled since it was set.
    is_awaited: bool,
    is_finished: bool,
}

impl Driver {
    /// Starts it on the current runtime.
    pub(super) fn start(shared: &Arc<Shared>) {
        let driver = Driver {
            shared: Arc::clone(shared),
            sleep: Box::pin(tokio::time::sleep_until(shared.epoch)),
            is_awaited: false,
            is_finished: false,
        };
        let _ = shared.driver.set(tokio::spawn(driver).abort_handle());
    }

    /// Whether the exchange under way is out of time.
    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Shared {
            epoch, deadline, armed, ..
        } = &*self.shared;
        loop {
            let deadline = deadline.load(Ordering::SeqCst);
            let mut until = armed.load(Ordering::Relaxed);
            // Only a nearer deadline sets the sleep anew; one that has moved away is looked at when the sleep is over.
            if deadline < until {
                until = deadline;
                armed.store(until, Ordering::SeqCst);
                self.sleep.as_mut().reset(*epoch + Duration::from_nanos(deadline));
                self.is_awaited = false;
            }
            if until == NO_DEADLINE || (self.is_awaited && !self.sleep.is_elapsed()) {
                return Poll::Pending;
            }
            // From then on it wakes this task, and need not be polled again for that.
            self.is_awaited = true;
            if self.sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            if deadline <= until {
                return Poll::Ready(());
            }
            armed.store(NO_DEADLINE, Ordering::SeqCst);
        }
    }
}

impl Driver {
    /// At the connection's end, says why it ended if that is known.
    fn poll_engine(&mut self, cx: &mut Context<'_>) -> Poll<Option<CloseReason>> {
        let shared = &self.shared;
        let mut engine = shared.engine();
        loop {
            if shared.is_let_go.load(Ordering::SeqCst) {
                engine.close();
            }
            // Not where an answer may give the stream away.
            if matches!(*engine, Engine::Running(_)) {
                shared.head.dry.begin();
            }
            let polled = engine.poll(cx);
            shared.head.dry.end();
            if polled.is_ready() || !shared.is_drowsy.load(Ordering::SeqCst) {
                return polled;
            }
            if !shared.fall_asleep(&mut engine) {
                return Poll::Ready(Some(CloseReason::Error));
            }
        }
    }
}

impl Future for Driver {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        this.shared.is_polling.store(true, Ordering::SeqCst);
        this.shared.waker.get_or_init(|| cx.waker().clone());
        if this.poll_deadline(cx).is_ready() {
            this.shared.is_timed_out.store(true, Ordering::Release);
            this.shared.link.socket.set_reason(CloseReason::Timeout);
            this.is_finished = true;
            return Poll::Ready(());
        }
        match this.poll_engine(cx) {
            Poll::Ready(reason) => {
                if let Some(reason) = reason {
                    this.shared.link.socket.set_reason(reason);
                }
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
        let UnderWay { sender, held } = self.shared.take_back();
        drop(sender);
        let engine = std::mem::replace(&mut *self.shared.engine(), Engine::Ended);
        drop(engine);
        drop(held);
    }
}
