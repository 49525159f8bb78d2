//! How many requests run at once, and how many may wait for their turn.
//!
//! ```
//! use std::time::Duration;
//!
//! use httputil::policy::limit::{Limit, Shed};
//! use tokio::time::Instant;
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
//! // Two at once, and one who may wait.
//! let limit = Limit::new(2, Some(1));
//! let first = limit.admit(None).await.expect("there is a place");
//! let second = limit.admit(None).await.expect("there is another");
//! // The third waits, until its own time is over or a place is given back; the fourth is told at once.
//! let soon = Instant::now() + Duration::from_millis(10);
//! let (third, fourth) = tokio::join!(limit.admit(Some(soon)), limit.admit(None));
//! assert_eq!((third.unwrap_err(), fourth.unwrap_err()), (Shed::Deadline, Shed::QueueFull));
//! drop(first);
//! assert!(limit.try_admit().is_some());
//! # });
//! ```
//!
//! tokio's semaphore is the limit and its fair queue; here is only the bound on the queue, and the line that nobody
//! crosses twice: one who goes while waiting leaves both.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use crate::wire::{Counts, Holding};

/// One limit.
#[derive(Debug)]
pub struct Limit {
    most: usize,
    running: Semaphore,
    waiting: AtomicUsize,
    /// `None` is without bound.
    queue: Option<usize>,
}

/// A place among those who run, until it is dropped: by whatever way, it lets the next one run.
#[derive(Debug)]
#[must_use = "a place that is dropped is given back"]
pub struct Place(pub(crate) Holding);

/// Why a request was not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Shed {
    /// As many wait as may.
    QueueFull,
    /// Its time was over while it waited.
    Deadline,
}

impl Limit {
    /// `most` at once, which its places share; `queue` may wait, 0 is none, `None` any number. With a `most` of 0 nobody ever
    /// runs.
    pub fn new(most: usize, queue: Option<usize>) -> Arc<Limit> {
        let most = most.min(Semaphore::MAX_PERMITS);
        Arc::new(Limit {
            most,
            running: Semaphore::new(most),
            waiting: AtomicUsize::new(0),
            queue,
        })
    }

    /// Those who wait.
    #[cfg(test)]
    fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Whether nobody holds or wants a place, so that it may be forgotten. For [`Hosts`](super::hosts::Hosts).
    pub fn is_at_rest(&self) -> bool {
        self.running.available_permits() == self.most && self.waiting.load(Ordering::Relaxed) == 0
    }

    /// Whether who comes now would have to wait.
    pub fn is_full(&self) -> bool {
        self.running.available_permits() == 0
    }

    /// A place without waiting; none while others wait.
    pub fn try_admit(self: &Arc<Self>) -> Option<Place> {
        let permit = self.running.try_acquire().ok()?;
        Some(self.taken(permit))
    }

    fn taken(self: &Arc<Self>, permit: SemaphorePermit<'_>) -> Place {
        permit.forget();
        Place(Holding::of(Arc::clone(self) as Arc<dyn Counts>))
    }

    /// Waits for the turn, first come, first served, until the deadline at most.
    ///
    /// Dropping the future leaves the queue.
    ///
    /// # Errors
    ///
    /// That as many wait as may, at once, or that the deadline has come.
    ///
    /// # Panics
    ///
    /// Where it has to wait until a deadline outside of a tokio runtime whose clock is on.
    pub async fn admit(self: &Arc<Self>, deadline: Option<Instant>) -> Result<Place, Shed> {
        if let Some(permit) = self.try_admit() {
            return Ok(permit);
        }
        let Some(_waits) = Waits::take(&self.waiting, self.queue) else {
            return Err(Shed::QueueFull);
        };
        let turn = self.running.acquire();
        let permit = match deadline {
            Some(deadline) => tokio::time::timeout_at(deadline, turn)
                .await
                .map_err(|_| Shed::Deadline)?,
            None => turn.await,
        };
        Ok(self.taken(permit.expect("nobody closes the semaphore")))
    }
}

impl fmt::Display for Shed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Shed::QueueFull => "not admitted: the limit is reached, and as many wait as may",
            Shed::Deadline => "not admitted: the time was over while it waited for its turn",
        })
    }
}

impl std::error::Error for Shed {}

impl Counts for Limit {
    fn gone(&self) {
        self.running.add_permits(1);
    }
}

/// One in the queue.
struct Waits<'a>(&'a AtomicUsize);

impl Waits<'_> {
    fn take(waiting: &AtomicUsize, queue: Option<usize>) -> Option<Waits<'_>> {
        let most = queue.unwrap_or(usize::MAX);
        waiting
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |waiting| {
                (waiting < most).then_some(waiting + 1)
            })
            .ok()
            .map(|_| Waits(waiting))
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn no_more_run_than_may_and_the_rest_wait_in_line() {
        let limit = Limit::new(2, None);
        let first = limit.admit(None).await.unwrap();
        let _second = limit.admit(None).await.unwrap();
        let served = Arc::new(std::sync::Mutex::new(Vec::new()));
        let mut waiting = tokio::task::JoinSet::new();
        for number in 0..3 {
            let (limit, served) = (Arc::clone(&limit), Arc::clone(&served));
            waiting.spawn(async move {
                let _permit = limit.admit(None).await.unwrap();
                served.lock().unwrap().push(number);
            });
            tokio::task::yield_now().await;
        }
        assert_eq!(limit.waiting(), 3);
        drop(first);
        waiting.join_all().await;
        assert_eq!(*served.lock().unwrap(), [0, 1, 2]);
        assert_eq!(limit.waiting(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_queue_sheds_at_once_and_a_deadline_in_time() {
        let limit = Limit::new(1, Some(1));
        let _running = limit.admit(None).await.unwrap();
        let deadline = Instant::now() + Duration::from_secs(1);
        let (waits, shed) = tokio::join!(limit.admit(Some(deadline)), limit.admit(None));
        assert_eq!(shed.unwrap_err(), Shed::QueueFull);
        assert_eq!(waits.unwrap_err(), Shed::Deadline);
        assert_eq!(Instant::now(), deadline);
        assert_eq!(limit.waiting(), 0);
        assert_eq!(Limit::new(0, Some(0)).admit(None).await.unwrap_err(), Shed::QueueFull);
    }

    #[tokio::test(start_paused = true)]
    async fn one_who_goes_while_waiting_leaves_the_queue() {
        let limit = Limit::new(1, Some(1));
        let running = limit.admit(None).await.unwrap();
        let waits = tokio::spawn({
            let limit = Arc::clone(&limit);
            async move { limit.admit(None).await.map(drop) }
        });
        tokio::task::yield_now().await;
        waits.abort();
        assert!(waits.await.unwrap_err().is_cancelled());
        assert_eq!(limit.waiting(), 0);
        drop(running);
        assert!(limit.admit(None).await.is_ok());
    }
}
