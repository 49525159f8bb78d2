//! What one request wants otherwise than its profile, through both doors.

use std::time::{Duration, Instant};

use ::tower::Service;
use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use httputil::{Client, ClientConfig, Error, Kind, Phase, RequestOptions};
use httputil_tests::script::{Script, Step, answers, steps};
use httputil_tests::server::Server;
use httputil_tests::{PATIENCE, one_attempt, within};

use crate::common::{assert_all_gone, assert_at_rest, client, get};

/// The ways by which a request and its options get in.
#[derive(Clone, Copy, Debug)]
enum Door {
    Builder,
    Execute,
    Tower,
}

impl Door {
    const ALL: [Door; 3] = [Door::Builder, Door::Execute, Door::Tower];

    /// Sends a small body; the answer's status and its body's length, or the error.
    async fn send(self, client: &Client, method: Method, url: &str, options: RequestOptions) -> Result<u16, Error> {
        let request = client.request(method.clone(), url).body("a body");
        match self {
            Door::Builder => {
                let sent = request.options(options).send().await?;
                Ok(sent.status().as_u16())
            }
            Door::Execute => {
                let sent = client.execute_with(request.build()?, options).await?;
                Ok(sent.status().as_u16())
            }
            Door::Tower => {
                let request = Request::builder().method(method).uri(url).extension(options);
                let request = request.body(Full::new(Bytes::from_static(b"a body"))).unwrap();
                Ok((&*client).call(request).await?.status().as_u16())
            }
        }
    }
}

fn options() -> RequestOptions {
    RequestOptions::default()
}

/// A server that says 503 to all.
async fn failing() -> Script {
    let answer = answers::with_length("503 Service Unavailable", &[], "");
    Script::start([steps::answer_all(answer)]).await
}

/// A client that tries three times, at once.
fn persistent() -> Client {
    let pause = Duration::from_millis(1);
    Client::new(ClientConfig::default().retry_backoff(pause, pause)).unwrap()
}

/// Answers the first request of a connection, and no other.
async fn answers_once() -> Script {
    Script::start([[
        steps::answer_once(answers::ok("first")),
        vec![Step::ReadRequest, Step::Stall],
    ]
    .concat()])
    .await
}

/// A client that has a connection: a request's time does not go into a dial.
async fn connected(url: &str) -> Client {
    let client = client();
    assert_eq!(get(&client, url).await, "first");
    client
}

#[tokio::test]
async fn a_deadline_ends_a_request_before_its_time_out_does() {
    let server = answers_once().await;
    let url = server.url("/");
    for door in Door::ALL {
        let client = connected(&url).await;
        let (soon, began) = (Duration::from_millis(200), Instant::now());
        let request = door.send(&client, Method::GET, &url, options().deadline(began + soon));
        let error = within(PATIENCE, request).await.unwrap_err();
        assert!(began.elapsed() >= soon, "{door:?}");
        let words = " ms (the request's deadline), waiting for the response header (profile default)";
        assert!(error.to_string().ends_with(words), "{door:?}: {error}");
        let Kind::Timeout { phase, after, .. } = error.kind() else {
            panic!("{door:?}: {error}")
        };
        assert_eq!(phase, Phase::ResponseHeader, "{door:?}");
        assert!(after <= soon, "{door:?}: {after:?}");
        assert_all_gone(&client).await;
    }
}

#[tokio::test]
async fn a_time_out_ends_a_request_before_its_deadline_does() {
    let server = answers_once().await;
    let url = server.url("/");
    for door in Door::ALL {
        let client = connected(&url).await;
        let wish = options()
            .deadline(Instant::now() + PATIENCE)
            .timeout(Duration::from_millis(200));
        let request = door.send(&client, Method::GET, &url, wish);
        let error = within(PATIENCE, request).await.unwrap_err();
        let words = "timed out after 200 ms (timeout), waiting for the response header (profile default)";
        assert!(error.to_string().ends_with(words), "{door:?}: {error}");
        assert_all_gone(&client).await;
    }
}

#[tokio::test]
async fn a_request_whose_time_is_over_takes_no_connection_and_dials_none() {
    let server = Server::builder().start().await;
    for door in Door::ALL {
        let client = client();
        let over = || options().deadline(Instant::now());
        for warm in [false, true] {
            if warm {
                get(&client, &server.url("/")).await;
            }
            let (dials, seen) = (client.stats().dials_started, server.requests());
            let error = door
                .send(&client, Method::GET, &server.url("/"), over())
                .await
                .unwrap_err();
            let words = "(the request's deadline), waiting for a connection (profile default)";
            assert!(error.to_string().ends_with(words), "{door:?}: {error}");
            let phase = Phase::PoolWait;
            assert!(
                matches!(error.kind(), Kind::Timeout { phase: is, .. } if is == phase),
                "{door:?}: {error:?}"
            );
            assert!(error.is_retryable(), "{door:?}");
            assert_eq!(
                (client.stats().dials_started, server.requests()),
                (dials, seen),
                "{door:?}"
            );
            assert_at_rest(&client).await;
        }
        assert_all_gone(&client).await;
    }
}

#[tokio::test]
async fn a_request_that_wants_no_retry_is_sent_once() {
    let server = failing().await;
    for door in Door::ALL {
        for (retry, sent) in [(Some(false), 1), (Some(true), 3), (None, 3)] {
            let client = persistent();
            let before = server.requests();
            let wish = retry.map_or_else(options, |retry| options().retry(retry));
            let status = door.send(&client, Method::GET, &server.url("/"), wish).await.unwrap();
            assert_eq!((status, server.requests() - before), (503, sent), "{door:?}, {retry:?}");
            assert_all_gone(&client).await;
        }
    }
}

#[tokio::test]
async fn what_a_request_says_of_repeating_it_outweighs_its_method() {
    let server = failing().await;
    for door in Door::ALL {
        for (method, idempotent, sent) in [(Method::POST, true, 3), (Method::GET, false, 1)] {
            let client = persistent();
            let before = server.requests();
            let wish = options().idempotent(idempotent);
            let status = door.send(&client, method, &server.url("/"), wish).await.unwrap();
            assert_eq!(
                (status, server.requests() - before),
                (503, sent),
                "{door:?}, {idempotent}"
            );
            assert_all_gone(&client).await;
        }
    }
}

#[tokio::test]
async fn a_race_with_the_server_s_close_is_lost_unseen_by_a_post_that_may_be_repeated_and_by_no_get_that_may_not() {
    for door in Door::ALL {
        for (method, idempotent) in [(Method::POST, true), (Method::GET, false)] {
            let mut first = steps::answer_once(answers::ok("one"));
            first.extend([Step::ReadRequest, Step::Close]);
            let server = Script::start([first, steps::answer_all(answers::ok("two"))]).await;
            let client = Client::new(one_attempt()).unwrap();
            get(&client, &server.url("/")).await;
            let wish = options().idempotent(idempotent);
            let sent = door.send(&client, method, &server.url("/"), wish).await;
            assert_eq!(sent.is_ok(), idempotent, "{door:?}: {sent:?}");
            assert_eq!(client.stats().resends, u64::from(idempotent), "{door:?}");
            assert_all_gone(&client).await;
        }
    }
}

#[tokio::test]
async fn a_request_that_wants_a_fresh_connection_leaves_the_idle_one_alone() {
    for door in Door::ALL {
        let server = Server::builder().start().await;
        let client = client();
        get(&client, &server.url("/")).await;
        let wish = options().fresh_connection(true);
        assert_eq!(
            door.send(&client, Method::GET, &server.url("/"), wish).await.unwrap(),
            200
        );
        assert_eq!(server.accepted(), 2, "{door:?}");
        // Both are everybody's now.
        assert_at_rest(&client).await;
        assert_eq!(client.stats().idle, 2, "{door:?}");
        assert_all_gone(&client).await;
    }
}

#[tokio::test]
async fn options_are_never_lost_on_the_way_through_reqwest_s_request() {
    let client = client();
    let built = client
        .get("http://server/")
        .retry(false)
        .deadline(Instant::now())
        .build();
    assert_eq!(
        built.unwrap_err().to_string(),
        "GET http://server/: the request cannot be built: reqwest's request has no place for deadline, retry; give \
         RequestOptions to execute_with instead (profile default)"
    );
    // It has one for a time-out.
    let built = client.get("http://server/").timeout(Duration::from_secs(1)).build();
    assert_eq!(built.unwrap().timeout(), Some(&Duration::from_secs(1)));
    // A clone has all of them.
    let request = client.get("http://server/").idempotent(true);
    assert!(request.try_clone().unwrap().build().is_err());
}
