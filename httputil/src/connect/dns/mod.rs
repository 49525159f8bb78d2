//! Names to addresses: who is asked, how often, and what is used while nobody answers.
//!
//! ```text
//! Names (one pool's settings) ─► overrides │ Cache (a registry's, one for each resolver) ─► Source
//!                                            fresh: at once                                   ├ threads: getaddrinfo
//!                                            else: one look-up a name, shared by all          ├ a `reqwest::dns::Resolve`
//!                                            in an outage: the last good answer               └ hickory
//! ```
//!
//! The rule: a look-up belongs to its name and not to whoever asked first. Those who wait for it each keep their own
//! bound; when the last of them has gone it ends, unless its answer is wanted for the next.

mod cache;
mod counts;
mod failure;
#[cfg(feature = "hickory")]
mod hickory;
mod host;
mod names;
mod order;
mod resolver;
mod source;
mod table;
mod threads;

pub(crate) use host::check_host;
pub(crate) use names::{Answer, Names};
pub(super) use order::put_last;
pub(crate) use resolver::Resolver;
