//! TLS sessions and connections belong to one identity: resumed within it, never across two.

use httputil::{Client, Environment, Kind, Registry};
use httputil_tests::PATIENCE;
use httputil_tests::ca::{Ca, Wrong};
use httputil_tests::ledger::Handshake;
use httputil_tests::resolver::ScriptedResolver;
use httputil_tests::server::Server;
use httputil_tests::tls::{self, Alpn, ServerTls};
use rustls::version::{TLS12, TLS13};

use crate::scene::{Trust, assert_says, client_of, failure, get, quoted, registry, registry_in};

use Handshake::{Full, Resumed};

async fn server(ca: &Ca) -> Server {
    Server::builder()
        .tls(ServerTls::new(ca.issue(["127.0.0.1"])).build())
        .start()
        .await
}

/// The server's handshakes, in order.
fn handshakes(server: &Server) -> Vec<Option<Handshake>> {
    let seen = server.seen();
    seen.connections.iter().map(|connection| connection.handshake).collect()
}

async fn answered(client: &Client, server: &Server) {
    assert_eq!(get(client, server.url("/")).await.unwrap(), "hello");
}

#[tokio::test]
async fn sessions_resume_after_a_reconnect() {
    let ca = Ca::new();
    let trust = Trust::of([&ca]);
    for version in [&TLS12, &TLS13] {
        for alpn in [Alpn::H1, Alpn::H2] {
            let tls = ServerTls::new(ca.issue(["127.0.0.1"])).alpn(alpn).versions(&[version]);
            let server = Server::builder().tls(tls.build()).start().await;
            let client = client_of(&trust, |_| {});
            answered(&client, &server).await;
            client.close_idle_connections();
            server.until_closed(1).await;
            answered(&client, &server).await;
            assert_eq!(handshakes(&server), [Some(Full), Some(Resumed)], "{version:?} {alpn:?}");
        }
    }
}

#[tokio::test]
async fn sessions_resume_between_profiles_that_differ_in_http_2_only() {
    let ca = Ca::new();
    let trust = Trust::of([&ca]);
    let toml = format!(
        "[default]\ntls.ca_file = {}\n[both]\n[old]\nhttp2.enabled = false",
        quoted(trust.path())
    );
    let registry = registry(&toml);
    let (both, old) = (registry.client("both").unwrap(), registry.client("old").unwrap());
    let server = server(&ca).await;
    answered(&both, &server).await;
    answered(&old, &server).await;
    assert_eq!(handshakes(&server), [Some(Full), Some(Resumed)]);
    let alpn: Vec<_> = server.seen().connections.into_iter().map(|seen| seen.alpn).collect();
    assert_eq!(alpn, [Some("h2".to_owned()), Some("http/1.1".to_owned())]);
}

/// Two profiles that both accept the server, by different files.
fn two_files(ca: &Ca) -> (Registry, [Trust; 2]) {
    let trusts = [Trust::of([ca]), Trust::of([ca, &Ca::new()])];
    let toml = format!(
        "[one]\ntls.ca_file = {}\n[two]\ntls.ca_file = {}",
        quoted(trusts[0].path()),
        quoted(trusts[1].path())
    );
    (registry(&toml), trusts)
}

#[tokio::test]
async fn two_identities_share_neither_a_connection_nor_a_session() {
    let ca = Ca::new();
    let (registry, _trusts) = two_files(&ca);
    let (one, two) = (registry.client("one").unwrap(), registry.client("two").unwrap());
    let server = server(&ca).await;
    answered(&one, &server).await;
    answered(&two, &server).await;
    answered(&one, &server).await;
    assert_eq!(handshakes(&server), [Some(Full), Some(Full)]);

    // Each takes up its own session again, whoever comes first.
    registry.close_idle_connections();
    server.until_closed(2).await;
    answered(&two, &server).await;
    answered(&one, &server).await;
    assert_eq!(handshakes(&server)[2..], [Some(Resumed), Some(Resumed)]);
}

#[tokio::test]
async fn two_identities_that_come_at_once_share_nothing_either() {
    let ca = Ca::new();
    let (registry, _trusts) = two_files(&ca);
    let (one, two) = (registry.client("one").unwrap(), registry.client("two").unwrap());
    let server = server(&ca).await;
    for round in 1..=4 {
        tokio::join!(answered(&one, &server), answered(&two, &server));
        assert_eq!(server.accepted(), 2 * round);
        registry.close_idle_connections();
        server.until_closed(2 * round).await;
    }
    assert_eq!(server.seen().full_handshakes, 2);
    assert_eq!(server.seen().resumed_handshakes, 6);
}

#[tokio::test]
async fn a_session_that_was_not_verified_never_serves_a_profile_that_verifies() {
    let ca = Ca::new();
    let tls = ServerTls::new(ca.issue_wrong(Wrong::SelfSigned, ["127.0.0.1"]));
    let server = Server::builder().tls(tls.build()).start().await;
    let toml = "[default]\ntls.roots = \"bundled\"\n[lenient]\ntls.insecure_skip_verify = true";
    let environment = Environment::empty().with("HTTPUTIL_ENV", "test");
    let registry = registry_in(toml, &environment, &ScriptedResolver::new());
    let (lenient, strict) = (registry.client("lenient").unwrap(), registry.client("default").unwrap());
    for _ in 0..2 {
        answered(&lenient, &server).await;
        assert_says(&failure(&strict, server.url("/")).await, Kind::Tls, &["self-signed"]);
    }
    // And the refused handshakes have left no session behind.
    assert_eq!(server.seen().resumed_handshakes, 0);
    assert_eq!(server.requests(), 2);
}

#[tokio::test]
async fn a_configuration_of_rustls_is_used_with_our_protocols_and_resumes_its_own_sessions() {
    let ca = Ca::new();
    let server = server(&ca).await;
    let client = Client::with_tls(PATIENCE, tls::client(&ca, Alpn::None)).unwrap();
    answered(&client, &server).await;
    client.close_idle_connections();
    server.until_closed(1).await;
    answered(&client, &server).await;
    assert_eq!(handshakes(&server), [Some(Full), Some(Resumed)]);
    assert_eq!(server.seen().connections[0].alpn.as_deref(), Some("h2"));
    // It trusts whom it was told to trust, and nobody else.
    let stranger = Client::with_tls(PATIENCE, tls::client(&Ca::new(), Alpn::Both)).unwrap();
    assert_says(&failure(&stranger, server.url("/")).await, Kind::Tls, &["certificate"]);
}

#[tokio::test]
async fn two_registries_share_no_session() {
    let ca = Ca::new();
    let trust = Trust::of([&ca]);
    let toml = format!("[default]\ntls.ca_file = {}", quoted(trust.path()));
    let server = server(&ca).await;
    for _ in 0..2 {
        let client = registry(&toml).client("default").unwrap();
        answered(&client, &server).await;
    }
    assert_eq!(handshakes(&server), [Some(Full), Some(Full)]);
}
