//! Bodies that are made anew for each sending: what may happen to bytes may happen to such a stream.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, LOCATION};
use http::{HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use httputil::{Attempt, AttemptLayer, BoxError, Client, ClientConfig, Kind, LayerFuture, RequestOptions};
use httputil_tests::gate::Gate;
use httputil_tests::script::{Script, Step, answers, steps};
use httputil_tests::server::handlers::{self, Echoed};
use httputil_tests::server::{Builder, Frames, Server};
use httputil_tests::{PATIENCE, within};
use tower::ServiceExt;

use crate::common::{assert_accounted, be_idle_for_long_enough_to_be_peeked_at, get};

/// What makes `first-n `, `last-n`, with a number that tells how often it was asked.
fn numbered() -> (impl Fn() -> Frames + Clone + Send + Sync + 'static, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let make = move || {
        let number = counted.fetch_add(1, Ordering::SeqCst) + 1;
        Frames::new([format!("first-{number} ").into(), format!("last-{number}").into()])
    };
    (make, count)
}

/// A server that remembers what it was sent, and says 503 to the first.
async fn hesitant(builder: Builder) -> (Server, Arc<Mutex<Vec<Echoed>>>) {
    let seen = Arc::<Mutex<Vec<Echoed>>>::default();
    let log = Arc::clone(&seen);
    let handler = move |request| {
        let log = Arc::clone(&log);
        async move {
            let echo = handlers::echo(request).await.into_body().collect().await.unwrap();
            let echoed: Echoed = serde_json::from_slice(&echo.to_bytes()).unwrap();
            let (target, body) = (echoed.target.clone(), echoed.body.clone());
            let number = {
                let mut log = log.lock().unwrap();
                log.push(echoed);
                log.len()
            };
            if target.ends_with("/moved") {
                let mut moved = handlers::status(StatusCode::TEMPORARY_REDIRECT);
                moved.headers_mut().insert(LOCATION, HeaderValue::from_static("/here"));
                return moved;
            }
            if number == 1 {
                return handlers::status(StatusCode::SERVICE_UNAVAILABLE);
            }
            handlers::full(body)
        }
    };
    (builder.handler(handler).start().await, seen)
}

fn hasty() -> ClientConfig {
    ClientConfig::default().retry_backoff(Duration::from_millis(1), Duration::from_millis(1))
}

/// Sends a `PUT` with such a body by each door.
async fn put(
    client: &Client,
    door: usize,
    url: &str,
    options: RequestOptions,
) -> Result<(u16, String), httputil::Error> {
    if door == 2 {
        let mut request = Request::new(Empty::<Bytes>::new());
        *request.method_mut() = Method::PUT;
        *request.uri_mut() = url.parse().unwrap();
        request.extensions_mut().insert(options);
        let response = within(PATIENCE, client.clone().oneshot(request)).await?;
        let status = response.status().as_u16();
        let body = within(PATIENCE, response.into_body().collect())
            .await
            .unwrap()
            .to_bytes();
        return Ok((status, String::from_utf8(body.to_vec()).unwrap()));
    }
    let response = if door == 0 {
        within(PATIENCE, client.put(url).options(options).send()).await?
    } else {
        let request = client.put(url).build().unwrap();
        within(PATIENCE, client.execute_with(request, options)).await?
    };
    Ok((response.status().as_u16(), response.text().await.unwrap()))
}

#[tokio::test]
async fn it_is_retried_and_goes_along_with_a_redirect_through_every_door() {
    for door in 0..3 {
        for is_h2 in [false, true] {
            let builder = if is_h2 {
                Server::builder().h2()
            } else {
                Server::builder()
            };
            let (server, seen) = hesitant(builder).await;
            let client = Client::new(hasty().http2_prior_knowledge(is_h2)).unwrap();
            let (make, count) = numbered();
            let options = RequestOptions::default().body_factory(make);
            let answer = put(&client, door, &server.url("/"), options.clone()).await.unwrap();
            assert_eq!(answer, (200, "first-2 last-2".to_owned()), "door {door}");
            let answer = put(&client, door, &server.url("/moved"), options).await.unwrap();
            assert_eq!(answer, (200, "first-4 last-4".to_owned()), "door {door}");
            assert_eq!(count.load(Ordering::SeqCst), 4, "none is made that is not sent");
            let bodies: Vec<String> = seen.lock().unwrap().iter().map(|seen| seen.body.clone()).collect();
            let expected = ["first-1 last-1", "first-2 last-2", "first-3 last-3", "first-4 last-4"];
            assert_eq!(bodies, expected, "door {door}");
            assert_accounted(&client.stats());
        }
    }
}

#[tokio::test]
async fn one_of_its_length_is_made_anew_when_the_connection_closes_under_it() {
    let closing = vec![
        Step::ReadRequest,
        Step::write(answers::ok("fine")),
        Step::ReadHead,
        Step::Close,
    ];
    let server = Script::start([closing, steps::answer_all(answers::ok("again"))]).await;
    let client = Client::new(hasty().max_attempts(1)).unwrap();
    assert_eq!(get(&client, &server.url("/")).await, "fine");
    be_idle_for_long_enough_to_be_peeked_at();
    let lines = || http_body_util::StreamBody::new(Lines(vec!["two", "one-"]));
    let request = client
        .put(server.url("/"))
        .header(CONTENT_LENGTH, 7)
        .body_factory(lines);
    let response = within(PATIENCE, request.send()).await.unwrap();
    assert_eq!(response.text().await.unwrap(), "again");
    let sent = server.received_text(1);
    assert!(
        sent.contains("content-length: 7\r\n") && sent.ends_with("one-two"),
        "{sent}"
    );
    assert!(!sent.contains("transfer-encoding"), "{sent}");
}

#[tokio::test]
async fn what_has_no_length_any_more_is_sent_in_chunks() {
    let (server, seen) = hesitant(Server::builder()).await;
    let client = Client::new(hasty()).unwrap();
    let asked = AtomicUsize::new(0);
    let make = move || match asked.fetch_add(1, Ordering::SeqCst) {
        0 => reqwest::Body::from("known"),
        _ => reqwest::Body::wrap(Frames::new(["un".into(), "known".into()])),
    };
    let request = client.request(Method::DELETE, server.url("/")).body_factory(make);
    let response = within(PATIENCE, request.send()).await.unwrap();
    assert_eq!(response.text().await.unwrap(), "unknown");
    let seen = seen.lock().unwrap();
    assert_eq!(seen[0].header("content-length"), Some("5"));
    assert_eq!(seen[1].header("transfer-encoding"), Some("chunked"));
}

#[tokio::test]
async fn it_is_hedged() {
    let gate = Gate::new();
    let held = gate.clone();
    let asked = Arc::new(AtomicUsize::new(0));
    let handler = move |request| {
        let (held, number) = (held.clone(), asked.fetch_add(1, Ordering::SeqCst));
        async move {
            if number == 0 {
                held.pass().await;
            }
            let echo = handlers::echo(request).await.into_body().collect().await.unwrap();
            let echoed: Echoed = serde_json::from_slice(&echo.to_bytes()).unwrap();
            handlers::full(echoed.body)
        }
    };
    let server = Server::builder().handler(handler).start().await;
    let client = Client::new(hasty().hedge_after(Duration::from_millis(5))).unwrap();
    let (make, _) = numbered();
    let response = within(PATIENCE, client.put(server.url("/")).body_factory(make).send())
        .await
        .unwrap();
    assert_eq!(response.text().await.unwrap(), "first-2 last-2");
    assert_eq!(client.stats().hedges_won, 1);
    gate.open();
}

#[tokio::test]
async fn what_makes_it_and_panics_fails_its_own_request() {
    let (server, seen) = hesitant(Server::builder()).await;
    let client = Client::new(hasty()).unwrap();
    let (make, _) = numbered();
    let asked = AtomicUsize::new(0);
    let panics = move || match asked.fetch_add(1, Ordering::SeqCst) {
        0 => make(),
        _ => panic!("on purpose"),
    };
    let error = within(PATIENCE, client.put(server.url("/")).body_factory(panics).send())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Request, "{error}");
    assert!(
        error
            .to_string()
            .contains("the request's body failed: what makes it panicked"),
        "{error}"
    );
    assert_eq!(seen.lock().unwrap().len(), 1, "what is not whole never looks so");
    assert_eq!(get(&client, &server.url("/after")).await, "");
    crate::common::assert_at_rest(&client).await;
}

#[tokio::test]
async fn a_layer_is_shown_the_one_that_is_sent() {
    struct Signer;
    impl AttemptLayer for Signer {
        fn sign<'a>(&'a self, attempt: &'a mut Attempt<'_>) -> LayerFuture<'a, Result<(), BoxError>> {
            Box::pin(async move {
                let body = attempt.body().ok_or("a stream can't be signed")?;
                let signature = HeaderValue::from_bytes(body)?;
                attempt.headers_mut().insert("x-signature", signature);
                Ok(())
            })
        }
    }
    let (server, seen) = hesitant(Server::builder()).await;
    let client = Client::new(hasty()).unwrap().with_attempt_layer(Signer);
    let asked = AtomicUsize::new(0);
    let make = move || reqwest::Body::from(format!("body-{}", asked.fetch_add(1, Ordering::SeqCst)));
    let response = within(PATIENCE, client.put(server.url("/")).body_factory(make).send())
        .await
        .unwrap();
    assert_eq!(response.text().await.unwrap(), "body-1");
    for (number, seen) in seen.lock().unwrap().iter().enumerate() {
        assert_eq!(seen.header("x-signature"), Some(&*format!("body-{number}")));
        assert_eq!(seen.body, format!("body-{number}"));
    }
}

#[tokio::test]
async fn reqwest_s_request_has_no_place_for_it() {
    let client = Client::new(ClientConfig::default()).unwrap();
    let error = client
        .put("http://127.0.0.1:1/")
        .body_factory(numbered().0)
        .build()
        .unwrap_err();
    assert!(error.to_string().contains("no place for body_factory"), "{error}");
}

/// A stream of lines, the last one first.
struct Lines(Vec<&'static str>);

impl futures_core::Stream for Lines {
    type Item = Result<http_body::Frame<Bytes>, std::convert::Infallible>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        std::task::Poll::Ready(self.0.pop().map(|line| Ok(http_body::Frame::data(line.into()))))
    }
}
