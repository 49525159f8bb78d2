//! Trusted roots: the platform's, the bundled ones, or PEM files.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::connect::DialFailure;
use crate::error::{Kind, Origin, Problem};
use crate::files;
use crate::settings::{Environment, Roots, Tls};

/// Reading the platform's store takes tens of milliseconds, so all registries share one copy.
static PLATFORM: Mutex<Platform> = Mutex::new(Platform {
    generation: 0,
    store: None,
});
static BUNDLED: OnceLock<Arc<RootCertStore>> = OnceLock::new();

/// The platform's roots as they were read last, if they were.
struct Platform {
    /// Raised when they turned out to be others than before.
    generation: u64,
    store: Option<Arc<RootCertStore>>,
}

/// The store that `tls.roots` names. Blocking when the platform's store is read for the first time.
pub(super) fn load(roots: Roots) -> Result<Arc<RootCertStore>, DialFailure> {
    match roots {
        Roots::Bundled => Ok(Arc::clone(BUNDLED.get_or_init(|| {
            Arc::new(RootCertStore {
                roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
            })
        }))),
        Roots::Platform => {
            let known = lock().store.clone();
            if let Some(store) = known {
                return Ok(store);
            }
            // A failure is not kept, so that installing the package cures a running program.
            let store = read_platform()?;
            Ok(Arc::clone(lock().store.get_or_insert_with(|| Arc::new(store))))
        }
    }
}

fn lock() -> MutexGuard<'static, Platform> {
    PLATFORM.lock().unwrap_or_else(PoisonError::into_inner)
}

/// By what identities that trust the platform are told from those that trusted it when it had other roots.
pub(super) fn platform_generation() -> u64 {
    lock().generation
}

/// Reads the platform's store again, if anybody has needed it: identities that are made from now on trust what it holds now.
/// One that cannot be read, or holds nothing, changes nothing. Blocking.
pub(crate) fn read_platform_again() {
    if lock().store.is_none() {
        return;
    }
    match read_platform() {
        Ok(store) => {
            let mut known = lock();
            if known.store.as_ref().is_none_or(|known| known.roots != store.roots) {
                known.generation += 1;
                known.store = Some(Arc::new(store));
            }
        }
        Err(failure) => tracing::warn!("{}; those that it had before stay trusted", failure.message),
    }
}

fn read_platform() -> Result<RootCertStore, DialFailure> {
    let found = rustls_native_certs::load_native_certs();
    platform(found.certs, found.errors.first().map(ToString::to_string))
}

/// The variable that these roots come from, instead of the platform's store, if the process's environment is this one.
pub(crate) fn roots_variable(tls: &Tls, environment: &Environment) -> Option<&'static str> {
    let is_platform = tls.roots == Roots::Platform && tls.ca_file.is_none();
    let mut variables = ["SSL_CERT_FILE", "SSL_CERT_DIR"].into_iter();
    variables.find(|variable| is_platform && environment.get(variable).is_some())
}

fn platform(certificates: Vec<CertificateDer<'static>>, error: Option<String>) -> Result<RootCertStore, DialFailure> {
    let mut store = RootCertStore::empty();
    // Platform stores hold old certificates that no verifier takes; one bad apple must not cost the others.
    store.add_parsable_certificates(certificates);
    // Files of a folder come in any order, and two stores are to be compared.
    store.roots.sort_by(|one, other| {
        (&*one.subject_public_key_info, &*one.subject).cmp(&(&*other.subject_public_key_info, &*other.subject))
    });
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
