//! Dials: who waits for them, what becomes of them, and when the next may be made.

use std::time::{Duration, Instant};

use httputil::{Client, CloseReason, Kind};
use httputil_tests::gate::Gate;
use httputil_tests::resolver::{Answer, ScriptedResolver};
use httputil_tests::script::{Script, Step, answers, steps};
use httputil_tests::server::{Server, handlers};
use httputil_tests::tcp::ClosedPort;
use httputil_tests::tls::Alpn;
use httputil_tests::{PATIENCE, one_attempt, within};

use crate::common::{TrustedCa, Way, assert_all_gone, assert_at_rest, client, get, spawn_get, until, url};

#[tokio::test]
async fn the_newest_idle_connection_is_used_first_and_the_oldest_fall_idle_and_are_closed() {
    let gate = Gate::new();
    let server = Server::builder()
        .handler(handlers::hold(&gate, handlers::tagged))
        .start()
        .await;
    let client = Client::new(one_attempt().idle_timeout(Duration::from_millis(200))).unwrap();
    let url = server.url("/");
    let requests: Vec<_> = (0..5).map(|_| spawn_get(&client, &url)).collect();
    gate.arrived(5).await;
    gate.open();
    for request in requests {
        request.await.unwrap().unwrap();
    }
    let mut used = std::collections::HashSet::new();
    let falling_load = async {
        while server.open() > 1 {
            let response = client.get(&url).send().await.unwrap();
            used.insert(response.headers()[handlers::CONNECTION_NUMBER].clone());
            response.bytes().await.unwrap();
        }
    };
    within(PATIENCE, falling_load).await;
    assert_eq!(used.len(), 1, "{used:?}");
    until(&client, "four to be closed", |stats| stats.open == 1).await;
    assert_eq!(client.stats().closed_for(CloseReason::IdleTimeout), 4);
    assert_eq!(server.accepted(), 5);
    assert_at_rest(&client).await;
}

#[tokio::test]
async fn a_connection_that_comes_back_before_the_dial_is_done_serves_the_request_and_the_dialled_one_the_pool() {
    let ca = TrustedCa::new();
    let tls = ca.server(Alpn::H1);
    let (answer, handshake) = (Gate::new(), Gate::new());
    let mut first = vec![Step::StartTls(tls.clone())];
    first.extend(steps::answer_once(answers::ok("one")));
    first.extend([
        Step::ReadRequest,
        Step::Hold(answer.clone()),
        Step::write(answers::ok("two")),
    ]);
    first.extend(steps::answer_all(answers::ok("by the first")));
    let second = [
        vec![Step::HoldUnheard(handshake.clone())],
        steps::over_tls(&tls, steps::answer_all(answers::ok("by the second"))),
    ]
    .concat();
    let server = Script::start([first, second]).await;
    let client = ca.client();
    let url = format!("https://localhost:{}/", server.port());
    assert_eq!(get(&client, &url).await, "one");

    let slow = spawn_get(&client, &url);
    answer.arrived(1).await;
    let waiting = spawn_get(&client, &url);
    handshake.arrived(1).await;
    answer.open();
    assert_eq!(slow.await.unwrap().unwrap(), "two");
    assert_eq!(waiting.await.unwrap().unwrap(), "by the first");
    assert_eq!(client.stats().dials_in_progress, 1);

    handshake.open();
    until(&client, "both to be idle", |stats| stats.idle == 2).await;
    assert_eq!(get(&client, &url).await, "by the second", "the newest idle one");
    assert_eq!(server.accepted(), 2);
    assert_at_rest(&client).await;
}

#[tokio::test]
async fn a_cancelled_request_whose_dial_succeeds_later_leaves_a_pooled_connection() {
    let ca = TrustedCa::new();
    for way in Way::ALL {
        let server = way.start(Server::builder(), &ca).await;
        let gate = Gate::new();
        let resolver = ScriptedResolver::new().name("localhost", Answer::to(["127.0.0.1:0"]).after(&gate));
        let client = ca.registry("", &resolver).client("default").unwrap();
        let request = spawn_get(&client, &url(&server, "/"));
        gate.arrived(1).await;
        request.abort();
        assert!(request.await.unwrap_err().is_cancelled());
        let stats = client.stats();
        assert_eq!((stats.waiting, stats.dials_in_progress), (0, 1), "{way:?}");
        gate.open();
        until(&client, "the dialled one to be idle", |stats| stats.idle == 1).await;
        assert_eq!(get(&client, &url(&server, "/")).await, "hello");
        assert_eq!((server.accepted(), resolver.calls()), (1, 1), "{way:?}");
        assert_all_gone(&client).await;
    }
}

#[tokio::test]
async fn a_hundred_first_requests_share_one_handshake_and_one_connection_if_it_speaks_http2_else_all_dial() {
    let ca = TrustedCa::new();
    for (way, connections) in [(Way::H2Tls, 1), (Way::H1Tls, 100)] {
        let (look_up, answer) = (Gate::new(), Gate::new());
        let server = way
            .start(
                Server::builder().handler(handlers::hold(&answer, handlers::by_path)),
                &ca,
            )
            .await;
        let resolver = ScriptedResolver::new().name("localhost", Answer::to(["127.0.0.1:0"]).after(&look_up));
        let client = ca
            .registry("http2.max_streams_per_connection = 200", &resolver)
            .client("default")
            .unwrap();
        let requests: Vec<_> = (0..100).map(|_| spawn_get(&client, &url(&server, "/"))).collect();
        until(&client, "all to wait", |stats| stats.waiting == 100).await;
        look_up.arrived(1).await;
        assert_eq!(client.stats().dials_started, 1, "{way:?}: one dial tells all");
        look_up.open();
        answer.arrived(100).await;
        assert_eq!(server.accepted(), connections, "{way:?}");
        answer.open();
        for request in requests {
            assert_eq!(request.await.unwrap().unwrap(), "hello");
        }
        assert_at_rest(&client).await;
    }
}

#[tokio::test]
async fn when_the_first_handshake_fails_a_hundred_requests_hear_why_and_nobody_dials_again() {
    let ca = TrustedCa::new();
    let handshake = Gate::new();
    let server = Script::start([vec![Step::Hold(handshake.clone()), Step::Close]]).await;
    let client = ca.client();
    let url = format!("https://localhost:{}/", server.port());
    let requests: Vec<_> = (0..100).map(|_| spawn_get(&client, &url)).collect();
    until(&client, "all to wait", |stats| stats.waiting == 100).await;
    handshake.arrived(1).await;
    handshake.open();
    for request in requests {
        let error = request.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), Kind::Tls, "{error}");
        assert!(error.is_retryable() && error.attempts() == 1);
    }
    assert_eq!((server.accepted(), client.stats().dial_failures_total()), (1, 1));
    assert_at_rest(&client).await;
}

#[tokio::test]
async fn a_host_that_cannot_be_reached_is_tried_after_50_ms_doubling_and_others_are_not_delayed() {
    let port = ClosedPort::new();
    let dead = format!("http://{}/", port.addr());
    let healthy = Server::builder().start().await;
    let client = client();
    let mut tries: Vec<(Instant, Instant)> = Vec::new();
    let mut remembered = 0;
    while tries.len() < 5 {
        let before = client.stats().dials_started;
        let began = Instant::now();
        let error = client.get(&dead).send().await.unwrap_err();
        assert_eq!(error.kind(), Kind::Connect, "{error}");
        assert!(error.to_string().contains("connection refused"), "{error}");
        if client.stats().dials_started > before {
            assert!(!error.to_string().contains("the error of the last try"), "{error}");
            tries.push((began, Instant::now()));
        } else {
            assert!(error.to_string().contains("the error of the last try"), "{error}");
            remembered += 1;
        }
        assert_eq!(get(&client, &healthy.url("/")).await, "hello");
    }
    for (try_number, bound) in [50, 100, 200, 400].into_iter().enumerate() {
        // The dial of each is somewhere between.
        let between = tries[try_number + 1].1 - tries[try_number].0;
        let bound = Duration::from_millis(bound);
        assert!(between >= bound, "try {try_number}: {between:?}");
    }
    assert!(remembered > 0, "nobody heard the last error at once");
    assert_eq!(healthy.accepted(), 1);

    let server = Server::builder().start_on(std::sync::Arc::new(port)).await;
    let back = async {
        while client.get(&dead).send().await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    within(PATIENCE, back).await;
    assert_eq!(server.accepted(), 1);
    assert_at_rest(&client).await;
}

#[tokio::test]
async fn pooled_connections_serve_on_while_their_host_cannot_be_dialled() {
    let gate = Gate::new();
    let server = Server::builder()
        .handler(handlers::hold(&gate, handlers::by_path))
        .start()
        .await;
    let client = client();
    let url = server.url("/");
    let pooled = spawn_get(&client, &url);
    gate.arrived(1).await;
    server.stop_listening().await;
    let error = client.get(&url).send().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Connect, "{error}");
    gate.open();
    assert_eq!(pooled.await.unwrap().unwrap(), "hello");
    until(&client, "it to be idle", |stats| stats.idle == 1).await;
    for _ in 0..100 {
        assert_eq!(get(&client, &url).await, "hello");
    }
    assert_eq!((server.accepted(), client.stats().dials_started), (1, 2));
    assert_at_rest(&client).await;
}
