//! Why a call failed.

use std::fmt;

use reqwest::StatusCode;

use super::types::Complaint;

/// The longest part of a server's words that is shown.
const LONGEST: usize = 500;

/// Why a call failed, after all attempts.
#[derive(Debug)]
pub enum NimError {
    /// No answer came, or none that the profile takes.
    Http(httputil::Error),
    /// The server answered, and not well.
    Status {
        /// How.
        status: StatusCode,
        /// What it says, on one line; empty if it says nothing.
        message: String,
    },
    /// The server answered well, by something else than it should.
    Answer(String),
    /// No replica's model could be asked in the time that there was.
    NotReady,
}

impl NimError {
    /// Of an answer that is none.
    pub(super) fn of_status(status: StatusCode, body: &[u8]) -> NimError {
        let said = serde_json::from_slice::<Complaint>(body).ok().and_then(Complaint::said);
        let message = said.unwrap_or_else(|| String::from_utf8_lossy(body).into_owned());
        let words = message.split(|next: char| next.is_control() || next.is_whitespace());
        let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
        NimError::Status {
            status,
            message: words.join(" ").chars().take(LONGEST).collect(),
        }
    }
}

impl From<httputil::Error> for NimError {
    fn from(error: httputil::Error) -> NimError {
        NimError::Http(error)
    }
}

impl fmt::Display for NimError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NimError::Http(error) => error.fmt(f),
            NimError::Status { status, message } if message.is_empty() => {
                write!(f, "the model's server answered {status}")
            }
            NimError::Status { status, message } => write!(f, "the model's server answered {status}: {message}"),
            NimError::NotReady => f.write_str("no replica is ready; its model is still being loaded"),
            NimError::Answer(why) => write!(f, "the model's server answered something else than it should: {why}"),
        }
    }
}

impl std::error::Error for NimError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            NimError::Http(error) => Some(error),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use reqwest::StatusCode;

    use super::NimError;

    #[test]
    fn each_server_s_way_to_complain_is_understood() {
        let said = |body: &str| NimError::of_status(StatusCode::BAD_REQUEST, body.as_bytes()).to_string();
        let wanted = "the model's server answered 400 Bad Request: too long";
        assert_eq!(
            said(r#"{"error":{"message":"too long","type":"invalid_request_error"}}"#),
            wanted
        );
        assert_eq!(said(r#"{"error":"too long"}"#), wanted);
        assert_eq!(said(r#"{"object":"error","message":"too long","code":400}"#), wanted);
        assert_eq!(said(r#"{"detail":"too long"}"#), wanted);
        assert_eq!(said("too\n\u{1b}  long"), wanted);
        assert_eq!(
            said(r#"{"detail":[{"loc":["body"]}]}"#),
            "the model's server answered 400 Bad Request: [{\"loc\":[\"body\"]}]"
        );
        assert_eq!(said(""), "the model's server answered 400 Bad Request");
        assert!(said(&"x".repeat(10_000)).len() < 600);
    }
}
