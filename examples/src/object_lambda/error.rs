//! Why there is no transformed object.

use std::fmt;

use reqwest::StatusCode;

use crate::s3::S3Error;

/// Why there is no transformed object.
#[derive(Debug)]
pub enum LambdaError {
    /// The transformer did not answer, or its answer is larger than it may be.
    Http(httputil::Error),
    /// The object cannot be read.
    Store(S3Error),
    /// The object is larger than it may be.
    TooLarge {
        /// The bound, in bytes.
        limit: u64,
    },
    /// The transformer answered by this status: no answer of the protocol.
    Refused(StatusCode),
    /// The answer is another request's, as this header shows.
    Mismatch(&'static str),
    /// The answer breaks the protocol otherwise.
    Answer(String),
    /// The object's URL cannot be signed.
    Sign(String),
}

impl From<httputil::Error> for LambdaError {
    fn from(error: httputil::Error) -> LambdaError {
        LambdaError::Http(error)
    }
}

impl From<S3Error> for LambdaError {
    fn from(error: S3Error) -> LambdaError {
        LambdaError::Store(error)
    }
}

impl fmt::Display for LambdaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LambdaError::Http(error) => error.fmt(f),
            LambdaError::Store(error) => write!(f, "the object cannot be read: {error}"),
            LambdaError::TooLarge { limit } => {
                write!(f, "the object is larger than the {limit} bytes that are transformed")
            }
            LambdaError::Refused(status) => write!(f, "the transformer answered {status}"),
            LambdaError::Mismatch(name) => write!(
                f,
                "the transformer's answer is another request's: its {name} is not ours"
            ),
            LambdaError::Answer(why) => write!(f, "the transformer's answer breaks the protocol: {why}"),
            LambdaError::Sign(why) => write!(f, "the object's URL cannot be signed: {why}"),
        }
    }
}

impl std::error::Error for LambdaError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            LambdaError::Http(error) => Some(error),
            LambdaError::Store(error) => Some(error),
            _ => None,
        }
    }
}
