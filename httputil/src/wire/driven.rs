//! What the holder of an HTTP/1 connection and its driver share.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Waker;

use hyper::client::conn::http1;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::engine::{Connection, Engine, Sender};
use super::head::HeadSigns;
use super::terms::Terms;
use super::{H1, Held, Link};

pub(super) const NO_DEADLINE: u64 = u64::MAX;

pub(super) struct Shared {
    pub(super) link: Arc<Link>,
    /// Deadlines are kept as nanoseconds after this instant.
    pub(super) epoch: Instant,
    pub(super) deadline: AtomicU64,
    /// What the driver's timer is set to, in the same way.
    pub(super) armed: AtomicU64,
    pub(super) is_timed_out: AtomicBool,
    /// Bytes of HTTP received, above TLS.
    pub(super) received: Arc<AtomicU64>,
    pub(super) head: Arc<HeadSigns>,
    pub(super) driver: OnceLock<AbortHandle>,
    /// The driver's, once it has been polled.
    pub(super) waker: OnceLock<Waker>,
    pub(super) runtime: Handle,
    pub(super) is_polling: AtomicBool,
    /// A connection whose exchange is over and that hyper is not ready to use again.
    pub(super) has_settling: AtomicBool,
    settling: Mutex<Option<H1Parts>>,
    under_way: Mutex<UnderWay>,
    engine: Mutex<Engine>,
    builder: http1::Builder,
    /// The sender of a connection that is to hibernate, until its driver has seen to that. Taken under the engine's lock,
    /// so that either the driver has it or who wakes the connection.
    drowsy: Mutex<Option<Sender>>,
    pub(super) is_drowsy: AtomicBool,
    /// A sleeper that nobody wants any more.
    pub(super) is_let_go: AtomicBool,
}

/// What the driver's end takes from the exchange under way.
#[derive(Default)]
pub(super) struct UnderWay {
    /// A request that is put into hyper's queue in the very moment in which the driver drops it comes back only with the
    /// last sender.
    pub(super) sender: Option<Sender>,
    pub(super) held: Held,
}

pub(super) struct H1Parts {
    pub(super) sender: Sender,
    pub(super) terms: Terms,
}

impl Shared {
    pub(super) fn new(
        builder: http1::Builder,
        connection: Connection,
        link: Arc<Link>,
        received: Arc<AtomicU64>,
        head: Arc<HeadSigns>,
    ) -> Arc<Shared> {
        Arc::new(Shared {
            link,
            epoch: Instant::now(),
            deadline: AtomicU64::new(NO_DEADLINE),
            armed: AtomicU64::new(NO_DEADLINE),
            is_timed_out: AtomicBool::new(false),
            received,
            head,
            driver: OnceLock::new(),
            waker: OnceLock::new(),
            runtime: Handle::current(),
            is_polling: AtomicBool::new(false),
            has_settling: AtomicBool::new(false),
            settling: Mutex::new(None),
            under_way: Mutex::default(),
            engine: Mutex::new(Engine::running(connection)),
            builder,
            drowsy: Mutex::new(None),
            is_drowsy: AtomicBool::new(false),
            is_let_go: AtomicBool::new(false),
        })
    }

    pub(super) fn engine(&self) -> MutexGuard<'_, Engine> {
        self.engine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Option<H1Parts>> {
        self.settling.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps the sender of an exchange, unless the driver has ended.
    pub(super) fn keep(&self, sender: Sender) {
        self.under_way().sender = Some(sender);
        if self.link.is_gone() {
            drop(self.take_back());
        }
    }

    /// Keeps what its request holds, unless the driver has ended.
    pub(super) fn hold(&self, held: Held) {
        self.under_way().held = held;
        if self.link.is_gone() {
            drop(self.take_back());
        }
    }

    pub(super) fn let_go(&self) -> Held {
        std::mem::take(&mut self.under_way().held)
    }

    pub(super) fn take_back(&self) -> UnderWay {
        std::mem::take(&mut *self.under_way())
    }

    fn under_way(&self) -> MutexGuard<'_, UnderWay> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_deadline(&self, deadline: Option<Instant>) {
        let nanos = deadline.map_or(NO_DEADLINE, |deadline| self.nanos(deadline));
        self.deadline.store(nanos, Ordering::SeqCst);
    }

    /// Sets another one in the middle of an exchange, when the driver has no reason of its own to look at it.
    pub(super) fn move_deadline(&self, deadline: Instant) {
        self.set_deadline(Some(deadline));
        // It looks again when its timer is over, and that may be soon enough.
        if self.armed.load(Ordering::SeqCst) > self.nanos(deadline) {
            self.wake_driver();
        }
    }

    fn nanos(&self, deadline: Instant) -> u64 {
        u64::try_from(deadline.saturating_duration_since(self.epoch).as_nanos()).unwrap_or(NO_DEADLINE)
    }

    /// Brings a settled connection home.
    pub(super) fn settle(self: &Arc<Self>) {
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
        self.link.home.ready(H1::new(sender, Arc::clone(self), terms));
    }
}

/// Hibernation.
impl Shared {
    /// The connection is to hibernate, once its driver is woken.
    pub(super) fn doze(&self, sender: Sender) {
        *self.drowsy.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender);
        self.is_drowsy.store(true, Ordering::SeqCst);
    }

    fn take_drowsy(&self) -> Option<Sender> {
        self.is_drowsy.store(false, Ordering::SeqCst);
        self.drowsy.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The driver's part, between two polls of hyper's. `false` if the connection turned out to be of no use.
    pub(super) fn fall_asleep(&self, engine: &mut Engine) -> bool {
        match self.take_drowsy() {
            Some(sender) if sender.is_ready() => engine.fall_asleep(),
            // Not at rest: to drop the sender closes it.
            _ => true,
        }
    }

    /// The connection is wanted for a request.
    pub(super) fn wake(&self) -> Option<Sender> {
        let mut engine = self.engine();
        if let Some(sender) = self.take_drowsy() {
            return Some(sender);
        }
        let sender = engine.wake(&self.builder)?;
        drop(engine);
        self.wake_driver();
        Some(sender)
    }

    fn wake_driver(&self) {
        if let Some(waker) = self.waker.get() {
            waker.wake_by_ref();
        }
    }
}

/// Where a connection sleeps. Dropping it closes the connection politely, as dropping a sender does.
pub(super) struct Bed(Option<Arc<Shared>>);

impl Bed {
    pub(super) fn new(shared: &Arc<Shared>) -> Bed {
        Bed(Some(Arc::clone(shared)))
    }

    /// The connection is awake.
    pub(super) fn left(mut self) {
        self.0 = None;
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        let Some(shared) = self.0.take() else { return };
        shared.is_let_go.store(true, Ordering::SeqCst);
        drop(shared.take_drowsy());
        shared.wake_driver();
    }
}
