//! The scripted HTTP/2 server.

use std::error::Error as _;
use std::time::Duration;

use h2::Reason;
use http_body_util::BodyExt;
use httputil_tests::ca::Ca;
use httputil_tests::gate::Gate;
use httputil_tests::h2_script::frame::{ACK, MAX_CONCURRENT_STREAMS};
use httputil_tests::h2_script::{Frame, H2Script, Kind, Last, Step};
use httputil_tests::leaks::Baseline;
use httputil_tests::ledger::End;
use httputil_tests::tcp::ClosedPort;
use httputil_tests::tls::{self, Alpn, ServerTls};
use httputil_tests::within;

use crate::client::{dial, dial_tls, get, h2, text};

const SHORT: Duration = Duration::from_secs(5);

/// h2's error within hyper's.
fn cause(error: &hyper::Error) -> &h2::Error {
    error
        .source()
        .and_then(|source| source.downcast_ref())
        .unwrap_or_else(|| panic!("no h2 error in {error:?}"))
}

#[tokio::test]
async fn streams_are_echoed_over_tls_and_counted() {
    let ca = Ca::new();
    let config = ServerTls::new(ca.issue(["localhost"])).alpn(Alpn::H2).build();
    let server = H2Script::builder().tls(config).start().await;
    let mut client = h2(dial_tls(server.addr(), &tls::client(&ca, Alpn::Both)).await.unwrap()).await;
    for tag in ["a", "b"] {
        let mut request = get("/");
        request.headers_mut().insert("x-tag", tag.parse().unwrap());
        let answer = client.send_request(request).await.unwrap();
        assert_eq!(answer.headers()["x-tag"], tag);
    }
    assert_eq!(server.seen().requests_per_connection(), [2]);
    assert_eq!(server.seen().full_handshakes, 1);
    assert_eq!(server.frames().count(0, Kind::Headers), 2);
}

#[tokio::test]
async fn the_nth_stream_is_refused_and_the_others_answered() {
    let server = H2Script::builder()
        .on_stream(|stream| match stream.nth {
            1 => vec![Step::RstStream(Reason::REFUSED_STREAM)],
            _ => vec![Step::Answer("fine".into())],
        })
        .start()
        .await;
    let mut client = h2(dial(server.addr()).await).await;
    assert_eq!(text(client.send_request(get("/")).await.unwrap()).await, "fine");
    let refused = client.send_request(get("/")).await.unwrap_err();
    assert!(cause(&refused).is_reset() && cause(&refused).is_remote());
    assert_eq!(cause(&refused).reason(), Some(Reason::REFUSED_STREAM));
    assert_eq!(text(client.send_request(get("/")).await.unwrap()).await, "fine");
}

#[tokio::test]
async fn goaway_owns_the_streams_up_to_its_last_id_and_no_more() {
    let gate = Gate::new();
    let held = gate.clone();
    let server = H2Script::builder()
        .on_stream(move |_| vec![Step::Hold(held.clone()), Step::Answer("fine".into())])
        .start()
        .await;
    let mut client = h2(dial(server.addr()).await).await;
    let first = tokio::spawn(client.send_request(get("/")));
    gate.arrived(1).await;
    let second = tokio::spawn(client.send_request(get("/")));
    gate.arrived(2).await;
    server.connection(0).goaway(Last::Before, Reason::NO_ERROR);
    let disowned = within(SHORT, second).await.unwrap().unwrap_err();
    assert!(cause(&disowned).is_go_away() && cause(&disowned).is_remote());
    gate.open();
    assert_eq!(text(first.await.unwrap().unwrap()).await, "fine");
}

#[tokio::test]
async fn goaway_after_an_answer_does_not_overtake_it() {
    let server = H2Script::builder()
        .on_stream(|_| {
            vec![
                Step::Answer(vec![b'x'; 200_000].into()),
                Step::GoAway(Last::This, Reason::NO_ERROR),
            ]
        })
        .start()
        .await;
    let mut client = h2(dial(server.addr()).await).await;
    assert_eq!(text(client.send_request(get("/")).await.unwrap()).await.len(), 200_000);
    server.until_open(0).await;
}

#[tokio::test]
async fn a_connection_closes_or_resets_in_mid_body() {
    for (end, step) in [("close", Step::CloseConnection), ("reset", Step::ResetConnection)] {
        let steps = vec![Step::Head, Step::Data("part".into()), step];
        let server = H2Script::builder().on_stream(move |_| steps.clone()).start().await;
        let mut client = h2(dial(server.addr()).await).await;
        let answer = within(SHORT, client.send_request(get("/"))).await;
        if let Ok(answer) = answer {
            assert!(within(SHORT, answer.into_body().collect()).await.is_err(), "{end}");
        }
        server.until_closed(1).await;
        assert_eq!(server.saw(0), End::Server);
    }
}

#[tokio::test]
async fn a_frozen_connection_is_silent_and_open() {
    let server = H2Script::builder().start().await;
    let mut client = h2(dial(server.addr()).await).await;
    client.send_request(get("/")).await.unwrap();
    let frames = server.frames().of(0).len();
    server.connection(0).freeze();
    let unanswered = tokio::time::timeout(Duration::from_millis(200), client.send_request(get("/"))).await;
    assert!(unanswered.is_err());
    assert_eq!(server.open(), 1);
    // The freeze may have come after the second request's frames, but nothing has come since.
    assert!(server.frames().of(0).len() <= frames + 3);
}

#[tokio::test]
async fn a_client_that_cancels_is_seen_resetting_its_stream() {
    let gate = Gate::new();
    let held = gate.clone();
    let server = H2Script::builder()
        .on_stream(move |_| vec![Step::Hold(held.clone())])
        .start()
        .await;
    let mut client = h2(dial(server.addr()).await).await;
    let request = tokio::spawn(client.send_request(get("/")));
    gate.arrived(1).await;
    request.abort();
    server.frames().until(0, Kind::RstStream, 1).await;
    gate.left(1).await;
    server.until("no stream in flight", |seen| seen.in_flight == 0).await;
    assert_eq!(server.open(), 1);
}

#[tokio::test]
async fn injected_pings_and_settings_are_answered_and_do_no_harm() {
    let server = H2Script::builder().max_concurrent_streams(10).start().await;
    let mut client = h2(dial(server.addr()).await).await;
    client.send_request(get("/")).await.unwrap();
    server.frames().until(0, Kind::Settings, 2).await; // the client's own, and its answer to ours
    server.connection(0).inject(Frame::ping(*b"12345678"));
    server
        .connection(0)
        .inject(Frame::settings(&[(MAX_CONCURRENT_STREAMS, 1)]));
    server.frames().until(0, Kind::Ping, 1).await;
    server.frames().until(0, Kind::Settings, 3).await;
    assert!(
        server
            .frames()
            .of(0)
            .iter()
            .any(|frame| frame.kind == Kind::Ping && frame.has(ACK))
    );
    assert_eq!(text(client.send_request(get("/")).await.unwrap()).await, "");
    assert_eq!(server.accepted(), 1);
}

#[tokio::test]
async fn the_stream_limit_holds_the_next_stream_at_the_client() {
    let gate = Gate::new();
    let held = gate.clone();
    let server = H2Script::builder()
        .max_concurrent_streams(1)
        .on_stream(move |_| vec![Step::Hold(held.clone()), Step::Answer("fine".into())])
        .start()
        .await;
    let mut client = h2(dial(server.addr()).await).await;
    gate.let_through(1);
    client.send_request(get("/")).await.unwrap(); // now the client knows the limit
    let first = tokio::spawn(client.send_request(get("/")));
    gate.arrived(2).await;
    let second = tokio::spawn(client.send_request(get("/")));
    server.connection(0).inject(Frame::ping(*b"are you?"));
    server.frames().until(0, Kind::Ping, 1).await;
    assert_eq!((server.requests(), server.seen().max_in_flight), (2, 1));
    gate.open();
    assert!(first.await.unwrap().is_ok() && second.await.unwrap().is_ok());
}

#[tokio::test]
async fn trailers_end_a_body() {
    let steps = vec![Step::Head, Step::Data("hello".into()), Step::Trailer("x-sum", "42")];
    let server = H2Script::builder().on_stream(move |_| steps.clone()).start().await;
    let mut client = h2(dial(server.addr()).await).await;
    let body = client
        .send_request(get("/"))
        .await
        .unwrap()
        .into_body()
        .collect()
        .await
        .unwrap();
    assert_eq!(body.trailers().unwrap()["x-sum"], "42");
}

#[tokio::test]
async fn a_dropped_h2_script_leaves_nothing() {
    let port = std::sync::Arc::new(ClosedPort::new());
    let before = Baseline::take_on(port.port());
    {
        let server = H2Script::builder()
            .on_stream(|_| vec![Step::Hold(Gate::new())])
            .start_on(port.clone())
            .await;
        let mut client = h2(dial(server.addr()).await).await;
        let request = tokio::spawn(client.send_request(get("/")));
        server.until_requests(1).await;
        drop((client, request));
    }
    before.assert_no_leak().await;
}
