//! S3 migration: a bucket of another store brought over, object by object, each streamed from there to here.
//!
//! ```text
//! ListObjectsV2, page by page ─► what the manifest has is passed over ─► so many at once: GET ─► PUT, or parts ─► the manifest
//! ```
//!
//! The failure story: a busy or failing store is asked again, by the profile's retries where a request can be sent twice, and by
//! reading the object once more where it is a stream; a transfer that breaks goes on from the byte that it broke at; what is
//! damaged on the way never becomes an object here; an object that can't be brought over is told of and costs no other. Killed,
//! it passes over what the manifest says is done, as long as it is the same object there.

mod manifest;
mod service;

pub use service::{BucketMigration, MigrationError, Progress, Report};
