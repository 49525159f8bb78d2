//! TLS for the servers, and for plain clients that test the servers.
//!
//! Always with aws-lc-rs by name: the process-wide default provider belongs to nobody's test.

mod legacy;

use std::borrow::Borrow;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion};

use crate::ca::{Ca, Identity};

pub use legacy::{refusal, server_hello};

/// The protocols that a peer offers in its handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alpn {
    /// HTTP/1.1 only.
    H1,
    /// HTTP/2 only.
    H2,
    /// HTTP/2, else HTTP/1.1.
    Both,
    /// The extension is not spoken at all.
    None,
}

impl Alpn {
    fn names(self) -> Vec<Vec<u8>> {
        match self {
            Self::H1 => vec![b"http/1.1".to_vec()],
            Self::H2 => vec![b"h2".to_vec()],
            Self::Both => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
            Self::None => Vec::new(),
        }
    }
}

/// A server's side of TLS, to be built into a `rustls::ServerConfig`.
///
/// Sessions resume with every server that is given the same built configuration, also after a restart.
#[derive(Debug)]
pub struct ServerTls {
    identity: Identity,
    alpn: Alpn,
    versions: Vec<&'static SupportedProtocolVersion>,
    resumption: bool,
    clients: Option<RootCertStore>,
    demands: bool,
}

impl ServerTls {
    /// TLS 1.2 and 1.3, both protocols, sessions resumed, no client certificate asked for.
    #[must_use]
    pub fn new(identity: Identity) -> Self {
        Self {
            identity,
            alpn: Alpn::Both,
            versions: rustls::ALL_VERSIONS.to_vec(),
            resumption: true,
            clients: None,
            demands: false,
        }
    }

    /// Which protocols it offers.
    #[must_use]
    pub fn alpn(mut self, alpn: Alpn) -> Self {
        self.alpn = alpn;
        self
    }

    /// Which versions it speaks, such as `&[&rustls::version::TLS12]`.
    #[must_use]
    pub fn versions(mut self, versions: &[&'static SupportedProtocolVersion]) -> Self {
        self.versions = versions.to_vec();
        self
    }

    /// Gives out no tickets and remembers no session.
    #[must_use]
    pub fn without_resumption(mut self) -> Self {
        self.resumption = false;
        self
    }

    /// Demands a client certificate of this authority.
    #[must_use]
    pub fn demand_client_of(mut self, ca: impl Borrow<Ca>) -> Self {
        self.clients = Some(ca.borrow().roots());
        self.demands = true;
        self
    }

    /// Asks for a client certificate of this authority, and goes on without one.
    #[must_use]
    pub fn ask_client_of(mut self, ca: impl Borrow<Ca>) -> Self {
        self.clients = Some(ca.borrow().roots());
        self.demands = false;
        self
    }

    /// The finished configuration.
    ///
    /// # Panics
    ///
    /// When the identity's key does not fit its certificate, or no version is given.
    #[must_use]
    pub fn build(self) -> Arc<ServerConfig> {
        let builder = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&self.versions)
            .expect("aws-lc-rs speaks these versions");
        let builder = match self.clients {
            None => builder.with_no_client_auth(),
            Some(roots) => {
                let mut verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
                if !self.demands {
                    verifier = verifier.allow_unauthenticated();
                }
                builder.with_client_cert_verifier(verifier.build().expect("the authority is one root"))
            }
        };
        let mut config = builder
            .with_single_cert(self.identity.chain, self.identity.key)
            .expect("the key fits the certificate");
        config.alpn_protocols = self.alpn.names();
        if !self.resumption {
            config.send_tls13_tickets = 0;
            config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
        }
        Arc::new(config)
    }
}

/// A client that trusts this authority alone.
#[must_use]
pub fn client(ca: &Ca, alpn: Alpn) -> ClientConfig {
    let mut config = client_builder(ca).with_no_client_auth();
    config.alpn_protocols = alpn.names();
    config
}

/// A client that trusts this authority alone and shows this identity when asked.
///
/// # Panics
///
/// When the identity's key does not fit its certificate.
#[must_use]
pub fn client_with_identity(ca: &Ca, alpn: Alpn, identity: Identity) -> ClientConfig {
    let mut config = client_builder(ca)
        .with_client_auth_cert(identity.chain, identity.key)
        .expect("the key fits the certificate");
    config.alpn_protocols = alpn.names();
    config
}

fn client_builder(ca: &Ca) -> rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert> {
    ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("aws-lc-rs speaks all versions")
        .with_root_certificates(ca.roots())
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}
