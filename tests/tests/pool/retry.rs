//! What is retried over real sockets: hosts that cannot be reached for a while, and servers that restart.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use httputil::settings::{Jitter, Limit, Rate, Retry};
use httputil::{Client, ClientConfig, CloseReason, Kind, Timings};
use httputil_tests::gate::Gate;
use httputil_tests::script::{Script, Step, answers, steps};
use httputil_tests::server::{Server, handlers};
use httputil_tests::tcp::ClosedPort;
use httputil_tests::{PATIENCE, within};
use reqwest::Method;
use tokio::task::JoinSet;

use crate::common::{assert_all_gone, assert_at_rest, get, spawn_get, until};
use crate::resend::Pieces;

/// Attempts that go on for as long as the kit is patient, and a budget that allows it.
fn persistent() -> Client {
    let mut retry = Retry::default();
    retry.max_attempts = 100;
    retry.jitter = Jitter::None;
    (retry.backoff_base, retry.backoff_max) = (Duration::from_millis(10), Duration::from_millis(50));
    retry.budget_min_per_second = 10_000;
    Client::new(ClientConfig::default().retry(retry).timeout(PATIENCE)).unwrap()
}

#[tokio::test]
async fn a_request_of_any_method_outlives_a_moment_in_which_nobody_listens() {
    for method in [Method::GET, Method::POST] {
        let port = Arc::new(ClosedPort::new());
        let client = persistent();
        let request = client.request(method.clone(), format!("http://{}/", port.addr()));
        let request = tokio::spawn(request.body("a body").send());
        until(&client, "a refused dial", |stats| stats.dial_failures_total() >= 2).await;
        let server = Server::builder().start_on(port).await;
        let response = within(PATIENCE, request).await.unwrap().unwrap();
        let timings = response.extensions().get::<Timings>().cloned().unwrap();
        assert_eq!(response.text().await.unwrap(), "hello", "{method}");
        assert_eq!(server.requests(), 1);
        let stats = client.stats();
        assert!(stats.retries >= 2 && stats.resends == 0, "{stats:?}");
        assert_eq!(u64::from(timings.attempts()), stats.retries + 1);
        assert_all_gone(&client).await;
    }
}

#[tokio::test]
async fn no_attempt_is_wasted_on_a_host_that_is_left_alone() {
    // The pool leaves it alone for 50 ms and then 100 ms; each attempt is a dial, though pauses of 1 ms are allowed.
    let port = ClosedPort::new();
    let config = ClientConfig::default().retry_backoff(Duration::from_millis(1), Duration::from_millis(1));
    let client = Client::new(config).unwrap();
    let request = client.post(format!("http://{}/", port.addr())).send();
    let error = within(PATIENCE, request).await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (Kind::Connect, 3), "{error}");
    assert!(error.is_retryable(), "nobody ever got it");
    assert!(
        error.to_string().ends_with("(profile default, 3 attempts)") && !error.to_string().contains("last try"),
        "{error}"
    );
    assert_eq!((client.stats().dial_failures_total(), client.stats().retries), (3, 2));
    assert_at_rest(&client).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_away_between_two_lives_fails_no_idempotent_request() {
    let port = Arc::new(ClosedPort::new());
    let client = persistent();
    let mut server = Server::builder().start_on(Arc::clone(&port)).await;
    let url = server.url("/");
    let mut load = JoinSet::new();
    let (done, _) = tokio::sync::watch::channel(false);
    for _ in 0..8 {
        let (client, url, done) = (client.clone(), url.clone(), done.subscribe());
        load.spawn(async move {
            let mut sent = 0;
            while !*done.borrow() {
                for method in [Method::GET, Method::PUT, Method::DELETE] {
                    let response = client.request(method, &url).body("a body").send().await.unwrap();
                    assert_eq!(response.text().await.unwrap(), "hello");
                    sent += 1;
                }
            }
            sent
        });
    }
    for life in 1..=3 {
        server.until_requests(20).await;
        let failed = client.stats().dial_failures_total();
        server.stop().await;
        until(&client, "a refused dial, and a retry after it", |stats| {
            stats.dial_failures_total() > failed && stats.retries >= life
        })
        .await;
        server = Server::builder().start_on(Arc::clone(&port)).await;
    }
    server.until_requests(20).await;
    done.send(true).unwrap();
    while let Some(sent) = within(PATIENCE, load.join_next()).await {
        assert!(sent.unwrap() > 0);
    }
    assert_all_gone(&client).await;
}

#[tokio::test]
async fn an_answer_that_is_retried_frees_its_connection_and_the_next_is_the_user_s() {
    let failing = answers::with_length("425 Too Early", &[], "come back");
    let script = [steps::answer_once(failing), steps::answer_once(answers::ok("fine"))].concat();
    let server = Script::start([script]).await;
    let client = persistent();
    let response = client.put(server.url("/")).body("a body").send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.text().await.unwrap(), "fine");
    // Both as they were written, over one connection.
    assert_eq!(server.accepted(), 1);
    let received = server.received_text(0);
    assert_eq!(received.matches("PUT / HTTP/1.1\r\n").count(), 2, "{received}");
    assert_eq!(received.matches("\r\n\r\na body").count(), 2, "{received}");
    assert_all_gone(&client).await;
}

#[tokio::test]
async fn what_one_connection_s_server_cannot_do_is_asked_on_another_and_the_first_is_kept() {
    for status in ["502 Bad Gateway", "503 Service Unavailable", "504 Gateway Timeout"] {
        let failing = steps::answer_all(answers::with_length(status, &[], "come back"));
        let server = Script::start([failing, steps::answer_all(answers::ok("fine"))]).await;
        let client = persistent();
        assert_eq!(get(&client, &server.url("/")).await, "fine", "{status}");
        assert_eq!((server.accepted(), server.requests()), (2, 2), "{status}");
        assert_at_rest(&client).await;
        assert_eq!((client.stats().idle, client.stats().retries), (2, 1), "{status}");
        assert_all_gone(&client).await;
    }
}

#[tokio::test]
async fn where_there_can_be_one_connection_only_it_makes_room_when_it_has_borne_two_bad_answers() {
    let failing = answers::with_length("503 Service Unavailable", &[], "");
    let server = Script::start([steps::answer_all(failing), steps::answer_all(answers::ok("fine"))]).await;
    let mut config = ClientConfig::default().max_connections_per_host(1);
    config = config.retry_backoff(Duration::from_millis(1), Duration::from_millis(1));
    let client = Client::new(config).unwrap();
    assert_eq!(get(&client, &server.url("/")).await, "fine");
    let stats = client.stats();
    assert_eq!((server.requests(), server.accepted()), (3, 2), "{stats:?}");
    assert_eq!(
        (stats.open, stats.closed_for(CloseReason::MadeRoom)),
        (1, 1),
        "{stats:?}"
    );
    assert_all_gone(&client).await;
}

#[tokio::test]
async fn a_retry_over_http2_waits_for_no_other_stream_to_end() {
    let gate = Gate::new();
    let held = gate.clone();
    let server = Server::builder()
        .h2()
        .handler(move |request: http::Request<hyper::body::Incoming>| {
            let gate = held.clone();
            async move {
                match request.uri().path() {
                    "/held" => {
                        gate.pass().await;
                        handlers::full("late")
                    }
                    _ => handlers::status(http::StatusCode::SERVICE_UNAVAILABLE),
                }
            }
        })
        .start()
        .await;
    let mut config = ClientConfig::default().http2_prior_knowledge(true).timeout(PATIENCE);
    config.profile_mut().transport.http2.max_connections_per_host = 1;
    config = config.retry_backoff(Duration::from_millis(1), Duration::from_millis(1));
    let client = Client::new(config).unwrap();
    let late = spawn_get(&client, &server.url("/held"));
    gate.arrived(1).await;
    let answer = within(PATIENCE, client.get(server.url("/")).send()).await.unwrap();
    assert_eq!((answer.status().as_u16(), client.stats().retries), (503, 2));
    assert_eq!(server.accepted(), 1);
    gate.open();
    assert_eq!(late.await.unwrap().unwrap(), "late");
    assert_all_gone(&client).await;
}

#[tokio::test]
async fn an_answer_that_breaks_the_protocol_is_asked_for_once() {
    let garbage = [steps::answer_once(answers::GARBAGE), vec![Step::Close]].concat();
    let server = Script::start([garbage, steps::answer_all(answers::ok("fine"))]).await;
    let client = persistent();
    let error = client.get(server.url("/")).send().await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (Kind::Protocol, 1), "{error}");
    assert_eq!((server.accepted(), client.stats().retries), (1, 0));
}

#[tokio::test]
async fn a_body_that_is_a_stream_is_sent_once() {
    let server = Script::start([steps::answer_all(answers::with_length(
        "503 Service Unavailable",
        &[],
        "",
    ))])
    .await;
    let client = persistent();
    let body = reqwest::Body::wrap(http_body_util::StreamBody::new(Pieces(vec!["a body"])));
    let response = client.put(server.url("/")).body(body).send().await.unwrap();
    assert_eq!((response.status().as_u16(), server.requests()), (503, 1));
    assert_eq!(client.stats().retries, 0);
    drop(response);
    assert_all_gone(&client).await;
}

#[tokio::test]
async fn the_key_that_allows_a_resend_is_the_one_that_is_configured() {
    for (header, is_sent_again) in [("X-Once", true), ("Idempotency-Key", false)] {
        let mut first = steps::answer_once(answers::ok("one"));
        first.extend([Step::ReadRequest, Step::Close]);
        let server = Script::start([first, steps::answer_all(answers::ok("two"))]).await;
        let mut retry = Retry::default();
        // The resend stays when retries are off.
        retry.max_attempts = 1;
        retry.idempotency_header = "x-once".to_owned();
        let client = Client::new(ClientConfig::default().retry(retry)).unwrap();
        get(&client, &server.url("/")).await;
        let request = client.post(server.url("/")).header(header, "7").body("a body");
        assert_eq!(request.send().await.is_ok(), is_sent_again, "{header}");
        assert_eq!(client.stats().resends, u64::from(is_sent_again));
        assert_all_gone(&client).await;
    }
}

#[tokio::test]
async fn all_sends_of_a_request_together_are_bounded() {
    // The end of the connection that was used before is a race, and no attempt's; those of the new ones are failures.
    let mut first = steps::answer_once(answers::ok("one"));
    first.extend([Step::ReadRequest, Step::Close]);
    let server = Script::start([first, vec![Step::ReadRequest, Step::Close]]).await;
    let client = Client::new(ClientConfig::default()).unwrap();
    get(&client, &server.url("/")).await;
    let request = client.get(server.url("/"));
    let error = within(PATIENCE, request.send()).await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (Kind::Connection, 4), "{error}");
    assert_eq!(server.requests(), 1 + 4);
    assert_eq!((client.stats().resends, client.stats().retries), (1, 2));
    assert_at_rest(&client).await;
}

#[tokio::test]
async fn what_an_attempt_may_have_done_is_not_undone_by_the_failure_of_the_next() {
    let server = Server::builder()
        .handler(handlers::always(StatusCode::SERVICE_UNAVAILABLE))
        .start()
        .await;
    let mut limit = Limit::default();
    (limit.rate, limit.burst, limit.queue) = (Some(Rate::per_second(1)), Some(1), Some(0));
    let config = ClientConfig::default().retry_backoff(Duration::from_millis(1), Duration::from_millis(1));
    let client = Client::new(config.limit(limit)).unwrap();
    let put = || client.put(server.url("/")).body("one").send();
    // The second attempt has no turn.
    let error = put().await.unwrap_err();
    assert!(error.kind() == Kind::LimitExceeded && !error.is_retryable(), "{error}");
    // The first one of another request has none, either.
    let error = put().await.unwrap_err();
    assert!(error.kind() == Kind::LimitExceeded && error.is_retryable(), "{error}");
    assert_eq!(server.requests(), 1);
}
