//! The pool as clients and servers see it: reuse, caps, closing, broken connections, leases.

mod bodies;
mod broken;
mod caps;
mod closing;
mod common;
mod lease;
mod resend;
mod reuse;
mod tags;
mod tower;
