//! Where HTTP/2 streams wait whose requests were taken back.
//!
//! To drop one resets it on the wire, and servers take many resets for an attack ("rapid reset") and close the
//! connection under everybody. So only so many are dropped at once and a second; the others stay here, places and all,
//! until a token is there or they have ended by themselves. The request fails at once all the same.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use super::bucket::Bucket;
use super::h2::Shared;
use super::signs::Bar;
use super::socket::may_stand_still;
use super::stream::Remains;
use super::{CloseReason, Place};

/// The parked streams of one connection.
#[derive(Default)]
pub(super) struct Parking {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    bucket: Bucket,
    parked: VecDeque<Parked>,
    /// Whether a task looks after them. There is one while somebody is parked.
    is_attended: bool,
}

// In this order: the stream goes before its place is given back.
type Parked = (Remains, Place);

/// Drops a stream that nobody waits for any more, as soon as that may be.
pub(super) fn let_go(mut remains: Remains, place: Place) {
    let is_harmless = remains.has_ended();
    let shared = Arc::clone(place.shared());
    let mut parked = Some((remains, place));
    if is_harmless {
        return;
    }
    if shared.parking.admit(&mut parked) {
        let shared = Some(Arc::clone(&shared));
        let attendant = Attendant { shared };
        let runtime = attendant.shared().runtime.clone();
        // Many futures are polled in a round; none must be taken for pending because others used the budget up.
        drop(runtime.spawn(tokio::task::unconstrained(attendant.attend())));
    }
    if may_stand_still(&shared.runtime) {
        shared.close_if_forsaken();
    }
}

impl Shared {
    /// Closes the connection if all that it bears is parked: on a runtime that stands still it would keep its slot under a
    /// cap for as long.
    fn close_if_forsaken(&self) {
        let is_forsaken = || self.in_use() <= self.parking.lock().parked.len();
        if self.in_use() > 0 && is_forsaken() {
            self.end();
            // Nobody comes any more.
            if is_forsaken() {
                self.link.socket.set_reason(CloseReason::Cancelled);
                self.link.socket.cut();
            }
        }
    }
}

impl Parking {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the stream in, unless it may be dropped at once. Says whether the task that looks after it is to be started.
    fn admit(&self, stream: &mut Option<Parked>) -> bool {
        let now = Instant::now();
        let mut state = self.lock();
        let may_go = match stream {
            // An upload that went on here would look complete in the end.
            Some((_, place)) if place.is_uploading() => {
                state.bucket.charge(now);
                true
            }
            _ => state.parked.is_empty() && state.bucket.take(now),
        };
        if may_go {
            return false;
        }
        state.parked.extend(stream.take());
        !std::mem::replace(&mut state.is_attended, true)
    }

    /// Takes out what may go, and says when to look again.
    fn round(&self, shared: &Shared) -> (Vec<Parked>, Option<Instant>) {
        // Polled outside the lock, which is also taken where requests are dropped.
        let mut parked = std::mem::take(&mut self.lock().parked);
        let mut over = Vec::new();
        let mut rest = VecDeque::with_capacity(parked.len());
        for mut stream in parked.drain(..) {
            if stream.0.has_ended() {
                over.push(stream);
            } else {
                rest.push_back(stream);
            }
        }
        let now = Instant::now();
        let mut state = self.lock();
        rest.append(&mut state.parked);
        state.parked = rest;
        // Nobody is left whom a closed connection would harm.
        if shared.signs.has(Bar::Retired) && shared.in_use() <= over.len() + state.parked.len() {
            over.extend(state.parked.drain(..));
        }
        while !state.parked.is_empty() && state.bucket.take(now) {
            over.extend(state.parked.pop_front());
        }
        state.is_attended = !state.parked.is_empty();
        let next = state.is_attended.then(|| state.bucket.next(now));
        (over, next)
    }
}

/// Looks after the parked streams. If it is dropped with its runtime, so are they: they hold the connection, and it them.
struct Attendant {
    shared: Option<Arc<Shared>>,
}

impl Attendant {
    fn shared(&self) -> &Arc<Shared> {
        self.shared.as_ref().expect("only its end takes it")
    }

    async fn attend(mut self) {
        loop {
            let (over, next) = self.shared().parking.round(self.shared());
            let Some(next) = next else {
                self.shared = None;
                return drop(over);
            };
            drop(over);
            tokio::time::sleep_until(next).await;
        }
    }
}

impl Drop for Attendant {
    fn drop(&mut self) {
        if let Some(shared) = self.shared.take() {
            let parked = {
                let mut state = shared.parking.lock();
                state.is_attended = false;
                std::mem::take(&mut state.parked)
            };
            drop(parked);
        }
    }
}
