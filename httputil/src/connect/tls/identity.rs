//! One rustls configuration per identity, interned.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use tokio::sync::OnceCell;

use super::client_certificate::{ClientCertificate, Shown};
use super::material::Material;
use super::rules;
use crate::connect::DialFailure;
use crate::error::{Kind, Problem, ShownPath};
use crate::files::is_open_to_all;
use crate::settings::Tls;

/// The identities of one registry; two registries share none.
#[derive(Debug, Default)]
pub(crate) struct Identities {
    known: Mutex<Vec<Arc<Identity>>>,
    /// Key files that everybody can read: one warning for each.
    open_keys: Mutex<BTreeSet<PathBuf>>,
}

impl Identities {
    /// The identity of these settings, files read now; the same settings over the same file contents give the same one.
    pub(crate) fn intern(&self, tls: &Tls) -> Result<Arc<Identity>, Problem> {
        let material = Material::read(tls, &rules::provider())?;
        if let Some(path) = tls.key_file.as_deref().filter(|path| is_open_to_all(path)) {
            self.warn_of(path);
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let same =
            |identity: &&Arc<Identity>| matches!(&identity.source, Source::Settings(known) if **known == material);
        if let Some(identity) = known.iter().find(same) {
            return Ok(Arc::clone(identity));
        }
        let identity = Identity::new(Source::Settings(Box::new(material)));
        known.push(Arc::clone(&identity));
        Ok(identity)
    }

    /// Forgets those that no pool uses any more, with their sessions.
    pub(crate) fn forget_unused(&self) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|identity| Arc::strong_count(identity) > 1);
    }

    fn warn_of(&self, path: &Path) {
        let mut warned = self.open_keys.lock().unwrap_or_else(PoisonError::into_inner);
        if warned.insert(path.to_owned()) {
            tracing::warn!(
                file = %ShownPath(path),
                "everybody on this machine can read the private key (tls.key_file); take the right away: chmod o-r"
            );
        }
    }
}

/// Whom to trust, who we are, and how to speak: one rustls configuration, made at the first handshake.
pub(crate) struct Identity {
    source: Source,
    configs: OnceCell<Configs>,
}

enum Source {
    Settings(Box<Material>),
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
            cert_file: None,
            key_file: None,
            server_name: None,
            pins: Vec::new(),
            ..tls.clone()
        }
    }

    /// An identity of its own for the https proxies of a client that has this one: no session is shared between them.
    pub(crate) fn for_proxies(&self) -> Arc<Identity> {
        Identity::new(match &self.source {
            Source::Settings(material) => Source::Settings(Box::new(Material {
                tls: Identity::settings_for_proxies(&material.tls),
                platform: material.platform,
                own: material.own.clone(),
                extra: material.extra.clone(),
                crls: material.crls.clone(),
                client: None,
                server_name: None,
                pins: Vec::new(),
            })),
            Source::Custom(config) => {
                let mut config = ClientConfig::clone(config);
                config.client_auth_cert_resolver = Arc::new(Shown::new(None));
                config.resumption = Resumption::default();
                Source::Custom(Arc::new(config))
            }
        })
    }

    fn material(&self) -> Option<&Material> {
        match &self.source {
            Source::Settings(material) => Some(material),
            Source::Custom(_) => None,
        }
    }

    /// `tls.server_name`
    pub(super) fn server_name(&self) -> Option<ServerName<'static>> {
        self.material()?.server_name.clone()
    }

    /// What we show to servers that ask.
    pub(super) fn client_certificate(&self) -> Option<&ClientCertificate> {
        self.material()?.client.as_ref()
    }

    /// Whether only rustls knows what is shown to servers that ask.
    pub(super) fn is_custom(&self) -> bool {
        matches!(self.source, Source::Custom(_))
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

    /// One with a session store that nobody else has. May read the platform's roots.
    #[cfg(feature = "reqwest")]
    pub(in crate::connect) fn config_of_its_own(&self, offer: Offer) -> Result<ClientConfig, DialFailure> {
        let Configs { http1, both, http2 } = self.build()?;
        let config = match offer {
            Offer::Http1 => http1,
            Offer::Both => both,
            Offer::Http2 => http2,
        };
        let mut config = Arc::unwrap_or_clone(config);
        config.resumption = Resumption::default();
        Ok(config)
    }

    fn build(&self) -> Result<Configs, DialFailure> {
        let base = match &self.source {
            Source::Custom(config) => ClientConfig::clone(config),
            Source::Settings(material) => rules::config(material)?,
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
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Metadata, Subscriber};

    use super::*;

    /// Counts the warnings of its thread.
    struct Warnings(Arc<AtomicUsize>);

    impl Subscriber for Warnings {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            *metadata.level() == tracing::Level::WARN
        }

        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }

        fn record(&self, _: &Id, _: &Record<'_>) {}

        fn record_follows_from(&self, _: &Id, _: &Id) {}

        fn event(&self, _: &Event<'_>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }

        fn enter(&self, _: &Id) {}

        fn exit(&self, _: &Id) {}
    }

    #[tokio::test]
    async fn a_clients_certificate_and_sessions_are_not_for_its_proxies() {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::default().self_signed(&key).unwrap();
        let config = ClientConfig::builder_with_provider(rules::provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_client_auth_cert(
                vec![certificate.der().clone()],
                rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
        let servers = Identity::custom(config);
        let proxies = servers.for_proxies();
        let (servers, proxies) = (servers.config(Offer::Http1).await, proxies.config(Offer::Http1).await);
        let (servers, proxies) = (servers.unwrap(), proxies.unwrap());
        assert!(servers.client_auth_cert_resolver.has_certs() && !proxies.client_auth_cert_resolver.has_certs());
    }

    /// The settings of a client certificate whose key file has these rights.
    #[cfg(unix)]
    fn with_rights(folder: &Path, mode: u32) -> Tls {
        use std::os::unix::fs::PermissionsExt as _;
        let issued = rcgen::generate_simple_self_signed(["us".to_owned()]).unwrap();
        let (cert, key) = (
            folder.join(format!("{mode:o}.pem")),
            folder.join(format!("{mode:o}.key")),
        );
        std::fs::write(&cert, issued.cert.pem()).unwrap();
        std::fs::write(&key, issued.signing_key.serialize_pem()).unwrap();
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(mode)).unwrap();
        Tls {
            cert_file: Some(cert),
            key_file: Some(key),
            ..Tls::default()
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_key_that_everybody_can_read_is_warned_of_once() {
        let folder = std::env::temp_dir().join(format!("httputil-identity-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let count = Arc::new(AtomicUsize::new(0));
        tracing::subscriber::with_default(Warnings(Arc::clone(&count)), || {
            let identities = Identities::default();
            for mode in [0o600, 0o640] {
                identities.intern(&with_rights(&folder, mode)).unwrap();
            }
            assert_eq!(count.load(Ordering::Relaxed), 0);
            let open = with_rights(&folder, 0o644);
            let pinless = Tls {
                server_name: Some("other.test".to_owned()),
                ..open.clone()
            };
            for tls in [&open, &open, &pinless] {
                identities.intern(tls).unwrap();
            }
        });
        assert_eq!(count.load(Ordering::Relaxed), 1);
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn an_identity_is_what_its_files_hold_and_all_of_its_settings() {
        let folder = std::env::temp_dir().join(format!("httputil-material-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let identities = Identities::default();
        let tls = with_rights(&folder, 0o600);
        let first = identities.intern(&tls).unwrap();
        assert!(Arc::ptr_eq(&first, &identities.intern(&tls).unwrap()));
        let pin = "sha256/AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=".to_owned();
        for other in [
            Tls::default(),
            Tls {
                server_name: Some("other.test".to_owned()),
                ..tls.clone()
            },
            Tls {
                pins: vec![pin],
                ..tls.clone()
            },
        ] {
            assert!(!Arc::ptr_eq(&first, &identities.intern(&other).unwrap()), "{other:?}");
        }
        // The same paths, another certificate.
        assert_eq!(with_rights(&folder, 0o600), tls);
        let renewed = identities.intern(&tls).unwrap();
        assert!(!Arc::ptr_eq(&first, &renewed));
        assert!(Arc::ptr_eq(&renewed, &identities.intern(&tls).unwrap()));
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn no_secret_is_logged_whatever_the_environment_says() {
        let identity = Identities::default()
            .intern(&Tls {
                roots: crate::settings::Roots::Bundled,
                ..Tls::default()
            })
            .unwrap();
        let configs = identity.build().unwrap();
        for config in [configs.http1, configs.both, configs.http2] {
            assert!(!config.key_log.will_log("CLIENT_TRAFFIC_SECRET_0"));
        }
    }
}
