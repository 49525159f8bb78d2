//! S3's protocol over a client: what the services that move objects have in common.
//!
//! ```text
//! Location ─► Store ─► http::Request, its key escaped once ─► Signer, on each attempt's final headers ─► wire
//!                      ◄─ a stream, or an S3Error with the store's own code
//! ```
//!
//! Two rules hold it together. Keys are any text: they are escaped byte by byte but for `/`, go out as they were escaped (so
//! requests come by `http::Request`; a URL would resolve `a/../b`), and are signed so. And nothing holds a whole object:
//! bodies are streams in both directions, replayed from their source and not from memory.

mod checksum;
mod error;
mod escape;
mod location;
mod signer;
mod store;
mod stream;
mod upload;
mod xml;

pub use checksum::{Digest, Expected};
pub use error::S3Error;
pub use escape::{escaped, escaped_path};
pub use location::Location;
pub use signer::{Signer, presigned};
pub use store::{Object, Part, Store};
pub use stream::{Exact, ObjectStream, Tally};
pub use upload::Plan;
pub use xml::{Listed, Page};
