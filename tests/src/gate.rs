//! A door inside a server: requests arrive and wait, the test sees them waiting and decides when they go on.
//!
//! ```
//! # use httputil_tests::gate::Gate;
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let gate = Gate::new();
//! let handler = tokio::spawn({ let gate = gate.clone(); async move { gate.pass().await } });
//! gate.arrived(1).await;      // the handler is at the door
//! gate.open();                // and now it goes on
//! handler.await.unwrap();
//! # }
//! ```

use std::future::Future;
use std::panic::Location;
use std::sync::Arc;

use tokio::sync::watch;

use crate::PATIENCE;

/// A door that starts shut. Clones are the same door.
#[derive(Clone, Debug)]
pub struct Gate(Arc<watch::Sender<Door>>);

#[derive(Debug, Default)]
struct Door {
    open: bool,
    passes: usize,
    arrived: usize,
    passed: usize,
    left: usize,
}

impl Gate {
    /// A shut door.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(Door::default())))
    }

    /// Arrives at the door and waits until it opens or a pass is given. Dropped while waiting, it counts as left.
    pub async fn pass(&self) {
        self.0.send_modify(|door| door.arrived += 1);
        let mut visit = Visit {
            gate: self,
            passed: false,
        };
        let mut news = self.0.subscribe();
        while !self.0.send_if_modified(Door::enter) {
            // A sender lives as long as this borrow of the gate.
            let _ = news.changed().await;
        }
        visit.passed = true;
    }

    /// Opens for all who wait and for all who come.
    pub fn open(&self) {
        self.0.send_modify(|door| door.open = true);
    }

    /// Shuts again, and takes back the passes not used.
    pub fn shut(&self) {
        self.0.send_modify(|door| {
            door.open = false;
            door.passes = 0;
        });
    }

    /// Lets `n` through, waiting ones or ones to come.
    pub fn let_through(&self, n: usize) {
        self.0.send_modify(|door| door.passes += n);
    }

    /// Waits until `n` have arrived since the beginning, whatever became of them.
    #[track_caller]
    pub fn arrived(&self, n: usize) -> impl Future<Output = ()> {
        self.until(format!("{n} to arrive"), move |door| door.arrived >= n)
    }

    /// Waits until `n` have gone through since the beginning.
    #[track_caller]
    pub fn passed(&self, n: usize) -> impl Future<Output = ()> {
        self.until(format!("{n} to pass"), move |door| door.passed >= n)
    }

    /// Waits until `n` have gone away without passing: their futures were dropped, as when a client hangs up.
    #[track_caller]
    pub fn left(&self, n: usize) -> impl Future<Output = ()> {
        self.until(format!("{n} to leave"), move |door| door.left >= n)
    }

    /// How many stand at the door now.
    #[must_use]
    pub fn waiting(&self) -> usize {
        let door = self.0.borrow();
        door.arrived - door.passed - door.left
    }

    #[track_caller]
    fn until(&self, what: String, mut holds: impl FnMut(&Door) -> bool) -> impl Future<Output = ()> {
        let caller = Location::caller();
        let mut news = self.0.subscribe();
        let gate = self.clone();
        async move {
            let seen = tokio::time::timeout(PATIENCE, news.wait_for(|door| holds(door))).await;
            assert!(
                seen.is_ok(),
                "{caller}: waited {PATIENCE:?} for {what}; the gate saw {:?}",
                gate.0.borrow()
            );
        }
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}

impl Door {
    fn enter(&mut self) -> bool {
        if !self.open {
            let Some(passes) = self.passes.checked_sub(1) else {
                return false;
            };
            self.passes = passes;
        }
        self.passed += 1;
        true
    }
}

struct Visit<'a> {
    gate: &'a Gate,
    passed: bool,
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        if !self.passed {
            self.gate.0.send_modify(|door| door.left += 1);
        }
    }
}
