//! How many connections there may be: to one host, of one pool, of all pools of a registry.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use httputil::{Client, ClientConfig, CloseReason, Error, Kind, Phase};
use httputil_tests::gate::Gate;
use httputil_tests::one_attempt;
use httputil_tests::resolver::{Answer, ScriptedResolver};
use httputil_tests::script::{Script, Step, answers, steps};
use httputil_tests::server::{Server, handlers};
use httputil_tests::tls::Alpn;

use crate::common::{TrustedCa, Way, assert_accounted, assert_all_gone, assert_at_rest, get, spawn_get, until, url};

/// A server whose answers wait at the gate.
async fn held_server() -> (Server, Gate) {
    let gate = Gate::new();
    let handler = handlers::hold(&gate, handlers::by_path);
    (Server::builder().handler(handler).start().await, gate)
}

fn capped(per_host: usize) -> ClientConfig {
    one_attempt().max_connections_per_host(per_host)
}

#[track_caller]
fn assert_waited_in_vain(error: &Error, cap: &str) {
    let Kind::Timeout { phase, .. } = error.kind() else {
        panic!("{error:?}")
    };
    assert_eq!(phase, Phase::PoolWait, "{error}");
    let text = error.to_string();
    assert!(text.contains(cap) && text.contains("timeouts.pool_wait"), "{text}");
    assert!(error.is_retryable());
}

#[tokio::test]
async fn the_cap_per_host_is_never_exceeded_as_the_server_counts() {
    let ca = TrustedCa::new();
    for way in [Way::H1, Way::H1Tls] {
        let gate = Gate::new();
        let server = way
            .start(Server::builder().handler(handlers::hold(&gate, handlers::by_path)), &ca)
            .await;
        let client = Client::new(ca.config().max_connections_per_host(3)).unwrap();
        let requests: Vec<_> = (0..60).map(|_| spawn_get(&client, &url(&server, "/"))).collect();
        gate.arrived(3).await;
        until(&client, "the others to wait", |stats| stats.waiting == 57).await;
        assert_eq!((server.accepted(), client.stats().open), (3, 3), "{way:?}");
        gate.open();
        for request in requests {
            assert_eq!(request.await.unwrap().unwrap(), "hello");
        }
        let seen = server.seen();
        assert_eq!((seen.accepted, seen.max_open, seen.requests), (3, 3, 60), "{way:?}");
        assert_at_rest(&client).await;
    }
}

#[tokio::test]
async fn dials_under_way_count_against_the_cap() {
    let ca = TrustedCa::new();
    let server = Script::start([vec![Step::Stall]]).await;
    let config = ca
        .config()
        .http2(false)
        .max_connections_per_host(2)
        .pool_wait(Duration::from_millis(100))
        .timeout(Duration::from_secs(1));
    let client = Client::new(config).unwrap();
    let url = format!("https://localhost:{}/", server.port());
    let requests: Vec<_> = (0..10).map(|_| spawn_get(&client, &url)).collect();
    let (mut in_vain, mut in_handshake) = (0, 0);
    for request in requests {
        let error = request.await.unwrap().unwrap_err();
        if matches!(error.kind(), Kind::Timeout { phase, .. } if phase == Phase::TlsHandshake) {
            in_handshake += 1;
        } else {
            assert_waited_in_vain(&error, "pool.max_connections_per_host");
            in_vain += 1;
        }
    }
    assert_eq!((in_vain, in_handshake, server.accepted()), (8, 2, 2));
    client.stop();
    server.stop().await;
    assert_all_gone(&client).await;
}

#[tokio::test]
async fn those_who_wait_at_the_cap_are_served_in_the_order_of_their_coming() {
    let gate = Gate::new();
    let order = Arc::new(Mutex::new(Vec::new()));
    let handler = {
        let (gate, order) = (gate.clone(), Arc::clone(&order));
        move |request: http::Request<hyper::body::Incoming>| {
            let (gate, order) = (gate.clone(), Arc::clone(&order));
            async move {
                order.lock().unwrap().push(request.uri().path().to_owned());
                gate.pass().await;
                handlers::by_path(request).await
            }
        }
    };
    let server = Server::builder().handler(handler).start().await;
    let client = Client::new(capped(1)).unwrap();
    let mut requests = Vec::new();
    for number in 0..30 {
        requests.push(spawn_get(&client, &server.url(&format!("/{number}"))));
        if number == 0 {
            gate.arrived(1).await;
        }
        until(&client, "it to wait", |stats| stats.waiting == number).await;
    }
    gate.open();
    for request in requests {
        request.await.unwrap().unwrap();
    }
    let expected: Vec<_> = (0..30).map(|number| format!("/{number}")).collect();
    assert_eq!(*order.lock().unwrap(), expected);
    assert_eq!(server.seen().max_open, 1);
    assert_at_rest(&client).await;
}

#[tokio::test]
async fn a_cancelled_waiter_leaves_the_queue() {
    let (server, gate) = held_server().await;
    let client = Client::new(capped(1)).unwrap();
    let first = spawn_get(&client, &server.url("/"));
    gate.arrived(1).await;
    let cancelled = spawn_get(&client, &server.url("/cancelled"));
    until(&client, "it to wait", |stats| stats.waiting == 1).await;
    let last = spawn_get(&client, &server.url("/"));
    until(&client, "both to wait", |stats| stats.waiting == 2).await;
    cancelled.abort();
    assert!(cancelled.await.unwrap_err().is_cancelled());
    assert_eq!(client.stats().waiting, 1);
    gate.open();
    assert_eq!(first.await.unwrap().unwrap(), "hello");
    assert_eq!(last.await.unwrap().unwrap(), "hello");
    assert_eq!((server.requests(), server.accepted()), (2, 1));
    assert_at_rest(&client).await;
}

#[tokio::test]
async fn a_failed_dial_lets_the_next_at_the_cap_know_at_once() {
    let ca = TrustedCa::new();
    let handshake = Gate::new();
    let server = Script::start([vec![Step::Hold(handshake.clone()), Step::Close]]).await;
    let client = Client::new(ca.config().http2(false).max_connections_per_host(1)).unwrap();
    let url = format!("https://localhost:{}/", server.port());
    let requests: Vec<_> = (0..3).map(|_| spawn_get(&client, &url)).collect();
    handshake.arrived(1).await;
    until(&client, "all to wait", |stats| stats.waiting == 3).await;
    handshake.open();
    for request in requests {
        assert_eq!(request.await.unwrap().unwrap_err().kind(), Kind::Tls);
    }
    assert_eq!(server.accepted(), 1, "the host is left alone for a moment");
    assert_at_rest(&client).await;
}

#[tokio::test]
async fn a_failed_dial_frees_its_slot_for_another_host() {
    let ca = TrustedCa::new();
    let handshake = Gate::new();
    let broken = Script::start([vec![Step::Hold(handshake.clone()), Step::Close]]).await;
    let server = Server::builder().start().await;
    let client = Client::new(ca.config().max_connections(1)).unwrap();
    let fails = spawn_get(&client, &format!("https://localhost:{}/", broken.port()));
    handshake.arrived(1).await;
    let waits = spawn_get(&client, &server.url("/"));
    until(&client, "both to wait", |stats| stats.waiting == 2).await;
    assert_eq!(server.accepted(), 0);
    handshake.open();
    assert_eq!(waits.await.unwrap().unwrap(), "hello");
    assert_eq!(fails.await.unwrap().unwrap_err().kind(), Kind::Tls);
    assert_at_rest(&client).await;
}

#[tokio::test]
async fn a_wait_at_a_cap_ends_after_pool_wait_with_an_error_that_names_the_cap() {
    let wait = Duration::from_millis(50);
    let ca = TrustedCa::new();
    for (way, config, cap) in [
        (
            Way::H1,
            ca.config().max_connections_per_host(1),
            "pool.max_connections_per_host",
        ),
        (Way::H1Tls, ca.config().max_connections(1), "pool.max_connections"),
        (
            Way::H2Tls,
            ca.config()
                .http2_max_connections_per_host(1)
                .http2_max_streams_per_connection(1),
            "http2.max_connections_per_host",
        ),
    ] {
        let gate = Gate::new();
        let server = way
            .start(Server::builder().handler(handlers::hold(&gate, handlers::by_path)), &ca)
            .await;
        let client = Client::new(config.pool_wait(wait)).unwrap();
        let first = spawn_get(&client, &url(&server, "/"));
        gate.arrived(1).await;
        let error = client.get(url(&server, "/")).send().await.unwrap_err();
        assert_waited_in_vain(&error, cap);
        assert!(error.elapsed().unwrap() >= wait, "{error:?}");
        assert_eq!(client.stats().waiting, 0);
        gate.open();
        assert_eq!(first.await.unwrap().unwrap(), "hello");
        assert_eq!(get(&client, &url(&server, "/")).await, "hello");
        assert_eq!(server.accepted(), 1, "{way:?}");
        assert_at_rest(&client).await;
    }
}

#[tokio::test]
async fn under_the_pool_s_cap_an_idle_connection_to_another_host_makes_room_before_anyone_waits() {
    let servers = [held_server().await, held_server().await, held_server().await];
    let client = Client::new(one_attempt().max_connections(2)).unwrap();
    for (server, gate) in &servers {
        gate.open();
        assert_eq!(get(&client, &server.url("/")).await, "hello");
        assert!(client.stats().open <= 2);
    }
    let [(first, _), (second, _), (third, _)] = &servers;
    first.until_open(0).await;
    assert_eq!((second.open(), third.open()), (1, 1));
    assert_eq!(client.stats().closed_for(CloseReason::MadeRoom), 1);
    assert_at_rest(&client).await;
}

#[tokio::test]
async fn the_registry_s_cap_holds_over_all_its_pools_and_an_idle_connection_elsewhere_makes_room() {
    let ca = TrustedCa::new();
    let lines = "timeouts.pool_wait = '50ms'\n[registry]\nmax_connections = 2\n[one]\n[other]\n";
    let registry = ca.registry(lines, &ScriptedResolver::new());
    let (one, other) = (registry.client("one").unwrap(), registry.client("other").unwrap());
    let ((first, first_gate), (second, second_gate)) = (held_server().await, held_server().await);

    let held: Vec<_> = (0..2).map(|_| spawn_get(&one, &first.url("/"))).collect();
    first_gate.arrived(2).await;
    let error = other.get(second.url("/")).send().await.unwrap_err();
    assert_waited_in_vain(&error, "registry.max_connections");
    assert_eq!((registry.stats().open(), second.accepted()), (2, 0));
    first_gate.open();
    for request in held {
        request.await.unwrap().unwrap();
    }
    until(&one, "both to be idle", |stats| stats.idle == 2).await;

    second_gate.open();
    assert_eq!(get(&other, &second.url("/")).await, "hello");
    first.until_open(1).await;
    assert_eq!(one.stats().closed_for(CloseReason::MadeRoom), 1);
    assert_eq!(registry.stats().open(), 2);
    for client in [&one, &other] {
        assert_all_gone(client).await;
    }
    assert_eq!(registry.stats().open(), 0);
}

#[tokio::test]
async fn a_request_that_waits_at_the_registry_s_cap_is_served_by_what_another_pool_gives_back() {
    let ca = TrustedCa::new();
    let registry = ca.registry(
        "[registry]\nmax_connections = 1\n[one]\n[other]\n",
        &ScriptedResolver::new(),
    );
    let (one, other) = (registry.client("one").unwrap(), registry.client("other").unwrap());
    let ((first, gate), second) = (held_server().await, Server::builder().start().await);
    let held = spawn_get(&one, &first.url("/"));
    gate.arrived(1).await;
    let waits = spawn_get(&other, &second.url("/"));
    until(&other, "it to wait", |stats| stats.waiting == 1).await;
    gate.open();
    assert_eq!(held.await.unwrap().unwrap(), "hello");
    assert_eq!(waits.await.unwrap().unwrap(), "hello");
    first.until_open(0).await;
    for client in [&one, &other] {
        assert_all_gone(client).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_hosts_in_many_pools_under_one_cap_are_all_served() {
    const CAP: u64 = 4;
    let ca = TrustedCa::new();
    let lines = format!("[registry]\nmax_connections = {CAP}\n[a]\n[b]\n[c]\n");
    let registry = ca.registry(&lines, &ScriptedResolver::new());
    let clients: Vec<_> = ["a", "b", "c"].map(|name| registry.client(name).unwrap()).into();
    let mut servers = Vec::new();
    for _ in 0..5 {
        servers.push(Server::builder().start().await);
    }
    let mut running = tokio::task::JoinSet::new();
    for number in 0..24_usize {
        let clients = clients.clone();
        let urls: Vec<_> = servers.iter().map(|server| server.url("/")).collect();
        running.spawn(async move {
            for turn in 0..50 {
                let (client, url) = (&clients[(number + turn) % 3], &urls[(number * 7 + turn) % 5]);
                assert_eq!(get(client, url).await, "hello");
            }
        });
    }
    while let Some(ended) = running.join_next().await {
        ended.unwrap();
    }
    for client in &clients {
        assert_all_gone(client).await;
        assert_accounted(&client.stats());
    }
}

#[tokio::test]
async fn at_a_cap_of_one_all_who_wait_are_served_by_one_connection_over_tls_too() {
    let ca = TrustedCa::new();
    let server = Script::start([steps::over_tls(
        &ca.server(Alpn::H1),
        steps::answer_all(answers::ok("one")),
    )])
    .await;
    let client = Client::new(ca.config().max_connections_per_host(1)).unwrap();
    let url = format!("https://localhost:{}/", server.port());
    let requests: Vec<_> = (0..200).map(|_| spawn_get(&client, &url)).collect();
    for request in requests {
        assert_eq!(request.await.unwrap().unwrap(), "one");
    }
    assert_eq!(server.accepted(), 1);
    assert_at_rest(&client).await;
}

#[tokio::test]
async fn an_error_of_who_waits_for_a_handshake_s_turn_names_the_cap_that_it_has_its_share_of() {
    let ca = TrustedCa::new();
    let resolver = ScriptedResolver::new().name("localhost", Answer::to(["127.0.0.1:0"]));
    for (lines, cap) in [
        ("pool.max_connections = 4", "pool.max_connections"),
        ("[registry]\nmax_connections = 4", "registry.max_connections"),
    ] {
        let server = Script::start([vec![Step::Stall]]).await;
        let url = format!("https://localhost:{}/", server.port());
        let lines = format!("http2.enabled = false\ntimeouts.pool_wait = '100ms'\n{lines}\n");
        let client = ca.registry(&lines, &resolver).client("default").unwrap();
        let handshakes = [spawn_get(&client, &url), spawn_get(&client, &url)];
        until(&client, "both to be dialled", |stats| stats.dials_in_progress == 2).await;
        let error = client.get(&url).send().await.unwrap_err();
        assert_waited_in_vain(&error, cap);
        assert!(!error.to_string().contains("16 handshakes"), "{error}");
        for request in handshakes {
            request.abort();
        }
        // Else the handshakes would last for as long as a test waits.
        server.stop().await;
        assert_all_gone(&client).await;
    }
}

#[tokio::test]
async fn who_has_waited_under_a_dial_for_longer_than_pool_wait_waits_no_longer_at_a_cap() {
    let ca = TrustedCa::new();
    let (gate, lookup) = (Gate::new(), Gate::new());
    let handler = handlers::hold(&gate, handlers::by_path);
    let server = Server::builder().h2().handler(handler).start().await;
    let here = || Answer::to(["127.0.0.1:0"]);
    let resolver = ScriptedResolver::new().name("h.test", here()).name("full.test", here());
    let lines = "timeouts.pool_wait = '100ms'\ndns.ttl = '1us'\nhttp2.prior_knowledge = true\n\
                 http2.max_connections_per_host = 2\nhttp2.max_streams_per_connection = 1\n";
    let client = ca.registry(lines, &resolver).client("default").unwrap();
    // Of one host all streams are taken: a request to it takes `pool_wait` to fail.
    let full = server.url_for("full.test", "/");
    let url = server.url_for("h.test", "/");
    let mut held = Vec::new();
    for (number, url) in [&full, &full, &url].into_iter().enumerate() {
        held.push(spawn_get(&client, url));
        gate.arrived(number + 1).await;
    }
    let takes_pool_wait = || async {
        assert_waited_in_vain(
            &client.get(&full).send().await.unwrap_err(),
            "http2.max_connections_per_host",
        );
    };
    // The other host's second connection is being dialled, and two requests wait for it.
    resolver.set("h.test", here().after(&lookup));
    held.push(spawn_get(&client, &url));
    until(&client, "it to wait", |stats| stats.waiting == 1).await;
    let second = spawn_get(&client, &url);
    until(&client, "both to wait", |stats| stats.waiting == 2).await;
    takes_pool_wait().await;
    assert!(!second.is_finished(), "a dial serves it, as far as it knows");
    lookup.open();
    gate.arrived(4).await;
    tokio::select! {
        biased;
        error = second => assert_waited_in_vain(&error.unwrap().unwrap_err(), "http2.max_connections_per_host"),
        () = async { takes_pool_wait().await; takes_pool_wait().await } => panic!("it waits on"),
    }
    gate.open();
    for request in held {
        assert_eq!(request.await.unwrap().unwrap(), "hello");
    }
    assert_all_gone(&client).await;
}
