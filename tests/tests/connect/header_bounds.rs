//! How large an answer's header may be, and how ours are written.

use httputil::{Client, Kind};
use httputil_tests::script::{Script, steps};
use httputil_tests::server::{Frames, Server};
use httputil_tests::{PATIENCE, within};

use crate::scene::{assert_balanced, assert_says, client, failure, get};

/// An answer with this many lines of these lengths.
fn answer(lines: usize, length: usize) -> String {
    let line = |number| format!("x-{number:05}: {}\r\n", "x".repeat(length));
    let lines: String = (0..lines).map(line).collect();
    format!("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n{lines}\r\nok")
}

async fn asked(client: &Client, answer: String) -> Result<String, httputil::Error> {
    let server = Script::start([steps::answer_all(answer)]).await;
    get(client, server.url("/")).await
}

#[tokio::test]
async fn a_header_larger_than_the_bound_is_refused_with_the_key_and_the_bound() {
    let default = client(|_| {});
    assert_eq!(asked(&default, answer(60, 1000)).await.unwrap(), "ok");
    let error = asked(&default, answer(70, 1000)).await.unwrap_err();
    assert_says(&error, Kind::Protocol, &["65536 bytes (http1.max_header_bytes)"]);
    assert_eq!(default.stats().idle, 0, "nothing is kept of it");

    let small = client(|profile| profile.transport.http1.max_header_bytes = 1024);
    assert_eq!(asked(&small, answer(9, 80)).await.unwrap(), "ok");
    let error = asked(&small, answer(12, 80)).await.unwrap_err();
    assert_says(&error, Kind::Protocol, &["1024 bytes (http1.max_header_bytes)"]);
    assert_balanced(&small.stats());
}

#[tokio::test]
async fn a_header_without_an_end_is_refused_too() {
    let endless = format!("HTTP/1.1 200 OK\r\nx: {}", "x".repeat(2 << 20));
    let error = asked(&client(|_| {}), endless).await.unwrap_err();
    assert_says(&error, Kind::Protocol, &["http1.max_header_bytes"]);
}

#[tokio::test]
async fn more_lines_than_the_bound_are_refused_with_the_key_and_the_bound() {
    let default = client(|_| {});
    assert_eq!(asked(&default, answer(99, 1)).await.unwrap(), "ok");
    let error = asked(&default, answer(100, 1)).await.unwrap_err();
    assert_says(&error, Kind::Protocol, &["100 lines (http1.max_headers)"]);

    let many = client(|profile| profile.transport.http1.max_headers = 1000);
    assert_eq!(asked(&many, answer(999, 1)).await.unwrap(), "ok");
    let few = client(|profile| profile.transport.http1.max_headers = 3);
    let error = asked(&few, answer(3, 1)).await.unwrap_err();
    assert_says(&error, Kind::Protocol, &["3 lines (http1.max_headers)"]);
}

#[tokio::test]
async fn names_are_written_in_title_case_where_a_server_minds() {
    for (title_case, expected) in [(false, "x-request-id: 1\r\n"), (true, "X-Request-Id: 1\r\n")] {
        let server = Script::start([steps::answer_all(answer(0, 0))]).await;
        let client = client(|profile| profile.transport.http1.title_case_headers = title_case);
        let sent = client.get(server.url("/")).header("x-request-id", "1").send();
        within(PATIENCE, sent).await.unwrap();
        let received = server.received_text(0);
        assert!(received.contains(expected), "{received}");
    }
}

#[tokio::test]
async fn an_http_2_header_larger_than_the_bound_is_refused_with_the_key_and_the_bound() {
    let server = Server::builder()
        .h2()
        .handler(|request: http::Request<hyper::body::Incoming>| async move {
            let length = request.uri().path()[1..].parse().unwrap_or(0);
            http::Response::builder()
                .header("x-long", "x".repeat(length))
                .body(Frames::new([]))
                .unwrap()
        })
        .start()
        .await;
    let client = client(|profile| {
        profile.transport.http2.prior_knowledge = true;
        profile.transport.http2.max_header_list_size = 4096;
    });
    assert_eq!(get(&client, server.url("/3000")).await.unwrap(), "");
    let error = failure(&client, server.url("/8000")).await;
    assert_says(&error, Kind::Protocol, &["4096 bytes (http2.max_header_list_size)"]);
    // It costs the stream, not the connection.
    assert_eq!(get(&client, server.url("/3000")).await.unwrap(), "");
    assert_eq!(server.accepted(), 1);
    // Far beyond it, where the header goes on over several frames, the connection is given up.
    let error = failure(&client, server.url("/60000")).await;
    assert_says(&error, Kind::Protocol, &["4096 bytes (http2.max_header_list_size)"]);
}
