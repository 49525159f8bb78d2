//! One host: a key, what is idle, who waits, what is being dialled, and how its last dials went.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::runtime::Id;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::line::Line;
use super::lists::{BY_HOST, List};
use super::patience::Record;
use super::queue::Queue;
use super::sites::Sites;
use super::{Exclusive, Key, Multiplexed, Protocol, State};
use crate::connect::{self, Backoff, Progress};
use crate::wire::Complaints;

/// Hosts without a connection are forgotten when there are more of them than this.
pub(super) const QUIET_HOSTS: usize = 1024;

pub(super) struct Host<C, P> {
    pub(super) key: Arc<Key>,
    pub(super) protocol: Protocol,
    /// It has asked for HTTP/1.1.
    pub(super) http1_only: bool,
    /// How often it has complained.
    pub(super) complaints: Arc<Complaints>,
    pub(super) idle: List<BY_HOST>,
    /// Connections of either kind that are idle.
    pub(super) resting: usize,
    pub(super) shared: Vec<usize>,
    pub(super) queue: Queue<C, P>,
    pub(super) dialling: usize,
    /// Dials among these that have hung for so long that nobody is to rely on them.
    pub(super) doubted: usize,
    /// Exclusive connections that come home in a moment.
    pub(super) settling: usize,
    /// How the newest dial gets on.
    pub(super) progress: Option<Arc<Progress>>,
    /// Told when a dial is over. There while somebody wants to know.
    pub(super) dial_over: Option<Arc<Notify>>,
    /// Connections and dials under way: what `pool.max_connections_per_host` counts.
    pub(super) references: usize,
    /// Idle connections that were closed under that cap for those who want a new one, and are not gone yet.
    pub(super) departing: usize,
    pub(super) backoff: Backoff,
    /// How long an exchange takes here, as a moving mean.
    pub(super) service: Duration,
    /// How many connections were to be made ready when its protocol was not known yet.
    pub(super) ready: usize,
    /// When a cap on idle connections last closed one.
    pub(super) capped_at: Option<Instant>,
    /// Its addresses, where connections are spread over them.
    pub(super) sites: Option<Box<Sites>>,
    /// Where the numbers of another list of these would begin.
    sites_end: u32,
    /// When one of those who wait last asked for a slot that others have.
    pub(super) pressed_at: Option<Instant>,
    /// When a dial that was to lead elsewhere than to some addresses led to one of them.
    pub(super) strayed_at: Option<Instant>,
    /// How its dials have fared while others waited for their slots.
    pub(super) record: Record,
}

impl<C, P> Host<C, P> {
    fn new(key: Arc<Key>, protocol: Protocol, spreads: bool) -> Self {
        Host {
            key,
            protocol,
            http1_only: false,
            complaints: Arc::default(),
            idle: List::default(),
            resting: 0,
            shared: Vec::new(),
            queue: Queue::default(),
            dialling: 0,
            doubted: 0,
            settling: 0,
            progress: None,
            dial_over: None,
            references: 0,
            departing: 0,
            backoff: Backoff::default(),
            service: Duration::ZERO,
            ready: 0,
            capped_at: None,
            sites: spreads.then(Box::default),
            sites_end: 0,
            pressed_at: None,
            strayed_at: None,
            record: Record::default(),
        }
    }

    /// Under other settings: what was learnt under the earlier ones does not count. Connections do, and whoever waits.
    pub(super) fn begin_anew(&mut self, protocol: Protocol, spreads: bool) {
        self.protocol = protocol;
        self.http1_only = false;
        self.backoff = Backoff::default();
        self.ready = 0;
        self.capped_at = None;
        self.record = Record::default();
        if spreads != self.sites.is_some() {
            self.sites_end = self.sites.as_ref().map_or(self.sites_end, |sites| sites.end());
            self.sites = spreads.then(|| Box::new(Sites::beginning(self.sites_end)));
        }
    }

    /// Dials that may serve those who wait.
    pub(super) fn promising(&self) -> usize {
        self.dialling - self.doubted
    }

    fn is_quiet(&self, now: Instant) -> bool {
        self.references == 0 && self.queue.is_empty() && !self.backoff.holds(now)
    }

    /// An exchange took this long.
    pub(super) fn learn(&mut self, took: Duration) {
        self.service = if self.service.is_zero() {
            took
        } else {
            (self.service * 7 + took) / 8
        };
    }

    pub(super) fn gauge_waiting(&self) {
        self.key.counters.waiting.store(self.queue.len(), Ordering::Relaxed);
    }

    pub(super) fn gauge_idle(&self) {
        self.key.counters.idle.store(self.resting, Ordering::Relaxed);
    }
}

impl<C: Exclusive, S: Multiplexed> State<C, S> {
    pub(in crate::pool) fn add_host(&mut self, key: Arc<Key>, protocol: Protocol, now: Instant) -> usize {
        if self.index.len() >= self.sweep_at {
            self.sweep(now);
        }
        self.meet(key.runtime(), now);
        let spreads = self.spreads_over_addresses(&key);
        // It may be one of earlier settings, some of whose connections are still open: they count.
        if let Some(index) = self.abandoned.remove(&key)
            && let Some(host) = self.hosts.get_mut(index)
        {
            host.begin_anew(protocol, spreads);
            self.index.insert(Arc::clone(&host.key), index);
            return index;
        }
        let host = self.hosts.insert(Host::new(Arc::clone(&key), protocol, spreads));
        self.directory.add(host, &key);
        self.index.insert(key, host);
        host
    }

    /// Whether the host's connections are spread over its addresses. Behind a proxy these are the proxy's affair.
    pub(super) fn spreads_over_addresses(&self, key: &Key) -> bool {
        let is_name = matches!(key.target.host, connect::Host::Name(_));
        self.limits.spreads && is_name && key.route.proxy().is_none()
    }

    /// A host's key keeps its runtime's reactor (two descriptors), even after that runtime has shut down. So when a new
    /// runtime comes, hosts of others that nothing refers to are forgotten: what is kept of runtimes that have gone does
    /// not grow with their number.
    fn meet(&mut self, runtime: Id, now: Instant) {
        if self.runtimes.contains(&runtime) {
            return;
        }
        self.sweep(now);
        self.runtimes.clear();
        for (_, host) in self.hosts.iter() {
            let other = host.key.runtime();
            if !self.runtimes.contains(&other) {
                self.runtimes.push(other);
            }
        }
        self.runtimes.push(runtime);
    }

    /// Forgets hosts that nothing refers to. The next sweep comes when their number has doubled, so that a pool with
    /// many live hosts does not sweep in vain.
    fn sweep(&mut self, now: Instant) {
        self.forget_if(now, |_, _| true);
        self.sweep_at = QUIET_HOSTS.max(self.index.len() * 2);
    }

    /// Forgets those that nothing refers to and that nobody finds any more.
    pub(super) fn sweep_abandoned(&mut self, now: Instant) {
        self.forget_if(now, |state, index| {
            let key = state.hosts.get(index).map(|host| &host.key);
            key.is_some_and(|key| state.abandoned.contains_key(key))
        });
    }

    fn forget_if(&mut self, now: Instant, may_go: impl Fn(&Self, usize) -> bool) {
        let quiet: Vec<usize> = self
            .hosts
            .iter()
            .filter(|(index, host)| host.is_quiet(now) && !Line::has(&self.hosts, *index))
            .map(|(index, _)| index)
            .filter(|index| may_go(self, *index))
            .collect();
        self.latest = None;
        for index in quiet {
            if let Some(host) = self.hosts.remove(index) {
                self.index.remove(&host.key);
                self.abandoned.remove(&host.key);
                self.directory.remove(index);
            }
        }
    }
}
