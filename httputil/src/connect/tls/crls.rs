//! Certificate revocation lists (RFC 5280 §5), PEM or DER.
//!
//! webpki asks the first list that its issuer's name and its scope make responsible for a certificate, and no other. So they
//! are put before it newest first: where a file of yesterday still lies beside today's, today's counts.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateRevocationListDer;
use rustls::pki_types::pem::PemObject;

use crate::error::{Origin, Problem};
use crate::files;

const KEY: &str = "tls.crl_files";

/// All lists of these files, the newest first, of one second the one named last; one that cannot be used is a mistake of its
/// file. Whether a list has expired, and whom it is signed by, is looked at when a server's chain is.
pub(super) fn read(paths: &[impl AsRef<Path>]) -> Result<Vec<CertificateRevocationListDer<'static>>, Problem> {
    let mut lists = Vec::new();
    for path in paths {
        lists.extend(read_file(path.as_ref())?);
    }
    lists.sort_by_cached_key(|list| this_update(list));
    lists.reverse();
    Ok(lists)
}

/// When a list was issued (RFC 5280 §5.1.2.4), as `YYYYMMDDHHMMSSZ`. webpki has read the list, and keeps this from us.
fn this_update(list: &[u8]) -> Option<Vec<u8>> {
    let (_, certificate_list, _) = element(list)?;
    let (_, to_be_signed, _) = element(certificate_list)?;
    let (_version, _, rest) = element(to_be_signed)?;
    let (_signature, _, rest) = element(rest)?;
    let (_issuer, _, rest) = element(rest)?;
    let (tag, time, _) = element(rest)?;
    // A UTCTime has two digits of the year: those from 50 on are of the last century.
    let century: &[u8] = match (tag, time.first()?) {
        (UTC_TIME, b'5'..=b'9') => b"19",
        (UTC_TIME, _) => b"20",
        _ => b"",
    };
    Some([century, time].concat())
}

const UTC_TIME: u8 = 0x17;

/// The tag and the content of the first DER element, and what is behind it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, mut rest) = rest.split_first()?;
    let mut length = usize::from(first);
    if first >= 0x80 {
        let (bytes, behind) = rest.split_at_checked(usize::from(first & 0x7f))?;
        length = bytes.iter().try_fold(0_usize, |length, &byte| {
            Some(length.checked_mul(256)? | usize::from(byte))
        })?;
        rest = behind;
    }
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
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

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, CertificateRevocationListParams, Issuer, KeyIdMethod, KeyPair, SerialNumber};

    use super::*;

    #[test]
    fn a_list_tells_when_it_was_issued() {
        let mut authority = CertificateParams::default();
        authority.key_usages = vec![rcgen::KeyUsagePurpose::CrlSign];
        let signer = Issuer::new(authority, KeyPair::generate().unwrap());
        let issued = |year| {
            let params = CertificateRevocationListParams {
                this_update: rcgen::date_time_ymd(year, 2, 3),
                next_update: rcgen::date_time_ymd(3000, 1, 1),
                crl_number: SerialNumber::from(1),
                issuing_distribution_point: None,
                revoked_certs: Vec::new(),
                key_identifier_method: KeyIdMethod::Sha256,
            };
            this_update(params.signed_by(&signer).unwrap().der()).unwrap()
        };
        for (year, expected) in [
            (1960, "19600203000000Z"),
            (2000, "20000203000000Z"),
            (2049, "20490203000000Z"),
            (2050, "20500203000000Z"),
        ] {
            assert_eq!(String::from_utf8(issued(year)).unwrap(), expected);
        }
    }

    #[test]
    fn what_is_no_list_tells_nothing() {
        for bytes in [
            &b""[..],
            b"\x30",
            b"\x30\x81",
            b"\x30\x8f\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
            &[0x30, 0, 0x30, 0],
        ] {
            assert_eq!(this_update(bytes), None, "{bytes:?}");
        }
    }
}
