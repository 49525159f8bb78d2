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

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationList, CertificateRevocationListParams, CertifiedIssuer,
    DnType, ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, PKCS_RSA_SHA256, PublicKeyData,
    RevokedCertParams, RsaKeySize, SerialNumber, date_time_ymd,
};
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// A root of trust of our own.
#[derive(Debug)]
pub struct Ca {
    root: CertifiedIssuer<'static, KeyPair>,
    serial: SerialNumber,
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
    pin: String,
    serial: SerialNumber,
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
                return self.below("intermediate", new_key()).sign(&params);
            }
            Wrong::Sha1 => {
                let rsa =
                    KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).expect("aws-lc makes RSA keys");
                let signer = self.below("old intermediate", rsa);
                let mut identity = signer.sign(&params);
                identity.chain = vec![claim_sha1(&identity.chain[0]), signer.der()];
                return identity;
            }
        }
        self.sign(&params)
    }

    /// An authority below this one, and what a server has to send along for it.
    #[must_use]
    pub fn intermediate(&self) -> (Self, CertificateDer<'static>) {
        let below = self.below("intermediate", new_key());
        let certificate = below.der();
        (below, certificate)
    }

    /// A list, good until the year 3000, that says these certificates are not to be trusted any more.
    #[must_use]
    pub fn revoke<'a>(&self, revoked: impl IntoIterator<Item = &'a Identity>) -> CertificateRevocationList {
        self.revoke_in(2000, revoked)
    }

    /// The same, issued in the year `issued`.
    #[must_use]
    pub fn revoke_in<'a>(
        &self,
        issued: i32,
        revoked: impl IntoIterator<Item = &'a Identity>,
    ) -> CertificateRevocationList {
        let serials = revoked.into_iter().map(|identity| identity.serial.clone());
        self.list(serials, issued, 3000)
    }

    /// The same for an authority below this one.
    #[must_use]
    pub fn revoke_authority(&self, authority: &Self) -> CertificateRevocationList {
        self.list([authority.serial.clone()], 2000, 3000)
    }

    /// A list of nobody whose own time is over since 2001.
    #[must_use]
    pub fn expired_list(&self) -> CertificateRevocationList {
        self.list([], 2000, 2001)
    }

    fn list(
        &self,
        serials: impl IntoIterator<Item = SerialNumber>,
        issued: i32,
        until: i32,
    ) -> CertificateRevocationList {
        let revoked = |serial_number| RevokedCertParams {
            serial_number,
            revocation_time: date_time_ymd(2000, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(issued, 1, 1),
            next_update: date_time_ymd(until, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: serials.into_iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.root).expect("the parameters are ours")
    }

    fn with_key(key: KeyPair) -> Self {
        let root = CertifiedIssuer::self_signed(authority("root"), key).expect("the parameters are ours");
        let serial = SerialNumber::from(0);
        Self { root, serial }
    }

    fn below(&self, role: &str, key: KeyPair) -> Self {
        let (mut params, serial) = (authority(role), next_serial());
        params.serial_number = Some(serial.clone());
        let root = CertifiedIssuer::signed_by(params, key, &self.root).expect("the parameters are ours");
        Self { root, serial }
    }

    fn sign(&self, params: &CertificateParams) -> Identity {
        let key = new_key();
        let serial = next_serial();
        let mut params = params.clone();
        params.serial_number = Some(serial.clone());
        let certificate = params.signed_by(&key, &self.root).expect("the parameters are ours");
        let mut identity = Identity::new(vec![certificate.der().clone()], &key, certificate.pem());
        identity.serial = serial;
        identity
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
            pin: pin(&key.subject_public_key_info()),
            serial: SerialNumber::from(0),
        }
    }

    /// The leaf as a PEM file holds it.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        &self.chain_pem
    }

    /// The pin of the leaf's key, as `tls.pins` takes it.
    #[must_use]
    pub fn pin(&self) -> &str {
        &self.pin
    }

    /// The key as a PEM file holds it.
    #[must_use]
    pub fn key_pem(&self) -> &str {
        &self.key_pem
    }
}

/// RFC 7469 §2.4.
fn pin(public_key: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, public_key);
    format!("sha256/{}", STANDARD.encode(digest))
}

fn next_serial() -> SerialNumber {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    SerialNumber::from(NEXT.fetch_add(1, Ordering::Relaxed))
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
