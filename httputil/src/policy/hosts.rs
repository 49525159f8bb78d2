//! State per host, bounded: a million names leave memory flat.
//!
//! ```
//! use std::sync::Arc;
//!
//! use httputil::policy::breaker::Breaker;
//! use httputil::policy::hosts::Hosts;
//! use httputil::settings;
//!
//! let breakers: Hosts<String, Arc<Breaker>> = Hosts::new(1000);
//! let breaker_of = |host: &str| {
//!     let make = || Breaker::new(settings::Breaker::default());
//!     breakers.get(&host.to_owned(), make, |breaker| breaker.is_at_rest())
//! };
//! breaker_of("one.example").force_open();
//! assert!(breaker_of("one.example").permit().is_err());
//! assert!(breaker_of("other.example").permit().is_ok());
//! ```
//!
//! The least recently used goes first, but never one that must not be forgotten (an open breaker): a flood of names must
//! not make a dead host look well.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

/// Values by host, or by whatever else tells those apart that are judged alone; each is made when its host is first met.
#[derive(Debug)]
pub struct Hosts<K, V> {
    most: usize,
    inner: Mutex<Inner<K, V>>,
}

#[derive(Debug)]
struct Inner<K, V> {
    entries: HashMap<K, Entry<V>>,
    /// Counts the looks.
    clock: u64,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    used: u64,
}

impl<K: Clone + Eq + Hash, V: Clone> Hosts<K, V> {
    /// Room for `most` that may be forgotten, at least one, and for all that may not.
    pub fn new(most: usize) -> Hosts<K, V> {
        Hosts {
            most: most.max(1),
            inner: Mutex::new(Inner {
                entries: HashMap::new(),
                clock: 0,
            }),
        }
    }

    /// The host's value. `make` makes one that is missing; `is_spare` says of others whether they may be forgotten for it. Both
    /// are called under a lock: neither may ask for a host here.
    pub fn get(&self, host: &K, make: impl FnOnce() -> V, is_spare: impl Fn(&V) -> bool) -> V {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let Inner { entries, clock } = &mut *inner;
        *clock += 1;
        if let Some(entry) = entries.get_mut(host) {
            entry.used = *clock;
            return entry.value.clone();
        }
        if entries.len() >= self.most {
            // A tenth at once, so that a flood of names does not look at all of them each time.
            let mut spare: Vec<u64> = entries
                .values()
                .filter(|entry| is_spare(&entry.value))
                .map(|entry| entry.used)
                .collect();
            let many = (self.most / 10).max(1);
            if spare.len() > many {
                spare.select_nth_unstable(many - 1);
                spare.truncate(many);
            }
            if let Some(last) = spare.into_iter().max() {
                entries.retain(|_, entry| entry.used > last || !is_spare(&entry.value));
            }
        }
        let value = make();
        let used = *clock;
        entries.insert(
            host.clone(),
            Entry {
                value: value.clone(),
                used,
            },
        );
        value
    }

    /// The same hosts with other values.
    pub(crate) fn map(&self, other: impl Fn(&V) -> V) -> Hosts<K, V> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let entries = inner.entries.iter().map(|(host, entry)| {
            let entry = Entry {
                value: other(&entry.value),
                used: entry.used,
            };
            (host.clone(), entry)
        });
        Hosts {
            most: self.most,
            inner: Mutex::new(Inner {
                entries: entries.collect(),
                clock: inner.clock,
            }),
        }
    }

    /// The host's value, if it has been met.
    pub fn look(&self, host: &K) -> Option<V> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.entries.get(host).map(|entry| entry.value.clone())
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).entries.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_names_leave_it_as_it_is() {
        let hosts = Hosts::new(100);
        for name in 0..1_000_000_u32 {
            hosts.get(&name, || name, |_| true);
            assert!(hosts.len() <= 100);
        }
    }

    #[test]
    fn the_least_recently_used_goes_and_what_must_stay_stays() {
        let hosts = Hosts::new(10);
        for name in 0..10 {
            hosts.get(&name, || name, |_| true);
        }
        hosts.get(&0, || unreachable!("it is there"), |_| true);
        for name in 10..1000 {
            hosts.get(&0, || unreachable!("it is there"), |_| true);
            hosts.get(&name, || name, |&name| name != 5);
        }
        assert_eq!(
            (hosts.look(&0), hosts.look(&5), hosts.look(&1)),
            (Some(0), Some(5), None)
        );
    }
}
