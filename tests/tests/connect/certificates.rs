//! A certificate that does not prove who the server is: refused, each fault by its name.

use httputil::Kind;
use httputil_tests::ca::{Ca, Identity, Wrong};
use httputil_tests::server::Server;
use httputil_tests::tls::ServerTls;

use crate::scene::{Trust, assert_balanced, assert_says, client_of, failure, get};

/// What a client that trusts `ca` says to a server that shows `identity`.
async fn assert_refused(ca: &Ca, identity: Identity, words: &[&str]) {
    let trust = Trust::of([ca]);
    let server = Server::builder().tls(ServerTls::new(identity).build()).start().await;
    let client = client_of(&trust, |_| {});
    let error = failure(&client, server.url("/")).await;
    assert_says(&error, Kind::Tls, &["TLS handshake", "127.0.0.1"]);
    assert_says(&error, Kind::Tls, words);
    assert_eq!(error.attempts(), 1);
    server
        .until("the client's refusal", |seen| seen.failed_handshakes.len() == 1)
        .await;
    assert_eq!(server.requests(), 0);
    assert_balanced(&client.stats());
    assert_eq!(client.stats().dial_failures[2], ("tls_handshake", 1));
}

async fn assert_wrong_is_refused(wrong: Wrong, words: &[&str]) {
    let ca = Ca::new();
    let identity = ca.issue_wrong(wrong, ["127.0.0.1"]);
    assert_refused(&ca, identity, words).await;
}

#[tokio::test]
async fn an_expired_certificate_is_refused_by_name() {
    assert_wrong_is_refused(Wrong::Expired, &["certificate has expired"]).await;
}

#[tokio::test]
async fn a_certificate_that_is_not_valid_yet_is_refused_by_name() {
    assert_wrong_is_refused(Wrong::NotYetValid, &["not valid yet"]).await;
}

#[tokio::test]
async fn a_certificate_for_another_host_is_refused_with_the_name_it_bears() {
    assert_wrong_is_refused(Wrong::WrongHost, &["for another host (somebody-else.test)"]).await;
}

#[tokio::test]
async fn a_self_signed_certificate_is_refused_by_name() {
    assert_wrong_is_refused(Wrong::SelfSigned, &["self-signed"]).await;
}

#[tokio::test]
async fn a_certificate_of_an_unknown_root_is_refused_by_name() {
    assert_wrong_is_refused(Wrong::UntrustedRoot, &["no trusted root"]).await;
}

#[tokio::test]
async fn a_whole_chain_to_an_unknown_root_is_not_called_incomplete() {
    let (trusted, other) = (Ca::new(), Ca::new());
    let mut identity = other.issue(["127.0.0.1"]);
    identity.chain.push(other.der());
    assert_refused(&trusted, identity, &["a root that is not trusted"]).await;
}

#[tokio::test]
async fn an_incomplete_chain_is_refused_by_name() {
    assert_wrong_is_refused(Wrong::IncompleteChain, &["no intermediate certificate", "incomplete"]).await;
}

#[tokio::test]
async fn a_certificate_signed_with_sha_1_is_refused_by_name() {
    assert_wrong_is_refused(Wrong::Sha1, &["signed with SHA-1"]).await;
}

#[tokio::test]
async fn a_certificate_meant_for_clients_is_refused_by_name() {
    let ca = Ca::new();
    let identity = ca.issue_client("127.0.0.1");
    assert_refused(&ca, identity, &["not meant for servers"]).await;
}

#[tokio::test]
async fn the_name_in_the_url_is_the_name_that_is_verified() {
    let ca = Ca::new();
    let trust = Trust::of([&ca]);
    let server = Server::builder()
        .tls(ServerTls::new(ca.issue(["localhost"])).build())
        .start()
        .await;
    let client = client_of(&trust, |_| {});
    assert_eq!(get(&client, server.url_for("localhost", "/")).await.unwrap(), "hello");
    let error = failure(&client, server.url("/")).await;
    assert_says(&error, Kind::Tls, &["for another host", "localhost"]);
}
