//! Whether a host is asked at all: closed, open after too many failures, half-open to see whether it is back.
//!
//! ```text
//!            ratio of failures reached                    open_for over
//!  closed ───────────────────────────► open ──────────────────────────► half-open
//!    ▲                                  ▲   open_for doubles, to a cap     │   │
//!    │                                  └───── a probe fails ──────────────┘   │
//!    └──────────────────────── half_open_requests probes succeed ──────────────┘
//! ```
//!
//! One host's requests pass one breaker. Only those of the state's own generation count: a request that began when the
//! breaker was closed says nothing about a host that has been left alone since. `recloser` counts the last so many
//! requests, not a window of time, and knows neither a growing open time nor a limited number of probes; so this is ours.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// What a profile says about its breakers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Settings {
    /// `breaker.failure_ratio`, above 0 and at most 1.
    pub(crate) failure_ratio: f64,
    /// `breaker.min_requests`: fewer within the window open nothing.
    pub(crate) min_requests: u32,
    /// `breaker.window`
    pub(crate) window: Duration,
    /// `breaker.open_for`: the first time.
    pub(crate) open_for: Duration,
    /// `breaker.max_open_for`: however often.
    pub(crate) max_open_for: Duration,
    /// `breaker.half_open_requests`: probes at once, and successes that close it.
    pub(crate) half_open_requests: u32,
}

/// The breaker of one host.
#[derive(Debug)]
pub(crate) struct Breaker {
    settings: Settings,
    state: Mutex<State>,
}

/// Parts of the window.
const SLICES: usize = 10;

#[derive(Debug)]
struct State {
    /// Counts the changes of phase.
    generation: u64,
    phase: Phase,
    /// Openings without a recovery in between.
    openings: u32,
    forced: Option<Forced>,
}

#[derive(Debug)]
enum Phase {
    Closed(Window),
    Open { until: Instant },
    HalfOpen { under_way: u32, succeeded: u32 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Forced {
    Open,
    Closed,
}

/// Requests and failures, in slices of time.
#[derive(Debug)]
struct Window {
    slices: [Slice; SLICES],
    newest: usize,
    began: Instant,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slice {
    requests: u32,
    failures: u32,
}

/// The state as people see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Closed,
    Open,
    HalfOpen,
}

/// How a request ended, as far as its host is to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Success,
    Failure,
}

/// What the breaker says to a request that wants to go.
#[derive(Debug)]
pub(crate) enum Admission {
    Admitted(Pass),
    /// Come back after this.
    Refused {
        retry_after: Duration,
    },
}

/// A request that was let through. Dropped without a verdict, it says nothing about the host.
#[derive(Debug)]
#[must_use]
pub(crate) struct Pass {
    breaker: Arc<Breaker>,
    generation: u64,
    is_over: bool,
}

impl Breaker {
    pub(crate) fn new(settings: Settings, now: Instant) -> Arc<Breaker> {
        Arc::new(Breaker {
            settings,
            state: Mutex::new(State {
                generation: 0,
                phase: Phase::Closed(Window::new(now)),
                openings: 0,
                forced: None,
            }),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a request may go now.
    pub(crate) fn admit(self: &Arc<Self>, now: Instant) -> Admission {
        let mut state = self.lock();
        match state.forced {
            Some(Forced::Open) => {
                return Admission::Refused {
                    retry_after: self.settings.open_for,
                };
            }
            Some(Forced::Closed) => {}
            None => {
                if let Phase::Open { until } = state.phase {
                    if now < until {
                        return Admission::Refused {
                            retry_after: until - now,
                        };
                    }
                    state.enter(Phase::HalfOpen {
                        under_way: 0,
                        succeeded: 0,
                    });
                }
                if let Phase::HalfOpen { under_way, succeeded } = &mut state.phase {
                    if *under_way + *succeeded >= self.settings.half_open_requests {
                        // The probes tell soon.
                        return Admission::Refused {
                            retry_after: self.settings.open_for.min(Duration::from_secs(1)),
                        };
                    }
                    *under_way += 1;
                }
            }
        }
        Admission::Admitted(Pass {
            breaker: Arc::clone(self),
            generation: state.generation,
            is_over: false,
        })
    }

    /// Where it stands.
    pub(crate) fn standing(&self, now: Instant) -> Standing {
        let state = self.lock();
        match (state.forced, &state.phase) {
            (Some(Forced::Open), _) => Standing::Open,
            (Some(Forced::Closed), _) | (None, Phase::Closed(_)) => Standing::Closed,
            (None, Phase::Open { until }) if now < *until => Standing::Open,
            (None, Phase::Open { .. } | Phase::HalfOpen { .. }) => Standing::HalfOpen,
        }
    }

    /// Whether it holds nothing that a new one would not hold too.
    pub(crate) fn is_at_rest(&self, now: Instant) -> bool {
        let state = self.lock();
        state.forced.is_none()
            && match &state.phase {
                Phase::Closed(window) => now.saturating_duration_since(window.began) > self.settings.window,
                Phase::Open { .. } | Phase::HalfOpen { .. } => false,
            }
    }

    /// Refuses everything until [`release`](Breaker::release).
    pub(crate) fn force_open(&self) {
        self.lock().forced = Some(Forced::Open);
    }

    /// Lets everything through until [`release`](Breaker::release).
    pub(crate) fn force_closed(&self) {
        self.lock().forced = Some(Forced::Closed);
    }

    /// Judges for itself again, from closed.
    pub(crate) fn release(&self, now: Instant) {
        let mut state = self.lock();
        state.forced = None;
        state.openings = 0;
        state.enter(Phase::Closed(Window::new(now)));
    }

    /// Counts a request that was let through; whether it opened the breaker.
    fn record(&self, generation: u64, verdict: Verdict, now: Instant) -> bool {
        let mut state = self.lock();
        if state.generation != generation || state.forced.is_some() {
            return false;
        }
        let State { phase, openings, .. } = &mut *state;
        let next = match phase {
            Phase::Closed(window) => {
                window.add(verdict, self.settings.window, now);
                let Slice { requests, failures } = window.sum();
                let opens = requests >= self.settings.min_requests
                    && f64::from(failures) >= self.settings.failure_ratio * f64::from(requests);
                opens.then_some(true)
            }
            Phase::HalfOpen { under_way, succeeded } => {
                *under_way -= 1;
                match verdict {
                    Verdict::Failure => Some(true),
                    Verdict::Success => {
                        *succeeded += 1;
                        (*succeeded >= self.settings.half_open_requests).then_some(false)
                    }
                }
            }
            Phase::Open { .. } => None,
        };
        match next {
            Some(true) => {
                let doubled = 2_u32.checked_pow(*openings).unwrap_or(u32::MAX);
                let open_for = self.settings.open_for.saturating_mul(doubled);
                let open_for = open_for.min(self.settings.max_open_for);
                *openings = openings.saturating_add(1);
                // A time too long for the clock is a very long one.
                let until = now
                    .checked_add(open_for)
                    .unwrap_or(now + Duration::from_hours(24 * 365));
                state.enter(Phase::Open { until });
                true
            }
            Some(false) => {
                state.openings = 0;
                state.enter(Phase::Closed(Window::new(now)));
                false
            }
            None => false,
        }
    }

    /// A request that was let through has gone without a verdict.
    fn forget(&self, generation: u64) {
        let mut state = self.lock();
        if state.generation == generation
            && let Phase::HalfOpen { under_way, .. } = &mut state.phase
        {
            *under_way = under_way.saturating_sub(1);
        }
    }
}

impl State {
    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.generation += 1;
    }
}

impl Pass {
    /// Tells how the request ended; whether that opened the breaker.
    pub(crate) fn ended(mut self, verdict: Verdict, now: Instant) -> bool {
        self.is_over = true;
        self.breaker.record(self.generation, verdict, now)
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if !self.is_over {
            self.breaker.forget(self.generation);
        }
    }
}

impl Window {
    fn new(now: Instant) -> Window {
        Window {
            slices: [Slice::default(); SLICES],
            newest: 0,
            began: now,
        }
    }

    fn add(&mut self, verdict: Verdict, length: Duration, now: Instant) {
        let slice = (length / 10).max(Duration::from_nanos(1));
        let passed = now.saturating_duration_since(self.began).as_nanos() / slice.as_nanos();
        if passed >= SLICES as u128 {
            *self = Window::new(now);
        } else {
            for _ in 0..passed {
                self.newest = (self.newest + 1) % SLICES;
                self.slices[self.newest] = Slice::default();
                self.began += slice;
            }
        }
        let newest = &mut self.slices[self.newest];
        newest.requests = newest.requests.saturating_add(1);
        if verdict == Verdict::Failure {
            newest.failures = newest.failures.saturating_add(1);
        }
    }

    fn sum(&self) -> Slice {
        self.slices.iter().fold(Slice::default(), |sum, slice| Slice {
            requests: sum.requests.saturating_add(slice.requests),
            failures: sum.failures.saturating_add(slice.failures),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: Settings = Settings {
        failure_ratio: 0.8,
        min_requests: 20,
        window: Duration::from_secs(10),
        open_for: Duration::from_secs(5),
        max_open_for: Duration::from_secs(12),
        half_open_requests: 3,
    };

    fn pass(breaker: &Arc<Breaker>, now: Instant) -> Option<Pass> {
        match breaker.admit(now) {
            Admission::Admitted(pass) => Some(pass),
            Admission::Refused { .. } => None,
        }
    }

    fn ends(breaker: &Arc<Breaker>, verdict: Verdict, now: Instant) -> bool {
        pass(breaker, now).expect("it is let through").ended(verdict, now)
    }

    fn refused(breaker: &Arc<Breaker>, now: Instant) -> Option<Duration> {
        match breaker.admit(now) {
            Admission::Admitted(_) => None,
            Admission::Refused { retry_after } => Some(retry_after),
        }
    }

    fn opened(now: Instant) -> Arc<Breaker> {
        let breaker = Breaker::new(SETTINGS, now);
        for _ in 0..19 {
            assert!(!ends(&breaker, Verdict::Failure, now));
        }
        assert!(ends(&breaker, Verdict::Failure, now));
        breaker
    }

    #[test]
    fn it_opens_at_the_ratio_of_enough_requests() {
        let now = Instant::now();
        let breaker = Breaker::new(SETTINGS, now);
        for _ in 0..4 {
            assert!(!ends(&breaker, Verdict::Success, now));
        }
        for failures in 1..16 {
            assert!(!ends(&breaker, Verdict::Failure, now), "{failures}");
        }
        assert!(ends(&breaker, Verdict::Failure, now));
        assert_eq!(breaker.standing(now), Standing::Open);
        assert_eq!(
            refused(&breaker, now + Duration::from_secs(2)),
            Some(Duration::from_secs(3))
        );
    }

    #[test]
    fn failures_older_than_the_window_are_forgotten() {
        let now = Instant::now();
        let breaker = Breaker::new(SETTINGS, now);
        for second in 0..40 {
            assert!(!ends(&breaker, Verdict::Failure, now + Duration::from_secs(second)));
        }
        assert_eq!(breaker.standing(now + Duration::from_secs(40)), Standing::Closed);
    }

    #[test]
    fn enough_probes_close_it_and_no_more_are_let_through() {
        let now = Instant::now();
        let breaker = opened(now);
        let later = now + Duration::from_secs(5);
        let probes: Vec<Pass> = (0..3).map(|_| pass(&breaker, later).unwrap()).collect();
        assert_eq!(refused(&breaker, later), Some(Duration::from_secs(1)));
        assert_eq!(breaker.standing(later), Standing::HalfOpen);
        for probe in probes {
            assert!(!probe.ended(Verdict::Success, later));
        }
        assert_eq!(breaker.standing(later), Standing::Closed);
        assert!(!ends(&breaker, Verdict::Failure, later));
    }

    #[test]
    fn a_failed_probe_opens_it_for_twice_as_long_up_to_the_cap() {
        let mut now = Instant::now();
        let breaker = opened(now);
        for open_for in [5, 10, 12, 12].map(Duration::from_secs) {
            assert_eq!(refused(&breaker, now), Some(open_for));
            now += open_for;
            assert!(ends(&breaker, Verdict::Failure, now));
        }
        now += SETTINGS.max_open_for;
        let probes: Vec<Pass> = (0..3).map(|_| pass(&breaker, now).unwrap()).collect();
        for probe in probes {
            assert!(!probe.ended(Verdict::Success, now));
        }
        // Recovered: the next opening is a first one again.
        for _ in 0..20 {
            ends(&breaker, Verdict::Failure, now);
        }
        assert_eq!(refused(&breaker, now), Some(Duration::from_secs(5)));
    }

    #[test]
    fn a_cancelled_probe_leaves_its_place_to_another() {
        let now = Instant::now();
        let breaker = opened(now);
        let later = now + Duration::from_secs(5);
        for _ in 0..50 {
            drop(pass(&breaker, later).expect("the last one's place is free"));
        }
        for _ in 0..3 {
            ends(&breaker, Verdict::Success, later);
        }
        assert_eq!(breaker.standing(later), Standing::Closed);
    }

    #[test]
    fn a_request_of_an_earlier_phase_says_nothing() {
        let now = Instant::now();
        let breaker = Breaker::new(SETTINGS, now);
        let early: Vec<Pass> = (0..2).map(|_| pass(&breaker, now).unwrap()).collect();
        for _ in 0..20 {
            ends(&breaker, Verdict::Failure, now);
        }
        let later = now + Duration::from_secs(5);
        let _probe = pass(&breaker, later).unwrap();
        for pass in early {
            assert!(!pass.ended(Verdict::Failure, later));
        }
        assert_eq!(breaker.standing(later), Standing::HalfOpen);
    }

    #[test]
    fn people_can_force_it_either_way_and_let_go() {
        let now = Instant::now();
        let breaker = Breaker::new(SETTINGS, now);
        breaker.force_open();
        assert_eq!(refused(&breaker, now), Some(SETTINGS.open_for));
        breaker.force_closed();
        for _ in 0..50 {
            assert!(!ends(&breaker, Verdict::Failure, now));
        }
        breaker.release(now);
        assert_eq!(breaker.standing(now), Standing::Closed);
        assert!(!breaker.is_at_rest(now));
        assert!(breaker.is_at_rest(now + Duration::from_secs(11)));
    }

    #[test]
    fn settings_out_of_all_bounds_do_not_overflow() {
        let now = Instant::now();
        let endless = Settings {
            min_requests: 1,
            window: Duration::MAX,
            open_for: Duration::MAX,
            max_open_for: Duration::MAX,
            ..SETTINGS
        };
        let breaker = Breaker::new(endless, now);
        assert!(ends(&breaker, Verdict::Failure, now));
        assert!(refused(&breaker, now).is_some());
    }
}
