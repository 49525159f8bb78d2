//! The futures that hyper spawns for an HTTP/2 connection, polled by the connection's own task.
//!
//! hyper spawns one that owns the socket, and one for each request. As tasks of tokio's they would cost each request a task,
//! three more turns of the scheduler, and the memory of a future as large as a connection. Here a request's future takes the
//! room that an earlier one has left, and all of them take their turns within one poll.
//!
//! ```text
//! hyper ── execute ──► Crew: come, rung ◄── Bell ── whatever wakes a future
//!                        └── wakes, unless it is at it ──► the task ── Watch::poll ──► each that was rung for
//! ```
//!
//! A future whose request bears the caller's own stream becomes a task of its own all the same: what the caller's code takes
//! its time for must not keep other answers from being read.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

/// Futures polled in one poll of the task, before others of the runtime have their turn.
const MOST_AT_ONCE: usize = 64;

/// Rooms that are kept for later futures: about 1.5 KB each.
const MOST_SPARE: usize = 2;

/// What hyper spawns by.
#[derive(Clone, Default)]
pub(super) struct Crew(Arc<Inner>);

#[derive(Default)]
struct Inner {
    state: Mutex<State>,
    /// The connection's task.
    task: OnceLock<Waker>,
    /// Requests under way that bear a stream of the caller's.
    uploads: AtomicUsize,
}

#[derive(Default)]
struct State {
    /// Futures that have no seat yet.
    come: Vec<Box<dyn Room>>,
    /// Rooms without a future.
    spare: Vec<Box<dyn Room>>,
    /// Seats that were rung for.
    rung: Vec<usize>,
    /// The task looks at all this before it waits.
    is_at_it: bool,
    /// The task has ended.
    is_over: bool,
}

/// A future, or the room for one.
trait Room: Send {
    /// Whether it is through. It is dropped then.
    fn poll(&mut self, cx: &mut Context<'_>) -> bool;
    fn as_any(&mut self) -> &mut dyn Any;
}

struct RoomOf<F>(Pin<Box<Option<F>>>);

impl<F> Room for RoomOf<F>
where
    F: Future + Send + 'static,
{
    fn poll(&mut self, cx: &mut Context<'_>) -> bool {
        // A waker that panics, in whatever executor it is at home, is one request's harm.
        let polled = catch_unwind(AssertUnwindSafe(|| {
            let future = self.0.as_mut().as_pin_mut();
            let is_over = future.is_none_or(|future| future.poll(cx).is_ready());
            if is_over {
                self.0.set(None);
            }
            is_over
        }));
        polled.unwrap_or_else(|_| {
            tracing::error!("a future of an HTTP/2 connection panicked");
            let _ = catch_unwind(AssertUnwindSafe(|| self.0.set(None)));
            true
        })
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ring(&self, seat: usize) {
        let mut state = self.lock();
        if !state.is_over {
            state.rung.push(seat);
            self.wake(state);
        }
    }

    fn wake(&self, state: MutexGuard<'_, State>) {
        let is_at_it = state.is_at_it;
        drop(state);
        if !is_at_it && let Some(task) = self.task.get() {
            task.wake_by_ref();
        }
    }
}

impl<F> hyper::rt::Executor<F> for Crew
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, future: F) {
        if self.0.uploads.load(Ordering::Acquire) > 0 {
            // Boxed: its type has room for a whole connection, and each request's copy of it would be moved nine times.
            drop(tokio::spawn(Box::pin(future)));
            return;
        }
        // All in one piece: whatever it were handed to would copy it once more.
        let mut state = self.0.lock();
        if state.is_over {
            drop(state);
            return drop(future);
        }
        let mut spare = state.spare.pop();
        let room = spare
            .as_mut()
            .and_then(|room| room.as_any().downcast_mut::<RoomOf<F>>());
        match room {
            Some(room) => {
                room.0.set(Some(future));
                state.come.extend(spare);
            }
            None => state.come.push(Box::new(RoomOf(Box::pin(Some(future))))),
        }
        self.0.wake(state);
    }
}

/// While it lives, what hyper spawns becomes a task of its own.
pub(super) struct Upload(Crew);

impl Crew {
    /// The task that polls all of it, `first` included. One for a crew.
    pub(super) fn watch(self, first: impl Future + Send + 'static) -> Watch {
        let mut watch = Watch {
            crew: self,
            seats: Vec::new(),
            free: Vec::new(),
            rung: Vec::new(),
            living: 0,
        };
        let seat = add_seat(&mut watch.seats, &watch.crew);
        watch.seats[seat].give(Box::new(RoomOf(Box::pin(Some(first)))));
        watch.living = 1;
        watch.crew.0.lock().rung.push(seat);
        watch
    }

    /// A request bears a stream of the caller's.
    pub(super) fn upload(&self) -> Upload {
        self.0.uploads.fetch_add(1, Ordering::AcqRel);
        Upload(self.clone())
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        self.0.0.uploads.fetch_sub(1, Ordering::AcqRel);
    }
}

/// What wakes a future: it is to be polled.
struct Bell {
    crew: Crew,
    seat: usize,
    is_rung: AtomicBool,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.is_rung.swap(true, Ordering::AcqRel) {
            self.crew.0.ring(self.seat);
        }
    }
}

struct Seat {
    room: Option<Box<dyn Room>>,
    bell: Arc<Bell>,
    /// The bell's.
    waker: Waker,
}

/// Polls the futures of a connection; over when the last of them is. Dropping it drops them.
#[must_use = "nothing is polled by itself"]
pub(super) struct Watch {
    crew: Crew,
    seats: Vec<Seat>,
    /// Seats without a future.
    free: Vec<usize>,
    /// Seats to be polled.
    rung: Vec<usize>,
    /// Seats with a future.
    living: usize,
}

/// The seat of the future that the watch began with. Nobody else gets it.
const FIRST: usize = 0;

impl Watch {
    /// Drops the future that it began with, if it is there.
    pub(super) fn drop_first(&mut self) {
        if let Some(room) = self.seats[FIRST].room.take() {
            self.living -= 1;
            drop(room);
        }
    }

    /// Gives each that has come a seat, and takes over who was rung for. Whether there is anybody.
    fn look(&mut self) -> bool {
        let mut state = self.crew.0.lock();
        std::mem::swap(&mut self.rung, &mut state.rung);
        while let Some(room) = state.come.pop() {
            let seat = self.free.pop().unwrap_or_else(|| add_seat(&mut self.seats, &self.crew));
            self.seats[seat].give(room);
            self.living += 1;
            self.rung.push(seat);
        }
        state.is_at_it = !self.rung.is_empty();
        state.is_at_it
    }

    fn poll_seat(&mut self, number: usize) {
        let seat = &mut self.seats[number];
        // Before the poll: what rings during it is to be heard.
        seat.bell.is_rung.store(false, Ordering::Release);
        let Some(room) = &mut seat.room else { return };
        if !room.poll(&mut Context::from_waker(&seat.waker)) {
            return;
        }
        self.living -= 1;
        if number == FIRST {
            seat.room = None;
            return;
        }
        self.free.push(number);
        let mut state = self.crew.0.lock();
        if state.spare.len() < MOST_SPARE {
            state.spare.extend(seat.room.take());
            return;
        }
        drop(state);
        seat.room = None;
    }
}

impl Seat {
    fn give(&mut self, room: Box<dyn Room>) {
        self.room = Some(room);
        self.bell.is_rung.store(true, Ordering::Release);
    }
}

/// One seat more, and its number.
fn add_seat(seats: &mut Vec<Seat>, crew: &Crew) -> usize {
    let seat = seats.len();
    let bell = Arc::new(Bell {
        crew: crew.clone(),
        seat,
        is_rung: AtomicBool::new(false),
    });
    let waker = Waker::from(Arc::clone(&bell));
    let room = None;
    seats.push(Seat { room, bell, waker });
    seat
}

impl Future for Watch {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        this.crew.0.task.get_or_init(|| cx.waker().clone());
        let mut polled = 0;
        while this.look() {
            for next in 0..this.rung.len() {
                this.poll_seat(this.rung[next]);
            }
            polled += this.rung.len();
            this.rung.clear();
            if polled >= MOST_AT_ONCE {
                this.crew.0.lock().is_at_it = false;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
        if this.living == 0 {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let left = {
            let mut state = self.crew.0.lock();
            state.is_over = true;
            state.rung.clear();
            (std::mem::take(&mut state.come), std::mem::take(&mut state.spare))
        };
        drop(left);
        self.seats.clear();
    }
}

#[cfg(test)]
mod tests;
