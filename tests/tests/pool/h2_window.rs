//! Bodies that nobody reads use up an HTTP/2 connection's window: the next request goes elsewhere instead of stalling.

use std::time::Duration;

use httputil_tests::h2_script::{H2Script, Step};
use httputil_tests::within;

use crate::common::{get, h2_client, until, until_read};

const LARGE: usize = 4 << 20;

async fn server() -> H2Script {
    H2Script::builder()
        .on_stream(|stream| match stream.head.uri.path() {
            "/large" => vec![Step::Answer(vec![b'x'; LARGE].into())],
            _ => vec![Step::Answer("small".into())],
        })
        .start()
        .await
}

#[tokio::test]
async fn three_unread_bodies_stall_nobody() {
    let server = server().await;
    let client = h2_client(|transport| {
        transport.http2.max_connections_per_host = 2;
        transport.http2.initial_connection_window = 5 << 20;
    });
    let mut unread: Vec<reqwest::Response> = Vec::new();
    for _ in 0..3 {
        unread.push(client.get(server.url("/large")).send().await.unwrap());
    }
    // The server has written as much as it may.
    until_read(&server, 0).await;
    for _ in 0..10 {
        let small = within(Duration::from_secs(5), get(&client, &server.url("/small"))).await;
        assert_eq!(small, "small");
    }
    assert_eq!(server.accepted(), 2);
    for response in unread {
        assert_eq!(response.bytes().await.unwrap().len(), LARGE);
    }
    assert_eq!(client.stats().closed_total(), 0);
}

#[tokio::test]
async fn a_connection_whose_bodies_are_read_again_takes_requests_again() {
    let server = server().await;
    let client = h2_client(|transport| transport.http2.initial_connection_window = 5 << 20);
    let mut unread = Vec::new();
    for _ in 0..3 {
        unread.push(client.get(server.url("/large")).send().await.unwrap());
    }
    until_read(&server, 0).await;
    let waiting = tokio::spawn({
        let (client, url) = (client.clone(), server.url("/small"));
        async move { get(&client, &url).await }
    });
    until(&client, "it to wait", |stats| stats.waiting == 1).await;
    for response in unread {
        assert_eq!(response.bytes().await.unwrap().len(), LARGE);
    }
    assert_eq!(within(Duration::from_secs(5), waiting).await.unwrap(), "small");
    assert_eq!(server.accepted(), 1);
}

#[tokio::test]
async fn dropping_unread_bodies_frees_the_window_too() {
    let server = server().await;
    let client = h2_client(|transport| transport.http2.initial_connection_window = 5 << 20);
    for _ in 0..4 {
        let mut unread = Vec::new();
        for _ in 0..3 {
            unread.push(client.get(server.url("/large")).send().await.unwrap());
        }
        until_read(&server, 0).await;
        drop(unread);
        let small = within(Duration::from_secs(5), get(&client, &server.url("/small"))).await;
        assert_eq!(small, "small");
    }
    assert_eq!(server.accepted(), 1);
}
