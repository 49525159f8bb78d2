//! HTTP/2 connections that go silent: pings find them, and requests do not wait for their own time-out.

use std::time::{Duration, Instant};

use h2::Reason;
use httputil::{Client, CloseReason, Error, Kind};
use httputil_tests::gate::Gate;
use httputil_tests::h2_script::{self, Frame, H2Script, Last, Step};
use httputil_tests::tls::Alpn;
use httputil_tests::{PATIENCE, within};

use crate::common::{TrustedCa, assert_all_gone, get, h2_client, until, until_read};

const SHORT: Duration = Duration::from_millis(200);

fn pinging() -> Client {
    h2_client(|transport| {
        transport.http2.keepalive_interval = SHORT;
        transport.http2.keepalive_timeout = SHORT;
    })
}

async fn holding(gate: &Gate) -> H2Script {
    let gate = gate.clone();
    H2Script::builder()
        .on_stream(move |stream| match stream.head.uri.path() {
            "/held" => vec![Step::Hold(gate.clone()), Step::Answer("held".into())],
            "/begun" => vec![Step::Head, Step::Data("some".into()), Step::Hold(gate.clone())],
            _ => vec![Step::Answer("fine".into())],
        })
        .start()
        .await
}

#[tokio::test]
async fn requests_on_a_black_holed_connection_fail_by_its_ping() {
    let gate = Gate::new();
    let server = holding(&gate).await;
    let client = pinging();
    let requests: Vec<_> = (0..3)
        .map(|_| tokio::spawn(client.post(server.url("/held")).body("once").send()))
        .collect();
    gate.arrived(3).await;
    let began = Instant::now();
    server.connection(0).freeze();
    for request in requests {
        let error = request.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), Kind::Connection, "{error:?}");
        let said = error.to_string();
        assert!(
            said.contains("answered no ping within 200 ms") && said.contains("may have been"),
            "{said}"
        );
    }
    // The default time-out of a request is 30 s.
    assert!(began.elapsed() < Duration::from_secs(5));
    until(&client, "the close to be counted", |stats| stats.closed_total() == 1).await;
    assert_eq!(client.stats().closed_for(CloseReason::PingTimeout), 1);
}

#[tokio::test]
async fn so_does_a_body_that_is_waited_for() {
    let gate = Gate::new();
    let server = holding(&gate).await;
    let client = pinging();
    let mut response = client.get(server.url("/begun")).send().await.unwrap();
    assert_eq!(response.chunk().await.unwrap().unwrap(), "some");
    gate.arrived(1).await;
    server.connection(0).freeze();
    let error = response.chunk().await.unwrap_err();
    let said = Error::of(&error).unwrap().to_string();
    assert!(said.contains("answered no ping within 200 ms"), "{said}");
}

#[tokio::test]
async fn a_server_that_is_slow_and_answers_pings_is_waited_for() {
    let gate = Gate::new();
    let server = holding(&gate).await;
    let client = pinging();
    let slow = tokio::spawn({
        let (client, url) = (client.clone(), server.url("/held"));
        async move { get(&client, &url).await }
    });
    server.frames().until(0, h2_script::Kind::Ping, 4).await;
    gate.open();
    assert_eq!(slow.await.unwrap(), "held");
    assert_eq!(client.stats().closed_total(), 0);
}

#[tokio::test]
async fn an_idle_connection_is_not_pinged() {
    let gate = Gate::new();
    gate.open();
    let server = holding(&gate).await;
    let client = h2_client(|transport| {
        transport.http2.keepalive_interval = SHORT;
        transport.http2.keepalive_timeout = SHORT;
        transport.pool.idle_timeout = SHORT * 4;
    });
    assert_eq!(get(&client, &server.url("/held")).await, "held");
    // Idle for four intervals, as its end at the idle time-out shows.
    server.until_open(0).await;
    assert_eq!(client.stats().closed_for(CloseReason::IdleTimeout), 1);
    assert_eq!(server.frames().count(0, h2_script::Kind::Ping), 0);
}

#[tokio::test]
async fn after_a_time_out_in_silence_the_next_request_goes_elsewhere() {
    let gate = Gate::new();
    let server = holding(&gate).await;
    let client = h2_client(|_| {});
    assert_eq!(get(&client, &server.url("/")).await, "fine");
    server.connection(0).freeze();
    let lost = client.get(server.url("/held")).timeout(Duration::from_millis(100));
    assert!(lost.send().await.unwrap_err().is_timeout());
    assert_eq!(get(&client, &server.url("/")).await, "fine");
    assert_eq!(server.accepted(), 2);
}

#[tokio::test]
async fn a_time_out_on_a_connection_with_traffic_taints_nothing() {
    let gate = Gate::new();
    let server = holding(&gate).await;
    let client = h2_client(|_| {});
    assert_eq!(get(&client, &server.url("/")).await, "fine");
    let lost = client.get(server.url("/held")).timeout(Duration::from_millis(300));
    let lost = tokio::spawn(lost.send());
    gate.arrived(1).await;
    while !lost.is_finished() {
        until_read(&server, 0).await;
    }
    assert!(lost.await.unwrap().unwrap_err().is_timeout());
    assert_eq!(get(&client, &server.url("/")).await, "fine");
    assert_eq!(server.accepted(), 1);

    // The same while a body is awaited.
    let begun = client.get(server.url("/begun")).timeout(Duration::from_millis(300));
    let lost = tokio::spawn(begun.send().await.unwrap().bytes());
    while !lost.is_finished() {
        until_read(&server, 0).await;
    }
    assert!(lost.await.unwrap().unwrap_err().is_timeout());
    assert_eq!(get(&client, &server.url("/")).await, "fine");
    assert_eq!(server.accepted(), 1);
    assert_all_gone(&client).await;
}

#[tokio::test]
async fn frames_that_came_long_before_the_time_out_are_no_sign_of_life() {
    // They come right behind the request, and after them nothing any more.
    let window = Frame::window_update(0, 10);
    for last in [
        vec![Step::Inject(window.clone())],
        vec![Step::Head],
        vec![Step::Head, Step::Data("some".into()), Step::Inject(window)],
    ] {
        let server = H2Script::builder()
            .on_stream(move |stream| match (stream.connection, stream.nth) {
                (0, 1..) => [&last[..], &[Step::FreezeConnection]].concat(),
                _ => vec![Step::Answer("fine".into())],
            })
            .start()
            .await;
        let client = h2_client(|_| {});
        assert_eq!(get(&client, &server.url("/")).await, "fine");
        let lost = client.get(server.url("/")).timeout(Duration::from_millis(400));
        let lost = async { lost.send().await.map_err(drop)?.bytes().await.map_err(drop) };
        lost.await.unwrap_err();
        // Before a ping could tell.
        let next = client.get(server.url("/")).timeout(Duration::from_secs(5));
        assert_eq!(next.send().await.unwrap().text().await.unwrap(), "fine");
        assert_eq!(server.accepted(), 2);
        client.stop();
        server.stop().await;
        assert_all_gone(&client).await;
    }
}

/// Our own pings that have come to the server on a connection.
fn asked(server: &H2Script, connection: usize) -> usize {
    let frames = server.frames().of(connection);
    frames.iter().filter(|frame| *frame.payload == *b"httputil").count()
}

#[tokio::test]
async fn a_connection_in_doubt_with_other_requests_under_way_is_proven_at_once_and_used_again() {
    let ca = TrustedCa::new();
    for over_tls in [false, true] {
        let gate = Gate::new();
        let (held, tls) = (gate.clone(), ca.server(Alpn::Both));
        let builder = H2Script::builder().on_stream(move |stream| match stream.head.uri.path() {
            "/upload" => vec![Step::Hold(held.clone()), Step::Echo],
            "/held" => vec![Step::Hold(Gate::new())],
            _ => vec![Step::Answer("fine".into())],
        });
        let (server, client) = if over_tls {
            let config = ca.config().http2_max_connections_per_host(1);
            (builder.tls(tls).start().await, Client::new(config).unwrap())
        } else {
            (builder.start().await, h2_client(|_| {}))
        };
        let scheme = if over_tls { "https" } else { "http" };
        let url = |path: &str| format!("{scheme}://localhost:{}{path}", server.port());
        assert_eq!(get(&client, &url("/")).await, "fine");
        // More than the stream's window lets pass, so that it stands still in the middle.
        let upload = "0123456789abcdef".repeat(1 << 16);
        let uploading = tokio::spawn(client.post(url("/upload")).body(upload.clone()).send());
        gate.arrived(1).await;
        until_read(&server, 0).await;
        let lost = client.get(url("/held")).timeout(SHORT);
        assert!(lost.send().await.unwrap_err().is_timeout());
        // The next ordinary ping is due in ten seconds, and the only connection would give out no place until then.
        let next = url("/");
        assert_eq!(
            within(Duration::from_secs(5), get(&client, &next)).await,
            "fine",
            "{scheme}"
        );
        assert_eq!(asked(&server, 0), 1, "{scheme}");
        gate.open();
        let answer = uploading.await.unwrap().unwrap().text().await.unwrap();
        assert!(answer == upload, "the upload was spoilt");
        assert_eq!(server.accepted(), 1, "{scheme}");
        assert_all_gone(&client).await;
    }
}

#[tokio::test]
async fn a_connection_in_doubt_that_answers_no_ping_ends_without_waiting_for_the_next_ordinary_one() {
    let server = H2Script::builder()
        .on_stream(|stream| match (stream.connection, stream.nth) {
            (0, 1) => vec![Step::Head, Step::Data("some".into()), Step::Hold(Gate::new())],
            (0, 2) => vec![Step::FreezeConnection],
            _ => vec![Step::Answer("fine".into())],
        })
        .start()
        .await;
    let client = h2_client(|transport| {
        transport.http2.keepalive_interval = Duration::from_mins(1);
        transport.http2.keepalive_timeout = SHORT;
    });
    assert_eq!(get(&client, &server.url("/")).await, "fine");
    let mut begun = client.get(server.url("/")).send().await.unwrap();
    assert_eq!(begun.chunk().await.unwrap().unwrap(), "some");
    let lost = client.get(server.url("/")).timeout(SHORT);
    assert!(lost.send().await.unwrap_err().is_timeout());
    // It is the only connection that may be, and bears another request.
    let next = server.url("/");
    assert_eq!(within(Duration::from_secs(5), get(&client, &next)).await, "fine");
    let error = begun.chunk().await.unwrap_err();
    let said = Error::of(&error).unwrap().to_string();
    assert!(said.contains("answered no ping within 200 ms"), "{said}");
    assert_eq!(client.stats().closed_for(CloseReason::PingTimeout), 1);
    assert_all_gone(&client).await;
}

#[tokio::test]
async fn doubts_in_a_row_ping_once_a_second_at_most() {
    let gate = Gate::new();
    let server = holding(&gate).await;
    let client = h2_client(|_| {});
    assert_eq!(get(&client, &server.url("/")).await, "fine");
    let began = Instant::now();
    let other = tokio::spawn(client.get(server.url("/held")).send());
    gate.arrived(1).await;
    for _ in 0..20 {
        let lost = client.get(server.url("/held")).timeout(Duration::from_millis(20));
        assert!(lost.send().await.unwrap_err().is_timeout());
    }
    until_read(&server, 0).await;
    let (asked, seconds) = (asked(&server, 0), began.elapsed().as_secs());
    assert!(asked >= 1 && asked as u64 <= 1 + seconds, "{asked} in {seconds} s");
    gate.open();
    assert_eq!(other.await.unwrap().unwrap().text().await.unwrap(), "held");
}

#[tokio::test]
async fn a_host_that_has_complained_is_not_asked() {
    let gate = Gate::new();
    let server = holding(&gate).await;
    let client = h2_client(|_| {});
    assert_eq!(get(&client, &server.url("/")).await, "fine");
    server.connection(0).goaway(Last::All, Reason::ENHANCE_YOUR_CALM);
    server.until_ended(0).await;
    assert_eq!(get(&client, &server.url("/")).await, "fine");
    let other = tokio::spawn(client.get(server.url("/held")).send());
    gate.arrived(1).await;
    let lost = client.get(server.url("/held")).timeout(SHORT);
    assert!(lost.send().await.unwrap_err().is_timeout());
    until_read(&server, 1).await;
    assert_eq!(asked(&server, 1), 0);
    assert_eq!(get(&client, &server.url("/")).await, "fine");
    assert_eq!(server.accepted(), 2);
    gate.open();
    assert_eq!(other.await.unwrap().unwrap().text().await.unwrap(), "held");
}

#[tokio::test]
async fn a_connection_that_stays_in_doubt_is_replaced_for_who_waits_and_its_other_requests_go_on() {
    let gate = Gate::new();
    let held = gate.clone();
    let server = H2Script::builder()
        .on_stream(move |stream| match stream.head.uri.path() {
            "/held" => vec![Step::Hold(held.clone())],
            "/begun" => vec![
                Step::Head,
                Step::Data("some".into()),
                Step::Hold(held.clone()),
                Step::End,
            ],
            _ => vec![Step::Answer("fine".into())],
        })
        .start()
        .await;
    let client = h2_client(|_| {});
    assert_eq!(get(&client, &server.url("/")).await, "fine");
    server.connection(0).goaway(Last::All, Reason::ENHANCE_YOUR_CALM);
    server.until_ended(0).await;
    let mut begun = client.get(server.url("/begun")).send().await.unwrap();
    assert_eq!(begun.chunk().await.unwrap().unwrap(), "some");
    gate.arrived(1).await;
    until_read(&server, 1).await;
    let lost = client.get(server.url("/held")).timeout(SHORT);
    assert!(lost.send().await.unwrap_err().is_timeout());
    // This host is not asked, and nothing may come for as long as that request takes.
    let next = server.url("/");
    assert_eq!(within(Duration::from_secs(5), get(&client, &next)).await, "fine");
    assert_eq!((asked(&server, 1), server.accepted()), (0, 3));
    gate.open();
    assert_eq!(begun.bytes().await.unwrap(), "");
    server.until_ended(1).await;
    until(&client, "the close to be counted", |stats| {
        stats.closed_for(CloseReason::Suspect) == 1
    })
    .await;
    assert_all_gone(&client).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_only_request_on_a_connection_that_goes_silent_fails_by_its_ping_whichever_task_runs_first() {
    const LANES: usize = 8;
    const REQUESTS: usize = 6;
    // Long enough that a busy machine answers the ping of the first request.
    const INTERVAL: Duration = Duration::from_millis(100);
    // Each connection answers once. Of the second request nothing is heard any more: no frame wakes anybody.
    let server = H2Script::builder()
        .on_stream(|stream| match stream.nth {
            0 => vec![Step::Answer("fine".into())],
            _ => vec![Step::FreezeConnection],
        })
        .start()
        .await;
    let lane = |url: String| async move {
        let client = h2_client(|transport| {
            transport.http2.keepalive_interval = INTERVAL;
            transport.http2.keepalive_timeout = INTERVAL;
        });
        for _ in 0..REQUESTS {
            assert_eq!(get(&client, &url).await, "fine");
            // Idle until the clock that runs for this request has run down.
            tokio::time::sleep(INTERVAL * 2).await;
            let request = client.post(&url).timeout(PATIENCE * 2);
            let error = within(PATIENCE, request.send()).await.unwrap_err();
            assert!(error.to_string().contains("answered no ping within 100 ms"), "{error}");
        }
        assert_all_gone(&client).await;
    };
    let lanes: Vec<_> = (0..LANES).map(|_| tokio::spawn(lane(server.url("/")))).collect();
    for lane in lanes {
        lane.await.unwrap();
    }
    assert_eq!(server.accepted(), LANES * REQUESTS);
}
