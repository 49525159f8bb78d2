//! A dial: it serves the pool, and so outlives the request that began it.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::time::Instant;

use super::counters::Counters;
use super::shared::{Inner, Making};
use super::state::Dial;
use crate::connect::{Answer, DialFailure, Router};
use crate::error::Kind;
use crate::wire::{Connection, Home, Seat, open};

/// Dials that are to be started, and whose they are.
type Waiting = VecDeque<(Arc<Inner>, Dial)>;

thread_local! {
    /// There while this thread starts a dial: those that are to be started after it.
    static NEXT: RefCell<Option<Waiting>> = const { RefCell::new(None) };
}

/// Starts a dial whose connection goes to whoever waits first.
///
/// A runtime that is shutting down drops it at once. Its slot then goes to the next in line, whose dial may be dropped
/// as well, and so on through the whole line. So they are started one after the other, and not one within the other.
pub(super) fn start(pool: &Arc<Inner>, dial: Dial) {
    let mut dial = Some(dial);
    let is_first = NEXT.try_with(|next| match &mut *next.borrow_mut() {
        Some(next) => {
            next.extend(dial.take().map(|dial| (Arc::clone(pool), dial)));
            false
        }
        first @ None => {
            *first = Some(VecDeque::new());
            true
        }
    });
    let _rest = if is_first == Ok(true) { Some(Rest) } else { None };
    if let Some(dial) = dial {
        spawn(pool, dial);
    }
}

/// Starts those that have to wait for a first one, also where a waker of somebody's panics in the midst of that.
struct Rest;

impl Drop for Rest {
    fn drop(&mut self) {
        while let Some((pool, dial)) = next() {
            spawn(&pool, dial);
        }
    }
}

/// The next dial to be started on this thread; if there is none, no other waits for it any more.
fn next() -> Option<(Arc<Inner>, Dial)> {
    let next = NEXT.try_with(|next| {
        let mut next = next.borrow_mut();
        let dial = next.as_mut()?.pop_front();
        if dial.is_none() {
            *next = None;
        }
        dial
    });
    next.ok().flatten()
}

fn spawn(pool: &Arc<Inner>, dial: Dial) {
    let pending = Pending::new(pool, dial);
    let (handle, stop) = (pending.dial.key.handle.clone(), Arc::clone(&pending.dial.stop));
    handle.spawn(stop.drive(async move {
        match pending.run().await {
            Ok(connection) => pending.succeed(connection),
            Err(failure) => pending.fail(&failure),
        }
    }));
}

/// A dial under way. However it ends, stopped or by a panic or with its runtime, the pool hears of it.
struct Pending {
    pool: Arc<Inner>,
    /// What the dial is made by, also where the pool has other settings meanwhile.
    making: Arc<Making>,
    dial: Dial,
    /// The address that it has reached, as the pool numbers them.
    site: AtomicU32,
    is_over: bool,
}

impl Router for Pending {
    fn route(&self, answer: Answer) -> Vec<SocketAddr> {
        if !self.making.spreads() {
            return answer.addresses;
        }
        self.pool
            .with_state(|state, todo| state.assign(&self.dial, answer, Instant::now(), todo))
    }

    fn reached(&self, address: Option<SocketAddr>) {
        if self.making.spreads() {
            let site = self
                .pool
                .with_state(|state, _| state.arrived(&self.dial, address, Instant::now()));
            self.site.store(site, Ordering::Relaxed);
        }
    }
}

impl Pending {
    fn new(pool: &Arc<Inner>, dial: Dial) -> Pending {
        Counters::add(&pool.counters.tally.dials_started);
        Counters::add(&dial.key.counters.tally.dials_started);
        Pending {
            pool: Arc::clone(pool),
            making: pool.world.making(),
            dial,
            site: AtomicU32::new(Seat::NO_SITE),
            is_over: false,
        }
    }

    async fn run(&self) -> Result<Connection, DialFailure> {
        let home: Arc<dyn Home> = Arc::clone(&self.pool) as _;
        open(
            &self.making.connector,
            &self.dial.key.target,
            &self.dial.key.route,
            &self.dial.progress,
            home,
            || Seat {
                site: self.site.load(Ordering::Relaxed),
                ..self.dial.seat.clone()
            },
            self,
        )
        .await
    }

    fn succeed(mut self, connection: Connection) {
        self.is_over = true;
        let (pool, dial) = (&self.pool, &self.dial);
        Counters::add(&pool.counters.tally.dialled);
        Counters::add(&dial.key.counters.tally.dialled);
        let link = Arc::clone(match &connection {
            Connection::H1(h1) => h1.link(),
            Connection::H2(h2) => h2.link(),
        });
        pool.with_state(|state, todo| match connection {
            Connection::H1(h1) => state.dialled_exclusive(dial, h1, Instant::now(), todo),
            Connection::H2(h2) => state.dialled_shared(dial, h2, Instant::now(), todo),
        });
        pool.settle_race(&*link);
    }

    fn fail(mut self, failure: &DialFailure) {
        self.is_over = true;
        self.report(failure);
    }

    fn give_way(&self) {
        let phase = self.dial.progress.phase();
        let message = format!("stopped, since nobody waited for it or another host needed its place, {phase}");
        self.count(&DialFailure::new(Kind::Connect, message));
        self.pool
            .with_state(|state, todo| state.dial_gave_way(&self.dial, Instant::now(), todo));
    }

    fn count(&self, failure: &DialFailure) {
        self.pool.counters.tally.dial_failed(failure.kind);
        self.dial.key.counters.tally.dial_failed(failure.kind);
        if failure.kind == Kind::Egress {
            Counters::add(&self.pool.counters.egress_refused);
        }
        tracing::debug!(pool = %self.pool.name, "dial failed: {}", failure.message);
    }

    fn report(&self, failure: &DialFailure) {
        self.count(failure);
        self.pool
            .with_state(|state, todo| state.dial_failed(&self.dial, failure, Instant::now(), todo));
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        if self.dial.stop.is_stopped() && !std::thread::panicking() {
            return self.give_way();
        }
        let phase = self.dial.progress.phase();
        let message = if std::thread::panicking() {
            format!("making the connection panicked, {phase}")
        } else {
            format!("the runtime shut down while the connection was being made, {phase}")
        };
        self.report(&DialFailure::new(Kind::Connect, message));
    }
}
