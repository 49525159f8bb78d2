//! Requests that the server did not process, and requests of which nobody knows.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use httputil::{Client, Kind};
use httputil_tests::gate::Gate;
use httputil_tests::h2_script::{H2Script, Step as H2Step};
use httputil_tests::script::{Script, Step, answers, steps};
use httputil_tests::server::Server;
use httputil_tests::tls::Alpn;
use reqwest::Method;

use crate::common::{
    TrustedCa, Way, assert_all_gone, be_idle_for_long_enough_to_be_peeked_at, client, get, h2_client, spawn_get, until,
    url,
};

/// Answers one request; takes the next one whole, and closes without a byte: the race that keep-alive cannot avoid.
fn race() -> Vec<Step> {
    let mut race = steps::answer_once(answers::ok("one"));
    race.extend([Step::ReadRequest, Step::Close]);
    race
}

async fn send(client: &Client, method: Method, url: &str) -> Result<String, httputil::Error> {
    let body = if method == Method::GET || method == Method::HEAD {
        ""
    } else {
        "a body"
    };
    let response = client.request(method, url).body(body).send().await?;
    Ok(response.text().await.expect("the scripts answer whole"))
}

#[tokio::test]
async fn an_idle_connection_closed_by_the_server_is_never_handed_out() {
    let ca = TrustedCa::new();
    for way in Way::ALL {
        let server = way.start(Server::builder(), &ca).await;
        let client = ca.client();
        for round in 1..=20 {
            assert_eq!(get(&client, &url(&server, "/")).await, "hello");
            assert_eq!(server.accepted(), round, "{way:?}");
            server.close_idle();
            server.until_closed(round).await;
            until(&client, "the pool to notice", |stats| stats.open == 0).await;
        }
        assert_eq!(client.stats().resends, 0, "{way:?}");
    }
}

#[tokio::test]
async fn a_close_that_the_runtime_has_not_seen_yet_costs_no_request() {
    // One thread for client and server, and no turn of the runtime between the close and the next request.
    for method in [Method::GET, Method::POST] {
        for _ in 0..20 {
            let gate = Gate::new();
            let server = Script::start([
                steps::close_after_idle(answers::ok("one"), &gate),
                steps::answer_all(answers::ok("two")),
            ])
            .await;
            let client = client();
            assert_eq!(get(&client, &server.url("/")).await, "one");
            gate.open();
            gate.passed(1).await;
            assert_eq!(
                send(&client, method.clone(), &server.url("/")).await.unwrap(),
                "two",
                "{method}"
            );
        }
    }
}

#[tokio::test]
async fn a_close_or_unasked_bytes_that_the_runtime_has_not_seen_yet_are_seen_by_looking_into_the_socket() {
    let ca = TrustedCa::new();
    let tls = ca.server(Alpn::H1);
    let unasked = Step::write("HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n");
    for over_tls in [false, true] {
        for then in [Step::Fin, Step::CutFin, Step::Close, unasked.clone()] {
            let gate = Gate::new();
            let mut scripts = [
                vec![
                    Step::ReadRequest,
                    Step::write(answers::ok("one")),
                    Step::Hold(gate.clone()),
                    then.clone(),
                ],
                steps::answer_all(answers::ok("two")),
            ];
            if over_tls {
                scripts = scripts.map(|script| steps::over_tls(&tls, script));
            }
            let server = Script::start(scripts).await;
            let client = ca.client();
            let scheme = if over_tls { "https" } else { "http" };
            let url = format!("{scheme}://localhost:{}/", server.port());
            assert_eq!(get(&client, &url).await, "one");
            until(&client, "it to be idle", |stats| stats.idle == 1).await;
            gate.arrived(1).await;
            be_idle_for_long_enough_to_be_peeked_at();
            gate.open();
            gate.passed(1).await;
            assert_eq!(send(&client, Method::POST, &url).await.unwrap(), "two", "{then:?}");
            // Not put on the dead connection first.
            let stats = client.stats();
            assert_eq!((stats.requests, stats.resends, stats.reuses), (2, 0, 0), "{then:?}");
            assert_all_gone(&client).await;
        }
    }
}

#[tokio::test]
async fn a_keep_alive_race_never_reaches_the_user_of_an_idempotent_request() {
    for method in [Method::GET, Method::HEAD, Method::PUT, Method::DELETE, Method::OPTIONS] {
        let server = Script::start([race(), steps::answer_all(answers::ok(""))]).await;
        let client = client();
        get(&client, &server.url("/")).await;
        assert!(
            send(&client, method.clone(), &server.url("/")).await.is_ok(),
            "{method}"
        );
        assert_eq!((server.accepted(), client.stats().resends), (2, 1), "{method}");
    }
}

#[tokio::test]
async fn the_race_is_seen_through_tls_too() {
    let ca = TrustedCa::new();
    let tls = ca.server(Alpn::H1);
    for end in [Step::Fin, Step::CutFin, Step::Reset] {
        let mut first = steps::answer_once(answers::ok("one"));
        first.extend([Step::ReadRequest, end.clone()]);
        let server = Script::start([
            steps::over_tls(&tls, first),
            steps::over_tls(&tls, steps::answer_all(answers::ok("two"))),
        ])
        .await;
        let client = ca.client();
        let url = format!("https://localhost:{}/", server.port());
        assert_eq!(get(&client, &url).await, "one");
        assert_eq!(get(&client, &url).await, "two", "{end:?}");
    }
}

#[tokio::test]
async fn a_post_that_was_written_is_not_sent_again_and_the_error_says_that_it_may_have_been_processed() {
    for method in [Method::POST, Method::PATCH] {
        let server = Script::start([race(), steps::answer_all(answers::ok("two"))]).await;
        let client = client();
        get(&client, &server.url("/")).await;
        let error = send(&client, method.clone(), &server.url("/")).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Connection);
        assert!(!error.is_retryable());
        let expected = format!(
            "{method} {}: the server closed the connection before it answered; it may have been processed (profile default)",
            server.url("/")
        );
        assert_eq!(error.to_string(), expected);
        assert_eq!(server.accepted(), 1);
    }
}

/// A `POST` that the server takes for one however often it comes.
async fn send_keyed(client: &Client, url: &str, key: &str) -> Result<String, httputil::Error> {
    let request = client.post(url).header("Idempotency-Key", key).body("a body");
    Ok(request.send().await?.text().await.expect("the scripts answer whole"))
}

#[tokio::test]
async fn a_post_with_an_idempotency_key_is_sent_again_as_it_was_and_once() {
    let server = Script::start([race(), steps::answer_all(answers::ok("two"))]).await;
    let client = client();
    get(&client, &server.url("/")).await;
    assert_eq!(send_keyed(&client, &server.url("/"), "k-1").await.unwrap(), "two");
    assert_eq!((server.accepted(), client.stats().resends), (2, 1));
    for connection in 0..2 {
        let received = String::from_utf8(server.received(connection)).unwrap();
        assert_eq!(received.matches("idempotency-key: k-1\r\n").count(), 1, "{received}");
        assert!(received.ends_with("\r\n\r\na body"), "{received}");
    }
    assert_all_gone(&client).await;

    // A second such end is no race, and an empty key is none.
    for (key, accepted) in [("k-2", 2), ("", 1)] {
        let server = Script::start([race(), steps::reset_on_request()]).await;
        let client = crate::common::client();
        get(&client, &server.url("/")).await;
        let error = send_keyed(&client, &server.url("/"), key).await.unwrap_err();
        assert!(error.to_string().contains("it may have been processed"), "{error}");
        assert_eq!(server.accepted(), accepted, "{key:?}");
        assert_all_gone(&client).await;
    }
}

#[tokio::test]
async fn an_idempotency_key_counts_over_http2_too() {
    let server = H2Script::builder()
        .on_stream(|stream| match stream.overall {
            1 => vec![H2Step::CloseConnection],
            _ => vec![H2Step::Answer("fine".into())],
        })
        .start()
        .await;
    let client = h2_client(|_| {});
    get(&client, &server.url("/")).await;
    assert_eq!(send_keyed(&client, &server.url("/"), "k-1").await.unwrap(), "fine");
    assert_eq!((server.accepted(), server.requests()), (2, 3));
    assert_all_gone(&client).await;
}

#[tokio::test]
async fn a_second_unknown_end_is_an_error() {
    let server = Script::start([race(), steps::reset_on_request()]).await;
    let client = client();
    get(&client, &server.url("/")).await;
    let error = client.get(server.url("/")).send().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Connection);
    assert_eq!((server.accepted(), error.attempts()), (2, 2));
}

#[tokio::test]
async fn what_a_sending_may_have_done_is_not_undone_by_the_failure_of_the_next() {
    let ca = TrustedCa::new();
    let over_tls = steps::over_tls(&ca.server(Alpn::H1), race());
    // The second connection's handshake hangs: of a request that was sent nowhere else that is safe to say.
    let server = Script::start([over_tls, vec![Step::Stall], vec![Step::Stall]]).await;
    let mut config = ca.config();
    config.profile_mut().transport.timeouts.tls_handshake = Duration::from_millis(50);
    let client = Client::new(config).unwrap();
    let url = format!("https://localhost:{}/", server.port());
    get(&client, &url).await;
    let error = send(&client, Method::PUT, &url).await.unwrap_err();
    assert!(error.is_timeout() && !error.is_retryable(), "{error}");
    assert_eq!((server.accepted(), error.attempts()), (2, 2), "{error}");
    let error = send(&client, Method::PUT, &url).await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
}

#[tokio::test]
async fn a_streaming_body_is_not_sent_again() {
    let server = Script::start([race(), steps::answer_all(answers::ok("two"))]).await;
    let client = client();
    get(&client, &server.url("/")).await;
    let body = reqwest::Body::wrap(http_body_util::StreamBody::new(Pieces(vec!["one", "two"])));
    let error = client.put(server.url("/")).body(body).send().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Connection, "{error}");
    assert_eq!(server.accepted(), 1);
}

/// A stream of a few pieces.
pub(crate) struct Pieces(pub(crate) Vec<&'static str>);

impl futures_core::Stream for Pieces {
    type Item = Result<http_body::Frame<bytes::Bytes>, std::io::Error>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        std::task::Poll::Ready(self.0.pop().map(|piece| Ok(http_body::Frame::data(piece.into()))))
    }
}

#[tokio::test]
async fn a_request_is_never_sent_again_once_a_byte_of_the_answer_has_come() {
    for partial in ["H", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n"] {
        let mut first = steps::answer_once(answers::ok("one"));
        first.extend([Step::ReadRequest, Step::write(partial), Step::Close]);
        let server = Script::start([first, steps::answer_all(answers::ok("two"))]).await;
        let client = client();
        get(&client, &server.url("/")).await;
        let error = client.get(server.url("/")).send().await.unwrap_err();
        assert_eq!(error.kind(), Kind::Connection, "{partial:?}: {error}");
        assert_eq!(server.accepted(), 1, "{partial:?}");
    }
}

#[tokio::test]
async fn what_is_refused_again_and_again_goes_over_a_new_connection_or_at_a_cap_over_the_one_that_there_is() {
    for max in [2, 1] {
        let (gate, asked) = (Gate::new(), AtomicUsize::new(0));
        let held = gate.clone();
        let server = H2Script::builder()
            .on_stream(move |arrival| match arrival.head.uri.path() {
                "/held" => vec![H2Step::Hold(held.clone()), H2Step::Answer("hello".into())],
                _ if asked.fetch_add(1, Ordering::SeqCst) < 3 => {
                    vec![H2Step::RstStream(h2::Reason::REFUSED_STREAM)]
                }
                _ => vec![H2Step::Answer("hello".into())],
            })
            .start()
            .await;
        let client = h2_client(|transport| transport.http2.max_connections_per_host = max);
        let holds = spawn_get(&client, &server.url("/held"));
        gate.arrived(1).await;
        assert_eq!(get(&client, &server.url("/")).await, "hello");
        assert_eq!(client.stats().resends, 3);
        assert_eq!(server.accepted(), max);
        gate.open();
        assert_eq!(holds.await.unwrap().unwrap(), "hello");
        assert_all_gone(&client).await;
    }
}
