//! The end of all services of a registry, with requests under way.

use std::time::Duration;

use httputil::{Client, Config, Kind, PooledClient, Registry};
use httputil_tests::gate::Gate;
use httputil_tests::server::{Server, handlers};

use crate::common::{get, until};

#[derive(PooledClient)]
#[pooled_client(profile = "earlier", unchecked)]
struct Earlier {
    client: Client,
}

#[derive(PooledClient)]
#[pooled_client(profile = "later", unchecked)]
struct Later {
    client: Client,
}

fn registry() -> Registry {
    let config = Config::builder()
        .embedded("profiles", "[earlier]\n[later]\n")
        .load()
        .unwrap();
    Registry::builder().config(config).build().unwrap()
}

#[tokio::test]
async fn a_service_is_used_until_those_that_came_after_it_have_finished() {
    let gate = Gate::new();
    let held = Server::builder().handler(handlers::hold_body(&gate)).start().await;
    let free = Server::builder().start().await;
    let registry = registry();
    let earlier = Earlier::with_registry(&registry).unwrap();
    let later = Later::with_registry(&registry).unwrap();
    let response = later.client.get(held.url("/")).send().await.unwrap();
    let shutdown = tokio::spawn({
        let registry = registry.clone();
        async move { registry.shutdown(Duration::from_secs(30)).await }
    });
    until(&later.client, "the later one to stop", |stats| stats.leases == 0).await;
    assert_eq!(get(&earlier.client, &free.url("/")).await, "hello");
    assert!(!shutdown.is_finished() && !earlier.client.is_stopped());

    gate.open();
    response.bytes().await.unwrap();
    let report = shutdown.await.unwrap();
    assert_eq!((report.finished, report.left), (1, 0));
    let error = earlier.client.get(free.url("/")).send().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Stopped);
    held.until_open(0).await;
    free.until_open(0).await;
}

#[tokio::test]
async fn when_the_grace_is_over_the_rest_is_stopped_without_waiting() {
    let gate = Gate::new();
    let held = Server::builder().handler(handlers::hold_body(&gate)).start().await;
    let registry = registry();
    let (earlier, later) = (
        Earlier::with_registry(&registry).unwrap(),
        Later::with_registry(&registry).unwrap(),
    );
    let one = earlier.client.get(held.url("/")).send().await.unwrap();
    let two = later.client.get(held.url("/")).send().await.unwrap();
    let report = registry.shutdown(Duration::from_millis(10)).await;
    assert_eq!((report.finished, report.left), (0, 2));
    assert!(earlier.client.is_stopped() && later.client.is_stopped());
    // They go on, and end.
    gate.open();
    one.bytes().await.unwrap();
    two.bytes().await.unwrap();
    held.until_open(0).await;
}
