//! What a handshake agreed on.

use rustls::pki_types::CertificateDer;
use rustls::{CipherSuite, ClientConnection, HandshakeKind, ProtocolVersion};

/// What the TLS handshake of a connection agreed on: [`Timings::tls_info`](crate::Timings::tls_info) tells it where the
/// registry was built with [`RegistryBuilder::tls_info`](crate::RegistryBuilder::tls_info).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TlsInfo {
    /// The version of TLS.
    pub version: Option<ProtocolVersion>,
    /// The cipher suite.
    pub cipher_suite: Option<CipherSuite>,
    /// The protocol that the server chose of those offered (RFC 7301), such as `h2`; `None` if it chose none.
    pub alpn: Option<Vec<u8>>,
    /// Whether a session was resumed: the server then proved itself in an earlier handshake, and `certificates` are from
    /// that one.
    pub resumed: bool,
    /// The server's certificates in DER, its own first, as it sent them: not the chain that was found to lead to a root.
    pub certificates: Vec<CertificateDer<'static>>,
}

impl TlsInfo {
    pub(in crate::connect) fn of(connection: &ClientConnection) -> TlsInfo {
        TlsInfo {
            version: connection.protocol_version(),
            cipher_suite: connection.negotiated_cipher_suite().map(|suite| suite.suite()),
            alpn: connection.alpn_protocol().map(<[u8]>::to_vec),
            resumed: connection.handshake_kind() == Some(HandshakeKind::Resumed),
            certificates: connection.peer_certificates().unwrap_or_default().to_vec(),
        }
    }
}
