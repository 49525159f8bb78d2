//! Names as one pool asks for them: its overrides, its bounds, its order, and its count of what happened.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Resolver;
use super::cache::Cache;
use super::counts::{Counters, DnsCounts};
use super::failure::{LookUpFailure, Outcome};
use super::order::{ordered, put_last, serves, wanted};
use super::table::Good;
use crate::connect::{DialFailure, Egress, Host, Target};
use crate::error::{Human, Phase};
use crate::settings::Dns;

/// Who has an older answer at hand waits no longer than this for a new one. RFC 8767 §5 ("client response timer") would
/// have it 1.8 s at most, for stubs that do not know who asks; requests may have a time-out shorter than that.
const PATIENCE: Duration = Duration::from_millis(200);

/// The names of one pool.
pub(crate) struct Names {
    settings: Dns,
    cache: Arc<Cache>,
    counters: Arc<Counters>,
    /// Who judges each address, if any is to be.
    egress: Option<Arc<Egress>>,
}

/// Where a name leads.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// In the order in which they are to be dialled; at least one.
    pub(crate) addresses: Vec<SocketAddr>,
    /// Whether it holds now: no older answer that stands in.
    pub(crate) is_current: bool,
    /// When it is to be asked for again; `None` where nobody was asked.
    pub(crate) ask_again: Option<Instant>,
}

impl Names {
    pub(crate) fn new(settings: Dns, resolver: &Resolver, egress: Option<Arc<Egress>>) -> Names {
        Names {
            cache: resolver.cache(settings.resolver),
            settings,
            counters: Arc::default(),
            egress,
        }
    }

    /// The same names, counted where others were counted before.
    pub(crate) fn counting_on(&self, earlier: &Names) -> Names {
        Names {
            settings: self.settings.clone(),
            cache: Arc::clone(&self.cache),
            counters: Arc::clone(&earlier.counters),
            egress: self.egress.clone(),
        }
    }

    pub(crate) fn counts(&self) -> DnsCounts {
        self.counters.read()
    }

    /// The target's addresses, with its port. IP literals are their own answer, overrides need no look-up. While the
    /// resolver gives nothing, the last good answer stands in for `dns.stale_for`: at `half_time` of who asks, if
    /// that is sooner. Those that `egress.*` refuses are left out; an error if that is all of them.
    ///
    /// Dropping the future leaves the look-up to others who wait for it.
    pub(crate) async fn resolve(
        &self,
        target: &Target,
        bound: Duration,
        half_time: Option<Duration>,
    ) -> Result<Answer, DialFailure> {
        let answer = self.resolve_unjudged(target, bound, half_time).await?;
        self.judged(target, answer)
    }

    /// The same of a place that the configuration names: a proxy. `egress.*` says where requests may go, not how.
    pub(crate) async fn resolve_unjudged(
        &self,
        place: &Target,
        bound: Duration,
        half_time: Option<Duration>,
    ) -> Result<Answer, DialFailure> {
        match self.known(place) {
            Ok(answer) => Ok(answer),
            Err(name) => {
                let patience = half_time.map_or(PATIENCE, |half_time| half_time.min(PATIENCE));
                self.look_up(&Arc::from(name), place.port, bound, Some(patience)).await
            }
        }
    }

    /// What [`resolve`](Names::resolve) gives, and nothing stands in: for those who follow what the resolver says.
    pub(crate) async fn renew(&self, target: &Target, bound: Duration) -> Result<Answer, DialFailure> {
        let answer = match self.known(target) {
            Ok(answer) => answer,
            Err(name) => self.look_up(&Arc::from(name), target.port, bound, None).await?,
        };
        self.judged(target, answer)
    }

    fn judged(&self, target: &Target, mut answer: Answer) -> Result<Answer, DialFailure> {
        if let Some(egress) = &self.egress {
            egress.sift(target, &mut answer.addresses)?;
        }
        Ok(answer)
    }

    /// This address of a target or a proxy answered the TCP connect and nothing beyond, or is one of very many that could not be
    /// reached: it is dialled last for a minute.
    pub(crate) fn blame(&self, place: &Target, address: SocketAddr) {
        if let Host::Name(name) = &place.host {
            self.cache.table().blame(name, address, Instant::now());
        }
    }

    /// The addresses of the target that are dialled last, where it has another one.
    pub(crate) fn blamed(&self, target: &Target) -> Vec<SocketAddr> {
        let Host::Name(name) = &target.host else {
            return Vec::new();
        };
        let blamed = self.cache.table().blamed(name, Instant::now());
        if !blamed.is_empty() && self.leads_beside(target, &blamed) {
            blamed
        } else {
            Vec::new()
        }
    }

    /// Whether the target has an address beside these that may be dialled, as far as is known without a look-up.
    pub(crate) fn leads_beside(&self, target: &Target, addresses: &[SocketAddr]) -> bool {
        let answer = self.known(target).or_else(|name| {
            let (good, _) = self.cache.table().good(&Arc::from(name), serves(self.settings.prefer));
            good.map(|good| self.answer(name, target.port, &good)).ok_or(())
        });
        let judged = answer.ok().and_then(|answer| self.judged(target, answer).ok());
        judged.is_some_and(|answer| answer.addresses.iter().any(|address| !addresses.contains(address)))
    }

    /// What needs no look-up, or the name that does.
    fn known<'a>(&self, target: &'a Target) -> Result<Answer, &'a str> {
        let at = |addresses| Answer {
            addresses,
            is_current: true,
            ask_again: None,
        };
        let name = match &target.host {
            Host::Ip(ip) => return Ok(at(vec![SocketAddr::new(*ip, target.port)])),
            Host::Name(name) => &**name,
            // Nobody looks for the address of a socket.
            Host::Socket(_) => return Ok(at(Vec::new())),
        };
        // A trailing dot says that the name is complete, and is no part of it.
        match self.settings.overrides.get(name.strip_suffix('.').unwrap_or(name)) {
            Some(addresses) if !addresses.is_empty() => {
                let mut addresses = addresses.clone();
                for address in addresses.iter_mut().filter(|address| address.port() == 0) {
                    address.set_port(target.port);
                }
                self.put_last(name, &mut addresses);
                Ok(at(addresses))
            }
            _ => Err(name),
        }
    }

    async fn look_up(
        &self,
        name: &Arc<str>,
        port: u16,
        bound: Duration,
        patience: Option<Duration>,
    ) -> Result<Answer, DialFailure> {
        let began = Instant::now();
        loop {
            let now = Instant::now();
            let (good, is_failing) = self.cache.table().good(name, serves(self.settings.prefer));
            if let Some(good) = good.as_ref().filter(|good| now < self.fresh_until(good)) {
                return Ok(self.answer(name, port, good));
            }
            let stale = good
                .as_ref()
                .filter(|good| patience.is_some() && now < later(self.fresh_until(good), self.settings.stale_for));
            let mut waiter = self.cache.ask(name, &self.counters);
            let wait = match stale {
                // It gave nothing the last time. Its answer serves the next.
                Some(_) if is_failing => Duration::ZERO,
                Some(_) => bound.min(patience.unwrap_or_default()),
                None => bound.saturating_sub(now - began),
            };
            let failure = match tokio::time::timeout(wait, waiter.outcome()).await {
                Ok(Outcome::Found(addresses)) => {
                    let good = Good { addresses, at: now };
                    if good.serves(serves(self.settings.prefer)) {
                        return Ok(self.answer(name, port, &good));
                    }
                    Some(self.lacks_family())
                }
                Ok(Outcome::Lost) => {
                    // This runtime may be the one that is shutting down.
                    tokio::task::yield_now().await;
                    continue;
                }
                Ok(Outcome::Failed(failure)) => Some(failure),
                Err(_) => None,
            };
            if let Some(stale) = stale {
                waiter.keep(later(now, bound));
                self.stands_in(name, failure.as_ref());
                return Ok(Answer {
                    is_current: false,
                    ask_again: Some(later(now, self.settings.ttl)),
                    ..self.answer(name, port, stale)
                });
            }
            let beside = self.too_old(good.as_ref(), now);
            return Err(match failure {
                Some(failure) => failure.of_dial(name, &beside),
                None => timed_out(name, bound, &beside),
            });
        }
    }

    fn fresh_until(&self, good: &Good) -> Instant {
        later(good.at, self.settings.ttl)
    }

    /// That there was a good answer, and why it is not used.
    fn too_old(&self, good: Option<&Good>, now: Instant) -> String {
        let Some(good) = good else { return String::new() };
        let age = Duration::from_millis(u64::try_from((now - good.at).as_millis()).unwrap_or(u64::MAX));
        format!(
            "; the last good answer is {} old, and stands in for {} (dns.stale_for)",
            Human(age),
            Human(self.settings.stale_for)
        )
    }

    fn stands_in(&self, name: &str, failure: Option<&LookUpFailure>) {
        Counters::add(&self.counters.stale);
        if self.cache.table().stands_in(name) {
            let why = failure.map_or_else(
                || format!("name look-up of {name} takes long"),
                |failure| failure.of_dial(name, "").message.to_string(),
            );
            tracing::warn!("{why}; its last good answer stands in (dns.stale_for)");
        }
    }

    /// An answer with addresses, and none of them may be dialled.
    fn lacks_family(&self) -> LookUpFailure {
        let (family, word) = wanted(self.settings.prefer).unwrap_or_default();
        LookUpFailure::new(format!("gave no {family} address, and dns.prefer = \"{word}\""))
    }

    /// As the pool wants it: `good` has an address that may be dialled.
    fn answer(&self, name: &str, port: u16, good: &Good) -> Answer {
        let at_port = |ip: &IpAddr| SocketAddr::new(*ip, port);
        let mut addresses = ordered(self.settings.prefer, good.addresses.iter().map(at_port).collect());
        self.put_last(name, &mut addresses);
        Answer {
            addresses,
            is_current: true,
            ask_again: Some(self.fresh_until(good)),
        }
    }

    fn put_last(&self, name: &str, addresses: &mut [SocketAddr]) {
        let blamed = self.cache.table().blamed(name, Instant::now());
        put_last(addresses, &blamed);
    }
}

fn timed_out(name: &str, bound: Duration, beside: &str) -> DialFailure {
    let mut failure = DialFailure::timed_out(Phase::Dns, name, bound, "timeouts.dns");
    if !beside.is_empty() {
        failure.message = format!("{}{beside}", failure.message).into();
    }
    failure
}

/// A time too far for the clock is a day from then.
fn later(from: Instant, by: Duration) -> Instant {
    from.checked_add(by).unwrap_or_else(|| from + Duration::from_hours(24))
}
