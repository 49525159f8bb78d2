//! HTTP/2 connections that go silent: pings find them, and requests do not wait for their own time-out.

use std::time::{Duration, Instant};

use httputil::{Client, CloseReason, Error, Kind};
use httputil_tests::gate::Gate;
use httputil_tests::h2_script::{self, H2Script, Step};

use crate::common::{get, h2_client, until, until_read};

const SHORT: Duration = Duration::from_millis(200);

fn pinging() -> Client {
    h2_client(|transport| {
        transport.http2.keepalive_interval = SHORT;
        transport.http2.keepalive_timeout = SHORT;
    })
}

async fn holding(gate: &Gate) -> H2Script {
    let gate = gate.clone();
    H2Script::builder()
        .on_stream(move |stream| match stream.head.uri.path() {
            "/held" => vec![Step::Hold(gate.clone()), Step::Answer("held".into())],
            "/begun" => vec![Step::Head, Step::Data("some".into()), Step::Hold(gate.clone())],
            _ => vec![Step::Answer("fine".into())],
        })
        .start()
        .await
}

#[tokio::test]
async fn requests_on_a_black_holed_connection_fail_by_its_ping() {
    let gate = Gate::new();
    let server = holding(&gate).await;
    let client = pinging();
    let requests: Vec<_> = (0..3)
        .map(|_| tokio::spawn(client.post(server.url("/held")).body("once").send()))
        .collect();
    gate.arrived(3).await;
    let began = Instant::now();
    server.connection(0).freeze();
    for request in requests {
        let error = request.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), Kind::Connection, "{error:?}");
        let said = error.to_string();
        assert!(
            said.contains("answered no ping within 200 ms") && said.contains("may have been"),
            "{said}"
        );
    }
    // The default time-out of a request is 30 s.
    assert!(began.elapsed() < Duration::from_secs(5));
    until(&client, "the close to be counted", |stats| stats.closed_total() == 1).await;
    assert_eq!(client.stats().closed_for(CloseReason::PingTimeout), 1);
}

#[tokio::test]
async fn so_does_a_body_that_is_waited_for() {
    let gate = Gate::new();
    let server = holding(&gate).await;
    let client = pinging();
    let mut response = client.get(server.url("/begun")).send().await.unwrap();
    assert_eq!(response.chunk().await.unwrap().unwrap(), "some");
    gate.arrived(1).await;
    server.connection(0).freeze();
    let error = response.chunk().await.unwrap_err();
    let said = Error::of(&error).unwrap().to_string();
    assert!(said.contains("answered no ping within 200 ms"), "{said}");
}

#[tokio::test]
async fn a_server_that_is_slow_and_answers_pings_is_waited_for() {
    let gate = Gate::new();
    let server = holding(&gate).await;
    let client = pinging();
    let slow = tokio::spawn({
        let (client, url) = (client.clone(), server.url("/held"));
        async move { get(&client, &url).await }
    });
    server.frames().until(0, h2_script::Kind::Ping, 4).await;
    gate.open();
    assert_eq!(slow.await.unwrap(), "held");
    assert_eq!(client.stats().closed_total(), 0);
}

#[tokio::test]
async fn an_idle_connection_is_not_pinged() {
    let gate = Gate::new();
    gate.open();
    let server = holding(&gate).await;
    let client = h2_client(|transport| {
        transport.http2.keepalive_interval = SHORT;
        transport.http2.keepalive_timeout = SHORT;
        transport.pool.idle_timeout = SHORT * 4;
    });
    assert_eq!(get(&client, &server.url("/held")).await, "held");
    // Idle for four intervals, as its end at the idle time-out shows.
    server.until_open(0).await;
    assert_eq!(client.stats().closed_for(CloseReason::IdleTimeout), 1);
    assert_eq!(server.frames().count(0, h2_script::Kind::Ping), 0);
}

#[tokio::test]
async fn after_a_time_out_in_silence_the_next_request_goes_elsewhere() {
    let gate = Gate::new();
    let server = holding(&gate).await;
    let client = h2_client(|_| {});
    assert_eq!(get(&client, &server.url("/")).await, "fine");
    server.connection(0).freeze();
    let lost = client.get(server.url("/held")).timeout(Duration::from_millis(100));
    assert!(lost.send().await.unwrap_err().is_timeout());
    assert_eq!(get(&client, &server.url("/")).await, "fine");
    assert_eq!(server.accepted(), 2);
}

#[tokio::test]
async fn a_time_out_on_a_connection_with_traffic_taints_nothing() {
    let gate = Gate::new();
    let server = holding(&gate).await;
    let client = h2_client(|_| {});
    assert_eq!(get(&client, &server.url("/")).await, "fine");
    let lost = client.get(server.url("/held")).timeout(Duration::from_millis(300));
    let lost = tokio::spawn(lost.send());
    gate.arrived(1).await;
    until_read(&server, 0).await;
    assert!(lost.await.unwrap().unwrap_err().is_timeout());
    assert_eq!(get(&client, &server.url("/")).await, "fine");
    assert_eq!(server.accepted(), 1);
}
