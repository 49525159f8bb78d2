//! A store that speaks S3: it verifies each signature, keeps objects in memory, and fails as it is told to.

mod account;
mod answer;
mod content;
mod document;
mod objects;
mod server;
mod signature;

pub use account::Asked;
pub use content::Content;
pub use server::{ACCESS_KEY, REGION, S3Peer, SECRET_KEY};
