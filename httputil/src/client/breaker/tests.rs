//! Which requests a breaker refuses, over streams in memory and with the clock paused.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use http::header::RETRY_AFTER;
use tokio::time::Instant;

use crate::client::memory::{self, Came, answer, settled};
use crate::client::{Client, Policies};
use crate::connect::Dialer;
use crate::error::{Error, Kind, Phase};
use crate::pool::BreakerState;
use crate::settings::{Jitter, Policy, Profile};

/// A client whose servers answer with this status; 0 is a hang-up, 1 is never an answer.
fn client(change: impl FnOnce(&mut Policy)) -> (Client, Came, Arc<AtomicU16>) {
    let mut profile = Profile::named("test");
    profile.policy.retry.max_attempts = 1;
    change(&mut profile.policy);
    let status = Arc::new(AtomicU16::new(503));
    let says = Arc::clone(&status);
    let (client, came) = memory::client(profile, move |request| {
        let status = match request.uri().path() {
            "/fine" => 200,
            _ => says.load(Ordering::SeqCst),
        };
        async move {
            match status {
                0 => None,
                1 => std::future::pending().await,
                status => Some(answer(status, &[])),
            }
        }
    });
    (client, came, status)
}

async fn get(client: &Client, url: &str) -> Result<u16, Error> {
    let response = client.get(url).send().await?;
    let status = response.status().as_u16();
    response.bytes().await.unwrap();
    Ok(status)
}

/// Sends so many requests one by one; how many were sent, as far as the client says.
async fn send(client: &Client, url: &str, many: usize) -> usize {
    let mut sent = 0;
    for _ in 0..many {
        match get(client, url).await {
            Err(error) if matches!(error.kind(), Kind::BreakerOpen { .. }) => {}
            _ => sent += 1,
        }
    }
    sent
}

fn state(client: &Client, host: &str) -> BreakerState {
    client.breaker(host).unwrap().state()
}

const HOST: &str = "http://server";

#[tokio::test(start_paused = true)]
async fn a_host_that_fails_is_left_alone_and_asked_again_when_its_time_is_over() {
    let (client, came, answer) = client(|_| {});
    assert_eq!(send(&client, "http://server/", 30).await, 20);
    assert_eq!(came.lock().unwrap().len(), 20);
    assert_eq!(state(&client, HOST), BreakerState::Open);

    let error = get(&client, "http://server/").await.unwrap_err();
    let retry_after = error.retry_after().unwrap();
    assert!(retry_after > Duration::from_millis(4400) && retry_after <= Duration::from_secs(5));
    assert_eq!(error.kind(), Kind::BreakerOpen { retry_after });
    assert!(error.is_retryable() && error.attempts() == 0, "{error:?}");
    let text = error.to_string();
    assert!(
        text.starts_with("GET http://server/: not sent: the breaker of server:80 is open, since too many requests to it have failed (breaker.failure_ratio); it is asked again in 4"),
        "{text}"
    );

    tokio::time::advance(retry_after).await;
    assert_eq!(state(&client, HOST), BreakerState::HalfOpen);
    answer.store(200, Ordering::SeqCst);
    assert_eq!(send(&client, "http://server/", 3).await, 3);
    assert_eq!(state(&client, HOST), BreakerState::Closed);
    let stats = client.stats();
    assert_eq!((stats.breaker_openings, stats.breaker_refusals), (1, 11));
    assert_eq!(client.host_stats()[0].breaker, Some(BreakerState::Closed));
}

#[tokio::test(start_paused = true)]
async fn a_host_that_is_not_back_is_left_alone_for_longer_each_time_up_to_the_cap() {
    let (client, came, _) = client(|policy| policy.breaker.max_open_for = Duration::from_secs(12));
    send(&client, "http://server/", 20).await;
    for seconds in [5, 10, 12, 12] {
        let left = client.breaker(HOST).unwrap().retry_after().unwrap();
        let whole = Duration::from_secs(seconds);
        assert!(left <= whole && left >= whole * 9 / 10, "{left:?} of {whole:?}");
        tokio::time::advance(left).await;
        let before = came.lock().unwrap().len();
        assert_eq!(send(&client, "http://server/", 10).await, 1);
        assert_eq!(came.lock().unwrap().len(), before + 1, "one probe, and no more");
    }
    assert_eq!(client.stats().breaker_openings, 5);
}

#[tokio::test(start_paused = true)]
async fn one_host_s_breaker_never_affects_another_s() {
    let (client, ..) = client(|_| {});
    for host in ["http://first", "http://second"] {
        assert_eq!(send(&client, host, 30).await, 20);
        assert_eq!(state(&client, host), BreakerState::Open);
    }
    assert_eq!(get(&client, "http://third/fine").await.unwrap(), 200);
    assert_eq!(get(&client, "http://first:81/fine").await.unwrap(), 200);
    let mut hosts = client.host_stats();
    hosts.retain(|host| host.breaker == Some(BreakerState::Open));
    assert_eq!(hosts.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn only_the_host_s_faults_count() {
    for (says, opens) in [
        (0, true),
        (502, true),
        (503, true),
        (504, true),
        (500, false),
        (404, false),
        (429, false),
        (200, false),
    ] {
        let (client, _, status) = client(|_| {});
        status.store(says, Ordering::SeqCst);
        send(&client, "http://server/", 30).await;
        assert_eq!(state(&client, HOST) == BreakerState::Open, opens, "{says}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_header_that_does_not_come_in_time_is_the_host_s_fault_and_a_request_given_up_is_not() {
    for (gives_up, opens) in [(false, true), (true, false)] {
        let (client, _, status) = client(|policy| policy.timeout = Some(Duration::from_millis(100)));
        status.store(1, Ordering::SeqCst);
        for _ in 0..30 {
            let request = get(&client, "http://server/");
            let patience = Duration::from_millis(if gives_up { 50 } else { 1000 });
            let _ = tokio::time::timeout(patience, request).await;
        }
        assert_eq!(state(&client, HOST) == BreakerState::Open, opens);
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_spent_its_time_in_our_queue_says_nothing_of_the_host() {
    let mut profile = Profile::named("test");
    profile.policy.retry.max_attempts = 1;
    profile.policy.breaker.min_requests = 2;
    profile.transport.pool.max_connections_per_host = Some(1);
    let (client, _) = memory::client(profile, |_| std::future::pending());
    let long = client.get("http://server/").timeout(Duration::from_secs(9)).send();
    let holds = tokio::spawn(long);
    settled().await;
    // They wait for their connection nearly to their end.
    let late: Vec<_> = (0..5)
        .map(|_| {
            let request = client.get("http://server/").timeout(Duration::from_millis(9010));
            tokio::spawn(request.send())
        })
        .collect();
    assert!(holds.await.unwrap().unwrap_err().is_timeout());
    for request in late {
        assert!(request.await.unwrap().unwrap_err().is_timeout());
    }
    assert_eq!(state(&client, HOST), BreakerState::Closed);
}

#[tokio::test(start_paused = true)]
async fn probes_that_are_given_up_leave_their_places_to_others() {
    let (client, _, status) = client(|_| {});
    send(&client, "http://server/", 20).await;
    tokio::time::advance(Duration::from_secs(5)).await;
    status.store(1, Ordering::SeqCst);
    for _ in 0..10 {
        let probes: Vec<_> = (0..3)
            .map(|_| tokio::spawn(client.get("http://server/").send()))
            .collect();
        settled().await;
        assert_eq!(send(&client, "http://server/fine", 1).await, 0, "as many as may be");
        for probe in &probes {
            probe.abort();
        }
        for probe in probes {
            assert!(probe.await.unwrap_err().is_cancelled());
        }
    }
    assert_eq!(send(&client, "http://server/fine", 3).await, 3);
    assert_eq!(state(&client, HOST), BreakerState::Closed);
}

#[tokio::test(start_paused = true)]
async fn no_retry_is_made_against_an_open_breaker_and_the_answer_is_the_user_s() {
    let (client, came, _) = client(|policy| {
        policy.retry.max_attempts = 3;
        policy.retry.jitter = Jitter::None;
        policy.retry.budget_min_per_second = 1000;
        policy.breaker.min_requests = 5;
    });
    // Three attempts, and two; the fifth failure opens it.
    assert_eq!(get(&client, "http://server/").await.unwrap(), 503);
    assert_eq!(get(&client, "http://server/").await.unwrap(), 503);
    assert_eq!((came.lock().unwrap().len(), client.stats().retries), (5, 3));
    assert!(get(&client, "http://server/").await.is_err());
    assert_eq!((client.stats().retries, client.stats().retries_denied), (3, 0));
}

#[tokio::test(start_paused = true)]
async fn a_retry_whose_pause_outlasts_the_breaker_is_made() {
    let mut profile = Profile::named("test");
    profile.policy.retry.max_attempts = 2;
    profile.policy.breaker.min_requests = 1;
    let first = Arc::new(AtomicU16::new(503));
    let (client, came) = memory::client(profile, move |_| {
        let status = first.swap(200, Ordering::SeqCst);
        std::future::ready(Some(answer(status, &[(RETRY_AFTER, "10")])))
    });
    let began = Instant::now();
    assert_eq!(get(&client, "http://server/").await.unwrap(), 200);
    assert!(began.elapsed() >= Duration::from_secs(10) && came.lock().unwrap().len() == 2);
    assert_eq!(state(&client, HOST), BreakerState::HalfOpen);
}

#[tokio::test(start_paused = true)]
async fn people_can_take_a_breaker_in_hand() {
    let (client, came, _) = client(|_| {});
    let breaker = client.breaker(HOST).unwrap();
    // Before its first request.
    breaker.force_open();
    let error = get(&client, "http://server/fine").await.unwrap_err();
    assert!(error.to_string().contains("was opened by hand"), "{error}");
    assert_eq!(error.retry_after(), Some(Duration::from_secs(5)));
    tokio::time::advance(Duration::from_hours(1)).await;
    assert_eq!((breaker.state(), came.lock().unwrap().len()), (BreakerState::Open, 0));

    breaker.force_close();
    assert_eq!(send(&client, "http://server/", 50).await, 50);
    assert_eq!(breaker.state(), BreakerState::Closed);

    breaker.reset();
    assert_eq!(send(&client, "http://server/", 30).await, 20);
    breaker.reset();
    assert_eq!(get(&client, "http://server/fine").await.unwrap(), 200);
}

#[tokio::test(start_paused = true)]
async fn a_host_is_named_as_urls_name_it() {
    let (client, ..) = client(|_| {});
    client.breaker("http://server:80/").unwrap().force_open();
    assert_eq!(state(&client, HOST), BreakerState::Open);
    client.breaker("server:443").unwrap().force_open();
    assert_eq!(state(&client, "https://SERVER"), BreakerState::Open);
    for nonsense in ["", "http://", "ftp://server", "http://user:canary@server", "a b"] {
        let error = client.breaker(nonsense).unwrap_err();
        assert!(error.to_string().starts_with("no breaker of test: "), "{error}");
        assert!(!error.to_string().contains("canary"), "{error}");
    }
    let mut profile = Profile::named("test");
    profile.policy.breaker.enabled = false;
    let (client, _) = memory::client(profile, |_| std::future::ready(None));
    let error = client.breaker(HOST).unwrap_err();
    assert_eq!(error.to_string(), "no breaker of test: breaker.enabled is false");
}

#[tokio::test]
async fn a_flood_of_names_neither_grows_what_is_remembered_nor_closes_an_open_breaker_nor_opens_a_full_limit() {
    let mut profile = Profile::named("test");
    profile.policy.limit.max_concurrent_per_host = Some(1);
    profile.policy.breaker.min_requests = 1;
    profile.policy.breaker.window = Duration::from_nanos(1);
    let policies = Policies::of(&profile).unwrap();
    let host = |name: String| crate::connect::Target::of(&format!("http://{name}/").parse().unwrap()).unwrap();
    policies.host(&host("first".into())).unwrap();
    let dead = host("dead".into());
    policies.host(&dead).unwrap().breaker.as_ref().unwrap().force_open();
    let busy = host("busy".into());
    let place = policies.host(&busy).unwrap().limit.as_ref().unwrap().try_admit();
    for number in 0..100_000 {
        policies.host(&host(format!("h{number}"))).unwrap();
    }
    assert!(policies.remembered() <= 1001, "{}", policies.remembered());
    let dead = policies.met(&dead).expect("it is still known");
    assert!(dead.breaker.as_ref().unwrap().refuses_for(Instant::now()).is_some());
    assert!(policies.is_full(&busy), "its one place is taken: {place:?}");
}

#[tokio::test(start_paused = true)]
async fn callers_in_a_hurry_open_no_breaker_and_those_who_wait_in_vain_do() {
    let (client, ..) = hanging();
    let within = |millis| {
        let timeout = Duration::from_millis(millis);
        client.get("http://one/").timeout(timeout).send()
    };
    for _ in 0..60 {
        assert!(within(10).await.unwrap_err().is_timeout());
    }
    assert_eq!(state(&client, "http://one"), BreakerState::Closed);
    for _ in 0..6 {
        within(1500).await.unwrap_err();
    }
    assert_eq!(state(&client, "http://one"), BreakerState::Open);
    // The profile's own bound is the host's, however short.
    let mut profile = Profile::named("test");
    profile.policy.retry.max_attempts = 1;
    profile.policy.timeout = Some(Duration::from_millis(10));
    let (client, _) = memory::client(profile, |_| std::future::pending());
    for _ in 0..60 {
        client.get("http://one/").send().await.unwrap_err();
    }
    assert_eq!(state(&client, "http://one"), BreakerState::Open);
}

#[tokio::test(start_paused = true)]
async fn a_request_s_own_time_that_went_into_a_dial_counts_if_it_was_a_second_s() {
    // It hears of TLS and says nothing.
    let silent = Dialer::Memory(Arc::new(|_| {
        let (ours, theirs) = tokio::io::duplex(64 << 10);
        tokio::spawn(async move {
            let _open = theirs;
            std::future::pending::<()>().await;
        });
        ours
    }));
    for (millis, expected) in [(500, BreakerState::Closed), (1500, BreakerState::Open)] {
        let mut profile = Profile::named("test");
        profile.policy.retry.max_attempts = 1;
        profile.policy.breaker.min_requests = 5;
        let client = memory::over(profile, silent.clone());
        for _ in 0..5 {
            let sent = client.get("https://one/").timeout(Duration::from_millis(millis)).send();
            let error = sent.await.unwrap_err();
            let phase = Phase::TlsHandshake;
            assert!(
                matches!(error.kind(), Kind::Timeout { phase: at, .. } if at == phase),
                "{error}"
            );
        }
        assert_eq!(state(&client, "https://one"), expected, "{millis}");
    }
}

fn hanging() -> (Client, Came, Arc<AtomicU16>) {
    let made = client(|policy| policy.breaker.min_requests = 3);
    made.2.store(1, Ordering::SeqCst);
    made
}

#[tokio::test(start_paused = true)]
async fn a_host_without_a_scheme_is_the_one_of_base_url() {
    let mut profile = Profile::named("test");
    profile.policy.base_url = vec!["http://one:8080/v1".to_owned()];
    let (client, _) = memory::client(profile, |_| std::future::ready(Some(answer(200, &[]))));
    assert_eq!(get(&client, "users").await.unwrap(), 200);
    client.breaker("one:8080").unwrap().force_open();
    assert!(matches!(
        get(&client, "users").await.unwrap_err().kind(),
        Kind::BreakerOpen { .. }
    ));
    // Another port is another host.
    client.breaker("one").unwrap().force_open();
    assert_eq!(client.breaker("https://one").unwrap().state(), BreakerState::Open);
    assert_eq!(client.breaker("http://one").unwrap().state(), BreakerState::Closed);
}
