//! Servers that the services speak to where there is no real one: each checks what it is told, and says what it saw.

mod answers;
mod audit;
mod webhook;

pub use audit::{AuditSink, Try};
pub use webhook::{Delivery, Webhook};
