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
//! One host's requests pass one breaker. Only those of the phase's own generation count: a request that began when the
//! breaker was closed says nothing about a host that has been left alone since. `recloser` counts the last so many
//! requests, not a window of time, and knows neither a growing open time nor a limited number of probes; so this is ours.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::pool::BreakerState;
use crate::settings;

/// The breaker of one host.
#[derive(Debug)]
pub(crate) struct Breaker {
    settings: settings::Breaker,
    /// The generation while everything is let through, else [`SHUT`]: a look, no lock, for most requests.
    gate: AtomicU64,
    state: Mutex<State>,
}

/// What no generation is.
const SHUT: u64 = u64::MAX;

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
    Open {
        until: Instant,
    },
    HalfOpen {
        under_way: u32,
        succeeded: u32,
        /// When the last probe was let through.
        probed: Instant,
    },
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

/// How a request ended, as far as its host is to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Success,
    Failure,
}

/// What the breaker says to a request that wants to go.
#[derive(Debug)]
pub(crate) enum Admission {
    /// `begins` is whether it is the first one after the breaker was open.
    Admitted { pass: Pass, begins: bool },
    /// Come back after this; `by_hand` is whether somebody opened it.
    Refused { retry_after: Duration, by_hand: bool },
}

/// A request that was let through. Dropped without a verdict, it says nothing about the host.
#[derive(Debug)]
#[must_use]
pub(crate) struct Pass {
    breaker: Arc<Breaker>,
    generation: u64,
    is_over: bool,
}

/// What a verdict has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Nothing,
    Opened { open_for: Duration },
    Closed,
}

impl Breaker {
    pub(crate) fn new(settings: settings::Breaker, now: Instant) -> Arc<Breaker> {
        Arc::new(Breaker {
            settings,
            gate: AtomicU64::new(0),
            state: Mutex::new(State {
                generation: 0,
                phase: Phase::Closed(Window::new(now)),
                openings: 0,
                forced: None,
            }),
        })
    }

    /// Does something to the state, and sets the gate by what has become of it.
    fn with_state<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        let done = act(&mut state);
        let gate = match (state.forced, &state.phase) {
            (Some(Forced::Closed), _) | (None, Phase::Closed(_)) => state.generation,
            _ => SHUT,
        };
        self.gate.store(gate, Ordering::Release);
        done
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a request may go now.
    pub(crate) fn admit(self: &Arc<Self>, now: impl FnOnce() -> Instant) -> Admission {
        let gate = self.gate.load(Ordering::Acquire);
        if gate != SHUT {
            return self.admitted(gate, false);
        }
        let now = now();
        self.with_state(|state| {
            if state.forced == Some(Forced::Closed) {
                return self.admitted(state.generation, false);
            }
            if let Some(until) = self.refuses_until(state, now) {
                return Admission::Refused {
                    retry_after: until.saturating_duration_since(now),
                    by_hand: state.forced.is_some(),
                };
            }
            let begins = !matches!(state.phase, Phase::Closed(_));
            if let Phase::HalfOpen {
                under_way,
                succeeded,
                probed,
            } = &mut state.phase
                && *under_way + *succeeded < self.settings.half_open_requests
            {
                *under_way += 1;
                *probed = now;
                return self.admitted(state.generation, false);
            }
            if begins {
                state.enter(Phase::HalfOpen {
                    under_way: 1,
                    succeeded: 0,
                    probed: now,
                });
            }
            self.admitted(state.generation, begins)
        })
    }

    fn admitted(self: &Arc<Self>, generation: u64, begins: bool) -> Admission {
        Admission::Admitted {
            pass: Pass {
                breaker: Arc::clone(self),
                generation,
                is_over: false,
            },
            begins,
        }
    }

    /// Until when a request would be refused, if it would be.
    fn refuses_until(&self, state: &State, now: Instant) -> Option<Instant> {
        let until = match (state.forced, &state.phase) {
            (Some(Forced::Closed), _) | (None, Phase::Closed(_)) => return None,
            (Some(Forced::Open), _) => later(now, self.settings.open_for),
            (None, Phase::Open { until }) => *until,
            (
                None,
                Phase::HalfOpen {
                    under_way, succeeded, ..
                },
            ) if *under_way + *succeeded < self.settings.half_open_requests => {
                return None;
            }
            // The probes tell soon; those that never end have had their time, and others are let through in their place.
            (None, Phase::HalfOpen { probed, .. }) => {
                let until = later(*probed, self.settings.open_for);
                if until <= now {
                    return None;
                }
                until.min(later(now, PROBES_TELL_WITHIN))
            }
        };
        (until > now).then_some(until)
    }

    /// For how long it will refuse requests; `None` if it would let one through now.
    pub(crate) fn refuses_for(&self, now: Instant) -> Option<Duration> {
        if self.gate.load(Ordering::Acquire) != SHUT {
            return None;
        }
        let state = self.lock();
        let until = self.refuses_until(&state, now)?;
        Some(until.saturating_duration_since(now))
    }

    /// Where it stands.
    pub(crate) fn state(&self, now: Instant) -> BreakerState {
        let state = self.lock();
        match (state.forced, &state.phase) {
            (Some(Forced::Open), _) => BreakerState::Open,
            (Some(Forced::Closed), _) | (None, Phase::Closed(_)) => BreakerState::Closed,
            (None, Phase::Open { until }) if now < *until => BreakerState::Open,
            (None, Phase::Open { .. } | Phase::HalfOpen { .. }) => BreakerState::HalfOpen,
        }
    }

    /// Whether it holds nothing that a new one would not hold too, or nothing that anybody has asked for in a long time.
    pub(crate) fn is_at_rest(&self, now: Instant) -> bool {
        let state = self.lock();
        let long_after = |at: Instant, long: Duration| now.saturating_duration_since(at) > long;
        state.forced.is_none()
            && match &state.phase {
                Phase::Closed(window) => long_after(window.began, self.settings.window),
                Phase::Open { until } => long_after(*until, self.settings.max_open_for),
                Phase::HalfOpen { probed, .. } => long_after(*probed, self.settings.max_open_for),
            }
    }

    /// Refuses everything until [`reset`](Breaker::reset).
    pub(crate) fn force_open(&self) {
        self.with_state(|state| state.forced = Some(Forced::Open));
    }

    /// Lets everything through until [`reset`](Breaker::reset).
    pub(crate) fn force_close(&self) {
        self.with_state(|state| state.forced = Some(Forced::Closed));
    }

    /// Judges for itself again, from closed.
    pub(crate) fn reset(&self, now: Instant) {
        self.with_state(|state| {
            state.forced = None;
            state.openings = 0;
            state.enter(Phase::Closed(Window::new(now)));
        });
    }

    /// Counts a request that was let through. `chance`, from 0 to 1, spreads the breakers of many that open together.
    fn record(&self, generation: u64, verdict: Verdict, now: Instant, chance: impl FnOnce() -> f64) -> Change {
        let mut state = self.lock();
        if state.generation != generation || state.forced.is_some() {
            return Change::Nothing;
        }
        let next = match &mut state.phase {
            Phase::Closed(window) => {
                window.add(verdict, self.settings.window, now);
                let Slice { requests, failures } = window.sum();
                let opens = requests >= self.settings.min_requests
                    && f64::from(failures) >= self.settings.failure_ratio * f64::from(requests);
                opens.then_some(Verdict::Failure)
            }
            Phase::HalfOpen {
                under_way, succeeded, ..
            } => {
                *under_way = under_way.saturating_sub(1);
                *succeeded += u32::from(verdict == Verdict::Success);
                (verdict == Verdict::Failure || *succeeded >= self.settings.half_open_requests).then_some(verdict)
            }
            Phase::Open { .. } => None,
        };
        drop(state);
        match next {
            None => Change::Nothing,
            Some(verdict) => self.turn(generation, verdict, now, chance()),
        }
    }

    /// Opens after failures, closes after successes, unless somebody has been faster.
    fn turn(&self, generation: u64, verdict: Verdict, now: Instant, chance: f64) -> Change {
        self.with_state(|state| {
            if state.generation != generation || state.forced.is_some() {
                return Change::Nothing;
            }
            if verdict == Verdict::Success {
                state.openings = 0;
                state.enter(Phase::Closed(Window::new(now)));
                return Change::Closed;
            }
            let doubled = 2_u32.checked_pow(state.openings).unwrap_or(u32::MAX);
            let open_for = self.settings.open_for.saturating_mul(doubled);
            let open_for = open_for.min(self.settings.max_open_for);
            let open_for = open_for.saturating_sub((open_for / 10).mul_f64(chance));
            state.openings = state.openings.saturating_add(1);
            state.enter(Phase::Open {
                until: later(now, open_for),
            });
            Change::Opened { open_for }
        })
    }

    /// A request that was let through has gone without a verdict.
    fn forget(&self, generation: u64) {
        // Only probes hold a place. While everything is let through there are none.
        if self.gate.load(Ordering::Acquire) == generation {
            return;
        }
        let mut state = self.lock();
        if state.generation == generation
            && let Phase::HalfOpen { under_way, .. } = &mut state.phase
        {
            *under_way = under_way.saturating_sub(1);
        }
    }
}

/// What a refused request is told at most while probes are under way.
const PROBES_TELL_WITHIN: Duration = Duration::from_secs(1);

/// A time too long for the clock is a very long one.
fn later(at: Instant, by: Duration) -> Instant {
    at.checked_add(by).unwrap_or(at + Duration::from_hours(24 * 365))
}

impl State {
    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.generation += 1;
    }
}

impl Pass {
    /// Tells how the request ended, and hears what that has changed.
    pub(crate) fn ended(mut self, verdict: Verdict, now: Instant, chance: impl FnOnce() -> f64) -> Change {
        self.is_over = true;
        self.breaker.record(self.generation, verdict, now, chance)
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

    const SETTINGS: settings::Breaker = settings::Breaker {
        enabled: true,
        failure_ratio: 0.8,
        min_requests: 20,
        window: Duration::from_secs(10),
        open_for: Duration::from_secs(5),
        max_open_for: Duration::from_secs(12),
        half_open_requests: 3,
    };

    fn pass(breaker: &Arc<Breaker>, now: Instant) -> Option<Pass> {
        match breaker.admit(|| now) {
            Admission::Admitted { pass, .. } => Some(pass),
            Admission::Refused { .. } => None,
        }
    }

    fn ends(breaker: &Arc<Breaker>, verdict: Verdict, now: Instant) -> bool {
        let pass = pass(breaker, now).expect("it is let through");
        matches!(pass.ended(verdict, now, || 0.0), Change::Opened { .. })
    }

    fn refused(breaker: &Arc<Breaker>, now: Instant) -> Option<Duration> {
        let refuses_for = breaker.refuses_for(now);
        match breaker.admit(|| now) {
            Admission::Admitted { .. } => {
                assert_eq!(refuses_for, None);
                None
            }
            Admission::Refused { retry_after, .. } => {
                assert_eq!(refuses_for, Some(retry_after));
                Some(retry_after)
            }
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
        assert_eq!(breaker.state(now), BreakerState::Open);
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
        assert_eq!(breaker.state(now + Duration::from_secs(40)), BreakerState::Closed);
    }

    #[test]
    fn enough_probes_close_it_and_no_more_are_let_through() {
        let now = Instant::now();
        let breaker = opened(now);
        let later = now + Duration::from_secs(5);
        let probes: Vec<Pass> = (0..3).map(|_| pass(&breaker, later).unwrap()).collect();
        assert_eq!(refused(&breaker, later), Some(Duration::from_secs(1)));
        assert_eq!(breaker.state(later), BreakerState::HalfOpen);
        for probe in probes {
            let _ = probe.ended(Verdict::Success, later, || 0.0);
        }
        assert_eq!(breaker.state(later), BreakerState::Closed);
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
            let _ = probe.ended(Verdict::Success, now, || 0.0);
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
        assert_eq!(breaker.state(later), BreakerState::Closed);
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
            assert_eq!(pass.ended(Verdict::Failure, later, || 0.0), Change::Nothing);
        }
        assert_eq!(breaker.state(later), BreakerState::HalfOpen);
    }

    #[test]
    fn people_can_force_it_either_way_and_let_go() {
        let now = Instant::now();
        let breaker = Breaker::new(SETTINGS, now);
        breaker.force_open();
        assert_eq!(refused(&breaker, now), Some(SETTINGS.open_for));
        breaker.force_close();
        for _ in 0..50 {
            assert!(!ends(&breaker, Verdict::Failure, now));
        }
        breaker.reset(now);
        assert_eq!(breaker.state(now), BreakerState::Closed);
        assert!(!breaker.is_at_rest(now));
        assert!(breaker.is_at_rest(now + Duration::from_secs(11)));
    }

    #[test]
    fn settings_out_of_all_bounds_do_not_overflow() {
        let now = Instant::now();
        let endless = settings::Breaker {
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

    #[test]
    fn a_probe_that_never_ends_gives_way_to_another() {
        let now = Instant::now();
        let breaker = opened(now);
        let later = now + Duration::from_secs(5);
        let hung: Vec<Pass> = (0..3).map(|_| pass(&breaker, later).unwrap()).collect();
        assert!(refused(&breaker, later + Duration::from_millis(4999)).is_some());
        let much_later = later + Duration::from_secs(5);
        for _ in 0..3 {
            assert!(!ends(&breaker, Verdict::Success, much_later));
        }
        assert_eq!(breaker.state(much_later), BreakerState::Closed);
        for probe in hung {
            assert_eq!(probe.ended(Verdict::Failure, much_later, || 0.0), Change::Nothing);
        }
    }

    #[test]
    fn chance_spreads_those_that_open_together_and_only_shortens() {
        let now = Instant::now();
        for (chance, millis) in [(0.0, 5000), (0.5, 4750), (1.0, 4500)] {
            let once = settings::Breaker {
                min_requests: 1,
                ..SETTINGS
            };
            let breaker = Breaker::new(once, now);
            let open_for = Duration::from_millis(millis);
            let change = pass(&breaker, now).unwrap().ended(Verdict::Failure, now, || chance);
            assert_eq!(change, Change::Opened { open_for });
            assert_eq!(refused(&breaker, now), Some(open_for));
        }
    }

    #[test]
    fn the_first_probe_and_the_last_success_are_told_of() {
        let now = Instant::now();
        let breaker = opened(now);
        let later = now + Duration::from_secs(5);
        let told: Vec<(bool, Change)> = (0..3)
            .map(|_| match breaker.admit(|| later) {
                Admission::Admitted { pass, begins } => (begins, pass.ended(Verdict::Success, later, || 0.0)),
                Admission::Refused { .. } => panic!("it is let through"),
            })
            .collect();
        let nothing = Change::Nothing;
        assert_eq!(told, [(true, nothing), (false, nothing), (false, Change::Closed)]);
    }

    #[test]
    fn an_open_breaker_that_nobody_asks_is_forgotten_in_the_end() {
        let now = Instant::now();
        let breaker = opened(now);
        assert!(!breaker.is_at_rest(now + Duration::from_secs(17)));
        assert!(breaker.is_at_rest(now + Duration::from_secs(18)));
        breaker.force_open();
        assert!(!breaker.is_at_rest(now + Duration::from_hours(1)));
    }

    #[test]
    fn threads_that_fail_and_recover_at_once_leave_no_probe_behind() {
        let quick = settings::Breaker {
            min_requests: 2,
            open_for: Duration::from_nanos(1),
            max_open_for: Duration::from_nanos(1),
            ..SETTINGS
        };
        let breaker = Breaker::new(quick, Instant::now());
        std::thread::scope(|scope| {
            for thread in 0..4_u32 {
                let breaker = &breaker;
                scope.spawn(move || {
                    for number in 0..20_000_u32 {
                        if let Admission::Admitted { pass, .. } = breaker.admit(Instant::now) {
                            let verdict = match (number / 7 + thread) % 3 {
                                0 => Verdict::Success,
                                1 => Verdict::Failure,
                                _ => continue,
                            };
                            let _ = pass.ended(verdict, Instant::now(), || 0.0);
                        }
                    }
                });
            }
        });
        match &breaker.lock().phase {
            Phase::HalfOpen { under_way, .. } => assert_eq!(*under_way, 0),
            Phase::Closed(_) | Phase::Open { .. } => {}
        }
    }
}
