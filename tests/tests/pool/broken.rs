//! Connections that break, and answers that end wrongly: one clear error, and nothing of it goes back to the pool.

use httputil::{Error, Kind};
use httputil_tests::script::{Script, Step, answers, steps};

use crate::common::{assert_accounted, client, get, until};

/// What a connection does after it has read a request, and what the user is told.
async fn head_fails(after_request: Vec<Step>, kind: Kind, says: &str) {
    let mut script = vec![Step::ReadRequest];
    script.extend(after_request);
    let server = Script::start([script, steps::answer_all(answers::ok("fine"))]).await;
    let client = client();
    let error = client.get(server.url("/")).send().await.unwrap_err();
    assert_eq!(error.kind(), kind, "{error:?}");
    assert!(error.to_string().contains(says), "{error}");
    assert!(!error.to_string().contains("error sending request"), "{error}");
    until(&client, "it to be closed", |stats| stats.open == 0).await;
    assert_eq!(get(&client, &server.url("/")).await, "fine");
    assert_eq!(server.accepted(), 2);
    assert_accounted(&client.stats());
}

#[tokio::test]
async fn a_reset_instead_of_an_answer() {
    head_fails(
        vec![Step::Reset],
        Kind::Connection,
        "the connection was reset before the server answered",
    )
    .await;
}

#[tokio::test]
async fn a_close_instead_of_an_answer() {
    head_fails(
        vec![Step::Close],
        Kind::Connection,
        "the server closed the connection before it answered",
    )
    .await;
}

#[tokio::test]
async fn a_close_in_the_middle_of_the_head() {
    let partial = Step::write("HTTP/1.1 200 OK\r\ncontent-le");
    head_fails(
        vec![partial, Step::Fin],
        Kind::Connection,
        "before it answered; it may have been processed",
    )
    .await;
}

#[tokio::test]
async fn garbage_instead_of_an_answer() {
    let garbage = Step::write(answers::GARBAGE);
    head_fails(vec![garbage], Kind::Protocol, "the server's answer breaks the protocol").await;
}

#[tokio::test]
async fn a_close_in_the_middle_of_a_body_is_an_error_of_the_body() {
    let chunk = [
        answers::head("200 OK", &[("transfer-encoding", "chunked")]).as_ref(),
        b"5\r\nhello\r\n",
    ]
    .concat();
    for cut in [answers::cut(100, "hello").to_vec(), chunk] {
        for end in [Step::Fin, Step::Reset] {
            let first = vec![Step::ReadRequest, Step::write(cut.clone()), end];
            let server = Script::start([first, steps::answer_all(answers::ok("fine"))]).await;
            let client = client();
            let error = match client.get(server.url("/")).send().await {
                Ok(response) => {
                    let error = response.bytes().await.unwrap_err();
                    let ours = Error::of(&error).expect("our error lies in reqwest's");
                    assert_eq!(ours.kind(), Kind::Body, "{ours:?}");
                    ours.to_string()
                }
                // A reset can overtake the head that was sent before it.
                Err(error) => error.to_string(),
            };
            assert!(
                error.contains(&server.url("/")) && error.contains("the connection was"),
                "{error}"
            );
            until(&client, "it to be closed", |stats| stats.open == 0).await;
            assert_eq!(get(&client, &server.url("/")).await, "fine");
        }
    }
}

#[tokio::test]
async fn bytes_after_the_answer_poison_the_connection() {
    let extra = [answers::ok("one"), answers::ok("two")].concat();
    let server = Script::start([steps::answer_all(extra), steps::answer_all(answers::ok("three"))]).await;
    let client = client();
    assert_eq!(get(&client, &server.url("/")).await, "one");
    assert_eq!(get(&client, &server.url("/")).await, "three");
    assert_eq!(server.accepted(), 2);
}

#[tokio::test]
async fn bytes_on_an_idle_connection_poison_it_and_a_post_goes_elsewhere_too() {
    for unasked in [
        answers::with_length("408 Request Timeout", &[("connection", "close")], ""),
        "\r\n".into(),
        answers::ok("an answer to nobody"),
    ] {
        let gate = httputil_tests::gate::Gate::new();
        let mut first = steps::answer_once(answers::ok("one"));
        first.extend([Step::Hold(gate.clone()), Step::write(unasked.clone())]);
        let server = Script::start([first, steps::answer_all(answers::ok("two"))]).await;
        let client = client();
        assert_eq!(get(&client, &server.url("/")).await, "one");
        gate.open();
        until(&client, "the pool to notice", |stats| stats.open == 0).await;
        let answer = client
            .post(server.url("/"))
            .body("x")
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap();
        assert_eq!(answer, "two", "{unasked:?}");
    }
}

#[tokio::test]
async fn one_connection_s_failure_fails_only_its_own_request() {
    let gate = httputil_tests::gate::Gate::new();
    let bad = vec![Step::ReadRequest, Step::Hold(gate.clone()), Step::Reset];
    let good = vec![
        Step::ReadRequest,
        Step::Hold(gate.clone()),
        Step::write(answers::ok("fine")),
    ];
    let server = Script::start([bad, good]).await;
    let client = client();
    let requests: Vec<_> = (0..2)
        .map(|_| {
            let request = client.post(server.url("/")).body("x");
            tokio::spawn(async move { request.send().await })
        })
        .collect();
    gate.arrived(2).await;
    gate.open();
    let mut failed = 0;
    for request in requests {
        failed += usize::from(request.await.unwrap().is_err());
    }
    assert_eq!(failed, 1);
}
