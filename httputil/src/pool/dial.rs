//! A dial: it serves the pool, and so outlives the request that began it.

use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::counters::Counters;
use super::shared::Inner;
use super::state::Dial;
use crate::connect::DialFailure;
use crate::error::Kind;
use crate::wire::{Connection, H1, Home, Place, Seat, open};

/// What a dial outside the queue brings.
pub(super) enum Fresh {
    H1(H1),
    Place(Place),
    Failed(DialFailure),
}

/// Starts a dial whose connection goes to whoever waits first.
pub(super) fn start(pool: &Arc<Inner>, dial: Dial) {
    let pending = Pending::new(pool, dial);
    let handle = pending.dial.key.handle.clone();
    handle.spawn(async move {
        let result = pending.run().await;
        let pool = Arc::clone(&pending.pool);
        let host = pending.dial.seat.host;
        match result {
            Ok(connection) => {
                pending.succeed();
                Counters::add(&pool.counters.dialled);
                let link = Arc::clone(match &connection {
                    Connection::H1(h1) => h1.link(),
                    Connection::H2(h2) => h2.link(),
                });
                pool.with_state(|state, todo| match connection {
                    Connection::H1(h1) => state.dialled_exclusive(host, h1, Instant::now(), todo),
                    Connection::H2(h2) => state.dialled_shared(host, h2, Instant::now(), todo),
                });
                pool.settle_race(&link);
            }
            Err(failure) => pending.fail(&failure),
        }
    });
}

/// Starts a dial whose connection goes to one request, by the channel.
pub(super) fn start_fresh(pool: &Arc<Inner>, dial: Dial, sender: oneshot::Sender<Fresh>) {
    let pending = Pending::new(pool, dial);
    let handle = pending.dial.key.handle.clone();
    handle.spawn(async move {
        let result = pending.run().await;
        let pool = Arc::clone(&pending.pool);
        let host = pending.dial.seat.host;
        let connection = match result {
            Ok(connection) => connection,
            Err(failure) => {
                pending.fail(&failure);
                let _ = sender.send(Fresh::Failed(failure));
                return;
            }
        };
        pending.succeed();
        Counters::add(&pool.counters.dialled);
        pool.with_state(|state, _| state.end_fresh(host, true));
        let back = match connection {
            Connection::H1(h1) => sender.send(Fresh::H1(h1)),
            Connection::H2(h2) => {
                let place = h2.try_acquire();
                let link = Arc::clone(h2.link());
                pool.with_state(|state, todo| state.add_shared(host, h2, Instant::now(), todo));
                pool.settle_race(&link);
                match place {
                    Some(place) => sender.send(Fresh::Place(place)),
                    None => sender.send(Fresh::Failed(DialFailure::new(
                        Kind::Protocol,
                        "the server allows no stream on a new HTTP/2 connection",
                    ))),
                }
            }
        };
        // The request has gone: the connection serves the pool.
        if let Err(Fresh::H1(h1)) = back {
            pool.ready(h1);
        }
    });
}

/// A dial under way. However it ends, even by a panic or with its runtime, the pool hears of it.
struct Pending {
    pool: Arc<Inner>,
    dial: Dial,
    is_over: bool,
}

impl Pending {
    fn new(pool: &Arc<Inner>, dial: Dial) -> Pending {
        Counters::add(&pool.counters.dials_started);
        Pending {
            pool: Arc::clone(pool),
            dial,
            is_over: false,
        }
    }

    async fn run(&self) -> Result<Connection, DialFailure> {
        let home: Arc<dyn Home> = Arc::clone(&self.pool) as _;
        open(
            &self.pool.connector,
            &self.dial.key.target,
            &self.dial.progress,
            home,
            self.dial.seat,
        )
        .await
    }

    fn succeed(mut self) {
        self.is_over = true;
    }

    fn fail(mut self, failure: &DialFailure) {
        self.is_over = true;
        self.report(failure);
    }

    fn report(&self, failure: &DialFailure) {
        self.pool.counters.dial_failed(failure.kind);
        tracing::debug!(pool = %self.pool.name, "dial failed: {}", failure.message);
        let Dial {
            seat: Seat { host, .. },
            waiter,
            ..
        } = self.dial;
        self.pool.with_state(|state, _| {
            if waiter == u64::MAX {
                state.end_fresh(host, false);
            } else {
                state.dial_failed(host, waiter, failure);
            }
        });
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if self.is_over {
            return;
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
