//! Answers that come compressed: asked for, undone, bounded, and their connections as good as any.

use std::future::Ready;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use compression_codecs::EncodeV2;
use compression_codecs::core::Level;
use compression_codecs::core::util::{PartialBuffer, WriteBuffer};
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use httputil::settings::Coding;
use httputil::{Client, Error, Kind};
use httputil_tests::script::{Script, Step, answers};
use httputil_tests::server::{Frames, Reply, ReplyBody, Server, handlers};
use httputil_tests::{PATIENCE, one_attempt, within};
use hyper::body::Incoming;
use tower::ServiceExt;

use crate::common::{TrustedCa, Way, assert_all_gone, assert_at_rest, get, url};

const ALL: [Coding; 4] = [Coding::Gzip, Coding::Br, Coding::Zstd, Coding::Deflate];

fn encoded(coding: Coding, plain: &[u8]) -> Bytes {
    let mut encoder: Box<dyn EncodeV2> = match coding {
        Coding::Gzip => Box::new(compression_codecs::GzipEncoder::new(Level::Fastest.into())),
        Coding::Br => Box::new(compression_codecs::BrotliEncoder::new(
            compression_codecs::brotli::params::EncoderParams::default().quality(Level::Fastest),
        )),
        Coding::Zstd => Box::new(compression_codecs::ZstdEncoder::new(1)),
        Coding::Deflate => Box::new(compression_codecs::ZlibEncoder::new(Level::Fastest.into())),
        other => panic!("nobody encodes {other:?} here"),
    };
    let (mut wire, mut buffer) = (Vec::new(), vec![0; 64 << 10]);
    let mut input = PartialBuffer::new(plain);
    let mut is_done = false;
    while !is_done {
        let mut output = WriteBuffer::new_initialized(&mut buffer);
        if input.unwritten().is_empty() {
            is_done = encoder.finish(&mut output).unwrap();
        } else {
            encoder.encode(&mut input, &mut output).unwrap();
        }
        wire.extend_from_slice(output.written());
    }
    wire.into()
}

/// Answers with these bytes under this `Content-Encoding`, whatever was asked for.
fn coded(coding: &'static str, wire: Bytes) -> impl Fn(Request<Incoming>) -> Ready<Reply> + Clone {
    move |_| {
        let mut reply = handlers::full(wire.clone());
        let headers = reply.headers_mut();
        headers.insert("content-encoding", HeaderValue::from_static(coding));
        std::future::ready(reply)
    }
}

fn client_of(ca: &TrustedCa) -> Client {
    Client::new(ca.config().accept_encoding(ALL)).unwrap()
}

fn client() -> Client {
    Client::new(one_attempt().accept_encoding(ALL)).unwrap()
}

async fn failure(client: &Client, url: &str) -> Error {
    let response = within(PATIENCE, client.get(url).send())
        .await
        .expect("the head is right");
    let error = within(PATIENCE, response.bytes()).await.expect_err("the body is not");
    let ours = Error::of(&error).expect("our error is in reqwest's");
    assert!(!ours.to_string().contains('\n') && ours.url().is_some(), "{ours}");
    // An error that can be moved.
    let request = Request::get(url).body(Empty::<Bytes>::new()).unwrap();
    let response = within(PATIENCE, client.clone().oneshot(request))
        .await
        .expect("so it is here");
    let other = within(PATIENCE, response.into_body().collect())
        .await
        .expect_err("and this body");
    assert_eq!((other.kind(), other.to_string()), (ours.kind(), ours.to_string()));
    other
}

#[tokio::test]
async fn what_comes_compressed_is_read_plain_over_a_connection_that_is_used_again() {
    let ca = TrustedCa::new();
    let plain: Vec<u8> = (0..=250_u8).cycle().take(200_000).collect();
    for way in Way::ALL {
        for coding in ALL {
            let handler = coded(coding.name(), encoded(coding, &plain));
            let server = way.start(Server::builder().handler(handler), &ca).await;
            let client = client_of(&ca);
            for _ in 0..3 {
                let response = within(PATIENCE, client.get(url(&server, "/")).send()).await.unwrap();
                let headers = response.headers();
                assert!(!headers.contains_key("content-encoding") && !headers.contains_key("content-length"));
                assert_eq!(response.content_length(), None, "nobody knows");
                assert!(
                    within(PATIENCE, response.bytes()).await.unwrap() == plain,
                    "{way:?} {coding:?}"
                );

                let request = Request::get(url(&server, "/")).body(Empty::<Bytes>::new()).unwrap();
                let response = within(PATIENCE, client.clone().oneshot(request)).await.unwrap();
                let body = within(PATIENCE, response.into_body().collect()).await.unwrap();
                assert!(body.to_bytes() == plain, "{way:?} {coding:?}");
            }
            assert_eq!(server.accepted(), 1, "{way:?} {coding:?}");
            assert_all_gone(&client).await;
        }
    }
}

#[tokio::test]
async fn it_is_asked_for_unless_the_request_has_a_wish_of_its_own() {
    let server = Server::builder().handler(handlers::echo).start().await;
    let asked = async |client: &Client, name: Option<&str>| {
        let mut request = client.get(server.url("/"));
        if let Some((name, value)) = name.and_then(|header| header.split_once(": ")) {
            request = request.header(name, value);
        }
        let echoed: handlers::Echoed = request.send().await.unwrap().json().await.unwrap();
        echoed.header("accept-encoding").map(str::to_owned)
    };
    let by_default = Client::new(one_attempt()).unwrap();
    assert_eq!(asked(&by_default, None).await.as_deref(), Some("gzip, br, zstd"));
    assert_eq!(
        asked(&by_default, Some("x-a: b")).await.as_deref(),
        Some("gzip, br, zstd")
    );
    assert_eq!(
        asked(&by_default, Some("accept-encoding: identity")).await.as_deref(),
        Some("identity")
    );
    assert_eq!(asked(&by_default, Some("range: bytes=0-9")).await, None);
    let chosen = Client::new(one_attempt().accept_encoding([Coding::Zstd, Coding::Deflate])).unwrap();
    assert_eq!(asked(&chosen, None).await.as_deref(), Some("zstd, deflate"));
    assert_eq!(
        asked(&Client::new(one_attempt().accept_encoding([])).unwrap(), None).await,
        None
    );
}

#[tokio::test]
async fn what_is_not_ours_to_undo_comes_as_it_is() {
    let wire = encoded(Coding::Gzip, b"plain");
    let server = Server::builder().handler(coded("gzip", wire.clone())).start().await;
    let client = client();
    for (name, value) in [("accept-encoding", "gzip"), ("range", "bytes=0-99")] {
        let sent = client.get(server.url("/")).header(name, value).send();
        let response = within(PATIENCE, sent).await.unwrap();
        assert_eq!(response.headers()["content-encoding"], "gzip");
        assert_eq!(response.headers()["content-length"], wire.len().to_string());
        assert_eq!(within(PATIENCE, response.bytes()).await.unwrap(), wire);
    }
    for coding in ["compress", "gzip, gzip"] {
        let server = Server::builder().handler(coded(coding, wire.clone())).start().await;
        let response = within(PATIENCE, client.get(server.url("/")).send()).await.unwrap();
        assert_eq!(response.headers()["content-encoding"], coding);
        assert_eq!(within(PATIENCE, response.bytes()).await.unwrap(), wire);
    }
    let partial = move |_: Request<Incoming>| {
        let mut reply = handlers::full(wire.slice(3..9));
        *reply.status_mut() = StatusCode::PARTIAL_CONTENT;
        reply
            .headers_mut()
            .insert("content-encoding", HeaderValue::from_static("gzip"));
        std::future::ready(reply)
    };
    let server = Server::builder().handler(partial).start().await;
    let response = within(PATIENCE, client.get(server.url("/")).send()).await.unwrap();
    assert_eq!(within(PATIENCE, response.bytes()).await.unwrap().len(), 6);
}

#[tokio::test]
async fn what_has_no_body_is_no_stream_that_was_cut() {
    let coded = |status: &str| answers::head(status, &[("content-encoding", "gzip"), ("content-length", "20")]);
    let server = Script::start([vec![
        Step::ReadRequest,
        Step::Write(coded("200 OK")),
        Step::ReadRequest,
        Step::Write(coded("304 Not Modified")),
        Step::ReadRequest,
        Step::Write(answers::head("204 No Content", &[("content-encoding", "gzip")])),
        Step::ReadRequest,
        Step::Write(answers::with_length("200 OK", &[("content-encoding", "gzip")], "")),
        Step::ReadRequest,
        Step::Write(answers::head(
            "200 OK",
            &[("content-encoding", "gzip"), ("transfer-encoding", "chunked")],
        )),
        Step::Write(Bytes::from_static(b"0\r\n\r\n")),
    ]])
    .await;
    let client = client();
    let head = within(PATIENCE, client.head(server.url("/")).send()).await.unwrap();
    assert_eq!(
        (&head.headers()["content-encoding"], &head.headers()["content-length"]),
        (&HeaderValue::from_static("gzip"), &HeaderValue::from_static("20"))
    );
    for _ in 0..4 {
        let response = within(PATIENCE, client.get(server.url("/")).send()).await.unwrap();
        assert_eq!(within(PATIENCE, response.bytes()).await.unwrap(), "");
    }
    assert_eq!(server.accepted(), 1);
    assert_at_rest(&client).await;
}

#[tokio::test]
async fn trailers_come_behind_what_was_decompressed() {
    let ca = TrustedCa::new();
    let wire = encoded(Coding::Gzip, &vec![b'x'; 100_000]);
    let handler = move |_: Request<Incoming>| {
        let trailers = HeaderMap::from_iter([(HeaderName::from_static("x-sum"), HeaderValue::from_static("42"))]);
        let pieces = wire.chunks(50).map(Bytes::copy_from_slice).collect::<Vec<_>>();
        let mut reply = Reply::new(ReplyBody::new(Frames::new(pieces).trailers(trailers)));
        reply
            .headers_mut()
            .insert("content-encoding", HeaderValue::from_static("gzip"));
        std::future::ready(reply)
    };
    let server = Way::H2Tls.start(Server::builder().handler(handler), &ca).await;
    let client = client_of(&ca);
    let request = Request::get(url(&server, "/")).body(Empty::<Bytes>::new()).unwrap();
    let response = within(PATIENCE, client.clone().oneshot(request)).await.unwrap();
    let body = within(PATIENCE, response.into_body().collect()).await.unwrap();
    assert_eq!(body.trailers().unwrap()["x-sum"], "42");
    assert_eq!(body.to_bytes().len(), 100_000);
    assert_all_gone(&client).await;
}

#[tokio::test]
async fn a_stream_that_is_cut_or_corrupt_or_goes_on_is_an_error_of_its_own() {
    let ca = TrustedCa::new();
    let plain = vec![b'x'; 50_000];
    for way in Way::ALL {
        for coding in ALL {
            let whole = encoded(coding, &plain);
            let cut = whole.slice(..whole.len() - 1);
            let mut behind = whole.to_vec();
            behind.extend_from_slice(b"behind");
            for (wire, words) in [
                (cut, "ended in the middle of its compressed stream"),
                (Bytes::from_static(b"<html>plain text"), "cannot be decompressed"),
                (behind.into(), ""),
            ] {
                let server = way
                    .start(Server::builder().handler(coded(coding.name(), wire)), &ca)
                    .await;
                let client = client_of(&ca);
                let error = failure(&client, &url(&server, "/")).await;
                assert_eq!(error.kind(), Kind::Decode, "{error}");
                assert!(error.to_string().contains(words), "{error}");
                assert!(error.to_string().contains(&format!("({})", coding.name())), "{error}");
                assert_all_gone(&client).await;
            }
        }
    }
}

#[tokio::test]
async fn a_connection_that_closes_in_the_stream_is_told_as_that() {
    let wire = encoded(Coding::Gzip, &vec![b'x'; 10_000]);
    let head = answers::head("200 OK", &[("content-encoding", "gzip"), ("content-length", "10000")]);
    let steps = || {
        vec![
            Step::ReadRequest,
            Step::Write(head.clone()),
            Step::Write(wire.clone()),
            Step::Close,
        ]
    };
    let server = Script::start([steps(), steps()]).await;
    let error = failure(&client(), &server.url("/")).await;
    assert_eq!(error.kind(), Kind::Body, "{error}");
}

#[tokio::test]
async fn what_grows_beyond_its_ratio_is_cut_before_it_is_in_memory() {
    let bomb = encoded(Coding::Zstd, &vec![0; 200 << 20]);
    assert!(bomb.len() < 100_000, "{}", bomb.len());
    let server = Server::builder().handler(coded("zstd", bomb)).start().await;
    let client = client();
    let mut response = within(PATIENCE, client.get(server.url("/")).send()).await.unwrap();
    let mut read = 0;
    let error = loop {
        match within(PATIENCE, response.chunk()).await {
            Ok(Some(chunk)) => {
                assert!(chunk.len() <= 16 << 10, "a piece at a time");
                read += chunk.len();
            }
            Ok(None) => panic!("the whole of it came"),
            Err(error) => break error,
        }
    };
    let ours = Error::of(&error).unwrap();
    assert_eq!(ours.kind(), Kind::TooLarge);
    assert!(
        ours.to_string().contains("more than 100 times its size") && ours.to_string().contains("compression.max_ratio")
    );
    assert_eq!(read, 16 << 20);
    assert_eq!(client.stats().responses_too_large, 1);
    assert_at_rest(&client).await;
}

#[tokio::test]
async fn the_size_of_a_response_is_counted_decompressed() {
    let ca = TrustedCa::new();
    for way in Way::ALL {
        for coding in ALL {
            let wire = encoded(coding, &vec![b'x'; 100_000]);
            let server = way
                .start(Server::builder().handler(coded(coding.name(), wire)), &ca)
                .await;
            let bounded = |bytes| Client::new(ca.config().accept_encoding(ALL).max_response_bytes(bytes)).unwrap();
            let enough = bounded(100_000);
            assert_eq!(get(&enough, &url(&server, "/")).await.len(), 100_000);
            let error = failure(&bounded(99_999), &url(&server, "/")).await;
            assert_eq!(error.kind(), Kind::TooLarge, "{error}");
            assert!(error.to_string().contains("limit.max_response_bytes"), "{error}");
        }
    }
}

#[tokio::test]
async fn a_stream_that_never_says_anything_ends_too() {
    // Empty members, one after the other: nothing comes of them.
    let empty = encoded(Coding::Gzip, b"");
    let many: Vec<u8> = std::iter::repeat_n(&empty[..], 20_000).flatten().copied().collect();
    let server = Server::builder().handler(coded("gzip", many.into())).start().await;
    let client = Client::new(one_attempt().accept_encoding(ALL).max_response_bytes(1000)).unwrap();
    let error = failure(&client, &server.url("/")).await;
    assert_eq!(error.kind(), Kind::TooLarge, "{error}");
}

#[tokio::test]
async fn a_decompressed_body_that_is_dropped_leaves_its_connection_as_any_other() {
    let noise: Vec<u8> = (0..4_000_000_u64)
        .map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes()[0])
        .collect();
    for (plain, stays) in [(&b"little"[..], true), (&noise[..], false)] {
        let server = Server::builder()
            .handler(coded("zstd", encoded(Coding::Zstd, plain)))
            .start()
            .await;
        let client = client();
        drop(within(PATIENCE, client.get(server.url("/")).send()).await.unwrap());
        assert_at_rest(&client).await;
        assert_eq!(client.stats().idle, u64::from(stays), "of {} bytes", plain.len());
    }
}

#[tokio::test]
async fn the_answers_of_a_redirect_and_of_an_attempt_that_failed_are_not_decoded() {
    let came = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&came);
    let handler = move |_| {
        let status = match counted.fetch_add(1, Ordering::SeqCst) {
            0 => StatusCode::FOUND,
            1 => StatusCode::SERVICE_UNAVAILABLE,
            _ => return std::future::ready(handlers::full("fine")),
        };
        let mut reply = handlers::full("no gzip at all");
        *reply.status_mut() = status;
        let headers = reply.headers_mut();
        headers.insert("content-encoding", HeaderValue::from_static("gzip"));
        headers.insert("location", HeaderValue::from_static("/there"));
        std::future::ready(reply)
    };
    let server = Server::builder().handler(handler).start().await;
    let config = one_attempt()
        .accept_encoding(ALL)
        .max_attempts(2)
        .retry_backoff(Duration::from_millis(1), Duration::from_millis(1));
    let client = Client::new(config).unwrap();
    assert_eq!(get(&client, &server.url("/")).await, "fine");
    assert_eq!(came.load(Ordering::SeqCst), 3);
    assert_all_gone(&client).await;
}
