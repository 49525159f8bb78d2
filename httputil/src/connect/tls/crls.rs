//! Certificate revocation lists (RFC 5280 §5), PEM or DER.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateRevocationListDer;
use rustls::pki_types::pem::PemObject;

use crate::error::{Origin, Problem};
use crate::files;

const KEY: &str = "tls.crl_files";

/// All lists of these files; one that cannot be used is a mistake of its file. Whether a list has expired, and whom it is
/// signed by, is looked at when a server's chain is.
pub(super) fn read(paths: &[impl AsRef<Path>]) -> Result<Vec<CertificateRevocationListDer<'static>>, Problem> {
    let mut lists = Vec::new();
    for path in paths {
        lists.extend(read_file(path.as_ref())?);
    }
    Ok(lists)
}

fn read_file(path: &Path) -> Result<Vec<CertificateRevocationListDer<'static>>, Problem> {
    let problem = |message: &str| {
        Problem::at(
            Origin::WholeFile(Arc::new(path.to_owned())),
            format!("{KEY}: {message}"),
        )
    };
    let bytes = files::read(path).map_err(|refused| problem(&refused.to_string()))?;
    let lists = parse(bytes).map_err(problem)?;
    for (index, list) in lists.iter().enumerate() {
        webpki::BorrowedCertRevocationList::from_der(list).map_err(|error| {
            let message = format!("revocation list {} of the file cannot be used: {error:?}", index + 1);
            problem(&message)
        })?;
    }
    Ok(lists)
}

fn parse(bytes: Vec<u8>) -> Result<Vec<CertificateRevocationListDer<'static>>, &'static str> {
    if bytes.trim_ascii().is_empty() {
        return Err("the file is empty");
    }
    // DER begins with the tag of a sequence, and no text does.
    if bytes.first() == Some(&0x30) {
        return Ok(vec![bytes.into()]);
    }
    let lists: Vec<_> = CertificateRevocationListDer::pem_slice_iter(&bytes)
        .collect::<Result<_, _>>()
        .map_err(|_| "not a PEM file of revocation lists")?;
    if lists.is_empty() {
        return Err("holds no revocation list (a PEM block \"BEGIN X509 CRL\" is wanted, or DER)");
    }
    Ok(lists)
}
