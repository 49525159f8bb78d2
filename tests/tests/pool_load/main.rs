//! The pool under load, under attack, and short of what it needs. Heavy and bound to the clock, so it is a binary of its
//! own, whose tests run one after the other.

#[path = "../pool/common.rs"]
#[allow(dead_code, reason = "shared with the tests of `pool`, which use the rest")]
mod common;

mod books;
mod chaos;
mod descriptors;
mod frozen;
mod overload;
mod scatter;
mod soak;
mod swallowed;
mod tags;
mod unbroken;

/// Held by the test that runs.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
