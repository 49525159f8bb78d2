//! From an identity's material to the rules that rustls follows.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};

use super::client_certificate::Shown;
use super::material::Material;
use super::pins::Pinned;
use super::{roots, verifier};
use crate::connect::DialFailure;
use crate::error::Kind;
use crate::settings::TlsVersion;

/// Never the process-wide provider: another crate may have turned on a second one, and then rustls panics.
pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// The configuration, without ALPN. Blocking when the platform's roots are read for the first time.
///
/// `key_log` stays rustls's own, which logs nothing: `SSLKEYLOGFILE` has no effect.
pub(super) fn config(material: &Material) -> Result<ClientConfig, DialFailure> {
    let tls = &material.tls;
    let provider = provider();
    let versions: &[&SupportedProtocolVersion] = match (tls.min_version, tls.max_version) {
        (TlsVersion::V1_2, TlsVersion::V1_3) => &[&rustls::version::TLS12, &rustls::version::TLS13],
        (TlsVersion::V1_2, TlsVersion::V1_2) => &[&rustls::version::TLS12],
        (TlsVersion::V1_3, _) => &[&rustls::version::TLS13],
    };
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .map_err(|error| DialFailure::new(Kind::Tls, format!("no TLS configuration can be built: {error}")))?
        .dangerous()
        .with_custom_certificate_verifier(verifier(material, provider)?)
        .with_client_cert_resolver(Arc::new(Shown::new(material.client.as_ref())));
    Ok(config)
}

fn verifier(material: &Material, provider: Arc<CryptoProvider>) -> Result<Arc<dyn ServerCertVerifier>, DialFailure> {
    let verifier: Arc<dyn ServerCertVerifier> = if material.tls.insecure_skip_verify {
        Arc::new(verifier::AcceptsAnyone(provider))
    } else {
        let mut webpki = WebPkiServerVerifier::builder_with_provider(trusted(material)?, provider);
        if !material.crls.is_empty() {
            webpki = webpki
                .with_crls(material.crls.iter().cloned())
                .enforce_revocation_expiration();
        }
        let webpki = webpki
            .build()
            .map_err(|error| DialFailure::new(Kind::Tls, format!("no verifier can be built: {error}")))?;
        Arc::new(verifier::Explaining(webpki))
    };
    if material.pins.is_empty() {
        return Ok(verifier);
    }
    Ok(Arc::new(Pinned {
        inner: verifier,
        pins: material.pins.clone(),
    }))
}

fn trusted(material: &Material) -> Result<Arc<RootCertStore>, DialFailure> {
    let Material { tls, own, extra, .. } = material;
    let mut store = if own.is_some() {
        RootCertStore::empty()
    } else {
        let store = roots::load(tls.roots)?;
        if extra.is_none() {
            return Ok(store);
        }
        RootCertStore::clone(&store)
    };
    for certificate in own.iter().chain(extra).flatten() {
        // Checked when the file was read.
        let _ = store.add(certificate.clone());
    }
    Ok(Arc::new(store))
}
