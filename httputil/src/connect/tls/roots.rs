//! Trusted roots: the platform's, the bundled ones, or PEM files.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::connect::DialFailure;
use crate::error::{Kind, Origin, Problem};
use crate::files;
use crate::settings::Roots;

/// Reading the platform's store takes tens of milliseconds, so all registries share one copy.
static PLATFORM: OnceLock<Arc<RootCertStore>> = OnceLock::new();
static BUNDLED: OnceLock<Arc<RootCertStore>> = OnceLock::new();

/// The store that `tls.roots` names. Blocking when the platform's store is read for the first time.
pub(super) fn load(roots: Roots) -> Result<Arc<RootCertStore>, DialFailure> {
    match roots {
        Roots::Bundled => Ok(Arc::clone(BUNDLED.get_or_init(|| {
            Arc::new(RootCertStore {
                roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
            })
        }))),
        Roots::Platform => {
            if let Some(store) = PLATFORM.get() {
                return Ok(Arc::clone(store));
            }
            let found = rustls_native_certs::load_native_certs();
            let store = platform(found.certs, found.errors.first().map(ToString::to_string))?;
            // A failure is not kept, so that installing the package cures a running program.
            Ok(Arc::clone(PLATFORM.get_or_init(|| Arc::new(store))))
        }
    }
}

fn platform(certificates: Vec<CertificateDer<'static>>, error: Option<String>) -> Result<RootCertStore, DialFailure> {
    let mut store = RootCertStore::empty();
    // Platform stores hold old certificates that no verifier takes; one bad apple must not cost the others.
    store.add_parsable_certificates(certificates);
    if store.is_empty() {
        let why = error.map(|error| format!(" ({error})")).unwrap_or_default();
        return Err(DialFailure::new(
            Kind::Tls,
            format!(
                "the platform has no trusted root certificates{why}; install its CA package (ca-certificates), \
                 or set tls.roots = \"bundled\" to use the built-in ones, or tls.ca_file"
            ),
        ));
    }
    Ok(store)
}

/// All certificates of a PEM file.
pub(super) fn read_pem(path: &Path, key: &str) -> Result<Vec<CertificateDer<'static>>, Problem> {
    let problem = |message: String| Problem::at(Origin::WholeFile(Arc::new(path.to_owned())), message);
    let bytes = files::read(path).map_err(|refused| problem(format!("{key}: {refused}")))?;
    let certificates = CertificateDer::pem_slice_iter(&bytes)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| problem(format!("{key}: not a PEM file of certificates")))?;
    if certificates.is_empty() {
        return Err(problem(format!(
            "{key}: holds no certificate (a PEM block \"BEGIN CERTIFICATE\" is wanted)"
        )));
    }
    Ok(certificates)
}

/// The roots of a PEM file; one that cannot be a root is a mistake of the file, before any connection needs it.
pub(super) fn read_own(path: &Path, key: &str) -> Result<Vec<CertificateDer<'static>>, Problem> {
    let certificates = read_pem(path, key)?;
    let mut store = RootCertStore::empty();
    for (index, certificate) in certificates.iter().enumerate() {
        store.add(certificate.clone()).map_err(|_| {
            let message = format!("{key}: certificate {} of the file cannot be used as a root", index + 1);
            Problem::at(Origin::WholeFile(Arc::new(path.to_owned())), message)
        })?;
    }
    Ok(certificates)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_without_a_ca_package_is_told_of_the_bundled_roots() {
        let failure = platform(Vec::new(), Some("No such file or directory".to_owned())).unwrap_err();
        assert_eq!(failure.kind, Kind::Tls);
        assert!(
            failure.message.contains("tls.roots = \"bundled\""),
            "{}",
            failure.message
        );
        assert!(failure.message.contains("No such file"), "{}", failure.message);
    }

    #[test]
    fn bundled_roots_need_no_platform() {
        assert!(load(Roots::Bundled).unwrap().len() > 50);
    }
}
