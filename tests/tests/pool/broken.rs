//! Connections that break, and answers that end wrongly: one clear error, and nothing of it goes back to the pool.

use httputil::{Client, Error, Kind};
use httputil_tests::h2_script::{H2Script, Last, Step as H2Step};
use httputil_tests::one_attempt;
use httputil_tests::script::{Script, Step, answers, steps};

use crate::common::{assert_accounted, assert_at_rest, client, get, spawn_get, until};

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
        "in the middle of the answer's header; the request may have been processed",
    )
    .await;
}

#[tokio::test]
async fn bytes_before_any_request_are_told_from_a_close() {
    for hello in [
        "SSH-2.0-OpenSSH_9.9\r\n",
        "HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n",
    ] {
        let server = Script::start([vec![Step::write(hello), Step::ReadBody(usize::MAX)]]).await;
        let client = client();
        let error = client.get(server.url("/")).send().await.unwrap_err();
        // Bytes that come after the request was written are its answer, for all that anybody can tell.
        if error.to_string().contains("no request had asked for") {
            assert_eq!(
                (error.kind(), error.attempts(), error.is_retryable()),
                (Kind::Protocol, 1, false)
            );
        } else {
            assert_eq!(error.kind(), Kind::Protocol, "{error}");
        }
        assert_at_rest(&client).await;
    }
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

#[tokio::test]
async fn a_reset_in_the_middle_of_the_head() {
    let partial = Step::write("HTTP/1.1 200 OK\r\ncontent-le");
    head_fails(
        vec![partial, Step::Reset],
        Kind::Connection,
        "the request may have been processed",
    )
    .await;
}

#[tokio::test]
async fn a_close_in_the_middle_of_an_http2_body_is_an_error_of_the_body() {
    for end in [H2Step::CloseConnection, H2Step::ResetConnection] {
        let server = H2Script::builder()
            .on_stream(move |stream| match stream.connection {
                0 => vec![H2Step::Head, H2Step::Data("some".into()), end.clone()],
                _ => vec![H2Step::Answer("fine".into())],
            })
            .start()
            .await;
        let client = Client::new(one_attempt().http2_prior_knowledge(true)).unwrap();
        let error = match client.get(server.url("/")).send().await {
            Ok(response) => {
                let error = response.bytes().await.unwrap_err();
                Error::of(&error).expect("our error lies in reqwest's").kind()
            }
            // A reset can overtake the head that was sent before it.
            Err(error) => error.kind(),
        };
        assert!(matches!(error, Kind::Body | Kind::Connection), "{error:?}");
        until(&client, "it to be closed", |stats| stats.open == 0).await;
        assert_eq!(get(&client, &server.url("/")).await, "fine");
        assert_at_rest(&client).await;
    }
}

#[tokio::test]
async fn one_stream_s_failure_fails_only_its_own_request() {
    let gate = httputil_tests::gate::Gate::new();
    let server = H2Script::builder()
        .on_stream({
            let gate = gate.clone();
            move |stream| match stream.nth {
                0 => vec![
                    H2Step::Hold(gate.clone()),
                    H2Step::RstStream(h2::Reason::INTERNAL_ERROR),
                ],
                _ => vec![H2Step::Hold(gate.clone()), H2Step::Answer("fine".into())],
            }
        })
        .start()
        .await;
    let client = Client::new(one_attempt().http2_prior_knowledge(true)).unwrap();
    let requests: Vec<_> = (0..10).map(|_| spawn_get(&client, &server.url("/"))).collect();
    gate.arrived(10).await;
    gate.open();
    let mut failed = 0;
    for request in requests {
        failed += usize::from(request.await.unwrap().is_err());
    }
    assert_eq!((failed, server.accepted()), (1, 1));
    assert_at_rest(&client).await;
}

#[tokio::test]
async fn an_http2_body_that_is_cut_is_never_whole_with_a_length_or_without() {
    let resets = [h2::Reason::NO_ERROR, h2::Reason::CANCEL].map(|reason| vec![H2Step::RstStream(reason)]);
    let goaway = H2Step::GoAway(Last::Id(0), h2::Reason::NO_ERROR);
    let ends = [vec![goaway.clone()], vec![goaway, H2Step::CloseConnection]];
    for end in resets.into_iter().chain(ends) {
        for head in [H2Step::Head, H2Step::HeadOf(10)] {
            let mut steps = vec![head, H2Step::Data("abc".into())];
            steps.extend(end.clone());
            let server = H2Script::builder().on_stream(move |_| steps.clone()).start().await;
            let client = Client::new(one_attempt().http2_prior_knowledge(true)).unwrap();
            match client.get(server.url("/")).send().await {
                Ok(response) => {
                    let error = response.bytes().await.unwrap_err();
                    assert_eq!(Error::of(&error).unwrap().kind(), Kind::Body, "{error:?}");
                }
                // A reset can overtake what was sent before it.
                Err(error) => assert_eq!(error.kind(), Kind::Connection, "{error}"),
            }
            assert_at_rest(&client).await;
        }
    }
}
