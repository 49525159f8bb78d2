//! Our clients and services against programs that others wrote: `.ci/foreign` brings these, and runs this.
//!
//! Each test starts its own program on a port that was free, and prints what it has shown. A program that is missing is a
//! failure: nothing is passed over.

mod moto;
mod nginx;
mod program;
#[path = "../services/support.rs"]
mod support;
mod tinyproxy;
mod webhook;
