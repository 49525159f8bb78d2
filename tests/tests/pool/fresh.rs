//! Requests that want a connection of their own, beside others that take any, where a cap is reached.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::StatusCode;
use httputil::{Client, Config, Environment, Kind, Registry};
use httputil_tests::resolver::{Answer, ScriptedResolver};
use httputil_tests::server::{ConnectionNumber, Server, handlers};
use httputil_tests::tls::Alpn;
use httputil_tests::{PATIENCE, within};

use crate::common::{TrustedCa, assert_all_gone, get, h2_client, load, spawn_get, until};

/// Each cap that two connections reach.
const CAPS: [&str; 3] = [
    "pool.max_connections_per_host = 2",
    "pool.max_connections = 2",
    "[registry]\nmax_connections = 2",
];

/// The registry has to be kept as long as its client is used.
fn client(lines: &str) -> (Registry, Client) {
    let mut toml = "[default]\nbreaker.enabled = false\nretry.backoff.base = '1ms'\n".to_owned();
    toml.push_str(lines);
    let config = Config::builder().embedded("test.toml", toml);
    let config = config.env(&Environment::empty()).load().unwrap();
    let registry = Registry::builder().config(config).build().unwrap();
    let client = registry.client("default").unwrap();
    (registry, client)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_connection_is_had_at_a_cap_however_many_requests_come_after() {
    for cap in CAPS {
        let server = Server::builder().start().await;
        let (_registry, client) = client(cap);
        let mut load = load(&client, &server.url("/")).await;
        let before = server.accepted();
        // Waiting longer than `timeouts.pool_wait` would be an error.
        let request = client.get(server.url("/")).fresh_connection(true);
        assert_eq!(request.send().await.unwrap().text().await.unwrap(), "hello", "{cap}");
        assert!(server.accepted() > before && server.open() <= 2, "{cap}");
        // And the others go on.
        let before = client.stats().requests;
        until(&client, "the others", move |stats| stats.requests > before + 100).await;
        load.shutdown().await;
        assert_all_gone(&client).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_at_a_cap_takes_what_comes_home_and_costs_no_connection() {
    for cap in CAPS {
        let has_failed = Arc::new(AtomicBool::new(false));
        let server = Server::builder()
            .handler(move |request| {
                let is_first = request.uri().path() == "/flaky" && !has_failed.swap(true, Ordering::SeqCst);
                async move {
                    if is_first {
                        handlers::status(StatusCode::SERVICE_UNAVAILABLE)
                    } else {
                        handlers::full("hello")
                    }
                }
            })
            .start()
            .await;
        let (_registry, client) = client(cap);
        let mut load = load(&client, &server.url("/")).await;
        let answer = client.get(server.url("/flaky")).send().await.unwrap();
        assert_eq!(answer.text().await.unwrap(), "hello", "{cap}");
        assert_eq!((client.stats().retries, server.accepted()), (1, 2), "{cap}");
        load.shutdown().await;
        assert_all_gone(&client).await;
    }
}

#[tokio::test]
async fn over_http2_an_unused_connection_makes_room_for_a_new_one_where_there_may_be_no_more() {
    for max in [1, 2] {
        let handler = |request: http::Request<_>| async move {
            let is_first = request.extensions().get() == Some(&ConnectionNumber(0));
            if is_first && request.uri().path() == "/misdirected" {
                handlers::status(StatusCode::MISDIRECTED_REQUEST)
            } else {
                handlers::full("hello")
            }
        };
        let server = Server::builder().h2().handler(handler).start().await;
        let client = h2_client(|transport| transport.http2.max_connections_per_host = max);
        let at_rest = || until(&client, "it to be unused", |stats| stats.in_use == 0 && stats.idle > 0);
        assert_eq!(get(&client, &server.url("/")).await, "hello");
        at_rest().await;
        assert_eq!(get(&client, &server.url("/misdirected")).await, "hello", "by another");
        for accepted in 3..6 {
            at_rest().await;
            let request = client.get(server.url("/")).fresh_connection(true);
            assert_eq!(request.send().await.unwrap().text().await.unwrap(), "hello");
            assert_eq!(server.accepted(), accepted);
        }
        server.until_open(max).await;
        assert_all_gone(&client).await;
    }
}

#[tokio::test]
async fn over_http2_the_connection_serves_on_where_a_new_one_cannot_be_dialled() {
    let handler = |request: http::Request<_>| async move {
        match request.uri().path() {
            "/misdirected" => handlers::status(StatusCode::MISDIRECTED_REQUEST),
            _ => handlers::full("hello"),
        }
    };
    let server = Server::builder().h2().handler(handler).start().await;
    let client = h2_client(|transport| transport.http2.max_connections_per_host = 1);
    assert_eq!(get(&client, &server.url("/")).await, "hello");
    let at_rest = || until(&client, "it to be unused", |stats| stats.in_use == 0 && stats.idle > 0);
    server.stop_listening().await;
    at_rest().await;
    let fresh = client.get(server.url("/")).fresh_connection(true).send().await;
    let error = fresh.unwrap_err();
    assert_eq!(error.kind(), Kind::Connect, "{error:?}");
    for path in ["/misdirected", "/"] {
        at_rest().await;
        let answer = within(PATIENCE, client.get(server.url(path)).send()).await.unwrap();
        assert_eq!(answer.status() == StatusCode::OK, path == "/", "{path}");
    }
    assert_eq!((server.accepted(), client.stats().closed_total()), (1, 0));
    assert_all_gone(&client).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_keeps_the_only_connection_for_others_while_new_handshakes_hang() {
    let ca = TrustedCa::new();
    for (alpn, cap) in [
        (Alpn::H2, "http2.max_connections_per_host = 1"),
        (Alpn::H1, "pool.max_connections_per_host = 1"),
        (Alpn::H1, "pool.max_connections = 1"),
    ] {
        let has_failed = Arc::new(AtomicBool::new(false));
        let server = Server::builder()
            .tls(ca.server(alpn))
            .handler(move |request: http::Request<_>| {
                let is_first = request.uri().path() == "/flaky" && !has_failed.swap(true, Ordering::SeqCst);
                async move {
                    if is_first {
                        handlers::status(StatusCode::SERVICE_UNAVAILABLE)
                    } else {
                        handlers::full("hello")
                    }
                }
            })
            .start()
            .await;
        let lines = format!("[api]\nretry.max_attempts = 3\nretry.backoff.base = '1ms'\n{cap}\n");
        let registry = ca.registry(
            &lines,
            &ScriptedResolver::new().name("localhost", Answer::to(["127.0.0.1:0"])),
        );
        let client = registry.client("api").unwrap();
        let url = |path: &str| format!("https://localhost:{}{path}", server.port());
        assert_eq!(get(&client, &url("/")).await, "hello");
        until(&client, "it to be unused", |stats| stats.in_use == 0 && stats.idle > 0).await;
        let silent = server.fall_silent().await;
        let flaky = spawn_get(&client, &url("/flaky"));
        until(&client, "a retry", |stats| stats.retries == 1).await;
        for _ in 0..4 {
            assert_eq!(within(PATIENCE, get(&client, &url("/"))).await, "hello", "{cap}");
        }
        assert_eq!(flaky.await.unwrap().unwrap(), "hello", "{cap}");
        assert_eq!(client.stats().closed_total(), 0, "{cap}");
        drop(silent);
        assert_all_gone(&client).await;
    }
}
