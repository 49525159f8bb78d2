//! What becomes of a dial: a connection, a failure that somebody hears of, or room for another host.

use tokio::time::Instant;

use super::patience::Record;
use super::queue::Waiter;
use super::{Delivery, Dial, Exclusive, Leaving, Multiplexed, Protocol, State, Todo};
use crate::connect::DialFailure;
use crate::error::Kind;
use crate::wire::CloseReason;

/// How a dial ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Connected,
    Failed,
    /// For reasons of our own.
    Stopped,
}

impl<C: Exclusive, S: Multiplexed> State<C, S> {
    /// Whether it had reached an address, and whether it was doubted.
    fn end_dial(&mut self, dial: &Dial, end: End, now: Instant, todo: &mut Todo<C, S>) -> (bool, bool) {
        let has_connected = end == End::Connected;
        let (mut has_arrived, mut is_doubted) = (false, false);
        if let Ok(position) = self.running.binary_search_by_key(&dial.id, |running| running.id)
            && let Some(running) = self.running.remove(position)
        {
            (has_arrived, is_doubted) = (running.has_arrived, running.is_doubted);
            if has_connected {
                self.silence.connected(now.saturating_duration_since(running.began));
            }
            let failed = (end == End::Failed).then_some(now);
            self.leave_dial(dial.seat.host, running.site, has_connected, failed);
        }
        if let Some(host) = self.hosts.get_mut(dial.seat.host) {
            host.dialling -= 1;
            host.doubted -= usize::from(is_doubted);
            if end != End::Stopped {
                host.record = Record::default();
            }
            if host.dialling == 0 {
                host.progress = None;
            }
            todo.chores().dial_over = host.dial_over.take();
        }
        (has_arrived, is_doubted)
    }

    /// A dial has become an exclusive connection.
    pub(in crate::pool) fn dialled_exclusive(
        &mut self,
        dial: &Dial,
        connection: C,
        now: Instant,
        todo: &mut Todo<C, S>,
    ) {
        self.end_dial(dial, End::Connected, now, todo);
        let index = dial.seat.host;
        if self.is_of_old(dial) {
            todo.chores()
                .leaving
                .push(Leaving::Exclusive(connection, CloseReason::Reloaded));
            return self.make_up_for_old(index, now, todo);
        }
        if let Some(host) = self.hosts.get_mut(index) {
            host.backoff.succeeded();
            host.protocol = Protocol::H1;
        }
        self.leads_to(index, connection.marks(), now);
        self.serve(index, connection, true, now, todo);
        // Those who waited to learn the protocol, or whether the host is there at all, need a connection each.
        self.pump(index, now, todo);
        // Or what there is, if this was the last that would come: of a host that speaks now HTTP/2, now HTTP/1, places.
        self.serve_fresh(index, now, todo);
        let ready = self
            .hosts
            .get_mut(index)
            .map_or(0, |host| std::mem::take(&mut host.ready));
        if ready > 0 {
            self.warm(index, ready, now, todo);
        }
    }

    /// A dial has become a shared connection.
    pub(in crate::pool) fn dialled_shared(&mut self, dial: &Dial, connection: S, now: Instant, todo: &mut Todo<C, S>) {
        self.end_dial(dial, End::Connected, now, todo);
        let index = dial.seat.host;
        if self.is_of_old(dial) {
            todo.chores()
                .leaving
                .push(Leaving::Shared(connection, CloseReason::Reloaded));
            return self.make_up_for_old(index, now, todo);
        }
        self.leads_to(index, connection.marks(), now);
        let is_gone = self.is_gone(index, connection.site());
        let Some(host) = self.hosts.get_mut(index) else { return };
        host.backoff.succeeded();
        if host.http1_only {
            // The host asked for HTTP/1.1 while this dial was under way.
            todo.chores()
                .leaving
                .push(Leaving::Shared(connection, CloseReason::Http1Required));
        } else {
            // What leads to an address that has gone, or was dialled before all that was idle was closed, serves those who
            // wait, and no others.
            let is_outdated = dial.seat.generation != self.generation;
            let gone = is_gone.then_some(CloseReason::AddressGone);
            let gone = gone.or_else(|| is_outdated.then(|| self.why_outdated(dial.seat.generation)));
            self.add_shared(index, connection, gone, now, todo);
        }
        // Without reuse it is gone again, and those who waited to learn the protocol need a connection each.
        self.pump(index, now, todo);
    }

    /// A dial has failed.
    pub(in crate::pool) fn dial_failed(
        &mut self,
        dial: &Dial,
        failure: &DialFailure,
        now: Instant,
        todo: &mut Todo<C, S>,
    ) {
        let is_theirs = failure.kind != Kind::LimitExceeded;
        let end = if is_theirs { End::Failed } else { End::Stopped };
        let (has_arrived, is_doubted) = self.end_dial(dial, end, now, todo);
        self.let_go(dial.seat.host, todo);
        if self.is_of_old(dial) {
            // Nobody is to hear what earlier settings led to.
            return self.make_up_for_old(dial.seat.host, now, todo);
        }
        let leads_elsewhere =
            is_doubted || failure.passes_over.is_some() || has_arrived && self.leads_elsewhere(dial.seat.host, now);
        if is_theirs && leads_elsewhere {
            // One address of several is no reason to leave the host alone: those who wait are dialled for elsewhere.
            self.unblock(now, todo);
            if self.waits(dial.seat.host) {
                self.pump(dial.seat.host, now, todo);
                self.serve_fresh(dial.seat.host, now, todo);
            }
            return;
        }
        let Some(host) = self.hosts.get_mut(dial.seat.host) else {
            return;
        };
        // A proxy's own failures are its own to remember: it is left alone for all hosts, and tried again for the first.
        let failure = &if failure.of_proxy {
            failure.clone()
        } else {
            host.backoff.failed(dial.epoch, failure, now);
            host.backoff.dated(failure)
        };
        let own = dial.waiter.and_then(|id| host.queue.remove(id));
        let mut failed: Vec<Waiter<C, S::Place>> = own.into_iter().collect();
        let was_last = host.promising() == 0;
        let fails_all = match host.protocol {
            // Who relied on it has another one, or hears of the backoff.
            Protocol::H1 => false,
            // Everybody waited to hear of this dial.
            Protocol::Unknown => was_last,
            // Without a connection there is no place to wait for.
            Protocol::H2 => was_last && host.shared.is_empty(),
        };
        if fails_all {
            failed.extend(std::iter::from_fn(|| host.queue.oldest()));
        }
        self.fail(dial.seat.host, failed, failure, todo);
        self.unblock(now, todo);
        // A dial that nobody waits for is not made up for: there is no backoff where the failure is our own (no
        // descriptor left), and it would be dialled again and again.
        if self.waits(dial.seat.host) {
            self.pump(dial.seat.host, now, todo);
            self.serve_fresh(dial.seat.host, now, todo);
        }
    }

    fn waits(&self, index: usize) -> bool {
        self.hosts.get(index).is_some_and(|host| !host.queue.is_empty())
    }

    /// A dial was stopped: to make room for another host's, and those who wait for it go on waiting, behind the others; or
    /// since it began under earlier settings.
    pub(in crate::pool) fn dial_gave_way(&mut self, dial: &Dial, now: Instant, todo: &mut Todo<C, S>) {
        self.end_dial(dial, End::Stopped, now, todo);
        self.let_go(dial.seat.host, todo);
        if self.is_of_old(dial) {
            return self.make_up_for_old(dial.seat.host, now, todo);
        }
        let waits = self.hosts.get(dial.seat.host).filter(|host| !host.queue.is_empty());
        match waits.map(|host| host.backoff.holds(now)) {
            Some(true) => self.pump(dial.seat.host, now, todo),
            // Unless another dial serves them, too.
            Some(false) => {
                // It may be one of another kind now.
                self.leave_line(dial.seat.host);
                self.block(dial.seat.host, now);
                self.settle_turn(dial.seat.host);
            }
            None => {}
        }
        self.serve_fresh(dial.seat.host, now, todo);
        self.unblock(now, todo);
    }

    /// In backoff: those whom no dial under way and no connection on its way home will serve hear the last error.
    pub(super) fn fail_uncovered(&mut self, index: usize, now: Instant, todo: &mut Todo<C, S>) {
        let Some(host) = self.hosts.get_mut(index) else { return };
        let covered = match host.protocol {
            Protocol::H1 => host.promising() + host.settling,
            Protocol::Unknown | Protocol::H2 if host.promising() > 0 => usize::MAX,
            // Places come back.
            Protocol::H2 if !host.shared.is_empty() => usize::MAX,
            Protocol::Unknown | Protocol::H2 => 0,
        };
        let Some(failure) = host.backoff.remembered(now) else {
            return;
        };
        let mut failed = Vec::new();
        if host.protocol == Protocol::H2 && host.promising() == 0 {
            // A place that comes back is no new connection.
            failed.extend(host.queue.take_fresh());
        }
        // What comes serves the first.
        while host.queue.len() > covered {
            failed.extend(host.queue.last());
        }
        failed.sort_unstable_by_key(|waiter| waiter.id);
        self.fail(index, failed, &failure, todo);
    }

    fn fail(&mut self, index: usize, failed: Vec<Waiter<C, S::Place>>, failure: &DialFailure, todo: &mut Todo<C, S>) {
        self.waiting -= failed.len();
        self.queue_shrank(index);
        for (nth, waiter) in failed.into_iter().enumerate() {
            let is_echo = nth > 0;
            let failure = DialFailure {
                is_echo,
                ..failure.clone()
            };
            todo.chores()
                .deliveries
                .push((waiter.sender, Delivery::Failed(failure)));
        }
    }

    /// A connection or a dial of this host is no more.
    fn let_go(&mut self, index: usize, todo: &mut Todo<C, S>) {
        if let Some(host) = self.hosts.get_mut(index) {
            host.references -= 1;
        }
        self.open -= 1;
        self.budget.put_back();
        todo.chores().freed = true;
    }

    /// A connection's socket is gone.
    pub(in crate::pool) fn closed(&mut self, index: usize, now: Instant, todo: &mut Todo<C, S>) {
        self.let_go(index, todo);
        self.departing = self.departing.saturating_sub(1);
        if let Some(host) = self.hosts.get_mut(index) {
            host.departing = host.departing.saturating_sub(1);
        }
        // Those in line come first.
        self.unblock(now, todo);
        self.pump(index, now, todo);
    }
}
