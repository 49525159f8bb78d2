//! Certificate verification: the strict one that also says why, and the one that accepts everything.

use std::fmt;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, SignatureScheme};

use super::pins::Pin;

/// webpki's verifier, whose `UnknownIssuer` is split into what people call it.
#[derive(Debug)]
pub(super) struct Explaining(pub(super) Arc<WebPkiServerVerifier>);

/// What webpki has no word for: what `UnknownIssuer` stands for, and pins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Untrusted {
    SelfSigned,
    /// The server sent its own certificate only.
    NoIntermediate,
    UnknownRoot,
    /// The chain is good, but its key is none of `tls.pins`.
    NotPinned(Pin),
}

impl fmt::Display for Untrusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = match self {
            Untrusted::SelfSigned => "the server's certificate is self-signed",
            Untrusted::NoIntermediate => {
                "the server's certificate leads to no trusted root: the server sent no intermediate certificate, \
                 so its chain is incomplete or its root is unknown"
            }
            Untrusted::UnknownRoot => "the server's certificate chain ends at a root that is not trusted",
            Untrusted::NotPinned(found) => {
                return write!(f, "the server's public key is {found}, which is not among tls.pins");
            }
        };
        f.write_str(words)
    }
}

impl std::error::Error for Untrusted {}

impl ServerCertVerifier for Explaining {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.0
            .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
            .map_err(|error| {
                // A self-signed certificate that is marked as an authority is refused as such before its issuer is looked
                // up; webpki's own error type is the only place that says so.
                match &error {
                    Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
                        let untrusted = if is_self_signed(end_entity) {
                            Untrusted::SelfSigned
                        } else if intermediates.is_empty() {
                            Untrusted::NoIntermediate
                        } else {
                            Untrusted::UnknownRoot
                        };
                        CertificateError::Other(OtherError(Arc::new(untrusted))).into()
                    }
                    Error::InvalidCertificate(CertificateError::Other(_)) if is_self_signed(end_entity) => {
                        CertificateError::Other(OtherError(Arc::new(Untrusted::SelfSigned))).into()
                    }
                    _ => error,
                }
            })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }

    fn root_hint_subjects(&self) -> Option<&[DistinguishedName]> {
        self.0.root_hint_subjects()
    }
}

fn is_self_signed(certificate: &CertificateDer<'_>) -> bool {
    webpki::EndEntityCert::try_from(certificate).is_ok_and(|parsed| parsed.issuer() == parsed.subject())
}

/// Accepts any certificate (`tls.insecure_skip_verify`); signatures are still checked, so that the peer at least holds
/// the key of the certificate it shows.
#[derive(Debug)]
pub(super) struct AcceptsAnyone(pub(super) Arc<CryptoProvider>);

impl ServerCertVerifier for AcceptsAnyone {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
