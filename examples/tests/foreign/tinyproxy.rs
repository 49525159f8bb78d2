//! The way through tinyproxy: whole requests, tunnels, its login.

use std::path::Path;

use http::StatusCode;
use httputil::{Client, Kind, Registry};
use httputil_tests::ca::Ca;
use httputil_tests::server::Server;
use httputil_tests::server::handlers::{self, Echoed};
use httputil_tests::tcp::ClosedPort;
use httputil_tests::tls::{Alpn, ServerTls};
use httputil_tests::{PATIENCE, within};
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::program::{Program, written};
use crate::support::registry;

const REQUESTS: usize = 40;

async fn proxy() -> Program {
    Program::start(|folder: &Path, port| {
        let settings = format!(
            "Port {port}\nListen 127.0.0.1\nTimeout 60\nMaxClients 100\nLogLevel Connect\n\
             Allow 127.0.0.1\nBasicAuth us canary\n"
        );
        let settings = written(folder, "tinyproxy.conf", &settings);
        ["tinyproxy", "-d", "-c", &settings].map(str::to_owned).to_vec()
    })
    .await
}

/// A client that goes through it, known to it by this login.
fn through(proxy: &Program, login: &str, ca: &Ca) -> (Registry, Client, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let roots = written(folder.path(), "ca.pem", &ca.pem());
    let registry = registry([
        ("default.proxy.url", format!("http://{login}127.0.0.1:{}", proxy.port())),
        ("default.tls.ca_file", roots),
        ("default.retry.max_attempts", "3".to_owned()),
    ]);
    let client = registry.client("default").unwrap();
    (registry, client, folder)
}

/// So many requests, eight at once, each with a body of its own.
async fn all(client: &Client, url: &str) -> Vec<Echoed> {
    let mut under_way = JoinSet::new();
    let mut seen = Vec::new();
    for number in 0..REQUESTS {
        // tinyproxy closes after each whole request that it has passed on, and does not say so: one that must not be sent twice
        // may meet that close.
        let request = client.post(url).idempotent(true).body(format!("body {number}"));
        under_way.spawn(async move {
            let answer: Echoed = request.send().await.unwrap().json().await.unwrap();
            assert_eq!(answer.body, format!("body {number}"));
            answer
        });
        if under_way.len() == 8 {
            seen.push(under_way.join_next().await.unwrap().unwrap());
        }
    }
    seen.extend(under_way.join_all().await);
    seen
}

#[tokio::test]
async fn whole_requests_go_through_tinyproxy() {
    let (proxy, ca) = (proxy().await, Ca::new());
    let server = Server::builder().handler(handlers::echo).start().await;
    let (_registry, client, _folder) = through(&proxy, "us:canary@", &ca);
    let seen = within(PATIENCE, all(&client, &server.url("/a?b"))).await;
    assert_eq!(seen.len(), REQUESTS);
    for request in &seen {
        let via = request.header("via").unwrap_or_default();
        assert!(via.contains("tinyproxy"), "{request:?}");
        assert_eq!(request.header("proxy-authorization"), None, "the login is the proxy's");
        assert_eq!(request.target, "/a?b");
    }
    println!("tinyproxy: {REQUESTS} requests forwarded, login taken, none told to the server");
}

#[tokio::test]
async fn tunnels_go_through_tinyproxy_in_both_protocols() {
    let proxy = proxy().await;
    for (alpn, version) in [(Alpn::H1, "HTTP/1.1"), (Alpn::H2, "HTTP/2.0")] {
        let ca = Ca::new();
        let tls = ServerTls::new(ca.issue(["127.0.0.1"])).alpn(alpn).build();
        let server = Server::builder().tls(tls).handler(handlers::echo).start().await;
        let (_registry, client, _folder) = through(&proxy, "us:canary@", &ca);
        let seen = within(PATIENCE, all(&client, &server.url("/"))).await;
        for request in &seen {
            assert_eq!((request.version.as_str(), request.header("via")), (version, None));
        }
        assert!(server.accepted() <= 8, "{} tunnels", server.accepted());
        let tunnel = format!("CONNECT 127.0.0.1:{}", server.port());
        let tunnels = proxy.said().matches(&tunnel).count();
        assert_eq!(tunnels, server.accepted(), "{}", proxy.said());
        println!("tinyproxy: {REQUESTS} requests of {version} through {tunnels} tunnels, TLS end to end");
    }
}

#[tokio::test]
async fn a_login_that_tinyproxy_refuses_is_the_proxy_s_own_error_and_is_tried_once() {
    let (proxy, ca) = (proxy().await, Ca::new());
    let tls = ServerTls::new(ca.issue(["127.0.0.1"])).build();
    let secure = Server::builder().tls(tls).start().await;
    let plain = Server::builder().start().await;
    for (login, url, status) in [
        ("us:wrong@", secure.url("/"), "401"),
        ("", secure.url("/"), "407"),
        ("", plain.url("/"), "407"),
    ] {
        let (_registry, client, _folder) = through(&proxy, login, &ca);
        let error = client.get(&url).send().await.unwrap_err();
        assert_eq!(error.kind(), Kind::Proxy, "{login} {url}: {error}");
        assert_eq!(client.stats().retries, 0, "{error}");
        let error = error.to_string();
        assert!(error.contains(status) && error.contains("credentials"), "{error}");
        assert!(!error.contains("wrong"), "{error}");
    }
    // A wrong login of a whole request it answers as a server would that wants one.
    let (_registry, client, _folder) = through(&proxy, "us:wrong@", &ca);
    let answer = client.get(plain.url("/")).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert_eq!((client.stats().requests, client.stats().retries), (1, 0));
    assert_eq!((secure.accepted(), plain.accepted()), (0, 0));
    println!("tinyproxy: a login that it refuses, or misses, is an error of the proxy, tried once");
}

#[tokio::test]
async fn a_server_that_tinyproxy_cannot_reach_is_told_by_the_proxy_s_status() {
    let (proxy, ca) = (proxy().await, Ca::new());
    let (_registry, client, _folder) = through(&proxy, "us:canary@", &ca);
    let closed = ClosedPort::new();
    let url = |scheme| format!("{scheme}://127.0.0.1:{}/", closed.port());
    let error = client.get(url("https")).send().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Proxy, "{error}");
    let answer = client.get(url("http")).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
    println!("tinyproxy: what it cannot reach is told by its own status");
}
