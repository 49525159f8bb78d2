//! Audit webhooks: what was done, by whom, delivered at least once and in order, whatever happens to us or the endpoint.
//!
//! ```text
//! record ─► the writer: the open batch's file, on disk ─► closed by count or age ─► the sender: POST until it is taken ─► deleted
//! ```
//!
//! [`record`](AuditTrail::record) returns when the event is on disk, so a kill loses nothing that was recorded, and the next start
//! goes on where this one ended. A batch is one JSON array under one `Idempotency-Key`, both the same on every try, also
//! after a restart. While the endpoint is down, or its breaker open, batches wait in the spool, in order; when that is full,
//! `record` says so. What the endpoint refuses for good is put aside as `….rejected`, not deleted.

mod sender;
mod service;
mod spool;
mod writer;

pub use service::{AuditError, AuditEvent, AuditStats, AuditTrail};
