//! The stage of a request's way that makes failed attempts again: after a pause, within the total deadline, and within
//! the host's budget.
//!
//! `policy` says what would be right; here it is asked and done. What is sent again since the server has not acted on it
//! is an attempt's own business ([`resend`](crate::policy::resend)): it counts as no retry and goes on when retries are off.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use http::{Response, StatusCode};
use tokio::time::Instant;

use super::execute::Prepared;
use super::options::{may_repeat, may_retry};
use super::sendings::Sendings;
use crate::error::Error;
use crate::policy::breaker::Verdict;
use crate::policy::deadline::is_over_after;
use crate::policy::retry::may_pass;
use crate::policy::{Budget, Ended};
use crate::pool::Fresh;
use crate::wire::chance;

/// How an attempt failed.
pub(super) struct Fault {
    pub(super) error: Error,
    /// Before this nobody dials the host, and an attempt would hear of this failure once more.
    pub(super) again_at: Option<Instant>,
    /// Another attempt would fare no better.
    pub(super) is_lasting: bool,
    /// It says nothing of the host, though the error's kind may look so: that has no part in it, or it was said before.
    pub(super) is_our_own: bool,
}

impl Fault {
    /// What another attempt would not change.
    pub(super) fn lasting(error: Error) -> Fault {
        Fault {
            error,
            again_at: None,
            is_lasting: true,
            is_our_own: false,
        }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Fault {
        Fault {
            again_at: None,
            is_lasting: !may_pass(&error),
            is_our_own: false,
            error,
        }
    }
}

/// Whether a server may have acted on what came to this end.
pub(super) fn may_be_done(outcome: &Outcome) -> bool {
    !matches!(outcome, Err(fault) if fault.error.is_retryable())
}

/// The head of an answer. It lies in the [`Prepared`] that was answered, as the body does.
pub(super) type Head = Response<()>;

/// What stages say to each other of an answer: its head would be moved at each step.
#[derive(Clone, Copy)]
pub(super) struct Answered {
    pub(super) status: StatusCode,
    /// By the rules of retries.
    pub(super) is_failure: bool,
}

/// How an attempt ended.
pub(super) type Outcome = Result<Answered, Fault>;

impl Prepared {
    /// Whether an attempt may have to be followed by another one, so that the request is to be kept.
    pub(super) fn may_follow(&self, attempts: u32) -> bool {
        let options = self.options.as_deref();
        attempts < self.in_force.policies.retry.max_attempts && may_retry(options) && self.is_repeatable()
    }

    /// What failed on one connection, or at one server behind it, is tried on another one, and at another address of the
    /// host if it has one. A server that wants to be asked later gets no new connection for it.
    pub(super) fn turn_elsewhere(&self, sendings: &mut Sendings, outcome: &Outcome) {
        let is_elsewhere = match outcome {
            // A server that says that it, or the one behind it, cannot do it; another might.
            Ok(answered) => Verdict::of_status(answered.status) == Verdict::Failure,
            Err(_) => true,
        };
        let failed = sendings.on.filter(|_| is_elsewhere);
        let ours = failed.map_or(Fresh::Any, |on| Fresh::than(on, outcome.is_ok(), sendings.fresh));
        sendings.fresh = Sendings::fresh(self.options.as_deref(), ours);
        if let Some(remote) = failed.and_then(|failed| failed.remote) {
            self.blame(sendings, remote);
        }
    }

    /// No further attempt is made: if the last one's failure says something of its address, others go elsewhere first.
    pub(super) fn turn_others_elsewhere(&self, sendings: &mut Sendings) {
        if sendings.is_theirs
            && let Some(remote) = sendings.on.and_then(|on| on.remote)
        {
            self.blame(sendings, remote);
        }
    }

    fn blame(&self, sendings: &mut Sendings, remote: SocketAddr) {
        if !sendings.failed_at.contains(&remote) {
            sendings.failed_at.push(remote);
        }
        // Where a proxy resolves names, the address is the proxy's.
        if self.route.proxy().is_none_or(|proxy| !proxy.resolves_names()) {
            let failed_at = &mut sendings.failed_at;
            self.in_force.pool.blame(&self.target, &self.route, remote, failed_at);
        }
    }

    pub(super) fn is_repeatable(&self) -> bool {
        let by_rule = || {
            self.in_force
                .policies
                .retry
                .is_repeatable(&self.failing.method, &self.draft.headers)
        };
        may_repeat(self.options.as_deref(), by_rule)
    }

    /// The pause before another attempt, which is paid for and counted then; `None` if this outcome is the user's.
    pub(super) fn pause_before_another(
        &mut self,
        attempts: u32,
        is_whole: bool,
        outcome: &Outcome,
    ) -> Option<Duration> {
        let is_turned_away = self.journey.is_some() && self.turns_away(outcome, SystemTime::now());
        let rules = &self.in_force.policies.retry;
        let ended = match (outcome, &self.head) {
            (Ok(answered), Some(head)) if is_turned_away => Ended::TurnedAway(answered.status, head.headers()),
            (Ok(answered), Some(head)) if answered.is_failure => Ended::Answered(answered.status, head.headers()),
            (Err(fault), _) if !fault.is_lasting => Ended::Failed {
                is_unprocessed: fault.error.is_retryable(),
            },
            (Err(fault), _) if self.is_the_endpoint_s(fault) => Ended::Failed { is_unprocessed: true },
            _ => return None,
        };
        let is_repeatable = self.is_repeatable();
        let wants_one = may_retry(self.options.as_deref());
        let pause = rules.pause_by(attempts, is_repeatable, ended, SystemTime::now(), chance());
        let Some(mut pause) = pause.filter(|_| is_whole && wants_one) else {
            let why_not = match () {
                () if !wants_one => "the request wants no retry",
                () if attempts >= rules.max_attempts => "no attempt is left (retry.max_attempts)",
                () if !is_whole => "its body cannot be had again",
                () if matches!(ended, Ended::Failed { .. }) => "it may have been acted on, and must not be twice",
                () if !is_repeatable => "it must not be sent twice",
                () => "it is asked for a longer pause than retry.max_retry_after",
            };
            let (profile, method, why) = (&*self.in_force.name, &self.failing.method, Why(outcome));
            tracing::debug!(profile, %method, attempts, "not retried, {why_not}: {why}");
            return None;
        };
        let now = Instant::now();
        // Another endpoint is not left alone for it.
        if let Err(Fault { again_at: Some(at), .. }) = outcome
            && self.journey.is_none()
        {
            pause = pause.max(at.saturating_duration_since(now));
        }
        let why = Why(outcome);
        let (profile, method) = (&*self.in_force.name, &self.failing.method);
        if is_over_after(self.deadline, now, pause) {
            tracing::debug!(profile, %method, attempts, ?pause, "not retried, the request's time is too short: {why}");
            return None;
        }
        if self.refused_for(now).is_some_and(|left| left > pause) {
            tracing::debug!(profile, %method, attempts, "not retried, the host's breaker is open (breaker): {why}");
            return None;
        }
        let pool = &self.in_force.pool;
        let budget = self.host.as_ref().and_then(|host| host.budget.as_deref());
        if !budget.is_some_and(Budget::withdraw) {
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
            Ok(answered) => write!(f, "answered {}", answered.status),
            Err(fault) => fault.error.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests;
