//! What goes wrong between requests, and must reach none of them.

use std::time::Duration;

use h2::Reason;
use httputil::{Client, CloseReason};
use httputil_tests::gate::Gate;
use httputil_tests::h2_script::{H2Script, Last, Step as H2Step};
use httputil_tests::ledger::End;
use httputil_tests::script::{Script, answers, steps};
use httputil_tests::server::Server;
use httputil_tests::{PATIENCE, one_attempt};
use reqwest::Method;
use tokio::task::JoinSet;

use crate::ALONE;
use crate::common::{TrustedCa, Way, assert_all_gone, assert_at_rest, client, get, until, url};

/// Sends so many requests, `at_once` at a time; none may fail.
async fn load(client: &Client, url: &str, requests: usize, at_once: usize) {
    let mut running = JoinSet::new();
    for _ in 0..at_once {
        let (client, url) = (client.clone(), url.to_owned());
        running.spawn(async move {
            for number in 0..requests / at_once {
                let method = [Method::GET, Method::PUT, Method::DELETE][number % 3].clone();
                let request = client.request(method, &url).timeout(PATIENCE);
                let response = request.send().await.unwrap();
                assert_eq!(response.text().await.unwrap(), "hello");
            }
        });
    }
    while let Some(ended) = running.join_next().await {
        ended.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_closes_idle_connections_as_they_are_used_fails_none_of_ten_thousand_requests() {
    let _alone = ALONE.lock().await;
    let ca = TrustedCa::new();
    for (way, tries) in [(Way::H1, 10_000), (Way::H1Tls, 500), (Way::H2Tls, 500)] {
        let server = way.start(Server::builder(), &ca).await;
        let client = ca.client();
        let url = url(&server, "/");
        for _ in 0..tries {
            assert_eq!(get(&client, &url).await, "hello");
            // Obeyed by the connection's own task, at about the time at which the next request is written.
            server.close_idle();
        }
        let stats = client.stats();
        assert!(
            stats.resends > 0 || way != Way::H1,
            "some were caught in the act: {stats:?}"
        );
        assert_all_gone(&client).await;
    }
}

#[tokio::test]
async fn a_close_that_nobody_has_seen_yet_fails_no_request() {
    // One thread, and no turn of the runtime between the close and the next request.
    let _alone = ALONE.lock().await;
    let gate = Gate::new();
    let server = Script::start([steps::close_after_idle(answers::ok("hello"), &gate)]).await;
    let client = client();
    for round in 1..=1000 {
        let response = client.post(server.url("/")).body("a body").send().await.unwrap();
        assert_eq!(response.text().await.unwrap(), "hello");
        gate.let_through(1);
        gate.passed(round).await;
    }
    assert_eq!(server.accepted(), 1000);
    assert_all_gone(&client).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_says_goaway_every_ten_streams_fails_no_request() {
    let _alone = ALONE.lock().await;
    let never = Gate::new();
    let server = H2Script::builder()
        .on_stream(move |stream| match stream.nth {
            // Above the last stream of the GOAWAY, which may have been written before it or behind.
            10.. => vec![H2Step::Hold(never.clone())],
            9 => vec![
                H2Step::GoAway(Last::This, Reason::NO_ERROR),
                H2Step::Answer("hello".into()),
            ],
            _ => vec![H2Step::Answer("hello".into())],
        })
        .start()
        .await;
    let client = Client::new(one_attempt().http2_prior_knowledge(true)).unwrap();
    load(&client, &server.url("/"), 3000, 8).await;
    assert!(server.requests() >= 3000, "{} requests", server.requests());
    assert!(server.accepted() >= 100, "{} connections", server.accepted());
    assert_all_gone(&client).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_idle_connections_under_load_fails_no_request() {
    let _alone = ALONE.lock().await;
    let ca = TrustedCa::new();
    for way in Way::ALL {
        let server = way.start(Server::builder(), &ca).await;
        let client = ca.client();
        let closing = tokio::spawn({
            let client = client.clone();
            async move {
                loop {
                    client.close_idle_connections();
                    tokio::task::yield_now().await;
                }
            }
        });
        load(&client, &url(&server, "/"), 1000, 8).await;
        closing.abort();
        assert!(
            client.stats().closed_for(CloseReason::CloseIdle) > 10,
            "{:?}",
            client.stats()
        );
        assert_all_gone(&client).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_reach_their_lifetime_under_load_fail_no_request() {
    let _alone = ALONE.lock().await;
    let ca = TrustedCa::new();
    for way in Way::ALL {
        let server = way.start(Server::builder(), &ca).await;
        let client = Client::new(ca.config().max_lifetime(Duration::from_millis(5))).unwrap();
        load(&client, &url(&server, "/"), 1000, 8).await;
        let stats = client.stats();
        assert!(stats.closed_for(CloseReason::MaxLifetime) > 10, "{way:?}: {stats:?}");
        assert_all_gone(&client).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_on_the_same_port_under_load_fails_no_request() {
    let _alone = ALONE.lock().await;
    let ca = TrustedCa::new();
    for way in Way::ALL {
        let mut server = way.start(Server::builder(), &ca).await;
        let client = ca.client();
        let url = url(&server, "/");
        let under_load = tokio::spawn({
            let client = client.clone();
            async move { load(&client, &url, 1600, 8).await }
        });
        let mut restarts = 0;
        while !under_load.is_finished() {
            let before = server.requests();
            until(&client, "some requests to be served", |_| {
                server.requests() >= before + 100 || under_load.is_finished()
            })
            .await;
            let new = server.hand_over().await;
            // A server that closes a connection before it has read its first request is no rolling restart's fault. One
            // that the client keeps unused is told below.
            let all_used = server.until("every connection to be used", |seen| {
                let mut connections = seen.connections.iter();
                connections.all(|seen| seen.requests > 0 || seen.end != End::Open)
            });
            drop(tokio::time::timeout(Duration::from_millis(200), all_used).await);
            // The old one answers what it has, and says that it closes.
            server.drain();
            server.until_open(0).await;
            server = new;
            restarts += 1;
        }
        under_load.await.unwrap();
        assert!(restarts > 3, "{way:?}: {restarts} restarts");
        assert_at_rest(&client).await;
        assert_all_gone(&client).await;
    }
}
