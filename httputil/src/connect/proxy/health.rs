//! How a proxy got on lately, for all hosts behind it.
//!
//! When it could not be reached, dials hear that error at once until its backoff is over; then one of them tries, and
//! the others go on hearing it until that one has an answer.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use crate::connect::{Backoff, DialFailure};
use crate::error::Kind;

#[derive(Debug, Default)]
pub(crate) struct Health(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    backoff: Backoff,
    /// It takes connections and closes them: that it has taken one proves nothing.
    hangs_up: bool,
    /// A dial tries whether the proxy is back.
    is_tried: bool,
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
    use std::time::Duration;

    use super::*;

    fn failure() -> DialFailure {
        DialFailure::new(Kind::Proxy, "down")
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
