//! The command line, as processes: what it says, with which exit code, and what it never says.

mod check;
mod env;
mod explain;
mod init;
mod output;
mod probe;
mod program;
mod schema;
mod secrets;
