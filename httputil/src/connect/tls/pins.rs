//! Pins: the public keys that a server may have, beside its chain's own check.
//!
//! The digest is that of RFC 7469 §2.4. Only the server's own certificate counts: what else it sends along is not proven
//! to be part of the chain that was verified, and anybody can send along a copy of a pinned certificate.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, SignatureScheme};

use super::verifier::Untrusted;

const PREFIX: &str = "sha256/";
const LENGTH: usize = 32;

/// The SHA-256 of a certificate's `SubjectPublicKeyInfo`, `sha256/<base64>`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Pin([u8; LENGTH]);

impl Pin {
    pub(super) fn parse(text: &str) -> Result<Pin, &'static str> {
        let base64 = text
            .strip_prefix(PREFIX)
            .ok_or("expected a pin such as \"sha256/…\", the base64 of the SHA-256 of a public key (SPKI)")?;
        let bytes = STANDARD
            .decode(base64)
            .map_err(|_| "not base64 behind sha256/; expected 43 characters and a =")?;
        let digest = bytes
            .try_into()
            .map_err(|_| "not the length of a SHA-256; expected 43 characters and a = behind sha256/")?;
        Ok(Pin(digest))
    }

    /// The pin that a certificate's key has; `None` if the certificate cannot be read.
    pub(super) fn of(certificate: &CertificateDer<'_>) -> Option<Pin> {
        let certificate = webpki::EndEntityCert::try_from(certificate).ok()?;
        let key = certificate.subject_public_key_info();
        digest::digest(&digest::SHA256, &key).as_ref().try_into().ok().map(Pin)
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", STANDARD.encode(self.0))
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Whether the text is a pin; the error says what would be right.
pub(crate) fn check_pin(text: &str) -> Result<(), &'static str> {
    Pin::parse(text).map(drop)
}

/// Another verifier, and then the pins.
#[derive(Debug)]
pub(super) struct Pinned {
    pub(super) inner: Arc<dyn ServerCertVerifier>,
    pub(super) pins: Vec<Pin>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self
            .inner
            .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)?;
        let found = Pin::of(end_entity).ok_or(CertificateError::BadEncoding)?;
        if self.pins.contains(&found) {
            return Ok(verified);
        }
        Err(CertificateError::Other(OtherError(Arc::new(Untrusted::NotPinned(found)))).into())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }

    fn root_hint_subjects(&self) -> Option<&[DistinguishedName]> {
        self.inner.root_hint_subjects()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_is_shown_as_it_is_written() {
        let text = "sha256/AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
        let pin = Pin::parse(text).unwrap();
        assert_eq!(pin.0.map(usize::from), std::array::from_fn(|index| index));
        assert_eq!(pin.to_string(), text);
    }

    #[test]
    fn what_is_no_pin_is_told_so() {
        for (text, why) in [
            ("", "expected a pin"),
            ("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", "expected a pin"),
            ("sha1/AAECAwQFBgcICQoLDA0ODxAREhM=", "expected a pin"),
            ("sha256/", "length"),
            ("sha256/AAEC", "length"),
            ("sha256/AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8", "not base64"),
            ("sha256/!", "not base64"),
        ] {
            let error = Pin::parse(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn garbage_has_no_pin() {
        for bytes in [&b""[..], b"\x30", b"\x30\x82\xff\xff", &[0xff; 64]] {
            assert_eq!(Pin::of(&CertificateDer::from(bytes)), None);
        }
    }
}
