//! Who waits for a turn and for how long, over streams in memory and with the clock paused.

use std::sync::Arc;
use std::time::Duration;

use http::header::LOCATION;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::client::Client;
use crate::client::memory::{self, Came, answer, settled};
use crate::error::{Error, Kind, Phase};
use crate::settings::{Limit, Policy, Profile, Rate};

/// A client whose servers answer as many requests as the semaphore has permits; those to `/503` with that, those to
/// `/moved` with a redirect.
fn client(limit: Limit, change: impl FnOnce(&mut Policy)) -> (Client, Came, Arc<Semaphore>) {
    let mut profile = Profile::named("test");
    profile.policy.limit = limit;
    profile.policy.retry.max_attempts = 1;
    change(&mut profile.policy);
    let gate = Arc::new(Semaphore::new(0));
    let held = Arc::clone(&gate);
    let (client, came) = memory::client(profile, move |request| {
        let gate = Arc::clone(&held);
        async move {
            gate.acquire().await.unwrap().forget();
            Some(match request.uri().path() {
                "/503" => answer(503, &[]),
                "/moved" => answer(302, &[(LOCATION, "/")]),
                _ => answer(200, &[]),
            })
        }
    });
    (client, came, gate)
}

fn limit(change: impl FnOnce(&mut Limit)) -> Limit {
    let mut limit = Limit::default();
    change(&mut limit);
    limit
}

type Sent = JoinHandle<Result<reqwest::Response, Error>>;

async fn send(client: &Client, url: &str) -> Sent {
    let sent = tokio::spawn(client.get(url).send());
    settled().await;
    sent
}

fn came(came: &Came) -> usize {
    came.lock().unwrap().len()
}

#[tokio::test(start_paused = true)]
async fn no_more_requests_go_at_once_and_a_body_that_is_not_read_holds_its_place() {
    for per_host in [false, true] {
        let limit = limit(|limit| {
            if per_host {
                limit.max_concurrent_per_host = Some(2);
            } else {
                limit.max_concurrent = Some(2);
            }
        });
        let (client, at, gate) = client(limit, |_| {});
        let mut sent = Vec::new();
        for _ in 0..4 {
            sent.push(send(&client, "http://server/").await);
        }
        assert_eq!(came(&at), 2);
        gate.add_permits(2);
        settled().await;
        // Answered, and their bodies not read.
        let (first, second) = (
            sent.remove(0).await.unwrap().unwrap(),
            sent.remove(0).await.unwrap().unwrap(),
        );
        settled().await;
        assert_eq!(came(&at), 2);
        assert_eq!(first.text().await.unwrap(), "no");
        settled().await;
        assert_eq!(came(&at), 3);
        drop(second);
        settled().await;
        assert_eq!(came(&at), 4);
        let other = send(&client, "http://other/").await;
        assert_eq!(came(&at), if per_host { 5 } else { 4 });
        gate.add_permits(10);
        for each in sent.into_iter().chain([other]) {
            assert_eq!(each.await.unwrap().unwrap().text().await.unwrap(), "no");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_wait_for_a_turn_is_no_part_of_the_attempt() {
    for per_host in [false, true] {
        let limit = limit(|limit| {
            if per_host {
                limit.max_concurrent_per_host = Some(1);
            } else {
                limit.max_concurrent = Some(1);
            }
        });
        let (client, _, gate) = client(limit, |policy| policy.attempt = Some(Duration::from_millis(250)));
        let mut sent = Vec::new();
        for _ in 0..4 {
            sent.push(send(&client, "http://server/").await);
        }
        // Each takes 200 ms when its turn has come.
        for each in sent {
            tokio::time::advance(Duration::from_millis(200)).await;
            gate.add_permits(1);
            assert_eq!(each.await.unwrap().unwrap().text().await.unwrap(), "no");
            settled().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_go_in_their_order() {
    let (client, _, gate) = client(limit(|limit| limit.max_concurrent = Some(1)), |_| {});
    gate.add_permits(10);
    let held = client.get("http://server/").send().await.unwrap();
    let order = Arc::new(std::sync::Mutex::new(Vec::new()));
    let mut waiting = Vec::new();
    for number in 0..5 {
        let (request, order) = (client.get("http://server/").send(), Arc::clone(&order));
        waiting.push(tokio::spawn(async move {
            let response = request.await.unwrap();
            order.lock().unwrap().push(number);
            drop(response);
        }));
        settled().await;
    }
    assert!(order.lock().unwrap().is_empty());
    drop(held);
    for each in waiting {
        each.await.unwrap();
    }
    assert_eq!(*order.lock().unwrap(), [0, 1, 2, 3, 4]);
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_refuses_at_once_and_says_what_was_full() {
    for (key, limit) in [
        (
            "limit.max_concurrent = 1",
            limit(|limit| limit.max_concurrent = Some(1)),
        ),
        (
            "limit.max_concurrent_per_host = 1",
            limit(|limit| limit.max_concurrent_per_host = Some(1)),
        ),
        (
            "limit.rate = 1/m",
            limit(|limit| limit.rate = Some(Rate::per_minute(1))),
        ),
    ] {
        let limit = Limit {
            queue: Some(1),
            ..limit
        };
        let (client, at, gate) = client(limit, |policy| policy.timeout = None);
        let first = send(&client, "http://server/").await;
        let second = send(&client, "http://server/").await;
        let error = client.get("http://server/").send().await.unwrap_err();
        assert_eq!(error.kind(), Kind::LimitExceeded);
        assert_eq!(
            error.to_string(),
            format!(
                "GET http://server/: not sent: {key} is reached, and as many wait as may, limit.queue = 1 (profile test)"
            )
        );
        assert!(error.is_retryable());
        assert_eq!((came(&at), client.stats().shed), (1, 1));
        gate.add_permits(2);
        drop(first.await.unwrap().unwrap());
        drop(second.await.unwrap().unwrap());
    }
}

#[tokio::test(start_paused = true)]
async fn one_whose_time_is_over_leaves_without_a_connection_or_a_dial() {
    for limit in [
        limit(|limit| limit.max_concurrent = Some(1)),
        limit(|limit| limit.max_concurrent_per_host = Some(1)),
        limit(|limit| limit.rate = Some(Rate::per_minute(1))),
    ] {
        let (client, at, _gate) = client(limit, |_| {});
        let _first = send(&client, "http://server/").await;
        let began = Instant::now();
        let request = client.get("http://server/").timeout(Duration::from_secs(2));
        let error = request.send().await.unwrap_err();
        assert_eq!(began.elapsed(), Duration::from_secs(2));
        assert!(
            matches!(error.kind(), Kind::Timeout { phase: Phase::Turn, .. }),
            "{error}"
        );
        assert!(
            error
                .to_string()
                .contains("timed out after 2 s (timeout), waiting for its turn"),
            "{error}"
        );
        assert!(error.is_retryable() && error.attempts() == 0);
        assert_eq!((came(&at), client.stats().dials_started), (1, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_retry_or_a_hop_that_is_shed_is_not_said_to_be_a_request_that_was_never_sent() {
    let limit = limit(|limit| (limit.rate, limit.queue) = (Some(Rate::per_minute(1)), Some(0)));
    for (url, place, not_sent) in [
        ("http://server/503", "/503", "not sent again"),
        ("http://server/moved", "/", "not sent on"),
    ] {
        let (client, at, gate) = client(limit, |policy| policy.retry.max_attempts = 2);
        gate.add_permits(1);
        let error = client.get(url).send().await.unwrap_err();
        assert_eq!(error.kind(), Kind::LimitExceeded);
        assert_eq!((came(&at), error.is_retryable()), (1, false));
        let words = format!("GET http://server{place}: {not_sent}: limit.rate = 1/m is reached, and as many wait");
        assert!(error.to_string().starts_with(&words), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_the_turn_of_a_retry_has_the_whole_request_s_time_and_no_attempt_s() {
    let limit = limit(|limit| limit.rate = Some(Rate::per_minute(1)));
    let (client, at, gate) = client(limit, |policy| {
        policy.retry.max_attempts = 2;
        policy.attempt = Some(Duration::from_secs(1));
        policy.timeout = Some(Duration::from_secs(20));
    });
    gate.add_permits(1);
    let began = Instant::now();
    let error = client.get("http://server/503").send().await.unwrap_err();
    assert_eq!((began.elapsed(), came(&at)), (Duration::from_secs(20), 1));
    let words = "GET http://server/503: timed out after 20 s (timeout), waiting for its turn";
    assert!(error.to_string().starts_with(words), "{error}");
}

#[tokio::test(start_paused = true)]
async fn places_come_back_when_a_request_is_given_up_or_its_task_panics() {
    for limit in [
        limit(|limit| limit.max_concurrent = Some(1)),
        limit(|limit| limit.max_concurrent_per_host = Some(1)),
    ] {
        let (client, at, gate) = client(limit, |_| {});
        for _ in 0..5 {
            let (running, waiting) = (
                send(&client, "http://server/").await,
                send(&client, "http://server/").await,
            );
            waiting.abort();
            running.abort();
            assert!(waiting.await.unwrap_err().is_cancelled() && running.await.unwrap_err().is_cancelled());
        }
        assert_eq!(came(&at), 5);
        gate.add_permits(10);
        let request = client.get("http://server/").send();
        let panics = tokio::spawn(async move {
            let _response = request.await.unwrap();
            panic!("as it is meant to");
        });
        assert!(panics.await.unwrap_err().is_panic());
        assert!(client.get("http://server/").send().await.is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn a_rate_spreads_requests_and_lets_a_burst_through() {
    for (burst, expected) in [(None, [0, 0, 500]), (Some(1), [0, 500, 1000])] {
        let limit = Limit {
            rate: Some(Rate::per_second(2)),
            burst,
            ..Limit::default()
        };
        let (client, at, gate) = client(limit, |_| {});
        gate.add_permits(10);
        let began = Instant::now();
        let sent: Vec<Sent> = (0..3)
            .map(|_| tokio::spawn(client.get("http://server/").send()))
            .collect();
        for each in sent {
            each.await.unwrap().unwrap();
        }
        for (at, expected) in at.lock().unwrap().iter().zip(expected) {
            let at = at.duration_since(began).as_millis();
            assert!((expected..expected + 5).contains(&at), "{at} of {expected}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_waits_for_its_retry_leaves_its_place_at_the_host_to_others() {
    let limit = limit(|limit| limit.max_concurrent_per_host = Some(1));
    let (client, at, gate) = client(limit, |policy| {
        policy.retry.max_attempts = 2;
        policy.retry.jitter = crate::settings::Jitter::None;
        policy.retry.backoff_base = Duration::from_secs(5);
    });
    gate.add_permits(10);
    let began = Instant::now();
    let failing = send(&client, "http://server/503").await;
    assert_eq!(client.get("http://server/").send().await.unwrap().status(), 200);
    assert!(began.elapsed() < Duration::from_secs(1));
    assert_eq!(failing.await.unwrap().unwrap().status(), 503);
    assert_eq!(came(&at), 3);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_a_host_whose_breaker_is_open() {
    let limit = limit(|limit| limit.max_concurrent_per_host = Some(1));
    let (client, ..) = client(limit, |_| {});
    let _running = send(&client, "http://server/").await;
    client.breaker("http://server").unwrap().force_open();
    let began = Instant::now();
    let error = client.get("http://server/").send().await.unwrap_err();
    assert!(matches!(error.kind(), Kind::BreakerOpen { .. }), "{error}");
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn without_limits_any_number_goes_at_once() {
    let (client, at, gate) = client(Limit::default(), |_| {});
    for _ in 0..50 {
        drop(tokio::spawn(client.get("http://server/").send()));
    }
    settled().await;
    // At once means as fast as the pool dials.
    gate.add_permits(50);
    while came(&at) < 50 {
        tokio::task::yield_now().await;
    }
    assert_eq!(client.stats().shed, 0);
}

#[tokio::test(start_paused = true)]
async fn who_waits_when_the_host_s_breaker_opens_hears_so_at_once() {
    for (by_hand, per_host) in [(false, true), (true, true), (false, false), (true, false)] {
        let limit = limit(|limit| {
            if per_host {
                limit.max_concurrent_per_host = Some(2);
            } else {
                limit.max_concurrent = Some(2);
            }
        });
        let (client, at, gate) = client(limit, |policy| policy.breaker.min_requests = 1);
        let fails = send(&client, "http://server/503").await;
        let runs = send(&client, "http://server/").await;
        let (second, other) = (
            send(&client, "http://server/").await,
            send(&client, "http://other/").await,
        );
        assert_eq!(came(&at), 2 + usize::from(per_host));
        let began = Instant::now();
        if by_hand {
            client.breaker("http://server").unwrap().force_open();
        } else {
            gate.add_permits(1);
        }
        settled().await;
        assert!(second.is_finished() && !other.is_finished());
        let error = second.await.unwrap().unwrap_err();
        assert!(matches!(error.kind(), Kind::BreakerOpen { .. }), "{error}");
        assert_eq!(Instant::now(), began);
        assert_eq!(client.stats().breaker_refusals, 1);
        // The others go on.
        gate.add_permits(10);
        for sent in [fails, runs, other] {
            sent.await.unwrap().unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_turn_by_the_rate_hears_of_the_breaker_too_and_keeps_the_place_where_it_closes_again() {
    let limit = limit(|limit| {
        limit.rate = Some(Rate::per_second(1));
        limit.burst = Some(1);
    });
    let (client, at, gate) = client(limit, |_| {});
    gate.add_permits(10);
    let breaker = client.breaker("http://server").unwrap();
    send(&client, "http://server/").await.await.unwrap().unwrap();
    let (first, second) = (
        send(&client, "http://server/").await,
        send(&client, "http://server/").await,
    );
    breaker.force_open();
    breaker.force_close();
    settled().await;
    assert!(!first.is_finished() && !second.is_finished());
    tokio::time::sleep(Duration::from_millis(1001)).await;
    assert!(first.is_finished() && !second.is_finished());
    breaker.force_open();
    settled().await;
    let error = second.await.unwrap().unwrap_err();
    assert!(matches!(error.kind(), Kind::BreakerOpen { .. }), "{error}");
    assert_eq!(came(&at), 2);
    first.await.unwrap().unwrap();
}
