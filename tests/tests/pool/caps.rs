//! How many connections may be idle. (For how long: `httputil/src/client/tests.rs`, with the clock paused.)

use std::time::Duration;

use httputil::{Client, CloseReason};
use httputil_tests::gate::Gate;
use httputil_tests::one_attempt;
use httputil_tests::server::{Server, handlers};

use crate::common::{TrustedCa, Way, assert_accounted, get, until, url};

/// Opens `n` connections to the server by holding `n` requests at once, then lets them all end.
async fn open(client: &Client, server: &Server, gate: &Gate, n: usize) {
    gate.shut();
    let requests: Vec<_> = (0..n)
        .map(|_| {
            let (client, url) = (client.clone(), server.url("/"));
            tokio::spawn(async move { get(&client, &url).await })
        })
        .collect();
    server
        .until("all requests to be held", move |seen| seen.in_flight >= n)
        .await;
    gate.open();
    for request in requests {
        request.await.unwrap();
    }
}

async fn held_server() -> (Server, Gate) {
    let gate = Gate::new();
    (
        Server::builder()
            .handler(handlers::hold(&gate, handlers::by_path))
            .start()
            .await,
        gate,
    )
}

#[tokio::test]
async fn no_more_than_max_idle_per_host_stay_idle() {
    let (server, gate) = held_server().await;
    let client = Client::new(one_attempt().max_idle_per_host(3)).unwrap();
    open(&client, &server, &gate, 8).await;
    server.until_open(3).await;
    until(&client, "three to be idle", |stats| stats.idle == 3 && stats.open == 3).await;
    assert_eq!(client.stats().closed_for(CloseReason::IdleCap), 5);
    assert_accounted(&client.stats());
}

#[tokio::test]
async fn beyond_max_idle_the_least_recently_used_of_any_host_is_closed() {
    let servers = [held_server().await, held_server().await, held_server().await];
    let client = Client::new(one_attempt().max_idle(4)).unwrap();
    for (server, gate) in &servers {
        open(&client, server, gate, 2).await;
    }
    let [(first, _), (second, _), (third, _)] = &servers;
    first.until_open(0).await;
    until(&client, "four to be idle", |stats| stats.idle == 4 && stats.open == 4).await;
    assert_eq!((second.open(), third.open()), (2, 2));
}

#[tokio::test]
async fn zero_means_no_idle_connection_not_any_number() {
    for config in [one_attempt().max_idle(0), one_attempt().max_idle_per_host(0)] {
        let server = Server::builder().start().await;
        let client = Client::new(config).unwrap();
        get(&client, &server.url("/")).await;
        server.until_open(0).await;
        get(&client, &server.url("/")).await;
        assert_eq!(server.accepted(), 2);
        server.until_open(0).await;
    }
}

#[tokio::test]
async fn zero_means_none_for_http2_too() {
    let ca = TrustedCa::new();
    let server = Way::H2Tls.start(Server::builder(), &ca).await;
    let client = Client::new(ca.config().max_idle(0)).unwrap();
    get(&client, &url(&server, "/")).await;
    server.until_open(0).await;
}

#[tokio::test]
async fn idle_time_out_closes_without_traffic_as_the_server_sees() {
    let ca = TrustedCa::new();
    for way in Way::ALL {
        let server = way.start(Server::builder(), &ca).await;
        let client = Client::new(ca.config().idle_timeout(Duration::from_millis(50))).unwrap();
        get(&client, &url(&server, "/")).await;
        server.until_open(0).await;
        until(&client, "it to be closed", |stats| stats.open == 0).await;
        assert_eq!(client.stats().closed_for(CloseReason::IdleTimeout), 1, "{way:?}");
    }
}
