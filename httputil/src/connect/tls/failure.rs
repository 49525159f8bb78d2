//! What a failed handshake means, in words.

use std::io;

use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, Error, PeerIncompatible};

use super::identity::Identity;
use super::validity;
use super::verifier::Untrusted;
use crate::connect::{DialFailure, system_words};
use crate::error::{Kind, ShownPath};

/// Names what went wrong between us and `whom`, and which side refused the other. `asked` is our identity, if the server
/// has asked for a client certificate.
pub(super) fn explain(error: io::Error, whom: &str, asked: Option<&Identity>) -> DialFailure {
    let reason = match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(Error::AlertReceived(alert))
            if let Some(identity) = asked
                && may_be_about_us(*alert) =>
        {
            of_us(*alert, identity)
        }
        Some(error) => in_words(error),
        None if let Some(identity) = asked
            && is_cut(&error) =>
        {
            format!(
                "the server asked for a client certificate and hung up{}",
                ours(identity)
            )
        }
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            "the server closed the connection during the handshake (does it speak TLS on this port?)".to_owned()
        }
        None if matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe) => {
            "the server reset the connection during the handshake (does it speak TLS on this port?)".to_owned()
        }
        None => format!("the connection failed during the handshake: {}", system_words(&error)),
    };
    DialFailure::new(Kind::Tls, format!("TLS handshake with {whom} failed: {reason}")).with_source(error)
}

fn in_words(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(error) => certificate(error),
        Error::AlertReceived(alert) => match alert {
            AlertDescription::ProtocolVersion => {
                "the server refused our TLS versions (alert protocol_version); see tls.min_version and tls.max_version"
                    .to_owned()
            }
            AlertDescription::HandshakeFailure => {
                "the server refused the handshake (alert handshake_failure)".to_owned()
            }
            AlertDescription::NoApplicationProtocol => {
                "the server speaks none of the protocols offered by ALPN (alert no_application_protocol); see \
                 http2.enabled and http2.prior_knowledge"
                    .to_owned()
            }
            alert if is_about_certificates(*alert) => {
                format!("the server {} (alert {})", complaint(*alert), name(*alert))
            }
            other => format!("the server refused the handshake (alert {})", name(*other)),
        },
        Error::PeerIncompatible(incompatible) => match incompatible {
            PeerIncompatible::ServerDoesNotSupportTls12Or13 => {
                "the server speaks nothing newer than TLS 1.1, which is not secure and not accepted".to_owned()
            }
            PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig => {
                "the server chose a TLS version that tls.min_version or tls.max_version rules out".to_owned()
            }
            other => format!("the server offers nothing that we accept ({other:?})"),
        },
        Error::InvalidCertRevocationList(error) => {
            format!("a list of tls.crl_files for the server's chain cannot be trusted ({error:?})")
        }
        Error::InvalidMessage(_) => "the server's answer is not TLS (is this a plain HTTP port?)".to_owned(),
        other => other.to_string(),
    }
}

impl Identity {
    /// What a server that asked who we are has against us, where the handshake is already over: with TLS 1.3 it looks at
    /// our certificate afterwards. `None` for other errors.
    pub(crate) fn rejected_by(&self, error: &io::Error) -> Option<Rejection> {
        match error.get_ref()?.downcast_ref::<Error>()? {
            Error::AlertReceived(alert) if may_be_about_us(*alert) => Some(Rejection {
                words: of_us(*alert, self),
                alert: *alert,
            }),
            _ => None,
        }
    }
}

/// A handshake that was over for us, and not for the server.
#[derive(Clone, Debug)]
pub(crate) struct Rejection {
    /// What the server has against us.
    pub(crate) words: String,
    alert: AlertDescription,
}

impl Rejection {
    /// The error as a handshake would have failed by it.
    pub(crate) fn source(&self) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, Error::AlertReceived(self.alert))
    }
}

/// Alerts that only speak of the receiver's certificate (RFC 8446 §6.2).
fn is_about_certificates(alert: AlertDescription) -> bool {
    use AlertDescription as Is;
    matches!(
        alert,
        Is::CertificateRequired
            | Is::NoCertificate
            | Is::BadCertificate
            | Is::UnsupportedCertificate
            | Is::CertificateRevoked
            | Is::CertificateExpired
            | Is::CertificateUnknown
            | Is::UnknownCA
            | Is::AccessDenied
    )
}

/// The same, and those that servers of TLS 1.2 use for it.
fn may_be_about_us(alert: AlertDescription) -> bool {
    is_about_certificates(alert)
        || matches!(
            alert,
            AlertDescription::HandshakeFailure | AlertDescription::DecryptError
        )
}

/// What the server has against our certificate.
fn complaint(alert: AlertDescription) -> &'static str {
    use AlertDescription as Is;
    match alert {
        Is::CertificateRequired | Is::NoCertificate => "demands a client certificate and got none",
        Is::UnknownCA => "rejected our client certificate, since it does not know its issuer",
        Is::CertificateExpired => "rejected our client certificate as expired or not valid yet",
        Is::CertificateRevoked => "rejected our client certificate as revoked",
        Is::AccessDenied => "accepted our client certificate and denied us access",
        _ => "rejected our client certificate",
    }
}

/// An alert of a server that has asked for a client certificate.
fn of_us(alert: AlertDescription, identity: &Identity) -> String {
    let has_none = identity.client_certificate().is_none() && !identity.is_custom();
    let complaint = if has_none {
        "asked for a client certificate and refused us without"
    } else {
        complaint(alert)
    };
    format!("the server {complaint} (alert {}){}", name(alert), ours(identity))
}

/// What can be done about our side.
fn ours(identity: &Identity) -> String {
    match identity.client_certificate() {
        Some(certificate) => match certificate.fault(UnixTime::now()) {
            Some(fault) => format!("; {fault}"),
            None => format!("; ours is in {} (tls.cert_file)", ShownPath(certificate.file())),
        },
        None if identity.is_custom() => String::new(),
        None => "; none is configured: set tls.cert_file and tls.key_file".to_owned(),
    }
}

fn is_cut(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), UnexpectedEof | ConnectionReset | BrokenPipe)
}

/// An alert's name as the RFCs write it: `unknown_ca` of `UnknownCA`.
fn name(alert: AlertDescription) -> String {
    let mut name = String::new();
    let mut is_after_small = false;
    for letter in format!("{alert:?}").chars() {
        if letter.is_ascii_uppercase() && is_after_small {
            name.push('_');
        }
        is_after_small = letter.is_ascii_lowercase();
        name.push(letter.to_ascii_lowercase());
    }
    name
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
        CertificateError::Revoked => {
            "the server's certificate, or one above it, is revoked by a list of tls.crl_files".to_owned()
        }
        CertificateError::UnknownRevocationStatus => {
            "no list of tls.crl_files covers the server's certificate, or one above it; add its issuer's list"
                .to_owned()
        }
        CertificateError::ExpiredRevocationListContext { next_update, .. } => format!(
            "the list of tls.crl_files for the server's certificate, or one above it, expired on {}; get a new one",
            validity::date(*next_update)
        ),
        CertificateError::ExpiredRevocationList => {
            "the list of tls.crl_files for the server's certificate, or one above it, has expired".to_owned()
        }
        CertificateError::UnknownIssuer => Untrusted::UnknownRoot.to_string(),
        CertificateError::Other(other) => match other.0.downcast_ref::<Untrusted>() {
            Some(untrusted) => untrusted.to_string(),
            None => format!("the server's certificate was refused: {error}"),
        },
        CertificateError::UnsupportedSignatureAlgorithmContext {
            signature_algorithm_id: algorithm,
            ..
        }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext {
            signature_algorithm_id: algorithm,
            ..
        } => {
            let name = if is_sha1(algorithm) {
                "SHA-1"
            } else {
                "an algorithm that is unknown or insecure"
            };
            format!("the server's certificate chain is signed with {name}, which is not accepted")
        }
        CertificateError::BadEncoding => "the server's certificate is garbled".to_owned(),
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "the server's certificate is not meant for servers".to_owned()
        }
        other => format!("the server's certificate was refused: {other}"),
    }
}

/// Whether an algorithm identifier, in DER, is one of SHA-1 with RSA (RFC 8017), ECDSA (RFC 3279) or DSA (RFC 3279).
fn is_sha1(algorithm: &[u8]) -> bool {
    const SHA_1: [&[u8]; 3] = [
        &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x05],
        &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x01],
        &[0x2a, 0x86, 0x48, 0xce, 0x38, 0x04, 0x03],
    ];
    // Tag and length of the identifier come first.
    algorithm
        .get(2..)
        .is_some_and(|identifier| SHA_1.iter().any(|sha1| identifier.starts_with(sha1)))
}

/// Names out of a peer's certificate: a few of them, printable, cut.
fn shown(names: &[String]) -> String {
    const MANY: usize = 4;
    let mut shown: Vec<String> = names
        .iter()
        .take(MANY)
        .map(|name| bare(name).chars().take(80).flat_map(char::escape_default).collect())
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

/// rustls shows names by their kind: `DnsName("example.com")`, `IpAddress(192.0.2.1)`.
fn bare(name: &str) -> &str {
    ["DnsName(", "IpAddress("]
        .iter()
        .find_map(|kind| name.strip_prefix(kind)?.strip_suffix(')'))
        .map_or(name, |name| name.trim_matches('"'))
}
