//! The policies of a request's way, each one module and usable alone, around calls that are none of this crate's.
//!
//! ```text
//! deadline   when a request is to be over, and what an attempt may have of that
//! retry      whether a failed attempt is made again, and when     backoff · retry_after · budget
//! resend     what is sent again within an attempt, since nobody has acted on it (not offered alone)
//! hedge      a second attempt beside one that is late
//! breaker    whether a host is asked at all
//! limit      how many requests at once, how many may wait
//! rate       how fast they go
//! endpoint   which of several hosts is asked
//! redirect   where an answer sends the request
//! guard      what a server may make of it, and what another origin is told
//! auth       which origins are told who we are
//! cookies    what answers set, for later requests
//! hosts      the state that breakers and budgets keep per host, bounded
//! ```
//!
//! A [`Client`](crate::Client) has them all on its way already, as its profile says. These are for what goes another way: a
//! database's driver, a message queue, a client that somebody else wrote.
//!
//! They judge, and do no I/O; whoever asks them acts. Their clock is tokio's, which a test may stop, and where chance has a
//! part a number may be given in its place, so that a test decides both.

pub mod auth;
pub mod backoff;
pub mod breaker;
pub mod budget;
#[cfg(feature = "cookies")]
pub mod cookies;
pub mod deadline;
pub mod endpoint;
pub mod guard;
pub mod hedge;
pub mod hosts;
pub mod limit;
pub mod rate;
pub mod redirect;
pub(crate) mod resend;
pub mod retry;
pub mod retry_after;
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
