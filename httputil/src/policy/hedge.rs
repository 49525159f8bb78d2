//! Asking twice: of an attempt that is late and a second one beside it, the first good outcome wins.
//!
//! ```
//! use std::time::Duration;
//!
//! use httputil::policy::budget::Budget;
//! use httputil::policy::hedge::race;
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
//! let budget = Budget::new(0.1, 1);
//! async fn ask(replica: &str, takes: Duration) -> Result<&str, ()> {
//!     tokio::time::sleep(takes).await;
//!     Ok(replica)
//! }
//! let first = ask("slow", Duration::from_secs(10));
//! // A second one after 50 ms, if the budget pays for it.
//! let late = async {
//!     tokio::time::sleep(Duration::from_millis(50)).await;
//!     budget.withdraw().then(|| ask("quick", Duration::from_millis(5)))
//! };
//! let raced = race(first, late, Result::is_ok).await;
//! assert_eq!((raced.outcome, raced.is_second), (Ok("quick"), true));
//! # });
//! ```
//!
//! Where one answer in a hundred is late, one in ten thousand is so twice (Dean and Barroso, "The Tail at Scale"). The rule: only
//! what may be done twice is asked twice, and a budget pays for it, or a server that is slow since it has too much to do gets
//! twice as much. A bad outcome never wins while the other may still be good.

use std::pin::pin;

/// How a race ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Raced<T> {
    /// That of the winner. Where both are bad, the first one's.
    pub outcome: T,
    /// Whether the second attempt won.
    pub is_second: bool,
    /// Whether there was one.
    pub is_hedged: bool,
    /// That of the loser, if it came to one, which was bad then. A loser that was still under way was dropped.
    pub lost: Option<T>,
}

impl<T> Raced<T> {
    fn first(outcome: T, is_hedged: bool, lost: Option<T>) -> Raced<T> {
        Raced {
            outcome,
            is_second: false,
            is_hedged,
            lost,
        }
    }

    fn second(outcome: T, lost: Option<T>) -> Raced<T> {
        Raced {
            outcome,
            is_second: true,
            is_hedged: true,
            lost,
        }
    }
}

/// Runs the first attempt, and the one that `late` makes beside it; `late` waits for as long as the first one may take, and says
/// `None` where there is to be no second one. An outcome that `is_good` ends the race, and the other attempt is dropped.
///
/// Dropping the future gives both up. All of them are polled in one task.
pub async fn race<T, S>(
    first: impl Future<Output = T>,
    late: impl Future<Output = Option<S>>,
    is_good: impl Fn(&T) -> bool,
) -> Raced<T>
where
    S: Future<Output = T>,
{
    let mut first = pin!(first);
    let second = tokio::select! {
        biased;
        outcome = first.as_mut() => return Raced::first(outcome, false, None),
        second = late => second,
    };
    let Some(second) = second else {
        return Raced::first(first.await, false, None);
    };
    let mut second = pin!(second);
    tokio::select! {
        outcome = first.as_mut() => match outcome {
            outcome if is_good(&outcome) => Raced::first(outcome, true, None),
            outcome => match second.await {
                other if is_good(&other) => Raced::second(other, Some(outcome)),
                other => Raced::first(outcome, true, Some(other)),
            },
        },
        outcome = second.as_mut() => match outcome {
            outcome if is_good(&outcome) => Raced::second(outcome, None),
            outcome => Raced::first(first.await, true, Some(outcome)),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::{Instant, sleep};

    use super::*;

    type Outcome = Result<u64, u64>;

    async fn after(millis: u64, outcome: Outcome) -> Outcome {
        sleep(Duration::from_millis(millis)).await;
        outcome
    }

    /// A race whose second attempt begins after 100 ms, and when it was over.
    async fn raced(first: (u64, Outcome), second: Option<(u64, Outcome)>) -> (Raced<Outcome>, u128) {
        let began = Instant::now();
        let late = async {
            sleep(Duration::from_millis(100)).await;
            second.map(|(millis, outcome)| after(millis, outcome))
        };
        let raced = race(after(first.0, first.1), late, Result::is_ok).await;
        (raced, began.elapsed().as_millis())
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_that_ends_in_time_is_alone_whether_it_is_good_or_bad() {
        for outcome in [Ok(1), Err(1)] {
            let (raced, millis) = raced((50, outcome), Some((1, Ok(2)))).await;
            assert_eq!((raced, millis), (Raced::first(outcome, false, None), 50));
        }
        let (raced, millis) = raced((500, Ok(1)), None).await;
        assert_eq!(
            (raced, millis),
            (Raced::first(Ok(1), false, None), 500),
            "none was made"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_good_outcome_wins_and_a_bad_one_waits_for_the_other() {
        let cases = [
            ((500, Ok(1)), (50, Ok(2)), Raced::second(Ok(2), None), 150),
            ((120, Ok(1)), (50, Ok(2)), Raced::first(Ok(1), true, None), 120),
            ((120, Err(1)), (50, Ok(2)), Raced::second(Ok(2), Some(Err(1))), 150),
            ((500, Ok(1)), (50, Err(2)), Raced::first(Ok(1), true, Some(Err(2))), 500),
            (
                (120, Err(1)),
                (50, Err(2)),
                Raced::first(Err(1), true, Some(Err(2))),
                150,
            ),
            (
                (500, Err(1)),
                (50, Err(2)),
                Raced::first(Err(1), true, Some(Err(2))),
                500,
            ),
        ];
        for (first, second, ended, at) in cases {
            let (raced, millis) = raced(first, Some(second)).await;
            assert_eq!((raced, millis), (ended, at), "{first:?} {second:?}");
        }
    }
}
