//! What becomes of the loser of a hedged request, over real sockets.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use httputil::{Client, ClientConfig};
use httputil_tests::gate::Gate;
use httputil_tests::h2_script::{H2Script, Kind, Step};
use httputil_tests::server::{Server, handlers};
use httputil_tests::tls::Alpn;
use httputil_tests::{PATIENCE, within};

use crate::common::{TrustedCa, assert_all_gone, get, until, url};

fn config() -> ClientConfig {
    ClientConfig::default()
        .max_attempts(1)
        .hedge_after(Duration::from_millis(1))
}

/// To each host so many connections at most.
fn over_http2(most: usize) -> ClientConfig {
    let mut config = config().http2_prior_knowledge(true);
    config.profile_mut().transport.http2.max_connections_per_host = most;
    config
}

#[tokio::test]
async fn over_http2_a_hedge_takes_another_connection_than_the_one_that_its_first_hangs_on() {
    let gate = Gate::new();
    let held = gate.clone();
    let server = H2Script::builder()
        .on_stream(move |stream| match (stream.connection, stream.overall) {
            (_, 0) => vec![Step::Answer("first".into())],
            // All that comes on this connection from then on hangs.
            (0, _) => vec![Step::Hold(held.clone()), Step::Answer("late".into())],
            _ => vec![Step::Answer("fine".into())],
        })
        .start()
        .await;
    let client = Client::new(over_http2(2)).unwrap();
    let first = within(PATIENCE, client.post(server.url("/")).send()).await.unwrap();
    assert_eq!(first.text().await.unwrap(), "first");
    // A new one the first time, and the one that there is then.
    for hedges in 1..=3 {
        assert_eq!(within(PATIENCE, get(&client, &server.url("/"))).await, "fine");
        if client.stats().hedges < hedges {
            // It went to the sound one at once.
            break;
        }
    }
    assert!(client.stats().hedges_won >= 1);
    assert_eq!(server.accepted(), 2);
    gate.open();
    assert_all_gone(&client).await;
}

#[tokio::test]
async fn over_http2_a_hedge_shares_its_first_s_connection_where_a_new_one_is_too_long_in_coming() {
    let (gate, came) = (Gate::new(), Arc::new(AtomicUsize::new(0)));
    let (held, count) = (gate.clone(), Arc::clone(&came));
    let ca = TrustedCa::new();
    let server = Server::builder().tls(ca.server(Alpn::Both)).handler(move |request| {
        let hangs = count.fetch_add(1, Ordering::SeqCst) == 1;
        let held = held.clone();
        async move {
            if hangs {
                held.pass().await;
            }
            handlers::by_path(request).await
        }
    });
    let server = server.start().await;
    let mut config = config();
    config.profile_mut().transport.tls.ca_file = Some(ca.path().to_owned());
    let client = Client::new(config).unwrap();
    let first = within(PATIENCE, client.post(url(&server, "/")).send()).await.unwrap();
    assert_eq!(first.text().await.unwrap(), "hello");
    // Whoever dials it from now on is never answered.
    let _listener = server.fall_silent().await;
    let began = Instant::now();
    let next = within(PATIENCE, get(&client, &url(&server, "/"))).await;
    assert_eq!((next.as_str(), client.stats().hedges_won), ("hello", 1));
    // A new one had its chance.
    assert!(began.elapsed() >= Duration::from_millis(500), "{:?}", began.elapsed());
    assert_eq!((server.accepted(), client.stats().dials_started), (1, 2));
    gate.open();
    client.stop();
}

#[tokio::test]
async fn over_http2_the_loser_s_stream_is_reset_and_the_connection_serves_on() {
    let (gate, came) = (Gate::new(), Arc::new(AtomicUsize::new(0)));
    let (held, count) = (gate.clone(), Arc::clone(&came));
    let server = H2Script::builder()
        .on_stream(move |_| match count.fetch_add(1, Ordering::SeqCst) {
            0 => vec![Step::Hold(held.clone()), Step::Answer("late".into())],
            _ => vec![Step::Answer("fine".into())],
        })
        .start()
        .await;
    let client = Client::new(over_http2(1)).unwrap();
    let response = within(PATIENCE, get(&client, &server.url("/"))).await;
    assert_eq!(response, "fine");
    server.frames().until(0, Kind::RstStream, 1).await;
    assert_eq!(client.stats().hedges_won, 1);
    until(&client, "both places to be given back", |stats| stats.in_use == 0).await;
    assert_eq!(get(&client, &server.url("/")).await, "fine");
    assert_eq!(server.accepted(), 1);
    gate.open();
    assert_all_gone(&client).await;
}

#[tokio::test]
async fn over_http1_the_loser_s_connection_is_closed_and_the_winner_s_serves_on() {
    let (gate, came) = (Gate::new(), Arc::new(AtomicUsize::new(0)));
    let held = gate.clone();
    let server = Server::builder()
        .handler(move |request| {
            let is_first = came.fetch_add(1, Ordering::SeqCst) == 0;
            let held = held.clone();
            async move {
                if is_first {
                    held.pass().await;
                }
                handlers::by_path(request).await
            }
        })
        .start()
        .await;
    let client = Client::new(config()).unwrap();
    assert_eq!(within(PATIENCE, get(&client, &server.url("/"))).await, "hello");
    assert_eq!((client.stats().hedges_won, server.accepted()), (1, 2));
    until(&client, "the loser's connection to be closed", |stats| {
        (stats.open, stats.idle) == (1, 1)
    })
    .await;
    server.until_open(1).await;
    // A POST is never hedged: a slow GET would be, and over a connection of its own.
    let next = within(PATIENCE, client.post(server.url("/")).send()).await.unwrap();
    assert_eq!(next.text().await.unwrap(), "hello");
    assert_eq!(server.accepted(), 2);
    gate.open();
    assert_all_gone(&client).await;
}
