//! One rustls configuration per identity, interned.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::danger::ServerCertVerifier;
use rustls::client::{ResolvesClientCert, Resumption, WebPkiServerVerifier};
use rustls::pki_types::CertificateDer;
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, SignatureScheme};
use tokio::sync::OnceCell;

use super::{roots, verifier};
use crate::connect::DialFailure;
use crate::error::{Kind, Problem};
use crate::settings::{Tls, TlsVersion};

/// The identities of one registry; two registries share none.
#[derive(Debug, Default)]
pub(crate) struct Identities {
    known: Mutex<Vec<Arc<Identity>>>,
}

impl Identities {
    /// The identity of these settings, files read now; the same settings over the same file contents give the same one.
    pub(crate) fn intern(&self, tls: &Tls) -> Result<Arc<Identity>, Problem> {
        let read = |path: &Option<_>, key| path.as_deref().map(|path| roots::read_pem(path, key)).transpose();
        let own = read(&tls.ca_file, "tls.ca_file")?;
        let extra = read(&tls.extra_ca_file, "tls.extra_ca_file")?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |identity: &&Arc<Identity>| matches!(&identity.source, Source::Settings { tls: t, own: o, extra: e } if t == tls && *o == own && *e == extra);
        if let Some(identity) = known.iter().find(same) {
            return Ok(Arc::clone(identity));
        }
        let identity = Identity::new(Source::Settings {
            tls: tls.clone(),
            own,
            extra,
        });
        identity.check_files()?;
        known.push(Arc::clone(&identity));
        Ok(identity)
    }
}

/// Whom to trust and how to speak: one rustls configuration, made at the first handshake.
pub(crate) struct Identity {
    source: Source,
    configs: OnceCell<Configs>,
}

enum Source {
    Settings {
        tls: Tls,
        own: Option<Vec<CertificateDer<'static>>>,
        extra: Option<Vec<CertificateDer<'static>>>,
    },
    Custom(Arc<ClientConfig>),
}

/// The same configuration with each ALPN list that a connection may offer.
struct Configs {
    http1: Arc<ClientConfig>,
    both: Arc<ClientConfig>,
    http2: Arc<ClientConfig>,
}

/// What a connection offers by ALPN (RFC 7301).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offer {
    Http1,
    Both,
    Http2,
}

impl Identity {
    fn new(source: Source) -> Arc<Identity> {
        Arc::new(Identity {
            source,
            configs: OnceCell::new(),
        })
    }

    /// The user's own rustls configuration; only its ALPN list is replaced.
    pub(crate) fn custom(config: ClientConfig) -> Arc<Identity> {
        Identity::new(Source::Custom(Arc::new(config)))
    }

    /// What of a profile's settings holds for its https proxies: whom to trust and which versions, not what was meant
    /// for the servers behind them (client certificate, pins, server name).
    pub(crate) fn settings_for_proxies(tls: &Tls) -> Tls {
        Tls {
            min_version: tls.min_version,
            max_version: tls.max_version,
            roots: tls.roots,
            ca_file: tls.ca_file.clone(),
            extra_ca_file: tls.extra_ca_file.clone(),
            insecure_skip_verify: tls.insecure_skip_verify,
        }
    }

    /// An identity of its own for the https proxies of a client that has this one: no session is shared between them.
    pub(crate) fn for_proxies(&self) -> Arc<Identity> {
        Identity::new(match &self.source {
            Source::Settings { tls, own, extra } => Source::Settings {
                tls: Identity::settings_for_proxies(tls),
                own: own.clone(),
                extra: extra.clone(),
            },
            Source::Custom(config) => {
                let mut config = ClientConfig::clone(config);
                config.client_auth_cert_resolver = Arc::new(Nobody);
                config.resumption = Resumption::default();
                Source::Custom(Arc::new(config))
            }
        })
    }

    /// The configuration that offers `offer`. The first call may read the platform's roots, on a blocking thread.
    pub(super) async fn config(self: &Arc<Self>, offer: Offer) -> Result<Arc<ClientConfig>, DialFailure> {
        let configs = self
            .configs
            .get_or_try_init(|| async {
                let identity = Arc::clone(self);
                tokio::task::spawn_blocking(move || identity.build())
                    .await
                    .unwrap_or_else(|_| Err(DialFailure::new(Kind::Tls, "the runtime is shutting down")))
            })
            .await?;
        Ok(Arc::clone(match offer {
            Offer::Http1 => &configs.http1,
            Offer::Both => &configs.both,
            Offer::Http2 => &configs.http2,
        }))
    }

    fn build(&self) -> Result<Configs, DialFailure> {
        let base = match &self.source {
            Source::Custom(config) => ClientConfig::clone(config),
            Source::Settings { tls, .. } => self.settings_config(tls)?,
        };
        // Clones share verifier, client-certificate resolver and session store: sessions resume whatever the ALPN.
        let with = |protocols: &[&[u8]]| {
            let mut config = base.clone();
            config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
            Arc::new(config)
        };
        Ok(Configs {
            http1: with(&[b"http/1.1"]),
            both: with(&[b"h2", b"http/1.1"]),
            http2: with(&[b"h2"]),
        })
    }

    fn settings_config(&self, tls: &Tls) -> Result<ClientConfig, DialFailure> {
        // Never the process-wide provider: another crate may have turned on a second one, and then rustls panics.
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier: Arc<dyn ServerCertVerifier> = if tls.insecure_skip_verify {
            Arc::new(verifier::AcceptsAnyone(Arc::clone(&provider)))
        } else {
            let roots = self.roots(tls)?;
            let webpki = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider))
                .build()
                .map_err(|error| DialFailure::new(Kind::Tls, format!("no verifier can be built: {error}")))?;
            Arc::new(verifier::Explaining(webpki))
        };
        let versions: &[&rustls::SupportedProtocolVersion] = match (tls.min_version, tls.max_version) {
            (TlsVersion::V1_2, TlsVersion::V1_3) => &[&rustls::version::TLS12, &rustls::version::TLS13],
            (TlsVersion::V1_2, TlsVersion::V1_2) => &[&rustls::version::TLS12],
            (TlsVersion::V1_3, _) => &[&rustls::version::TLS13],
        };
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .map_err(|error| DialFailure::new(Kind::Tls, format!("no TLS configuration can be built: {error}")))?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        Ok(config)
    }

    fn roots(&self, tls: &Tls) -> Result<Arc<RootCertStore>, DialFailure> {
        let Source::Settings { own, extra, .. } = &self.source else {
            return Ok(Arc::new(RootCertStore::empty()));
        };
        if own.is_none() && extra.is_none() {
            return roots::load(tls.roots);
        }
        let store = self.roots_of_files(|| roots::load(tls.roots))?;
        Ok(Arc::new(store))
    }

    /// Refuses a file whose certificates cannot be roots, before any connection needs them.
    fn check_files(&self) -> Result<(), Problem> {
        let Source::Settings { tls, own, extra } = &self.source else {
            return Ok(());
        };
        let mut store = RootCertStore::empty();
        for (certificates, path, key) in [
            (own, &tls.ca_file, "tls.ca_file"),
            (extra, &tls.extra_ca_file, "tls.extra_ca_file"),
        ] {
            if let (Some(certificates), Some(path)) = (certificates, path) {
                roots::add(&mut store, certificates, path, key)?;
            }
        }
        Ok(())
    }

    fn roots_of_files(
        &self,
        platform: impl FnOnce() -> Result<Arc<RootCertStore>, DialFailure>,
    ) -> Result<RootCertStore, DialFailure> {
        let Source::Settings { own, extra, .. } = &self.source else {
            return Ok(RootCertStore::empty());
        };
        let mut store = match own {
            Some(_) => RootCertStore::empty(),
            None => RootCertStore::clone(&*platform()?),
        };
        for certificate in own.iter().chain(extra).flatten() {
            // Checked by `check_files` when the identity was made.
            let _ = store.add(certificate.clone());
        }
        Ok(store)
    }
}

/// No client certificate.
#[derive(Debug)]
struct Nobody;

impl ResolvesClientCert for Nobody {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::PrivateKeyDer;

    use super::*;

    #[tokio::test]
    async fn a_clients_certificate_and_sessions_are_not_for_its_proxies() {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::default().self_signed(&key).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(RootCertStore::empty())
            .with_client_auth_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
        let servers = Identity::custom(config);
        let proxies = servers.for_proxies();
        let (servers, proxies) = (servers.config(Offer::Http1).await, proxies.config(Offer::Http1).await);
        let (servers, proxies) = (servers.unwrap(), proxies.unwrap());
        assert!(servers.client_auth_cert_resolver.has_certs() && !proxies.client_auth_cert_resolver.has_certs());
    }
}
