//! Whom connections may go to: `egress.*`, asked about each request's URL and about each address before it is dialled.
//!
//! ```text
//! a request's target and route ─► Egress::judge  (Connector::route: whoever wants a way to a target passes it)
//! what a name leads to         ─► Egress::sift   (Names: each answer, override and literal, before anybody dials it)
//! ```
//!
//! The rule: what is judged is what is dialled. A name is looked up once, its addresses are judged, and those that are left
//! go to the dialer as addresses; nobody looks the name up again in between. A connection in a pool was judged when it was
//! dialled, by the rules of its pool, and profiles that share a pool share them.

mod address;
mod judge;
mod rule;

pub(crate) use judge::{Egress, Refusal};
pub(crate) use rule::check_rule;
#[cfg(feature = "reqwest")]
pub(crate) use rule::rule_names_port;
