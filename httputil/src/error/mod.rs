//! What can go wrong, said once and in words that help.
//!
//! Every fallible door of this crate returns [`Error`]: one opaque type with a [`Kind`] to match on, the request it
//! belongs to (method, URL without credentials and query, profile, attempts, elapsed time) and the chain of causes in
//! `source()`. Configuration mistakes are collected as [`Problem`]s, each with the [`Origin`] of the value, and come
//! out of one error, a line each.
//!
//! The rule: the rooms below fail with small typed failures of their own; the attempt (`client`) makes an `Error` of
//! them, once, and nobody wraps it again.

mod duration;
mod kind;
mod problem;
mod report;
mod words;

pub use kind::{Kind, Phase};
pub use problem::{Origin, Problem};
pub use report::{BoxError, Error};

pub(crate) use duration::Human;
pub(crate) use problem::Excerpt;
pub(crate) use words::{Cut, ShownPath, is_visible};
