//! Tunnels by `CONNECT`: what the proxy is told, what the server is told, and what is never told to either.

use http::Version;
use httputil::Kind;
use httputil::settings::ProxyChoice;
use httputil_tests::ca::Ca;
use httputil_tests::leaks::Baseline;
use httputil_tests::proxy::Proxy;
use httputil_tests::server::Server;
use httputil_tests::server::handlers::{Echoed, echo};
use httputil_tests::tls::{Alpn, ServerTls};

use crate::scene::{Trust, assert_balanced, assert_says, client_of, client_through, eventually, failure, get};

const USER: &str = "us%40er:s%3Acret@";
/// `us@er:s:cret`
const BASIC: &str = "Basic dXNAZXI6czpjcmV0";

async fn tls_server(ca: &Ca, alpn: Alpn) -> Server {
    let tls = ServerTls::new(ca.issue(["service.test"])).alpn(alpn).build();
    Server::builder().tls(tls).handler(echo).start().await
}

#[tokio::test]
async fn an_https_server_is_reached_through_a_tunnel_in_both_protocols() {
    let (ca, proxy) = (Ca::new(), Proxy::builder().login("us@er", "s:cret").start().await);
    let trust = Trust::of([&ca]);
    for (alpn, version) in [(Alpn::H1, Version::HTTP_11), (Alpn::Both, Version::HTTP_2)] {
        let server = tls_server(&ca, alpn).await;
        let baseline = Baseline::take_on(server.port());
        let client = client_of(&trust, |profile| {
            profile.transport.proxy.url = Some(ProxyChoice::Through(proxy.url_as("http", USER).into()));
        });
        let url = server.url_for("service.test", "/path?query");
        let before = proxy.accepted();
        for _ in 0..3 {
            let response = client.get(&url).send().await.unwrap();
            assert_eq!(response.version(), version);
            let seen: Echoed = response.json().await.unwrap();
            // Origin-form, as without a proxy (hyper shows HTTP/2's whole).
            assert!(seen.target.ends_with("/path?query"), "{}", seen.target);
            assert_eq!(seen.header("proxy-authorization"), None);
        }
        assert_eq!(
            (proxy.accepted() - before, server.accepted()),
            (1, 1),
            "one tunnel serves all"
        );
        let asked = proxy.asked().pop().unwrap();
        let place = format!("service.test:{}", server.port());
        assert_eq!(asked.what, format!("CONNECT {place}"));
        assert_eq!(
            asked.names(),
            ["host", "user-agent", "proxy-authorization"],
            "and nothing else"
        );
        assert_eq!(asked.header("host"), Some(&*place));
        assert!(asked.header("user-agent").unwrap().starts_with("httputil/"));
        assert_eq!(asked.header("proxy-authorization"), Some(BASIC));

        client.stop();
        eventually("the tunnel to close", || client.stats().open == 0).await;
        assert_balanced(&client.stats());
        baseline.assert_no_leak().await;
    }
}

#[tokio::test]
async fn an_address_and_the_schemes_own_port_are_spelled_out_to_the_proxy() {
    let proxy = Proxy::builder().start().await;
    let client = client_through(&proxy.url(), |_| {});
    for url in ["https://service.test/", "https://[::1]/", "https://127.0.0.1/"] {
        // Nobody listens on port 443 here, and the proxy says so.
        let error = failure(&client, url).await;
        assert_eq!(error.kind(), Kind::Proxy, "{error}");
    }
    let places = ["CONNECT service.test:443", "CONNECT [::1]:443", "CONNECT 127.0.0.1:443"];
    assert_eq!(proxy.wanted(), places);
    assert_eq!(proxy.asked()[1].header("host"), Some("[::1]:443"));
}

#[tokio::test]
async fn an_http_request_that_asks_for_another_protocol_takes_a_tunnel_of_its_own() {
    let (server, proxy) = (
        Server::builder().handler(echo).start().await,
        Proxy::builder().start().await,
    );
    let client = client_through(&proxy.url(), |_| {});
    let url = server.url("/");
    get(&client, &url).await.unwrap();
    let upgrade = client
        .get(&url)
        .header("connection", "upgrade")
        .header("upgrade", "thing/1");
    let seen: Echoed = upgrade.send().await.unwrap().json().await.unwrap();
    assert_eq!(seen.target, "/", "in origin-form");
    get(&client, &url).await.unwrap();
    let place = format!("127.0.0.1:{}", server.port());
    let (passed_on, tunnel) = (format!("GET http://{place}/"), format!("CONNECT {place}"));
    assert_eq!(proxy.wanted(), [&*passed_on, &tunnel, &passed_on]);
    let connections: Vec<usize> = proxy.asked().iter().map(|asked| asked.connection).collect();
    assert_eq!(connections, [0, 1, 0], "the two ways share no connection");
}

#[tokio::test]
async fn http2_without_tls_takes_a_tunnel() {
    let (server, proxy) = (Server::builder().h2().start().await, Proxy::builder().start().await);
    let client = client_through(&proxy.url(), |profile| profile.transport.http2.prior_knowledge = true);
    let response = client.get(server.url("/")).send().await.unwrap();
    assert_eq!(response.version(), Version::HTTP_2);
    assert_eq!(proxy.wanted(), [format!("CONNECT 127.0.0.1:{}", server.port())]);
}

#[tokio::test]
async fn a_proxy_that_wants_other_credentials_says_which_keys_to_look_at() {
    let (ca, proxy) = (Ca::new(), Proxy::builder().login("user", "right").start().await);
    let server = tls_server(&ca, Alpn::H1).await;
    for (user, advice) in [
        ("", "set proxy.username and proxy.password"),
        ("user:canary@", "refused the credentials"),
    ] {
        let client = client_through(&proxy.url_as("http", user), |_| {});
        let error = failure(&client, server.url("/")).await;
        assert_says(&error, Kind::Proxy, &["407", advice, &proxy.url()]);
        assert!(error.is_retryable());
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("canary") && !shown.contains("user:"), "{shown}");
        assert_balanced(&client.stats());
        assert_eq!(client.stats().dial_failures[3], ("proxy", 1));
    }
    assert_eq!(server.accepted(), 0);
}

#[tokio::test]
async fn connections_made_ahead_take_the_same_way() {
    let ca = Ca::new();
    let (server, plain) = (tls_server(&ca, Alpn::H1).await, Server::builder().start().await);
    let (trust, proxy) = (Trust::of([&ca]), Proxy::builder().start().await);
    let client = client_of(&trust, |profile| {
        profile.transport.proxy.url = Some(ProxyChoice::Through(proxy.url().into()));
        profile.transport.pool.warm = vec![server.url_for("service.test", ""), plain.url("")];
    });
    get(&client, plain.url("/")).await.unwrap();
    eventually("both to be idle", || client.stats().idle == 2).await;
    assert_eq!(
        client
            .get(server.url_for("service.test", "/"))
            .send()
            .await
            .unwrap()
            .status(),
        200
    );
    assert_eq!(client.stats().dialled, 2);
    assert_eq!(
        (proxy.accepted(), server.accepted()),
        (2, 1),
        "nobody was reached but through the proxy"
    );
}
