//! The pool as clients and servers see it: reuse, caps, closing, broken connections, leases.

mod bodies;
mod broken;
mod caps;
mod closing;
mod common;
mod going_home;
mod halfread;
mod keep_alive_header;
mod lease;
mod resend;
mod reuse;
mod tags;
