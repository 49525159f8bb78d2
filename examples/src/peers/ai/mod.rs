//! `OpenAI`, Anthropic and Ollama in one server: it answers by what it was asked, in pieces where a stream is asked for.

mod server;
mod speech;
mod words;

pub use server::AiPeer;
pub use speech::Manner;
