//! NVIDIA NIM: chat (of images, too), completions, embeddings and ranking from the containers that serve models in our own
//! network.
//!
//! ```text
//! a call ─► which replica (`base_url` is a list) ─► POST, twice if need be ─► judged by its status ─► a typed answer
//! many texts ─► pieces of at most 100 ─► a few at once ─► a result for each text
//! ```
//!
//! Inference changes nothing on the server, so each call may be sent twice ([`idempotent`](httputil::RequestBuilder::idempotent)),
//! and the profile's retries go to another replica. Readiness is judged by the status: what the health answers hold differs from
//! container to container.

mod batch;
mod error;
mod service;
mod types;

pub use batch::BATCH;
pub use error::NimError;
pub use service::Nim;
pub use types::{Chat, ChatAnswer, Content, ImageUrl, InputType, Message, Part, Ranking, Usage};
