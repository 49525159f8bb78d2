//! An HTTP/2 server that says `ENHANCE_YOUR_CALM`: whom it means, and what is done more seldom from then on.

use std::time::{Duration, Instant};

use h2::Reason;
use httputil::{Client, ClientConfig, Kind};
use httputil_tests::gate::Gate;
use httputil_tests::h2_script::{self, H2Script, Last, Step};
use httputil_tests::{PATIENCE, within};

use crate::common::{assert_all_gone, get, h2_client, spawn_get};

/// What comes of a request after the first stream was reset with `reason`. Its own first stream is reset with `later`.
async fn after_one_reset(reason: Reason, later: Reason) -> (H2Script, Client) {
    let server = H2Script::builder()
        .on_stream(move |stream| match (stream.overall, stream.head.uri.path()) {
            (0, _) => vec![Step::RstStream(reason)],
            (2, _) | (_, "/bad") => vec![Step::RstStream(later)],
            _ => vec![Step::Answer("fine".into())],
        })
        .start()
        .await;
    let client = h2_client(|_| {});
    // Sent again, whatever the reason.
    assert_eq!(get(&client, &server.url("/")).await, "fine", "{reason:?}");
    assert_eq!(server.requests(), 2);
    (server, client)
}

#[tokio::test]
async fn a_post_that_is_refused_after_another_request_was_complained_of_is_sent_again() {
    for first in [Reason::REFUSED_STREAM, Reason::ENHANCE_YOUR_CALM] {
        let (server, client) = after_one_reset(first, Reason::REFUSED_STREAM).await;
        let answer = client.post(server.url("/")).body("x").send().await;
        assert_eq!(answer.unwrap().text().await.unwrap(), "fine", "{first:?}");
        assert_eq!((server.accepted(), server.requests()), (1, 4), "{first:?}");
        assert_all_gone(&client).await;
    }
}

#[tokio::test]
async fn a_request_that_fails_for_another_reason_after_that_is_not_sent_again() {
    for first in [Reason::REFUSED_STREAM, Reason::ENHANCE_YOUR_CALM] {
        let (server, client) = after_one_reset(first, Reason::INTERNAL_ERROR).await;
        let error = client.get(server.url("/bad")).send().await.unwrap_err();
        assert_eq!((error.kind(), error.attempts()), (Kind::Connection, 1), "{error}");
        assert!(error.to_string().contains("it may have been processed"), "{error}");
        assert_eq!((server.accepted(), server.requests()), (1, 3), "{first:?}");
        assert_all_gone(&client).await;
    }
}

#[tokio::test]
async fn what_a_host_that_complains_is_sent_again_is_paid_from_its_budget() {
    let server = H2Script::builder()
        .on_stream(|_| vec![Step::RstStream(Reason::ENHANCE_YOUR_CALM)])
        .start()
        .await;
    let config = ClientConfig::default().http2_prior_knowledge(true).no_breaker();
    let client = Client::new(config.retry_budget(0.0, 1)).unwrap();
    let asked: Vec<_> = (0..20).map(|_| spawn_get(&client, &server.url("/"))).collect();
    for asked in asked {
        let error = within(PATIENCE, asked).await.unwrap().unwrap_err();
        assert_eq!(error.kind(), Kind::Connection, "{error}");
    }
    // Ten within ten seconds, retries included.
    assert_eq!(server.requests(), 30);
    let stats = client.stats();
    assert_eq!(stats.resends + stats.retries, 10, "{stats:?}");
    assert!(stats.retries_denied >= 20, "{stats:?}");
    assert_all_gone(&client).await;
}

#[tokio::test]
async fn a_goaway_that_complains_holds_back_those_who_lose_their_stream_without_another_word() {
    // It owns the stream, and the connection ends without an answer.
    let server = H2Script::builder()
        .on_stream(|stream| match stream.overall {
            0 => vec![
                Step::GoAway(Last::This, Reason::ENHANCE_YOUR_CALM),
                Step::CloseConnection,
            ],
            _ => vec![Step::Answer("fine".into())],
        })
        .start()
        .await;
    let client = h2_client(|_| {});
    let began = Instant::now();
    assert_eq!(get(&client, &server.url("/")).await, "fine");
    let paused = began.elapsed();
    assert!(paused >= Duration::from_millis(90), "{paused:?}");
    assert_eq!((server.accepted(), client.stats().resends), (2, 1));
    assert_all_gone(&client).await;
}

#[tokio::test]
async fn each_complaint_of_a_host_doubles_the_time_between_its_pings_and_those_of_no_other() {
    const PINGS: usize = 10;
    let gate = Gate::new();
    let start = |complaints: usize| {
        let gate = gate.clone();
        H2Script::builder()
            .on_stream(move |stream| match stream.connection {
                earlier if earlier < complaints => vec![Step::GoAway(Last::Before, Reason::ENHANCE_YOUR_CALM)],
                _ => vec![Step::Hold(gate.clone()), Step::Answer("held".into())],
            })
            .start()
    };
    let (calm, complaining) = (start(0).await, start(2).await);
    let client = h2_client(|transport| {
        transport.http2.keepalive_interval = Duration::from_millis(100);
        transport.http2.keepalive_timeout = PATIENCE;
    });
    // The one that complains has a start.
    let mut held = vec![spawn_get(&client, &complaining.url("/"))];
    within(PATIENCE, gate.arrived(1)).await;
    held.push(spawn_get(&client, &calm.url("/")));
    within(PATIENCE, gate.arrived(2)).await;
    calm.frames().until(0, h2_script::Kind::Ping, PINGS).await;
    // A fourth as many, give or take a tenth for each of the two intervals, and the start.
    let fewer = complaining.frames().count(2, h2_script::Kind::Ping);
    assert!((1..=PINGS / 2).contains(&fewer), "{fewer} pings beside {PINGS}");
    gate.open();
    for held in held {
        assert_eq!(held.await.unwrap().unwrap(), "held");
    }
    assert_eq!((calm.accepted(), complaining.accepted()), (1, 3));
    assert_all_gone(&client).await;
}

#[tokio::test]
async fn a_complaint_slows_the_pings_on_a_connection_that_is_there_already() {
    const PINGS: usize = 10;
    let gate = Gate::new();
    let start = |reason: Reason| {
        let gate = gate.clone();
        H2Script::builder()
            .on_stream(move |stream| match stream.head.uri.path() {
                "/held" => vec![Step::Hold(gate.clone()), Step::Answer("held".into())],
                _ => vec![Step::GoAway(Last::This, reason), Step::Answer("fine".into())],
            })
            .start()
    };
    let (calm, complaining) = (start(Reason::NO_ERROR).await, start(Reason::ENHANCE_YOUR_CALM).await);
    let client = h2_client(|transport| {
        transport.http2.keepalive_interval = Duration::from_millis(100);
        transport.http2.keepalive_timeout = PATIENCE;
        transport.http2.max_connections_per_host = 8;
    });
    let held = [&calm, &complaining].map(|server| spawn_get(&client, &server.url("/held")));
    within(PATIENCE, gate.arrived(2)).await;
    for server in [&calm, &complaining] {
        for _ in 0..3 {
            let request = client.get(server.url("/")).fresh_connection(true);
            assert_eq!(request.send().await.unwrap().text().await.unwrap(), "fine");
        }
    }
    let pings = |server: &H2Script| server.frames().count(0, h2_script::Kind::Ping);
    let (before, before_that) = (pings(&complaining), pings(&calm));
    calm.frames().until(0, h2_script::Kind::Ping, before_that + PINGS).await;
    // An eighth as many, and one that was due.
    let fewer = pings(&complaining) - before;
    assert!(fewer <= PINGS / 2, "{fewer} pings beside {PINGS}");
    gate.open();
    for held in held {
        assert_eq!(held.await.unwrap().unwrap(), "held");
    }
    assert_eq!((calm.accepted(), complaining.accepted()), (4, 4));
    assert_all_gone(&client).await;
}
