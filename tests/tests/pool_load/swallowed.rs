//! Hosts that swallow connection attempts, and one that is well.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use httputil::Client;
use httputil_tests::gate::Gate;
use httputil_tests::resolver::ScriptedResolver;
use httputil_tests::script::{Script, Step, answers, steps};
use httputil_tests::server::Server;
use httputil_tests::tcp::BlackHole;
use httputil_tests::tls::Alpn;
use httputil_tests::{one_attempt, within};
use tokio::task::JoinSet;

use crate::ALONE;
use crate::common::{TrustedCa, assert_all_gone, get, spawn_get, until};

/// A dial gives way after a second; the rest is for a busy machine. A dial to a black hole would take 30 s.
const BOUND: Duration = Duration::from_secs(3);

/// With all slots held by dials to the holes, every healthy host is soon connected to.
async fn assert_healthy_hosts_are_served(stuck: &Client, healthy: &Client, slots: u64) {
    let holes: Vec<_> = (0..4).map(|_| BlackHole::new()).collect();
    let mut swallowed = Vec::new();
    for hole in &holes {
        let url = format!("http://{}/", hole.addr());
        swallowed.extend((0..slots).map(|_| spawn_get(stuck, &url)));
    }
    until(stuck, "every slot to be dialling", |stats| {
        stats.dials_in_progress == slots
    })
    .await;
    let mut servers = Vec::new();
    for _ in 0..3 {
        let server = Server::builder().start().await;
        let began = Instant::now();
        assert_eq!(within(BOUND, get(healthy, &server.url("/"))).await, "hello");
        assert!(began.elapsed() < BOUND);
        servers.push(server);
    }
    for request in swallowed {
        request.abort();
    }
    drop(holes);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_every_slot_of_a_pool_dialling_black_holes_a_healthy_host_still_gets_a_connection() {
    let _alone = ALONE.lock().await;
    let config = one_attempt()
        .max_connections(8)
        .connect_timeout(Duration::from_secs(30));
    let client = Client::new(config).unwrap();
    assert_healthy_hosts_are_served(&client, &client, 8).await;
    client.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_every_slot_of_a_registry_dialling_black_holes_another_pool_still_gets_a_connection() {
    let _alone = ALONE.lock().await;
    let ca = TrustedCa::new();
    let registry = ca.registry(
        "[registry]\nmax_connections = 8\n[one]\n[other]\n",
        &ScriptedResolver::new(),
    );
    let (one, other) = (registry.client("one").unwrap(), registry.client("other").unwrap());
    assert_healthy_hosts_are_served(&one, &other, 8).await;
    assert_all_gone(&other).await;
    one.stop();
}

/// A host that takes connections and answers no TLS handshake. Nobody accepts what its system does.
fn silent_host() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    (listener, url)
}

/// All of them are asked again and again by `stuck`, with four slots. Of `healthy`'s requests each is served: one that waits
/// for longer than `timeouts.pool_wait` fails.
async fn assert_silent_hosts_keep_no_cap(stuck: &Client, healthy: &Client) {
    let hosts: Vec<_> = (0..12).map(|_| silent_host()).collect();
    let mut load = JoinSet::new();
    for (_, url) in &hosts {
        let (client, url) = (stuck.clone(), url.clone());
        load.spawn(async move {
            loop {
                let _ = client.get(&url).send().await;
            }
        });
    }
    until(stuck, "every slot to be dialling", |stats| stats.dials_in_progress == 4).await;
    let server = Server::builder().start().await;
    // Before all of them have been dialled once, and afterwards.
    for _ in 0..4 {
        assert_eq!(get(healthy, &server.url("/")).await, "hello");
        // Its slot goes to one of the others.
        server.until_open(0).await;
    }
    load.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hosts_that_take_connections_and_say_nothing_keep_no_cap_from_a_healthy_one() {
    let _alone = ALONE.lock().await;
    let ca = TrustedCa::new();
    let registry = ca.registry(
        "[registry]\nmax_connections = 4\n[one]\n[other]\n",
        &ScriptedResolver::new(),
    );
    let (one, other) = (registry.client("one").unwrap(), registry.client("other").unwrap());
    let of_pool = Client::new(one_attempt().max_connections(4)).unwrap();
    tokio::join!(
        assert_silent_hosts_keep_no_cap(&of_pool, &of_pool),
        assert_silent_hosts_keep_no_cap(&one, &other),
    );
    for client in [&of_pool, &one, &other] {
        assert_all_gone(client).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hosts_whose_handshakes_are_slow_are_all_served_at_a_cap() {
    let _alone = ALONE.lock().await;
    let ca = TrustedCa::new();
    let client = Client::new(ca.config().max_connections(4)).unwrap();
    let (mut requests, mut servers) = (Vec::new(), Vec::new());
    for _ in 0..12 {
        let handshake = Gate::new();
        let over_tls = steps::over_tls(&ca.server(Alpn::H1), steps::answer_all(answers::ok("slow")));
        let server = Script::start([[vec![Step::HoldUnheard(handshake.clone())], over_tls].concat()]).await;
        requests.push(spawn_get(&client, &format!("https://localhost:{}/", server.port())));
        tokio::spawn(async move {
            handshake.arrived(1).await;
            tokio::time::sleep(Duration::from_millis(1500)).await;
            handshake.open();
        });
        servers.push(server);
    }
    for request in requests {
        assert_eq!(request.await.unwrap().unwrap(), "slow");
    }
    assert_eq!(client.stats().dials_started, 12, "none was stopped");
    assert_all_gone(&client).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_black_hole_holds_no_more_than_half_of_a_cap() {
    let _alone = ALONE.lock().await;
    let hole = BlackHole::new();
    let server = Server::builder().start().await;
    let client = Client::new(one_attempt().max_connections(8)).unwrap();
    let url = format!("http://{}/", hole.addr());
    let swallowed: Vec<_> = (0..50).map(|_| spawn_get(&client, &url)).collect();
    until(&client, "all to wait", |stats| stats.waiting == 50).await;
    assert_eq!(client.stats().dials_in_progress, 4);
    let began = Instant::now();
    assert_eq!(get(&client, &server.url("/")).await, "hello");
    assert!(began.elapsed() < Duration::from_millis(500), "{:?}", began.elapsed());
    for request in swallowed {
        request.abort();
    }
    client.stop();
}
