//! What a peer answers next, where it shall answer badly.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use reqwest::StatusCode;

/// Statuses for the next requests; after them the peer answers well. Clones are one queue.
#[derive(Clone, Default)]
pub(super) struct Answers(Arc<Mutex<VecDeque<StatusCode>>>);

impl Answers {
    pub(super) fn extend(&self, statuses: impl IntoIterator<Item = StatusCode>) {
        lock(&self.0).extend(statuses);
    }

    pub(super) fn next(&self) -> Option<StatusCode> {
        lock(&self.0).pop_front()
    }
}

/// A list that a panic elsewhere does not take away.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
