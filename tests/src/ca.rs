//! A certificate authority that lives as long as a test, and the certificates that a client must refuse.
//!
//! ```
//! use httputil_tests::ca::{Ca, Wrong};
//!
//! let ca = Ca::new();
//! let good = ca.issue(["localhost", "127.0.0.1"]);
//! let expired = ca.issue_wrong(Wrong::Expired, ["localhost"]);
//! assert!(ca.pem().starts_with("-----BEGIN CERTIFICATE-----"));
//! # let _ = (good, expired);
//! ```

use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, PKCS_RSA_SHA256, RsaKeySize, date_time_ymd,
};
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// A root of trust of our own.
#[derive(Debug)]
pub struct Ca {
    root: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate chain, the leaf first, and the leaf's key.
#[derive(Debug)]
pub struct Identity {
    /// What the peer is shown, the leaf first.
    pub chain: Vec<CertificateDer<'static>>,
    /// The leaf's private key.
    pub key: PrivateKeyDer<'static>,
    key_pem: String,
    chain_pem: String,
}

/// What is wrong with a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// Its time is over.
    Expired,
    /// Its time has not come.
    NotYetValid,
    /// It names another host.
    WrongHost,
    /// It vouches for itself.
    SelfSigned,
    /// Another authority issued it.
    UntrustedRoot,
    /// The intermediate between it and the root is not sent along.
    IncompleteChain,
    /// It is signed with SHA-1. No library at hand still makes such signatures, so the algorithm is written over another
    /// signature: a client that refuses the algorithm never gets to see that, one that accepts it reports a bad one.
    Sha1,
}

impl Wrong {
    /// All of them, for tests that go through a table.
    pub const ALL: [Self; 7] = [
        Self::Expired,
        Self::NotYetValid,
        Self::WrongHost,
        Self::SelfSigned,
        Self::UntrustedRoot,
        Self::IncompleteChain,
        Self::Sha1,
    ];
}

impl Ca {
    /// A new root, trusted by nobody.
    #[must_use]
    pub fn new() -> Self {
        Self::with_key(new_key())
    }

    /// The root certificate, as a file for `tls.ca_file` would hold it.
    #[must_use]
    pub fn pem(&self) -> String {
        self.root.pem()
    }

    /// The root certificate.
    #[must_use]
    pub fn der(&self) -> CertificateDer<'static> {
        self.root.der().clone()
    }

    /// A root store that trusts this authority alone.
    #[must_use]
    pub fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.der()).expect("rcgen's root is well-formed");
        roots
    }

    /// A server's identity for these names; IP addresses are names too.
    #[must_use]
    pub fn issue<N: Into<String>>(&self, names: impl IntoIterator<Item = N>) -> Identity {
        self.sign(&server(names))
    }

    /// A client's identity.
    #[must_use]
    pub fn issue_client(&self, name: &str) -> Identity {
        let mut params = named([name.to_owned()]);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(&params)
    }

    /// A client's identity whose time is over.
    #[must_use]
    pub fn issue_expired_client(&self, name: &str) -> Identity {
        let mut params = named([name.to_owned()]);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        expire(&mut params);
        self.sign(&params)
    }

    /// A server's identity for these names that a client which trusts this authority must refuse.
    #[must_use]
    pub fn issue_wrong<N: Into<String>>(&self, wrong: Wrong, names: impl IntoIterator<Item = N>) -> Identity {
        let mut params = server(names);
        match wrong {
            Wrong::Expired => expire(&mut params),
            Wrong::NotYetValid => params.not_before = date_time_ymd(3000, 1, 1),
            Wrong::WrongHost => params = server(["somebody-else.test"]),
            Wrong::SelfSigned => {
                let key = new_key();
                let certificate = params.self_signed(&key).expect("the parameters are ours");
                return Identity::new(vec![certificate.der().clone()], &key, certificate.pem());
            }
            Wrong::UntrustedRoot => return Self::new().sign(&params),
            Wrong::IncompleteChain => {
                let intermediate = CertifiedIssuer::signed_by(authority("intermediate"), new_key(), &self.root)
                    .expect("the parameters are ours");
                return Self { root: intermediate }.sign(&params);
            }
            Wrong::Sha1 => {
                let rsa =
                    KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).expect("aws-lc makes RSA keys");
                let signer = CertifiedIssuer::signed_by(authority("old intermediate"), rsa, &self.root)
                    .expect("the parameters are ours");
                let intermediate = signer.der().clone();
                let mut identity = Self { root: signer }.sign(&params);
                identity.chain = vec![claim_sha1(&identity.chain[0]), intermediate];
                return identity;
            }
        }
        self.sign(&params)
    }

    fn with_key(key: KeyPair) -> Self {
        let root = CertifiedIssuer::self_signed(authority("root"), key).expect("the parameters are ours");
        Self { root }
    }

    fn sign(&self, params: &CertificateParams) -> Identity {
        let key = new_key();
        let certificate = params.signed_by(&key, &self.root).expect("the parameters are ours");
        Identity::new(vec![certificate.der().clone()], &key, certificate.pem())
    }
}

impl Default for Ca {
    fn default() -> Self {
        Self::new()
    }
}

impl Identity {
    fn new(chain: Vec<CertificateDer<'static>>, key: &KeyPair, chain_pem: String) -> Self {
        let der = PrivatePkcs8KeyDer::from(key.serialize_der());
        Self {
            chain,
            key: der.into(),
            key_pem: key.serialize_pem(),
            chain_pem,
        }
    }

    /// The leaf as a PEM file holds it.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        &self.chain_pem
    }

    /// The key as a PEM file holds it.
    #[must_use]
    pub fn key_pem(&self) -> &str {
        &self.key_pem
    }
}

fn new_key() -> KeyPair {
    KeyPair::generate().expect("aws-lc makes P-256 keys")
}

fn named(names: impl IntoIterator<Item = impl Into<String>>) -> CertificateParams {
    let names: Vec<String> = names.into_iter().map(Into::into).collect();
    CertificateParams::new(names).expect("names of tests are ASCII")
}

fn server(names: impl IntoIterator<Item = impl Into<String>>) -> CertificateParams {
    let mut params = named(names);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params
}

fn expire(params: &mut CertificateParams) {
    params.not_before = date_time_ymd(2000, 1, 1);
    params.not_after = date_time_ymd(2001, 1, 1);
}

static MADE: AtomicUsize = AtomicUsize::new(0);

/// Each authority has its own name: two of one name would be told apart by their signatures only.
fn authority(role: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    let number = MADE.fetch_add(1, Ordering::Relaxed);
    params
        .distinguished_name
        .push(DnType::CommonName, format!("test {role} {number}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// `sha256WithRSAEncryption` and `sha1WithRSAEncryption` differ in their last byte; both places must agree.
fn claim_sha1(certificate: &CertificateDer<'_>) -> CertificateDer<'static> {
    const SHA256: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b];
    let mut der = certificate.to_vec();
    let places: Vec<usize> = der
        .windows(SHA256.len())
        .enumerate()
        .filter(|(_, bytes)| *bytes == SHA256)
        .map(|(at, _)| at)
        .collect();
    assert_eq!(places.len(), 2, "a certificate states its signature's algorithm twice");
    for at in places {
        der[at + SHA256.len() - 1] = 0x05;
    }
    der.into()
}
