//! How many requests run at once, and how many may wait for their turn.
//!
//! tokio's semaphore is the limit and its fair queue; here is only the bound on the queue, and the line that nobody
//! crosses twice: one who goes while waiting leaves both.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use crate::wire::{Counts, Holding};

/// One limit.
#[derive(Debug)]
pub(crate) struct Limit {
    most: usize,
    running: Semaphore,
    waiting: AtomicUsize,
    /// `None` is without bound.
    queue: Option<usize>,
}

/// Why a request was not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shed {
    /// As many wait as may.
    QueueFull,
    /// Its time was over while it waited.
    Deadline,
}

impl Limit {
    /// `most` at once; `queue` may wait, 0 is none.
    pub(crate) fn new(most: usize, queue: Option<usize>) -> Limit {
        let most = most.min(Semaphore::MAX_PERMITS);
        Limit {
            most,
            running: Semaphore::new(most),
            waiting: AtomicUsize::new(0),
            queue,
        }
    }

    /// Those who wait.
    #[cfg(test)]
    fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Whether nobody holds or wants a place.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.running.available_permits() == self.most && self.waiting.load(Ordering::Relaxed) == 0
    }

    /// Whether who comes now would have to wait.
    pub(crate) fn is_full(&self) -> bool {
        self.running.available_permits() == 0
    }

    /// A place without waiting; none while others wait. To drop it, by whatever way, lets the next one run.
    pub(crate) fn try_admit(self: &Arc<Self>) -> Option<Holding> {
        let permit = self.running.try_acquire().ok()?;
        Some(self.taken(permit))
    }

    fn taken(self: &Arc<Self>, permit: SemaphorePermit<'_>) -> Holding {
        permit.forget();
        Holding::of(Arc::clone(self) as Arc<dyn Counts>)
    }

    /// Waits for the turn, first come, first served.
    ///
    /// Dropping the future leaves the queue.
    pub(crate) async fn admit(self: &Arc<Self>, deadline: Option<Instant>) -> Result<Holding, Shed> {
        if let Some(permit) = self.try_admit() {
            return Ok(permit);
        }
        let Some(_place) = Place::take(&self.waiting, self.queue) else {
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

impl Counts for Limit {
    fn gone(&self) {
        self.running.add_permits(1);
    }
}

/// A place in the queue.
struct Place<'a>(&'a AtomicUsize);

impl Place<'_> {
    fn take(waiting: &AtomicUsize, queue: Option<usize>) -> Option<Place<'_>> {
        let most = queue.unwrap_or(usize::MAX);
        waiting
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |waiting| {
                (waiting < most).then_some(waiting + 1)
            })
            .ok()
            .map(|_| Place(waiting))
    }
}

impl Drop for Place<'_> {
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
        let limit = Arc::new(Limit::new(2, None));
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
        let limit = Arc::new(Limit::new(1, Some(1)));
        let _running = limit.admit(None).await.unwrap();
        let deadline = Instant::now() + Duration::from_secs(1);
        let (waits, shed) = tokio::join!(limit.admit(Some(deadline)), limit.admit(None));
        assert_eq!(shed.unwrap_err(), Shed::QueueFull);
        assert_eq!(waits.unwrap_err(), Shed::Deadline);
        assert_eq!(Instant::now(), deadline);
        assert_eq!(limit.waiting(), 0);
        assert_eq!(
            Arc::new(Limit::new(0, Some(0))).admit(None).await.unwrap_err(),
            Shed::QueueFull
        );
    }

    #[tokio::test(start_paused = true)]
    async fn one_who_goes_while_waiting_leaves_the_queue() {
        let limit = Arc::new(Limit::new(1, Some(1)));
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
