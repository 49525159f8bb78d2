//! The stage of a request's way that chooses where each attempt goes, where `base_url` is a list.
//!
//! What was written relative to the list may go to any of them: to the one with less under way and faster answers of late, not
//! to one whose breaker is open, that `egress` refuses or whose limit is reached, and when it is made again to another one.
//! Where all breakers are open it fails at once, with the shortest time to wait. An absolute URL goes where it says, though it be
//! that of an endpoint: what its user, its `Host` and its `Authorization` say is meant for the host that it names.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::address::Address;
use super::execute::{Prepared, refused};
use super::framing;
use super::policies::Policies;
use super::retry::{Fault, Outcome};
use crate::connect::Target;
use crate::error::{Error, Kind, Problem};
use crate::policy::breaker::Verdict;
use crate::policy::{self, Came, Standing, Visit};
use crate::pool::{Pool, Way};
use crate::settings::{BaseUrl, Profile};
use crate::wire::{Holding, chance};

/// The URLs of a list, and what is remembered of each.
pub(super) struct Endpoints {
    all: Vec<(BaseUrl, Target)>,
    loads: Arc<policy::Endpoints>,
}

/// A request that may go to each of them.
pub(super) struct Journey {
    /// What stands behind the base.
    tail: String,
    /// Where it was.
    tried: Vec<usize>,
    /// Where it is.
    visit: Option<Visit>,
    /// Until when which of them want to be left alone.
    away: Vec<(usize, Instant)>,
    /// How often it turned from one whose breaker refused it.
    turned: usize,
}

impl Endpoints {
    /// `None` where there is nothing to choose.
    pub(super) fn of(profile: &Profile) -> Result<Option<Endpoints>, Error> {
        let bases = &profile.policy.base_url;
        if bases.len() < 2 {
            return Ok(None);
        }
        let parse = |base: &String| -> Result<(BaseUrl, Target), Error> {
            let refuse = |why: &dyn std::fmt::Display| {
                let message = format!("{}.base_url: {why}", profile.name);
                Error::config(vec![Problem::new(message)])
            };
            let base = BaseUrl::parse(base).map_err(|why| refuse(&why))?;
            let target = Target::of(base.url()).map_err(|why| refuse(&why))?;
            Ok((base, target))
        };
        let all = bases.iter().map(parse).collect::<Result<Vec<_>, Error>>()?;
        let loads = policy::Endpoints::new(all.len());
        Ok(Some(Endpoints { all, loads }))
    }

    /// Goes on with what is known of the same endpoints.
    pub(super) fn keep_loads_of(&mut self, earlier: &Endpoints) {
        self.loads = Arc::clone(&earlier.loads);
    }

    /// The journey of a request that was written relative to them; `None` if they have changed since.
    pub(super) fn journey(&self, address: &Address) -> Option<Box<Journey>> {
        let (first, _) = self.all.first()?;
        let url = address.url()?;
        let tail = first.tail(&url)?.to_owned();
        Some(Box::new(Journey {
            tail,
            tried: Vec::new(),
            visit: None,
            away: Vec::new(),
            turned: 0,
        }))
    }

    /// A way to one of them, if `egress` allows any.
    pub(super) fn any_route(&self, pool: &Pool, upgrade: bool) -> Option<Way> {
        self.all.iter().find_map(|(_, target)| pool.route(target, upgrade).ok())
    }

    /// Whether this socket is one of them.
    pub(super) fn have_socket(&self, socket: &Path) -> bool {
        self.all.iter().any(|(base, _)| base.socket() == Some(socket))
    }

    fn standing(&self, index: usize, journey: &Journey, policies: &Policies, now: Instant) -> Standing {
        let target = &self.all[index].1;
        Standing {
            is_tried: journey.tried.contains(&index),
            is_full: policies.is_full(target),
            refuses_for: policies.refuses_for(target, now).max(journey.away_for(index, now)),
        }
    }

    /// Tells of those that a choice left out for another one that stands better.
    fn tell_of_passed_over(&self, chosen: usize, standings: &[Standing], journey: &Journey, now: Instant, pool: &Pool) {
        let worth = |standing: &Standing| (standing.refuses_for.is_some(), standing.is_full);
        let left_out = standings.iter().enumerate();
        let left_out = left_out.filter(|(_, standing)| worth(standing) > worth(&standings[chosen]));
        for (index, Standing { refuses_for: left, .. }) in left_out {
            let why = match left {
                // It was told of when `egress` refused it.
                Some(Duration::MAX) => continue,
                Some(_) if journey.away_for(index, now) == *left => "Retry-After",
                Some(_) => "its breaker is open",
                None => "its places are taken",
            };
            let target = &self.all[index].1;
            pool.count_passed_over();
            tracing::trace!(endpoint = %target, ?left, "endpoint passed over: {why}");
        }
    }

    /// Whether one is to be had now at which the request was not yet.
    fn have_another(&self, journey: &Journey, policies: &Policies, now: Instant) -> bool {
        (0..self.all.len()).any(|index| {
            let standing = self.standing(index, journey, policies, now);
            !standing.is_tried && standing.refuses_for.is_none()
        })
    }

    /// Whether one is to be had now; if not, the shortest time until one is.
    fn refuse_for(&self, policies: &Policies, now: Instant) -> Option<Duration> {
        let times = self.all.iter().map(|(_, target)| policies.refuses_for(target, now));
        times.min().flatten()
    }
}

impl Journey {
    /// The same for a second attempt beside the first.
    pub(super) fn twin(&self) -> Journey {
        Journey {
            tail: self.tail.clone(),
            tried: self.tried.clone(),
            visit: None,
            away: self.away.clone(),
            turned: self.turned,
        }
    }
}

impl Journey {
    /// For how long an endpoint wants to be left alone.
    fn away_for(&self, index: usize, now: Instant) -> Option<Duration> {
        let asked = self.away.iter().filter(|(away, until)| *away == index && *until > now);
        asked.map(|(_, until)| *until - now).max()
    }

    /// The place that the request has at its endpoint.
    pub(super) fn take_place(&mut self) -> Option<Holding> {
        self.visit.as_mut()?.place.take()
    }
}

impl Prepared {
    /// Chooses the endpoint of the next attempt, and finds out what it may be told.
    pub(super) async fn set_out(&mut self) -> Result<(), Error> {
        self.choose()?;
        if self.in_force.credentials.is_some() {
            self.authorize().await?;
        }
        Ok(())
    }

    fn choose(&mut self) -> Result<(), Error> {
        let policies = &self.in_force.policies;
        let (Some(journey), Some(endpoints)) = (&mut self.journey, &policies.endpoints) else {
            return Ok(());
        };
        let now = Instant::now();
        // Those that cannot be gone to.
        let mut barred = Vec::new();
        for left in (0..endpoints.all.len()).rev() {
            let standing = |index: usize| match endpoints.standing(index, journey, policies, now) {
                standing if barred.contains(&index) => standing.barred(),
                standing => standing,
            };
            let standings: Vec<Standing> = (0..endpoints.all.len()).map(standing).collect();
            let visit = endpoints.loads.choose_at(now, |index| standings[index], chance);
            let (base, target) = &endpoints.all[visit.index];
            journey.tried.push(visit.index);
            let refusal = match self.in_force.pool.route(target, self.manner.upgrade) {
                Ok(route) => {
                    let pool = &self.in_force.pool;
                    endpoints.tell_of_passed_over(visit.index, &standings, journey, now, pool);
                    let url = base.with_tail(&journey.tail);
                    let url = url.ok_or_else(|| Error::new(Kind::Request, "it makes no URL together with base_url"));
                    journey.visit = Some(visit);
                    self.failing
                        .address
                        .turn_to(url.map_err(|error| self.failing.describe(error))?);
                    self.draft.path = None;
                    self.target.clone_from(target);
                    self.route = route;
                    break;
                }
                Err(refusal) => refusal,
            };
            let profile = &*self.in_force.name;
            self.in_force.pool.count_passed_over();
            tracing::debug!(profile, endpoint = %target, "endpoint passed over: {refusal}");
            barred.push(visit.index);
            if left == 0 {
                return Err(self.failing.describe(refused(&refusal)));
            }
        }
        if self.manner.has_proxy_login && self.route.forwards().is_none() {
            framing::strip_proxy_login(&mut self.draft.headers);
        }
        Ok(())
    }

    /// Whether an answer is a failure that another endpoint, which was not asked yet, may not have; for how long the one that
    /// answered wants to be left alone is remembered.
    pub(super) fn turns_away(&mut self, outcome: &Outcome, date: SystemTime) -> bool {
        let policies = &self.in_force.policies;
        let (Some(journey), Some(endpoints)) = (&mut self.journey, &policies.endpoints) else {
            return false;
        };
        let rules = &policies.retry;
        let is_failure = outcome.as_ref().is_ok_and(|answered| answered.is_failure);
        let Some(head) = self.head.as_ref().filter(|_| is_failure) else {
            return false;
        };
        let now = Instant::now();
        let until = rules.asked_for(head.headers(), date);
        let until = until.and_then(|asked| now.checked_add(asked));
        if let (Some(until), Some(visit)) = (until, &journey.visit) {
            journey.away.push((visit.index, until));
        }
        endpoints.have_another(journey, policies, now)
    }

    /// Whether another endpoint, which was not asked yet, may not have this failure, though it would come again at this one: a
    /// certificate that is refused, or addresses that `egress` refuses. Nothing was sent then.
    pub(super) fn is_the_endpoint_s(&self, fault: &Fault) -> bool {
        let policies = &self.in_force.policies;
        let (Some(journey), Some(endpoints)) = (&self.journey, &policies.endpoints) else {
            return false;
        };
        matches!(fault.error.kind(), Kind::Tls | Kind::Egress)
            && endpoints.have_another(journey, policies, Instant::now())
    }

    /// Whether nothing was sent since the endpoint's breaker refused it, which opened after the choice, and another endpoint
    /// can be gone to.
    pub(super) fn may_turn(&mut self, outcome: &Outcome) -> bool {
        let is_refused = |fault: &Fault| matches!(fault.error.kind(), Kind::BreakerOpen { .. });
        let is_refused = outcome.as_ref().err().is_some_and(is_refused);
        let (Some(journey), Some(endpoints)) = (&mut self.journey, &self.in_force.policies.endpoints) else {
            return false;
        };
        // A bound, lest two that open and close in turn keep it for ever.
        if !is_refused || journey.turned >= endpoints.all.len() {
            return false;
        }
        journey.turned += 1;
        endpoints.refuse_for(&self.in_force.policies, Instant::now()).is_none()
    }

    /// The endpoint is to answer from now on.
    pub(super) fn awaits(&mut self, now: Instant) {
        if let Some(visit) = self.journey.as_mut().and_then(|journey| journey.visit.as_mut()) {
            visit.begins_at(now);
        }
    }

    /// Tells what came of it, and when it was sent. `verdict` is what that says of the host.
    pub(super) fn arrived(&mut self, outcome: &Outcome, verdict: Option<Verdict>, sent: Option<Instant>) {
        let Some(visit) = self.journey.as_mut().and_then(|journey| journey.visit.as_mut()) else {
            return;
        };
        let came = match (verdict, outcome) {
            (Some(Verdict::Success), _) => Came::Answer,
            (Some(Verdict::Failure), _) => Came::Failure,
            (None, Err(fault)) => match fault.error.kind() {
                Kind::Timeout { .. } => Came::Nothing,
                // None of its addresses may be dialled, or its name has none, or its proxy does not let through.
                Kind::Egress | Kind::Dns | Kind::Proxy => Came::Failure,
                _ => Came::Other,
            },
            (None, Ok(_)) => Came::Other,
        };
        visit.ended_at(came, sent, Instant::now());
    }

    /// For how long the breakers would refuse another attempt; `None` if one would let it through.
    pub(super) fn refused_for(&self, now: Instant) -> Option<Duration> {
        let policies = &self.in_force.policies;
        match (&self.journey, &policies.endpoints) {
            (Some(_), Some(endpoints)) => endpoints.refuse_for(policies, now),
            _ => self.host.as_ref()?.breaker.as_ref()?.refuses_for(now),
        }
    }
}

#[cfg(test)]
mod tests;
