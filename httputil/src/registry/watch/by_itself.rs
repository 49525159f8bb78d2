//! Who watches a registry's files, and the watching that needs no word of the program's.
//!
//! With `registry.watch` all files are followed, else the certificates, keys and revocation lists: they are renewed while
//! programs run, and a program that nobody restarts would go on with what has expired or was revoked. (Tokens are looked
//! at by their requests.) While the program watches by a guard of its own, this one stands back, so that the guard's
//! callback hears of each change.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::watching::{self, Order, Shared};
use crate::config::Config;
use crate::error::Error;
use crate::registry::Registry;

/// The threads that look after the files of a registry.
#[derive(Default)]
pub(in crate::registry) struct Watchers {
    all: Mutex<Vec<Weak<Shared>>>,
    by_itself: Mutex<Option<ByItself>>,
}

/// Ends its thread when it is dropped, and does not wait for that: it may be that thread that drops it.
struct ByItself(Arc<Shared>);

impl Drop for ByItself {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl Watchers {
    pub(super) fn add(&self, shared: &Arc<Shared>) {
        let mut all = lock(&self.all);
        all.retain(|other| other.strong_count() > 0);
        all.push(Arc::downgrade(shared));
    }

    /// Has all of them look: another configuration may be in force.
    pub(in crate::registry) fn wake(&self) {
        lock(&self.all)
            .iter()
            .filter_map(Weak::upgrade)
            .for_each(|shared| shared.wake());
    }

    /// Whether the program watches by itself.
    pub(super) fn has_guard(&self) -> bool {
        let mut all = lock(&self.all)
            .clone()
            .into_iter()
            .filter_map(|shared| shared.upgrade());
        all.any(|shared| !shared.is_by_itself() && !shared.is_over())
    }
}

impl Registry {
    /// Has a thread look after the files where this configuration, which is in force or will be, needs it; and none where
    /// not.
    ///
    /// # Errors
    ///
    /// That the system gives no thread.
    pub(in crate::registry) fn watch_by_itself(&self, config: &Config) -> Result<(), Error> {
        let mut by_itself = lock(&self.inner.watchers.by_itself);
        if !config.registry().watch && config.tls_files().is_empty() {
            *by_itself = None;
        } else if by_itself.is_none() {
            let (shared, _) = watching::start(self, config.clone(), Order::by_itself())?;
            *by_itself = Some(ByItself(shared));
        }
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
