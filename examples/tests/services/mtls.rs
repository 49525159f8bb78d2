//! The mTLS client.

use std::time::Duration;

use bytes::Bytes;
use httputil::{CloseReason, Config, Environment, Kind, PooledClient as _, Registry};
use httputil_tests::ca::{Ca, Identity, Wrong};
use httputil_tests::gate::Gate;
use httputil_tests::tls::Alpn;
use httputil_tests::{PATIENCE, within};
use reqwest::{Method, StatusCode};
use serde_json::Value;
use services::mtls::{Answer, MtlsClient, MtlsError};
use services::peers::{MtlsManner, MtlsPeer, Refusal, TlsFiles};
use tempfile::TempDir;

use crate::support::registry;

/// Us, with our files.
struct Side {
    folder: TempDir,
    files: TlsFiles,
}

impl Side {
    /// Who trusts the peer, and is this one.
    fn of(peer: &MtlsPeer, identity: &Identity) -> Side {
        let folder = TempDir::new().unwrap();
        let files = TlsFiles::within(folder.path());
        files.write("ca.pem", peer.authority()).unwrap();
        files.write_identity(identity).unwrap();
        Side { folder, files }
    }

    fn registry<'a>(&self, peer: &MtlsPeer, more: impl IntoIterator<Item = (&'a str, String)>) -> Registry {
        let mut values = vec![
            ("mtls.base_url".to_owned(), peer.url()),
            ("mtls.retry.max_attempts".to_owned(), "1".to_owned()),
        ];
        values.extend(self.files.settings());
        values.extend(more.into_iter().map(|(key, value)| (key.to_owned(), value)));
        registry(values.iter().map(|(key, value)| (key.as_str(), value.clone())))
    }

    fn client(&self, peer: &MtlsPeer) -> MtlsClient {
        MtlsClient::with_registry(&self.registry(peer, [])).unwrap()
    }
}

/// Whom the peer took us for.
fn name(answer: &Answer) -> String {
    let told: Value = serde_json::from_slice(&answer.body).unwrap();
    told["you"].as_str().unwrap().to_owned()
}

fn old_and_new() -> [MtlsManner; 4] {
    [(Alpn::H1, false), (Alpn::H2, false), (Alpn::H1, true), (Alpn::H2, true)].map(|(alpn, is_old)| MtlsManner {
        alpn,
        is_old,
        ..MtlsManner::default()
    })
}

fn version(manner: MtlsManner) -> [(&'static str, String); 1] {
    let version = if manner.is_old { "1.2" } else { "1.3" };
    [("mtls.tls.min_version", version.to_owned())]
}

#[track_caller]
fn assert_refused_us(called: Result<Answer, MtlsError>, words: &str) {
    let error = called.unwrap_err();
    assert!(matches!(error, MtlsError::RefusedUs(_)), "{error:?}");
    assert!(error.to_string().contains(words), "{words:?}: {error}");
}

#[track_caller]
fn assert_we_refused(called: Result<Answer, MtlsError>, words: &str) {
    let error = called.unwrap_err();
    assert!(matches!(error, MtlsError::WeRefused(_)), "{error:?}");
    assert!(error.to_string().contains(words), "{words:?}: {error}");
}

#[tokio::test]
async fn a_peer_knows_us_by_our_certificate_and_one_connection_serves_many_calls() {
    for manner in old_and_new() {
        let peer = MtlsPeer::start(manner).await;
        let side = Side::of(&peer, &peer.issue("storage-1"));
        let registry = side.registry(&peer, version(manner));
        let client = MtlsClient::with_registry(&registry).unwrap();
        for _ in 0..5 {
            let answer = client.get("/v1/status").await.unwrap();
            assert_eq!((answer.status, name(&answer).as_str()), (StatusCode::OK, "storage-1"));
        }
        let answer = client
            .call(Method::POST, "/v1/keys", Bytes::from("a key"))
            .await
            .unwrap();
        assert_eq!(name(&answer), "storage-1");
        assert_eq!(peer.server.accepted(), 1, "{manner:?}");
        client.shutdown(PATIENCE).await;
        peer.server.until_open(0).await;
    }
}

#[tokio::test]
async fn without_a_certificate_the_peer_s_demand_is_told_and_nothing_is_sent_again() {
    for manner in old_and_new() {
        let peer = MtlsPeer::start(manner).await;
        let side = Side::of(&peer, &peer.issue("nobody"));
        let mut values = vec![
            ("mtls.base_url", peer.url()),
            ("mtls.retry.max_attempts", "1".to_owned()),
            ("mtls.tls.ca_file", side.files.path("ca.pem").display().to_string()),
        ];
        values.extend(version(manner));
        let client = MtlsClient::with_registry(&registry(values)).unwrap();
        let words = "set tls.cert_file and tls.key_file";
        let body = Bytes::from("an order");
        assert_refused_us(client.call(Method::POST, "/", body).await, words);
        // In TLS 1.3 the alert comes behind the handshake, where a pool could take the connection for a stale one.
        assert_eq!((peer.server.accepted(), peer.server.requests()), (1, 0), "{manner:?}");
    }
}

#[tokio::test]
async fn a_server_that_refuses_something_else_than_our_certificate_has_not_refused_us() {
    let peer = MtlsPeer::start(MtlsManner {
        is_old: true,
        ..MtlsManner::default()
    })
    .await;
    let side = Side::of(&peer, &peer.issue("storage"));
    // The profile wants TLS 1.3.
    let error = side.client(&peer).get("/").await.unwrap_err();
    let MtlsError::Http(error) = error else {
        panic!("{error:?}");
    };
    assert_eq!(error.kind(), Kind::Tls);
    assert!(error.to_string().contains("alert protocol_version"), "{error}");
}

#[test]
fn a_peer_that_would_not_ask_who_we_are_is_a_mistake() {
    let shipped = include_str!("../../../config/httputil.toml");
    let config = Config::builder().embedded("config/httputil.toml", shipped);
    let error = config.set("mtls.base_url", "http://127.0.0.1:8080").load().unwrap_err();
    assert!(error.to_string().contains("mtls.egress.https_only"), "{error}");
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_told_as_ours() {
    for manner in old_and_new() {
        let peer = MtlsPeer::start(manner).await;
        let side = Side::of(&peer, &Ca::new().issue_client("a stranger"));
        let client = MtlsClient::with_registry(&side.registry(&peer, version(manner))).unwrap();
        assert_refused_us(client.get("/").await, "rejected our client certificate");
        assert_eq!((peer.server.accepted(), peer.server.requests()), (1, 0), "{manner:?}");
        assert!(peer.served().is_empty());
    }
}

#[tokio::test]
async fn a_certificate_of_the_past_is_told_before_anybody_sees_it_and_replaces_none_that_is_good() {
    let peer = MtlsPeer::start(MtlsManner::default()).await;
    let side = Side::of(&peer, &peer.issue_expired("past"));
    let error = MtlsClient::with_registry(&side.registry(&peer, []))
        .map(drop)
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("cert.pem: the certificate expired on 2001-01-01"),
        "{error}"
    );
    assert_eq!(peer.server.accepted(), 0);

    side.files.write_identity(&peer.issue("storage-1")).unwrap();
    let registry = side.registry(&peer, []);
    let client = MtlsClient::with_registry(&registry).unwrap();
    assert_eq!(name(&client.get("/").await.unwrap()), "storage-1");
    side.files.write_identity(&peer.issue_expired("past")).unwrap();
    until(|| registry.stats().reloads_refused != 0).await;
    assert_eq!(name(&client.get("/").await.unwrap()), "storage-1");
    assert_eq!(peer.server.accepted(), 1);
}

#[tokio::test]
async fn a_refusal_by_400_as_nginx_has_it_is_no_answer() {
    for alpn in [Alpn::H1, Alpn::H2] {
        let manner = MtlsManner {
            refusal: Refusal::Answer,
            alpn,
            ..MtlsManner::default()
        };
        let peer = MtlsPeer::start(manner).await;
        let side = Side::of(&peer, &peer.issue("storage-1"));
        let without = [
            ("mtls.base_url", peer.url()),
            ("mtls.tls.ca_file", side.files.path("ca.pem").display().to_string()),
        ];
        let without = MtlsClient::with_registry(&registry(without)).unwrap();
        let error = without.get("/").await.unwrap_err();
        let MtlsError::AnsweredNo { status, .. } = &error else {
            panic!("{error:?}");
        };
        assert_eq!(*status, StatusCode::BAD_REQUEST);
        assert!(
            error.to_string().contains("No required SSL certificate was sent"),
            "{error}"
        );
        assert_eq!(name(&side.client(&peer).get("/").await.unwrap()), "storage-1");
    }
}

#[tokio::test]
async fn a_server_that_we_do_not_trust_is_told_as_the_server_and_learns_nothing() {
    for (wrong, words) in [
        (Wrong::Expired, "the server's certificate has expired"),
        (Wrong::UntrustedRoot, "the server's certificate"),
        (Wrong::WrongHost, "another host (somebody-else.test)"),
    ] {
        let manner = MtlsManner {
            wrong: Some(wrong),
            ..MtlsManner::default()
        };
        let peer = MtlsPeer::start(manner).await;
        let side = Side::of(&peer, &peer.issue("storage-1"));
        assert_we_refused(side.client(&peer).get("/").await, words);
        assert_eq!(peer.server.requests(), 0);
        if wrong == Wrong::WrongHost {
            let name_of = [("mtls.tls.server_name", "somebody-else.test".to_owned())];
            let client = MtlsClient::with_registry(&side.registry(&peer, name_of)).unwrap();
            assert_eq!(name(&client.get("/").await.unwrap()), "storage-1");
            let seen = peer.server.seen();
            let asked = seen.connections.last().unwrap().server_name.as_deref();
            assert_eq!(asked, Some("somebody-else.test"));
        }
    }
}

#[tokio::test]
async fn a_server_that_its_authority_called_back_is_refused_as_soon_as_the_list_says_so() {
    let peer = MtlsPeer::start(MtlsManner::default()).await;
    let side = Side::of(&peer, &peer.issue("storage-1"));
    side.files.write("peers.crl", peer.list(false)).unwrap();
    let list = side.files.path("peers.crl").display().to_string();
    let registry = side.registry(&peer, [("mtls.tls.crl_files", format!("[{list:?}]"))]);
    let client = MtlsClient::with_registry(&registry).unwrap();
    assert_eq!(name(&client.get("/").await.unwrap()), "storage-1");
    side.files.write("peers.crl", peer.list(true)).unwrap();
    until_renewed(&client, 1).await;
    assert_we_refused(client.get("/").await, "revoked by a list of tls.crl_files");
    assert_eq!(peer.served().len(), 1);
}

async fn until(is_so: impl Fn() -> bool) {
    within(PATIENCE, async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

/// Until so many connections have closed because another identity is in force.
async fn until_renewed(client: &MtlsClient, closed: u64) {
    until(|| client.client().stats().closed_for(CloseReason::Reloaded) >= closed).await;
}

#[tokio::test]
async fn certificates_are_renewed_under_load_without_one_call_that_fails() {
    for alpn in [Alpn::H1, Alpn::H2] {
        let manner = MtlsManner {
            alpn,
            ..MtlsManner::default()
        };
        let peer = MtlsPeer::start(manner).await;
        let side = Side::of(&peer, &peer.issue("1"));
        let registry = side.registry(&peer, []);
        let client = MtlsClient::with_registry(&registry).unwrap();
        // Each of a few callers goes on until it has been known by every name.
        let callers: Vec<_> = (0..4)
            .map(|_| {
                let client = client.clone();
                tokio::spawn(async move {
                    let mut known_as: Vec<String> = Vec::new();
                    while known_as.last().is_none_or(|last| last != "3") {
                        let name = name(&client.get("/").await.unwrap());
                        if known_as.last() != Some(&name) {
                            known_as.push(name);
                        }
                    }
                    known_as
                })
            })
            .collect();
        for next in ["2", "3"] {
            let seen = peer.served().len();
            peer.server.until_requests(seen + 20).await;
            side.files.write_identity(&peer.issue(next)).unwrap();
            let knows_it = async {
                while peer.served().last().is_none_or(|(name, _)| name != next) {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            let known = tokio::time::timeout(PATIENCE, knows_it).await;
            assert!(
                known.is_ok(),
                "{alpn:?} {next}: {:?} {:?}",
                registry.stats(),
                peer.server.seen().open
            );
        }
        for caller in callers {
            let known_as = within(PATIENCE, caller).await.unwrap();
            assert_eq!(known_as, ["1", "2", "3"], "never an old one behind a new one");
        }
        // Nobody's connection was another's.
        let mut owners = std::collections::BTreeMap::new();
        for (name, connection) in peer.served() {
            assert_eq!(*owners.entry(connection).or_insert(name.clone()), name);
        }
        assert_eq!(
            peer.server.seen().resumed_handshakes,
            0,
            "no session of another identity"
        );
        client.shutdown(PATIENCE).await;
        peer.server.until_open(0).await;
    }
}

#[tokio::test]
async fn what_is_under_way_ends_by_the_certificate_that_it_began_with() {
    let peer = MtlsPeer::start(MtlsManner::default()).await;
    let side = Side::of(&peer, &peer.issue("old"));
    let registry = side.registry(&peer, []);
    let client = MtlsClient::with_registry(&registry).unwrap();
    let gate = Gate::new();
    peer.hold(&gate);
    let call = |path: &'static str| {
        let client = client.clone();
        tokio::spawn(async move { client.get(path).await })
    };
    let held = call("/held");
    gate.arrived(1).await;
    side.files.write_identity(&peer.issue("new")).unwrap();
    until(|| registry.stats().reloads != 0).await;
    let next = call("/next");
    gate.arrived(2).await;
    gate.open();
    assert_eq!(name(&within(PATIENCE, next).await.unwrap().unwrap()), "new");
    assert_eq!(name(&within(PATIENCE, held).await.unwrap().unwrap()), "old");
    until_renewed(&client, 1).await;
    peer.server.until_open(1).await;
}

#[tokio::test]
async fn a_certificate_whose_key_has_not_come_yet_changes_nothing() {
    let peer = MtlsPeer::start(MtlsManner::default()).await;
    let side = Side::of(&peer, &peer.issue("old"));
    let registry = side.registry(&peer, []);
    let client = MtlsClient::with_registry(&registry).unwrap();
    assert_eq!(name(&client.get("/").await.unwrap()), "old");
    let new = peer.issue("new");
    side.files.write("cert.pem", new.certificate_pem()).unwrap();
    until(|| registry.stats().reloads_refused != 0).await;
    assert_eq!(name(&client.get("/").await.unwrap()), "old");
    assert_eq!(peer.server.accepted(), 1);
    side.files.write("key.pem", new.key_pem()).unwrap();
    until_renewed(&client, 1).await;
    assert_eq!(name(&client.get("/").await.unwrap()), "new");
}

#[tokio::test]
async fn two_identities_share_neither_a_connection_nor_a_session() {
    let peer = MtlsPeer::start(MtlsManner::default()).await;
    let (one, other) = (
        Side::of(&peer, &peer.issue("one")),
        Side::of(&peer, &peer.issue("other")),
    );
    let toml = |profile: &str, side: &Side| {
        let path = |name: &str| side.folder.path().join(name).display().to_string();
        format!(
            "[{profile}]\nbase_url = {:?}\n[{profile}.tls]\ncert_file = {:?}\nkey_file = {:?}\nca_file = {:?}\n",
            peer.url(),
            path("cert.pem"),
            path("key.pem"),
            path("ca.pem"),
        )
    };
    let text = format!("{}{}", toml("one", &one), toml("other", &other));
    let config = Config::builder()
        .embedded("two", text)
        .env(&Environment::empty())
        .load()
        .unwrap();
    let registry = Registry::builder().config(config).build().unwrap();
    let clients = ["one", "other"].map(|profile| (profile, registry.client(profile).unwrap()));
    for _ in 0..3 {
        for (profile, client) in &clients {
            let answer = client.get("/").send().await.unwrap().text().await.unwrap();
            let told: Value = serde_json::from_str(&answer).unwrap();
            assert_eq!(told["you"], *profile);
            client.close_idle_connections();
        }
    }
    // Each resumes its own sessions, and none of the other's: then the peer would have taken one for the other.
    assert_eq!((peer.server.seen().full_handshakes, peer.server.accepted()), (2, 6));
}

#[tokio::test]
async fn an_answer_without_end_is_cut_and_told() {
    let peer = MtlsPeer::start(MtlsManner::default()).await;
    let side = Side::of(&peer, &peer.issue("storage-1"));
    let registry = side.registry(&peer, [("mtls.settings.largest_answer", "5".to_owned())]);
    let client = MtlsClient::with_registry(&registry).unwrap();
    let error = client.get("/").await.unwrap_err();
    assert!(
        !matches!(error, MtlsError::RefusedUs(_) | MtlsError::WeRefused(_)),
        "{error:?}"
    );
    assert!(error.to_string().contains("5 bytes"), "{error}");
}
