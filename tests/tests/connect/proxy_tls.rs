//! Proxies that are spoken to over TLS: verified like a server, never in clear, with sessions of their own.

use std::time::Duration;

use httputil::settings::ProxyChoice;
use httputil::{Client, Kind, Phase};
use httputil_tests::ca::{Ca, Wrong};
use httputil_tests::proxy::Proxy;
use httputil_tests::script::{Script, Step};
use httputil_tests::server::Server;
use httputil_tests::server::handlers::{Echoed, echo};
use httputil_tests::tls::{Alpn, ServerTls};

use crate::scene::{
    Trust, assert_balanced, assert_bound_in, assert_says, client_of, client_through, failure, get, quoted, registry,
};

fn client(trust: &Trust, proxy: &str) -> Client {
    client_of(trust, |profile| {
        profile.transport.proxy.url = Some(ProxyChoice::Through(proxy.into()));
    })
}

#[tokio::test]
async fn both_kinds_of_targets_are_reached_and_the_proxy_hears_of_them_within_tls_only() {
    let ca = Ca::new();
    let trust = Trust::of([&ca]);
    let tls = ServerTls::new(ca.issue(["127.0.0.1"])).build();
    let proxy = Proxy::builder().tls(tls).login("user", "word").start().await;
    let plain = Server::builder().handler(echo).start().await;
    let client = client(&trust, &proxy.url_as("https", "user:word@"));
    let seen: Echoed = client.get(plain.url("/")).send().await.unwrap().json().await.unwrap();
    assert_eq!(seen.header("proxy-authorization"), None);
    for (alpn, version) in [(Alpn::H1, http::Version::HTTP_11), (Alpn::Both, http::Version::HTTP_2)] {
        let tls = ServerTls::new(ca.issue(["service.test"])).alpn(alpn).build();
        let server = Server::builder().tls(tls).start().await;
        let url = server.url_for("service.test", "/");
        for _ in 0..2 {
            let response = client.get(&url).send().await.unwrap();
            assert_eq!(response.version(), version);
            assert_eq!(response.text().await.unwrap(), "hello");
        }
        // Much more than a record, both ways.
        let large = client
            .post(server.url_for("service.test", "/echo"))
            .body(vec![7; 1 << 20]);
        assert_eq!(large.send().await.unwrap().status().as_u16() / 100, 2);
        assert_eq!(server.accepted(), 1);
    }
    assert_eq!(proxy.accepted(), 3);
    assert!(proxy.seen().failed_handshakes.is_empty());
    for connection in proxy.seen().connections {
        assert_eq!(
            connection.alpn.as_deref(),
            Some("http/1.1"),
            "the proxy is spoken to in HTTP/1"
        );
    }
    assert_balanced(&client.stats());
}

#[tokio::test]
async fn a_proxy_whose_certificate_is_wrong_is_told_nothing() {
    let (ca, other) = (Ca::new(), Ca::new());
    let trust = Trust::of([&ca]);
    let wrong = [
        (other.issue(["127.0.0.1"]), "trusted root"),
        (
            ca.issue(["elsewhere.test"]),
            "the proxy's certificate is for another host",
        ),
        (
            ca.issue_wrong(Wrong::Expired, ["127.0.0.1"]),
            "the proxy's certificate has expired",
        ),
    ];
    for (identity, why) in wrong {
        let proxy = Proxy::builder().tls(ServerTls::new(identity).build()).start().await;
        for url in ["https://service.test/", "http://service.test/"] {
            let client = client(&trust, &proxy.url());
            let error = failure(&client, url).await;
            assert_says(&error, Kind::Proxy, &[why, &proxy.url()]);
            assert_eq!(client.stats().dial_failures[3], ("proxy", 1));
        }
        assert!(proxy.asked().is_empty());
    }
}

#[tokio::test]
async fn a_proxy_that_speaks_no_tls_hears_nothing_in_clear() {
    let proxy = Script::start([vec![Step::ReadBody(1), Step::write("HTTP/1.1 400 Bad Request\r\n\r\n")]]).await;
    let url = format!("https://user:canary@127.0.0.1:{}", proxy.port());
    for target in ["https://service.test/", "http://service.test/"] {
        let client = client_through(&url, |_| {});
        let error = failure(&client, target).await;
        assert_says(&error, Kind::Proxy, &["not TLS"]);
    }
    for connection in 0..2 {
        let heard = proxy.received(connection);
        assert_eq!(heard[0], 22, "a TLS record");
        assert!(!proxy.received_text(connection).contains("service.test:"), "no CONNECT");
    }
}

#[tokio::test]
async fn a_hung_handshake_with_the_proxy_ends_after_timeouts_tls_handshake() {
    const BOUND: Duration = Duration::from_millis(250);
    let proxy = Script::start([vec![Step::Stall]]).await;
    let client = client_through(&format!("https://127.0.0.1:{}", proxy.port()), |profile| {
        profile.transport.timeouts.tls_handshake = BOUND;
    });
    let error = failure(&client, "https://service.test/").await;
    assert_bound_in(
        &error,
        Phase::ProxyConnect,
        "TLS handshake",
        BOUND,
        "timeouts.tls_handshake",
    );
    proxy.until_closed(1).await;
}

/// One certificate for both, so that a session of the one would do for the other.
#[tokio::test]
async fn sessions_resume_with_the_proxy_and_with_the_server_each_its_own() {
    let ca = Ca::new();
    let trust = Trust::of([&ca]);
    let tls = ServerTls::new(ca.issue(["127.0.0.1"])).alpn(Alpn::H1).build();
    let proxy = Proxy::builder().tls(tls.clone()).start().await;
    let server = Server::builder().tls(tls).start().await;
    let client = client(&trust, &proxy.url());
    get(&client, server.url("/")).await.unwrap();
    let counts =
        |ledger: &httputil_tests::ledger::Ledger| (ledger.seen().full_handshakes, ledger.seen().resumed_handshakes);
    assert_eq!(
        (counts(&proxy), counts(&server)),
        ((1, 0), (1, 0)),
        "nothing of the proxy's for the server"
    );
    client.close_idle_connections();
    proxy.until_closed(1).await;
    get(&client, server.url("/")).await.unwrap();
    assert_eq!((counts(&proxy), counts(&server)), ((1, 1), (1, 1)));
}

#[tokio::test]
async fn the_name_and_the_keys_that_servers_must_have_are_not_asked_of_the_proxy() {
    let (ca, proxy_ca) = (Ca::new(), Ca::new());
    let trust = Trust::of([&ca, &proxy_ca]);
    let identity = ca.issue(["real.test"]);
    let pin = identity.pin().to_owned();
    let server = Server::builder().tls(ServerTls::new(identity).build()).start().await;
    let tls = ServerTls::new(proxy_ca.issue(["127.0.0.1"])).build();
    let proxy = Proxy::builder().tls(tls).start().await;
    let in_code = client_through(&proxy.url(), |profile| {
        profile.transport.tls.ca_file = Some(trust.path());
        profile.transport.tls.server_name = Some("real.test".to_owned());
        profile.transport.tls.pins = vec![pin.clone()];
    });
    let toml = format!(
        "[default]\nproxy.url = '{}'\ntls.ca_file = {}\ntls.server_name = \"real.test\"\ntls.pins = [\"{pin}\"]\n",
        proxy.url(),
        quoted(trust.path())
    );
    let in_a_file = registry(&toml).client("default").unwrap();
    for client in [in_code, in_a_file] {
        assert_eq!(get(&client, server.url_for("a.test", "/")).await.unwrap(), "hello");
    }
    assert_eq!(proxy.asked().len(), 2);
}
