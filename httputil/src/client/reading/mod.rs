//! What is done with an answer's body between the wire and the user: it is decompressed, and its size is bounded.
//!
//! ```text
//! Prepared::received ─► Reading (none, if there is nothing to do) ─► Body::poll_frame: wire ─► Decoder ─► bounds ─► user
//! ```
//!
//! The rule: a body is at its end when the *wire* is, whatever the decoder says. So a connection goes home as it does
//! without a decoder, and bytes behind a stream's end are seen. Only what the user reads is decoded: a body that is dropped,
//! drained, redirected or retried is not.

mod codings;
#[cfg(any(feature = "gzip", feature = "brotli", feature = "zstd", feature = "deflate"))]
mod decoder;
#[cfg(not(any(feature = "gzip", feature = "brotli", feature = "zstd", feature = "deflate")))]
#[path = "no_decoder.rs"]
mod decoder;
mod reader;

pub(super) use codings::Codings;
pub(super) use reader::{Broken, Reading};
