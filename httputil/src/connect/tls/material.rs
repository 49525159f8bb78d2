//! What an identity is made of: the settings, and the contents of the files that they name.
//!
//! Two identities are the same if their material is, files compared by what was read.

use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, ServerName};

use super::client_certificate::ClientCertificate;
use super::pins::Pin;
use super::{crls, roots, rules};
use crate::error::Problem;
use crate::settings::{Roots, Tls};

/// Checked: what is in it can be used.
#[derive(PartialEq)]
pub(super) struct Material {
    pub(super) tls: Tls,
    /// Of the platform's roots, where these are trusted.
    pub(super) platform: Option<u64>,
    /// `tls.ca_file`
    pub(super) own: Option<Vec<CertificateDer<'static>>>,
    /// `tls.extra_ca_file`
    pub(super) extra: Option<Vec<CertificateDer<'static>>>,
    pub(super) crls: Vec<CertificateRevocationListDer<'static>>,
    pub(super) client: Option<ClientCertificate>,
    pub(super) server_name: Option<ServerName<'static>>,
    pub(super) pins: Vec<Pin>,
}

impl Material {
    /// Reads the files of these settings. Blocking.
    pub(super) fn read(tls: &Tls, provider: &CryptoProvider) -> Result<Material, Problem> {
        let certificates = |path: &Option<_>, key| path.as_deref().map(|path| roots::read_own(path, key)).transpose();
        let of_key = |key: &str, value: &str, why: &str| Problem::new(format!("{key} = {value:?}: {why}"));
        let trusts_platform = tls.roots == Roots::Platform && tls.ca_file.is_none();
        Ok(Material {
            platform: trusts_platform.then(roots::platform_generation),
            own: certificates(&tls.ca_file, "tls.ca_file")?,
            extra: certificates(&tls.extra_ca_file, "tls.extra_ca_file")?,
            crls: crls::read(&tls.crl_files)?,
            client: ClientCertificate::read(tls, provider)?,
            server_name: match &tls.server_name {
                Some(name) => Some(parse_server_name(name).map_err(|why| of_key("tls.server_name", name, why))?),
                None => None,
            },
            pins: tls
                .pins
                .iter()
                .map(|pin| Pin::parse(pin).map_err(|why| of_key("tls.pins", pin, why)))
                .collect::<Result<_, _>>()?,
            tls: tls.clone(),
        })
    }
}

/// What is wrong with the files of these settings, each problem at its file, with the key first. Blocking.
pub(crate) fn unusable_files(tls: &Tls) -> Vec<Problem> {
    let roots = [(&tls.ca_file, "tls.ca_file"), (&tls.extra_ca_file, "tls.extra_ca_file")];
    let roots = roots
        .into_iter()
        .filter_map(|(path, key)| roots::read_own(path.as_deref()?, key).err());
    let crls = tls.crl_files.iter().filter_map(|path| crls::read(&[path]).err());
    let client = ClientCertificate::read(tls, &rules::provider()).err();
    roots.chain(crls).chain(client).collect()
}

fn parse_server_name(name: &str) -> Result<ServerName<'static>, &'static str> {
    ServerName::try_from(name.to_owned())
        .map_err(|_| "expected a host's name such as \"collector.example\", or an IP address")
}

/// Whether a certificate can bear the name; the error says what would be right.
pub(crate) fn check_server_name(name: &str) -> Result<(), &'static str> {
    parse_server_name(name).map(drop)
}
