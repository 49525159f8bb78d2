//! What one profile suffers, others do not: each has a pool of its own.

use httputil::{Client, Registry};
use httputil_tests::gate::Gate;
use httputil_tests::resolver::ScriptedResolver;
use httputil_tests::server::{Server, handlers};
use httputil_tests::tcp::BlackHole;
use httputil_tests::{PATIENCE, within};

use crate::common::{TrustedCa, assert_all_gone, assert_at_rest, get, spawn_get, until};

/// Full, with as many as that in line.
const CAP: usize = 4;
const FULL: (u64, usize) = (4, 4);

/// Three profiles of one registry; `pool` says more of the first one's.
fn registry(ca: &TrustedCa, pool: &str) -> Registry {
    let lines = format!("pool.max_connections = {CAP}\n[critical]\n{pool}\n[bulk]\n[third]\n");
    ca.registry(&lines, &ScriptedResolver::new())
}

#[tokio::test]
async fn a_critical_request_is_served_while_bulk_s_pool_is_full_and_a_third_s_server_hangs() {
    let (ca, moves, hangs) = (TrustedCa::new(), Gate::new(), Gate::new());
    let critical_server = Server::builder().start().await;
    let bulk_server = Server::builder().handler(handlers::hold_body(&moves)).start().await;
    let hanging = Server::builder()
        .handler(handlers::hold(&hangs, handlers::by_path))
        .start()
        .await;
    let (silent, registry) = (BlackHole::new(), registry(&ca, ""));
    let [critical, bulk, third] = ["critical", "bulk", "third"].map(|name| registry.client(name).unwrap());

    // Each answer of the bulk's has begun and is not read to its end before the gate opens.
    let bulk_urls = (0..2 * CAP).map(|_| spawn_get(&bulk, &bulk_server.url("/")));
    let bulk_requests: Vec<_> = bulk_urls.collect();
    let mut third_requests: Vec<_> = (0..CAP).map(|_| spawn_get(&third, &hanging.url("/"))).collect();
    hanging
        .until("the third's requests to hang", |seen| seen.in_flight == CAP)
        .await;
    third_requests.extend((0..CAP).map(|_| spawn_get(&third, &format!("http://{}/", silent.addr()))));
    for (client, what) in [
        (&bulk, "bulk's pool to be full"),
        (&third, "the third's pool to be full"),
    ] {
        until(client, what, |stats| (stats.in_use, stats.waiting) == FULL).await;
    }

    for _ in 0..20 {
        within(PATIENCE, get(&critical, &critical_server.url("/"))).await;
    }
    assert_eq!((critical_server.accepted(), critical_server.requests()), (1, 20));
    let still = [&bulk, &third].map(Client::stats);
    for stats in still {
        assert_eq!((stats.in_use, stats.waiting), FULL, "{stats:?}");
    }
    assert_at_rest(&critical).await;

    moves.open();
    for request in bulk_requests {
        within(PATIENCE, request).await.unwrap().unwrap();
    }
    for request in third_requests {
        request.abort();
    }
    for client in [&critical, &bulk, &third] {
        assert_all_gone(client).await;
    }
}

#[tokio::test]
async fn a_profile_that_names_another_s_pool_waits_behind_it() {
    let (ca, moves) = (TrustedCa::new(), Gate::new());
    let critical_server = Server::builder().start().await;
    let bulk_server = Server::builder().handler(handlers::hold_body(&moves)).start().await;
    let registry = registry(&ca, "pool.name = 'bulk'");
    let [critical, bulk] = ["critical", "bulk"].map(|name| registry.client(name).unwrap());
    let bulk_requests: Vec<_> = (0..CAP).map(|_| spawn_get(&bulk, &bulk_server.url("/"))).collect();
    until(&bulk, "the pool to be full", |stats| stats.in_use == FULL.0).await;
    let request = spawn_get(&critical, &critical_server.url("/"));
    until(&bulk, "the critical request to wait", |stats| stats.waiting == 1).await;
    assert_eq!(critical_server.accepted(), 0);
    moves.open();
    within(PATIENCE, request).await.unwrap().unwrap();
    for request in bulk_requests {
        within(PATIENCE, request).await.unwrap().unwrap();
    }
    for client in [&critical, &bulk] {
        client.stop();
    }
    assert_all_gone(&bulk).await;
}
