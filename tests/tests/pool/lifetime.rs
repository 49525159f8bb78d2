//! `pool.max_lifetime`: a connection that is old enough ends after what it bears.

use std::time::{Duration, Instant};

use httputil::{Client, CloseReason};
use httputil_tests::gate::Gate;
use httputil_tests::one_attempt;
use httputil_tests::server::{Server, handlers};

use crate::common::{TrustedCa, Way, assert_at_rest, get, spawn_get, until, url};

const LIFETIME: Duration = Duration::from_millis(100);

#[tokio::test]
async fn a_connection_past_its_lifetime_ends_after_the_requests_under_way() {
    let ca = TrustedCa::new();
    for way in Way::ALL {
        let gate = Gate::new();
        let server = way
            .start(Server::builder().handler(handlers::hold(&gate, handlers::by_path)), &ca)
            .await;
        let client = Client::new(ca.config().max_lifetime(LIFETIME)).unwrap();
        let requests: Vec<_> = (0..3).map(|_| spawn_get(&client, &url(&server, "/"))).collect();
        gate.arrived(3).await;
        let connections = server.accepted();
        // Give or take a tenth; the requests are held meanwhile.
        tokio::time::sleep(LIFETIME * 12 / 10).await;
        assert_eq!(server.open(), connections, "{way:?}: in use");

        gate.let_through(4);
        assert_eq!(get(&client, &url(&server, "/")).await, "hello");
        assert_eq!(
            server.accepted(),
            connections + 1,
            "{way:?}: the old take no new request"
        );
        for request in requests {
            assert_eq!(request.await.unwrap().unwrap(), "hello");
        }
        server.until_closed(connections).await;
        until(&client, "the old ones to be closed", |stats| {
            stats.closed_for(CloseReason::MaxLifetime) >= connections as u64
        })
        .await;
        assert_at_rest(&client).await;
    }
}

#[tokio::test]
async fn an_idle_connection_past_its_lifetime_is_closed() {
    let ca = TrustedCa::new();
    for way in Way::ALL {
        let server = way.start(Server::builder(), &ca).await;
        let client = Client::new(ca.config().max_lifetime(LIFETIME)).unwrap();
        let began = Instant::now();
        get(&client, &url(&server, "/")).await;
        server.until_open(0).await;
        assert!(began.elapsed() >= LIFETIME * 9 / 10, "{way:?}: {:?}", began.elapsed());
        until(&client, "it to be closed", |stats| stats.open == 0).await;
        assert_eq!(client.stats().closed_for(CloseReason::MaxLifetime), 1, "{way:?}");
        assert_at_rest(&client).await;
    }
}

#[tokio::test]
async fn connections_made_together_do_not_end_together() {
    let gate = Gate::new();
    let server = Server::builder()
        .handler(handlers::hold(&gate, handlers::by_path))
        .start()
        .await;
    let ca = TrustedCa::new();
    let lifetime = Duration::from_secs(1);
    // The shorter the idle time-out, the more closely the pool looks.
    let config = ca.config().max_lifetime(lifetime).idle_timeout(lifetime * 2);
    let client = Client::new(config.max_idle_per_host(30)).unwrap();
    let requests: Vec<_> = (0..30).map(|_| spawn_get(&client, &server.url("/"))).collect();
    gate.arrived(30).await;
    gate.open();
    for request in requests {
        request.await.unwrap().unwrap();
    }
    server.until_closed(1).await;
    let first = Instant::now();
    server.until_closed(30).await;
    // Thirty ends spread evenly over a fifth of the lifetime are all within a twentieth less often than once in 10^17.
    assert!(first.elapsed() >= lifetime / 20, "{:?}", first.elapsed());
    until(&client, "all to be closed", |stats| stats.open == 0).await;
    assert_eq!(client.stats().closed_for(CloseReason::MaxLifetime), 30);
    assert_at_rest(&client).await;
}

#[tokio::test]
async fn bounds_longer_than_the_clock_can_tell_are_none() {
    let server = Server::builder().start().await;
    let config = one_attempt()
        .idle_timeout(Duration::MAX)
        .max_lifetime(Duration::MAX)
        .pool_wait(Duration::MAX)
        .timeout(Duration::MAX);
    let client = Client::new(config).unwrap();
    for _ in 0..3 {
        assert_eq!(get(&client, &server.url("/")).await, "hello");
    }
    let stats = client.stats();
    assert_eq!((stats.dialled, stats.idle, stats.reuses), (1, 1, 2), "{stats:?}");
    assert_at_rest(&client).await;
}

#[tokio::test]
async fn past_its_lifetime_the_only_connection_that_may_be_serves_on_beside_a_long_request() {
    let gate = Gate::new();
    let held = gate.clone();
    let handler = move |request: http::Request<_>| {
        let held = held.clone();
        async move {
            if request.uri().path() == "/long" {
                held.pass().await;
            }
            handlers::full("hello")
        }
    };
    let server = Server::builder().h2().handler(handler).start().await;
    let config = one_attempt().max_lifetime(LIFETIME).http2_prior_knowledge(true);
    let client = Client::new(config.max_connections_per_host(1)).unwrap();
    let long = spawn_get(&client, &server.url("/long"));
    gate.arrived(1).await;
    tokio::time::sleep(LIFETIME * 12 / 10).await;
    // Waiting longer than `timeouts.pool_wait` would be an error.
    for _ in 0..10 {
        assert_eq!(get(&client, &server.url("/")).await, "hello");
    }
    assert_eq!(server.accepted(), 1);
    gate.open();
    assert_eq!(long.await.unwrap().unwrap(), "hello");
    assert_eq!(get(&client, &server.url("/")).await, "hello");
    assert_eq!(server.accepted(), 2, "it ends with what it bore");
    assert_eq!(client.stats().closed_for(CloseReason::MaxLifetime), 1);
    assert_at_rest(&client).await;
}
