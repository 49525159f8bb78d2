//! When attempts are made, over streams in memory and with the clock paused.

use std::sync::Arc;
use std::time::Duration;

use http::header::{DATE, RETRY_AFTER};
use tokio::time::Instant;

use crate::client::Client;
use crate::client::memory::{self, Answer, Came, answer};
use crate::client::timings::Timings;
use crate::error::Kind;
use crate::settings::{Jitter, Profile, Retry};

/// A client whose servers give the same answer to each request; `None` is a hang-up. No breaker stands in the way.
fn client(
    change: impl FnOnce(&mut Retry),
    answer: impl Fn() -> Option<Answer> + Send + Sync + 'static,
) -> (Client, Came) {
    let mut profile = Profile::named("test");
    profile.policy.breaker.enabled = false;
    profile.policy.retry.jitter = Jitter::None;
    change(&mut profile.policy.retry);
    let answer = Arc::new(answer);
    memory::client(profile, move |_| std::future::ready(answer()))
}

/// Milliseconds from the first request to each.
fn since_first(came: &Came) -> Vec<u128> {
    let came = came.lock().unwrap();
    came.iter().map(|at| at.duration_since(came[0]).as_millis()).collect()
}

/// The timer counts whole milliseconds, and may be one late.
fn assert_about(came: &Came, expected: &[u128]) {
    let came = since_first(came);
    assert_eq!(came.len(), expected.len(), "{came:?}");
    for (at, expected) in came.iter().zip(expected) {
        assert!((*expected..=expected + 4).contains(at), "{came:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn attempts_come_after_ever_longer_pauses_and_the_last_answer_is_the_user_s() {
    let (client, came) = client(|retry| retry.max_attempts = 4, || Some(answer(503, &[])));
    let response = client.get("http://server/").send().await.unwrap();
    assert_eq!(response.status(), 503);
    let timings = response.extensions().get::<Timings>().cloned().unwrap();
    assert_eq!(response.text().await.unwrap(), "no");
    assert_about(&came, &[0, 100, 300, 700]);
    assert_eq!(timings.attempts(), 4);
    let stats = client.stats();
    assert_eq!((stats.retries, stats.retries_denied, stats.resends), (3, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn an_end_without_an_answer_is_a_failure_too_and_the_error_counts_the_attempts() {
    let (client, came) = client(|_| {}, || None);
    let error = client.get("http://server/").send().await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (Kind::Connection, 3), "{error}");
    assert!(error.to_string().ends_with("(profile test, 3 attempts)"), "{error}");
    assert_about(&came, &[0, 100, 300]);
}

#[tokio::test(start_paused = true)]
async fn only_requests_that_may_be_sent_twice_are() {
    for (method, key, attempts) in [
        ("GET", None, 3),
        ("PUT", None, 3),
        ("POST", None, 1),
        ("PATCH", None, 1),
        ("POST", Some(("x-once", "7")), 3),
        ("POST", Some(("x-once", "")), 1),
        ("POST", Some(("idempotency-key", "7")), 1),
        ("MKCOL", None, 3),
    ] {
        let change = |retry: &mut Retry| {
            retry.idempotency_header = "X-Once".to_owned();
            retry.methods.push("MKCOL".to_owned());
        };
        let (client, came) = client(change, || Some(answer(502, &[])));
        let mut request = client.request(method.parse().unwrap(), "http://server/").body("a body");
        if let Some((name, value)) = key {
            request = request.header(name, value);
        }
        assert_eq!(request.send().await.unwrap().status(), 502);
        assert_eq!(came.lock().unwrap().len(), attempts, "{method} {key:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn only_statuses_that_are_failures_are_retried_and_429_only_with_its_pause() {
    let after = (RETRY_AFTER, "1");
    for (status, header, attempts) in [
        (200, None, 1),
        (404, None, 1),
        (500, None, 1),
        (429, None, 1),
        (429, Some(after.clone()), 3),
        (425, None, 3),
        (504, None, 3),
    ] {
        let headers: Vec<_> = header.into_iter().collect();
        let (client, came) = client(|_| {}, move || Some(answer(status, &headers)));
        assert_eq!(client.get("http://server/").send().await.unwrap().status(), status);
        assert_eq!(came.lock().unwrap().len(), attempts, "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_attempt_is_no_retry() {
    for fails in [false, true] {
        let (client, came) = client(
            |retry| retry.max_attempts = 1,
            move || (!fails).then(|| answer(503, &[])),
        );
        assert_eq!(client.get("http://server/").send().await.is_err(), fails);
        assert_eq!((came.lock().unwrap().len(), client.stats().retries), (1, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn the_pause_that_a_server_asks_for_is_kept_in_both_forms() {
    let seconds = vec![(RETRY_AFTER, "5")];
    // Against the answer's own date, whatever the time is here.
    let date = vec![
        (DATE, "Fri, 31 Dec 1999 23:59:50 GMT"),
        (RETRY_AFTER, "Fri, 31 Dec 1999 23:59:55 GMT"),
    ];
    for headers in [seconds, date] {
        let (client, came) = client(|retry| retry.max_attempts = 2, move || Some(answer(503, &headers)));
        client.get("http://server/").send().await.unwrap();
        let came = since_first(&came);
        assert!(came.len() == 2 && (5000..=5504).contains(&came[1]), "{came:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_thousand_clients_that_are_told_the_same_do_not_come_back_together() {
    let change = |retry: &mut Retry| (retry.max_attempts, retry.budget_min_per_second) = (2, 1000);
    let (client, came) = client(change, || Some(answer(503, &[(RETRY_AFTER, "5")])));
    let requests: Vec<_> = (0..1000)
        .map(|_| tokio::spawn(client.get("http://server/").send()))
        .collect();
    for request in requests {
        request.await.unwrap().unwrap();
    }
    let came = since_first(&came);
    assert_eq!(came.len(), 2000);
    let mut tenths = [0; 6];
    for at in &came[1000..] {
        assert!((5000..=5504).contains(at), "{at}");
        tenths[usize::try_from((at - 5000) / 100).unwrap()] += 1;
    }
    assert!(tenths[..5].iter().all(|tenth| (100..300).contains(tenth)), "{tenths:?}");
}

#[tokio::test(start_paused = true)]
async fn a_pause_of_zero_is_no_hot_loop() {
    let (client, came) = client(|_| {}, || Some(answer(503, &[(RETRY_AFTER, "0")])));
    client.get("http://server/").send().await.unwrap();
    let came = since_first(&came);
    assert!(came[1] >= 100 && came[2] >= 300, "{came:?}");
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_is_too_long_or_reaches_beyond_the_deadline_ends_the_request_at_once() {
    for (pause, timeout) in [("31", 100), ("5", 4)] {
        let (client, came) = client(|_| {}, move || Some(answer(503, &[(RETRY_AFTER, pause)])));
        let began = Instant::now();
        let request = client.get("http://server/").timeout(Duration::from_secs(timeout));
        assert_eq!(request.send().await.unwrap().status(), 503);
        assert!(began.elapsed() < Duration::from_millis(10), "{:?}", began.elapsed());
        assert_eq!((came.lock().unwrap().len(), client.stats().retries), (1, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_is_not_respected_is_our_own() {
    let (client, came) = client(
        |retry| retry.respect_retry_after = false,
        || Some(answer(503, &[(RETRY_AFTER, "5")])),
    );
    client.get("http://server/").send().await.unwrap();
    assert_about(&came, &[0, 100, 300]);
}

#[tokio::test(start_paused = true)]
async fn one_host_s_failures_spend_one_host_s_budget() {
    let change = |retry: &mut Retry| (retry.max_attempts, retry.budget_ratio) = (2, 0.0);
    let (client, _) = client(change, || Some(answer(503, &[])));
    // A free retry a second, of the last ten.
    for (host, retries, denied) in [("one", 10, 20), ("two", 20, 40), ("three", 30, 60)] {
        for _ in 0..30 {
            // At one moment, as far as the budget can tell: no second is over.
            let request = client.get(format!("http://{host}/"));
            let response = tokio::spawn(request.send());
            assert_eq!(response.await.unwrap().unwrap().status(), 503);
        }
        let stats = client.stats();
        assert!(
            (retries..=retries + 3).contains(&stats.retries) && stats.retries_denied + 3 >= denied,
            "{host}: {stats:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn requests_pay_for_retries_by_the_ratio() {
    let change = |retry: &mut Retry| (retry.max_attempts, retry.budget_min_per_second) = (2, 0);
    let (client, came) = client(change, || Some(answer(503, &[])));
    let requests: Vec<_> = (0..200)
        .map(|_| tokio::spawn(client.get("http://server/").send()))
        .collect();
    for request in requests {
        request.await.unwrap().unwrap();
    }
    assert_eq!((came.lock().unwrap().len(), client.stats().retries), (220, 20));
    assert_eq!(client.stats().retries_denied, 180);
}
