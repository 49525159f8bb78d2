//! The stage of a request's way that asks the host's breaker before an attempt, and tells it how the attempt ended; and the
//! handle by which people see a breaker and take it in hand.
//!
//! Only what is the host's fault counts against it. An attempt is judged by the header of its answer, resends included, and
//! once more if the host breaks the answer's body off; one that its caller gave up says nothing and gives its place among the
//! probes back. Of those who hear of one failed dial, one counts. A probe, too, is judged by its header: as long as others are
//! asked for, a body that breaks off opens the breaker again; once enough have answered it is closed, and a body that breaks off
//! then says nothing of the time after.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use url::Url;

use super::execute::Prepared;
use super::policies::Policies;
use super::retry::{Fault, Outcome};
use super::sendings::Sendings;
use crate::connect::Target;
use crate::error::{Error, Human, Kind};
use crate::policy::breaker::{Change, Open, Permit, Verdict};
use crate::pool::BreakerState;
use crate::settings::BaseUrl;
use crate::wire::chance;

/// How long a host may take to answer, whatever the request has set for itself: who allows less and gets nothing has said nothing
/// about the host.
const SLOW: Duration = Duration::from_secs(1);

/// The breaker of one host, in one profile: a handle that sees its state and can overrule it.
///
/// It is that of the settings in force, also after a reload. Where that changes `breaker.*` of the profile, its breakers begin
/// anew, closed, but for those that were taken in hand; where it switches them off, the handle finds the breaker closed and
/// changes nothing.
///
/// ```no_run
/// # fn main() -> Result<(), httputil::Error> {
/// let registry = httputil::Registry::global()?;
/// // Before the collector is taken down: requests to it fail at once.
/// registry.breaker("telemetry", "https://collector.example")?.force_open();
/// // When it is back.
/// registry.breaker("telemetry", "https://collector.example")?.reset();
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Breaker {
    policies: Arc<Policies>,
    target: Target,
}

impl Breaker {
    /// `host` is an origin, such as `https://host:8443` or `unix:/run/app.sock`; without a scheme it is that of `base_url` with
    /// this host and port, else of `https`.
    pub(crate) fn of(policies: &Arc<Policies>, profile: &str, host: &str) -> Result<Breaker, Error> {
        let refuse = |why: String| Error::new(Kind::Request, format!("no breaker of {profile}: {why}"));
        if !policies.settings().breaker.enabled {
            return Err(refuse("breaker.enabled is false".to_owned()));
        }
        let has_scheme = host.contains("://") || host.starts_with("unix:");
        let target = if has_scheme {
            target_of(host)
        } else {
            let bases = &policies.settings().base_url;
            let own = target_of(&format!("http://{host}")).ok();
            let own = own.filter(|own| bases.iter().any(|base| target_of(base).is_ok_and(|base| base == *own)));
            own.map_or_else(|| target_of(&format!("https://{host}")), Ok)
        };
        let policies = Arc::clone(policies);
        target.map_err(refuse).map(|target| Breaker { policies, target })
    }

    fn met(&self) -> Option<Arc<crate::policy::Breaker>> {
        self.policies.latest().met(&self.target)?.breaker.clone()
    }

    /// One that was not met yet is made: a host can be left alone before its first request.
    fn at_hand(&self) -> Option<Arc<crate::policy::Breaker>> {
        self.policies.latest().host(&self.target)?.breaker.clone()
    }

    /// Where it stands. That of a host that got no request for long is closed.
    pub fn state(&self) -> BreakerState {
        self.met().map_or(BreakerState::Closed, |breaker| breaker.state())
    }

    /// For how long it will refuse requests; `None` if it would let one through now.
    pub fn retry_after(&self) -> Option<Duration> {
        self.met()?.retry_after()
    }

    /// Refuses every request, until [`reset`](Breaker::reset) or [`force_close`](Breaker::force_close).
    pub fn force_open(&self) {
        if let Some(breaker) = self.at_hand() {
            breaker.force_open();
            tracing::warn!(host = %self.target, "breaker opened by hand");
        }
    }

    /// Lets every request through, however many fail, until [`reset`](Breaker::reset) or
    /// [`force_open`](Breaker::force_open).
    pub fn force_close(&self) {
        if let Some(breaker) = self.at_hand() {
            breaker.force_close();
            tracing::warn!(host = %self.target, "breaker closed by hand");
        }
    }

    /// Closes it, forgets what it has counted, and lets it judge for itself again.
    pub fn reset(&self) {
        if let Some(breaker) = self.met() {
            breaker.reset();
            tracing::info!(host = %self.target, "breaker reset by hand");
        }
    }
}

impl std::fmt::Debug for Breaker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Breaker")
            .field("host", &self.target.origin())
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}

/// Where a URL leads.
fn target_of(url: &str) -> Result<Target, String> {
    let base = BaseUrl::parse(url).map_err(|why| format!("the host: {why}"))?;
    let url: Url = base.join("").map_err(str::to_owned)?;
    Target::of(&url).map_err(str::to_owned)
}

impl Prepared {
    /// Asks the breaker, if there is one, whether an attempt may be made.
    pub(super) fn pass_breaker(&self, now: Instant) -> Result<Option<Permit>, Fault> {
        let Some(breaker) = self.host.as_ref().and_then(|host| host.breaker.as_ref()) else {
            return Ok(None);
        };
        match breaker.permit_at(|| now) {
            Ok(permit) => {
                if permit.is_first_probe() {
                    tracing::info!(profile = &*self.in_force.name, host = %self.target, "breaker half-open: asking whether the host is back");
                }
                Ok(Some(permit))
            }
            Err(open) => Err(self.refused_by_breaker(open)),
        }
    }

    /// Counts that the breaker refuses an attempt, and says so.
    pub(super) fn refused_by_breaker(&self, open: Open) -> Fault {
        self.in_force.pool.count_breaker_refusal();
        let retry_after = open.retry_after();
        let why = if open.is_by_hand() {
            "was opened by hand".to_owned()
        } else {
            let key = "breaker.failure_ratio";
            let again = Human(retry_after);
            format!("is open, since too many requests to it have failed ({key}); it is asked again in {again}")
        };
        let not_sent = self.failing.not_sent(!self.redirected.is_empty());
        let message = format!("{not_sent}: the breaker of {} {why}", self.target);
        let (profile, method) = (&*self.in_force.name, &self.failing.method);
        tracing::debug!(profile, %method, host = %self.target, "{message}");
        let error = Error::new(Kind::BreakerOpen { retry_after }, message).retryable(true);
        Fault::lasting(self.failing.describe(error))
    }

    /// Tells the breaker how the attempt ended that it let through.
    pub(super) fn judge(&mut self, pass: Option<Permit>, verdict: Option<Verdict>, sendings: &Sendings) {
        let (Some(pass), Some(verdict)) = (pass, verdict) else {
            return;
        };
        let now = sendings.answered_at.unwrap_or_else(Instant::now);
        self.success = (verdict == Verdict::Success).then(|| pass.success());
        self.tell_of(pass.ended_at(verdict, now, chance));
    }

    /// What an outcome says about the host; `None` if nothing. `began` is when the attempt did.
    pub(super) fn verdict(&self, outcome: &Outcome, began: Instant, sendings: &Sendings) -> Option<Verdict> {
        let now = sendings.answered_at.unwrap_or_else(Instant::now);
        let verdict = verdict(outcome, began, sendings.sent_at, now)?;
        let is_hurried = match outcome {
            Err(fault) => matches!(fault.error.kind(), Kind::Timeout { after, .. } if self.is_in_a_hurry(after)),
            Ok(_) => false,
        };
        // One that was never sent has waited for its dial.
        let waited = || now - sendings.sent_at.unwrap_or(began);
        (!is_hurried || waited() >= SLOW).then_some(verdict)
    }

    /// Whether this is the bound that the request has set for itself.
    fn is_in_a_hurry(&self, after: Duration) -> bool {
        let is_own = self.in_force.profile.policy.timeout != Some(after);
        is_own && self.failing.attempt.is_none() && self.failing.total.after == after
    }

    /// Tells the breaker that the host has broken off what it had answered well.
    pub(super) fn judge_again(&self) {
        let breaker = self.host.as_ref().and_then(|host| host.breaker.as_ref());
        if let (Some(breaker), Some(success)) = (breaker, self.success) {
            self.tell_of(breaker.take_back_at(success, Instant::now(), chance));
        }
    }

    fn tell_of(&self, change: Change) {
        let profile = &*self.in_force.name;
        match change {
            Change::Nothing => {}
            Change::Opened { open_for } => {
                self.in_force.pool.count_breaker_opening();
                tracing::warn!(profile, host = %self.target, ?open_for, "breaker open: too many requests to the host have failed");
            }
            Change::Closed => tracing::info!(profile, host = %self.target, "breaker closed: the host is back"),
        }
    }
}

/// The same, whoever has set the time.
fn verdict(outcome: &Outcome, began: Instant, sent: Option<Instant>, now: Instant) -> Option<Verdict> {
    match outcome {
        Ok(answered) => Some(Verdict::of_status(answered.status)),
        Err(fault) if fault.is_our_own => None,
        Err(fault) => Verdict::of_failure(fault.error.kind(), began, sent, now),
    }
}

#[cfg(test)]
mod tests;
