//! The future of a dial, where whoever stops the dial can get at it.
//!
//! A runtime of one thread drives nothing while nobody blocks on it. A dial there would never hear that it is to stop, and
//! keep its slots for as long. So whoever stops a dial drops its future then and there, in their own thread. The rule:
//! they try its lock and never wait for it. If it is taken, the future is being driven at that moment, and whoever drives
//! it sees afterwards that it was stopped.

use std::pin::Pin;
use std::sync::{Arc, PoisonError, TryLockError};
use std::task::{Context, Poll, Waker};

use super::sync::{AtomicBool, Mutex, MutexGuard, Ordering};

/// Stops a dial.
#[derive(Default)]
pub(super) struct Stop {
    is_stopped: AtomicBool,
    course: Mutex<Option<Course>>,
}

/// What is to be driven, and the task that does.
struct Course {
    future: Pin<Box<dyn Future<Output = ()> + Send>>,
    driver: Option<Waker>,
}

impl Stop {
    pub(super) fn is_stopped(&self) -> bool {
        self.is_stopped.load(Ordering::SeqCst)
    }

    /// The future, for a task to drive. It is over when the dial is stopped, and goes with the task.
    pub(super) fn drive(self: Arc<Self>, future: impl Future<Output = ()> + Send + 'static) -> Driving {
        *self.lock() = Some(Course {
            future: Box::pin(future),
            driver: None,
        });
        Driving(self)
    }

    /// Drops the future, wherever its runtime is; while it is driven, whoever drives it does.
    ///
    /// Not to be called under the pool's lock: the future tells the pool of its end.
    pub(super) fn stop(&self) {
        self.is_stopped.store(true, Ordering::SeqCst);
        let course = match self.course.try_lock() {
            Ok(mut course) => course.take(),
            Err(TryLockError::Poisoned(course)) => course.into_inner().take(),
            Err(TryLockError::WouldBlock) => None,
        };
        if let Some(Course { future, driver }) = course {
            drop(future);
            // Its task has nothing more to do.
            if let Some(driver) = driver {
                driver.wake();
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Course>> {
        self.course.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stop")
            .field("is_stopped", &self.is_stopped())
            .finish_non_exhaustive()
    }
}

/// A dial that is driven.
pub(super) struct Driving(Arc<Stop>);

impl Future for Driving {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let stop = &self.0;
        let over = {
            let mut held = stop.lock();
            let is_over = match held.as_mut().filter(|_| !stop.is_stopped()) {
                Some(course) => {
                    course.driver = Some(cx.waker().clone());
                    course.future.as_mut().poll(cx).is_ready()
                }
                None => true,
            };
            is_over.then(|| held.take())
        };
        if over.is_some() {
            return Poll::Ready(());
        }
        // Whoever stopped it in the meantime may have found it being driven.
        if stop.is_stopped() {
            stop.stop();
            return Poll::Ready(());
        }
        Poll::Pending
    }
}

impl Drop for Driving {
    fn drop(&mut self) {
        let course = self.0.lock().take();
        drop(course);
    }
}
