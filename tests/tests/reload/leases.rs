//! Who follows a reload, and who does not: leases, profiles that come and go, pools of one's own.

use std::time::{Duration, Instant};

use httputil::{Client, ClientConfig, CloseReason, Kind, PooledClient, ProfileChange};
use httputil_tests::gate::Gate;
use httputil_tests::server::{Server, handlers};

use crate::common::{assert_all_gone, get, spawn_get, until};
use crate::scene::{config, echoed, registry, stats};

#[tokio::test]
async fn clients_of_a_profile_that_is_gone_go_on_and_follow_it_again_when_it_is_back() {
    let server = Server::builder().start().await;
    let registry = registry("[telemetry]\nuser_agent = 'one'");
    let client = registry.client("telemetry").unwrap();
    let agent = async || {
        let seen = echoed(&client, &server.url("/echo")).await;
        seen.header("user-agent").map(str::to_owned)
    };
    assert_eq!(agent().await.as_deref(), Some("one"));
    let report = registry.reload(config("user_agent = 'default'\n[search]")).unwrap();
    assert_eq!(report.profile("telemetry"), Some(ProfileChange::Removed { clients: 1 }));
    assert_eq!(report.profile("search"), Some(ProfileChange::Added));
    assert_eq!(
        report.to_string(),
        "default: policy; search: added; telemetry: removed, 1 client goes on"
    );
    assert_eq!(agent().await.as_deref(), Some("one"));
    assert_eq!(registry.client("telemetry").unwrap_err().kind(), Kind::Config);
    registry.client("search").unwrap();
    let report = registry.reload(config("[telemetry]\nuser_agent = 'three'")).unwrap();
    assert_eq!(report.profile("telemetry"), Some(ProfileChange::Added));
    assert_eq!(agent().await.as_deref(), Some("three"));
    assert_eq!(server.accepted(), 1);
    assert_all_gone(&client).await;
}

#[tokio::test]
async fn a_profile_that_names_another_pool_takes_its_leases_there() {
    let server = Server::builder().start().await;
    let registry = registry("[telemetry]\n[search]");
    let [one, other] = ["telemetry", "search"].map(|name| registry.client(name).unwrap());
    get(&one, &server.url("/")).await;
    let shared = "[telemetry]\npool.name = 'shared'\n[search]\npool.name = 'shared'";
    let report = registry.reload(config(shared)).unwrap();
    assert_eq!(report.profile("telemetry"), Some(ProfileChange::Transport));
    // Nobody holds the pool that they left.
    server.until_open(0).await;
    assert_eq!(
        (stats(&registry, "telemetry").leases, stats(&registry, "shared").leases),
        (0, 2)
    );
    get(&one, &server.url("/")).await;
    get(&other, &server.url("/")).await;
    assert_eq!(server.accepted(), 2, "one connection for both");
    one.stop();
    assert_eq!(stats(&registry, "shared").leases, 1);
    registry.reload(config("[telemetry]\n[search]")).unwrap();
    server.until_open(0).await;
    assert_eq!(
        (stats(&registry, "telemetry").leases, stats(&registry, "search").leases),
        (0, 1)
    );
    get(&other, &server.url("/")).await;
    drop(other);
    server.until_open(0).await;
    let left = registry.stats();
    assert!(left.pools.iter().all(|pool| pool.leases == 0), "{left:?}");
}

#[tokio::test]
async fn those_who_wait_at_a_pool_that_all_have_left_are_served_by_the_new_settings() {
    let gate = Gate::new();
    let server = Server::builder().handler(handlers::hold_body(&gate)).start().await;
    let registry = registry("[telemetry.pool]\nmax_connections_per_host = 1");
    let client = registry.client("telemetry").unwrap();
    let held = client.get(server.url("/")).send().await.unwrap();
    let waiting = spawn_get(&client, &server.url("/"));
    until(&client, "one to wait", |stats| stats.waiting == 1).await;
    registry
        .reload(config("[telemetry.pool]\nname = 'other'\nmax_connections_per_host = 2"))
        .unwrap();
    // No connection comes home before this, so it is dialled for under the cap that is now.
    server.until_accepted(2).await;
    gate.open();
    held.bytes().await.unwrap();
    waiting.await.unwrap().unwrap();
    server.until_open(0).await;
}

#[derive(PooledClient)]
#[pooled_client(profile = "telemetry", isolated, unchecked)]
struct Isolated {
    client: Client,
}

#[tokio::test]
async fn a_service_with_a_pool_of_its_own_follows_its_profile() {
    let server = Server::builder().start().await;
    let registry = registry("[telemetry]\nuser_agent = 'one'");
    let service = Isolated::with_registry(&registry).unwrap();
    let shared = registry.client("telemetry").unwrap();
    get(&shared, &server.url("/")).await;
    get(&service.client, &server.url("/")).await;
    let report = registry
        .reload(config("[telemetry]\nuser_agent = 'two'\ntcp.nodelay = false"))
        .unwrap();
    assert_eq!(report.renewed_pools, ["telemetry", "telemetry/Isolated"]);
    server.until_open(0).await;
    let seen = echoed(&service.client, &server.url("/echo")).await;
    assert_eq!((seen.header("user-agent"), seen.connection), (Some("two"), 2));
    assert_eq!(stats(&registry, "telemetry/Isolated").leases, 1);
    assert_eq!(registry.services()[0].pool, "telemetry/Isolated");
    drop(service);
    server.until_open(0).await;
}

#[tokio::test]
async fn a_client_made_in_code_follows_no_configuration() {
    let server = Server::builder().start().await;
    let client = Client::new(ClientConfig::default().user_agent("mine")).unwrap();
    get(&client, &server.url("/")).await;
    registry("")
        .reload(config("user_agent = 'other'\ntcp.nodelay = false"))
        .unwrap();
    let seen = echoed(&client, &server.url("/echo")).await;
    assert_eq!((seen.header("user-agent"), seen.connection), (Some("mine"), 0));
}

#[tokio::test]
async fn a_client_that_was_stopped_stays_so_and_a_shutdown_waits_across_a_reload() {
    let gate = Gate::new();
    let server = Server::builder().handler(handlers::hold_body(&gate)).start().await;
    let registry = registry("[telemetry]");
    let [stopped, client] = [(); 2].map(|()| registry.client("telemetry").unwrap());
    stopped.stop();
    let held = client.get(server.url("/")).send().await.unwrap();
    registry.reload(config("[telemetry]\npool.name = 'other'")).unwrap();
    assert_eq!(
        stopped.get(server.url("/")).send().await.unwrap_err().kind(),
        Kind::Stopped
    );
    let shutdown = tokio::spawn({
        let client = client.clone();
        async move { client.shutdown(Duration::from_secs(30)).await }
    });
    until(&client, "the lease to end", |stats| stats.leases == 0).await;
    registry.reload(config("[telemetry]")).unwrap();
    gate.open();
    held.bytes().await.unwrap();
    assert_eq!(shutdown.await.unwrap().finished, 1);
    server.until_open(0).await;
    assert!(registry.stats().pools.iter().all(|pool| pool.leases == 0));
}

#[tokio::test]
async fn the_cap_over_all_pools_is_another_one_at_once() {
    let gate = Gate::new();
    let server = Server::builder().handler(handlers::hold_body(&gate)).start().await;
    let registry = registry("[registry]\nmax_connections = 1");
    let client = registry.client("default").unwrap();
    let held = client.get(server.url("/")).send().await.unwrap();
    let waiting = spawn_get(&client, &server.url("/"));
    until(&client, "one to wait", |stats| stats.waiting == 1).await;
    let report = registry.reload(config("[registry]\nmax_connections = 2")).unwrap();
    assert!(report.registry && report.renewed_pools.is_empty(), "{report}");
    server.until_accepted(2).await;
    // Down again: those that are there go on, and no other is dialled.
    registry.reload(config("[registry]\nmax_connections = 1")).unwrap();
    gate.open();
    held.bytes().await.unwrap();
    waiting.await.unwrap().unwrap();
    assert_eq!(server.accepted(), 2);
    assert_all_gone(&client).await;
}

#[tokio::test]
async fn a_lower_cap_over_all_pools_closes_what_another_pool_keeps_idle_beyond_it_when_somebody_waits() {
    let lines = |max: usize| format!("[registry]\nmax_connections = {max}\n[a]\npool.max_idle_per_host = 32\n[b]");
    let registry = registry(&lines(24));
    let (a, b) = (registry.client("a").unwrap(), registry.client("b").unwrap());
    let gate = Gate::new();
    let server = Server::builder().handler(handlers::hold_body(&gate)).start().await;
    let mut held = Vec::new();
    for _ in 0..20 {
        held.push(a.get(server.url("/")).send().await.unwrap());
    }
    gate.open();
    // Some are idle by now, and others in use.
    for response in held.drain(..12) {
        response.bytes().await.unwrap();
    }
    until(&a, "some to be idle", |stats| stats.idle == 12).await;
    registry.reload(config(&lines(4))).unwrap();
    assert_eq!(a.stats().open, 20, "nobody waits");
    let other = Server::builder().start().await;
    let waiting = spawn_get(&b, &other.url("/"));
    until(&a, "the idle ones to be closed", |stats| stats.open == 8).await;
    assert_eq!(other.accepted(), 0);
    // As those in use end, they go until there is room.
    for response in held {
        response.bytes().await.unwrap();
    }
    let began = Instant::now();
    waiting.await.unwrap().unwrap();
    assert!(began.elapsed() < Duration::from_secs(1), "one was closed each second");
    until(&a, "no more to be closed than are too many", |stats| stats.idle == 3).await;
    assert_eq!(a.stats().closed_for(CloseReason::MadeRoom), 17);
    for client in [&a, &b] {
        assert_all_gone(client).await;
    }
}
