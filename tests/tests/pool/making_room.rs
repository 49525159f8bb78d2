//! Who makes room for whom under a cap on connections, and how many do.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use httputil::{Client, CloseReason};
use httputil_tests::gate::Gate;
use httputil_tests::one_attempt;
use httputil_tests::resolver::{Answer, ScriptedResolver};
use httputil_tests::script::{Script, Step, answers, steps};
use httputil_tests::server::{Server, handlers};
use httputil_tests::tls::Alpn;
use tokio::task::JoinSet;

use crate::common::{TrustedCa, Way, assert_all_gone, assert_at_rest, get, load, spawn_get, until, url};

/// A server whose answers wait at the gate.
async fn held_server() -> (Server, Gate) {
    let gate = Gate::new();
    let handler = handlers::hold(&gate, handlers::by_path);
    (Server::builder().handler(handler).start().await, gate)
}

/// `n` connections to the server, in use until the gate opens.
async fn hold(client: &Client, server: &Server, gate: &Gate, n: usize) -> JoinSet<String> {
    let mut held = JoinSet::new();
    for _ in 0..n {
        let (client, url) = (client.clone(), server.url("/"));
        held.spawn(async move { get(&client, &url).await });
    }
    gate.arrived(n).await;
    held
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_under_constant_load_keeps_no_cap_from_another_host_for_ever() {
    let ca = TrustedCa::new();
    for h2 in [false, true] {
        let build = || if h2 { Server::builder().h2() } else { Server::builder() };
        let (busy, other) = (build().start().await, build().start().await);
        let lines = format!("http2.prior_knowledge = {h2}\n[registry]\nmax_connections = 1\n[a]\n[b]\n");
        let registry = ca.registry(&lines, &ScriptedResolver::new());
        let config = one_attempt().max_connections(1).http2_prior_knowledge(h2);
        let of_pool = Client::new(config).unwrap();
        let (a, b) = (registry.client("a").unwrap(), registry.client("b").unwrap());
        // Within one pool, and over the pools of a registry.
        for (loaded, asking) in [(&of_pool, &of_pool), (&a, &b)] {
            let mut load = load(loaded, &busy.url("/")).await;
            for _ in 0..2 {
                // Waiting longer than `timeouts.pool_wait` would be an error.
                assert_eq!(get(asking, &other.url("/")).await, "hello");
            }
            // And it goes on itself.
            let before = loaded.stats().requests;
            until(loaded, "its own turn", move |stats| stats.requests > before + 100).await;
            load.shutdown().await;
        }
        for client in [&of_pool, &a, &b] {
            assert_all_gone(client).await;
        }
    }
}

#[tokio::test]
async fn a_host_that_waits_behind_another_costs_it_one_connection() {
    let ca = TrustedCa::new();
    let registry = ca.registry("[registry]\nmax_connections = 8\n[a]\n[b]\n", &ScriptedResolver::new());
    let of_pool = Client::new(one_attempt().max_connections(8)).unwrap();
    let (a, b) = (registry.client("a").unwrap(), registry.client("b").unwrap());
    let other = Server::builder().start().await;
    for (busy, asking) in [(&of_pool, &of_pool), (&a, &b)] {
        let (server, gate) = held_server().await;
        let held = hold(busy, &server, &gate, 8).await;
        let waits = spawn_get(asking, &other.url("/"));
        until(asking, "it to wait", |stats| stats.waiting == 1).await;
        gate.open();
        held.join_all().await;
        assert_eq!(waits.await.unwrap().unwrap(), "hello");
        assert_at_rest(busy).await;
        assert_eq!(
            (busy.stats().closed_total(), server.open()),
            (1, 7),
            "{:?}",
            busy.stats()
        );
    }
    for client in [&of_pool, &a, &b] {
        assert_all_gone(client).await;
    }
}

#[tokio::test]
async fn many_requests_that_one_dial_serves_cost_another_pool_one_idle_connection() {
    let ca = TrustedCa::new();
    let lines = "[registry]\nmax_connections = 8\n[a]\n[b]\n";
    let resolver = ScriptedResolver::new().name("localhost", Answer::to(["127.0.0.1:0"]));
    let registry = ca.registry(lines, &resolver);
    let (a, b) = (registry.client("a").unwrap(), registry.client("b").unwrap());
    let (first, gate) = held_server().await;
    let held = hold(&a, &first, &gate, 8).await;
    gate.open();
    held.join_all().await;
    until(&a, "all to be idle", |stats| stats.idle == 8).await;

    let second = Way::H2Tls.start(Server::builder(), &ca).await;
    let at_once: Vec<_> = (0..8).map(|_| spawn_get(&b, &url(&second, "/"))).collect();
    for request in at_once {
        assert_eq!(request.await.unwrap().unwrap(), "hello");
    }
    assert_eq!((b.stats().dialled, a.stats().closed_for(CloseReason::MadeRoom)), (1, 1));
    first.until_open(7).await;
    for client in [&a, &b] {
        assert_all_gone(client).await;
    }
}

#[tokio::test]
async fn a_host_that_has_waited_in_vain_costs_no_connection() {
    let other = Server::builder().start().await;
    let (server, gate) = held_server().await;
    let config = one_attempt().max_connections(2);
    // It asks for a busy host's connection after a second.
    let client = Client::new(config.pool_wait(Duration::from_millis(1100))).unwrap();
    let held = hold(&client, &server, &gate, 2).await;
    client.get(other.url("/")).send().await.unwrap_err();
    gate.open();
    held.join_all().await;
    assert_at_rest(&client).await;
    assert_eq!((client.stats().idle, server.open()), (2, 2), "{:?}", client.stats());
    assert_all_gone(&client).await;
}

#[tokio::test]
async fn a_handshake_that_takes_longer_than_another_host_waits_comes_to_its_end_at_a_cap() {
    let ca = TrustedCa::new();
    let resolver = ScriptedResolver::new().name("localhost", Answer::to(["127.0.0.1:0"]));
    let registry = ca.registry("[registry]\nmax_connections = 1\n[a]\n[b]\n", &resolver);
    let of_pool = Client::new(ca.config().max_connections(1)).unwrap();
    let (a, b) = (registry.client("a").unwrap(), registry.client("b").unwrap());
    let other = Server::builder().start().await;
    for (slow, asking) in [(&of_pool, &of_pool), (&a, &b)] {
        let handshake = Gate::new();
        let over_tls = steps::over_tls(&ca.server(Alpn::H1), steps::answer_all(answers::ok("slow")));
        let server = Script::start([[vec![Step::HoldUnheard(handshake.clone())], over_tls].concat()]).await;
        let begun = spawn_get(slow, &format!("https://localhost:{}/", server.port()));
        handshake.arrived(1).await;
        let waits = spawn_get(asking, &other.url("/"));
        until(asking, "it to wait", |stats| stats.waiting == 1).await;
        // It asks for the slot after a second. Nothing tells that it did so in vain.
        tokio::time::sleep(Duration::from_millis(1500)).await;
        handshake.open();
        assert_eq!(begun.await.unwrap().unwrap(), "slow");
        assert_eq!(waits.await.unwrap().unwrap(), "hello");
        assert_eq!((slow.stats().dial_failures_total(), server.accepted()), (0, 1));
    }
    for client in [&of_pool, &a, &b] {
        assert_all_gone(client).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_request_over_http2_costs_its_host_no_connection_when_another_host_waits_in_vain() {
    let ca = TrustedCa::new();
    let lines = "http2.prior_knowledge = true\n[registry]\nmax_connections = 1\n[a]\n[b]\n";
    let registry = ca.registry(lines, &ScriptedResolver::new());
    let config = one_attempt().max_connections(1).http2_prior_knowledge(true);
    let of_pool = Client::new(config).unwrap();
    let (a, b) = (registry.client("a").unwrap(), registry.client("b").unwrap());
    let other = Server::builder().h2().start().await;
    for (loaded, asking) in [(&of_pool, &of_pool), (&a, &b)] {
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
        let long = spawn_get(loaded, &server.url("/long"));
        gate.arrived(1).await;
        let mut load = load(loaded, &server.url("/")).await;
        // It claims the connection after a second, and two later that has come to nothing.
        let in_vain = asking.get(other.url("/")).timeout(Duration::from_millis(3500));
        in_vain.send().await.unwrap_err();
        let before = loaded.stats().requests;
        until(loaded, "the others", move |stats| stats.requests > before + 100).await;
        assert_eq!((server.accepted(), server.open()), (1, 1));
        gate.open();
        assert_eq!(long.await.unwrap().unwrap(), "hello");
        load.shutdown().await;
        assert_eq!(get(asking, &other.url("/")).await, "hello");
    }
    for client in [&of_pool, &a, &b] {
        assert_all_gone(client).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_whose_answers_over_http2_take_seconds_keeps_no_cap_from_another_host() {
    let ca = TrustedCa::new();
    let lines = "http2.prior_knowledge = true\n[registry]\nmax_connections = 1\n[a]\n[b]\n";
    let registry = ca.registry(lines, &ScriptedResolver::new());
    let config = one_attempt().max_connections(1).http2_prior_knowledge(true);
    let of_pool = Client::new(config).unwrap();
    let (a, b) = (registry.client("a").unwrap(), registry.client("b").unwrap());
    let other = Server::builder().h2().start().await;
    let is_served = async |loaded: &Client, asking: &Client| {
        let takes = Duration::from_secs(3);
        let handler = move |_| async move {
            tokio::time::sleep(takes).await;
            handlers::full("hello")
        };
        let busy = Server::builder().h2().handler(handler).start().await;
        let mut load = JoinSet::new();
        // One ends each half a second.
        for _ in 0..6 {
            let (client, url) = (loaded.clone(), busy.url("/"));
            load.spawn(async move {
                loop {
                    assert_eq!(get(&client, &url).await, "hello");
                }
            });
            tokio::time::sleep(takes / 6).await;
        }
        // Waiting longer than `timeouts.pool_wait` would be an error.
        assert_eq!(get(asking, &other.url("/")).await, "hello");
        load.shutdown().await;
    };
    tokio::join!(is_served(&of_pool, &of_pool), is_served(&a, &b));
    for client in [&of_pool, &a, &b] {
        assert_all_gone(client).await;
    }
}

#[tokio::test]
async fn a_slot_that_a_busy_host_gives_to_another_is_not_taken_by_its_own_requests() {
    let (busy, gate) = held_server().await;
    let busy = Arc::new(busy);
    let connections = Arc::new(AtomicUsize::new(0));
    let handler = {
        let (busy, connections) = (Arc::clone(&busy), Arc::clone(&connections));
        move |_| {
            connections.store(busy.accepted(), Ordering::SeqCst);
            async { handlers::full("hello") }
        }
    };
    let other = Server::builder().handler(handler).start().await;
    let client = Client::new(one_attempt().max_connections(1)).unwrap();
    let held = hold(&client, &busy, &gate, 1).await;
    let waits = spawn_get(&client, &other.url("/"));
    until(&client, "it to wait", |stats| stats.waiting == 1).await;
    let own = spawn_get(&client, &busy.url("/"));
    until(&client, "its own to wait", |stats| stats.waiting == 2).await;
    // Each asks for the slot after a second. Nothing tells that they did.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    gate.open();
    assert_eq!(waits.await.unwrap().unwrap(), "hello");
    assert_eq!(connections.load(Ordering::SeqCst), 1, "before the busy host's own");
    assert_eq!(own.await.unwrap().unwrap(), "hello");
    held.join_all().await;
    assert_all_gone(&client).await;
}
