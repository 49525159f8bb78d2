//! Whose fault it is that a call failed.

use std::error::Error as StdError;
use std::fmt;
use std::io;

use reqwest::StatusCode;
use rustls::{AlertDescription, Error as TlsError};

/// What nginx says inside of its 400, which it makes of a handshake that it let pass.
const OF_NGINX: [&str; 3] = [
    "No required SSL certificate was sent",
    "The SSL certificate error",
    "SSL certificate revoked",
];

/// Why a call failed, after all attempts.
#[derive(Debug)]
#[non_exhaustive]
pub enum MtlsError {
    /// We refused the server: its certificate is not one that our authorities and lists vouch for, or it is another host's.
    WeRefused(httputil::Error),
    /// The server refused us: it knows no issuer of our certificate, finds it expired or revoked, or got none.
    RefusedUs(httputil::Error),
    /// The server refused us as nginx does it: the handshake went well, and the answer is that there was no good certificate.
    AnsweredNo {
        /// How.
        status: StatusCode,
        /// What it says, on one line.
        said: String,
    },
    /// No answer came, for another reason than who is who.
    Http(httputil::Error),
    /// The answer broke off, or is larger than it may be.
    Answer(String),
}

impl MtlsError {
    /// Of an answer that is a refusal of our certificate, if it is one.
    pub(super) fn of_answer(status: StatusCode, body: &[u8]) -> Option<MtlsError> {
        if status != StatusCode::BAD_REQUEST {
            return None;
        }
        let text = String::from_utf8_lossy(&body[..body.len().min(4096)]);
        let said = OF_NGINX.into_iter().find(|said| text.contains(said))?;
        Some(MtlsError::AnsweredNo {
            status,
            said: said.to_owned(),
        })
    }
}

impl From<httputil::Error> for MtlsError {
    fn from(error: httputil::Error) -> MtlsError {
        match of_tls(&error) {
            Some(TlsError::AlertReceived(alert)) if is_of_certificates(*alert) => MtlsError::RefusedUs(error),
            Some(TlsError::InvalidCertificate(_) | TlsError::InvalidCertRevocationList(_)) => {
                MtlsError::WeRefused(error)
            }
            _ => MtlsError::Http(error),
        }
    }
}

/// Whether the server says by it what it finds of our certificate, and not of versions, ciphers or names.
fn is_of_certificates(alert: AlertDescription) -> bool {
    use AlertDescription as Alert;
    matches!(
        alert,
        Alert::AccessDenied
            | Alert::BadCertificate
            | Alert::CertificateExpired
            | Alert::CertificateRequired
            | Alert::CertificateRevoked
            | Alert::CertificateUnknown
            | Alert::DecryptError
            // TLS 1.2 has no other word for a certificate that is missing.
            | Alert::HandshakeFailure
            | Alert::NoCertificate
            | Alert::UnknownCA
            | Alert::UnsupportedCertificate
    )
}

/// What rustls has to say, wherever in the chain: sockets wrap it in an `io::Error`, whose own source leaves it out.
fn of_tls(error: &httputil::Error) -> Option<&TlsError> {
    let mut next: Option<&(dyn StdError + 'static)> = error.source();
    while let Some(error) = next {
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        let found = error.downcast_ref().or_else(|| wrapped?.downcast_ref());
        if found.is_some() {
            return found;
        }
        next = error.source();
    }
    None
}

impl fmt::Display for MtlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MtlsError::WeRefused(error) => write!(f, "we refused the server: {error}"),
            MtlsError::RefusedUs(error) => write!(f, "the server refused us: {error}"),
            MtlsError::AnsweredNo { status, said } => write!(
                f,
                "the server refused us: it answered {status}: {said}; ours is that of tls.cert_file"
            ),
            MtlsError::Http(error) => error.fmt(f),
            MtlsError::Answer(why) => write!(f, "the answer cannot be used: {why}"),
        }
    }
}

impl std::error::Error for MtlsError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            MtlsError::WeRefused(error) | MtlsError::RefusedUs(error) | MtlsError::Http(error) => Some(error),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use reqwest::StatusCode;

    use super::{MtlsError, OF_NGINX};

    #[test]
    fn what_nginx_says_in_its_400_is_a_refusal_and_the_same_words_elsewhere_are_none() {
        let page = |said: &str| format!("<html><head><title>400 {said}</title></head>");
        let of = |status, said: &str| MtlsError::of_answer(status, page(said).as_bytes());
        for sentence in OF_NGINX {
            assert!(
                matches!(of(StatusCode::BAD_REQUEST, sentence), Some(MtlsError::AnsweredNo { said, .. }) if said == sentence)
            );
            assert!(of(StatusCode::OK, sentence).is_none() && of(StatusCode::FORBIDDEN, sentence).is_none());
        }
        assert!(of(StatusCode::BAD_REQUEST, "Request Header Or Cookie Too Large").is_none());
    }
}
