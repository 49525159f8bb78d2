//! A panic in the user's code fails one request, and nothing else.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use httputil::{Client, Config, Environment, Kind, Registry};
use httputil_tests::gate::Gate;
use httputil_tests::server::{Server, handlers};
use httputil_tests::{PATIENCE, within};
use reqwest::dns::{Name, Resolve, Resolving};

use crate::common::{TrustedCa, Way, assert_all_gone, assert_at_rest, client, get, spawn_get, until, url};

/// One slot and one stream: a panic that kept either would make the next request wait in vain.
fn narrow(ca: &TrustedCa) -> Client {
    let config = ca
        .config()
        .max_connections_per_host(1)
        .http2_max_streams_per_connection(1)
        .pool_wait(Duration::from_secs(5));
    Client::new(config).unwrap()
}

/// Panics when it is first asked.
#[derive(Default)]
struct Panicking(AtomicUsize);

impl Resolve for Panicking {
    fn resolve(&self, _: Name) -> Resolving {
        let calls = self.0.fetch_add(1, Ordering::SeqCst);
        assert!(calls > 1, "on purpose, in the call");
        Box::pin(async move {
            assert!(calls > 3, "on purpose, in the future");
            Ok(Box::new(["127.0.0.1:0".parse().unwrap()].into_iter()) as reqwest::dns::Addrs)
        })
    }
}

#[tokio::test]
async fn in_the_resolver() {
    let server = Server::builder().start().await;
    let config = Config::builder()
        .embedded(
            "test.toml",
            "[default]\npool.max_connections_per_host = 1\nretry.max_attempts = 1",
        )
        .env(&Environment::empty());
    let registry = Registry::builder()
        .config(config.load().unwrap())
        .resolver(Arc::new(Panicking::default()));
    let client = registry.build().unwrap().client("default").unwrap();
    let url = server.url_for("a.test", "/");
    let mut failed = 0;
    let answer = async {
        loop {
            match client.get(&url).send().await {
                Ok(response) => return response.text().await.unwrap(),
                Err(error) => {
                    assert!(error.to_string().contains("panicked"), "{error}");
                    failed += 1;
                    // The host is left alone for a while; there is nothing else to wait for.
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        }
    };
    assert_eq!(within(PATIENCE, answer).await, "hello");
    assert!(failed >= 4, "{failed}");
    assert_eq!(client.stats().dial_failures_total(), 4);
    assert_all_gone(&client).await;
}

/// A body that panics when it is polled, or when it is dropped.
struct Body {
    pieces: usize,
    in_poll: bool,
    in_drop: bool,
}

impl Stream for Body {
    type Item = Result<http_body::Frame<Bytes>, std::io::Error>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(left) = self.pieces.checked_sub(1) else {
            assert!(!self.in_poll, "on purpose, in the body's poll");
            return Poll::Ready(None);
        };
        self.pieces = left;
        Poll::Ready(Some(Ok(http_body::Frame::data("piece".into()))))
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        assert!(
            !self.in_drop || std::thread::panicking(),
            "on purpose, in the body's drop"
        );
    }
}

async fn post(client: Client, url: String, body: Body) -> Result<String, httputil::Error> {
    let body = reqwest::Body::wrap(http_body_util::StreamBody::new(body));
    // Nobody hears of a panic in the task in which hyper sends an HTTP/2 body: the time-out ends the request.
    let request = client.post(url).body(body).timeout(Duration::from_secs(2));
    let response = request.send().await?;
    Ok(response.text().await.unwrap_or_default())
}

#[tokio::test]
async fn in_the_poll_of_a_body() {
    let ca = TrustedCa::new();
    for way in Way::ALL {
        let server = way.start(Server::builder(), &ca).await;
        let client = narrow(&ca);
        for pieces in [0, 1, 5] {
            let body = Body {
                pieces,
                in_poll: true,
                in_drop: false,
            };
            let sent = tokio::spawn(post(client.clone(), url(&server, "/length"), body));
            let answer = within(PATIENCE, sent).await.unwrap();
            assert!(answer.is_err(), "{way:?}, {pieces}: {answer:?}");
            assert_eq!(get(&client, &url(&server, "/")).await, "hello", "{way:?}, {pieces}");
        }
        assert_all_gone(&client).await;
    }
}

/// A body of a known length that is not asked for its end over HTTP/1.
struct Sized(Body);

impl http_body::Body for Sized {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
        Pin::new(&mut self.0).poll_next(cx)
    }

    fn size_hint(&self) -> http_body::SizeHint {
        http_body::SizeHint::with_exact((self.0.pieces * "piece".len()) as u64)
    }
}

#[tokio::test]
async fn in_the_drop_of_a_body() {
    let ca = TrustedCa::new();
    for way in Way::ALL {
        let server = way.start(Server::builder(), &ca).await;
        let client = narrow(&ca);
        for (pieces, is_sized) in [(0, false), (1, false), (5, false), (1, true), (5, true)] {
            let body = Body {
                pieces,
                in_poll: false,
                in_drop: true,
            };
            let body = if is_sized {
                reqwest::Body::wrap(Sized(body))
            } else {
                reqwest::Body::wrap(http_body_util::StreamBody::new(body))
            };
            let request = client.post(url(&server, "/length")).body(body);
            let error = within(PATIENCE, tokio::spawn(request.send()))
                .await
                .unwrap()
                .unwrap_err();
            assert_eq!(error.kind(), Kind::Request, "{way:?}, {pieces}, {is_sized}: {error}");
            let said = error.to_string();
            assert!(
                said.contains("the request's body failed: the body panicked when it was dropped"),
                "{way:?}, {pieces}, {is_sized}: {said}"
            );
            assert_eq!(get(&client, &url(&server, "/")).await, "hello", "{way:?}, {pieces}");
        }
        assert_at_rest(&client).await;
        assert_all_gone(&client).await;
    }
}

/// Nothing is left to fail: whoever drops it is unharmed.
#[tokio::test]
async fn in_the_drop_of_a_body_whose_request_is_taken_back() {
    let ca = TrustedCa::new();
    for way in Way::ALL {
        let gate = Gate::new();
        let server = way
            .start(Server::builder().handler(handlers::hold(&gate, handlers::by_path)), &ca)
            .await;
        let client = narrow(&ca);
        let body = http_body_util::StreamBody::new(Endless(Body {
            pieces: 0,
            in_poll: false,
            in_drop: true,
        }));
        let request = client.post(url(&server, "/")).body(reqwest::Body::wrap(body));
        let sent = tokio::spawn(request.send());
        gate.arrived(1).await;
        sent.abort();
        assert!(sent.await.unwrap_err().is_cancelled(), "{way:?}");
        gate.open();
        assert_eq!(get(&client, &url(&server, "/")).await, "hello", "{way:?}");
        assert_all_gone(&client).await;
    }
}

/// Never gives a piece.
struct Endless(#[allow(dead_code, reason = "it is dropped")] Body);

impl Stream for Endless {
    type Item = Result<http_body::Frame<Bytes>, std::io::Error>;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Pending
    }
}

#[tokio::test]
async fn in_the_drop_of_a_body_whose_request_is_refused_before_it_waits() {
    let client = client();
    client.stop();
    let body = Body {
        pieces: 1,
        in_poll: false,
        in_drop: true,
    };
    let sent = tokio::spawn(post(client.clone(), "http://127.0.0.1:1/".to_owned(), body));
    let error = within(PATIENCE, sent).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), Kind::Stopped);
    assert_all_gone(&client).await;
}

struct PanickingWaker(AtomicUsize);

impl Wake for PanickingWaker {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
        panic!("on purpose, in the waker");
    }
}

#[tokio::test]
async fn in_the_waker_of_a_request_that_waits() {
    let ca = TrustedCa::new();
    for way in Way::ALL {
        let gate = Gate::new();
        let server = way
            .start(Server::builder().handler(handlers::hold(&gate, handlers::by_path)), &ca)
            .await;
        let config = ca
            .config()
            .max_connections_per_host(1)
            .http2_max_connections_per_host(1)
            .http2_max_streams_per_connection(1)
            .pool_wait(Duration::from_secs(5));
        let client = Client::new(config).unwrap();
        let first = spawn_get(&client, &url(&server, "/"));
        gate.arrived(1).await;
        let bad = Arc::new(PanickingWaker(AtomicUsize::new(0)));
        {
            let waker = Waker::from(Arc::clone(&bad));
            let mut waits = pin!(client.get(url(&server, "/bad")).send());
            assert!(waits.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
            until(&client, "it to wait", |stats| stats.waiting == 1).await;
            let last = spawn_get(&client, &url(&server, "/"));
            until(&client, "both to wait", |stats| stats.waiting == 2).await;
            gate.open();
            assert_eq!(
                first.await.unwrap().unwrap(),
                "hello",
                "{way:?}: whoever gives back is unharmed"
            );
            until(&client, "the bad one to be woken", |_| bad.0.load(Ordering::SeqCst) > 0).await;
            drop(last);
        }
        assert_eq!(get(&client, &url(&server, "/")).await, "hello", "{way:?}");
        assert_at_rest(&client).await;
        assert_all_gone(&client).await;
    }
}

#[tokio::test]
async fn in_the_waker_of_a_request_that_is_sent() {
    let ca = TrustedCa::new();
    for way in Way::ALL {
        let gate = Gate::new();
        let server = way
            .start(Server::builder().handler(handlers::hold(&gate, handlers::by_path)), &ca)
            .await;
        let client = narrow(&ca);
        gate.let_through(1);
        get(&client, &url(&server, "/")).await;
        until(&client, "it to be idle", |stats| stats.idle == 1).await;
        let bad = Arc::new(PanickingWaker(AtomicUsize::new(0)));
        {
            let waker = Waker::from(Arc::clone(&bad));
            let mut sent = pin!(client.get(url(&server, "/")).send());
            assert!(sent.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
            gate.arrived(2).await;
            gate.open();
            until(&client, "the bad one to be woken", |_| bad.0.load(Ordering::SeqCst) > 0).await;
        }
        assert_eq!(get(&client, &url(&server, "/")).await, "hello", "{way:?}");
        assert_all_gone(&client).await;
    }
}
