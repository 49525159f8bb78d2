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
//! tokio's semaphore is the limit and its fair queue; here is only the bound on the queue. It counts those who run and those
//! who wait together: whoever is next has a place from the moment at which one is given back, though its task has not run yet.

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
    /// Those who run or wait.
    inside: AtomicUsize,
    /// How many may wait; `None` is without bound.
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
            inside: AtomicUsize::new(0),
            queue,
        })
    }

    /// Those who wait.
    #[cfg(test)]
    fn waiting(&self) -> usize {
        let running = self.most - self.running.available_permits();
        self.inside.load(Ordering::Relaxed) - running
    }

    /// Whether nobody holds or wants a place, so that it may be forgotten. For [`Hosts`](super::hosts::Hosts).
    pub fn is_at_rest(&self) -> bool {
        self.inside.load(Ordering::Relaxed) == 0
    }

    /// Whether who comes now would have to wait.
    pub fn is_full(&self) -> bool {
        self.running.available_permits() == 0
    }

    /// A place without waiting; none while others wait.
    pub fn try_admit(self: &Arc<Self>) -> Option<Place> {
        let permit = self.running.try_acquire().ok()?;
        self.inside.fetch_add(1, Ordering::Relaxed);
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
        let waits = Waits::enter(self).ok_or(Shed::QueueFull)?;
        let turn = self.running.acquire();
        let permit = match deadline {
            Some(deadline) => tokio::time::timeout_at(deadline, turn)
                .await
                .map_err(|_| Shed::Deadline)?,
            None => turn.await,
        };
        waits.stays();
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
        // First, lest somebody else finds the queue full whose first has a place already.
        self.inside.fetch_sub(1, Ordering::Relaxed);
        self.running.add_permits(1);
    }
}

/// One in the queue.
struct Waits<'a>(&'a AtomicUsize);

impl Waits<'_> {
    fn enter(limit: &Limit) -> Option<Waits<'_>> {
        let most = limit.queue.map_or(usize::MAX, |queue| limit.most.saturating_add(queue));
        let entered = |inside: usize| (inside < most).then_some(inside + 1);
        let inside = &limit.inside;
        let entered = inside.fetch_update(Ordering::Relaxed, Ordering::Relaxed, entered);
        entered.ok().map(|_| Waits(inside))
    }

    /// It has a place, and counts on.
    fn stays(self) {
        std::mem::forget(self);
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

    #[tokio::test(start_paused = true)]
    async fn whoever_has_a_place_waits_no_more_though_it_has_not_run_yet() {
        let limit = Limit::new(2, Some(2));
        let running = [limit.admit(None).await.unwrap(), limit.admit(None).await.unwrap()];
        let waiting = [(); 2].map(|()| {
            let limit = Arc::clone(&limit);
            tokio::spawn(async move { limit.admit(None).await.unwrap() })
        });
        tokio::task::yield_now().await;
        assert_eq!(limit.waiting(), 2);
        // Both places are theirs now. Nobody has polled them since.
        drop(running);
        let soon = Some(Instant::now() + Duration::from_secs(1));
        let (third, fourth, fifth) = tokio::join!(limit.admit(soon), limit.admit(soon), limit.admit(None));
        assert_eq!([third.unwrap_err(), fourth.unwrap_err()], [Shed::Deadline; 2]);
        assert_eq!(fifth.unwrap_err(), Shed::QueueFull, "two wait, and no more may");
        for each in waiting {
            drop(each.await.unwrap());
        }
        assert!(limit.is_at_rest());
    }
}
