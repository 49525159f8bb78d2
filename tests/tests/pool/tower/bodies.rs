//! Bodies both ways: streams, trailers, what can be sent again, and what fails.

use std::cell::Cell;
use std::convert::Infallible;
use std::error::Error as StdError;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{TE, TRAILER};
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full};
use httputil::{Kind, RequestOptions};
use httputil_tests::gate::Gate;
use httputil_tests::script::{Script, Step, answers, steps};
use httputil_tests::server::handlers::{self};
use httputil_tests::server::{Frames, ReplyBody, Server};

use super::{body_and_sum, call, empty, request, text};
use crate::common::{TrustedCa, Way, client, get, until, url};

/// A stream of pieces that cannot be shared between threads, as many a real one cannot.
struct Pieces {
    left: Cell<u32>,
    length: Option<u64>,
    trailers: Option<HeaderMap>,
    then: Option<&'static str>,
}

fn pieces(count: u32) -> Pieces {
    Pieces {
        left: Cell::new(count),
        length: None,
        trailers: None,
        then: None,
    }
}

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        let left = self.left.get();
        if left > 0 {
            self.left.set(left - 1);
            self.length = self.length.map(|length| length - 5);
            return Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"piece")))));
        }
        if let Some(why) = self.then.take() {
            return Poll::Ready(Some(Err(std::io::Error::other(why))));
        }
        Poll::Ready(self.trailers.take().map(Frame::trailers).map(Ok))
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

#[tokio::test]
async fn a_stream_that_cannot_be_shared_is_sent_with_its_trailers() {
    let ca = TrustedCa::new();
    for way in Way::ALL {
        let server = way.start(Server::builder().handler(body_and_sum), &ca).await;
        let client = ca.client();
        for length in [None, Some(15)] {
            let mut body = pieces(3);
            body.length = length;
            // With a length, HTTP/1 is not chunked and has no room for trailers.
            if length.is_none() || way == Way::H2Tls {
                body.trailers = Some(HeaderMap::from_iter([(
                    "x-sum".parse().unwrap(),
                    HeaderValue::from(42),
                )]));
            }
            let has_trailers = body.trailers.is_some();
            let post = request(Method::POST, &url(&server, "/")).header(TRAILER, "x-sum");
            let response = call(&client, post.body(body).unwrap()).await.unwrap();
            let sum = response.headers().get("x-sum").cloned();
            assert_eq!(sum.is_some_and(|sum| sum == "42"), has_trailers, "{way:?} {length:?}");
            assert_eq!(text(response).await, "piecepiecepiece", "{way:?} {length:?}");
        }
        assert_eq!(server.accepted(), 1, "{way:?}");
    }
}

#[tokio::test]
async fn the_answer_s_trailers_are_the_body_s_last_frame() {
    let trailing = |_| {
        let trailers = HeaderMap::from_iter([("grpc-status".parse().unwrap(), HeaderValue::from(0))]);
        let body = Frames::new([Bytes::from_static(b"one "), Bytes::from_static(b"two")]).trailers(trailers);
        let mut reply = Response::new(ReplyBody::new(body));
        reply
            .headers_mut()
            .insert(TRAILER, HeaderValue::from_static("grpc-status"));
        std::future::ready(reply)
    };
    let ca = TrustedCa::new();
    for way in Way::ALL {
        let server = way.start(Server::builder().handler(trailing), &ca).await;
        let client = ca.client();
        for _ in 0..2 {
            let get = request(Method::GET, &url(&server, "/")).header(TE, "trailers");
            let response = call(&client, get.body(Empty::new()).unwrap()).await.unwrap();
            let collected = response.into_body().collect().await.unwrap();
            assert_eq!(collected.trailers().unwrap()["grpc-status"], "0", "{way:?}");
            assert_eq!(collected.to_bytes(), "one two", "{way:?}");
        }
        assert_eq!(server.accepted(), 1, "{way:?}");
    }
}

#[tokio::test]
async fn shutdown_waits_for_the_body() {
    let gate = Gate::new();
    let server = Server::builder().handler(handlers::hold_body(&gate)).start().await;
    let client = client();
    let response = call(&client, empty(&server.url("/"))).await.unwrap();
    let shutdown = tokio::spawn({
        let client = client.clone();
        async move { client.shutdown(Duration::from_secs(30)).await }
    });
    until(&client, "the lease to end", |stats| stats.leases == 0).await;
    assert!(!shutdown.is_finished());
    gate.open();
    assert_eq!(text(response).await, "first last");
    let done = shutdown.await.unwrap();
    assert_eq!((done.finished, done.left), (1, 0));
}

type AnyBody = UnsyncBoxBody<Bytes, Box<dyn StdError + Send + Sync>>;

/// Answers one request; takes the next one whole, and closes without a byte: the race that keep-alive cannot avoid.
fn race() -> Vec<Step> {
    let mut race = steps::answer_once(answers::ok("one"));
    race.extend([Step::ReadRequest, Step::Close]);
    race
}

#[tokio::test]
async fn a_body_of_one_ready_piece_is_sent_again_and_a_stream_is_not() {
    let single = || {
        let mut body = pieces(1);
        body.length = Some(5);
        body
    };
    let several = || {
        let mut body = pieces(3);
        body.length = Some(15);
        body
    };
    let as_before = |body: Pieces| body.map_err(Into::into).boxed_unsync();
    let bodies: [(_, AnyBody, _); 5] = [
        ("empty", Empty::new().map_err(never).boxed_unsync(), true),
        ("full", Full::from("piece").map_err(never).boxed_unsync(), true),
        // Ready, but only when asked again does it say that this was all.
        ("its end not told", as_before(single()), false),
        ("three of known length", as_before(several()), false),
        ("three", as_before(pieces(3)), false),
    ];
    for (what, body, is_resent) in bodies {
        let server = Script::start([race(), steps::answer_all(answers::ok("two"))]).await;
        let client = client();
        get(&client, &server.url("/")).await;
        let put = request(Method::PUT, &server.url("/"))
            .header("x-own", "kept")
            .body(body);
        let answer = call(&client, put.unwrap()).await;
        assert_eq!(answer.is_ok(), is_resent, "{what}: {answer:?}");
        assert_eq!(client.stats().resends, u64::from(is_resent), "{what}");
    }
}

fn never(never: Infallible) -> Box<dyn StdError + Send + Sync> {
    match never {}
}

#[tokio::test]
async fn a_body_that_fails_is_the_request_s_own_fault_in_its_own_words() {
    let ca = TrustedCa::new();
    for way in Way::ALL {
        let server = way.start(Server::builder(), &ca).await;
        let client = ca.client();
        for (before, length) in [(0, None), (2, None), (0, Some(10)), (1, Some(10))] {
            let mut body = pieces(before);
            body.length = length;
            body.then = Some("the disk is gone");
            let post = request(Method::POST, &url(&server, "/length")).body(body).unwrap();
            let error = call(&client, post).await.unwrap_err();
            assert_eq!(error.kind(), Kind::Request, "{way:?} {before}: {error:?}");
            assert!(
                error.to_string().contains("the disk is gone"),
                "{way:?} {before}: {error}"
            );
        }
        assert_eq!(get(&client, &url(&server, "/")).await, "hello");
    }
}

#[tokio::test]
async fn an_extension_bounds_one_request_head_and_body() {
    let gate = Gate::new();
    let server = Server::builder()
        .handler(move |request: Request<hyper::body::Incoming>| {
            let gate = gate.clone();
            async move {
                if request.uri().path() == "/head" {
                    gate.pass().await;
                }
                handlers::hold_body(&gate)(request).await
            }
        })
        .start()
        .await;
    let client = client();
    let bounded = |path| {
        request(Method::GET, &server.url(path))
            .extension(RequestOptions::default().timeout(Duration::from_millis(50)))
            .body(Empty::<Bytes>::new())
            .unwrap()
    };
    let error = call(&client, bounded("/head")).await.unwrap_err();
    assert!(error.is_timeout(), "{error}");
    assert!(error.to_string().contains("timed out after 50 ms (timeout)"), "{error}");

    let response = call(&client, bounded("/body")).await.unwrap();
    let error = response.into_body().collect().await.unwrap_err();
    assert!(error.is_timeout(), "{error}");
    assert!(error.to_string().contains("reading the response body"), "{error}");
}

#[tokio::test]
async fn a_body_cut_short_is_an_error_of_ours() {
    let cut = vec![Step::ReadRequest, Step::write(answers::cut(10, "half")), Step::Fin];
    let server = Script::start([cut]).await;
    let response = call(&client(), empty(&server.url("/cut?secret"))).await.unwrap();
    let error = response.into_body().collect().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Body);
    assert!(
        error.to_string().starts_with(&format!("GET {}: ", server.url("/cut"))),
        "{error}"
    );
}
