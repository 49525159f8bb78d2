//! The stages of a request's way that wait for a turn: the profile's around the whole request, a host's around an attempt.
//!
//! A place is held until the exchange is over (its answer's body read, dropped or out of time), or until nothing comes of the
//! attempt. What is off is
//! not on the way at all. Nobody waits for a host whose breaker is open: who waits when it opens hears so at once.

use std::pin::pin;
use std::sync::Arc;

use tokio::time::Instant;

use super::execute::Prepared;
use super::policies::PerHost;
use super::retry::Fault;
use crate::error::{Error, Kind, Phase};
use crate::policy::limit::Place;
use crate::policy::{Limit, Rate, Shed};
use crate::settings;
use crate::wire::Holding;

/// What the clients of a profile share.
pub(super) struct Limits {
    settings: settings::Limit,
    requests: Option<Arc<Limit>>,
    rate: Option<Arc<Rate>>,
}

/// The places that a request holds.
#[derive(Default)]
pub(super) struct Places {
    pub(super) profile: Option<Holding>,
    pub(super) host: Option<Holding>,
}

impl Places {
    /// Takes over the profile's place of the same request.
    pub(super) fn take_over(&mut self, other: &mut Places) {
        self.profile = other.profile.take();
    }
}

impl Limits {
    pub(super) fn of(settings: settings::Limit) -> Limits {
        Limits {
            requests: settings.max_concurrent.map(|most| Limit::new(most, settings.queue)),
            rate: settings
                .rate
                .map(|rate| Arc::new(Rate::new(rate, settings.burst, settings.queue))),
            settings,
        }
    }

    /// Others than before; those whose rule is the same are the same.
    pub(super) fn succeeding(earlier: &Limits, settings: settings::Limit) -> Limits {
        let was = &earlier.settings;
        let mut later = Limits::of(settings);
        if (was.max_concurrent, was.queue) == (settings.max_concurrent, settings.queue) {
            later.requests.clone_from(&earlier.requests);
        }
        if (was.rate, was.burst, was.queue) == (settings.rate, settings.burst, settings.queue) {
            later.rate.clone_from(&earlier.rate);
        }
        later
    }

    /// The limit of a host.
    pub(super) fn of_host(&self) -> Option<Arc<Limit>> {
        let most = self.settings.max_concurrent_per_host?;
        Some(Limit::new(most, self.settings.queue))
    }

    pub(super) fn is_on_per_host(&self) -> bool {
        self.settings.max_concurrent_per_host.is_some()
    }

    /// Whether a whole request waits for its turn.
    pub(super) fn bounds_requests(&self) -> bool {
        self.requests.is_some()
    }

    /// Whether an attempt does.
    pub(super) fn bounds_attempts(&self, host: Option<&PerHost>) -> bool {
        self.rate.is_some() || host.is_some_and(|host| host.limit.is_some())
    }
}

impl Prepared {
    /// Waits for the request's place in the profile.
    pub(super) async fn enter_profile(&mut self) -> Result<(), Error> {
        let in_force = &*self.in_force;
        let limits = &in_force.policies.limits;
        if let Some(limit) = &limits.requests {
            // Where there are several endpoints, it is not known yet whose breaker is asked.
            let host = self.journey.is_none().then(|| in_force.policies.host(&self.target));
            let turn = async {
                let admitted = limit.admit(self.deadline).await;
                let most = limits.settings.max_concurrent;
                admitted.map_err(|shed| Fault::from(self.shed(shed, "limit.max_concurrent", most)))
            };
            let place = self.unless_it_opens(host.flatten().as_deref(), turn).await;
            self.places.profile = Some(place.map_err(|fault| fault.error)?.0);
        }
        Ok(())
    }

    /// Waits for an attempt's place at its host, and for its turn by the profile's rate.
    pub(super) async fn enter_host(&mut self) -> Result<(), Fault> {
        self.places.host = self.unless_it_opens(self.host.as_deref(), self.turn_at_host()).await?;
        Ok(())
    }

    /// Waits for a turn, but not where the host's breaker is open, nor any longer when it opens.
    async fn unless_it_opens<T>(
        &self,
        host: Option<&PerHost>,
        turn: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, Fault> {
        let Some(breaker) = host.and_then(|host| host.breaker.as_deref()) else {
            return turn.await;
        };
        let mut turn = pin!(turn);
        loop {
            // Before the look, lest it open in between.
            let opens = breaker.opens();
            if let Some(open) = breaker.refusal(Instant::now()) {
                return Err(self.refused_by_breaker(open));
            }
            tokio::select! {
                biased;
                turn = turn.as_mut() => return turn,
                () = opens => {}
            }
        }
    }

    /// The host's place, and the turn by the profile's rate.
    async fn turn_at_host(&self) -> Result<Option<Holding>, Fault> {
        let limits = &self.in_force.policies.limits;
        let mut place = None;
        if let Some(limit) = self.host.as_deref().and_then(|host| host.limit.as_ref()) {
            let most = limits.settings.max_concurrent_per_host;
            let admitted = limit.admit(self.deadline).await;
            place = Some(
                admitted
                    .map_err(|shed| self.shed(shed, "limit.max_concurrent_per_host", most))?
                    .0,
            );
        }
        if let Some(rate) = &limits.rate {
            let turn = rate.admit(self.deadline).await;
            turn.map_err(|shed| self.shed(shed, "limit.rate", limits.settings.rate))?;
        }
        Ok(place)
    }

    /// The host's place without waiting; whether there was one.
    pub(super) fn try_enter_host(&mut self) -> bool {
        let host = self.host.as_deref();
        if let Some(limit) = host.and_then(|host| host.limit.as_ref()) {
            let Some(Place(place)) = limit.try_admit() else {
                return false;
            };
            self.places.host = Some(place);
        }
        true
    }

    /// The turn by the profile's rate without waiting; whether there was one.
    pub(super) fn try_take_turn(&self) -> bool {
        let rate = self.in_force.policies.limits.rate.as_ref();
        rate.is_none_or(|rate| rate.try_admit())
    }

    /// Nothing has come of an attempt: gives the host's place back. What is waited for next has the whole request's time.
    pub(super) fn leave_host(&mut self) {
        self.places.host = None;
        self.failing.attempt = None;
    }

    fn shed(&self, shed: Shed, key: &str, most: Option<impl std::fmt::Display>) -> Error {
        self.in_force.pool.count_shed();
        let (profile, method) = (&*self.in_force.name, &self.failing.method);
        tracing::debug!(profile, %method, host = %self.target, limit = key, ?shed, "shed: a limit is reached");
        let most = most.map_or_else(String::new, |most| format!(" = {most}"));
        match shed {
            Shed::Deadline => self.failing.deadline(Phase::Turn).retryable(true),
            Shed::QueueFull => {
                let queue = self.in_force.policies.limits.settings.queue.unwrap_or_default();
                let not_sent = self.failing.not_sent(!self.redirected.is_empty());
                let message =
                    format!("{not_sent}: {key}{most} is reached, and as many wait as may, limit.queue = {queue}");
                let error = Error::new(Kind::LimitExceeded, message).retryable(true);
                self.failing.describe(error)
            }
        }
    }
}

#[cfg(test)]
mod tests;
