//! The pool as others hold it: the core over real connections, which call it their home.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Waker;
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use tokio::runtime::Handle;
use tokio::time::Instant;

use super::budget::Budget;
use super::core::{Core, World};
use super::counters::{Counters, PoolStats};
use super::hosts::{BreakerState, HostStats};
use super::key::Key;
use super::state::{Bond, Dial, Exclusive, Limits, Multiplexed, Protocol};
use super::way::Way;
use super::{dial, following, reaper};
use crate::connect::{Connector, Refusal, Route, Scheme, Target};
use crate::settings::{BaseUrl, DnsBalance};
use crate::wire::{CloseReason, H1, H2, Home, Link, Marks, Place};

/// A pool of connections. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Pool {
    pub(super) inner: Arc<Inner>,
}

/// The core over real connections.
pub(super) type Inner = Core<Wires>;

/// What makes a pool's connections.
pub(super) struct Wires {
    current: ArcSwap<Making>,
    /// The generation of the pool that began with it. Here, too: many need to know no more.
    generation: AtomicU64,
    /// Whether `pool.warm` is still to be done.
    is_cold: AtomicBool,
}

/// How connections are made.
pub(super) struct Making {
    pub(super) connector: Connector,
    /// The generation of the pool that began with it.
    generation: AtomicU64,
}

impl Making {
    fn new(connector: Connector) -> Making {
        Making {
            connector,
            generation: AtomicU64::new(0),
        }
    }

    /// The way to a target, if requests may go there.
    pub(super) fn way(&self, target: &Target, needs_tunnel: bool) -> Result<Way, Refusal> {
        let route = self.connector.route(target, || needs_tunnel)?;
        Ok(Way::new(route, self.generation.load(Ordering::Acquire), needs_tunnel))
    }

    /// `dns.balance = "round_robin"`
    pub(super) fn spreads(&self) -> bool {
        self.connector.transport().dns.balance == DnsBalance::RoundRobin
    }

    fn limits(&self) -> Limits {
        let transport = self.connector.transport();
        Limits {
            pool: transport.pool.clone(),
            max_shared_per_host: transport.http2.max_connections_per_host,
            spreads: self.spreads(),
        }
    }

    /// The protocol that is supposed of a host before it has been dialled.
    pub(super) fn begins_with(&self, target: &Target, route: &Route) -> Protocol {
        let http2 = &self.connector.transport().http2;
        match target.scheme {
            // A proxy that is sent whole requests is spoken to in HTTP/1.
            _ if http2.prior_knowledge && route.forwards().is_none() => Protocol::H2,
            Scheme::Https if http2.enabled => Protocol::Unknown,
            _ => Protocol::H1,
        }
    }
}

impl Wires {
    /// How connections are made now. For more than a moment; see [`peek`](Wires::peek).
    pub(super) fn making(&self) -> Arc<Making> {
        self.current.load_full()
    }

    /// The same for a moment.
    pub(super) fn peek(&self) -> Guard<Arc<Making>> {
        self.current.load()
    }
}

impl World for Wires {
    type One = H1;
    type Many = H2;

    fn dial(core: &Arc<Inner>, dial: Dial) {
        dial::start(core, dial);
    }

    fn reap(core: &Arc<Inner>, key: &Key) {
        reaper::start(core, key);
    }

    fn look_up(core: &Arc<Inner>, key: &Arc<Key>) {
        following::look_up(core, key);
    }
}

impl Pool {
    /// A pool without connections. Needs no runtime.
    pub(crate) fn new(name: impl Into<Arc<str>>, connector: Connector, budget: Arc<Budget>) -> Pool {
        let making = Making::new(connector);
        let limits = making.limits();
        let world = Wires {
            is_cold: AtomicBool::new(!limits.pool.warm.is_empty()),
            generation: AtomicU64::new(0),
            current: ArcSwap::from_pointee(making),
        };
        let inner = Core::new(name.into(), limits, budget, world);
        Pool { inner }
    }

    /// Makes connections by other settings from now on. What was made by the earlier ones is given to no request any more:
    /// idle connections are closed now, those in use when their requests have ended, and those who wait are dialled for
    /// anew. Counters go on.
    pub(crate) fn renew(&self, connector: Connector) {
        let wires = &self.inner.world;
        let connector = connector.succeeding(&wires.peek().connector);
        let making = Arc::new(Making::new(connector));
        let limits = making.limits();
        let has_warm = !limits.pool.warm.is_empty();
        let mut earlier = None;
        self.inner.renew(
            limits,
            // What lies behind a proxy is asked for anew: the proxy may have another login, or the way to it another TLS.
            |key| {
                let leads_directly = || making.way(&key.target, false).is_ok_and(|way| *way == Route::Direct);
                let is_direct = key.route == Route::Direct && leads_directly();
                is_direct.then(|| making.begins_with(&key.target, &key.route))
            },
            |generation| {
                making.generation.store(generation, Ordering::Release);
                earlier = Some(wires.current.swap(Arc::clone(&making)));
                wires.generation.store(generation, Ordering::Release);
            },
        );
        drop(earlier);
        wires.is_cold.store(has_warm, Ordering::Release);
        if self.inner.counters.leases.load(Ordering::Relaxed) > 0 {
            self.inner.warm_up();
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.inner.name
    }

    pub(crate) fn stats(&self) -> PoolStats {
        let making = self.inner.world.peek();
        let connector = &making.connector;
        let dns = connector.names().counts();
        PoolStats {
            dns_look_ups: dns.look_ups,
            dns_failures: dns.failures,
            dns_stale: dns.stale,
            unverified: connector.transport().tls.insecure_skip_verify,
            ..self.inner.counters.read(&self.inner.name)
        }
    }

    /// The statistics of each host; `breaker` tells of its breaker, which is none of the pool's.
    pub(crate) fn host_stats(&self, breaker: impl Fn(&Target) -> Option<BreakerState>) -> Vec<HostStats> {
        self.inner.directory.read(breaker)
    }

    /// The way to a target; see [`Connector::route`].
    ///
    /// # Errors
    ///
    /// That no request may go there (`egress.*`); it is counted.
    pub(crate) fn route(&self, target: &Target, needs_tunnel: bool) -> Result<Way, Refusal> {
        let way = self.inner.world.peek().way(target, needs_tunnel);
        if let Err(refusal) = &way {
            Counters::add(&self.inner.counters.egress_refused);
            tracing::debug!(pool = %self.inner.name, "{refusal}");
        }
        way
    }

    /// The same for a target to which the way was found before, if it was: that costs a quarter, unless the pool has other
    /// settings by now.
    ///
    /// # Errors
    ///
    /// As with [`route`](Pool::route).
    pub(crate) fn route_again(
        &self,
        target: &Target,
        needs_tunnel: bool,
        found: &OnceLock<Way>,
    ) -> Result<Way, Refusal> {
        if let Some(way) = found.get()
            && way.generation() == self.inner.world.generation.load(Ordering::Acquire)
            && way.needs_tunnel() == needs_tunnel
        {
            return Ok(way.clone());
        }
        let way = self.route(target, needs_tunnel)?;
        let _ = found.set(way.clone());
        Ok(way)
    }

    /// Looks at how its connections are made now.
    #[cfg(feature = "reqwest")]
    pub(crate) fn connector<T>(&self, look: impl FnOnce(&Connector) -> T) -> T {
        look(&self.inner.world.peek().connector)
    }

    /// Whether both are one pool.
    pub(crate) fn is(&self, other: &Pool) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }

    /// Closes what is idle now. Shared connections in use take no new request and end after those under way.
    pub(crate) fn close_idle(&self) {
        self.inner.close_idle();
    }

    /// Counts a request that is sent again.
    pub(crate) fn count_resend(&self) {
        Counters::add(&self.inner.counters.resends);
    }

    /// Counts a further attempt.
    pub(crate) fn count_retry(&self) {
        Counters::add(&self.inner.counters.retries);
    }

    /// Counts a redirect that is not followed.
    pub(crate) fn count_redirect_refused(&self) {
        Counters::add(&self.inner.counters.redirects_refused);
    }

    /// Counts what has run out of time.
    pub(crate) fn count_timed_out(&self) {
        Counters::add(&self.inner.counters.timed_out);
    }

    /// Counts a response that was larger than it may be.
    pub(crate) fn count_too_large(&self) {
        Counters::add(&self.inner.counters.too_large);
    }

    /// Counts an attempt that the budget forbade.
    pub(crate) fn count_retry_denied(&self) {
        Counters::add(&self.inner.counters.retries_denied);
    }

    /// Counts a breaker that has opened.
    pub(crate) fn count_breaker_opening(&self) {
        Counters::add(&self.inner.counters.breaker_openings);
    }

    /// Counts an attempt that an open breaker forbade.
    pub(crate) fn count_breaker_refusal(&self) {
        Counters::add(&self.inner.counters.breaker_refusals);
    }

    /// Counts a request that a limit kept from being sent.
    pub(crate) fn count_shed(&self) {
        Counters::add(&self.inner.counters.shed);
    }

    /// Counts a redirect that is followed.
    pub(crate) fn count_redirect(&self) {
        Counters::add(&self.inner.counters.redirects);
    }

    /// Counts an endpoint that was left out of a choice.
    pub(crate) fn count_passed_over(&self) {
        Counters::add(&self.inner.counters.endpoints_passed_over);
    }

    /// Counts a request that is sent once more after a 401.
    pub(crate) fn count_renewal(&self) {
        Counters::add(&self.inner.counters.credentials_renewed);
    }

    /// Counts a token's fetch.
    #[cfg(feature = "oauth2")]
    pub(crate) fn count_token(&self, is_there: bool) {
        let counters = &self.inner.counters;
        Counters::add(if is_there {
            &counters.tokens_fetched
        } else {
            &counters.token_failures
        });
    }

    /// Counts a second attempt beside a first one.
    pub(crate) fn count_hedge(&self) {
        Counters::add(&self.inner.counters.hedges);
    }

    /// Counts one that won.
    pub(crate) fn count_hedge_won(&self) {
        Counters::add(&self.inner.counters.hedges_won);
    }

    pub(super) fn add_lease(&self) {
        self.inner.with_state(|state, _| state.leases += 1);
        self.inner.warm_up();
    }

    pub(super) fn remove_lease(&self) {
        if self.inner.give_lease_back() {
            let has_warm = !self.inner.world.peek().connector.transport().pool.warm.is_empty();
            self.inner.world.is_cold.store(has_warm, Ordering::Release);
            self.inner.reapers.notify_waiters();
        }
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool")
            .field("name", &self.inner.name)
            .finish_non_exhaustive()
    }
}

impl Inner {
    /// Connects to the hosts of `pool.warm`, once a lease, as soon as there is a runtime to do it on.
    pub(super) fn warm_up(&self) {
        if !self.world.is_cold.load(Ordering::Acquire) {
            return;
        }
        let Ok(handle) = Handle::try_current() else { return };
        if !self.world.is_cold.swap(false, Ordering::AcqRel) {
            return;
        }
        let making = self.world.making();
        let pool = &making.connector.transport().pool;
        for url in &pool.warm {
            let url = if url.starts_with("unix:") {
                BaseUrl::parse(url).ok().map(|socket| socket.url().clone())
            } else {
                url.parse().ok()
            };
            let target = url.and_then(|url| Target::of(&url).ok());
            let Some(target) = target else {
                tracing::warn!(pool = %self.name, "a URL of pool.warm cannot be connected to");
                continue;
            };
            let way = match making.way(&target, false) {
                Ok(way) => way,
                Err(refusal) => {
                    Counters::add(&self.counters.egress_refused);
                    tracing::warn!(pool = %self.name, "a host of pool.warm is not connected to: {refusal}");
                    continue;
                }
            };
            self.with_state(|state, todo| {
                let now = Instant::now();
                if way.generation() == state.renewed()
                    && let Ok(host) = self.host(state, (&target, &way), &handle, now)
                {
                    state.warm(host, pool.min_idle_per_host.max(1), now, todo);
                }
            });
        }
    }
}

impl Home for Inner {
    fn ready(&self, connection: H1) {
        Core::ready(self, connection);
    }

    fn settling(&self, link: &Arc<Link>) {
        Core::settling(self, link);
    }

    fn unsettled(&self, link: &Arc<Link>) {
        Core::unsettled(self, &**link);
    }

    fn places_changed(&self, link: &Arc<Link>) {
        Core::places_changed(self, &**link);
    }

    fn retired(&self, link: &Arc<Link>) {
        Core::retired(self, &**link);
    }

    fn closed(&self, link: &Link, reason: CloseReason) {
        self.counters.closed(reason, link.born.elapsed());
        Core::closed(self, link.seat.host, link.seat.site, reason);
        tracing::trace!(pool = %self.name, reason = reason.as_str(), "connection closed");
    }

    fn suspect(&self, link: &Link, began: Instant) {
        self.with_state(|state, todo| state.suspect(link.seat.host, began, Instant::now(), todo));
    }

    fn calm(&self, link: &Link) {
        self.with_state(|state, _| state.calm(link.seat.host));
    }

    fn http1_required(&self, link: &Arc<Link>) {
        self.with_state(|state, todo| state.http1_required(link.seat.host, Instant::now(), todo));
    }
}

impl Bond for Link {
    fn place(&self) -> &AtomicUsize {
        &self.place
    }

    fn host(&self) -> usize {
        self.seat.host
    }

    fn is_gone(&self) -> bool {
        Link::is_gone(self)
    }

    fn is_settling(&self) -> &AtomicBool {
        &self.is_settling
    }

    fn site(&self) -> u32 {
        self.seat.site
    }
}

impl Exclusive for H1 {
    type Bond = Link;

    fn bond(&self) -> &Arc<Link> {
        self.link()
    }

    fn marks(&self) -> Marks {
        self.link().facts.marks()
    }

    fn generation(&self) -> u64 {
        self.link().seat.generation
    }

    fn expires(&self) -> Option<Instant> {
        self.link().expires
    }

    fn may_idle_for(&self) -> Option<Duration> {
        H1::may_idle_for(self)
    }

    fn spent(&self) -> Option<CloseReason> {
        H1::spent(self)
    }

    fn rest(&self) {
        self.link().rest();
    }

    fn lend(&self, now: Instant) {
        self.link().lend(now);
    }

    fn lent_for(&self, now: Instant) -> Duration {
        self.link().lent_for(now)
    }

    fn doze(&mut self) -> Option<Waker> {
        H1::doze(self)
    }

    fn retire(self, reason: CloseReason) {
        H1::retire(self, reason);
    }
}

impl Multiplexed for H2 {
    type Place = Place;

    fn place(&self) -> &AtomicUsize {
        &self.link().place
    }

    fn marks(&self) -> Marks {
        self.link().facts.marks()
    }

    fn site(&self) -> u32 {
        self.link().seat.site
    }

    fn try_acquire(&self) -> Option<Place> {
        H2::try_acquire(self)
    }

    fn in_use(&self) -> usize {
        H2::in_use(self)
    }

    fn limit(&self) -> Option<usize> {
        H2::known_limit(self)
    }

    fn is_choked(&self) -> bool {
        self.is_full_of_data() || H2::is_in_doubt(self)
    }

    fn is_in_doubt(&self) -> bool {
        H2::is_in_doubt(self)
    }

    fn is_shut(&self) -> bool {
        H2::is_shut(self)
    }

    fn expires(&self) -> Option<Instant> {
        self.link().expires
    }

    fn spent(&self) -> Option<CloseReason> {
        H2::spent(self)
    }

    fn rest(&self) {
        self.link().rest();
    }

    fn retire(self, reason: CloseReason) {
        H2::retire(self, reason);
    }
}
