//! What keeps retries from becoming a storm: each request to a host pays in a part of a retry, each retry takes a whole one
//! out, and so many a second are free.
//!
//! ```
//! use httputil::policy::budget::Budget;
//!
//! // A retry for each ten calls, and none that is free.
//! let budget = Budget::new(0.1, 0);
//! for _ in 0..20 {
//!     budget.deposit(); // before a call that is no retry
//! }
//! assert!(budget.withdraw() && budget.withdraw(), "two calls may be made again");
//! assert!(!budget.withdraw(), "and no third: give the failure to whoever asked");
//! ```
//!
//! Over any ten seconds there are no more retries than both allow; what was not used by then is gone. tower's `TpsBudget`
//! says the same, but it moves its window from whenever it is asked, and on by two of ten parts where a little more than one
//! is over: a client with a few requests a second was given its free retries in half the time, and amplified a failing
//! server's load by 1.44 where 1.3 was allowed (`simulation`).

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Over how long what was paid in may be used.
const KEPT_FOR: u32 = 10;

/// Parts of that time, and the one that has just begun.
const PARTS: usize = KEPT_FOR as usize + 1;

/// What a retry costs. A request pays this times the ratio.
const RETRY: i64 = 1_000_000;

/// The budget of one host, or of whatever else fails as one. Its clock is tokio's.
#[derive(Debug)]
pub struct Budget {
    /// What a request pays in.
    deposit: i64,
    /// What is free.
    reserve: i64,
    window: Mutex<Window>,
}

/// Payments, less withdrawals, by seconds.
#[derive(Debug)]
struct Window {
    parts: [i64; PARTS],
    began: Instant,
    /// The second that the newest part is of.
    newest: u64,
    /// When that is over.
    ends: Instant,
}

impl Budget {
    /// `ratio` is retries for each request (`retry.budget.ratio`), 0 to 1000, beside `min_per_second` that are free
    /// (`retry.budget.min_per_second`). By default clients have 0.1 and 1.
    pub fn new(ratio: f64, min_per_second: u32) -> Budget {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "it is bounded, and what is no number is 0"
        )]
        let deposit = (ratio.clamp(0.0, 1000.0) * RETRY as f64).round() as i64;
        Budget {
            deposit,
            reserve: i64::from(min_per_second) * i64::from(KEPT_FOR) * RETRY,
            window: Mutex::new(Window::new(Instant::now())),
        }
    }

    /// A request that is no retry, and pays in.
    pub fn deposit(&self) {
        self.deposit_at(Instant::now());
    }

    /// The same by a look at the clock that was taken already.
    pub(crate) fn deposit_at(&self, now: Instant) {
        self.with_window(now, |window| {
            let part = window.part();
            *part = part.saturating_add(self.deposit);
        });
    }

    /// Whether one retry may be made; it is paid for then.
    #[must_use = "a retry that is refused is not to be made"]
    pub fn withdraw(&self) -> bool {
        self.with_window(Instant::now(), |window| {
            let balance = window
                .parts
                .iter()
                .fold(self.reserve, |sum, part| sum.saturating_add(*part));
            if balance >= RETRY {
                *window.part() -= RETRY;
            }
            balance >= RETRY
        })
    }

    /// A retry that was paid for is not made after all.
    pub fn pay_back(&self) {
        self.with_window(Instant::now(), |window| {
            let part = window.part();
            *part = part.saturating_add(RETRY);
        });
    }

    fn with_window<T>(&self, now: Instant, act: impl FnOnce(&mut Window) -> T) -> T {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        // Few requests are a second's first: the others need no difference.
        if window.ends <= now {
            window.move_to(now);
        }
        act(&mut window)
    }
}

impl Window {
    fn new(now: Instant) -> Window {
        Window {
            parts: [0; PARTS],
            began: now,
            newest: 0,
            ends: now + Duration::from_secs(1),
        }
    }

    fn move_to(&mut self, now: Instant) {
        let second = now.saturating_duration_since(self.began).as_secs();
        // What is older than the window is forgotten whole.
        let first = second.saturating_sub(KEPT_FOR.into()).max(self.newest + 1);
        for forgotten in first..=second {
            self.parts[Window::index(forgotten)] = 0;
        }
        self.newest = self.newest.max(second);
        self.ends = self.began + Duration::from_secs(self.newest + 1);
    }

    fn part(&mut self) -> &mut i64 {
        &mut self.parts[Window::index(self.newest)]
    }

    fn index(second: u64) -> usize {
        usize::try_from(second % PARTS as u64).expect("it is one of the parts")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spend(budget: &Budget) -> usize {
        (0..1000).filter(|_| budget.withdraw()).count()
    }

    #[test]
    fn retries_are_a_part_of_the_requests_beside_the_reserve() {
        let budget = Budget::new(0.1, 1);
        assert_eq!(spend(&budget), 10);
        (0..200).for_each(|_| budget.deposit());
        assert_eq!(spend(&budget), 20);
        assert_eq!(spend(&budget), 0);
    }

    #[test]
    fn a_ratio_that_is_none_pays_in_nothing_and_takes_nothing_out() {
        for ratio in [-1.0, f64::NAN, f64::NEG_INFINITY] {
            let budget = Budget::new(ratio, 1);
            (0..1000).for_each(|_| budget.deposit());
            assert_eq!(spend(&budget), 10, "{ratio}");
        }
        let budget = Budget::new(f64::INFINITY, u32::MAX);
        (0..1000).for_each(|_| budget.deposit());
        assert!(budget.withdraw());
    }

    #[test]
    fn what_is_paid_back_may_be_spent_again() {
        let budget = Budget::new(0.0, 1);
        assert_eq!(spend(&budget), 10);
        budget.pay_back();
        assert_eq!(spend(&budget), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn over_any_ten_seconds_there_are_no_more_than_the_reserve_however_often_it_is_asked() {
        for pause in [50, 220, 999, 1001, 1100, 1900, 2300] {
            let budget = Budget::new(0.0, 1);
            let mut given = Vec::new();
            for _ in 0..(60_000 / pause) {
                given.extend(std::iter::repeat_n(Instant::now(), spend(&budget)));
                tokio::time::advance(Duration::from_millis(pause)).await;
            }
            // Ten at once, and the next ten after ten seconds.
            for (early, late) in given.iter().zip(&given[10..]) {
                assert!(*late - *early >= Duration::from_secs(10), "every {pause} ms");
            }
            assert!(given.len() >= 50, "every {pause} ms: {}", given.len());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_paid_in_is_gone_after_ten_seconds() {
        let budget = Budget::new(0.5, 0);
        (0..20).for_each(|_| budget.deposit());
        tokio::time::advance(Duration::from_secs(9)).await;
        assert!(budget.withdraw());
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(!budget.withdraw());
        tokio::time::advance(Duration::from_hours(1)).await;
        (0..2).for_each(|_| budget.deposit());
        assert_eq!(spend(&budget), 1);
    }
}
