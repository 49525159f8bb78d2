//! The stage of a request's way that makes failed attempts again: after a pause, within the total deadline, and within
//! the host's budget.
//!
//! `policy` says what would be right; here it is asked and done. What is sent again since the server has not acted on it
//! is an attempt's own business ([`resend`](super::resend)): it counts as no retry and goes on when retries are off.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use http::Response;
use tokio::time::Instant;

use super::execute::Prepared;
use super::in_code;
use super::options::{may_repeat, may_retry};
use crate::connect::Target;
use crate::error::{Error, Kind, Phase};
use crate::policy::{Budget, Ended, Hosts, Retry};
use crate::settings;
use crate::wire::{PooledBody, chance};

/// Hosts whose budgets are remembered, beside the first one.
const MANY_HOSTS: usize = 1000;

/// What the clients of one profile share: its rules, and each host's budget.
pub(crate) struct Retries {
    pub(super) rules: Retry,
    ratio: f64,
    min_per_second: u32,
    /// A profile mostly has one host, and this one is found without a lock.
    first: OnceLock<(Target, Arc<Budget>)>,
    others: Hosts<Target, Arc<Budget>>,
}

impl Retries {
    /// # Errors
    ///
    /// What `in_code` says of a profile: its settings cannot be.
    pub(crate) fn of(profile: &settings::Profile) -> Result<Arc<Retries>, Error> {
        let problems = in_code::retry_mistakes(profile);
        let settings = &profile.policy.retry;
        let Some(rules) = Retry::of(settings).filter(|_| problems.is_empty()) else {
            return Err(Error::config(problems));
        };
        Ok(Arc::new(Retries {
            rules,
            ratio: settings.budget_ratio,
            min_per_second: settings.budget_min_per_second,
            first: OnceLock::new(),
            others: Hosts::new(MANY_HOSTS),
        }))
    }

    /// Pays a request into its host's budget.
    pub(super) fn deposit(&self, target: &Target) {
        if self.rules.is_on() {
            self.with_budget(target, Budget::deposit);
        }
    }

    fn with_budget<T>(&self, target: &Target, act: impl FnOnce(&Budget) -> T) -> T {
        let make = || Arc::new(Budget::new(self.ratio, self.min_per_second));
        let (first, budget) = self.first.get_or_init(|| (target.clone(), make()));
        if first == target {
            act(budget)
        } else {
            act(&self.others.get(target, make, |_| true))
        }
    }
}

/// How an attempt failed.
pub(super) struct Fault {
    pub(super) error: Error,
    /// Before this nobody dials the host, and an attempt would hear of this failure once more.
    pub(super) again_at: Option<Instant>,
    /// Another attempt would fare no better.
    pub(super) is_lasting: bool,
}

impl Fault {
    /// What another attempt would not change.
    pub(super) fn lasting(error: Error) -> Fault {
        Fault {
            error,
            again_at: None,
            is_lasting: true,
        }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Fault {
        Fault {
            again_at: None,
            is_lasting: !may_pass(&error),
            error,
        }
    }
}

/// Whether a failure of this class may be gone the next time. Our own queue and limits are not: more requests would make
/// it worse.
fn may_pass(error: &Error) -> bool {
    match error.kind() {
        Kind::Dns | Kind::Connect | Kind::Proxy | Kind::Connection => true,
        Kind::Timeout { phase, .. } => phase != Phase::PoolWait,
        // A handshake that broke off, not one that was refused by either side.
        Kind::Tls => std::error::Error::source(error)
            .and_then(|source| source.downcast_ref::<std::io::Error>())
            .is_some_and(|io| io.get_ref().is_none_or(|inner| !inner.is::<rustls::Error>())),
        Kind::Protocol => error.is_retryable(),
        _ => false,
    }
}

/// How an attempt ended.
pub(super) type Outcome = Result<Response<PooledBody>, Fault>;

impl Prepared {
    /// Whether an attempt may have to be followed by another one, so that the request is to be kept.
    pub(super) fn may_follow(&self, attempts: u32) -> bool {
        let options = self.options.as_deref();
        attempts < self.in_force.retries.rules.max_attempts && may_retry(options) && self.is_repeatable()
    }

    fn is_repeatable(&self) -> bool {
        let by_rule = || {
            self.in_force
                .retries
                .rules
                .is_repeatable(&self.failing.method, &self.draft.headers)
        };
        may_repeat(self.options.as_deref(), by_rule)
    }

    /// The pause before another attempt, which is paid for and counted then; `None` if this outcome is the user's.
    pub(super) fn pause_before_another(&self, attempts: u32, is_whole: bool, outcome: &Outcome) -> Option<Duration> {
        let rules = &self.in_force.retries.rules;
        let ended = match outcome {
            Ok(response) if rules.is_failure(response.status(), response.headers()) => {
                Ended::Answered(response.status(), response.headers())
            }
            Err(fault) if !fault.is_lasting => Ended::Failed {
                is_unprocessed: fault.error.is_retryable(),
            },
            _ => return None,
        };
        if !is_whole || !may_retry(self.options.as_deref()) {
            return None;
        }
        let is_repeatable = self.is_repeatable();
        let mut pause = rules.pause(attempts, is_repeatable, ended, SystemTime::now(), chance())?;
        let now = Instant::now();
        if let Err(Fault { again_at: Some(at), .. }) = outcome {
            pause = pause.max(at.saturating_duration_since(now));
        }
        let why = Why(outcome);
        let (profile, method) = (&*self.in_force.name, &self.failing.method);
        if self.is_over_after(now, pause) {
            tracing::debug!(profile, %method, attempts, ?pause, "not retried, the request's time is too short: {why}");
            return None;
        }
        let pool = &self.in_force.pool;
        if !self.in_force.retries.with_budget(&self.target, Budget::withdraw) {
            pool.count_retry_denied();
            tracing::debug!(profile, %method, attempts, "not retried, the host's budget is spent (retry.budget): {why}");
            return None;
        }
        pool.count_retry();
        tracing::debug!(profile, %method, attempts, ?pause, "retried: {why}");
        Some(pause)
    }
}

/// An outcome in words.
struct Why<'a>(&'a Outcome);

impl std::fmt::Display for Why<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Ok(response) => write!(f, "answered {}", response.status()),
            Err(fault) => fault.error.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests;
