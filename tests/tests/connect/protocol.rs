//! Which protocol is spoken: what ALPN chose, or what the settings say.

use httputil::settings::Http2;
use httputil::{Client, Kind};
use httputil_tests::ca::Ca;
use httputil_tests::server::{Server, handlers};
use httputil_tests::tls::{Alpn, ServerTls};
use httputil_tests::{PATIENCE, within};
use reqwest::Version;

use crate::scene::{Trust, assert_balanced, assert_says, client, client_of, failure};

async fn tls_server(ca: &Ca, alpn: Alpn) -> Server {
    let tls = ServerTls::new(ca.issue(["127.0.0.1"])).alpn(alpn);
    Server::builder().tls(tls.build()).handler(handlers::echo).start().await
}

/// The protocol that the client says was spoken, which is what the server says too.
async fn spoken(client: &Client, server: &Server) -> Version {
    let response = within(PATIENCE, client.get(server.url("/")).send()).await.unwrap();
    let version = response.version();
    let echoed: handlers::Echoed = within(PATIENCE, response.json()).await.unwrap();
    assert_eq!(echoed.version, format!("{version:?}"));
    version
}

fn enabled(http2: &mut Http2) {
    *http2 = Http2::default();
}

fn disabled(http2: &mut Http2) {
    http2.enabled = false;
}

fn prior_knowledge(http2: &mut Http2) {
    http2.prior_knowledge = true;
}

#[tokio::test]
async fn alpn_picks_the_protocol() {
    type Set = fn(&mut Http2);
    let cases: [(Alpn, Set, Version); 8] = [
        (Alpn::Both, enabled, Version::HTTP_2),
        (Alpn::H2, enabled, Version::HTTP_2),
        (Alpn::H1, enabled, Version::HTTP_11),
        (Alpn::None, enabled, Version::HTTP_11),
        (Alpn::Both, disabled, Version::HTTP_11),
        (Alpn::None, disabled, Version::HTTP_11),
        (Alpn::Both, prior_knowledge, Version::HTTP_2),
        (Alpn::H2, prior_knowledge, Version::HTTP_2),
    ];
    let ca = Ca::new();
    let trust = Trust::of([&ca]);
    for (offered, set, expected) in cases {
        let server = tls_server(&ca, offered).await;
        let client = client_of(&trust, |profile| set(&mut profile.transport.http2));
        for _ in 0..2 {
            assert_eq!(spoken(&client, &server).await, expected, "{offered:?}");
        }
        assert_eq!(server.accepted(), 1, "the connection is used again: {offered:?}");
        assert_eq!(client.stats().idle, 1, "what has been read is idle: {offered:?}");
        assert_balanced(&client.stats());
    }
}

#[tokio::test]
async fn without_tls_http_1_is_spoken_unless_http_2_is_known_of() {
    let old = Server::builder().handler(handlers::echo).start().await;
    assert_eq!(spoken(&client(|_| {}), &old).await, Version::HTTP_11);
    let new = Server::builder().h2().handler(handlers::echo).start().await;
    let knowing = client(|profile| profile.transport.http2.prior_knowledge = true);
    for _ in 0..2 {
        assert_eq!(spoken(&knowing, &new).await, Version::HTTP_2);
    }
    assert_eq!(new.accepted(), 1);
}

#[tokio::test]
async fn http_2_refused_by_the_servers_alpn_is_an_error_where_it_was_known_of() {
    let ca = Ca::new();
    let trust = Trust::of([&ca]);
    let knowing = client_of(&trust, |profile| profile.transport.http2.prior_knowledge = true);
    let no_alpn = tls_server(&ca, Alpn::None).await;
    let error = failure(&knowing, no_alpn.url("/")).await;
    assert_says(&error, Kind::Tls, &["HTTP/2", "http2.prior_knowledge"]);
    no_alpn.until_open(0).await;

    let h1 = tls_server(&ca, Alpn::H1).await;
    let error = failure(&knowing, h1.url("/")).await;
    assert_says(&error, Kind::Tls, &["ALPN"]);
    assert_balanced(&knowing.stats());
}

#[tokio::test]
async fn a_server_of_http_2_only_is_an_error_where_http_2_is_off() {
    let ca = Ca::new();
    let trust = Trust::of([&ca]);
    let old = client_of(&trust, |profile| profile.transport.http2.enabled = false);
    let server = tls_server(&ca, Alpn::H2).await;
    let error = failure(&old, server.url("/")).await;
    assert_says(&error, Kind::Tls, &["ALPN"]);
}

#[tokio::test]
async fn an_http_1_server_that_is_taken_for_http_2_gives_a_clear_error() {
    let server = Server::builder().start().await;
    let knowing = client(|profile| profile.transport.http2.prior_knowledge = true);
    let error = failure(&knowing, server.url("/")).await;
    assert_says(&error, Kind::Connection, &["HTTP/2", "http2.prior_knowledge"]);
    server.until_open(0).await;
}
