//! How a proxy got on lately, for all hosts behind it.
//!
//! When it could not be reached, dials hear that error at once until its backoff is over; then one of them tries, and
//! the others go on hearing it until that one has an answer.
//!
//! Silence once a target was named, or a close in the place of an answer, may be the target's, or that of the proxy's server
//! at this address. So it is remembered of the two together: that target's next dial goes to another address of the proxy. It
//! is the address's where a second target met it, and nothing was answered there in between; a close is the proxy's then.

use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::connect::{Backoff, DialFailure, Target};
use crate::error::Kind;

/// For so long a target is dialled last by an address at which it met silence: as long as one that failed.
const SILENT_FOR: Duration = Duration::from_mins(1);

/// So many silences are remembered: the latest.
const SILENCES: usize = 128;

#[derive(Debug, Default)]
pub(crate) struct Health(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    backoff: Backoff,
    /// It takes connections and closes them: that it has taken one proves nothing.
    hangs_up: bool,
    /// A dial tries whether the proxy is back.
    is_tried: bool,
    /// The latest last.
    silences: Vec<Silence>,
}

#[derive(Debug)]
struct Silence {
    address: SocketAddr,
    target: Target,
    until: Instant,
    /// Another target has had its answer there since.
    is_targets: bool,
}

/// A dial to the proxy. If it is dropped without a word, nothing was learnt.
pub(super) struct Attempt<'a> {
    health: &'a Health,
    epoch: u64,
    tries: bool,
}

impl Health {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a dial, or says why not.
    pub(super) fn begin(&self, now: Instant) -> Result<Attempt<'_>, DialFailure> {
        let mut state = self.state();
        let tries = state.backoff.is_probing();
        if tries
            && (state.is_tried || state.backoff.holds(now))
            && let Some(failure) = state.backoff.remembered(now)
        {
            // It was a time-out for the one that waited; this one has not.
            let kind = match failure.kind {
                Kind::Timeout { .. } => Kind::Proxy,
                kind => kind,
            };
            return Err(DialFailure { kind, ..failure });
        }
        state.is_tried |= tries;
        Ok(Attempt {
            health: self,
            epoch: state.backoff.epoch(),
            tries,
        })
    }

    /// Nothing was answered at this address once the target was named. Whether that is the address's own fault, as far as can
    /// be told.
    pub(crate) fn was_silent(&self, address: SocketAddr, target: &Target, now: Instant) -> bool {
        let Some(until) = now.checked_add(SILENT_FOR) else {
            return false;
        };
        let silences = &mut self.state().silences;
        silences.retain(|silence| now < silence.until && !silence.is_of(address, target));
        if silences.len() >= SILENCES {
            silences.remove(0);
        }
        let mut others = silences.iter().filter(|silence| silence.address == address);
        let is_its_own = others.any(|silence| !silence.is_targets);
        silences.push(Silence {
            address,
            target: target.clone(),
            until,
            is_targets: false,
        });
        is_its_own
    }

    /// Something was answered at this address for the target: the silence that others met there is theirs.
    pub(crate) fn was_heard(&self, address: SocketAddr, target: &Target) {
        let silences = &mut self.state().silences;
        silences.retain(|silence| !silence.is_of(address, target));
        for silence in silences.iter_mut().filter(|silence| silence.address == address) {
            silence.is_targets = true;
        }
    }

    /// The addresses at which the target met silence, the latest last.
    pub(super) fn silent_for(&self, target: &Target, now: Instant) -> Vec<SocketAddr> {
        let state = self.state();
        let silences = state.silences.iter();
        silences
            .filter(|silence| now < silence.until && silence.target == *target)
            .map(|silence| silence.address)
            .collect()
    }

    /// The proxy does its work.
    pub(crate) fn answered(&self) {
        let mut state = self.state();
        state.hangs_up = false;
        state.backoff.succeeded();
    }

    /// It took a connection and closed it before it was asked for anything. What it closes during a pause is one failure
    /// with what led to the pause.
    pub(super) fn hung_up(&self, failure: &DialFailure, now: Instant) {
        let mut state = self.state();
        state.hangs_up = true;
        if !state.backoff.holds(now) {
            let epoch = state.backoff.epoch();
            state.backoff.failed(epoch, failure, now);
        }
    }
}

impl Silence {
    fn is_of(&self, address: SocketAddr, target: &Target) -> bool {
        self.address == address && self.target == *target
    }
}

impl Attempt<'_> {
    /// The proxy does its work, whatever it says of the target.
    pub(super) fn succeeded(self) {
        self.health.answered();
    }

    /// The proxy has taken the connection, and is asked for something later.
    pub(super) fn reached(self) {
        let mut state = self.health.state();
        if !state.hangs_up {
            state.backoff.succeeded();
        }
    }

    pub(super) fn failed(self, failure: &DialFailure) {
        self.health.state().backoff.failed(self.epoch, failure, Instant::now());
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if self.tries {
            self.health.state().is_tried = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connect::Scheme;

    fn failure() -> DialFailure {
        DialFailure::new(Kind::Proxy, "down")
    }

    #[test]
    fn silence_is_an_addresss_own_where_two_targets_met_it_and_nobody_was_answered() {
        let (health, now) = (Health::default(), Instant::now());
        let address = |n| SocketAddr::from(([10, 0, 0, n], 3128));
        let target = |name: &str| Target {
            scheme: Scheme::Https,
            host: crate::connect::Host::Name(name.into()),
            port: 443,
        };
        let [a, b, c] = ["a.test", "b.test", "c.test"].map(target);
        assert!(!health.was_silent(address(1), &a, now));
        assert!(!health.was_silent(address(1), &a, now), "once more");
        assert!(!health.was_silent(address(2), &b, now), "elsewhere");
        assert_eq!(health.silent_for(&a, now), [address(1)]);
        assert_eq!(health.silent_for(&c, now), []);

        health.was_heard(address(1), &c);
        assert!(!health.was_silent(address(1), &b, now), "the first was its target's");
        assert_eq!(health.silent_for(&a, now), [address(1)], "and is still");
        assert!(health.was_silent(address(1), &c, now), "two, and no answer in between");
        assert_eq!(health.silent_for(&b, now), [address(2), address(1)]);
        health.was_heard(address(2), &b);
        assert_eq!(health.silent_for(&b, now), [address(1)]);

        let later = now + SILENT_FOR;
        assert_eq!(health.silent_for(&a, later), []);
        assert!(!health.was_silent(address(1), &a, later), "what is over does not count");
        for port in 0..300 {
            health.was_silent(SocketAddr::from(([10, 0, 0, 3], port)), &a, later);
        }
        assert_eq!(health.silent_for(&a, later).len(), SILENCES);
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_failure_one_dial_tries_and_the_others_hear_the_error() {
        let health = Health::default();
        let (one, other) = (
            health.begin(Instant::now()).unwrap(),
            health.begin(Instant::now()).unwrap(),
        );
        one.failed(&failure());
        other.failed(&failure());
        let heard = health.begin(Instant::now()).err().unwrap();
        assert!(heard.message.contains("is made in 50 ms"), "{}", heard.message);
        tokio::time::advance(Duration::from_millis(51)).await;
        let trying = health.begin(Instant::now()).unwrap();
        let heard = health.begin(Instant::now()).err().unwrap();
        assert!(heard.message.contains("the next is under way"), "{}", heard.message);
        drop(trying);
        health.begin(Instant::now()).unwrap().succeeded();
        let both = (health.begin(Instant::now()), health.begin(Instant::now()));
        assert!(both.0.is_ok() && both.1.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_takes_connections_and_closes_them_is_down_until_it_answers() {
        let health = Health::default();
        for pause in [50, 100, 200] {
            health.begin(Instant::now()).unwrap().reached();
            // Several at once are one failure.
            for _ in 0..3 {
                health.hung_up(&failure(), Instant::now());
            }
            tokio::time::advance(Duration::from_millis(pause - 1)).await;
            assert!(health.begin(Instant::now()).is_err(), "after {pause} ms");
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        health.answered();
        health.hung_up(&failure(), Instant::now());
        tokio::time::advance(Duration::from_millis(50)).await;
        // One that was down is up again as soon as it takes a connection.
        health.answered();
        health.begin(Instant::now()).unwrap().failed(&failure());
        tokio::time::advance(Duration::from_millis(50)).await;
        health.begin(Instant::now()).unwrap().reached();
        let both = (health.begin(Instant::now()), health.begin(Instant::now()));
        assert!(both.0.is_ok() && both.1.is_ok());
    }
}
