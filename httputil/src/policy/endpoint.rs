//! Which of several endpoints a request goes to: the better of two that chance names.
//!
//! ```
//! use httputil::policy::endpoint::{Came, Endpoints, Standing};
//!
//! let replicas = ["http://10.0.0.1", "http://10.0.0.2", "http://10.0.0.3"];
//! let endpoints = Endpoints::new(replicas.len());
//! let is_down = [false, true, false];
//! let mut visit = endpoints.choose(|index| {
//!     let mut standing = Standing::default();
//!     standing.is_full = is_down[index];
//!     standing
//! });
//! assert_ne!(replicas[visit.index()], "http://10.0.0.2");
//! visit.begins();
//! // Here you ask it. Dropped here, the visit was given up, and the replica is as slow as that took.
//! visit.ended(Came::Answer);
//! ```
//!
//! Better is who has less under way and answered faster of late. To compare two, and not all, keeps a herd of clients from
//! running to the one that was best a moment ago (Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing").
//! Silence counts as it lasts: an endpoint is as slow as those who await its answer have waited, and as those who gave up on
//! it had. A failure makes it twice as slow as it was thought: one costs it a few seconds' requests, many in a row nearly all.
//! tower's `PeakEwma` is the same measure, but bound to its `Service`s and their readiness, which is not what says here who
//! can be asked: an endpoint whose breaker is open is passed over, and where all are, the one that is asked again first is
//! the answer.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::wire::{Counts, Holding, chance};

/// A latency counts half as much after about this time, and an endpoint that was slow is tried again.
const FADES_IN: Duration = Duration::from_secs(10);

/// What an answer takes at least, also where none has come yet: of two who are as fast, the one with less under way is
/// better.
const LEAST: Duration = Duration::from_millis(1);

/// What a failure that comes fast counts as in the end: it must not draw requests.
const FAILURE: Duration = Duration::from_secs(1);

/// The loads of some endpoints. Their clock is tokio's.
#[derive(Debug)]
pub struct Endpoints {
    loads: Vec<Arc<Load>>,
}

#[derive(Debug)]
struct Load {
    under_way: AtomicUsize,
    seen: Mutex<Seen>,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    latency: Latency,
    /// Requests that await an answer, and the sum of the times when they began to, in seconds after `since`.
    awaiting: usize,
    begun: f64,
    since: Instant,
}

#[derive(Clone, Copy, Debug)]
struct Latency {
    seconds: f64,
    at: Instant,
}

/// A request at an endpoint, which counts as under way there until this is dropped. One that is dropped while it awaits an
/// answer was given up.
#[derive(Debug)]
#[must_use = "a visit that is dropped is under way no more"]
pub struct Visit {
    load: Arc<Load>,
    pub(crate) index: usize,
    /// For as long as it is under way there.
    pub(crate) place: Option<Holding>,
    /// Since when it awaits an answer.
    began: Option<Instant>,
}

/// What came of a visit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Came {
    /// An answer, which is none of the endpoint's failures.
    Answer,
    /// The endpoint's failure.
    Failure,
    /// Nothing, for so long.
    Nothing,
    /// What says nothing of the endpoint.
    Other,
}

/// What stands against an endpoint; by default nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Standing {
    /// The request was there.
    pub is_tried: bool,
    /// The request would have to wait for a place.
    pub is_full: bool,
    /// Its breaker refuses requests for so long ([`Breaker::retry_after`](super::breaker::Breaker::retry_after)), or it wants
    /// to be left alone ([`retry_after`](super::retry_after)).
    pub refuses_for: Option<Duration>,
}

impl Latency {
    fn faded(self, now: Instant) -> f64 {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.seconds * (-passed / FADES_IN.as_secs_f64()).exp()
    }
}

impl Seen {
    fn after(&self, at: Instant) -> f64 {
        at.saturating_duration_since(self.since).as_secs_f64()
    }

    fn begin(&mut self, at: Instant) {
        self.awaiting += 1;
        self.begun += self.after(at);
    }

    fn end(&mut self, began: Instant) {
        self.begun -= self.after(began);
        self.awaiting = self.awaiting.saturating_sub(1);
        if self.awaiting == 0 {
            // What rounding has left.
            self.begun = 0.0;
        }
    }

    /// How long those who await an answer have waited, one with another.
    fn waited(&self, now: Instant) -> f64 {
        if self.awaiting == 0 {
            return 0.0;
        }
        self.after(now) - self.begun / self.awaiting as f64
    }

    /// Seconds until an answer, as far as is known.
    fn slowness(&self, now: Instant) -> f64 {
        let known = self.latency.faded(now).max(self.waited(now));
        known.max(LEAST.as_secs_f64())
    }
}

impl Load {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Endpoints {
    /// So many, at least one, of which nothing is known.
    pub fn new(many: usize) -> Arc<Endpoints> {
        Endpoints::new_at(many, Instant::now())
    }

    fn new_at(many: usize, now: Instant) -> Arc<Endpoints> {
        let load = || {
            Arc::new(Load {
                under_way: AtomicUsize::new(0),
                seen: Mutex::new(Seen {
                    latency: Latency { seconds: 0.0, at: now },
                    awaiting: 0,
                    begun: 0.0,
                    since: now,
                }),
            })
        };
        Arc::new(Endpoints {
            loads: (0..many.max(1)).map(|_| load()).collect(),
        })
    }

    /// Chooses one for a request, by what stands against each: not where the request was or would have to wait, as long as
    /// there are others. Where all refuse requests, the one that will take some first.
    pub fn choose(&self, standing: impl Fn(usize) -> Standing) -> Visit {
        self.choose_at(Instant::now(), standing, chance)
    }

    /// The same at a time that is the caller's. `chance` gives numbers from 0 up to 1.
    pub(crate) fn choose_at(
        &self,
        now: Instant,
        standing: impl Fn(usize) -> Standing,
        mut chance: impl FnMut() -> f64,
    ) -> Visit {
        let standings: Vec<Standing> = (0..self.loads.len()).map(standing).collect();
        let only = |fits: &dyn Fn(&Standing) -> bool| -> Vec<usize> {
            let all = standings.iter().enumerate();
            all.filter(|(_, standing)| fits(standing))
                .map(|(index, _)| index)
                .collect()
        };
        let mut candidates = only(&|standing| standing.is_free() && !standing.is_tried);
        if candidates.is_empty() {
            candidates = only(&Standing::is_free);
        }
        if candidates.is_empty() {
            candidates = only(&|standing| standing.refuses_for.is_none() && !standing.is_tried);
        }
        if candidates.is_empty() {
            candidates = only(&|standing| standing.refuses_for.is_none());
        }
        if candidates.is_empty() {
            // The least bad; it says when to come back.
            let first = standings.iter().map(|standing| standing.refuses_for).min().flatten();
            candidates = only(&|standing| standing.refuses_for == first);
        }
        let mut draw = |many: usize| {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a part of a number that fits"
            )]
            let drawn = (chance() * many as f64) as usize;
            drawn.min(many.saturating_sub(1))
        };
        let index = match candidates.as_slice() {
            [] => 0,
            [only] => *only,
            several => {
                let one = draw(several.len());
                let other = draw(several.len() - 1);
                let (one, other) = (several[one], several[other + usize::from(other >= one)]);
                if self.cost(other, now) < self.cost(one, now) {
                    other
                } else {
                    one
                }
            }
        };
        let load = &self.loads[index];
        load.under_way.fetch_add(1, Ordering::Relaxed);
        Visit {
            load: Arc::clone(load),
            index,
            place: Some(Holding::of(Arc::clone(load) as Arc<dyn Counts>)),
            began: None,
        }
    }

    /// Requests under way at all of them.
    #[cfg(test)]
    pub(crate) fn under_way(&self) -> usize {
        self.loads
            .iter()
            .map(|load| load.under_way.load(Ordering::Relaxed))
            .sum()
    }

    /// Seconds until an answer, roughly.
    fn cost(&self, index: usize, now: Instant) -> f64 {
        let load = &self.loads[index];
        let under_way = load.under_way.load(Ordering::Relaxed);
        load.seen().slowness(now) * (under_way + 1) as f64
    }
}

impl Standing {
    /// The same of one that cannot be gone to: any other is better.
    pub(crate) fn barred(self) -> Standing {
        Standing {
            refuses_for: Some(Duration::MAX),
            ..self
        }
    }

    fn is_free(&self) -> bool {
        self.refuses_for.is_none() && !self.is_full
    }
}

impl Visit {
    /// The number of the endpoint, counted from 0.
    pub fn index(&self) -> usize {
        self.index
    }

    /// From now on it awaits an answer.
    pub fn begins(&mut self) {
        self.begins_at(Instant::now());
    }

    pub(crate) fn begins_at(&mut self, now: Instant) {
        self.ended_at(Came::Other, None, now);
        self.began = Some(now);
        self.load.seen().begin(now);
    }

    /// Tells what came of it, if it has begun. A slower answer counts at once, a faster one by and by; and what has not come for
    /// some time would have taken longer.
    pub fn ended(&mut self, came: Came) {
        self.ended_at(came, None, Instant::now());
    }

    /// The same at a time that is the caller's. What went before it was `sent` (its dial, its wait for a
    /// connection) is no part of an answer's time: the next one will hardly wait for it.
    pub(crate) fn ended_at(&mut self, came: Came, sent: Option<Instant>, now: Instant) {
        let Some(began) = self.began.take() else { return };
        let since = sent.filter(|sent| came == Came::Answer && *sent > began);
        let took = now.saturating_duration_since(since.unwrap_or(began)).as_secs_f64();
        let mut seen = self.load.seen();
        seen.end(began);
        let known = seen.latency.faded(now);
        let seconds = match came {
            Came::Other => return,
            Came::Nothing => known.max(took),
            Came::Failure => {
                let doubled = 2.0 * known.max(LEAST.as_secs_f64());
                doubled.min(FAILURE.as_secs_f64()).max(known).max(took)
            }
            Came::Answer if took > seen.latency.seconds => took,
            Came::Answer => {
                let passed = now.saturating_duration_since(seen.latency.at).as_secs_f64();
                let weight = (-passed / FADES_IN.as_secs_f64()).exp();
                seen.latency.seconds * weight + took * (1.0 - weight)
            }
        };
        seen.latency = Latency { seconds, at: now };
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        if self.began.is_some() {
            self.ended(Came::Nothing);
        }
    }
}

impl Counts for Load {
    fn gone(&self) {
        self.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Chance that walks through its numbers.
    fn walking() -> impl FnMut() -> f64 {
        let mut number = 0_u32;
        move || {
            number = (number * 7 + 3) % 101;
            f64::from(number) / 101.0
        }
    }

    fn free(_: usize) -> Standing {
        Standing::default()
    }

    fn shares(
        endpoints: &Arc<Endpoints>,
        now: Instant,
        standing: impl Fn(usize) -> Standing,
        many: usize,
    ) -> Vec<usize> {
        let mut shares = vec![0; endpoints.loads.len()];
        let mut chance = walking();
        for _ in 0..many {
            shares[endpoints.choose_at(now, &standing, &mut chance).index] += 1;
        }
        shares
    }

    #[test]
    fn of_equals_each_has_a_share_and_of_two_the_one_with_less_under_way() {
        let now = Instant::now();
        let endpoints = Endpoints::new_at(3, now);
        assert!(shares(&endpoints, now, free, 300).iter().all(|share| *share > 60));
        let mut chance = walking();
        let held: Vec<Visit> = (0..60).map(|_| endpoints.choose_at(now, free, &mut chance)).collect();
        let under_way: Vec<usize> = endpoints
            .loads
            .iter()
            .map(|load| load.under_way.load(Ordering::Relaxed))
            .collect();
        assert!(
            under_way.iter().all(|under_way| (17..=23).contains(under_way)),
            "{under_way:?}"
        );
        drop(held);
        assert!((endpoints.cost(0, now) - LEAST.as_secs_f64()).abs() < 1e-9);
    }

    #[test]
    fn the_slow_and_the_failing_get_less_and_are_tried_again_later() {
        let mut now = Instant::now();
        let endpoints = Endpoints::new_at(2, now);
        let second = Duration::from_secs(1);
        answers(&endpoints, 0, 10, now);
        visit(&endpoints, 1, 1000, Came::Failure, now);
        assert_eq!(shares(&endpoints, now + second, free, 50), [50, 0]);
        // As long as the other answers, and long after that.
        for _ in 0..90 {
            now += second;
            answers(&endpoints, 0, 10, now);
        }
        assert!(shares(&endpoints, now, free, 50)[1] > 10);
    }

    /// A request at this endpoint, of which this comes after so many milliseconds.
    fn visit(endpoints: &Arc<Endpoints>, index: usize, millis: u64, came: Came, began: Instant) {
        let only = |other: usize| Standing {
            is_tried: other != index,
            ..Standing::default()
        };
        let mut visit = endpoints.choose_at(began, only, || 0.0);
        visit.begins_at(began);
        visit.ended_at(came, None, began + Duration::from_millis(millis));
    }

    #[test]
    fn what_a_dial_takes_is_silence_while_it_lasts_and_no_slowness_of_its_answer() {
        let (now, millis) = (Instant::now(), Duration::from_millis(1));
        let endpoints = Endpoints::new_at(2, now);
        answers(&endpoints, 0, 10, now);
        let other = |index: usize| Standing {
            is_tried: index == 0,
            ..Standing::default()
        };
        let mut dialling = endpoints.choose_at(now, other, || 0.0);
        dialling.begins_at(now);
        assert_eq!(shares(&endpoints, now + 300 * millis, free, 50), [50, 0]);
        dialling.ended_at(Came::Answer, Some(now + 300 * millis), now + 305 * millis);
        drop(dialling);
        assert_eq!(shares(&endpoints, now + 305 * millis, free, 50), [0, 50]);
        // A failure has taken all of it.
        let mut failing = endpoints.choose_at(now, other, || 0.0);
        failing.begins_at(now + 400 * millis);
        failing.ended_at(Came::Failure, Some(now + 695 * millis), now + 700 * millis);
        drop(failing);
        assert_eq!(shares(&endpoints, now + 700 * millis, free, 50), [50, 0]);
    }

    fn answers(endpoints: &Arc<Endpoints>, index: usize, millis: u64, began: Instant) {
        visit(endpoints, index, millis, Came::Answer, began);
    }

    #[test]
    fn one_failure_costs_an_endpoint_seconds_and_many_in_a_row_nearly_all() {
        let (now, second) = (Instant::now(), Duration::from_secs(1));
        let endpoints = Endpoints::new_at(2, now);
        answers(&endpoints, 0, 10, now);
        answers(&endpoints, 1, 10, now);
        visit(&endpoints, 1, 1, Came::Failure, now);
        assert_eq!(shares(&endpoints, now, free, 50), [50, 0]);
        answers(&endpoints, 0, 10, now + 8 * second);
        assert!(shares(&endpoints, now + 8 * second, free, 50)[1] > 10);
        for _ in 0..20 {
            visit(&endpoints, 1, 1, Came::Failure, now);
        }
        answers(&endpoints, 0, 10, now + 30 * second);
        assert_eq!(shares(&endpoints, now + 30 * second, free, 50), [50, 0]);
    }

    #[test]
    fn one_that_is_silent_gets_less_while_it_is_and_when_those_who_asked_have_given_up() {
        let (now, millis) = (Instant::now(), Duration::from_millis(1));
        let endpoints = Endpoints::new_at(2, now);
        answers(&endpoints, 0, 10, now);
        answers(&endpoints, 1, 5, now);
        let other = |index: usize| Standing {
            is_tried: index == 0,
            ..Standing::default()
        };
        let mut silent = endpoints.choose_at(now, other, || 0.0);
        silent.begins_at(now);
        assert_eq!(shares(&endpoints, now + 100 * millis, free, 50), [50, 0]);
        silent.ended_at(Came::Nothing, None, now + 100 * millis);
        drop(silent);
        assert_eq!(shares(&endpoints, now + 100 * millis, free, 50), [50, 0]);
        // What is dropped while it waits was given up; what says nothing of it leaves it as it was.
        let endpoints = Endpoints::new_at(2, now);
        answers(&endpoints, 0, 10, now);
        visit(&endpoints, 1, 100, Came::Other, now);
        assert_eq!(shares(&endpoints, now, free, 50), [0, 50]);
        let mut dropped = endpoints.choose_at(now, other, || 0.0);
        dropped.begins_at(now.checked_sub(Duration::from_millis(100)).unwrap());
        drop(dropped);
        assert_eq!(shares(&endpoints, now, free, 50), [50, 0]);
    }

    #[test]
    fn one_whose_places_are_taken_is_passed_over_while_another_has_some() {
        let now = Instant::now();
        let endpoints = Endpoints::new_at(3, now);
        let full = |which: [bool; 3], tried: [bool; 3]| {
            move |index: usize| Standing {
                is_tried: tried[index],
                is_full: which[index],
                refuses_for: None,
            }
        };
        let untried = [false; 3];
        assert_eq!(
            shares(&endpoints, now, full([true, false, true], untried), 50),
            [0, 50, 0]
        );
        assert_eq!(
            shares(&endpoints, now, full([true, false, true], [false, true, false]), 50),
            [0, 50, 0]
        );
        let all = shares(&endpoints, now, full([true; 3], [false, true, false]), 50);
        assert!(all[0] > 10 && all[1] == 0 && all[2] > 10, "{all:?}");
    }

    #[test]
    fn those_with_an_open_breaker_are_passed_over_and_where_all_have_one_the_first_to_be_back_is_asked() {
        let now = Instant::now();
        let endpoints = Endpoints::new_at(3, now);
        let refuses = |seconds: [u64; 3]| {
            move |index: usize| Standing {
                refuses_for: Some(Duration::from_secs(seconds[index])).filter(|left| !left.is_zero()),
                ..Standing::default()
            }
        };
        assert_eq!(shares(&endpoints, now, refuses([5, 0, 3]), 50), [0, 50, 0]);
        assert_eq!(shares(&endpoints, now, refuses([5, 4, 3]), 50), [0, 0, 50]);
    }

    #[test]
    fn none_counts_as_one() {
        let endpoints = Endpoints::new(0);
        assert_eq!(endpoints.choose(free).index(), 0);
    }

    #[test]
    fn a_retry_goes_elsewhere_while_it_can() {
        let now = Instant::now();
        let endpoints = Endpoints::new_at(2, now);
        let tried = |index: usize| Standing {
            is_tried: index == 0,
            ..Standing::default()
        };
        assert_eq!(shares(&endpoints, now, tried, 20), [0, 20]);
        let other_is_open = |index: usize| Standing {
            is_tried: index == 0,
            is_full: false,
            refuses_for: (index == 1).then_some(Duration::from_secs(1)),
        };
        assert_eq!(shares(&endpoints, now, other_is_open, 20), [20, 0]);
    }
}
