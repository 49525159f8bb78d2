//! Who we are, where a server asks: `tls.cert_file` and `tls.key_file`.

use std::cell::Cell;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::ResolvesClientCert;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys, SignatureScheme};

use super::{roots, validity};
use crate::error::{Origin, Problem, ShownPath};
use crate::files;
use crate::settings::Tls;

const CERT: &str = "tls.cert_file";
const KEY: &str = "tls.key_file";

/// A certificate with its key, checked to belong together.
pub(super) struct ClientCertificate {
    key: Arc<CertifiedKey>,
    file: PathBuf,
}

/// The key fits the certificate, so the same certificate has the same key.
impl PartialEq for ClientCertificate {
    fn eq(&self, other: &ClientCertificate) -> bool {
        self.key.cert == other.key.cert
    }
}

impl ClientCertificate {
    /// Reads both files, if they are set.
    pub(super) fn read(tls: &Tls, provider: &CryptoProvider) -> Result<Option<ClientCertificate>, Problem> {
        let (cert_file, key_file) = match (&tls.cert_file, &tls.key_file) {
            (None, None) => return Ok(None),
            (Some(cert), Some(key)) => (cert, key),
            (Some(cert), None) => {
                return Err(problem(
                    cert,
                    CERT,
                    &format!("needs {KEY} beside it, the file of its private key"),
                ));
            }
            (None, Some(key)) => {
                return Err(problem(
                    key,
                    KEY,
                    &format!("needs {CERT} beside it, the file of its certificate"),
                ));
            }
        };
        let chain = roots::read_pem(cert_file, CERT)?;
        let now = UnixTime::now();
        for certificate in &chain {
            if let Some(fault) = validity::fault(certificate, now) {
                return Err(problem(cert_file, CERT, &format!("the certificate {fault}; renew it")));
            }
        }
        let key = read_key(key_file)?;
        let certified = CertifiedKey::from_der(chain, key, provider).map_err(|error| match error {
            Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                let message = format!("the key does not fit the certificate in {}", ShownPath(cert_file));
                problem(key_file, KEY, &message)
            }
            Error::InvalidCertificate(_) => problem(cert_file, CERT, "the certificate cannot be read"),
            _ => problem(
                key_file,
                KEY,
                "the key cannot be used; RSA, ECDSA (P-256, P-384, P-521) and Ed25519 can",
            ),
        })?;
        Ok(Some(ClientCertificate {
            key: Arc::new(certified),
            file: cert_file.clone(),
        }))
    }

    /// What is wrong with it `now`: it may expire in a running program.
    pub(super) fn fault(&self, now: UnixTime) -> Option<String> {
        let fault = self
            .key
            .cert
            .iter()
            .find_map(|each: &CertificateDer<'_>| validity::fault(each, now))?;
        Some(format!("the certificate in {} ({CERT}) {fault}", ShownPath(&self.file)))
    }

    /// Where it came from.
    pub(super) fn file(&self) -> &Path {
        &self.file
    }
}

fn problem(path: &Path, key: &str, message: &str) -> Problem {
    Problem::at(
        Origin::WholeFile(Arc::new(path.to_owned())),
        format!("{key}: {message}"),
    )
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, Problem> {
    let bytes = files::read(path).map_err(|refused| problem(path, KEY, &refused.to_string()))?;
    let has = |text: &[u8]| bytes.windows(text.len()).any(|window| window == text);
    let wrong = |message| Err(problem(path, KEY, message));
    if bytes.trim_ascii().is_empty() {
        return wrong("the file is empty");
    }
    // PKCS#8's own label, and the header of the older kinds (RFC 1421 §4.6.1.1).
    if has(b"BEGIN ENCRYPTED PRIVATE KEY") || has(b"Proc-Type: 4,ENCRYPTED") {
        return wrong("the key is encrypted; write it decrypted, with openssl pkey, to a file that only we can read");
    }
    match PrivateKeyDer::from_pem_slice(&bytes) {
        Ok(key) => Ok(key),
        Err(pem::Error::NoItemsFound) if has(b"BEGIN CERTIFICATE") => {
            wrong("holds a certificate and no private key; are tls.cert_file and tls.key_file mixed up?")
        }
        Err(pem::Error::NoItemsFound) => wrong("holds no private key (a PEM block \"BEGIN PRIVATE KEY\" is wanted)"),
        Err(_) => wrong("not a PEM file of a private key"),
    }
}

tokio::task_local! {
    /// Whether the server of the handshake under way has asked for a client certificate. rustls tells the resolver
    /// alone, and that is shared by all connections of an identity.
    static ASKED: Cell<bool>;
}

/// Runs a handshake and says whether the server asked for a certificate in it.
pub(super) async fn watched<F: Future>(handshake: F) -> (F::Output, bool) {
    let watched = async {
        let output = handshake.await;
        (output, ASKED.with(Cell::get))
    };
    ASKED.scope(Cell::new(false), watched).await
}

/// Shows the certificate, if there is one, to every server that asks.
pub(super) struct Shown(Option<Arc<CertifiedKey>>);

impl Shown {
    pub(super) fn new(certificate: Option<&ClientCertificate>) -> Shown {
        Shown(certificate.map(|certificate| Arc::clone(&certificate.key)))
    }
}

impl ResolvesClientCert for Shown {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        // Without a watch, nobody wants to know.
        let _ = ASKED.try_with(|asked| asked.set(true));
        self.0.clone()
    }

    fn has_certs(&self) -> bool {
        self.0.is_some()
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shown").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connect::tls::rules;

    #[test]
    fn one_that_expires_in_a_running_program_is_named_with_file_and_date() {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(["us".to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(2999, 12, 31);
        let folder = std::env::temp_dir().join(format!("httputil-client-certificate-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (cert_file, key_file) = (folder.join("cert.pem"), folder.join("key.pem"));
        std::fs::write(&cert_file, params.self_signed(&key).unwrap().pem()).unwrap();
        std::fs::write(&key_file, key.serialize_pem()).unwrap();
        let tls = Tls {
            cert_file: Some(cert_file.clone()),
            key_file: Some(key_file),
            ..Tls::default()
        };
        let read = ClientCertificate::read(&tls, &rules::provider()).unwrap().unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(read.fault(UnixTime::now()), None);
        let in_the_year_3000 = UnixTime::since_unix_epoch(std::time::Duration::from_hours(9_028_800));
        let expected = format!(
            "the certificate in {} (tls.cert_file) expired on 2999-12-31",
            cert_file.display()
        );
        assert_eq!(read.fault(in_the_year_3000), Some(expected));
    }
}
