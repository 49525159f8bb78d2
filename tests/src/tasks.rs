//! The tasks of one server, so that dropping it leaves none behind.
//!
//! hyper and the accept loops spawn freely through this; the owner ends them all at once. Clones are the same set, and
//! tasks may hold one, so the set does not end by itself when the last clone goes: the owner calls [`Tasks::abort`].

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::task::JoinSet;

/// A set of tasks that end together.
#[derive(Clone, Debug, Default)]
pub struct Tasks(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    running: JoinSet<()>,
    ended: bool,
}

impl Tasks {
    /// Runs the future on the current runtime; drops it unrun when the set has ended.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        let mut state = self.state();
        while state.running.try_join_next().is_some() {}
        if !state.ended {
            state.running.spawn(future);
        }
    }

    /// Ends all tasks as soon as the runtime comes by, and every later one before it starts.
    pub fn abort(&self) {
        let mut state = self.state();
        state.ended = true;
        state.running.abort_all();
    }

    /// [`abort`](Self::abort), and waits until the tasks are gone with everything they held.
    pub async fn end(&self) {
        self.abort();
        let mut running = std::mem::take(&mut self.state().running);
        while running.join_next().await.is_some() {}
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no code that can panic runs under this lock")
    }
}

impl<F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for Tasks {
    fn execute(&self, future: F) {
        self.spawn(future);
    }
}
