//! Certificates and handshakes.

use std::time::Duration;

use httputil_tests::ca::{Ca, Wrong};
use httputil_tests::ledger::Handshake;
use httputil_tests::server::Server;
use httputil_tests::tls::{self, Alpn, ServerTls};
use httputil_tests::within;

use crate::client::{dial_tls, get, h1, h2, text};

#[tokio::test]
async fn alpn_chooses_the_protocol() {
    let ca = Ca::new();
    for (offered, chosen) in [(Alpn::H1, "http/1.1"), (Alpn::H2, "h2"), (Alpn::Both, "h2")] {
        let server = Server::builder()
            .tls(ServerTls::new(ca.issue(["localhost"])).alpn(offered).build())
            .start()
            .await;
        let stream = dial_tls(server.addr(), &tls::client(&ca, Alpn::Both)).await.unwrap();
        let answer = if chosen == "h2" {
            h2(stream).await.send_request(get("/")).await.unwrap()
        } else {
            h1(stream).await.send_request(get("/")).await.unwrap()
        };
        assert_eq!(text(answer).await, "hello");
        assert_eq!(server.seen().connections[0].alpn.as_deref(), Some(chosen));
    }
}

#[tokio::test]
async fn a_server_without_alpn_speaks_http_1() {
    let ca = Ca::new();
    let config = ServerTls::new(ca.issue(["localhost"])).alpn(Alpn::None).build();
    let server = Server::builder().tls(config).start().await;
    let stream = dial_tls(server.addr(), &tls::client(&ca, Alpn::Both)).await.unwrap();
    assert_eq!(
        text(h1(stream).await.send_request(get("/")).await.unwrap()).await,
        "hello"
    );
    assert_eq!(server.seen().connections[0].alpn, None);
}

#[tokio::test]
async fn sessions_resume_across_a_restart_and_are_counted() {
    for versions in [&[&rustls::version::TLS12], &[&rustls::version::TLS13]] {
        let ca = Ca::new();
        let config = ServerTls::new(ca.issue(["localhost"]))
            .alpn(Alpn::H1)
            .versions(versions)
            .build();
        let client = tls::client(&ca, Alpn::H1);
        let server = Server::builder().tls(config).start().await;
        text(
            h1(dial_tls(server.addr(), &client).await.unwrap())
                .await
                .send_request(get("/"))
                .await
                .unwrap(),
        )
        .await;
        let again = server.restart().await;
        text(
            h1(dial_tls(again.addr(), &client).await.unwrap())
                .await
                .send_request(get("/"))
                .await
                .unwrap(),
        )
        .await;
        assert_eq!(
            (server.seen().full_handshakes, server.seen().resumed_handshakes),
            (1, 0)
        );
        assert_eq!(again.seen().connections[0].handshake, Some(Handshake::Resumed));
    }
}

#[tokio::test]
async fn without_resumption_every_handshake_is_full() {
    let ca = Ca::new();
    let config = ServerTls::new(ca.issue(["localhost"]))
        .alpn(Alpn::H1)
        .without_resumption()
        .build();
    let client = tls::client(&ca, Alpn::H1);
    let server = Server::builder().tls(config).start().await;
    for _ in 0..2 {
        text(
            h1(dial_tls(server.addr(), &client).await.unwrap())
                .await
                .send_request(get("/"))
                .await
                .unwrap(),
        )
        .await;
    }
    assert_eq!(
        (server.seen().full_handshakes, server.seen().resumed_handshakes),
        (2, 0)
    );
}

#[tokio::test]
async fn each_wrong_certificate_is_refused_for_its_own_reason() {
    let ca = Ca::new();
    for wrong in Wrong::ALL {
        let config = ServerTls::new(ca.issue_wrong(wrong, ["localhost"])).build();
        let server = Server::builder().tls(config).start().await;
        let refusal = dial_tls(server.addr(), &tls::client(&ca, Alpn::Both))
            .await
            .unwrap_err()
            .to_string();
        let reason = match wrong {
            Wrong::Expired => "certificate expired",
            Wrong::NotYetValid => "certificate not valid yet",
            Wrong::WrongHost => "not valid for name",
            Wrong::SelfSigned | Wrong::UntrustedRoot | Wrong::IncompleteChain => "UnknownIssuer",
            Wrong::Sha1 => "UnsupportedSignatureAlgorithm",
        };
        assert!(refusal.contains(reason), "{wrong:?}: {refusal}");
        server
            .until(format!("the client's alert to {wrong:?}"), |seen| {
                seen.failed_handshakes.len() == 1
            })
            .await;
    }
}

#[tokio::test]
async fn a_demanded_client_certificate_must_be_shown() {
    let (ca, clients) = (Ca::new(), Ca::new());
    let (good, expired) = (clients.issue_client("alice"), clients.issue_expired_client("alice"));
    let config = ServerTls::new(ca.issue(["localhost"]))
        .alpn(Alpn::H1)
        .demand_client_of(clients)
        .build();
    let server = Server::builder().tls(config).start().await;

    let known = tls::client_with_identity(&ca, Alpn::H1, good);
    let stream = dial_tls(server.addr(), &known).await.unwrap();
    assert_eq!(
        text(h1(stream).await.send_request(get("/")).await.unwrap()).await,
        "hello"
    );
    // In TLS 1.3 the client is done before the server has judged; the refusal comes with the first read.
    for config in [
        tls::client(&ca, Alpn::H1),
        tls::client_with_identity(&ca, Alpn::H1, expired),
    ] {
        let stream = dial_tls(server.addr(), &config).await.unwrap();
        let answer = h1(stream).await.send_request(get("/"));
        assert!(within(Duration::from_secs(5), answer).await.is_err());
    }
    server
        .until("two refusals", |seen| seen.failed_handshakes.len() == 2)
        .await;
}
