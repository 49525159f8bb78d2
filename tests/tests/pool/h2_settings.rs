//! The number of streams that an HTTP/2 server allows, and the time before it has said so.

use std::time::Duration;

use bytes::Bytes;
use httputil::{Client, Kind};
use httputil_tests::gate::Gate;
use httputil_tests::h2_script::frame::{MAX_CONCURRENT_STREAMS, PREFACE};
use httputil_tests::h2_script::{self, Frame, H2Script, Step};
use httputil_tests::script::{self, Script};
use httputil_tests::server::Server;
use httputil_tests::{PATIENCE, one_attempt, within};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use crate::common::{assert_all_gone, get, h2_client, until, until_read};

fn spawn_get(client: &Client, url: String) -> JoinHandle<String> {
    let client = client.clone();
    tokio::spawn(async move { get(&client, &url).await })
}

/// Kinds and flags of the frames that a client has sent, by its bytes.
fn sent(bytes: &[u8]) -> Vec<(u8, u8)> {
    let mut frames = Vec::new();
    let mut rest = bytes.strip_prefix(PREFACE).unwrap_or_default();
    while let Some(&[a, b, c, kind, flags, ..]) = rest.get(..9) {
        frames.push((kind, flags));
        let length = usize::try_from(u32::from_be_bytes([0, a, b, c])).unwrap();
        rest = rest.get(9 + length..).unwrap_or_default();
    }
    frames
}

/// Streams that it has opened.
fn opened(bytes: &[u8]) -> usize {
    const HEADERS: u8 = 1;
    sent(bytes).iter().filter(|(kind, _)| *kind == HEADERS).count()
}

/// SETTINGS of the server that it has acknowledged.
fn acknowledged(bytes: &[u8]) -> usize {
    sent(bytes).iter().filter(|frame| **frame == (4, 1)).count()
}

/// Bodies that it has sent to their end.
fn ended(bytes: &[u8]) -> usize {
    sent(bytes).iter().filter(|frame| **frame == (0, 1)).count()
}

/// Waits until the client has sent as many of something on the first connection.
async fn until_sent(server: &Script, count: fn(&[u8]) -> usize, least: usize) {
    let looking = async {
        while count(&server.received(0)) < least {
            tokio::task::yield_now().await;
        }
    };
    within(PATIENCE, looking).await;
}

/// Waits until as many streams have been opened on the first connection.
async fn until_opened(server: &Script, streams: usize) {
    until_sent(server, opened, streams).await;
}

/// HEADERS that end the stream, with `:status: 200` (RFC 7541 §6.1).
fn ok(stream: u32) -> Bytes {
    let frame = Frame {
        kind: h2_script::Kind::Headers,
        flags: 0x5,
        stream,
        payload: Bytes::from_static(&[0x88]),
    };
    frame.encode()
}

#[tokio::test]
async fn one_stream_is_opened_before_the_server_s_settings_have_come() {
    let settings = Gate::new();
    let steps = vec![
        script::Step::ReadBody(PREFACE.len()),
        script::Step::Hold(settings.clone()),
        script::Step::write(Frame::settings(&[]).encode()),
        script::Step::Hold(Gate::new()),
    ];
    let server = Script::start([steps]).await;
    let client = h2_client(|_| {});
    let requests: Vec<_> = (0..3).map(|_| spawn_get(&client, server.url("/"))).collect();
    until(&client, "one to be sent and two to wait", |stats| {
        (stats.requests, stats.waiting) == (1, 2)
    })
    .await;
    until_opened(&server, 1).await;
    assert_eq!(opened(&server.received(0)), 1);
    settings.open();
    until(&client, "all to be sent", |stats| {
        (stats.requests, stats.waiting) == (3, 0)
    })
    .await;
    until_opened(&server, 3).await;
    assert_eq!(server.accepted(), 1);
    for request in requests {
        request.abort();
    }
}

#[tokio::test]
async fn who_waited_for_the_settings_is_served_on_the_same_connection() {
    let steps = vec![
        script::Step::ReadBody(PREFACE.len()),
        script::Step::write([Frame::settings(&[(MAX_CONCURRENT_STREAMS, 1)]).encode(), ok(1)].concat()),
        script::Step::Hold(Gate::new()),
    ];
    let server = Script::start([steps]).await;
    let client = h2_client(|_| {});
    assert_eq!(get(&client, &server.url("/")).await, "");
    let second = spawn_get(&client, server.url("/"));
    until_opened(&server, 2).await;
    assert_eq!(server.accepted(), 1);
    second.abort();
}

/// A body that cannot be sent again.
fn one_shot(piece: &'static str) -> reqwest::Body {
    reqwest::Body::wrap(http_body_util::Full::new(Bytes::from(piece)))
}

#[tokio::test]
async fn an_upload_that_meets_settings_without_a_stream_waits_for_one_whole() {
    let (allows, answers) = (Gate::new(), Gate::new());
    let server = Script::start([vec![
        script::Step::ReadBody(PREFACE.len()),
        script::Step::write(Frame::settings(&[(MAX_CONCURRENT_STREAMS, 0)]).encode()),
        script::Step::Hold(allows.clone()),
        script::Step::write(Frame::settings(&[(MAX_CONCURRENT_STREAMS, 10)]).encode()),
        script::Step::Hold(answers.clone()),
        script::Step::write(ok(1)),
        script::Step::Hold(Gate::new()),
    ]])
    .await;
    let client = h2_client(|_| {});
    let upload = client.post(server.url("/")).body(one_shot("all of it"));
    let upload = tokio::spawn(upload.send());
    allows.arrived(1).await;
    until(&client, "it to wait", |stats| (stats.waiting, stats.resends) == (1, 1)).await;
    assert_eq!(opened(&server.received(0)), 0);
    allows.open();
    until_sent(&server, ended, 1).await;
    answers.open();
    assert_eq!(upload.await.unwrap().unwrap().status(), 200);
    assert_eq!((server.accepted(), opened(&server.received(0))), (1, 1));
    let received = server.received(0);
    assert!(received.windows(9).any(|bytes| bytes == b"all of it"));
    assert_all_gone(&client).await;
}

#[tokio::test]
async fn an_upload_that_waits_for_settings_in_vain_keeps_its_time() {
    for (step, is_over) in [(script::Step::Stall, true), (script::Step::Close, false)] {
        let server = Script::start(vec![vec![script::Step::ReadBody(PREFACE.len()), step]; 6]).await;
        let client = h2_client(|_| {});
        let upload = client.post(server.url("/")).body(one_shot("x"));
        let error = upload.timeout(Duration::from_millis(300)).send().await.unwrap_err();
        assert_eq!(error.is_timeout(), is_over, "{error}");
        assert!(error.is_retryable() || !is_over, "nothing of it was sent: {error}");
        assert!(server.accepted() <= 5, "{}", server.accepted());
        client.stop();
        server.stop().await;
        assert_all_gone(&client).await;
    }
}

#[tokio::test]
async fn a_stream_that_was_written_before_settings_without_a_stream_runs_to_its_end() {
    let (is_written, is_read) = (Gate::new(), Gate::new());
    let server = Script::start([vec![
        script::Step::ReadBody(PREFACE.len()),
        script::Step::Hold(is_written.clone()),
        script::Step::write(Frame::settings(&[(MAX_CONCURRENT_STREAMS, 0)]).encode()),
        script::Step::Hold(is_read.clone()),
        script::Step::write(ok(1)),
        script::Step::Hold(Gate::new()),
    ]])
    .await;
    let client = h2_client(|_| {});
    let request = client.post(server.url("/")).body("once");
    let running = tokio::spawn(request.send());
    until_opened(&server, 1).await;
    is_written.open();
    is_read.arrived(1).await;
    until_sent(&server, acknowledged, 1).await;
    is_read.open();
    assert_eq!(running.await.unwrap().unwrap().status(), 200);
    assert_eq!((opened(&server.received(0)), client.stats().resends), (1, 0));
    assert_all_gone(&client).await;
}

#[tokio::test]
async fn a_limit_lowered_in_flight_holds_new_streams_back_and_harms_no_old_one() {
    let gate = Gate::new();
    let held = gate.clone();
    let server = H2Script::builder()
        .max_concurrent_streams(100)
        .on_stream(move |_| vec![Step::Hold(held.clone()), Step::Answer("fine".into())])
        .start()
        .await;
    let client = h2_client(|_| {});
    let old: Vec<_> = (0..5).map(|_| spawn_get(&client, server.url("/old"))).collect();
    gate.arrived(5).await;
    server
        .connection(0)
        .inject(Frame::settings(&[(MAX_CONCURRENT_STREAMS, 2)]));
    until_read(&server, 0).await;
    let new: Vec<_> = (0..5).map(|_| spawn_get(&client, server.url("/new"))).collect();
    until(&client, "the new ones to wait", |stats| stats.waiting == 5).await;
    // Four streams are left, which is too many still.
    gate.let_through(1);
    gate.passed(1).await;
    until_read(&server, 0).await;
    assert_eq!((client.stats().waiting, server.requests()), (5, 5));
    gate.open();
    for request in old.into_iter().chain(new) {
        assert_eq!(request.await.unwrap(), "fine");
    }
    let seen = server.seen();
    assert_eq!((seen.accepted, seen.requests), (1, 10));
    assert_eq!(client.stats().resends, 0);
}

#[tokio::test]
async fn a_server_that_allows_no_stream_is_waited_for() {
    let server = H2Script::builder().start().await;
    let client = h2_client(|_| {});
    assert_eq!(get(&client, &server.url("/")).await, "");
    server
        .connection(0)
        .inject(Frame::settings(&[(MAX_CONCURRENT_STREAMS, 0)]));
    until_read(&server, 0).await;
    let impatient = client.get(server.url("/")).timeout(Duration::from_millis(50));
    assert!(matches!(
        impatient.send().await.unwrap_err().kind(),
        Kind::Timeout { .. }
    ));
    let patient = spawn_get(&client, server.url("/"));
    until(&client, "it to wait", |stats| stats.waiting == 1).await;
    assert_eq!(server.requests(), 1);
    server
        .connection(0)
        .inject(Frame::settings(&[(MAX_CONCURRENT_STREAMS, 1)]));
    assert_eq!(patient.await.unwrap(), "");
    assert_eq!(server.accepted(), 1);
}

#[tokio::test]
async fn a_connection_that_takes_no_stream_any_more_is_replaced_for_who_waits() {
    let server = H2Script::builder().start().await;
    let client = h2_client(|transport| transport.pool.max_connections_per_host = Some(1));
    assert_eq!(get(&client, &server.url("/")).await, "");
    server
        .connection(0)
        .inject(Frame::settings(&[(MAX_CONCURRENT_STREAMS, 0)]));
    until_read(&server, 0).await;
    let next = server.url("/");
    assert_eq!(within(Duration::from_secs(5), get(&client, &next)).await, "");
    assert_eq!(server.accepted(), 2);
    server.until_ended(0).await;
    assert_all_gone(&client).await;
}

#[tokio::test]
async fn where_no_stream_is_allowed_everybody_hears_of_the_wait_in_vain() {
    for _ in 0..10 {
        let server = H2Script::builder().max_concurrent_streams(0).start().await;
        let config = one_attempt()
            .http2_prior_knowledge(true)
            .pool_wait(Duration::from_millis(200));
        let client = Client::new(config).unwrap();
        let asking = (0..5).map(|_| {
            let request = client.get(server.url("/"));
            tokio::spawn(async move { request.send().await.unwrap_err() })
        });
        for error in asking.collect::<Vec<_>>() {
            let error = within(PATIENCE, error).await.unwrap();
            let is_wait = matches!(
                error.kind(),
                Kind::Timeout {
                    phase: httputil::Phase::PoolWait,
                    ..
                }
            );
            assert!(is_wait || error.kind() == Kind::Protocol, "{error}");
        }
        client.stop();
        until(&client, "all to be closed", |stats| stats.open == 0).await;
    }
}

#[tokio::test]
async fn a_connection_bears_no_more_requests_than_it_may_however_many_wait_for_it() {
    for (cap, at_once) in [(1, 50), (3, 10), (5, 60)] {
        let server = H2Script::builder()
            .on_stream(|_| vec![Step::Answer("fine".into())])
            .start()
            .await;
        let config = one_attempt()
            .http2_prior_knowledge(true)
            .max_requests_per_connection(cap);
        let client = Client::new(config).unwrap();
        let asking: Vec<_> = (0..at_once).map(|_| spawn_get(&client, server.url("/"))).collect();
        for answer in asking {
            assert_eq!(answer.await.unwrap(), "fine");
        }
        let seen = server.seen();
        let most = seen.connections.iter().map(|connection| connection.requests).max();
        assert!(
            most <= Some(cap as usize),
            "{most:?} on one connection of at most {cap}"
        );
        client.stop();
        until(&client, "all to be closed", |stats| stats.open == 0).await;
    }
}

#[tokio::test]
async fn those_who_wait_are_dialled_for_anew_where_a_server_does_not_say_its_settings() {
    let server = Server::builder().h2().start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let to = server.addr();
    // The first connection is accepted, and nothing more; all others lead to the server.
    let front = async move {
        let silent = listener.accept().await.unwrap();
        let (mut from, _) = listener.accept().await.unwrap();
        let mut to = TcpStream::connect(to).await.unwrap();
        tokio::io::copy_bidirectional(&mut from, &mut to).await.ok();
        drop(silent);
    };
    let mut tasks = JoinSet::new();
    tasks.spawn(front);
    let client = h2_client(|transport| transport.http2.max_connections_per_host = 2);
    let first = spawn_get(&client, url.clone());
    until(&client, "the first to be sent", |stats| stats.in_use == 1).await;
    // Waiting longer than `timeouts.pool_wait` would be an error.
    let others: Vec<_> = (0..9).map(|_| spawn_get(&client, url.clone())).collect();
    for other in others {
        assert_eq!(other.await.unwrap(), "hello");
    }
    assert_eq!((client.stats().dialled, server.accepted()), (2, 1));
    first.abort();
    first.await.unwrap_err();
    tasks.shutdown().await;
    assert_all_gone(&client).await;
}
