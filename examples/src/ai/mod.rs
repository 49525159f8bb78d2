//! AI prompts and embeddings: `OpenAI` and what speaks like it, Anthropic, Ollama.
//!
//! ```text
//! a prompt ─► POST, twice if need be ─► 200 ─► events, bounded ─► pieces of text as they are made ─► usage, and why it ended
//!                 before the first byte only       server-sent events, or a line of JSON each
//! ```
//!
//! Streams are streamed: [`Generation::next`] gives each piece when it comes, and asks the wire for more only then. A server
//! may fail inside of an answer that began well; that is an error of the stream, and nothing of it is sent again. What a stream
//! may take is bounded by `timeouts.response_header` until it begins, by `timeouts.read` between its pieces, pings included,
//! and by `timeout` only where it goes on for ever.

mod anthropic;
mod error;
mod generation;
mod lines;
mod ollama;
mod openai;
mod service;
mod sse;
mod types;

pub use error::AiError;
pub use generation::Generation;
pub use service::{Ai, Provider};
pub use types::{Answer, Message, Prompt, Usage};
