//! A server that asks who is there: an authority of its own for itself, and another one for those whom it lets in.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use httputil_tests::ca::{Ca, Identity, Wrong};
use httputil_tests::gate::Gate;
use httputil_tests::server::{ClientCertificate, ConnectionNumber, Reply, Server, handlers};
use httputil_tests::tls::{Alpn, ServerTls};
use hyper::Request;
use hyper::body::Incoming;
use reqwest::StatusCode;
use rustls::SupportedProtocolVersion;
use rustls::pki_types::CertificateDer;
use rustls::version::{TLS12, TLS13};
use serde_json::json;

use super::answers::lock;

/// How it lets nobody in who has shown no certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// By an alert, as rustls and Go do it.
    Alert,
    /// By a 400 after the handshake, as nginx does it.
    Answer,
}

/// How the server shall be.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// How it refuses.
    pub refusal: Refusal,
    /// What it offers.
    pub alpn: Alpn,
    /// TLS 1.2 and nothing newer, where the server shows its refusal in the handshake and not behind it.
    pub is_old: bool,
    /// What is wrong with its own certificate.
    pub wrong: Option<Wrong>,
}

impl Default for Manner {
    fn default() -> Manner {
        Manner {
            refusal: Refusal::Alert,
            alpn: Alpn::Both,
            is_old: false,
            wrong: None,
        }
    }
}

/// The server; dropped, it is gone with its connections.
pub struct MtlsPeer {
    /// Its account of connections and requests.
    pub server: Server,
    servers: Ca,
    clients: Ca,
    revoked: Vec<u8>,
    unrevoked: Vec<u8>,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// Whom a certificate is of.
    names: Mutex<Vec<(CertificateDer<'static>, String)>>,
    served: Mutex<Vec<(String, usize)>>,
    gate: Mutex<Option<Gate>>,
}

impl MtlsPeer {
    /// Starts one, known as `localhost` and `127.0.0.1`.
    ///
    /// # Panics
    ///
    /// Never: the lists are well-formed.
    pub async fn start(manner: Manner) -> MtlsPeer {
        let (servers, clients) = (Ca::new(), Ca::new());
        let names = ["localhost", "127.0.0.1"];
        let own = match manner.wrong {
            None => servers.issue(names),
            Some(wrong) => servers.issue_wrong(wrong, names),
        };
        let list = |of: &[&Identity]| servers.revoke(of.iter().copied()).der().to_vec();
        let (revoked, unrevoked) = (list(&[&own]), list(&[]));
        let versions: &[&'static SupportedProtocolVersion] = if manner.is_old { &[&TLS12] } else { &[&TLS13, &TLS12] };
        let tls = ServerTls::new(own).alpn(manner.alpn).versions(versions);
        let tls = match manner.refusal {
            Refusal::Alert => tls.demand_client_of(&clients),
            Refusal::Answer => tls.ask_client_of(&clients),
        };
        let state = Arc::<State>::default();
        let answering = Arc::clone(&state);
        let handler = move |request| answer(Arc::clone(&answering), request);
        let server = Server::builder().tls(tls.build()).handler(handler).start().await;
        MtlsPeer {
            server,
            servers,
            clients,
            revoked,
            unrevoked,
            state,
        }
    }

    /// Where it is: what `base_url` is to be.
    pub fn url(&self) -> String {
        self.server.url_for("localhost", "")
    }

    /// Somebody whom it lets in.
    pub fn issue(&self, name: &str) -> Identity {
        self.named(name, self.clients.issue_client(name))
    }

    /// Somebody whom it let in until a long time ago.
    pub fn issue_expired(&self, name: &str) -> Identity {
        self.named(name, self.clients.issue_expired_client(name))
    }

    fn named(&self, name: &str, identity: Identity) -> Identity {
        lock(&self.state.names).push((identity.chain[0].clone(), name.to_owned()));
        identity
    }

    /// The authority that vouches for it, as a file holds it.
    pub fn authority(&self) -> String {
        self.servers.pem()
    }

    /// A list of those that this authority has called back: the server itself, or nobody.
    pub fn list(&self, with_itself: bool) -> &[u8] {
        if with_itself { &self.revoked } else { &self.unrevoked }
    }

    /// Who was served, in order, and on which connection.
    pub fn served(&self) -> Vec<(String, usize)> {
        lock(&self.state.served).clone()
    }

    /// Lets each request wait at the gate before it is answered.
    pub fn hold(&self, gate: &Gate) {
        *lock(&self.state.gate) = Some(gate.clone());
    }
}

/// Files of a profile's `tls`, in a folder, written so that nobody reads half of one.
pub struct TlsFiles {
    folder: PathBuf,
}

impl TlsFiles {
    /// In this folder, which is there.
    pub fn within(folder: &Path) -> TlsFiles {
        TlsFiles {
            folder: folder.to_owned(),
        }
    }

    /// Where a file is.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Writes a file that only we can read, as a key is kept.
    ///
    /// # Errors
    ///
    /// That it cannot be written.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> std::io::Result<()> {
        let new = self.path(&format!("{name}.new"));
        std::fs::write(&new, content)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o600))?;
        }
        std::fs::rename(new, self.path(name))
    }

    /// Writes who we are: `cert.pem` and `key.pem`.
    ///
    /// # Errors
    ///
    /// That they cannot be written.
    pub fn write_identity(&self, identity: &Identity) -> std::io::Result<()> {
        self.write("cert.pem", identity.certificate_pem())?;
        self.write("key.pem", identity.key_pem())
    }

    /// What names these files in a configuration: who we are, and whom we trust.
    pub fn settings(&self) -> [(String, String); 3] {
        [
            ("cert_file", "cert.pem"),
            ("key_file", "key.pem"),
            ("ca_file", "ca.pem"),
        ]
        .map(|(key, name)| (format!("mtls.tls.{key}"), self.path(name).display().to_string()))
    }
}

async fn answer(state: Arc<State>, request: Request<Incoming>) -> Reply {
    let gate = lock(&state.gate).clone();
    if let Some(gate) = gate {
        gate.pass().await;
    }
    let Some(ClientCertificate(shown)) = request.extensions().get() else {
        let page = "<html><head><title>400 No required SSL certificate was sent</title></head></html>";
        let mut reply = handlers::full(page);
        *reply.status_mut() = StatusCode::BAD_REQUEST;
        return reply;
    };
    let name = {
        let names = lock(&state.names);
        let found = names.iter().find(|(certificate, _)| certificate == shown);
        found.map(|(_, name)| name.clone())
    };
    let Some(name) = name else {
        return handlers::status(StatusCode::FORBIDDEN);
    };
    let number = request.extensions().get::<ConnectionNumber>().map(|number| number.0);
    lock(&state.served).push((name.clone(), number.unwrap_or_default()));
    handlers::full(json!({ "you": name, "path": request.uri().path() }).to_string())
}
