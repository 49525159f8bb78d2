//! The command line: what a configuration says, why, and whether it is right.
//!
//! ```text
//! args ─► source (which configuration) ─► one file a command ─► Outcome ─► output (once, colours on a terminal only)
//! ```
//!
//! The rule that holds it together: a command returns what is to be said and the exit code, and prints nothing itself. It
//! uses what the crate offers to everybody; nothing here knows a key.

mod args;
mod certificate;
mod check;
mod environment;
mod explain;
mod init;
mod json;
mod output;
mod probe;
mod report;
mod schema;
mod source;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    args::Cli::parse().run().print()
}
