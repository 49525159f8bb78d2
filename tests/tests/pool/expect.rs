//! `Expect: 100-continue`: the body waits for the server's word.

use std::time::Duration;

use httputil::{Client, CloseReason};
use httputil_tests::gate::Gate;
use httputil_tests::one_attempt;
use httputil_tests::script::{Script, Step, answers, steps};
use httputil_tests::server::Server;

use crate::common::{TrustedCa, Way, assert_all_gone, client, get, until, url};

const BODY: &str = "a body that waits";

fn asking(client: &Client, url: &str) -> httputil::RequestBuilder {
    client.post(url).header("expect", "100-continue").body(BODY)
}

/// A client that waits for the word as good as for ever.
fn patient() -> Client {
    let mut config = one_attempt();
    config.profile_mut().policy.expect_continue = Duration::from_hours(1);
    Client::new(config).unwrap()
}

#[tokio::test]
async fn it_is_sent_when_the_server_says_continue() {
    let gate = Gate::new();
    let script = vec![
        Step::ReadHead,
        Step::Hold(gate.clone()),
        Step::write(answers::informational("103 Early Hints")),
        Step::write(answers::informational("100 Continue")),
        Step::ReadBody(BODY.len()),
        Step::write(answers::ok("thanks")),
        Step::Repeat(steps::answer_once(answers::ok("more"))),
    ];
    let server = Script::start([script]).await;
    let client = patient();
    let request = tokio::spawn(asking(&client, &server.url("/")).send());
    gate.arrived(1).await;
    assert!(
        server.received_text(0).ends_with("\r\n\r\n"),
        "{}",
        server.received_text(0)
    );
    gate.open();
    assert_eq!(request.await.unwrap().unwrap().text().await.unwrap(), "thanks");
    assert!(server.received_text(0).ends_with(BODY));
    assert_eq!(get(&client, &server.url("/")).await, "more");
    assert_eq!(server.accepted(), 1);
    assert_all_gone(&client).await;
}

#[tokio::test]
async fn a_final_answer_comes_instead_and_no_byte_of_the_body_is_sent() {
    for status in [
        "200 OK",
        "401 Unauthorized",
        "413 Content Too Large",
        "417 Expectation Failed",
    ] {
        let first = vec![Step::ReadHead, Step::write(answers::with_length(status, &[], "no"))];
        let server = Script::start([first, steps::answer_all(answers::ok("more"))]).await;
        let client = patient();
        let response = asking(&client, &server.url("/")).send().await.unwrap();
        assert!(status.starts_with(response.status().as_str()));
        assert_eq!(response.text().await.unwrap(), "no");
        server.until_closed(1).await;
        assert!(
            server.received_text(0).ends_with("\r\n\r\n"),
            "{status}: {}",
            server.received_text(0)
        );
        until(&client, "its end", |stats| stats.open == 0).await;
        assert_eq!(client.stats().closed_for(CloseReason::EarlyResponse), 1, "{status}");
        assert_eq!(get(&client, &server.url("/")).await, "more");
        assert_all_gone(&client).await;
    }
}

#[tokio::test]
async fn a_server_that_is_silent_gets_it_after_expect_continue() {
    let server = Script::start([steps::answer_all(answers::ok("thanks"))]).await;
    let mut config = one_attempt();
    config.profile_mut().policy.expect_continue = Duration::from_millis(20);
    let client = Client::new(config).unwrap();
    for _ in 0..2 {
        let response = asking(&client, &server.url("/")).send().await.unwrap();
        assert_eq!(response.text().await.unwrap(), "thanks");
    }
    assert!(server.received_text(0).ends_with(BODY));
    assert_eq!(server.accepted(), 1);
    assert_all_gone(&client).await;
}

#[tokio::test]
async fn one_that_goes_away_while_it_waits_never_looks_complete() {
    let gate = Gate::new();
    let server = Script::start([vec![Step::ReadHead, Step::Hold(gate.clone())]]).await;
    let client = patient();
    let request = tokio::spawn(asking(&client, &server.url("/")).send());
    gate.arrived(1).await;
    request.abort();
    server.until_closed(1).await;
    assert!(server.received_text(0).ends_with("\r\n\r\n"));
    let error = asking(&client, &server.url("/")).timeout(Duration::from_millis(30));
    assert!(error.send().await.unwrap_err().is_timeout());
    assert_all_gone(&client).await;
}

#[tokio::test]
async fn http2_sends_it_at_once_and_without_the_header() {
    let ca = TrustedCa::new();
    let server = Way::H2Tls.start(Server::builder(), &ca).await;
    let client = ca.client();
    let response = asking(&client, &url(&server, "/echo")).send().await.unwrap();
    let said = response.text().await.unwrap();
    assert!(said.contains(BODY) && !said.contains("expect"), "{said}");
}

#[tokio::test]
async fn without_a_body_there_is_nothing_to_expect() {
    let server = Script::start([steps::answer_all(answers::ok("yes"))]).await;
    let client = client();
    let response = client
        .get(server.url("/"))
        .header("expect", "100-Continue")
        .send()
        .await;
    assert_eq!(response.unwrap().text().await.unwrap(), "yes");
    assert!(!server.received_text(0).contains("expect"));
    let error = client
        .get(server.url("/"))
        .header("expect", "miracles")
        .send()
        .await
        .unwrap_err();
    assert_eq!(error.kind(), httputil::Kind::Request);
}
