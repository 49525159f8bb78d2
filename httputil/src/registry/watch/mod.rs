//! Reloading when files change.
//!
//! ```text
//! something happened in a folder ─► what do the files hold? ─► the same for a while? ─► is it whole? ─► load ─► reload
//! ```
//!
//! The rule: events only wake; what counts is what the files hold. So whatever an editor, a deployment or Kubernetes does
//! (write in place, rename over, swap the folder behind a link), it comes to the same; and a folder in which other things
//! happen all the time costs a look at our files now and then. `snapshot` says what the files hold and what of it is not to
//! be believed, `folders` has the system tell of changes, `watching` is the thread, `by_itself` starts one where the
//! configuration needs it, and `guard` where the program asks for it.

mod by_itself;
#[cfg(feature = "watch")]
mod folders;
#[cfg(feature = "watch")]
mod guard;
mod snapshot;
mod watching;

pub(super) use by_itself::Watchers;
#[cfg(feature = "watch")]
pub use guard::{Watch, WatchBuilder};
