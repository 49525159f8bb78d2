//! Reloading when files change.
//!
//! ```text
//! something happened in a folder ─► what do the files hold? ─► the same for a while? ─► is it whole? ─► load ─► reload
//! ```
//!
//! The rule: events only wake; what counts is what the files hold. So whatever an editor, a deployment or Kubernetes does
//! (write in place, rename over, swap the folder behind a link), it comes to the same; and a folder in which other things
//! happen all the time costs a look at our files now and then. `snapshot` says what the files hold and what of it is not to
//! be believed, `folders` has the system tell of changes, `guard` is the thread and who stops it.

mod folders;
mod guard;
mod snapshot;

pub use guard::{Watch, WatchBuilder};
