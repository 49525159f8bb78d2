//! Responses whose body is dropped before its end: little that comes at once is read, else the connection closes.

use std::time::{Duration, Instant};

use httputil::{Client, CloseReason};
use httputil_tests::gate::Gate;
use httputil_tests::script::{Script, Step, answers, steps};
use httputil_tests::server::Server;

use crate::common::{TrustedCa, Way, client, get, until, url};

/// Sends a `GET` and drops the answer when its head has come.
async fn glance(client: &Client, url: &str) {
    drop(client.get(url).send().await.unwrap());
}

/// A server that answers with these bytes and then says nothing more, whatever it promised.
async fn silent_after(answer: impl Into<bytes::Bytes>) -> Script {
    let silent = vec![Step::ReadHead, Step::write(answer), Step::Hold(Gate::new())];
    Script::start([silent, steps::answer_all(answers::ok("fine"))]).await
}

async fn is_closed_half_read(client: &Client, server: &Script) {
    server.until_ended(0).await;
    until(client, "the close to be counted", |stats| stats.closed_total() == 1).await;
    assert_eq!(client.stats().closed_for(CloseReason::HalfRead), 1);
    assert_eq!(get(client, &server.url("/")).await, "fine");
}

#[tokio::test]
async fn a_short_rest_is_read_and_the_connection_kept() {
    let ca = TrustedCa::new();
    for way in [Way::H1, Way::H1Tls] {
        let server = way.start(Server::builder(), &ca).await;
        let client = ca.client();
        for size in [1, 5_000, 60_000] {
            glance(&client, &url(&server, &format!("/bytes/{size}"))).await;
            until(&client, "the connection to come home", |stats| stats.idle == 1).await;
        }
        assert_eq!(get(&client, &url(&server, "/")).await, "hello", "{way:?}");
        assert_eq!(server.accepted(), 1, "{way:?}");
    }
}

#[tokio::test]
async fn the_rest_of_a_chunked_body_is_read_too() {
    let answer = answers::chunked(&["some", "more", &"x".repeat(9_000)], &[]);
    let server = Script::start([steps::answer_all(answer)]).await;
    let client = client();
    for _ in 0..3 {
        let mut response = client.get(server.url("/")).send().await.unwrap();
        assert!(response.chunk().await.unwrap().is_some());
        drop(response);
        until(&client, "the connection to come home", |stats| stats.idle == 1).await;
    }
    assert_eq!(server.accepted(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn it_is_read_on_the_connection_s_own_runtime_wherever_it_is_dropped() {
    let server = Script::start([steps::answer_all(answers::ok("x".repeat(20_000)))]).await;
    let client = client();
    let response = client.get(server.url("/")).send().await.unwrap();
    std::thread::spawn(move || drop(response)).join().unwrap();
    until(&client, "the connection to come home", |stats| stats.idle == 1).await;
}

#[tokio::test]
async fn a_long_rest_is_not_waited_for() {
    let server = silent_after(answers::cut(10 << 20, "x")).await;
    let client = client();
    glance(&client, &server.url("/")).await;
    is_closed_half_read(&client, &server).await;
}

#[tokio::test]
async fn a_rest_of_unknown_length_is_read_up_to_a_bound() {
    let chunk = format!("2000\r\n{}\r\n", "x".repeat(0x2000));
    let endless = vec![
        Step::ReadHead,
        Step::write(answers::head("200 OK", &[("transfer-encoding", "chunked")])),
        Step::Repeat(vec![Step::write(chunk)]),
    ];
    let server = Script::start([endless, steps::answer_all(answers::ok("fine"))]).await;
    let client = client();
    glance(&client, &server.url("/")).await;
    is_closed_half_read(&client, &server).await;
    // One that comes at once, and is more than that, is not read to its end either.
    let chunk = "x".repeat(0x2000);
    let server = silent_after(answers::chunked(&[chunk.as_str(); 64], &[])).await;
    glance(&client, &server.url("/")).await;
    server.until_ended(0).await;
    until(&client, "the close to be counted", |stats| {
        stats.closed_for(CloseReason::HalfRead) == 2
    })
    .await;
}

#[tokio::test]
async fn a_slow_rest_is_waited_for_up_to_a_bound() {
    let server = silent_after(answers::cut(100, "slow")).await;
    let client = client();
    let began = Instant::now();
    glance(&client, &server.url("/")).await;
    is_closed_half_read(&client, &server).await;
    let took = began.elapsed();
    assert!(
        took >= Duration::from_millis(50) && took < Duration::from_secs(4),
        "{took:?}"
    );
}

#[tokio::test]
async fn nothing_is_read_of_a_connection_that_the_server_closes_anyway() {
    for answer in [
        answers::head("200 OK", &[("content-length", "9"), ("connection", "Close")]),
        answers::head("200 OK", &[]),
        "HTTP/1.0 200 OK\r\ncontent-length: 9\r\n\r\n".into(),
    ] {
        let server = silent_after(answer).await;
        let client = client();
        let response = client.get(server.url("/")).send().await.unwrap();
        let began = Instant::now();
        drop(response);
        is_closed_half_read(&client, &server).await;
        assert!(began.elapsed() < Duration::from_secs(5));
    }
}
