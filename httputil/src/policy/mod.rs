//! What services wrote by hand, or left out: each policy one file, usable alone, and none of them does I/O.
//!
//! ```text
//! retry      whether a failed attempt is made again, and when     backoff · retry_after · budget
//! breaker    whether a host is asked at all
//! limit      how many requests at once, how many may wait
//! rate       how fast they go
//! endpoint   which of several hosts is asked
//! redirect   where an answer sends the request
//! cookies    what answers set, for later requests
//! hosts      the state that breakers and budgets keep per host, bounded
//! ```
//!
//! They judge; the request's way (`client`) asks them and acts. Time comes in as a value or is tokio's, and chance comes
//! in as a number, so that a test decides both.

mod backoff;
pub(crate) mod breaker;
mod budget;
#[cfg(feature = "cookies")]
mod cookies;
mod endpoint;
mod hosts;
mod limit;
mod rate;
mod redirect;
mod retry;
mod retry_after;
#[cfg(test)]
mod simulation;

pub(crate) use breaker::Breaker;
pub(crate) use budget::Budget;
#[cfg(feature = "cookies")]
pub(crate) use cookies::Jar;
pub(crate) use endpoint::{Came, Endpoints, Standing, Visit};
pub(crate) use hosts::Hosts;
pub(crate) use limit::{Limit, Shed};
pub(crate) use rate::Rate;
pub(crate) use redirect::{Hop, Refusal};
pub(crate) use retry::{Ended, Retry};
