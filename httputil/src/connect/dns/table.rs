//! What is known of names: the last good answer, the look-up under way, and whom to dial last. No I/O, no clock.
//!
//! Bounded: beyond some thousand names those that nobody has asked for longest are forgotten. One whose look-up is under
//! way is not, and of those there are no more than requests that wait.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::failure::Outcome;

/// Names that are remembered.
const NAMES: usize = 4096;

/// For so long an address that failed beyond its TCP connect is dialled last.
const BLAMED_FOR: Duration = Duration::from_mins(1);

/// So many addresses of a name are dialled last: those that failed last.
const BLAMED: usize = 128;

const FAMILIES: [fn(&IpAddr) -> bool; 2] = [IpAddr::is_ipv4, IpAddr::is_ipv6];

#[derive(Debug, Default)]
pub(super) struct Table {
    names: HashMap<Arc<str>, Entry>,
    next_flight: u64,
    uses: u64,
}

#[derive(Debug, Default)]
struct Entry {
    good: Option<Good>,
    /// The last good answer that had an address of this family, IPv4 and IPv6, where the one above has none.
    without: [Option<Good>; 2],
    flight: Option<Flight>,
    /// The last look-up gave nothing.
    is_failing: bool,
    /// It was said that the last good answer stands in.
    is_told: bool,
    /// Addresses that failed beyond their TCP connect, and until when they are dialled last; the latest last.
    blamed: Vec<(SocketAddr, Instant)>,
    used: u64,
}

/// A good answer, and when it came.
#[derive(Clone, Debug)]
pub(super) struct Good {
    pub(super) addresses: Arc<[IpAddr]>,
    pub(super) at: Instant,
}

impl Good {
    /// Whether it has an address of one of the families.
    pub(super) fn serves(&self, serves: fn(&IpAddr) -> bool) -> bool {
        self.addresses.iter().any(serves)
    }
}

/// A look-up under way.
#[derive(Debug)]
struct Flight {
    id: u64,
    waiters: usize,
    /// Its answer is wanted until then although nobody waits.
    kept_until: Option<Instant>,
    outcome: watch::Sender<Option<Outcome>>,
    /// Whoever looks is told that somebody came or went.
    changed: Arc<Notify>,
}

/// Whoever looks, seen from the table.
#[derive(Debug)]
pub(super) struct Begun {
    pub(super) id: u64,
    pub(super) changed: Arc<Notify>,
}

/// How much a look-up is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Somebody waits.
    Yes,
    /// Nobody waits; its answer is for the next, until then.
    Until(Instant),
    No,
}

impl Table {
    /// Remembers the name, and that it was asked for.
    fn entry(&mut self, name: &Arc<str>) -> &mut Entry {
        if self.names.len() >= NAMES && !self.names.contains_key(name) {
            self.forget();
        }
        self.uses += 1;
        let entry = self.names.entry(Arc::clone(name)).or_default();
        entry.used = self.uses;
        entry
    }

    /// Forgets the quarter that was asked for longest ago.
    fn forget(&mut self) {
        let mut uses: Vec<u64> = self.names.values().map(|entry| entry.used).collect();
        let (_, newest, _) = uses.select_nth_unstable(NAMES / 4);
        let newest = *newest;
        self.names
            .retain(|_, entry| entry.flight.is_some() || entry.used > newest);
        self.names.shrink_to(NAMES);
    }

    /// The last answer with an address that `serves`, whatever its age, and whether the look-up after it gave nothing.
    pub(super) fn good(&mut self, name: &Arc<str>, serves: fn(&IpAddr) -> bool) -> (Option<Good>, bool) {
        let entry = self.entry(name);
        let mut answers = entry.good.iter().chain(entry.without.iter().flatten());
        (answers.find(|good| good.serves(serves)).cloned(), entry.is_failing)
    }

    /// Waits for the look-up under way, or for a new one, which the caller is to begin then.
    pub(super) fn join(&mut self, name: &Arc<str>) -> (u64, watch::Receiver<Option<Outcome>>, Option<Begun>) {
        let id = self.next_flight;
        self.next_flight += 1;
        let entry = self.entry(name);
        let mut begun = None;
        let flight = entry.flight.get_or_insert_with(|| {
            let changed = Arc::<Notify>::default();
            begun = Some(Begun {
                id,
                changed: Arc::clone(&changed),
            });
            Flight {
                id,
                waiters: 0,
                kept_until: None,
                outcome: watch::Sender::new(None),
                changed,
            }
        });
        flight.waiters += 1;
        (flight.id, flight.outcome.subscribe(), begun)
    }

    fn flight(&mut self, name: &str, id: u64) -> Option<&mut Flight> {
        let flight = self.names.get_mut(name)?.flight.as_mut()?;
        (flight.id == id).then_some(flight)
    }

    /// Somebody waits no more.
    pub(super) fn leave(&mut self, name: &str, id: u64) {
        if let Some(flight) = self.flight(name, id) {
            flight.waiters -= 1;
            flight.changed.notify_one();
        }
    }

    /// The look-up's answer is wanted until then, also if nobody waits.
    pub(super) fn keep(&mut self, name: &str, id: u64, until: Instant) {
        if let Some(flight) = self.flight(name, id) {
            flight.kept_until = flight.kept_until.max(Some(until));
        }
    }

    pub(super) fn wanted(&mut self, name: &str, id: u64, now: Instant) -> Wanted {
        match self.flight(name, id) {
            Some(flight) if flight.waiters > 0 => Wanted::Yes,
            Some(flight) => match flight.kept_until.filter(|until| now < *until) {
                Some(until) => Wanted::Until(until),
                None => Wanted::No,
            },
            None => Wanted::No,
        }
    }

    /// Ends the look-up if nobody wants it; whether it has ended.
    pub(super) fn give_up(&mut self, name: &str, id: u64, now: Instant) -> bool {
        if self.wanted(name, id, now) != Wanted::No {
            return false;
        }
        if let Some(entry) = self.names.get_mut(name)
            && entry.flight.as_ref().is_some_and(|flight| flight.id == id)
        {
            // One that was kept for its answer gave none in its time.
            entry.is_failing |= entry.flight.take().is_some_and(|flight| flight.kept_until.is_some());
        }
        true
    }

    /// What the look-up came to. Those who wait are told after the lock.
    pub(super) fn finish(
        &mut self,
        name: &str,
        id: u64,
        outcome: &Outcome,
        now: Instant,
    ) -> Option<watch::Sender<Option<Outcome>>> {
        self.flight(name, id)?;
        let entry = self.names.get_mut(name)?;
        match outcome {
            Outcome::Found(addresses) => {
                let good = Good {
                    addresses: Arc::clone(addresses),
                    at: now,
                };
                let last = entry.good.take();
                // Pools that want one family only go by the last answer that had it.
                for (without, family) in entry.without.iter_mut().zip(FAMILIES) {
                    if good.serves(family) {
                        *without = None;
                    } else if let Some(last) = last.as_ref().filter(|last| last.serves(family)) {
                        *without = Some(last.clone());
                    }
                }
                entry.good = Some(good);
                entry.is_failing = false;
                // While one family is missing, that is said once.
                entry.is_told &= entry.without.iter().any(Option::is_some);
            }
            Outcome::Failed(_) => entry.is_failing = true,
            Outcome::Lost => {}
        }
        entry.flight.take().map(|flight| flight.outcome)
    }

    /// A look-up gave nothing within somebody's bound, and the last good answer is used; whether that is news.
    pub(super) fn stands_in(&mut self, name: &str) -> bool {
        let Some(entry) = self.names.get_mut(name) else {
            return false;
        };
        entry.is_failing = true;
        !std::mem::replace(&mut entry.is_told, true)
    }

    /// This address of the name failed beyond its TCP connect. The name may be one that nobody has looked up.
    pub(super) fn blame(&mut self, name: &Arc<str>, address: SocketAddr, now: Instant) {
        let Some(until) = now.checked_add(BLAMED_FOR) else {
            return;
        };
        let blamed = &mut self.entry(name).blamed;
        blamed.retain(|(other, until)| now < *until && *other != address);
        if blamed.len() >= BLAMED {
            blamed.remove(0);
        }
        blamed.push((address, until));
    }

    /// The addresses of the name that are dialled last, the last first; none for most.
    pub(super) fn blamed(&self, name: &str, now: Instant) -> Vec<SocketAddr> {
        let blamed = self.names.get(name).map_or(&[][..], |entry| &entry.blamed);
        let is_blamed = |(_, until): &&(SocketAddr, Instant)| now < *until;
        blamed.iter().filter(is_blamed).map(|(address, _)| *address).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found() -> Outcome {
        Outcome::Found(Arc::from([IpAddr::from([10, 0, 0, 1])]))
    }

    #[test]
    fn a_hundred_thousand_names_leave_the_table_small_and_those_in_use_stay() {
        let (mut table, now) = (Table::default(), Instant::now());
        let held: Arc<str> = Arc::from("held.test");
        let (id, _receiver, _) = table.join(&held);
        for number in 0..100_000 {
            let name = Arc::from(format!("{number}.test"));
            let (id, _, _) = table.join(&name);
            table.finish(&name, id, &found(), now);
        }
        assert!(table.names.len() <= NAMES, "{}", table.names.len());
        assert!(table.names.capacity() <= 4 * NAMES, "{}", table.names.capacity());
        assert!(
            table.finish(&held, id, &found(), now).is_some(),
            "its look-up was under way"
        );
        assert!(table.good(&Arc::from("99999.test"), |_| true).0.is_some());
        assert!(table.good(&Arc::from("1.test"), |_| true).0.is_none());
    }

    #[test]
    fn a_look_up_is_wanted_while_somebody_waits_or_it_is_kept() {
        let (mut table, now) = (Table::default(), Instant::now());
        let name: Arc<str> = Arc::from("a.test");
        let (id, _one, begun) = table.join(&name);
        let (same, _two, none) = table.join(&name);
        assert!(begun.is_some() && none.is_none() && id == same);
        table.leave(&name, id);
        assert_eq!(table.wanted(&name, id, now), Wanted::Yes);
        table.keep(&name, id, now + Duration::from_secs(1));
        table.leave(&name, id);
        assert!(!table.give_up(&name, id, now));
        let later = now + Duration::from_secs(1);
        assert!(table.give_up(&name, id, later));
        assert!(table.join(&name).2.is_some(), "the next begins anew");
    }

    #[test]
    fn the_addresses_that_failed_are_told_in_turn_for_a_minute_each() {
        let (mut table, now) = (Table::default(), Instant::now());
        let name: Arc<str> = Arc::from("a.test");
        let [one, two, port] = [(1, 443), (2, 443), (1, 80)].map(|(n, port)| SocketAddr::from(([10, 0, 0, n], port)));
        assert!(table.blamed(&name, now).is_empty(), "nobody has looked it up");
        let second = Duration::from_secs(1);
        for (after, address) in (0..).zip([one, two, port, one]) {
            table.blame(&name, address, now + after * second);
        }
        assert_eq!(table.blamed(&name, now + 3 * second), [two, port, one]);
        let later = now + 2 * second + BLAMED_FOR;
        assert_eq!(table.blamed(&name, later), [one]);
        table.blame(&name, two, later);
        assert_eq!(table.names[&name].blamed.len(), 2, "what is over is forgotten");
        for number in 0..300 {
            table.blame(&name, SocketAddr::from(([10, 0, 0, 3], number)), later);
        }
        assert_eq!(table.blamed(&name, later).len(), BLAMED);
    }

    #[test]
    fn an_outage_is_told_once() {
        let (mut table, now) = (Table::default(), Instant::now());
        let name: Arc<str> = Arc::from("a.test");
        for _ in 0..2 {
            let (id, _, _) = table.join(&name);
            table.finish(&name, id, &found(), now);
            assert_eq!([table.stands_in(&name), table.stands_in(&name)], [true, false]);
        }
    }
}
