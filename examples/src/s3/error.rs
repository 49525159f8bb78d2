//! Why a store did not do what it was asked to.

use std::fmt;
use std::time::Duration;

use reqwest::StatusCode;

use super::xml::Complaint;

/// Why a call failed.
#[derive(Debug)]
pub enum S3Error {
    /// No answer came, or its body broke off.
    Http(httputil::Error),
    /// The store answered, and not well.
    Status {
        /// How; 200 where the store began well and then failed.
        status: StatusCode,
        /// The store's word for it, such as `NoSuchKey`; empty if it says none.
        code: String,
        /// What it says, on one line.
        message: String,
        /// When to ask again, where it says so.
        after: Option<Duration>,
    },
    /// The store answered well, by something else than it should.
    Answer(String),
    /// What came is not what the store has by its own account.
    Damaged(String),
    /// A file of ours, such as the manifest.
    File(std::io::Error),
}

impl S3Error {
    /// Of an answer that is none.
    pub(super) fn of_status(status: StatusCode, after: Option<Duration>, body: &[u8]) -> S3Error {
        let said = std::str::from_utf8(body).ok().and_then(Complaint::of);
        let Complaint { code, message } = said.unwrap_or_default();
        let word = |text: String, longest: usize| -> String {
            let words: Vec<&str> = text
                .split(|next: char| next.is_control() || next.is_whitespace())
                .collect();
            words.join(" ").trim().chars().take(longest).collect()
        };
        S3Error::Status {
            status,
            code: word(code, 64),
            message: word(message, 500),
            after,
        }
    }

    /// Whether the same may go well another time: the store is busy, failing or unreachable, or the transfer broke.
    pub fn is_passing(&self) -> bool {
        match self {
            S3Error::Http(error) => error.is_retryable() || error.is_timeout() || is_of_wire(error),
            S3Error::Status { status, code, .. } => {
                status.is_server_error()
                    || [408, 425, 429].contains(&status.as_u16())
                    || ["InternalError", "SlowDown", "RequestTimeout", "ServiceUnavailable"].contains(&code.as_str())
            }
            S3Error::Damaged(_) => true,
            S3Error::Answer(_) | S3Error::File(_) => false,
        }
    }

    /// When to ask again, where the store, or its breaker, says so.
    pub fn after(&self) -> Option<Duration> {
        match self {
            S3Error::Http(error) => match error.kind() {
                httputil::Kind::BreakerOpen { retry_after, .. } => Some(retry_after),
                _ => error.retry_after(),
            },
            S3Error::Status { after, .. } => *after,
            _ => None,
        }
    }

    /// Whether the store says that there is no such thing, or no longer as it was listed.
    pub fn is_gone(&self) -> bool {
        let gone = [StatusCode::NOT_FOUND, StatusCode::PRECONDITION_FAILED];
        matches!(self, S3Error::Status { status, .. } if gone.contains(status))
    }
}

/// A stream is never sent twice by the client, whatever broke it; who has the source can.
fn is_of_wire(error: &httputil::Error) -> bool {
    use httputil::Kind;
    matches!(
        error.kind(),
        Kind::Body | Kind::Connection | Kind::Connect | Kind::Dns | Kind::Tls | Kind::Proxy | Kind::BreakerOpen { .. }
    )
}

impl From<httputil::Error> for S3Error {
    fn from(error: httputil::Error) -> S3Error {
        S3Error::Http(error)
    }
}

impl From<std::io::Error> for S3Error {
    fn from(error: std::io::Error) -> S3Error {
        S3Error::File(error)
    }
}

impl fmt::Display for S3Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            S3Error::Http(error) => error.fmt(f),
            S3Error::Status {
                status, code, message, ..
            } => {
                write!(f, "the store answered {status}")?;
                [code, message]
                    .into_iter()
                    .filter(|said| !said.is_empty())
                    .try_for_each(|said| write!(f, ": {said}"))
            }
            S3Error::Answer(why) => write!(f, "the store answered something else than it should: {why}"),
            S3Error::Damaged(why) => write!(f, "the object came damaged: {why}"),
            S3Error::File(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for S3Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            S3Error::Http(error) => Some(error),
            S3Error::File(error) => Some(error),
            _ => None,
        }
    }
}
