//! One live connection: its socket, its driver, and the exchange of one request over it.
//!
//! ```text
//! Socket (bytes, peek, close reason) ─ TLS ─ hyper ─ driver task        exchange: request ─► response ─► body
//!                                                                       └► verdict: reuse, or close and why
//! ```
//!
//! A connection reports to its [`Home`] (the pool) through four calls: it is ready again, its stream places changed,
//! it takes no more requests, its socket is gone. The rule: a connection counts as closed when its [`Socket`] is
//! dropped, nowhere else.

mod alarms;
mod awaited;
mod body;
mod bucket;
mod counted;
mod counting;
mod crew;
mod drain;
mod driven;
mod driver;
mod engine;
mod exchange;
mod factory;
mod frames;
mod h1;
mod h2;
mod head;
mod held;
mod home;
mod manner;
mod open;
mod parking;
mod phases;
mod pings;
mod place;
mod probe;
mod reasons;
mod reply;
mod request;
mod send;
mod signs;
mod socket;
mod stranded;
mod stream;
mod terms;
mod turn;
mod upgrade;
mod upload;
mod window;

pub(crate) use awaited::Awaited;
pub(crate) use body::{BodyFailure, PooledBody};
pub(crate) use factory::BodyFactory;
pub(crate) use h1::H1;
pub(crate) use h2::H2;
pub(crate) use held::{Counts, Held, Holding};
pub use home::CloseReason;
pub(crate) use home::{Facts, Home, Link, Marks, Seat, chance, jittered};
pub(crate) use manner::Manner;
pub(crate) use open::{Connection, open};
pub(crate) use phases::{Late, Phases};
pub(crate) use pings::Complaints;
pub(crate) use place::Place;
pub(crate) use reply::Reply;
pub(crate) use request::RequestBody;
pub(crate) use send::{Cause, Processed, SendFailure};
pub(crate) use socket::{Peek, Socket, SocketHandle};
