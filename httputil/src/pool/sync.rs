//! Locks and atomics where threads meet: the standard library's, or those of the model checker, which tries one order
//! of threads after another (`--cfg shuttle`, `.ci/races`).

#[cfg(shuttle)]
#[allow(unused_imports, reason = "tests use all of them")]
pub(super) use shuttle::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};
#[cfg(not(shuttle))]
#[allow(unused_imports, reason = "tests use all of them")]
pub(super) use std::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};
