//! Those who wait for a connection to one host, first come, first served. Whoever was served and has to ask again, since
//! the connection was no good, comes before all who came after it.
//!
//! Some wait for a connection that nobody has used, and are passed over by what comes home; others of these shun some
//! addresses only, and what comes home from elsewhere serves them, too. In everything else they stand in one line with the
//! others: a new connection goes to the first of all.
//!
//! Two things are kept from harm. A waiter whose time is over is passed by. And one that has less time left than an
//! exchange with this host usually takes steps aside for those behind it: under overload the first in the queue are
//! always about to time out, and a connection given to them would be closed over an answer that nobody awaits. Serving
//! those who can still be answered keeps the goodput up.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::Delivery;

#[derive(Debug)]
pub(super) struct Waiter<C, P> {
    pub(super) id: u64,
    pub(super) sender: oneshot::Sender<Delivery<C, P>>,
    pub(super) deadline: Option<Instant>,
    /// One that wants a new connection would take a used one that leads elsewhere than to these, if there are any.
    pub(super) shuns: Vec<SocketAddr>,
}

/// A connection for somebody who waits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Offer {
    /// Nobody has used it.
    pub(super) is_new: bool,
    /// Where it leads.
    pub(super) to: Option<SocketAddr>,
}

impl<C, P> Waiter<C, P> {
    /// Whether one that wants a new connection takes this one.
    fn takes(&self, offer: Offer) -> bool {
        offer.is_new || !self.shuns.is_empty() && offer.to.is_some_and(|to| !self.shuns.contains(&to))
    }

    fn is_gone(&self, now: Instant) -> bool {
        self.sender.is_closed() || self.deadline.is_some_and(|deadline| deadline <= now)
    }

    fn has(&self, time: Duration, now: Instant) -> bool {
        self.deadline
            .is_none_or(|deadline| deadline.saturating_duration_since(now) >= time)
    }
}

#[derive(Debug)]
pub(super) struct Queue<C, P> {
    /// Want a connection that nobody has used, or one that leads elsewhere.
    fresh: VecDeque<Waiter<C, P>>,
    line: VecDeque<Waiter<C, P>>,
    /// Stepped aside.
    late: VecDeque<Waiter<C, P>>,
}

impl<C, P> Default for Queue<C, P> {
    fn default() -> Self {
        Queue {
            fresh: VecDeque::new(),
            line: VecDeque::new(),
            late: VecDeque::new(),
        }
    }
}

impl<C, P> Queue<C, P> {
    pub(super) fn len(&self) -> usize {
        self.fresh.len() + self.line.len() + self.late.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Those that not any connection can serve.
    pub(super) fn fresh(&self) -> usize {
        self.fresh.len()
    }

    /// How many of them come before all others that are there and have not stepped aside.
    pub(super) fn fresh_before_others(&self, now: Instant) -> usize {
        let first = self.line.iter().find(|waiter| !waiter.is_gone(now));
        let comes_first = |waiter: &&Waiter<C, P>| first.is_none_or(|first| waiter.id < first.id);
        let before = self.fresh.iter().take_while(comes_first);
        before.filter(|waiter| !waiter.is_gone(now)).count()
    }

    /// The first of those that not any connection can serve who takes this one, if there is one.
    fn first_fresh(&self, offer: Offer) -> Option<usize> {
        self.fresh.iter().position(|waiter| waiter.takes(offer))
    }

    /// Whether a used connection that leads there serves one of those that not any can serve.
    pub(super) fn has_fresh_for(&self, to: Option<SocketAddr>, now: Instant) -> bool {
        let offer = Offer { is_new: false, to };
        self.fresh
            .iter()
            .any(|waiter| waiter.takes(offer) && !waiter.is_gone(now))
    }

    /// Whether a used connection that leads there serves the first of those.
    pub(super) fn serves_first_fresh(&self, to: Option<SocketAddr>, now: Instant) -> bool {
        let offer = Offer { is_new: false, to };
        let first = self.fresh.iter().find(|waiter| !waiter.is_gone(now));
        first.is_some_and(|waiter| waiter.takes(offer))
    }

    /// The addresses that the first of those shuns; none if only a new connection can serve it.
    pub(super) fn shunned(&self, now: Instant) -> &[SocketAddr] {
        let first = self.fresh.iter().find(|waiter| !waiter.is_gone(now));
        first.map_or(&[], |waiter| &waiter.shuns)
    }

    /// Those who shun this address take any connection from now on; whether there were any.
    pub(super) fn shun_no_more(&mut self, to: SocketAddr) -> bool {
        let before = self.fresh.len();
        for _ in 0..before {
            let Some(mut waiter) = self.fresh.pop_front() else {
                break;
            };
            if waiter.shuns.contains(&to) {
                waiter.shuns = Vec::new();
                stand(&mut self.line, waiter);
            } else {
                self.fresh.push_back(waiter);
            }
        }
        self.fresh.len() < before
    }

    pub(super) fn push(&mut self, waiter: Waiter<C, P>, fresh: bool) {
        stand(if fresh { &mut self.fresh } else { &mut self.line }, waiter);
    }

    /// Takes one out by its number. Numbers grow along each of the lines.
    pub(super) fn remove(&mut self, id: u64) -> Option<Waiter<C, P>> {
        [&mut self.line, &mut self.fresh, &mut self.late]
            .into_iter()
            .find_map(|line| {
                let position = line.binary_search_by_key(&id, |waiter| waiter.id).ok()?;
                line.remove(position)
            })
    }

    /// When this one's request is over.
    pub(super) fn deadline(&self, id: u64) -> Option<Instant> {
        [&self.line, &self.fresh, &self.late].into_iter().find_map(|line| {
            let position = line.binary_search_by_key(&id, |waiter| waiter.id).ok()?;
            line.get(position)?.deadline
        })
    }

    /// How many are before this one; `None` if it does not wait here.
    pub(super) fn position(&self, id: u64) -> Option<usize> {
        let find = |line: &VecDeque<Waiter<C, P>>| line.binary_search_by_key(&id, |waiter| waiter.id).ok();
        if let Some(position) = find(&self.late) {
            return Some(self.fresh.len() + self.line.len() + position);
        }
        let before = |line: &VecDeque<Waiter<C, P>>| line.partition_point(|waiter| waiter.id < id);
        find(&self.fresh)
            .or_else(|| find(&self.line))
            .map(|_| before(&self.fresh) + before(&self.line))
    }

    /// The next to be served with a connection. Those that have gone are forgotten on the way.
    pub(super) fn next(&mut self, offer: Offer, now: Instant, service: Duration) -> Option<Waiter<C, P>> {
        loop {
            let others = self.line.front().map(|waiter| waiter.id);
            let comes_first = |position: &usize| others.is_none_or(|first| self.fresh[*position].id < first);
            let fresh = self.first_fresh(offer).filter(comes_first);
            let is_fresh = fresh.is_some();
            let next = match fresh {
                Some(position) => self.fresh.remove(position),
                None => self.line.pop_front(),
            };
            let Some(waiter) = next else { break };
            if waiter.is_gone(now) {
                continue;
            }
            let is_last = self.line.is_empty() && self.first_fresh(offer).is_none();
            if is_fresh || waiter.has(service, now) || is_last {
                return Some(waiter);
            }
            stand(&mut self.late, waiter);
        }
        while let Some(waiter) = self.late.pop_front() {
            if !waiter.is_gone(now) {
                return Some(waiter);
            }
        }
        None
    }

    /// Whether [`next`](Queue::next) has somebody for a connection.
    pub(super) fn has_next(&self, offer: Offer, now: Instant) -> bool {
        let fresh = self.fresh.iter().filter(|waiter| waiter.takes(offer));
        let mut waiters = self.line.iter().chain(&self.late).chain(fresh);
        waiters.any(|waiter| !waiter.is_gone(now))
    }

    /// Forgets those that have gone.
    pub(super) fn forget_gone(&mut self, now: Instant) {
        for line in [&mut self.fresh, &mut self.line, &mut self.late] {
            line.retain(|waiter| !waiter.is_gone(now));
        }
    }

    /// The one that has waited longest, whatever it waits for.
    pub(super) fn oldest(&mut self) -> Option<Waiter<C, P>> {
        let lines = [&mut self.fresh, &mut self.line, &mut self.late];
        lines
            .into_iter()
            .filter(|line| !line.is_empty())
            .min_by_key(|line| line.front().map(|waiter| waiter.id))?
            .pop_front()
    }

    /// The one that would be served last.
    pub(super) fn last(&mut self) -> Option<Waiter<C, P>> {
        let lines = [&mut self.fresh, &mut self.line].into_iter();
        let last = lines.max_by_key(|line| line.back().map(|waiter| waiter.id))?;
        self.late.pop_back().or_else(|| last.pop_back())
    }

    /// Takes out those that only a new connection can serve.
    pub(super) fn take_fresh(&mut self) -> VecDeque<Waiter<C, P>> {
        std::mem::take(&mut self.fresh)
    }

    /// The number of the one that stands at a position.
    pub(super) fn nth(&self, position: usize) -> Option<u64> {
        let (mut fresh, mut line) = (self.fresh.iter().peekable(), self.line.iter().peekable());
        let in_turn = std::iter::from_fn(|| match (fresh.peek(), line.peek()) {
            (Some(one), Some(other)) if one.id > other.id => line.next(),
            (Some(_), _) => fresh.next(),
            (None, _) => line.next(),
        });
        in_turn.chain(&self.late).nth(position).map(|waiter| waiter.id)
    }
}

/// Stands in line: at the end, but for one that asks again.
fn stand<C, P>(line: &mut VecDeque<Waiter<C, P>>, waiter: Waiter<C, P>) {
    if line.back().is_none_or(|last| last.id < waiter.id) {
        line.push_back(waiter);
    } else {
        let position = line.partition_point(|other| other.id < waiter.id);
        line.insert(position, waiter);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Waits = Queue<(), ()>;

    fn push(queue: &mut Waits, id: u64, deadline: Option<Instant>) -> oneshot::Receiver<Delivery<(), ()>> {
        let (sender, receiver) = oneshot::channel();
        let shuns = Vec::new();
        let waiter = Waiter {
            id,
            sender,
            deadline,
            shuns,
        };
        queue.push(waiter, false);
        receiver
    }

    /// One that wants a new connection, or one that leads elsewhere.
    fn shun(queue: &mut Waits, id: u64, addresses: &[SocketAddr]) -> oneshot::Receiver<Delivery<(), ()>> {
        let (sender, receiver) = oneshot::channel();
        let waiter = Waiter {
            id,
            sender,
            deadline: None,
            shuns: addresses.to_vec(),
        };
        queue.push(waiter, true);
        receiver
    }

    const USED: Offer = Offer {
        is_new: false,
        to: None,
    };

    fn next(queue: &mut Waits, now: Instant, service: u64) -> Option<u64> {
        queue
            .next(USED, now, Duration::from_secs(service))
            .map(|waiter| waiter.id)
    }

    #[test]
    fn what_leads_elsewhere_serves_those_who_shun_some_addresses_in_their_turn() {
        let (mut queue, now) = (Waits::default(), Instant::now());
        let [bad, good] = [1, 2].map(|n| SocketAddr::from(([10, 0, 0, n], 80)));
        let _new = shun(&mut queue, 1, &[]);
        let _elsewhere = shun(&mut queue, 2, &[bad]);
        let _any = push(&mut queue, 3, None);
        let mut to = |to| {
            let offer = Offer {
                is_new: false,
                to: Some(to),
            };
            assert!(queue.has_next(offer, now));
            queue.next(offer, now, Duration::ZERO).map(|waiter| waiter.id)
        };
        assert_eq!([to(good), to(bad)], [Some(2), Some(3)]);
        let _elsewhere = shun(&mut queue, 4, &[bad]);
        assert!(!queue.has_next(USED, now));
        assert!(queue.has_fresh_for(Some(good), now) && !queue.has_fresh_for(Some(bad), now));
        assert!(!queue.shun_no_more(good) && queue.shun_no_more(bad));
        assert_eq!([next(&mut queue, now, 0), next(&mut queue, now, 0)], [Some(4), None]);
        assert_eq!(queue.fresh(), 1);
    }

    #[test]
    fn those_who_have_gone_or_are_out_of_time_are_passed_by() {
        let (mut queue, now) = (Waits::default(), Instant::now());
        drop(push(&mut queue, 0, None));
        let _late = push(&mut queue, 1, Some(now));
        let _waits = push(&mut queue, 2, None);
        assert_eq!(next(&mut queue, now, 0), Some(2));
        assert!(queue.is_empty());
    }

    #[test]
    fn one_with_too_little_time_steps_aside_and_is_served_when_nobody_else_waits() {
        let (mut queue, now) = (Waits::default(), Instant::now());
        let _short = push(&mut queue, 0, Some(now + Duration::from_secs(1)));
        let _long = push(&mut queue, 1, Some(now + Duration::from_secs(9)));
        assert_eq!(next(&mut queue, now, 3), Some(1));
        assert_eq!(queue.position(0), Some(0));
        assert_eq!(next(&mut queue, now, 3), Some(0));
        assert_eq!(next(&mut queue, now, 3), None);
    }

    #[test]
    fn one_that_asks_again_stands_before_those_who_came_later_and_is_found_by_its_number() {
        let (mut queue, now) = (Waits::default(), Instant::now());
        let soon = Some(now + Duration::from_secs(1));
        let _others: Vec<_> = [3, 5, 7].map(|id| push(&mut queue, id, None)).into();
        let _again = push(&mut queue, 4, None);
        let _first = push(&mut queue, 1, soon);
        assert_eq!([1, 3, 4, 5, 7].map(|id| queue.position(id)), [0, 1, 2, 3, 4].map(Some));
        // The first steps aside, and so does a later one that is asked for before.
        assert_eq!(next(&mut queue, now, 3), Some(3));
        let _earliest = push(&mut queue, 0, soon);
        assert_eq!(next(&mut queue, now, 3), Some(4));
        assert_eq!([5, 7, 0, 1].map(|id| queue.position(id)), [0, 1, 2, 3].map(Some));
        assert_eq!(queue.remove(0).map(|waiter| waiter.id), Some(0));
        assert_eq!(queue.remove(1).map(|waiter| waiter.id), Some(1));
        assert_eq!([next(&mut queue, now, 3), next(&mut queue, now, 3)], [Some(5), Some(7)]);
    }
}
