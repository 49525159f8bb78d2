//! How fast requests go: a bucket that holds `burst` turns and is filled by the rate, and a line before it.
//!
//! ```
//! use std::time::Duration;
//!
//! use httputil::policy::rate::Rate;
//! use httputil::settings;
//! use tokio::time::Instant;
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
//! // Ten a second, two at once after a quiet time, and any number may wait.
//! let rate = Rate::new(settings::Rate::per_second(10), Some(2), None);
//! let began = Instant::now();
//! for _ in 0..4 {
//!     rate.admit(None).await?;
//! }
//! assert!(began.elapsed() >= Duration::from_millis(200), "the third and the fourth waited for 100 ms each");
//! # Ok::<(), httputil::policy::limit::Shed>(()) }).unwrap();
//! ```
//!
//! `governor`'s bucket is the same one (the generic cell rate algorithm). But those who wait for it are served in any
//! order, its clock is not tokio's, and it brings a dozen crates along for the ten lines that are here.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::limit::{Limit, Shed};
use crate::settings;

/// One rate. Its clock is tokio's.
#[derive(Debug)]
pub struct Rate {
    /// From one turn to the next.
    interval: Duration,
    /// How far ahead of the clock turns may be taken.
    ahead: Duration,
    bucket: Mutex<Bucket>,
    /// The first in line waits at the bucket, the others behind.
    line: Arc<Limit>,
    /// How many may wait; `None` is without bound.
    queue: Option<usize>,
}

#[derive(Debug)]
struct Bucket {
    /// When it is full again.
    full_at: Instant,
    /// Those in line, the first one included. Counted here, so that nobody who merely looks is taken for one who waits.
    waiting: usize,
}

/// One in line.
struct Waits<'a>(&'a Rate);

impl Rate {
    /// A turn after the other by the `rate`, and `burst` of them at once after a quiet time, at least one; `None` is as many as
    /// the rate names. `queue` may wait, 0 is none, `None` any number.
    pub fn new(rate: settings::Rate, burst: Option<u32>, queue: Option<usize>) -> Rate {
        let interval = rate.interval();
        let burst = burst.unwrap_or(rate.requests());
        Rate {
            interval,
            ahead: interval.saturating_mul(burst.saturating_sub(1)),
            bucket: Mutex::new(Bucket {
                full_at: Instant::now(),
                waiting: 0,
            }),
            line: Limit::new(1, None),
            queue,
        }
    }

    fn bucket(&self) -> MutexGuard<'_, Bucket> {
        self.bucket.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a turn, or says when there is one.
    fn take(&self, bucket: &mut Bucket, now: Instant) -> Result<(), Instant> {
        match bucket.full_at.checked_sub(self.ahead) {
            Some(turn) if turn > now => Err(turn),
            _ => {
                bucket.full_at = bucket.full_at.max(now) + self.interval;
                Ok(())
            }
        }
    }

    /// A turn without waiting, if there is one and nobody waits for it.
    pub fn try_admit(&self) -> bool {
        let mut bucket = self.bucket();
        bucket.waiting == 0 && self.take(&mut bucket, Instant::now()).is_ok()
    }

    /// Waits for the turn, first come, first served, until the deadline at most.
    ///
    /// Dropping the future leaves the line, and its turn to the next.
    ///
    /// # Errors
    ///
    /// That as many wait as may, at once, or that the deadline has come.
    ///
    /// # Panics
    ///
    /// Where it has to wait outside of a tokio runtime whose clock is on.
    pub async fn admit(&self, deadline: Option<Instant>) -> Result<(), Shed> {
        let waits = {
            let mut bucket = self.bucket();
            if bucket.waiting == 0 && self.take(&mut bucket, Instant::now()).is_ok() {
                return Ok(());
            }
            if self.queue.is_some_and(|queue| bucket.waiting >= queue) {
                return Err(Shed::QueueFull);
            }
            bucket.waiting += 1;
            Waits(self)
        };
        let _first = self.line.admit(deadline).await?;
        while let Err(turn) = waits.take() {
            match deadline {
                Some(deadline) if deadline < turn => {
                    tokio::time::sleep_until(deadline).await;
                    return Err(Shed::Deadline);
                }
                _ => tokio::time::sleep_until(turn).await,
            }
        }
        // It left the line with its turn.
        std::mem::forget(waits);
        Ok(())
    }
}

impl Waits<'_> {
    /// Takes a turn and leaves the line, or says when there is a turn.
    fn take(&self) -> Result<(), Instant> {
        let mut bucket = self.0.bucket();
        let turn = self.0.take(&mut bucket, Instant::now());
        bucket.waiting -= usize::from(turn.is_ok());
        turn
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.bucket().waiting -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(burst: u32, queue: Option<usize>) -> Arc<Rate> {
        Arc::new(Rate::new(settings::Rate::per_second(10), Some(burst), queue))
    }

    /// When so many that come at once have their turns, in the order in which they came.
    async fn turns(rate: &Arc<Rate>, many: usize) -> Vec<u128> {
        let began = Instant::now();
        let mut all = Vec::new();
        for _ in 0..many {
            let rate = Arc::clone(rate);
            all.push(tokio::spawn(async move {
                rate.admit(None).await.unwrap();
                Instant::now()
            }));
            tokio::task::yield_now().await;
        }
        let mut turns = Vec::new();
        for each in all {
            turns.push(each.await.unwrap().duration_since(began).as_millis());
        }
        turns
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_goes_at_once_and_the_rest_in_their_order_by_the_rate() {
        let rate = rate(3, None);
        let turns_now = turns(&rate, 6).await;
        assert!(turns_now.is_sorted(), "{turns_now:?}");
        for (turn, expected) in turns_now.iter().zip([0, 0, 0, 100, 200, 300]) {
            assert!((expected..=expected + 2).contains(turn), "{turns_now:?}");
        }
        // A quiet time fills the bucket, and no more than that.
        tokio::time::advance(Duration::from_mins(1)).await;
        let later = turns(&rate, 5).await;
        assert_eq!(later.iter().filter(|turn| **turn <= 2).count(), 3, "{later:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn one_who_gives_up_leaves_the_turn_to_the_next() {
        let rate = rate(1, None);
        rate.admit(None).await.unwrap();
        let began = Instant::now();
        let hasty = rate.admit(Some(began + Duration::from_millis(50)));
        let (hasty, patient) = tokio::join!(hasty, rate.admit(None));
        assert_eq!(hasty.unwrap_err(), Shed::Deadline);
        patient.unwrap();
        assert!(began.elapsed() <= Duration::from_millis(102), "{:?}", began.elapsed());

        let cancelled = tokio::time::timeout(Duration::from_millis(10), rate.admit(None));
        assert!(cancelled.await.is_err());
        rate.admit(None).await.unwrap();
        assert!(began.elapsed() <= Duration::from_millis(204), "{:?}", began.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_wait_than_may() {
        for queue in [0, 1, 3] {
            let rate = rate(1, Some(queue));
            rate.admit(None).await.unwrap();
            assert!(!rate.try_admit());
            let waiting: Vec<_> = (0..5)
                .map(|_| {
                    let rate = Arc::clone(&rate);
                    tokio::spawn(async move { rate.admit(None).await })
                })
                .collect();
            let mut served = 0;
            for each in waiting {
                match each.await.unwrap() {
                    Ok(()) => served += 1,
                    Err(shed) => assert_eq!(shed, Shed::QueueFull),
                }
            }
            assert_eq!(served, queue);
        }
    }

    #[test]
    fn those_who_come_at_once_are_not_in_each_other_s_way() {
        // More turns than are taken, and nobody may wait.
        let rate = Rate::new(settings::Rate::per_second(1), Some(1_000_000), Some(0));
        let refused: usize = std::thread::scope(|scope| {
            let comes = || (0..20_000).filter(|_| !rate.try_admit()).count();
            let all: Vec<_> = (0..4).map(|_| scope.spawn(comes)).collect();
            all.into_iter().map(|each| each.join().unwrap()).sum()
        });
        assert_eq!(refused, 0);
    }
}
