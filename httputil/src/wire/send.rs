//! How an exchange can fail, and what that says about the server.

use std::time::Duration;

use http::Request;

use super::{Late, RequestBody};
use crate::connect::Rejection;
use crate::error::Phase;

/// The request was not answered.
pub(crate) struct SendFailure {
    pub(crate) processed: Processed,
    /// The request itself, if it never left the queue in front of the wire.
    pub(crate) request: Option<Box<Request<RequestBody>>>,
    pub(crate) cause: Cause,
    /// Whether some of the answer had come (HTTP/1).
    pub(crate) has_answer: bool,
    /// The peer complained of too much (`ENHANCE_YOUR_CALM`): to send it again at once would be more of it.
    pub(crate) calm: bool,
}

impl SendFailure {
    /// The caller's body spoilt an exchange that was answered.
    pub(super) fn of_body(why: &str) -> SendFailure {
        SendFailure {
            processed: Processed::Maybe,
            request: None,
            cause: Cause::RequestBody(why.to_owned()),
            has_answer: true,
            calm: false,
        }
    }
}

/// Whether the server can have acted on the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Processed {
    /// Certainly not: it was never written, or the peer says so.
    No,
    /// A reused connection was closed before any byte of the answer: probably a keep-alive race.
    Unknown,
    /// It may have.
    Maybe,
}

/// What happened.
#[derive(Debug)]
pub(crate) enum Cause {
    /// The deadline that came with the request, in this phase.
    Deadline(Phase),
    /// The bound of a phase.
    Late(Late),
    /// The server answered no ping within this time.
    Ping(Duration),
    /// The server's SETTINGS allow no stream.
    NoStream,
    /// The runtime that drove the connection has shut down.
    RuntimeGone,
    /// The server sent bytes that no request had asked for.
    Unasked,
    /// The server answered `101` to a request that had asked for no other protocol.
    UnaskedUpgrade,
    /// The server answered `101`, but not to the protocols that the request had asked for, which these are.
    WrongUpgrade(String),
    /// The caller's own body, with its words.
    RequestBody(String),
    /// The server rejected us in the TLS handshake, which for us was over.
    Rejected(Box<Rejection>),
    /// hyper's error.
    Hyper(hyper::Error),
}
