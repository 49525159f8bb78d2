//! The bounds of an exchange's phases over real sockets: what becomes of the connection.

use std::time::Duration;

use bytes::Bytes;
use httputil::{Client, ClientConfig, CloseReason, Error, Kind, Phase};
use httputil_tests::gate::Gate;
use httputil_tests::h2_script::{Frame, H2Script, Kind as FrameKind, Step as H2Step};
use httputil_tests::server::{Server, handlers};
use httputil_tests::{PATIENCE, one_attempt, within};
use hyper::body::Incoming;
use reqwest::Body;
use tokio::task::JoinHandle;

use crate::common::{TrustedCa, Way, assert_all_gone, assert_at_rest, get, until, url};

const BOUND: Duration = Duration::from_millis(300);
/// More than any socket's buffers take.
const LARGE: usize = 64 << 20;

/// A server of which `/held` never answers and takes no more than the windows and the sockets do, and `/half` gives the
/// beginning of a body.
async fn server(way: Way, gate: &Gate, ca: &TrustedCa) -> Server {
    let gate = gate.clone();
    let handler = move |request: http::Request<Incoming>| {
        let gate = gate.clone();
        async move {
            match request.uri().path() {
                "/held" => {
                    gate.pass().await;
                    drop(request);
                    handlers::full("late")
                }
                "/half" => handlers::hold_body(&gate)(request).await,
                _ => handlers::full("hello"),
            }
        }
    };
    way.start(Server::builder().handler(handler), ca).await
}

fn client(ca: &TrustedCa, change: impl FnOnce(ClientConfig) -> ClientConfig) -> Client {
    Client::new(change(ca.config()).timeout(PATIENCE)).unwrap()
}

/// A request beside the one that is to time out, over HTTP/2 on the same connection: to `/half`, or to `/held`, where the
/// bound would not be its own.
async fn neighbour(client: &Client, server: &Server, gate: &Gate, path: &'static str) -> JoinHandle<String> {
    let request = client.get(url(server, path)).send();
    let answer = tokio::spawn(async move { request.await.unwrap().text().await.unwrap() });
    server.until_requests(1).await;
    if path == "/held" {
        gate.arrived(1).await;
    } else {
        until(client, "its head", |stats| stats.requests == 1).await;
    }
    answer
}

/// After the time-out an HTTP/1 connection is closed; an HTTP/2 one is not, and its other stream goes on.
async fn assert_left(way: Way, client: &Client, neighbour: JoinHandle<String>, gate: &Gate) {
    let closed = u64::from(way != Way::H2Tls);
    until(client, "the close to be counted", |stats| {
        stats.closed_total() == closed
    })
    .await;
    assert_eq!(client.stats().closed_for(CloseReason::Timeout), closed, "{way:?}");
    until(client, "the one exchange to be over", |stats| stats.in_use == 1).await;
    gate.open();
    assert!(!within(PATIENCE, neighbour).await.unwrap().is_empty(), "{way:?}");
    assert_at_rest(client).await;
    assert_eq!(client.stats().dialled, 1 + closed, "{way:?}");
    assert_all_gone(client).await;
}

#[track_caller]
fn assert_late(way: Way, error: &Error, phase: Phase, words: &str) {
    let Kind::Timeout { phase: is, after, .. } = error.kind() else {
        panic!("{way:?}: {error}")
    };
    assert_eq!((is, after), (phase, BOUND), "{way:?}: {error}");
    assert!(error.to_string().contains(words), "{way:?}: {error}");
}

#[tokio::test]
async fn a_header_that_takes_too_long_closes_an_http1_connection_and_resets_an_http2_stream() {
    let ca = TrustedCa::new();
    for way in Way::ALL {
        let gate = Gate::new();
        let server = server(way, &gate, &ca).await;
        let client = client(&ca, |config| config.response_header_timeout(BOUND));
        let neighbour = neighbour(&client, &server, &gate, "/half").await;
        let held = client.get(url(&server, "/held")).send();
        let error = within(PATIENCE, held).await.unwrap_err();
        assert_late(
            way,
            &error,
            Phase::ResponseHeader,
            "(timeouts.response_header), waiting for the response header",
        );
        assert_left(way, &client, neighbour, &gate).await;
    }
}

#[tokio::test]
async fn a_body_that_falls_silent_closes_an_http1_connection_and_resets_an_http2_stream() {
    let ca = TrustedCa::new();
    for way in Way::ALL {
        // With a deadline beside it, which over HTTP/2 a task keeps, and without.
        for config in [ca.config().timeout(PATIENCE), ca.config().no_timeout()] {
            let gate = Gate::new();
            let server = server(way, &gate, &ca).await;
            let client = Client::new(config.read_timeout(BOUND)).unwrap();
            let neighbour = neighbour(&client, &server, &gate, "/held").await;
            let half = client.get(url(&server, "/half")).send().await.unwrap();
            let error = within(PATIENCE, half.bytes()).await.unwrap_err();
            assert!(error.is_timeout(), "{way:?}: {error}");
            let ours = Error::of(&error).unwrap();
            assert_late(way, ours, Phase::Body, "(timeouts.read), reading the response body");
            assert_left(way, &client, neighbour, &gate).await;
        }
    }
}

#[tokio::test]
async fn a_peer_that_takes_no_more_of_a_request_closes_an_http1_connection_and_resets_an_http2_stream() {
    let ca = TrustedCa::new();
    let large = Bytes::from(vec![0; LARGE]);
    let streamed = || Body::wrap(http_body_util::Full::new(Bytes::from(vec![0; LARGE])));
    for way in Way::ALL {
        for body in [Body::from(large.clone()), streamed()] {
            let gate = Gate::new();
            let server = server(way, &gate, &ca).await;
            let client = client(&ca, |config| {
                config.write_timeout(BOUND).response_header_timeout(BOUND / 2)
            });
            let neighbour = neighbour(&client, &server, &gate, "/half").await;
            let held = client.post(url(&server, "/held")).body(body).send();
            let error = within(PATIENCE, held).await.unwrap_err();
            assert_late(way, &error, Phase::Write, "(timeouts.write), sending the request");
            assert_left(way, &client, neighbour, &gate).await;
        }
    }
}

#[tokio::test]
async fn an_upload_that_takes_longer_than_each_bound_but_goes_on_is_let_be() {
    let ca = TrustedCa::new();
    for way in Way::ALL {
        let server = way.start(Server::builder(), &ca).await;
        let client = client(&ca, |config| {
            config.write_timeout(PATIENCE).response_header_timeout(PATIENCE)
        });
        let body = Bytes::from(vec![b'x'; 4 << 20]);
        let sent = client.post(url(&server, "/length")).body(body).send();
        let answer = within(PATIENCE, sent).await.unwrap().text().await.unwrap();
        assert_eq!(answer, (4 << 20).to_string(), "{way:?}");
        assert_at_rest(&client).await;
        assert_eq!(server.accepted(), 1, "{way:?}");
    }
}

#[tokio::test]
async fn an_http2_connection_that_is_silent_until_a_header_is_late_gets_no_new_stream_before_it_has_answered() {
    let server = H2Script::builder()
        .on_stream(|stream| match (stream.connection, stream.nth) {
            (0, 1..) => vec![H2Step::FreezeConnection],
            _ => vec![H2Step::Answer("fine".into())],
        })
        .start()
        .await;
    let bounded = one_attempt().http2_prior_knowledge(true).response_header_timeout(BOUND);
    let client = Client::new(bounded).unwrap();
    assert_eq!(get(&client, &server.url("/")).await, "fine");
    let error = client.get(server.url("/")).send().await.unwrap_err();
    assert!(error.is_timeout(), "{error}");
    for _ in 0..10 {
        assert_eq!(get(&client, &server.url("/")).await, "fine");
    }
    assert_eq!(server.accepted(), 2);
    client.stop();
    server.stop().await;
    until(&client, "all to be closed", |stats| stats.open == 0).await;
}

#[tokio::test]
async fn frames_without_a_byte_of_the_body_do_not_renew_the_time_between_two_pieces() {
    let data = |flags: u8, payload: &'static [u8]| Frame {
        kind: FrameKind::Data,
        flags,
        stream: 1,
        payload: Bytes::from_static(payload),
    };
    // Nothing, nothing but padding, and what is of no stream.
    for drop in [data(0, b""), data(8, b"\x03\0\0\0"), Frame::ping(*b"are you?")] {
        let server = H2Script::builder()
            .on_stream(|_| vec![H2Step::Head, H2Step::Data("half".into())])
            .start()
            .await;
        let config = one_attempt().http2_prior_knowledge(true).read_timeout(BOUND);
        let client = Client::new(config.timeout(PATIENCE)).unwrap();
        let answer = client.get(server.url("/")).send().await.unwrap();
        let read = tokio::spawn(answer.bytes());
        while !read.is_finished() {
            server.connection(0).inject(drop.clone());
            tokio::time::sleep(BOUND / 6).await;
        }
        let error = read.await.unwrap().unwrap_err();
        let ours = Error::of(&error).unwrap();
        assert_late(Way::H2Tls, ours, Phase::Body, "(timeouts.read)");
        assert_all_gone(&client).await;
    }
}
