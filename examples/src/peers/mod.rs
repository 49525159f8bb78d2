//! Servers that the services speak to where there is no real one: each checks what it is told, and says what it saw.

mod ai;
mod answers;
mod audit;
mod collector;
mod fabric;
mod mtls;
mod nim;
mod s3;
mod streamed;
mod transformer;
mod webhook;

pub use ai::{AiPeer, Manner};
pub use audit::{AuditSink, Try};
pub use collector::{Collected, Collector};
pub use fabric::{Fabric, Fault};
pub use mtls::{Manner as MtlsManner, MtlsPeer, Refusal, TlsFiles};
pub use nim::{MODEL, NimPeer};
pub use s3::{ACCESS_KEY, Asked, Content, REGION, S3Peer, SECRET_KEY};
pub use transformer::Transformer;
pub use webhook::{Delivery, Webhook};
