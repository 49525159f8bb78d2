//! One resolver and what it has answered: one look-up a name at a time, shared by all who wait.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::Instant;

use super::counts::Counters;
use super::failure::{LookUpFailure, Outcome};
use super::source::{Source, ask_system, threads};
use super::table::{Begun, Table, Wanted};
use super::threads::PRESSES_AFTER;

/// A resolver with its table. The table's lock is held for moments, and never over the resolver's or a waker's code.
pub(super) struct Cache {
    source: Source,
    table: Mutex<Table>,
}

/// A place among those who wait for a look-up. Dropping it leaves.
pub(super) struct Waiter {
    cache: Arc<Cache>,
    name: Arc<str>,
    flight: u64,
    outcome: watch::Receiver<Option<Outcome>>,
}

impl Cache {
    pub(super) fn of(source: Source) -> Arc<Cache> {
        Arc::new(Cache {
            source,
            table: Mutex::default(),
        })
    }

    pub(super) fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Joins the look-up of the name that is under way, or begins one. Within a runtime.
    pub(super) fn ask(self: &Arc<Self>, name: &Arc<str>, counters: &Arc<Counters>) -> Waiter {
        let (flight, outcome, begun) = self.table().join(name);
        let waiter = Waiter {
            cache: Arc::clone(self),
            name: Arc::clone(name),
            flight,
            outcome,
        };
        if let Some(begun) = begun {
            self.begin(name, begun, counters);
        }
        waiter
    }

    fn begin(self: &Arc<Self>, name: &Arc<str>, begun: Begun, counters: &Arc<Counters>) {
        Counters::add(&counters.look_ups);
        let mut look_up = LookUp {
            cache: Arc::clone(self),
            name: Arc::clone(name),
            id: begun.id,
            counters: Arc::clone(counters),
            outcome: Outcome::Lost,
        };
        if !self.source.is_system() {
            Handle::current().spawn(look_up.run(self.source.clone(), begun));
            return;
        }
        // What it comes to if it is dropped.
        look_up.outcome = Outcome::Failed(LookUpFailure::no_thread());
        threads().run(move || look_up.run_here());
    }

    fn finish(&self, name: &str, id: u64, outcome: Outcome) {
        let told = self.table().finish(name, id, &outcome, Instant::now());
        if let Some(told) = told {
            told.send_replace(Some(outcome));
        }
    }
}

/// A look-up. However it ends, even by a panic or with its runtime, those who wait hear of it.
struct LookUp {
    cache: Arc<Cache>,
    name: Arc<str>,
    id: u64,
    counters: Arc<Counters>,
    outcome: Outcome,
}

impl LookUp {
    fn is_given_up(&self) -> bool {
        self.cache.table().give_up(&self.name, self.id, Instant::now())
    }

    /// Asks the system, and waits.
    fn run_here(mut self) {
        // In line it may have lost those who wanted to know.
        self.outcome = if self.is_given_up() {
            Outcome::Lost
        } else {
            ask_system(&self.name)
        };
    }

    async fn run(mut self, source: Source, begun: Begun) {
        let name = Arc::clone(&self.name);
        let answer = async {
            // Within the task, so that a resolver that panics at once harms nobody else.
            source.ask(&name).await
        };
        let unwanted = async {
            loop {
                let wanted = self.cache.table().wanted(&self.name, self.id, Instant::now());
                match wanted {
                    Wanted::Yes => begun.changed.notified().await,
                    Wanted::Until(until) => {
                        let _ = tokio::time::timeout_at(until, begun.changed.notified()).await;
                    }
                    Wanted::No if self.is_given_up() => return,
                    Wanted::No => {}
                }
            }
        };
        let outcome = tokio::select! {
            biased;
            outcome = answer => outcome,
            () = unwanted => Outcome::Lost,
        };
        self.outcome = outcome;
    }
}

impl Drop for LookUp {
    fn drop(&mut self) {
        let outcome = if std::thread::panicking() {
            Outcome::Failed(LookUpFailure::new("failed: the resolver panicked"))
        } else {
            std::mem::replace(&mut self.outcome, Outcome::Lost)
        };
        if !matches!(outcome, Outcome::Found(_)) {
            Counters::add(&self.counters.failures);
        }
        self.cache.finish(&self.name, self.id, outcome);
    }
}

impl Waiter {
    /// What the look-up comes to. Cancel-safe.
    pub(super) async fn outcome(&mut self) -> Outcome {
        loop {
            let outcome = self.outcome.wait_for(Option::is_some);
            let outcome = if self.cache.source.is_system() {
                tokio::time::timeout(PRESSES_AFTER, outcome).await
            } else {
                Ok(outcome.await)
            };
            match outcome {
                Ok(Ok(outcome)) => return outcome.clone().unwrap_or(Outcome::Lost),
                // The look-up was given up.
                Ok(Err(_)) => return Outcome::Lost,
                Err(_) => threads().press(),
            }
        }
    }

    /// The answer is wanted until then, although this one waits no more.
    pub(super) fn keep(&self, until: Instant) {
        self.cache.table().keep(&self.name, self.flight, until);
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.cache.table().leave(&self.name, self.flight);
    }
}
