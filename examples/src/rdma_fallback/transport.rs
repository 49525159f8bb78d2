//! What both sides can do.

use std::fmt;
use std::pin::Pin;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::Stream;
use uuid::Uuid;

use crate::s3::{Page, S3Error};

/// A way to one bucket of a store.
///
/// An implementation need not bound its time: the service gives the RDMA side so long for each step (`patience`), and drops what
/// takes longer; the HTTP side has its profile's time-outs.
#[async_trait]
pub trait Transport: fmt::Debug + Send + Sync + 'static {
    /// Whether this side would serve now: what is asked before it is taken back.
    async fn probe(&self) -> Result<(), TransportError>;

    /// An object from its first byte, or these bytes of it if it still has this `ETag`.
    async fn get(&self, key: &str, rest: Option<(u64, u64, &str)>) -> Result<Opened, TransportError>;

    /// What the store says of an object.
    async fn head(&self, key: &str) -> Result<Meta, TransportError>;

    /// Puts an object. One that is not to overwrite is refused by `PreconditionFailed` if there is one.
    async fn put(&self, key: &str, write: &Write) -> Result<(), TransportError>;

    /// Removes an object; one that is not there is no error.
    async fn delete(&self, key: &str) -> Result<(), TransportError>;

    /// A page of what begins with `prefix`, from where an earlier page said.
    async fn list(&self, prefix: &str, from: Option<&str>) -> Result<Page, TransportError>;
}

/// What comes of an object, piece by piece.
pub type Pieces = Pin<Box<dyn Stream<Item = Result<Bytes, TransportError>> + Send>>;

/// An object, or the rest of one, that is being read.
pub struct Opened {
    /// What the store says of the whole object.
    pub meta: Meta,
    /// What comes. Fewer bytes than there are is a failure of the side, and is gone on with.
    pub pieces: Pieces,
}

/// What a store says of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meta {
    /// Its size in bytes.
    pub size: u64,
    /// Its `ETag`, quotes included.
    pub e_tag: String,
    /// Which [`Write`] made it, if it was one.
    pub write: Option<Uuid>,
}

/// An object to be put.
#[derive(Clone, Debug)]
pub struct Write {
    /// What it is known by when it is done again; the store keeps it with the object (`x-amz-meta-write`).
    pub id: Uuid,
    /// Its bytes.
    pub body: Bytes,
    /// Whether it may take the place of an object.
    pub overwrites: bool,
}

/// Why an operation did not succeed by one side.
#[derive(Debug)]
pub enum TransportError {
    /// The store's answer, which is the same by either side.
    Answered(S3Error),
    /// The side failed, and why; whether the store has acted is not known.
    Failed(String),
}

impl TransportError {
    /// A failure of the side.
    pub fn failed(why: impl fmt::Display) -> TransportError {
        TransportError::Failed(why.to_string())
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TransportError::Answered(error) => error.fmt(f),
            TransportError::Failed(why) => f.write_str(why),
        }
    }
}
