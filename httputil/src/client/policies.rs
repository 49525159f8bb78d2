//! What the clients of one profile share: its rules, and what is remembered of each host.
//!
//! A host's part is found once a request. The first host's is found without a lock, since a profile mostly has one; of the
//! others some thousand are remembered, and never is one forgotten that says something (an open breaker).

use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use tokio::time::Instant;

use super::cookies::Cookies;
use super::endpoints::Endpoints;
use super::in_code;
use super::limit::Limits;
#[cfg(feature = "oauth2")]
use super::oauth2::Tokens;
use crate::connect::Target;
use crate::error::Error;
use crate::policy::{Breaker, Budget, Hosts, Limit, Retry};
use crate::settings;

/// Hosts that are remembered, beside the first one and those that must not be forgotten.
const MANY_HOSTS: usize = 1000;

/// The policies of a profile.
pub(crate) struct Policies {
    pub(super) retry: Retry,
    pub(super) limits: Limits,
    pub(super) endpoints: Option<Endpoints>,
    /// Those of the profile's clients; one with a pool of its type's own has its own.
    pub(super) cookies: Cookies,
    /// `auth.oauth2`
    #[cfg(feature = "oauth2")]
    pub(super) tokens: Option<Arc<Tokens>>,
    /// Of these, those of retries, breakers and limits are read here.
    settings: settings::Policy,
    first: OnceLock<(Target, Arc<PerHost>)>,
    others: Hosts<Target, Arc<PerHost>>,
    /// Those in force by now; all that succeed each other share it.
    latest: Arc<Mutex<Weak<Policies>>>,
}

/// What is remembered of one host; each is absent where its policy is off.
#[derive(Debug)]
pub(super) struct PerHost {
    pub(super) budget: Option<Arc<Budget>>,
    pub(super) breaker: Option<Arc<Breaker>>,
    pub(super) limit: Option<Arc<Limit>>,
}

impl Policies {
    /// # Errors
    ///
    /// What `in_code` says of a profile: its settings cannot be.
    pub(crate) fn of(profile: &settings::Profile) -> Result<Arc<Policies>, Error> {
        let problems = in_code::policy_mistakes(profile);
        if !problems.is_empty() {
            return Err(Error::config(problems));
        }
        Ok(Arc::new(Policies {
            retry: Retry::new(&profile.policy.retry)?,
            limits: Limits::of(profile.policy.limit),
            endpoints: Endpoints::of(profile)?,
            cookies: Cookies::of(profile.policy.cookies),
            #[cfg(feature = "oauth2")]
            tokens: Tokens::of(profile),
            settings: profile.policy.clone(),
            first: OnceLock::new(),
            others: Hosts::new(MANY_HOSTS),
            latest: Arc::default(),
        }))
    }

    /// The same for a profile whose settings have changed. What follows the same rule as before keeps its state: each
    /// host's budget, breaker and limit, what is known of each endpoint, the profile's own limits, its cookies, and its
    /// token. What is under way goes on by the earlier ones.
    ///
    /// # Errors
    ///
    /// As [`of`](Policies::of).
    pub(crate) fn succeeding(earlier: &Arc<Policies>, profile: &settings::Profile) -> Result<Arc<Policies>, Error> {
        let (was, is) = (&earlier.settings, &profile.policy);
        let has_same_ends = was.base_url == is.base_url && was.hedge_after == is.hedge_after;
        if has_same_ends
            && was.cookies == is.cookies
            && was.auth.oauth2 == is.auth.oauth2
            && was.retry == is.retry
            && was.breaker == is.breaker
            && was.limit == is.limit
        {
            return Ok(Arc::clone(earlier));
        }
        let mut later = Policies::of(profile)?;
        if let Some(policies) = Arc::get_mut(&mut later) {
            policies.latest = Arc::clone(&earlier.latest);
            if was.base_url == is.base_url
                && let (Some(later), Some(earlier)) = (&mut policies.endpoints, &earlier.endpoints)
            {
                later.keep_loads_of(earlier);
            }
            policies.limits = Limits::succeeding(&earlier.limits, is.limit);
            #[cfg(feature = "oauth2")]
            if was.auth.oauth2 == is.auth.oauth2 {
                policies.tokens.clone_from(&earlier.tokens);
            }
            policies.cookies = std::mem::take(&mut policies.cookies).or_earlier(&earlier.cookies);
            if let Some((target, host)) = earlier.first.get() {
                let _ = policies.first.set((target.clone(), policies.carry(host, was)));
            }
            policies.others = earlier.others.map(|host| policies.carry(host, was));
        }
        Ok(later)
    }

    /// They are what the profile's requests follow from now on.
    pub(crate) fn come_into_force(self: &Arc<Self>) {
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(self);
    }

    /// What the profile's requests follow by now: these, or those that have succeeded them.
    pub(super) fn latest(self: &Arc<Self>) -> Arc<Policies> {
        let latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner).upgrade();
        latest.unwrap_or_else(|| Arc::clone(self))
    }

    /// A host's part under these policies, with what it may keep.
    fn carry(&self, host: &PerHost, was: &settings::Policy) -> Arc<PerHost> {
        fn kept<T>(has_same_rule: bool, now: &mut Option<Arc<T>>, before: Option<&Arc<T>>) {
            if has_same_rule && let (Some(now), Some(before)) = (now, before) {
                *now = Arc::clone(before);
            }
        }
        let is = &self.settings;
        let budget = |retry: &settings::Retry| (retry.budget_ratio.to_bits(), retry.budget_min_per_second);
        let limit = |limit: &settings::Limit| (limit.max_concurrent_per_host, limit.queue);
        let mut now = self.make();
        kept(
            budget(&was.retry) == budget(&is.retry),
            &mut now.budget,
            host.budget.as_ref(),
        );
        if let (Some(now), Some(before)) = (&now.breaker, &host.breaker) {
            now.keep_hand_of(before);
        }
        kept(was.breaker == is.breaker, &mut now.breaker, host.breaker.as_ref());
        kept(
            limit(&was.limit) == limit(&is.limit),
            &mut now.limit,
            host.limit.as_ref(),
        );
        Arc::new(now)
    }

    /// A host's part; `None` if there is nothing to remember.
    pub(super) fn host(&self, target: &Target) -> Option<Arc<PerHost>> {
        if !self.has_budget() && !self.settings.breaker.enabled && !self.limits.is_on_per_host() {
            return None;
        }
        let make = || Arc::new(self.make());
        let (first, host) = self.first.get_or_init(|| (target.clone(), make()));
        Some(if first == target {
            Arc::clone(host)
        } else {
            let now = std::cell::OnceCell::new();
            let is_spare = |host: &Arc<PerHost>| host.is_spare(*now.get_or_init(Instant::now));
            self.others.get(target, make, is_spare)
        })
    }

    /// A host's part, if it was met.
    pub(super) fn met(&self, target: &Target) -> Option<Arc<PerHost>> {
        match self.first.get() {
            Some((first, host)) if first == target => Some(Arc::clone(host)),
            _ => self.others.look(target),
        }
    }

    /// For how long a host's breaker would refuse a request, if it would.
    pub(super) fn refuses_for(&self, target: &Target, now: Instant) -> Option<Duration> {
        self.met(target)?.breaker.as_ref()?.refuses_for(now)
    }

    /// Whether a request would have to wait for a place at this host.
    pub(super) fn is_full(&self, target: &Target) -> bool {
        self.limits.is_on_per_host()
            && self
                .met(target)
                .and_then(|host| host.limit.clone())
                .is_some_and(|limit| limit.is_full())
    }

    /// Retries and hedges are paid for from one budget.
    fn has_budget(&self) -> bool {
        self.retry.is_on() || self.settings.hedge_after.is_some()
    }

    fn make(&self) -> PerHost {
        let retry = &self.settings.retry;
        let breaker = self.settings.breaker;
        PerHost {
            budget: self
                .has_budget()
                .then(|| Arc::new(Budget::new(retry.budget_ratio, retry.budget_min_per_second))),
            breaker: breaker.enabled.then(|| Breaker::new(breaker)),
            limit: self.limits.of_host(),
        }
    }

    #[cfg(test)]
    pub(super) fn remembered(&self) -> usize {
        self.others.len() + usize::from(self.first.get().is_some())
    }

    pub(super) fn settings(&self) -> &settings::Policy {
        &self.settings
    }
}

impl PerHost {
    fn is_spare(&self, now: Instant) -> bool {
        self.breaker.as_ref().is_none_or(|breaker| breaker.rests_at(now))
            && self.limit.as_ref().is_none_or(|limit| limit.is_at_rest())
    }
}
