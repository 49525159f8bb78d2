//! Which of several endpoints a request goes to: the better of two that chance names.
//!
//! Better is who has less under way and answered faster of late. To compare two, and not all, keeps a herd of clients from
//! running to the one that was best a moment ago (Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing").
//! tower's `PeakEwma` is the same measure, but bound to its `Service`s and their readiness, which is not what says here who
//! can be asked: an endpoint whose breaker is open is passed over, and where all are, the one that is asked again first is
//! the answer.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::wire::{Counts, Holding};

/// A latency counts half as much after about this time, and an endpoint that was slow is tried again.
const FADES_IN: Duration = Duration::from_secs(10);

/// What a failure counts as: one that comes fast must not draw requests.
const FAILURE: Duration = Duration::from_secs(1);

/// The loads of some endpoints.
#[derive(Debug)]
pub(crate) struct Endpoints {
    loads: Vec<Arc<Load>>,
}

#[derive(Debug)]
struct Load {
    under_way: AtomicUsize,
    latency: Mutex<Latency>,
}

#[derive(Clone, Copy, Debug)]
struct Latency {
    seconds: f64,
    at: Instant,
}

/// A request at an endpoint.
#[derive(Debug)]
pub(crate) struct Visit {
    load: Arc<Load>,
    pub(crate) index: usize,
    /// For as long as it is under way there.
    pub(crate) place: Option<Holding>,
}

/// What stands against an endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    /// The request was there.
    pub(crate) is_tried: bool,
    /// Its breaker refuses requests for so long.
    pub(crate) refuses_for: Option<Duration>,
}

impl Latency {
    fn faded(self, now: Instant) -> f64 {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.seconds * (-passed / FADES_IN.as_secs_f64()).exp()
    }
}

impl Endpoints {
    /// So many, of which nothing is known.
    pub(crate) fn new(many: usize, now: Instant) -> Arc<Endpoints> {
        let load = || {
            Arc::new(Load {
                under_way: AtomicUsize::new(0),
                latency: Mutex::new(Latency { seconds: 0.0, at: now }),
            })
        };
        Arc::new(Endpoints {
            loads: (0..many).map(|_| load()).collect(),
        })
    }

    /// Chooses one: not where the request was, as long as there are others. `chance` gives numbers from 0 up to 1.
    pub(crate) fn choose(
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
        let mut candidates = only(&|standing| standing.refuses_for.is_none() && !standing.is_tried);
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

    /// Seconds until an answer, roughly, and requests under way where nothing is known.
    fn cost(&self, index: usize, now: Instant) -> (f64, usize) {
        let load = &self.loads[index];
        let under_way = load.under_way.load(Ordering::Relaxed);
        let latency = *load.latency.lock().unwrap_or_else(PoisonError::into_inner);
        (latency.faded(now) * (under_way + 1) as f64, under_way)
    }
}

impl Visit {
    /// Tells how long the answer took. A slower one counts at once, a faster one by and by.
    pub(crate) fn ended(&self, took: Duration, is_failure: bool, now: Instant) {
        let took = if is_failure { took.max(FAILURE) } else { took }.as_secs_f64();
        let mut latency = self.load.latency.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = now.saturating_duration_since(latency.at).as_secs_f64();
        let weight = (-passed / FADES_IN.as_secs_f64()).exp();
        let seconds = if took > latency.seconds {
            took
        } else {
            latency.seconds * weight + took * (1.0 - weight)
        };
        *latency = Latency { seconds, at: now };
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
            shares[endpoints.choose(now, &standing, &mut chance).index] += 1;
        }
        shares
    }

    #[test]
    fn of_equals_each_has_a_share_and_of_two_the_one_with_less_under_way() {
        let now = Instant::now();
        let endpoints = Endpoints::new(3, now);
        assert!(shares(&endpoints, now, free, 300).iter().all(|share| *share > 60));
        let mut chance = walking();
        let held: Vec<Visit> = (0..60).map(|_| endpoints.choose(now, free, &mut chance)).collect();
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
        assert_eq!(endpoints.cost(0, now), (0.0, 0));
    }

    #[test]
    fn the_slow_and_the_failing_get_less_and_are_tried_again_later() {
        let mut now = Instant::now();
        let endpoints = Endpoints::new(2, now);
        let visit = |index: usize| {
            let only = |other: usize| Standing {
                is_tried: other != index,
                refuses_for: None,
            };
            endpoints.choose(now, only, || 0.0)
        };
        visit(0).ended(Duration::from_millis(10), false, now);
        visit(1).ended(Duration::from_millis(1), true, now);
        assert_eq!(shares(&endpoints, now, free, 50), [50, 0]);
        // As long as the other answers, and long after that.
        for _ in 0..90 {
            now += Duration::from_secs(1);
            visit_at(&endpoints, 0, now).ended(Duration::from_millis(10), false, now);
        }
        assert!(shares(&endpoints, now, free, 50)[1] > 10);
    }

    fn visit_at(endpoints: &Arc<Endpoints>, index: usize, now: Instant) -> Visit {
        let only = |other: usize| Standing {
            is_tried: other != index,
            refuses_for: None,
        };
        endpoints.choose(now, only, || 0.0)
    }

    #[test]
    fn those_with_an_open_breaker_are_passed_over_and_where_all_have_one_the_first_to_be_back_is_asked() {
        let now = Instant::now();
        let endpoints = Endpoints::new(3, now);
        let refuses = |seconds: [u64; 3]| {
            move |index: usize| Standing {
                is_tried: false,
                refuses_for: Some(Duration::from_secs(seconds[index])).filter(|left| !left.is_zero()),
            }
        };
        assert_eq!(shares(&endpoints, now, refuses([5, 0, 3]), 50), [0, 50, 0]);
        assert_eq!(shares(&endpoints, now, refuses([5, 4, 3]), 50), [0, 0, 50]);
    }

    #[test]
    fn a_retry_goes_elsewhere_while_it_can() {
        let now = Instant::now();
        let endpoints = Endpoints::new(2, now);
        let tried = |index: usize| Standing {
            is_tried: index == 0,
            refuses_for: None,
        };
        assert_eq!(shares(&endpoints, now, tried, 20), [0, 20]);
        let other_is_open = |index: usize| Standing {
            is_tried: index == 0,
            refuses_for: (index == 1).then_some(Duration::from_secs(1)),
        };
        assert_eq!(shares(&endpoints, now, other_is_open, 20), [20, 0]);
    }
}
