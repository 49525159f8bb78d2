//! Peers that are gone without a word: no FIN, no RST, no answer.

use std::time::Duration;

use httputil::{Client, CloseReason, Kind, Phase};
use httputil_tests::gate::Gate;
use httputil_tests::h2_script::{H2Script, Step as H2Step};
use httputil_tests::one_attempt;
use httputil_tests::script::{Script, Step, answers, steps};

use crate::common::{assert_at_rest, client, get, spawn_get, until};

const IDLE: usize = 20;

#[tokio::test]
async fn of_twenty_silent_http1_connections_one_request_in_turn_waits_for_a_time_out() {
    let gate = Gate::new();
    // Each of the first answers one request, and nothing after it.
    let silent = vec![
        Step::ReadRequest,
        Step::Hold(gate.clone()),
        Step::write(answers::ok("alive")),
        Step::ReadRequest,
        Step::Stall,
    ];
    let mut connections = vec![silent; IDLE];
    connections.push(steps::answer_all(answers::ok("new")));
    let server = Script::start(connections).await;
    let client = Client::new(one_attempt().max_idle_per_host(IDLE)).unwrap();
    let first: Vec<_> = (0..IDLE).map(|_| spawn_get(&client, &server.url("/"))).collect();
    gate.arrived(IDLE).await;
    gate.open();
    for answer in first {
        assert_eq!(answer.await.unwrap().unwrap(), "alive");
    }
    until(&client, "all to be idle", |stats| stats.idle == IDLE as u64).await;

    let mut timed_out = 0;
    for _ in 0..IDLE {
        let request = client.get(server.url("/")).timeout(Duration::from_millis(200));
        match request.send().await {
            Ok(answer) => assert_eq!(answer.text().await.unwrap(), "new"),
            Err(error) => {
                let is_header = matches!(
                    error.kind(),
                    Kind::Timeout {
                        phase: Phase::ResponseHeader,
                        ..
                    }
                );
                assert!(is_header, "{error}");
                timed_out += 1;
            }
        }
    }
    assert_eq!(timed_out, 1);
    let stats = client.stats();
    assert_eq!(stats.closed_for(CloseReason::Suspect), IDLE as u64 - 1, "{stats:?}");
    client.stop();
    server.stop().await;
    until(&client, "all to be closed", |stats| stats.open == 0).await;
}

#[tokio::test]
async fn one_that_answers_slowly_costs_the_others_nothing() {
    // A byte of the answer is a sign of life: the server is slow, and not gone.
    let head = Step::write("HTTP/1.1 200 OK\r\n");
    let slow = vec![
        Step::ReadRequest,
        Step::write(answers::ok("first")),
        Step::ReadRequest,
        head,
        Step::Stall,
    ];
    let server = Script::start([slow, steps::answer_all(answers::ok("other"))]).await;
    let client = client();
    assert_eq!(get(&client, &server.url("/")).await, "first");
    let hangs = client.get(server.url("/")).timeout(Duration::from_millis(300)).send();
    let hangs = tokio::spawn(hangs);
    server.until_requests(2).await;
    assert_eq!(get(&client, &server.url("/")).await, "other");
    assert!(hangs.await.unwrap().is_err());
    assert_eq!(client.stats().closed_for(CloseReason::Suspect), 0);
    assert_eq!(get(&client, &server.url("/")).await, "other");
    assert_eq!(server.accepted(), 2);
    assert_at_rest(&client).await;
}

#[tokio::test]
async fn a_silent_http2_connection_gets_no_new_stream_after_a_time_out() {
    let server = H2Script::builder()
        .on_stream(|stream| match (stream.connection, stream.nth) {
            (0, 1..) => vec![H2Step::FreezeConnection],
            _ => vec![H2Step::Answer("fine".into())],
        })
        .start()
        .await;
    let client = Client::new(one_attempt().http2_prior_knowledge(true)).unwrap();
    assert_eq!(get(&client, &server.url("/")).await, "fine");
    let mut timed_out = 0;
    for _ in 0..10 {
        let request = client.get(server.url("/")).timeout(Duration::from_millis(200));
        match request.send().await {
            Ok(answer) => assert_eq!(answer.text().await.unwrap(), "fine"),
            Err(_) => timed_out += 1,
        }
    }
    assert_eq!((timed_out, server.accepted()), (1, 2));
    client.stop();
    server.stop().await;
    until(&client, "all to be closed", |stats| stats.open == 0).await;
}
