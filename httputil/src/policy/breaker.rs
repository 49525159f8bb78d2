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
//! ```
//! use std::sync::Arc;
//!
//! use httputil::policy::breaker::{Breaker, Change, Verdict};
//! use httputil::settings;
//!
//! /// A call of any kind, of a database for one.
//! async fn guarded<T, E>(breaker: &Arc<Breaker>, call: impl Future<Output = Result<T, E>>) -> Option<Result<T, E>> {
//!     // While the breaker is open this fails at once, and says when to come back.
//!     let permit = breaker.permit().ok()?;
//!     // Dropped here, the permit would say nothing of the database.
//!     let answer = call.await;
//!     let verdict = if answer.is_ok() { Verdict::Success } else { Verdict::Failure };
//!     if let Change::Opened { open_for } = permit.ended(verdict) {
//!         eprintln!("the database is left alone for {open_for:?}");
//!     }
//!     Some(answer)
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let mut settings = settings::Breaker::default();
//! settings.min_requests = 2;
//! let breaker = Breaker::new(settings);
//! assert_eq!(guarded(&breaker, async { Err::<(), _>("broken") }).await, Some(Err("broken")));
//! assert_eq!(guarded(&breaker, async { Err::<(), _>("broken") }).await, Some(Err("broken")));
//! assert_eq!(guarded(&breaker, async { Ok::<_, &str>("not asked") }).await, None);
//! # });
//! ```
//!
//! One host's requests pass one breaker. Only those of the phase's own generation count: a request that began when the
//! breaker was closed says nothing about a host that has been left alone since. `recloser` counts the last so many
//! requests, not a window of time, and knows neither a growing open time nor a limited number of probes; so this is ours.

mod permit;
mod state;
mod window;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio::time::Instant;

pub use permit::{Change, Open, Permit, Success, Verdict};
use state::{Forced, Phase, State};
use window::{Slice, Window};

use crate::pool::BreakerState;
use crate::settings;
use crate::wire::chance;

/// The breaker of one host. Its clock is tokio's; while it is closed it costs nanoseconds, and no lock to be let through.
#[derive(Debug)]
pub struct Breaker {
    settings: settings::Breaker,
    /// The generation while everything is let through, else [`SHUT`]: a look, no lock, for most requests.
    gate: AtomicU64,
    state: Mutex<State>,
    /// Who waits for a turn at the host hears of it.
    opened: Notify,
}

/// What no generation is.
const SHUT: u64 = u64::MAX;

impl Breaker {
    /// A closed one, which its permits share. [`enabled`](settings::Breaker::enabled) is not looked at: who wants none makes
    /// none.
    pub fn new(settings: settings::Breaker) -> Arc<Breaker> {
        Breaker::new_at(settings, Instant::now())
    }

    pub(crate) fn new_at(settings: settings::Breaker, now: Instant) -> Arc<Breaker> {
        Arc::new(Breaker {
            settings,
            gate: AtomicU64::new(0),
            state: Mutex::new(State {
                generation: 0,
                phase: Phase::Closed(Window::new(now)),
                openings: 0,
                forced: None,
            }),
            opened: Notify::new(),
        })
    }

    /// Ends when the breaker opens the next time, from this call on.
    pub(crate) fn opens(&self) -> Notified<'_> {
        self.opened.notified()
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

    /// Lets a request through.
    ///
    /// # Errors
    ///
    /// That none is let through now, and when one will be.
    pub fn permit(self: &Arc<Self>) -> Result<Permit, Open> {
        self.permit_at(Instant::now)
    }

    /// The same at a time that is looked at only where it counts.
    pub(crate) fn permit_at(self: &Arc<Self>, now: impl FnOnce() -> Instant) -> Result<Permit, Open> {
        let gate = self.gate.load(Ordering::Acquire);
        if gate != SHUT {
            return Ok(self.admitted(gate, false));
        }
        let now = now();
        self.with_state(|state| {
            if state.forced == Some(Forced::Closed) {
                return Ok(self.admitted(state.generation, false));
            }
            if let Some(until) = self.refuses_until(state, now) {
                return Err(Open {
                    retry_after: until.saturating_duration_since(now),
                    by_hand: state.forced.is_some(),
                });
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
                return Ok(self.admitted(state.generation, false));
            }
            if begins {
                state.enter(Phase::HalfOpen {
                    under_way: 1,
                    succeeded: 0,
                    probed: now,
                });
            }
            Ok(self.admitted(state.generation, begins))
        })
    }

    fn admitted(self: &Arc<Self>, generation: u64, is_first: bool) -> Permit {
        Permit {
            breaker: Arc::clone(self),
            generation,
            is_first,
            is_over: false,
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

    /// For how long it will refuse requests; `None` if it would let one through now. It takes no place among the probes.
    pub fn retry_after(&self) -> Option<Duration> {
        self.refuses_for(Instant::now())
    }

    /// The same at this time.
    pub(crate) fn refuses_for(&self, now: Instant) -> Option<Duration> {
        self.refusal(now).map(|open| open.retry_after)
    }

    /// What a request would hear, if it would be refused.
    pub(crate) fn refusal(&self, now: Instant) -> Option<Open> {
        if self.gate.load(Ordering::Acquire) != SHUT {
            return None;
        }
        let state = self.lock();
        let until = self.refuses_until(&state, now)?;
        Some(Open {
            retry_after: until.saturating_duration_since(now),
            by_hand: state.forced.is_some(),
        })
    }

    /// Where it stands.
    pub fn state(&self) -> BreakerState {
        self.state_at(Instant::now())
    }

    pub(crate) fn state_at(&self, now: Instant) -> BreakerState {
        let state = self.lock();
        match (state.forced, &state.phase) {
            (Some(Forced::Open), _) => BreakerState::Open,
            (Some(Forced::Closed), _) | (None, Phase::Closed(_)) => BreakerState::Closed,
            (None, Phase::Open { until }) if now < *until => BreakerState::Open,
            (None, Phase::Open { .. } | Phase::HalfOpen { .. }) => BreakerState::HalfOpen,
        }
    }

    /// Whether it may be forgotten: it holds nothing that a new one would not hold too, or nothing that anybody has asked for
    /// in a long time. One that somebody has taken in hand may not. For [`Hosts`](super::hosts::Hosts).
    pub fn is_at_rest(&self) -> bool {
        self.rests_at(Instant::now())
    }

    pub(crate) fn rests_at(&self, now: Instant) -> bool {
        let state = self.lock();
        let long_after = |at: Instant, long: Duration| now.saturating_duration_since(at) > long;
        state.forced.is_none()
            && match &state.phase {
                Phase::Closed(window) => long_after(window.began, self.settings.window),
                Phase::Open { until } => long_after(*until, self.settings.max_open_for),
                Phase::HalfOpen { probed, .. } => long_after(*probed, self.settings.max_open_for),
            }
    }

    /// Refuses everything, until [`reset`](Breaker::reset) or [`force_close`](Breaker::force_close).
    pub fn force_open(&self) {
        self.with_state(|state| state.forced = Some(Forced::Open));
        self.opened.notify_waiters();
    }

    /// Lets everything through, however much fails, until [`reset`](Breaker::reset) or [`force_open`](Breaker::force_open).
    pub fn force_close(&self) {
        self.with_state(|state| state.forced = Some(Forced::Closed));
    }

    /// What somebody decided about another one holds for this one.
    pub(crate) fn keep_hand_of(&self, other: &Breaker) {
        let forced = other.lock().forced;
        self.with_state(|state| state.forced = forced);
    }

    /// Closes it, forgets what it has counted, and lets it judge for itself again.
    pub fn reset(&self) {
        let now = Instant::now();
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
                self.has_failed(window).then_some(Verdict::Failure)
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

    /// Whether too many of those in the window have failed.
    fn has_failed(&self, window: &Window) -> bool {
        let Slice { requests, failures } = window.sum();
        requests >= self.settings.min_requests
            && f64::from(failures) >= self.settings.failure_ratio * f64::from(requests)
    }

    /// What was counted as a success was none after all: the host has broken off what it began well. Once for each.
    pub fn take_back(&self, success: Success) -> Change {
        self.take_back_at(success, Instant::now(), chance)
    }

    /// The same at a time and by a chance that are the caller's.
    pub(crate) fn take_back_at(&self, success: Success, now: Instant, chance: impl FnOnce() -> f64) -> Change {
        let Success(generation) = success;
        let mut state = self.lock();
        if state.generation != generation || state.forced.is_some() {
            return Change::Nothing;
        }
        let opens = match &mut state.phase {
            Phase::Closed(window) => {
                window.turn_to_failure(self.settings.window, now);
                self.has_failed(window)
            }
            Phase::HalfOpen { .. } => true,
            Phase::Open { .. } => false,
        };
        drop(state);
        if !opens {
            return Change::Nothing;
        }
        self.turn(generation, Verdict::Failure, now, chance())
    }

    /// Opens after failures, closes after successes, unless somebody has been faster.
    fn turn(&self, generation: u64, verdict: Verdict, now: Instant, chance: f64) -> Change {
        let turned = self.with_state(|state| {
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
        });
        if matches!(turned, Change::Opened { .. }) {
            self.opened.notify_waiters();
        }
        turned
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

#[cfg(test)]
mod tests;
