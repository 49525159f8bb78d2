//! The pool: keys, idle connections, waiters, caps, the reaper, statistics.
//!
//! ```text
//! checkout ─► State (pure, behind one mutex) ─┬─► an idle connection, newest first, peeked at
//!                                             ├─► a stream's place on a shared connection
//!                                             └─► a waiter, and perhaps a dial that serves the pool
//! check-in ─► State ─► the first waiter, else idle under the caps, else closed
//! ```
//!
//! [`Core`](core::Core) is the state behind its lock, and what is done after the lock; the pool that others hold is a core
//! over real connections. [`State`](state::State) holds no I/O and reads no clock: it is told what happened and says what
//! to do, so that it can be tested alone. The rule: the lock is never held over I/O, an await, or the drop of a connection.

#[cfg(feature = "bench-internals")]
pub(crate) mod bench;
mod budget;
mod checkout;
mod core;
mod counters;
mod dial;
mod following;
mod hosts;
mod key;
mod lease;
mod queued;
#[cfg(all(test, shuttle))]
mod races;
mod reaper;
mod shared;
mod state;
mod stop;
mod sync;
mod tally;
#[cfg(all(test, not(shuttle)))]
mod together;
mod way;

pub(crate) use budget::Budget;
pub(crate) use checkout::{Checked, Checkout, CheckoutFailure, Fresh, Sending, Sighting, Wanted};
pub use counters::PoolStats;
pub use hosts::{BreakerState, HostStats};
pub(crate) use key::Key;
pub(crate) use lease::Lease;
pub(crate) use shared::Pool;
pub(crate) use way::Way;
