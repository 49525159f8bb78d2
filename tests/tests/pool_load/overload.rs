//! More requests than a host can take, and what becomes of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use httputil::Client;
use httputil_tests::gate::Gate;
use httputil_tests::one_attempt;
use httputil_tests::script::{Script, Step, answers, steps};
use httputil_tests::server::{Server, handlers};
use httputil_tests::tcp::ClosedPort;
use httputil_tests::tls::Alpn;
use tokio::task::JoinSet;

use crate::ALONE;
use crate::common::{TrustedCa, assert_all_gone, assert_at_rest, spawn_get, until};

/// Handshakes with one host at once, at most.
const PACE: usize = 16;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_waiters_on_a_cold_or_restarted_host_make_at_most_sixteen_handshakes_at_once() {
    const CAP: usize = 100;
    let _alone = ALONE.lock().await;
    let ca = TrustedCa::new();
    let tls = ca.server(Alpn::H1);
    let port = Arc::new(ClosedPort::new());
    let config = ca
        .config()
        .http2(false)
        .max_connections_per_host(CAP)
        .max_idle_per_host(CAP);
    let client = Client::new(config).unwrap();
    let url = format!("https://localhost:{}/", port.port());
    // Cold; after the server was restarted; after we closed all.
    let mut server = None;
    for round in ["cold", "restarted", "closed by us"] {
        let door = Gate::new();
        let script = [
            vec![Step::HoldUnheard(door.clone())],
            steps::over_tls(&tls, steps::answer_all(answers::ok("hello"))),
        ]
        .concat();
        if let Some(old) = server.take() {
            if round == "closed by us" {
                client.close_idle_connections();
            }
            let old: Script = old;
            old.stop().await;
            drop(old);
            until(&client, "all to be closed", |stats| stats.open == 0).await;
        }
        let new = Script::start_on(Arc::clone(&port), [script]).await;
        let requests: Vec<_> = (0..1000).map(|_| spawn_get(&client, &url)).collect();
        until(&client, "all to wait", |stats| stats.waiting == 1000).await;
        door.arrived(PACE).await;
        // One handshake after the other is let through; the next begins in its place.
        for through in 1..=20 {
            door.let_through(1);
            door.arrived(PACE + through).await;
            assert!(door.waiting() <= PACE, "{round}: {} handshakes at once", door.waiting());
            assert_eq!(new.accepted(), PACE + through, "{round}");
        }
        door.open();
        for request in requests {
            assert_eq!(request.await.unwrap().unwrap(), "hello", "{round}");
        }
        assert!(new.seen().max_open <= CAP, "{round}: {}", new.seen().max_open);
        assert_at_rest(&client).await;
        server = Some(new);
    }
    assert_all_gone(&client).await;
}

/// Sends requests at a steady pace, answered or not, and counts the answers.
async fn open_loop(client: &Client, url: &str, per_second: usize, lasts: Duration) -> (usize, usize) {
    let answered = Arc::new(AtomicUsize::new(0));
    let mut running = JoinSet::new();
    let began = Instant::now();
    let mut sent = 0;
    while began.elapsed() < lasts {
        let due = usize::try_from(began.elapsed().as_millis()).unwrap() * per_second / 1000;
        while sent < due {
            sent += 1;
            let request = client.get(url).timeout(Duration::from_millis(400));
            let answered = Arc::clone(&answered);
            running.spawn(async move {
                if let Ok(response) = request.send().await
                    && response.bytes().await.is_ok()
                {
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        while running.try_join_next().is_some() {}
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    running.join_all().await;
    (sent, answered.load(Ordering::Relaxed))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_twice_the_load_goodput_holds_and_when_it_falls_all_are_served_again() {
    const PLACES: usize = 4;
    let _alone = ALONE.lock().await;
    let handler = |request| async move {
        tokio::time::sleep(Duration::from_millis(20)).await;
        handlers::by_path(request).await
    };
    let server = Server::builder().handler(handler).start().await;
    let config = one_attempt().max_connections_per_host(PLACES);
    let client = Client::new(config).unwrap();
    let url = server.url("/");

    // What the places can take on this machine, now.
    let began = Instant::now();
    let mut running = JoinSet::new();
    for _ in 0..PLACES {
        let (client, url) = (client.clone(), url.clone());
        running.spawn(async move {
            for _ in 0..40 {
                client.get(&url).send().await.unwrap().bytes().await.unwrap();
            }
        });
    }
    running.join_all().await;
    let capacity = usize::try_from((PLACES * 40) as u128 * 1000 / began.elapsed().as_millis()).unwrap();

    let lasts = Duration::from_secs(3);
    let (sent, answered) = open_loop(&client, &url, capacity * 2, lasts).await;
    let could = capacity * 3;
    assert!(sent > could * 3 / 2, "{sent} sent, {could} could be answered");
    assert!(
        answered * 10 > could * 7,
        "{answered} answered of {sent}; {could} could be"
    );

    assert_at_rest(&client).await;
    let (sent, answered) = open_loop(&client, &url, capacity / 2, Duration::from_secs(1)).await;
    assert!(
        answered * 100 >= sent * 95,
        "{answered} answered of {sent} at half the load"
    );
    assert!(client.stats().open <= PLACES as u64);
    assert_all_gone(&client).await;
}
