//! Leases: what stop, shutdown and drop do to the pool.

use std::sync::Arc;
use std::time::Duration;

use httputil::{Client, CloseReason, Config, Environment, Kind, Registry, Shutdown};
use httputil_tests::gate::Gate;
use httputil_tests::leaks::Baseline;
use httputil_tests::server::{Server, handlers};
use httputil_tests::tcp::ClosedPort;

use crate::common::{TrustedCa, Way, assert_accounted, client, get, until, url};

fn registry() -> Registry {
    let config = Config::builder()
        .env(&Environment::empty())
        .set("default.retry.max_attempts", "1")
        .load()
        .unwrap();
    Registry::builder().config(config).build().unwrap()
}

#[tokio::test]
async fn the_last_lease_closes_the_idle_and_another_keeps_them() {
    let server = Server::builder().start().await;
    let registry = registry();
    let (one, other) = (registry.client("default").unwrap(), registry.client("default").unwrap());
    get(&one, &server.url("/")).await;
    get(&other, &server.url("/")).await;
    assert_eq!(server.accepted(), 1, "two leases share the pool");

    one.stop();
    assert_eq!(get(&other, &server.url("/")).await, "hello");
    assert_eq!((server.accepted(), server.open()), (1, 1));

    drop(other);
    server.until_open(0).await;
    let stats = registry.stats();
    let pool = stats.pool("default").unwrap();
    assert_eq!(
        (pool.open, pool.leases, pool.closed_for(CloseReason::Stopped)),
        (0, 0, 1)
    );
}

#[tokio::test]
async fn counters_survive_leasing_anew() {
    let server = Server::builder().start().await;
    let registry = registry();
    for round in 1..=3 {
        let client = registry.client("default").unwrap();
        get(&client, &server.url("/")).await;
        assert_eq!(client.stats().dialled, round);
        client.stop();
        server.until_open(0).await;
    }
}

#[tokio::test]
async fn two_registries_share_nothing() {
    let server = Server::builder().start().await;
    let (one, other) = (registry(), registry());
    let (first, second) = (one.client("default").unwrap(), other.client("default").unwrap());
    get(&first, &server.url("/")).await;
    get(&second, &server.url("/")).await;
    assert_eq!(server.accepted(), 2);
    first.stop();
    server.until_open(1).await;
    assert_eq!((one.stats().open(), other.stats().open()), (0, 1));
}

#[tokio::test]
async fn after_stop_every_clone_refuses_and_what_is_under_way_finishes() {
    let ca = TrustedCa::new();
    for way in Way::ALL {
        let gate = Gate::new();
        let server = way
            .start(Server::builder().handler(handlers::hold(&gate, handlers::by_path)), &ca)
            .await;
        let client = ca.client();
        let clone = client.clone();
        let request = tokio::spawn({
            let (client, url) = (client.clone(), url(&server, "/"));
            async move { get(&client, &url).await }
        });
        gate.arrived(1).await;
        client.stop();
        client.stop();
        let error = clone.get(url(&server, "/")).send().await.unwrap_err();
        assert_eq!(error.kind(), Kind::Stopped, "{error}");
        assert!(clone.is_stopped());
        gate.open();
        assert_eq!(request.await.unwrap(), "hello");
        server.until_open(0).await;
    }
}

#[tokio::test]
async fn shutdown_waits_for_the_requests_and_their_bodies() {
    let gate = Gate::new();
    let server = Server::builder().handler(handlers::hold_body(&gate)).start().await;
    let client = client();
    let response = client.get(server.url("/")).send().await.unwrap();
    let shutdown = tokio::spawn({
        let client = client.clone();
        async move { client.shutdown(Duration::from_secs(30)).await }
    });
    until(&client, "the lease to end", |stats| stats.leases == 0).await;
    assert!(!shutdown.is_finished());
    gate.open();
    response.bytes().await.unwrap();
    let Shutdown { finished, left, .. } = shutdown.await.unwrap();
    assert_eq!((finished, left), (1, 0));
    server.until_open(0).await;
}

#[tokio::test]
async fn a_bare_clone_in_a_task_keeps_the_lease() {
    let server = Server::builder().start().await;
    let client = client();
    get(&client, &server.url("/")).await;
    let (send, receive) = tokio::sync::oneshot::channel::<()>();
    let task = tokio::spawn({
        let client = client.clone();
        async move {
            let _ = receive.await;
            drop(client);
        }
    });
    drop(client);
    assert_eq!(server.open(), 1);
    send.send(()).unwrap();
    task.await.unwrap();
    server.until_open(0).await;
}

#[tokio::test]
async fn dropping_a_client_while_its_answer_is_read_closes_the_connection_after_it() {
    let gate = Gate::new();
    let server = Server::builder().handler(handlers::hold_body(&gate)).start().await;
    let client = client();
    let response = client.get(server.url("/")).send().await.unwrap();
    drop(client);
    gate.open();
    assert!(!response.bytes().await.unwrap().is_empty());
    server.until_open(0).await;
}

#[test]
fn a_client_dropped_outside_a_runtime_and_in_a_panic_is_harmless() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let (server, client) = runtime.block_on(async {
        let server = Server::builder().start().await;
        let client = client();
        get(&client, &server.url("/")).await;
        (server, client)
    });
    let in_panic = client.clone();
    let panicked = std::thread::spawn(move || {
        let _held = in_panic;
        panic!("on purpose");
    });
    assert!(panicked.join().is_err());
    std::thread::spawn(move || drop(client)).join().unwrap();
    runtime.block_on(server.until_open(0));
    drop(server);
}

#[tokio::test]
async fn requests_stops_and_errors_in_turn_leave_nothing_behind() {
    // By port: other tests of this process open and close sockets of their own meanwhile.
    let port = Arc::new(ClosedPort::new());
    let baseline = Baseline::take_on(port.port());
    {
        let server = Server::builder().start_on(port).await;
        let registry = registry();
        for round in 0..60_usize {
            let client = registry.client("default").unwrap();
            let url = server.url(if round % 3 == 0 { "/bytes/300000" } else { "/" });
            match round % 5 {
                0 => drop(client.get(url).send().await.unwrap()),
                1 => drop(tokio::time::timeout(Duration::from_micros(50), client.get(url).send()).await),
                2 => drop(client.get("http://127.0.0.1:1/").send().await.unwrap_err()),
                _ => drop(get(&client, &url).await),
            }
            if round % 2 == 0 {
                client.stop();
            }
        }
        let last: Client = registry.client("default").unwrap();
        last.stop();
        server.until_open(0).await;
        until(&last, "all to be closed", |stats| {
            stats.open == 0 && stats.dials_in_progress == 0
        })
        .await;
        assert_accounted(&last.stats());
        server.stop().await;
    }
    baseline.assert_no_leak().await;
}
