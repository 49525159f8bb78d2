//! The service with client certificates against nginx: which it takes, which it refuses by an answer, and what a reload of
//! either side costs.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use httputil::{Kind, PooledClient as _, Registry};
use httputil_tests::ca::{Ca, Identity};
use httputil_tests::{PATIENCE, within};
use percent_encoding::percent_decode_str;
use reqwest::StatusCode;
use services::mtls::{Answer, MtlsClient, MtlsError};
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::program::{Program, find, written};
use crate::support::registry;

/// nginx with a certificate of `servers`, which wants one of `clients` that is not in `revoked`.
struct Nginx {
    program: Program,
    servers: Ca,
    clients: Ca,
}

impl Nginx {
    async fn start(revoked: &[&Identity], clients: Ca) -> Nginx {
        let servers = Ca::new();
        let identity = servers.issue(["127.0.0.1", "localhost"]);
        let list = clients.revoke(revoked.iter().copied()).pem().unwrap();
        let program = Program::start(|folder, port| {
            written(folder, "server.pem", identity.certificate_pem());
            written(folder, "server.key", identity.key_pem());
            written(folder, "clients.pem", &clients.pem());
            written(folder, "revoked.pem", &list);
            let settings = written(folder, "nginx.conf", &settings(port));
            called(folder, &settings)
        })
        .await;
        Nginx {
            program,
            servers,
            clients,
        }
    }

    fn url(&self) -> String {
        format!("https://127.0.0.1:{}/", self.program.port())
    }

    /// Has it read its settings and certificates again; its old processes serve on until they have nothing left.
    fn reload(&self) {
        let settings = self.program.file("nginx.conf");
        let words = called(settings.parent().unwrap(), settings.to_str().unwrap());
        let told = Command::new(find(&words[0]))
            .args(&words[1..])
            .args(["-s", "reload"])
            .output();
        assert!(told.unwrap().status.success(), "{}", self.program.said());
    }
}

fn called(folder: &Path, settings: &str) -> Vec<String> {
    let folder = folder.to_str().unwrap();
    ["nginx", "-p", folder, "-c", settings, "-e", "stderr"]
        .map(str::to_owned)
        .to_vec()
}

fn settings(port: u16) -> String {
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|whose| format!("{whose}_temp_path {whose}; "))
        .concat();
    format!(
        "daemon off; user root root; worker_processes 1; pid pid; error_log stderr notice;\n\
         events {{ worker_connections 256; }}\n\
         http {{\n\
           access_log off; {temporary}\n\
           server {{\n\
             listen 127.0.0.1:{port} ssl http2;\n\
             ssl_protocols TLSv1.2 TLSv1.3;\n\
             ssl_certificate server.pem; ssl_certificate_key server.key;\n\
             ssl_client_certificate clients.pem; ssl_crl revoked.pem; ssl_verify_client on;\n\
             location / {{\n\
               add_header x-client $ssl_client_escaped_cert; add_header x-protocol $ssl_protocol;\n\
               add_header x-http $server_protocol;\n\
               add_header x-worker $pid; add_header x-connection $connection;\n\
               return 200 $ssl_client_verify;\n\
             }}\n\
           }}\n\
         }}\n"
    )
}

/// What a client needs on disk.
struct Files {
    folder: TempDir,
}

impl Files {
    fn of(servers: &Ca, identity: Option<&Identity>) -> Files {
        let folder = tempfile::tempdir().unwrap();
        written(folder.path(), "ca.pem", &servers.pem());
        let files = Files { folder };
        if let Some(identity) = identity {
            files.hold(identity);
        }
        files
    }

    fn hold(&self, identity: &Identity) {
        for (name, text) in [
            ("client.key", identity.key_pem()),
            ("client.pem", identity.certificate_pem()),
        ] {
            let new = written(self.folder.path(), "new", text);
            std::fs::rename(new, self.path(name)).unwrap();
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A registry of this identity, over this version of TLS and this protocol.
    fn registry(&self, nginx: &Nginx, tls: &str, h2: bool) -> Registry {
        let path = |name| self.path(name).display().to_string();
        let mut values = vec![
            ("mtls.base_url", nginx.url()),
            ("mtls.tls.ca_file", path("ca.pem")),
            ("mtls.tls.min_version", tls.to_owned()),
            ("mtls.tls.max_version", tls.to_owned()),
            ("mtls.http2.enabled", h2.to_string()),
        ];
        if self.path("client.pem").exists() {
            values.push(("mtls.tls.cert_file", path("client.pem")));
            values.push(("mtls.tls.key_file", path("client.key")));
        }
        registry(values)
    }
}

const WAYS: [(&str, bool); 4] = [("1.2", false), ("1.2", true), ("1.3", false), ("1.3", true)];

fn said<'a>(answer: &'a Answer, name: &str) -> &'a str {
    answer.headers[name].to_str().unwrap()
}

/// Whose certificate nginx saw, as a file holds it.
fn shown(answer: &Answer) -> String {
    let escaped = percent_decode_str(said(answer, "x-client"));
    escaped.decode_utf8().unwrap().trim().replace("\r\n", "\n")
}

fn held(identity: &Identity) -> String {
    identity.certificate_pem().trim().replace("\r\n", "\n")
}

#[tokio::test]
async fn nginx_takes_our_certificate_over_both_versions_and_protocols() {
    let nginx = Nginx::start(&[], Ca::new()).await;
    let identity = nginx.clients.issue_client("storage");
    let files = Files::of(&nginx.servers, Some(&identity));
    for (tls, h2) in WAYS {
        let registry = files.registry(&nginx, tls, h2);
        let caller = MtlsClient::with_registry(&registry).unwrap();
        let mut connections = Vec::new();
        for _ in 0..3 {
            let answer = within(PATIENCE, caller.get("/")).await.unwrap();
            assert_eq!(said(&answer, "x-protocol"), format!("TLSv{tls}"));
            assert_eq!(said(&answer, "x-http"), if h2 { "HTTP/2.0" } else { "HTTP/1.1" });
            assert_eq!(shown(&answer), held(&identity));
            connections.push(said(&answer, "x-connection").to_owned());
            assert_eq!(answer.body, "SUCCESS");
        }
        connections.dedup();
        assert_eq!(connections.len(), 1, "one connection serves all three");
        caller.shutdown(PATIENCE).await;
    }
    println!("nginx: our certificate is taken over TLS 1.2 and 1.3, HTTP/1.1 and HTTP/2, one connection each");
}

#[tokio::test]
async fn what_nginx_refuses_it_refuses_by_an_answer_that_is_not_tried_again() {
    let clients = Ca::new();
    let revoked = clients.issue_client("revoked");
    let nginx = Nginx::start(&[&revoked], clients).await;
    let missing = "No required SSL certificate was sent";
    let bad = "The SSL certificate error";
    for (whose, identity, sentence) in [
        ("nobody", None, missing),
        ("a stranger", Some(Ca::new().issue_client("storage")), bad),
        ("one that is revoked", Some(revoked), bad),
    ] {
        let files = Files::of(&nginx.servers, identity.as_ref());
        for (tls, h2) in WAYS {
            let registry = files.registry(&nginx, tls, h2);
            let caller = MtlsClient::with_registry(&registry).unwrap();
            let answer = within(PATIENCE, caller.get("/")).await;
            let Err(MtlsError::AnsweredNo { status, said }) = answer else {
                panic!("{whose}, TLS {tls}, h2 {h2}: {answer:?}");
            };
            assert_eq!((status, said.as_str()), (StatusCode::BAD_REQUEST, sentence), "{whose}");
            let stats = registry.client("mtls").unwrap().stats();
            assert_eq!((stats.requests, stats.retries), (1, 0), "{whose}");
        }
    }
    println!("nginx: no certificate, a stranger's and a revoked one: each a 400 with its reason, asked once");
}

#[tokio::test]
async fn an_nginx_of_another_authority_is_shown_nothing() {
    let nginx = Nginx::start(&[], Ca::new()).await;
    let identity = nginx.clients.issue_client("storage");
    let files = Files::of(&Ca::new(), Some(&identity));
    for (tls, h2) in WAYS {
        let registry = files.registry(&nginx, tls, h2);
        let caller = MtlsClient::with_registry(&registry).unwrap();
        let error = within(PATIENCE, caller.get("/")).await.unwrap_err();
        assert!(
            matches!(&error, MtlsError::WeRefused(why) if why.kind() == Kind::Tls),
            "{error}"
        );
    }
    println!("nginx: with another authority's certificate it is an error of TLS");
}

#[tokio::test]
async fn another_identity_on_disk_is_what_nginx_sees_next_and_no_request_fails() {
    let nginx = Nginx::start(&[], Ca::new()).await;
    let (first, second) = (
        nginx.clients.issue_client("first"),
        nginx.clients.issue_client("second"),
    );
    let files = Files::of(&nginx.servers, Some(&first));
    let registry = files.registry(&nginx, "1.3", true);
    let caller = MtlsClient::with_registry(&registry).unwrap();
    let asked = until_shown(&caller, &first).await;
    files.hold(&second);
    let asked = asked + until_shown(&caller, &second).await;
    caller.shutdown(PATIENCE).await;
    println!("nginx: a certificate that was replaced on disk is shown on, {asked} requests, none failed");
}

/// Asks one request after another until nginx has seen this identity; says how many.
async fn until_shown(caller: &MtlsClient, identity: &Identity) -> usize {
    let asking = async {
        for asked in 1.. {
            let answer = caller.get("/").await.unwrap();
            assert_eq!(answer.status, StatusCode::OK);
            if shown(&answer) == held(identity) {
                return asked;
            }
        }
        unreachable!("it asks for ever")
    };
    within(3 * PATIENCE, asking).await
}

#[tokio::test]
async fn nginx_reads_its_settings_again_and_no_request_fails() {
    let nginx = Nginx::start(&[], Ca::new()).await;
    let identity = nginx.clients.issue_client("storage");
    let files = Files::of(&nginx.servers, Some(&identity));
    for h2 in [false, true] {
        let registry = files.registry(&nginx, "1.3", h2);
        let caller = MtlsClient::with_registry(&registry).unwrap();
        let before = caller.get("/").await.unwrap();
        let before = said(&before, "x-worker").to_owned();
        let asked = Arc::new(AtomicUsize::new(0));
        let mut askers = JoinSet::new();
        for _ in 0..8 {
            let caller = caller.clone();
            let (before, asked) = (before.clone(), Arc::clone(&asked));
            askers.spawn(async move {
                // Its old process serves for a while beside the new one.
                let mut by_another = 0;
                while by_another < 25 {
                    let answer = caller.get("/").await.unwrap();
                    by_another += usize::from(said(&answer, "x-worker") != before);
                    assert_eq!(answer.body, "SUCCESS");
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let under_way = async {
            while asked.load(Ordering::Relaxed) < 50 {
                tokio::task::yield_now().await;
            }
        };
        within(PATIENCE, under_way).await;
        nginx.reload();
        within(3 * PATIENCE, askers.join_all()).await;
        println!(
            "nginx: a reload between {} requests of {} fails none",
            asked.load(Ordering::Relaxed),
            if h2 { "HTTP/2" } else { "HTTP/1.1" }
        );
    }
}
