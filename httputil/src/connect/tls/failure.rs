//! What a failed handshake means, in words.

use std::io;

use rustls::{AlertDescription, CertificateError, Error};

use super::verifier::Untrusted;
use crate::connect::DialFailure;
use crate::error::Kind;

/// Names what went wrong between us and `whom`.
pub(super) fn explain(error: io::Error, whom: &str) -> DialFailure {
    let reason = match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(error) => in_words(error),
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            "the server closed the connection during the handshake (does it speak TLS on this port?)".to_owned()
        }
        None => format!("the connection failed during the handshake: {error}"),
    };
    DialFailure::new(Kind::Tls, format!("TLS handshake with {whom} failed: {reason}")).with_source(error)
}

fn in_words(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(error) => certificate(error),
        Error::AlertReceived(alert) => match alert {
            AlertDescription::ProtocolVersion => {
                "the server refused our TLS versions (alert protocol_version); see tls.min_version".to_owned()
            }
            AlertDescription::HandshakeFailure => {
                "the server refused the handshake (alert handshake_failure)".to_owned()
            }
            AlertDescription::NoApplicationProtocol => {
                "the server speaks none of the protocols offered by ALPN (alert no_application_protocol)".to_owned()
            }
            other => format!("the server refused the handshake (alert {other:?})"),
        },
        Error::PeerIncompatible(incompatible) => {
            format!("the server offers nothing that we accept ({incompatible:?}); see tls.min_version")
        }
        Error::InvalidMessage(_) => "the server's answer is not TLS (is this a plain HTTP port?)".to_owned(),
        other => other.to_string(),
    }
}

fn certificate(error: &CertificateError) -> String {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the server's certificate has expired".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the server's certificate is not valid yet".to_owned()
        }
        CertificateError::NotValidForName => "the server's certificate is for another host".to_owned(),
        CertificateError::NotValidForNameContext { presented, .. } => {
            format!("the server's certificate is for another host ({})", shown(presented))
        }
        CertificateError::Revoked => "the server's certificate is revoked".to_owned(),
        CertificateError::UnknownIssuer => Untrusted::UnknownRoot.to_string(),
        CertificateError::Other(other) => match other.0.downcast_ref::<Untrusted>() {
            Some(untrusted) => untrusted.to_string(),
            None => format!("the server's certificate was refused: {error}"),
        },
        CertificateError::BadEncoding => "the server's certificate is garbled".to_owned(),
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "the server's certificate is not meant for servers".to_owned()
        }
        other => format!("the server's certificate was refused: {other}"),
    }
}

/// Names out of a peer's certificate: a few of them, printable, cut.
fn shown(names: &[String]) -> String {
    const MANY: usize = 4;
    let mut shown: Vec<String> = names
        .iter()
        .take(MANY)
        .map(|name| name.chars().take(80).flat_map(char::escape_default).collect())
        .collect();
    if names.len() > MANY {
        shown.push(format!("and {} more", names.len() - MANY));
    }
    if shown.is_empty() {
        "it names none".to_owned()
    } else {
        shown.join(", ")
    }
}
