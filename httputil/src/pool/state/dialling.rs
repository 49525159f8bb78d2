//! How many dials a host needs, whether it may have them, and what becomes of them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::futures::OwnedNotified;
use tokio::time::Instant;

use super::host::Host;
use super::patience::{GIVES_WAY_AFTER, Patience};
use super::turns::Presser;
use super::{Dial, Exclusive, Leaving, Multiplexed, Protocol, State, Todo};
use crate::connect::Progress;
use crate::pool::stop::Stop;
use crate::wire::{CloseReason, Seat};

/// Handshakes with one host at once, at most.
pub(super) const PACE: usize = 16;

/// A dial under way.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) id: u64,
    host: usize,
    pub(super) began: Instant,
    patience: Patience,
    progress: Arc<Progress>,
    stop: Arc<Stop>,
    pub(super) is_stopped: bool,
    /// The address that it goes to, where that counts and is known.
    pub(super) site: u32,
    /// It has reached an address; what fails from then on is that address's.
    pub(super) has_arrived: bool,
    /// Nobody relies on it any more.
    pub(super) is_doubted: bool,
}

impl Running {
    /// Stops it, unless it was stopped before.
    pub(super) fn stop<C, S: Multiplexed>(&mut self, todo: &mut Todo<C, S>) {
        if !std::mem::replace(&mut self.is_stopped, true) {
            todo.chores().leaving.push(Leaving::Dial(Arc::clone(&self.stop)));
        }
    }
}

/// What a waiter waits for.
#[derive(Clone, Debug)]
pub(in crate::pool) enum Standing {
    /// A dial that serves it.
    Dial(Arc<Progress>),
    /// Whatever comes first: a connection that comes back, or a dial not begun for this reason.
    Cap(Cap),
}

/// Why a host may not be dialled now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pool) enum Cap {
    /// Enough handshakes are under way.
    Pace,
    /// Handshakes with the host have their share of `pool.max_connections`.
    PoolShare,
    /// Handshakes with the host have their share of `registry.max_connections`.
    RegistryShare,
    /// The host could not be reached the last time, and one handshake is tried before there are more.
    Probe,
    /// A connection is on its way home.
    Return,
    /// `pool.max_connections_per_host`
    Host,
    /// `pool.max_connections`
    Pool,
    /// `registry.max_connections`
    Registry,
    /// `http2.max_connections_per_host`, and all streams taken
    Streams,
    /// An HTTP/2 server has not said yet how many requests it takes.
    Settings,
    /// A dial failed a moment ago.
    Backoff,
}

impl Cap {
    /// What to turn, in words.
    pub(in crate::pool) fn words(self) -> &'static str {
        match self {
            Cap::Pace => "16 handshakes with the host are under way",
            Cap::PoolShare => "handshakes with the host have their share of pool.max_connections, half of it",
            Cap::RegistryShare => "handshakes with the host have their share of registry.max_connections, half of it",
            Cap::Probe => "the host could not be reached the last time, and one handshake with it is tried first",
            Cap::Return => "a connection is on its way back from another request",
            Cap::Host => "pool.max_connections_per_host is reached",
            Cap::Pool => "pool.max_connections is reached",
            Cap::Registry => "registry.max_connections is reached",
            Cap::Streams => {
                "none of http2.max_connections_per_host connections has a stream to give: taken, out of window, or in doubt after a time-out"
            }
            Cap::Settings => "the server has not said how many streams a connection takes (HTTP/2 SETTINGS)",
            Cap::Backoff => "the host could not be reached a moment ago",
        }
    }
}

impl<C: Exclusive, S: Multiplexed> State<C, S> {
    /// How many dials should be under way for those who wait.
    pub(super) fn wanted(&self, host: &Host<C, S::Place>) -> usize {
        let (waiting, fresh) = (host.queue.len(), host.queue.fresh());
        let wanted = match host.protocol {
            // Whichever comes first, a returning connection or the new one, serves the request. A dial whose request was
            // served by another connection serves the next, so that there are never more dials than requests that wait.
            // A connection that is on its way home serves one of them, too.
            Protocol::H1 => fresh + (waiting - fresh).saturating_sub(host.settling),
            // One dial tells all who wait which protocol the host speaks.
            Protocol::Unknown => waiting.min(1),
            // A connection for each.
            Protocol::H2 if !self.limits.pool.reuse => waiting,
            Protocol::H2 => usize::from(self.wants_shared(host)),
        };
        if host.backoff.is_probing() {
            wanted.min(1)
        } else {
            wanted
        }
    }

    /// Why the host may not be dialled now. Takes nothing: a slot that is only looked at is not missing to another.
    pub(super) fn holds_back(&self, host: &Host<C, S::Place>, now: Instant) -> Option<Cap> {
        let caps = &self.limits.pool;
        // A host that swallows connection attempts must not hold the whole of a cap.
        let has_share = |cap: Option<usize>| cap.is_some_and(|cap| host.dialling >= (cap / 2).max(1));
        if host.backoff.holds(now) {
            Some(Cap::Backoff)
        } else if caps.max_connections_per_host.is_some_and(|cap| host.references >= cap) {
            Some(Cap::Host)
        } else if host.dialling >= PACE {
            Some(Cap::Pace)
        } else if has_share(caps.max_connections) {
            Some(Cap::PoolShare)
        } else if has_share(self.budget.max()) {
            Some(Cap::RegistryShare)
        } else if caps.max_connections.is_some_and(|cap| self.open >= cap) {
            Some(Cap::Pool)
        } else if !self.budget.has_slot(self.is_our_turn) {
            Some(Cap::Registry)
        } else {
            None
        }
    }

    /// Takes a slot for a dial of the host.
    pub(super) fn take_slot(&self, host: &Host<C, S::Place>, now: Instant) -> Result<(), Cap> {
        match self.holds_back(host, now) {
            Some(cap) => Err(cap),
            None if self.budget.try_take(self.is_our_turn) => Ok(()),
            None => Err(Cap::Registry),
        }
    }

    /// Begins the dials that the host needs and may have; fails those who wait for one that it may not have for now.
    pub(super) fn pump(&mut self, index: usize, now: Instant, todo: &mut Todo<C, S>) {
        while let Some(host) = self.hosts.get(index)
            && host.promising() < self.wanted(host)
        {
            match self.take_slot(host, now) {
                Ok(()) => {
                    // Those before it are waited for by dials that are under way.
                    let waiter = host.queue.nth(host.promising());
                    self.begin_dial(index, waiter, now, todo);
                }
                Err(cap @ (Cap::Pool | Cap::Registry)) if !host.queue.is_empty() => {
                    self.block(index, now);
                    self.makes_room_itself(index, now, todo);
                    if cap == Cap::Registry {
                        todo.chores().wants_room = true;
                    } else if self.wants_room() {
                        self.make_room(todo);
                    }
                    return;
                }
                Err(cap) => {
                    // A slot of the pool would not help it. And to dial before a connection is full is no reason to close
                    // another.
                    self.leave_line(index);
                    match cap {
                        Cap::Backoff => self.fail_uncovered(index, now, todo),
                        Cap::Host => self.make_own_room(index, now, todo),
                        _ => {}
                    }
                    return;
                }
            }
        }
        self.settle_turn(index);
    }

    /// Dials for `pool.min_idle_per_host`, made up for whenever the host gets a request.
    pub(super) fn make_up(&mut self, index: usize, now: Instant, todo: &mut Todo<C, S>) {
        let least = self.limits.pool.min_idle_per_host;
        if least > 0 {
            self.warm(index, least, now, todo);
        }
    }

    /// Dials until `least` connections are there beyond those that are asked for.
    pub(in crate::pool) fn warm(&mut self, index: usize, least: usize, now: Instant, todo: &mut Todo<C, S>) {
        let caps = &self.limits.pool;
        // What may not be idle is not kept ready.
        let least = least.min(caps.max_idle).min(caps.max_idle_per_host);
        if least == 0 || !caps.reuse {
            return;
        }
        while let Some(host) = self.hosts.get_mut(index)
            && self.leases > 0
        {
            if host.protocol == Protocol::Unknown {
                host.ready = host.ready.max(least);
            }
            let is_ready = match host.protocol {
                Protocol::H1 => host.idle.len() + host.settling + host.dialling >= least + host.queue.len(),
                // The first dial tells the protocol; a shared connection is as good as many.
                Protocol::Unknown | Protocol::H2 => host.shared.len() + host.dialling > 0,
            };
            if is_ready || host.backoff.is_probing() {
                return;
            }
            let slot = self.hosts.get(index).map(|host| self.take_slot(host, now));
            if !matches!(slot, Some(Ok(()))) {
                return;
            }
            self.begin_dial(index, None, now, todo);
        }
    }

    pub(super) fn begin_dial(&mut self, index: usize, waiter: Option<u64>, now: Instant, todo: &mut Todo<C, S>) {
        let generation = self.generation;
        self.end_claim(index);
        let Some(host) = self.hosts.get_mut(index) else { return };
        host.dialling += 1;
        host.references += 1;
        self.open += 1;
        let id = self.next_dial;
        self.next_dial += 1;
        let deadline = waiter.and_then(|id| host.queue.deadline(id));
        let progress = Arc::new(Progress::for_one_until(deadline));
        host.progress = Some(Arc::clone(&progress));
        if host
            .capped_at
            .take()
            .is_some_and(|at| now.saturating_duration_since(at) < Duration::from_secs(1))
        {
            todo.chores().regrets += 1;
        }
        let stop = Arc::<Stop>::default();
        self.running.push_back(Running {
            id,
            host: index,
            began: now,
            patience: host.record.patience(now),
            progress: Arc::clone(&progress),
            stop: Arc::clone(&stop),
            is_stopped: false,
            site: Seat::NO_SITE,
            has_arrived: false,
            is_doubted: false,
        });
        todo.chores().dials.push(Dial {
            id,
            seat: Seat {
                host: index,
                generation,
                http1_only: host.http1_only,
                complaints: Arc::clone(&host.complaints),
                site: Seat::NO_SITE,
            },
            key: Arc::clone(&host.key),
            waiter,
            epoch: host.backoff.epoch(),
            progress,
            stop,
        });
    }

    /// Closes the connection that has been idle longest, so that another host can be dialled; whether there was one.
    pub(in crate::pool) fn make_room(&mut self, todo: &mut Todo<C, S>) -> bool {
        let Some(oldest) = self.by_age.oldest() else {
            return false;
        };
        self.departs();
        self.expel(oldest, CloseReason::MadeRoom, todo);
        true
    }

    /// The same for another pool, unless as many connections are leaving as pools wait.
    pub(in crate::pool) fn make_room_if_wanted(&mut self, todo: &mut Todo<C, S>) -> bool {
        let Some(oldest) = self.by_age.oldest().filter(|_| self.budget.departs_if_wanted()) else {
            return false;
        };
        self.departing += 1;
        self.expel(oldest, CloseReason::MadeRoom, todo);
        true
    }

    /// Dials of the host have hung at this address for so long that somebody's time ran out, and the host has another one:
    /// those who wait are dialled for there. What hangs may still be slow only, and then serves them; what is dialled there all
    /// the same is doubted no more, since there would be no end of it.
    pub(in crate::pool) fn doubt(&mut self, index: usize, address: SocketAddr, now: Instant, todo: &mut Todo<C, S>) {
        let hangs = |running: &&mut Running| running.host == index && running.progress.hangs_at(now) == Some(address);
        if self.running.iter_mut().filter(hangs).any(|running| running.is_doubted) {
            return;
        }
        let Some(host) = self.hosts.get_mut(index) else { return };
        for running in self.running.iter_mut().filter(hangs) {
            running.is_doubted = true;
            host.doubted += 1;
            if let Some(sites) = host.sites.as_deref_mut() {
                sites.avoid(running.site, now);
            }
        }
        self.pump(index, now, todo);
        self.serve_fresh(index, now, todo);
    }

    /// Stops the dials that nobody waits for: no lease is left that they could serve.
    pub(in crate::pool) fn stop_dials(&mut self, todo: &mut Todo<C, S>) {
        for running in &mut self.running {
            let is_wanted = self.hosts.get(running.host).is_some_and(|host| !host.queue.is_empty());
            if !is_wanted {
                running.stop(todo);
            }
        }
    }

    /// Stops the oldest of the dials that have taken their time, for the sake of a host of this pool or of another one;
    /// whether there was one.
    pub(in crate::pool) fn give_way(&mut self, to: Presser, now: Instant, todo: &mut Todo<C, S>) -> bool {
        let kept = self.kept_from_newcomers();
        let is_silence_likely = self.silence.is_likely(now);
        let hosts = &mut self.hosts;
        let is_cut_short = |running: &Running| {
            to.is_newcomer
                && match running.patience {
                    Patience::Long => Some(running.id) != kept,
                    Patience::Usual => is_silence_likely,
                    Patience::Least => false,
                }
        };
        let is_due = |running: &&mut Running| {
            let is_wanted = hosts.get(running.host).is_some_and(|host| !host.queue.is_empty());
            let bound = if is_wanted && !is_cut_short(running) {
                running.patience.whole(running.progress.phase())
            } else {
                GIVES_WAY_AFTER
            };
            let is_due = now.saturating_duration_since(running.began) >= bound;
            is_due && Some(running.host) != to.host && !running.is_stopped
        };
        let Some(running) = self.running.iter_mut().find(is_due) else {
            return false;
        };
        running.stop(todo);
        let took = now.saturating_duration_since(running.began);
        let is_first = running.patience == Patience::Usual && is_cut_short(running);
        if let Some(host) = hosts.get_mut(running.host)
            && (is_first || took >= running.patience.whole(running.progress.phase()))
        {
            host.record.gave_way(running.patience, now);
        }
        self.silence.gave_way(took, now);
        true
    }

    /// The dial that has its long time whoever waits: the oldest such, where a slot is left for others.
    fn kept_from_newcomers(&self) -> Option<u64> {
        let caps = [self.limits.pool.max_connections, self.budget.max()];
        if caps.into_iter().flatten().any(|cap| cap < 2) {
            return None;
        }
        let is_kept = |running: &&Running| running.patience == Patience::Long && !running.is_stopped;
        self.running.iter().find(is_kept).map(|running| running.id)
    }

    /// What a waiter waits for at this moment; `None` if it does not wait any more.
    pub(in crate::pool) fn standing(&self, index: usize, id: u64, now: Instant) -> Option<Standing> {
        let host = self.hosts.get(index)?;
        let position = host.queue.position(id)?;
        let is_covered = match host.protocol {
            Protocol::H1 => position < host.promising(),
            Protocol::Unknown | Protocol::H2 => host.promising() > 0,
        };
        if is_covered && let Some(progress) = &host.progress {
            return Some(Standing::Dial(Arc::clone(progress)));
        }
        let is_full = host.shared.len() >= self.max_shared(host.sites.as_deref());
        if host.protocol == Protocol::H2 && is_full && !self.wants_shared(host) {
            return Some(Standing::Cap(Cap::Streams));
        }
        // Where nothing holds it back it needs no dial of its own, for one of three reasons.
        let needs_none = if host.backoff.is_probing() {
            Cap::Probe
        } else if host.protocol == Protocol::H2 {
            Cap::Settings
        } else {
            Cap::Return
        };
        Some(Standing::Cap(self.holds_back(host, now).unwrap_or(needs_none)))
    }

    /// Comes when the next dial to the host is over.
    pub(in crate::pool) fn dial_over(&mut self, index: usize) -> Option<OwnedNotified> {
        let host = self.hosts.get_mut(index)?;
        // Made under the lock, from where on it misses nothing.
        Some(Arc::clone(host.dial_over.get_or_insert_default()).notified_owned())
    }
}
