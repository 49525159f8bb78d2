//! HTTP/2 requests that are taken back: the server sees few resets a second, and the others live.

use std::time::{Duration, Instant};

use httputil::Client;
use httputil_tests::gate::Gate;
use httputil_tests::h2_script::frame::END_STREAM;
use httputil_tests::h2_script::{Frame, H2Script, Kind, Step};
use httputil_tests::one_attempt;
use tokio::task::JoinHandle;

use crate::common::{get, h2_client, until, until_read};

fn many_streams() -> Client {
    h2_client(|transport| transport.http2.max_streams_per_connection = 1000)
}

async fn holding(gate: &Gate) -> H2Script {
    let gate = gate.clone();
    H2Script::builder()
        .max_concurrent_streams(1000)
        .on_stream(move |stream| match stream.head.uri.path() {
            "/held" => vec![Step::Hold(gate.clone()), Step::Answer("held".into())],
            _ => vec![Step::Answer("fine".into())],
        })
        .start()
        .await
}

fn requests(client: &Client, server: &H2Script, n: usize) -> Vec<JoinHandle<String>> {
    let one = || {
        let (client, url) = (client.clone(), server.url("/held"));
        tokio::spawn(async move { get(&client, &url).await })
    };
    (0..n).map(|_| one()).collect()
}

#[tokio::test]
async fn five_hundred_cancelled_requests_are_no_attack() {
    let gate = Gate::new();
    let server = holding(&gate).await;
    let client = many_streams();
    let survivor = requests(&client, &server, 1).pop().unwrap();
    gate.arrived(1).await;
    let cancelled = requests(&client, &server, 500);
    gate.arrived(501).await;
    for request in &cancelled {
        request.abort();
    }
    for request in cancelled {
        assert!(request.await.unwrap_err().is_cancelled());
    }
    server.frames().until(0, Kind::RstStream, 16).await;
    let began = Instant::now();
    server.frames().until(0, Kind::RstStream, 16 + 30).await;
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(800), "30 more resets in {took:?}");
    // Whatever is left ends by itself, and resets nothing then.
    gate.open();
    assert_eq!(survivor.await.unwrap(), "held");
    until(&client, "all places to be given back", |stats| stats.in_use == 0).await;
    let resets = server.frames().count(0, Kind::RstStream);
    assert!(resets < 100, "{resets} resets");
    assert_eq!(get(&client, &server.url("/")).await, "fine");
    assert_eq!(server.accepted(), 1);
}

#[tokio::test]
async fn timed_out_requests_fail_at_once_and_are_paced_too() {
    let gate = Gate::new();
    let server = holding(&gate).await;
    let client = many_streams();
    assert_eq!(get(&client, &server.url("/")).await, "fine");
    let requests: Vec<_> = (0..100)
        .map(|_| {
            let request = client.get(server.url("/held")).timeout(Duration::from_millis(300));
            tokio::spawn(request.send())
        })
        .collect();
    gate.arrived(100).await;
    let survivor = {
        let (client, url) = (client.clone(), server.url("/held"));
        tokio::spawn(async move { get(&client, &url).await })
    };
    gate.arrived(101).await;
    // Traffic, so that the connection is not in doubt.
    until_read(&server, 0).await;
    let began = Instant::now();
    for request in requests {
        assert!(request.await.unwrap().unwrap_err().is_timeout());
    }
    assert!(began.elapsed() < Duration::from_secs(2));
    assert!(server.frames().count(0, Kind::RstStream) < 80);
    gate.open();
    assert_eq!(survivor.await.unwrap(), "held");
    assert_eq!(server.accepted(), 1);
}

#[tokio::test]
async fn an_answer_that_has_come_whole_is_dropped_unread_without_a_reset() {
    let server = holding(&Gate::new()).await;
    let client = many_streams();
    for _ in 0..50 {
        let unread = client.get(server.url("/")).send().await.unwrap();
        until_read(&server, 0).await;
        drop(unread);
    }
    until(&client, "nothing to be in use", |stats| stats.in_use == 0).await;
    until_read(&server, 0).await;
    assert_eq!(server.frames().count(0, Kind::RstStream), 0);
}

#[tokio::test]
async fn an_upload_that_is_taken_back_is_reset_at_once_and_never_looks_complete() {
    let gate = Gate::new();
    let server = holding(&gate).await;
    let client = many_streams();
    // More than the bucket holds.
    for n in 1..=40 {
        let (pieces, body) = tokio::sync::mpsc::unbounded_channel();
        pieces
            .send(Ok::<_, std::io::Error>(http_body::Frame::data(bytes::Bytes::from(
                "piece",
            ))))
            .unwrap();
        let body = reqwest::Body::wrap(http_body_util::StreamBody::new(Pieces(body)));
        let upload = tokio::spawn(client.post(server.url("/held")).body(body).send());
        gate.arrived(n).await;
        upload.abort();
        assert!(upload.await.unwrap_err().is_cancelled());
        // Its end comes before anything has been done about that.
        drop(pieces);
    }
    server.frames().until(0, Kind::RstStream, 40).await;
    let frames = server.frames().of(0);
    let ends = |frame: &&Frame| frame.kind == Kind::Data && frame.flags & END_STREAM != 0;
    assert_eq!(frames.iter().filter(ends).count(), 0);
}

struct Pieces(tokio::sync::mpsc::UnboundedReceiver<Result<http_body::Frame<bytes::Bytes>, std::io::Error>>);

impl futures_core::Stream for Pieces {
    type Item = Result<http_body::Frame<bytes::Bytes>, std::io::Error>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        self.0.poll_recv(cx)
    }
}

#[tokio::test]
async fn a_client_that_stops_does_not_wait_for_what_it_took_back() {
    let gate = Gate::new();
    let server = holding(&gate).await;
    let client = many_streams();
    let cancelled = requests(&client, &server, 400);
    gate.arrived(400).await;
    for request in &cancelled {
        request.abort();
    }
    server.frames().until(0, Kind::RstStream, 16).await;
    drop((client, cancelled));
    // At thirty a second it would take longer than this waits.
    server.until_ended(0).await;
}

#[tokio::test]
async fn requests_that_lose_to_their_hedges_are_paced_too() {
    let gate = Gate::new();
    let held = gate.clone();
    let server = H2Script::builder()
        .max_concurrent_streams(1000)
        .on_stream(move |stream| match stream.overall % 2 {
            1 => vec![Step::Hold(held.clone()), Step::Answer("late".into())],
            _ => vec![Step::Answer("fine".into())],
        })
        .start()
        .await;
    let mut config = one_attempt()
        .hedge_after(Duration::from_millis(1))
        .retry_budget(10.0, 1000)
        .http2_prior_knowledge(true);
    let http2 = &mut config.profile_mut().transport.http2;
    http2.max_streams_per_connection = 1000;
    http2.max_connections_per_host = 1;
    let client = Client::new(config).unwrap();
    // From here on it is known how many streams there may be.
    let first = client.get(server.url("/")).retry(false).send().await.unwrap();
    assert_eq!(first.text().await.unwrap(), "fine");
    let began = Instant::now();
    for _ in 0..100 {
        assert_eq!(get(&client, &server.url("/")).await, "fine");
    }
    let resets = server.frames().count(0, Kind::RstStream) as f64;
    let most = 16.0 + 30.0 * began.elapsed().as_secs_f64();
    assert!(resets <= most + 1.0, "{resets} resets in {:?}", began.elapsed());
    assert_eq!((client.stats().hedges_won, server.accepted()), (100, 1));
    gate.open();
    until(&client, "all places to be given back", |stats| stats.in_use == 0).await;
}
