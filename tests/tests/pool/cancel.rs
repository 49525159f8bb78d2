//! Requests that are dropped, time out, or whose answers nobody reads: what they held is free again.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use httputil::{Client, CloseReason, Error, Kind, Phase};
use httputil_tests::gate::Gate;
use httputil_tests::h2_script::{H2Script, Kind as FrameKind, Step};
use httputil_tests::server::{Server, handlers};
use httputil_tests::{PATIENCE, one_attempt, within};

use crate::common::{TrustedCa, Way, assert_all_gone, assert_at_rest, get, spawn_get, until, url};

/// Runs the future, and drops it in the middle of its `polls`th turn; its output if it came before.
async fn dropped_after<T>(polls: usize, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(|cx| {
        let Some(now) = left.checked_sub(1) else {
            return Poll::Ready(None);
        };
        left = now;
        match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            // The last turn is over: dropped here, whatever would have woken it.
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

async fn post(client: &Client, url: String) -> Result<usize, Error> {
    let response = client.post(url).body(vec![7; 100_000]).send().await?;
    Ok(response.bytes().await.expect("the body ends well").len())
}

#[tokio::test]
async fn a_request_dropped_at_any_point_frees_its_connection_and_its_place_in_the_queue() {
    let ca = TrustedCa::new();
    for way in Way::ALL {
        let server = way.start(Server::builder(), &ca).await;
        // One slot and one stream: if a drop left either taken, the next request would wait in vain.
        let config = ca
            .config()
            .max_connections_per_host(1)
            .http2_max_streams_per_connection(1)
            .pool_wait(Duration::from_secs(5));
        let client = Client::new(config).unwrap();
        let mut finished = 0;
        for polls in 1..=60 {
            let exchange = post(&client, url(&server, "/tagged"));
            if let Some(answer) = dropped_after(polls, exchange).await {
                assert_eq!(answer.unwrap(), 100_000);
                finished += 1;
            }
            assert_eq!(client.stats().waiting, 0, "{way:?}, {polls} turns");
            // Warm, so that the next one begins on a connection; every third begins with a dial.
            if polls % 3 == 0 {
                client.close_idle_connections();
            } else {
                assert_eq!(
                    get(&client, &url(&server, "/")).await,
                    "hello",
                    "{way:?}, {polls} turns"
                );
            }
        }
        assert!(finished > 0, "{way:?}: some had turns enough");
        assert_eq!(server.seen().max_in_flight, 1, "{way:?}");
        assert_all_gone(&client).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_waiter_dropped_as_its_connection_comes_passes_it_on() {
    let ca = TrustedCa::new();
    for way in Way::ALL {
        let server = way.start(Server::builder(), &ca).await;
        let config = ca
            .config()
            .max_connections_per_host(1)
            .http2_max_connections_per_host(1)
            .http2_max_streams_per_connection(1);
        let client = Client::new(config).unwrap();
        let url = url(&server, "/");
        for round in 0..300_u64 {
            let kept: Vec<_> = (0..2).map(|_| spawn_get(&client, &url)).collect();
            let dropped: Vec<_> = (0..2).map(|_| spawn_get(&client, &url)).collect();
            let last = spawn_get(&client, &url);
            // About as long as an exchange takes, so that some go as they are served.
            let pause = Duration::from_micros(round * 7 % 600);
            let began = Instant::now();
            while began.elapsed() < pause {
                tokio::task::yield_now().await;
            }
            for request in dropped {
                request.abort();
            }
            for request in kept.into_iter().chain([last]) {
                assert_eq!(within(PATIENCE, request).await.unwrap().unwrap(), "hello", "{way:?}");
            }
        }
        assert_at_rest(&client).await;
        assert_all_gone(&client).await;
    }
}

#[tokio::test]
async fn a_time_out_closes_the_http1_connection() {
    let ca = TrustedCa::new();
    for way in [Way::H1, Way::H1Tls] {
        let gate = Gate::new();
        let server = way
            .start(Server::builder().handler(handlers::hold(&gate, handlers::by_path)), &ca)
            .await;
        let client = ca.client();
        // Its time is not to go into the dial.
        gate.open();
        assert_eq!(get(&client, &url(&server, "/")).await, "hello");
        gate.shut();
        let request = client.get(url(&server, "/")).timeout(Duration::from_millis(300));
        let error = request.send().await.unwrap_err();
        assert!(error.is_timeout(), "{error}");
        server.until_open(0).await;
        until(&client, "it to be closed", |stats| stats.open == 0).await;
        assert_eq!(client.stats().closed_for(CloseReason::Timeout), 1, "{way:?}");
        gate.open();
        assert_eq!(get(&client, &url(&server, "/")).await, "hello");
        assert_at_rest(&client).await;
    }
}

#[tokio::test]
async fn a_time_out_resets_only_its_stream_in_http2() {
    let gate = Gate::new();
    let server = H2Script::builder()
        .on_stream({
            let gate = gate.clone();
            move |stream| match stream.head.uri.path() {
                "/held" => vec![Step::Hold(gate.clone()), Step::Answer("held".into())],
                "/never" => vec![],
                _ => vec![Step::Answer("hello".into())],
            }
        })
        .start()
        .await;
    let client = Client::new(one_attempt().http2_prior_knowledge(true)).unwrap();
    let held = spawn_get(&client, &server.url("/held"));
    gate.arrived(1).await;
    let request = client.get(server.url("/never")).timeout(Duration::from_millis(100));
    let error = request.send().await.unwrap_err();
    assert!(error.is_timeout(), "{error}");
    server.frames().until(0, FrameKind::RstStream, 1).await;
    gate.open();
    assert_eq!(held.await.unwrap().unwrap(), "held");
    assert_eq!(get(&client, &server.url("/")).await, "hello");
    assert_eq!(
        (server.accepted(), server.frames().count(0, FrameKind::RstStream)),
        (1, 1)
    );
    assert_at_rest(&client).await;
}

#[tokio::test]
async fn an_answer_that_is_kept_and_never_read_gives_its_connection_back_at_the_total_deadline() {
    let ca = TrustedCa::new();
    for way in Way::ALL {
        let gate = Gate::new();
        let server = way
            .start(Server::builder().handler(handlers::hold_body(&gate)), &ca)
            .await;
        let config = ca
            .config()
            .max_connections_per_host(1)
            .http2_max_streams_per_connection(1);
        let client = Client::new(config).unwrap();
        let request = client.get(url(&server, "/")).timeout(Duration::from_millis(200));
        let kept = request.send().await.unwrap();
        let stats = client.stats();
        assert_eq!((stats.open, stats.in_use), (1, 1), "{way:?}: it shows until then");

        let waits = spawn_get(&client, &url(&server, "/"));
        until(&client, "the next to wait", |stats| stats.waiting == 1).await;
        gate.open();
        assert_eq!(within(PATIENCE, waits).await.unwrap().unwrap(), "first last", "{way:?}");

        let error = kept.bytes().await.unwrap_err();
        assert!(error.is_timeout(), "{way:?}: {error:?}");
        let Kind::Timeout { phase, .. } = Error::of(&error).unwrap().kind() else {
            panic!("{error:?}")
        };
        assert_eq!(phase, Phase::Body);
        assert_at_rest(&client).await;
    }
}
