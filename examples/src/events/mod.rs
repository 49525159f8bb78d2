//! Event webhooks: each S3 event goes by `POST` to every target, signed, and no target waits for another.
//!
//! ```text
//! publish ─► one bounded queue a target ─► a few deliveries at once ─► POST, signed ─► the profile's retries and breaker
//! ```
//!
//! What is sent is S3's notification JSON, with `X-NebulaIO-Signature-256: sha256=<hex HMAC-SHA256 of the body>`. Each event has
//! an `Idempotency-Key`, so that the profile may send it again. While a target's breaker is open its queue holds what comes;
//! when that is full, [`publish`](EventWebhooks::publish) names the target that refused, and the others have the event.

mod lane;
mod notification;
mod service;
mod signature;
mod target;

pub use lane::LaneStats;
pub use notification::{Notification, ObjectEvent};
pub use service::{EventWebhooks, Health};
pub use signature::{SIGNATURE, is_signed, signature};
pub use target::Target;
