//! Who is asked twice and who wins, over streams in memory and with the clock paused.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::client::memory::{self, Came, answer, settled};
use crate::client::timings::Timings;
use crate::client::{Client, RequestBuilder};
use crate::settings::{Jitter, Limit, Policy, Profile, Rate};

/// Milliseconds until an answer, and its status.
type Script = &'static [(u64, u16)];

type Case = (Script, (u16, u128), usize, (u64, u64));

/// A client that asks a second time after 100 ms; its servers answer the first, the second, … request as the script says, and
/// count those whose answer nobody waits for any more.
fn client(script: Script, change: impl FnOnce(&mut Policy)) -> (Client, Came, Arc<AtomicUsize>) {
    client_with(script, |profile| change(&mut profile.policy))
}

/// One that has no more connections than that.
fn client_capped(most: usize, script: Script) -> (Client, Came, Arc<AtomicUsize>) {
    client_with(script, |profile| {
        profile.policy.retry.budget_ratio = 0.0;
        profile.transport.pool.max_connections_per_host = Some(most);
    })
}

fn client_with(script: Script, change: impl FnOnce(&mut Profile)) -> (Client, Came, Arc<AtomicUsize>) {
    let mut profile = Profile::named("test");
    profile.policy.hedge_after = Some(Duration::from_millis(100));
    profile.policy.retry.max_attempts = 1;
    change(&mut profile);
    let (next, gone) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&gone);
    let (client, came) = memory::client(profile, move |_| {
        let (after, status) = script[next.fetch_add(1, Ordering::SeqCst).min(script.len() - 1)];
        let counted = Arc::clone(&counted);
        async move {
            let mut given_up = GivenUp(Some(counted));
            tokio::time::sleep(Duration::from_millis(after)).await;
            given_up.0 = None;
            Some(answer(status, &[(http::header::AGE, &after.to_string())]))
        }
    });
    (client, came, gone)
}

/// Counts an answer that is dropped before it is given.
struct GivenUp(Option<Arc<AtomicUsize>>);

impl Drop for GivenUp {
    fn drop(&mut self) {
        if let Some(count) = &self.0 {
            count.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// Sends a `GET`; its status, and the milliseconds that it took.
async fn get(client: &Client) -> (u16, u128) {
    let began = Instant::now();
    let response = client.get("http://server/").send().await.unwrap();
    let status = response.status().as_u16();
    let took = began.elapsed().as_millis();
    response.bytes().await.unwrap();
    settled().await;
    (status, took)
}

fn counts(client: &Client) -> (u64, u64) {
    let stats = client.stats();
    (stats.hedges, stats.hedges_won)
}

#[tokio::test(start_paused = true)]
async fn a_second_attempt_is_made_when_its_time_has_come_and_the_first_good_answer_wins() {
    // The status and how long it took; answers that nobody waited for; hedges, and those that won.
    let cases: [Case; 6] = [
        // The second is faster.
        (&[(10_000, 200), (20, 200)], (200, 120), 1, (1, 1)),
        // The first is, after all.
        (&[(150, 200), (10_000, 200)], (200, 150), 1, (1, 0)),
        // It needs no second.
        (&[(90, 200)], (200, 90), 0, (0, 0)),
        // A bad answer does not win while there may be a good one.
        (&[(500, 200), (20, 503)], (200, 500), 0, (1, 0)),
        (&[(150, 503), (300, 200)], (200, 400), 0, (1, 1)),
        // Nor does it wait for one that does not come.
        (&[(150, 503), (300, 502)], (503, 400), 0, (1, 0)),
    ];
    for (script, expected, gone, hedges) in cases {
        let (client, came, abandoned) = client(script, |_| {});
        let (status, took) = get(&client).await;
        assert_eq!(status, expected.0, "{script:?}");
        assert!((expected.1..expected.1 + 6).contains(&took), "{script:?}: {took}");
        assert_eq!(abandoned.load(Ordering::SeqCst), gone, "{script:?}");
        assert_eq!(counts(&client), hedges, "{script:?}");
        let came = came.lock().unwrap();
        assert_eq!(came.len() as u64, 1 + hedges.0, "{script:?}");
        let rest = client.stats();
        assert_eq!((rest.in_use, rest.waiting, rest.retries), (0, 0, 0), "{rest:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_hedge_that_failed_keeps_nobody_waiting_for_its_place_or_its_connection() {
    let (client, ..) = client(&[(10_000, 200), (20, 503), (10, 200)], |policy| {
        policy.limit.max_concurrent_per_host = Some(2);
    });
    let first = tokio::spawn({
        let client = client.clone();
        async move { get(&client).await }
    });
    tokio::time::sleep(Duration::from_millis(200)).await;
    let now = client.stats();
    assert_eq!((now.hedges, now.in_use, now.idle), (1, 1, 1), "{now:?}");
    let (status, took) = get(&client).await;
    assert!(status == 200 && took < 20, "{status} after {took} ms");
    assert_eq!(first.await.unwrap().0, 200);
}

#[tokio::test(start_paused = true)]
async fn off_nobody_is_asked_twice() {
    let (client, came, _) = client(&[(10_000, 200)], |policy| policy.hedge_after = None);
    assert_eq!(get(&client).await.0, 200);
    assert_eq!((came.lock().unwrap().len(), counts(&client)), (1, (0, 0)));
}

#[tokio::test(start_paused = true)]
async fn only_what_may_be_sent_twice_and_can_be_replayed_is() {
    let stream = || {
        let chunks = http_body_util::Empty::<bytes::Bytes>::new();
        reqwest::Body::wrap(chunks)
    };
    for (method, key, body, asked) in [
        ("GET", false, None, 2),
        ("PUT", false, Some("a body".into()), 2),
        ("POST", false, Some("a body".into()), 1),
        ("POST", true, Some("a body".into()), 2),
        ("PUT", false, Some(stream()), 1),
    ] {
        let (client, came, _) = client(&[(10_000, 200), (20, 200)], |_| {});
        let mut request = client.request(method.parse().unwrap(), "http://server/");
        if key {
            request = request.header("idempotency-key", "7");
        }
        if let Some(body) = body {
            request = request.body::<reqwest::Body>(body);
        }
        assert_eq!(request.send().await.unwrap().status(), 200);
        assert_eq!(came.lock().unwrap().len(), asked, "{method} {key}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_wants_to_be_sent_once_is() {
    let wants: [fn(RequestBuilder) -> RequestBuilder; 2] =
        [|request| request.retry(false), |request| request.idempotent(false)];
    for want in wants {
        let (client, came, _) = client(&[(300, 200)], |_| {});
        let response = want(client.get("http://server/")).send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!((came.lock().unwrap().len(), counts(&client)), (1, (0, 0)));
    }
}

#[tokio::test(start_paused = true)]
async fn the_retry_budget_pays_for_it() {
    let (client, came, _) = client(&[(1000, 200)], |policy| {
        (policy.retry.budget_ratio, policy.retry.budget_min_per_second) = (0.0, 1);
    });
    let sent: Vec<_> = (0..30)
        .map(|_| tokio::spawn(client.get("http://server/").send()))
        .collect();
    for each in sent {
        assert_eq!(each.await.unwrap().unwrap().status(), 200);
    }
    // What is free for ten seconds.
    let hedges = client.stats().hedges;
    assert!((10..=12).contains(&hedges), "{hedges}");
    assert_eq!(came.lock().unwrap().len() as u64, 30 + hedges);
    assert_eq!(client.stats().retries_denied, 30 - hedges);
}

#[tokio::test(start_paused = true)]
async fn an_open_breaker_and_a_limit_without_a_place_forbid_it() {
    for per_host in [false, true] {
        let (client, came, _) = client(&[(300, 200)], |policy| {
            policy.limit.max_concurrent_per_host = per_host.then_some(1);
        });
        let sent = tokio::spawn(client.get("http://server/").send());
        tokio::time::sleep(Duration::from_millis(50)).await;
        if !per_host {
            client.breaker("http://server").unwrap().force_open();
        }
        assert_eq!(sent.await.unwrap().unwrap().status(), 200);
        assert_eq!((came.lock().unwrap().len(), counts(&client)), (1, (0, 0)));
        assert_eq!(client.stats().breaker_refusals, 0, "none was attempted");
    }
}

#[tokio::test(start_paused = true)]
async fn when_both_fail_the_retry_is_one_and_all_attempts_are_told() {
    let script: Script = &[(150, 503), (300, 503), (10, 200)];
    let (client, came, _) = client(script, |policy| {
        policy.retry.max_attempts = 2;
        policy.retry.jitter = Jitter::None;
    });
    let response = client.get("http://server/").send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!((came.lock().unwrap().len(), client.stats().retries), (3, 1));
    assert_eq!(response.extensions().get::<Timings>().unwrap().attempts(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_hedged_request_is_one_under_way_and_its_places_come_back() {
    let (client, ..) = client(&[(10_000, 200), (20, 200)], |policy| {
        policy.limit.max_concurrent = Some(1);
        policy.limit.max_concurrent_per_host = Some(2);
    });
    for _ in 0..3 {
        let response = client.get("http://server/").send().await.unwrap();
        let second = tokio::time::timeout(Duration::from_secs(1), client.get("http://server/").send());
        assert!(second.await.is_err(), "the body of the first holds its place");
        drop(response);
    }
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_waits_for_the_one_that_wins() {
    let (client, ..) = client(&[(10_000, 200), (20, 200)], |_| {});
    let running = tokio::spawn({
        let client = client.clone();
        async move { get(&client).await }
    });
    tokio::time::sleep(Duration::from_millis(110)).await;
    let shutdown = client.shutdown(Duration::from_mins(1)).await;
    assert_eq!((shutdown.finished, shutdown.left), (1, 0));
    assert_eq!(running.await.unwrap().0, 200);
}

#[tokio::test(start_paused = true)]
async fn given_up_it_leaves_neither_behind() {
    let (client, _, given_up) = client(&[(10_000, 200)], |_| {});
    let patience = tokio::time::timeout(Duration::from_millis(150), client.get("http://server/").send());
    assert!(patience.await.is_err());
    settled().await;
    assert_eq!((given_up.load(Ordering::SeqCst), client.stats().in_use), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn one_that_waits_for_a_connection_is_not_hedged_and_a_hedge_does_not_wait_for_one() {
    let (client, came, _) = client_capped(1, &[(300, 200)]);
    let first = tokio::spawn(client.get("http://server/").retry(false).send());
    tokio::time::sleep(Duration::from_millis(1)).await;
    // More of them than hedges are free.
    let waiting: Vec<_> = (0..15)
        .map(|_| tokio::spawn(client.get("http://server/").send()))
        .collect();
    for (served, each) in [first].into_iter().chain(waiting).enumerate() {
        tokio::time::sleep(Duration::from_millis(250)).await;
        assert_eq!(client.stats().waiting, 15 - served, "the queue is theirs alone");
        let response = each.await.unwrap().unwrap();
        assert_eq!(response.bytes().await.unwrap(), "no");
        settled().await;
    }
    assert_eq!((came.lock().unwrap().len(), counts(&client)), (16, (0, 0)));
    assert_eq!(client.stats().retries_denied, 0, "what was not sent has cost nothing");
}

#[tokio::test(start_paused = true)]
async fn its_time_begins_when_the_first_is_sent() {
    let (client, came, _) = client_capped(2, &[(1000, 200), (1000, 200), (150, 200), (20, 200)]);
    let unhedged = || client.get("http://server/").retry(false);
    let running: Vec<_> = (0..2).map(|_| tokio::spawn(unhedged().send())).collect();
    settled().await;
    let began = Instant::now();
    let third = tokio::spawn(client.get("http://server/").send());
    for each in running {
        each.await.unwrap().unwrap().bytes().await.unwrap();
    }
    assert_eq!(third.await.unwrap().unwrap().status(), 200);
    let took = began.elapsed().as_millis();
    assert!((1120..1130).contains(&took), "{took}");
    assert_eq!((came.lock().unwrap().len(), counts(&client)), (4, (1, 1)));
}

#[tokio::test(start_paused = true)]
async fn what_forbids_it_leaves_the_budget_and_the_rate_as_they_are() {
    let rate = |rate: Rate, burst| {
        let mut limit = Limit::default();
        (limit.rate, limit.burst) = (Some(rate), Some(burst));
        limit
    };
    // Without a budget: its turn is the next request's.
    let (client, ..) = client_of_one(|policy| {
        policy.limit = rate(Rate::per_minute(1), 2);
        (policy.retry.budget_ratio, policy.retry.budget_min_per_second) = (0.0, 0);
    });
    assert_eq!(get(&client).await, (200, 250));
    assert_eq!(get(&client).await, (200, 250), "the second of two turns");
    assert_eq!(client.stats().retries_denied, 2);

    // Without a turn: what is free of the budget stays.
    let (client, ..) = client_of_one(|policy| {
        policy.limit = rate(Rate::per_second(4), 1);
        (policy.retry.budget_ratio, policy.retry.budget_min_per_second) = (0.0, 1);
    });
    for _ in 0..20 {
        assert_eq!(get(&client).await.0, 200);
    }
    assert_eq!((client.stats().retries_denied, counts(&client)), (0, (0, 0)));
}

/// A client whose answers take 250 ms.
fn client_of_one(change: impl FnOnce(&mut Policy)) -> (Client, Came, Arc<AtomicUsize>) {
    client(&[(250, 200)], change)
}

#[tokio::test(start_paused = true)]
async fn the_winner_s_body_is_under_way_until_it_is_read() {
    let (client, ..) = client(&[(10_000, 200), (20, 200)], |_| {});
    let won = client.get("http://server/").send().await.unwrap();
    assert_eq!(counts(&client), (1, 1));
    let shutdown = client.shutdown(Duration::from_millis(10)).await;
    assert_eq!((shutdown.finished, shutdown.left), (0, 1));
    won.bytes().await.unwrap();
    let shutdown = client.shutdown(Duration::from_millis(10)).await;
    assert_eq!((shutdown.finished, shutdown.left), (0, 0));
}
