//! Where attempts go, over streams in memory and with the clock paused.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use http::header::{HOST, RETRY_AFTER};
use tokio::time::Instant;

use crate::client::memory::{self, answer, settled};
use crate::client::{Body, Client, LayerFuture, LayeredRequest, Next, Policies, RequestLayer};
use crate::error::{Error, Kind};
use crate::pool::BreakerState;
use crate::settings::{Jitter, Policy, Profile};

/// What each host answers, and after how many milliseconds; 0 is a hang-up, and 429 asks for a pause of 5 s.
type Says = Arc<Mutex<BTreeMap<&'static str, (u16, u64)>>>;

/// How many requests each host got, with their paths.
type Got = Arc<Mutex<BTreeMap<String, Vec<String>>>>;

fn client(says: &[(&'static str, u16, u64)], change: impl FnOnce(&mut Policy)) -> (Client, Says, Got) {
    client_with(says, |profile| change(&mut profile.policy))
}

fn client_with(says: &[(&'static str, u16, u64)], change: impl FnOnce(&mut Profile)) -> (Client, Says, Got) {
    let mut profile = Profile::named("test");
    profile.policy.base_url = ["http://one/v1", "http://two:81/", "http://three/api/"]
        .map(str::to_owned)
        .to_vec();
    profile.policy.retry.jitter = Jitter::None;
    profile.policy.retry.budget_min_per_second = 1000;
    change(&mut profile);
    let says: Says = Arc::new(Mutex::new(
        says.iter()
            .map(|(host, status, after)| (*host, (*status, *after)))
            .collect(),
    ));
    let got = Got::default();
    let (asked, noted) = (Arc::clone(&says), Arc::clone(&got));
    let (client, _) = memory::client(profile, move |request| {
        let host = request.headers()[HOST].to_str().unwrap().to_owned();
        let (status, after) = asked.lock().unwrap().get(host.as_str()).copied().unwrap_or((200, 0));
        let path = request.uri().path().to_owned();
        noted.lock().unwrap().entry(host).or_default().push(path);
        async move {
            tokio::time::sleep(Duration::from_millis(after)).await;
            let headers: &[_] = if status == 429 { &[(RETRY_AFTER, "5")] } else { &[] };
            (status != 0).then(|| answer(status, headers))
        }
    });
    (client, says, got)
}

fn shares(got: &Got) -> BTreeMap<String, usize> {
    let got = got.lock().unwrap();
    got.iter().map(|(host, paths)| (host.clone(), paths.len())).collect()
}

/// Requests under way at all endpoints.
fn under_way(client: &Client) -> usize {
    let in_force = client.inner.in_force.load();
    in_force.policies.endpoints.as_ref().unwrap().loads.under_way()
}

async fn get(client: &Client, url: &str) -> u16 {
    let response = client.get(url).send().await.unwrap();
    let status = response.status().as_u16();
    response.bytes().await.unwrap();
    status
}

#[tokio::test(start_paused = true)]
async fn requests_are_spread_over_all_and_each_has_its_own_prefix() {
    let (client, _, got) = client(&[], |_| {});
    for _ in 0..90 {
        let response = client.get("users/7?a=b").send().await.unwrap();
        let url = response.url().clone();
        assert!(
            [
                "http://one/v1/users/7?a=b",
                "http://two:81/users/7?a=b",
                "http://three/api/users/7?a=b"
            ]
            .contains(&url.as_str()),
            "{url}"
        );
    }
    let got = got.lock().unwrap();
    for (host, path) in [
        ("one", "/v1/users/7"),
        ("two:81", "/users/7"),
        ("three", "/api/users/7"),
    ] {
        assert!(got[host].len() > 10, "{host}: {}", got[host].len());
        assert!(got[host].iter().all(|came| came == path), "{host}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_absolute_url_goes_where_it_says_though_it_be_an_endpoint_s() {
    let (client, _, got) = client(&[], |_| {});
    for url in [
        "http://other/v1/x",
        "http://one/v1/x",
        "http://one/v12/x",
        "http://two:81/x",
        "http://one:81/v1/x",
    ] {
        for _ in 0..5 {
            get(&client, url).await;
        }
    }
    let expected = [("one", 10), ("one:81", 5), ("other", 5), ("two:81", 5)];
    assert_eq!(
        shares(&got),
        expected.map(|(host, many)| (host.to_owned(), many)).into()
    );
}

#[tokio::test(start_paused = true)]
async fn what_was_built_is_whole_and_what_is_cloned_or_layered_is_still_relative() {
    let (client, _, got) = client(&[], |_| {});
    for _ in 0..20 {
        client.execute(client.get("x").build().unwrap()).await.unwrap();
    }
    assert_eq!(shares(&got), [("one".to_owned(), 20)].into());
    let layered = client.with_request_layer(Passes);
    let builder = layered.get("x").query(&[("a", "b")]);
    for _ in 0..60 {
        builder.try_clone().unwrap().send().await.unwrap();
    }
    assert_eq!(shares(&got).len(), 3);
}

/// A layer that does nothing.
struct Passes;

impl RequestLayer for Passes {
    fn call<'a>(
        &'a self,
        request: LayeredRequest,
        next: Next<'a>,
    ) -> LayerFuture<'a, Result<http::Response<Body>, Error>> {
        next.run(request)
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_endpoint_gets_less() {
    let (client, _, got) = client(&[("one", 200, 500), ("two:81", 200, 10), ("three", 200, 10)], |_| {});
    for _ in 0..100 {
        get(&client, "x").await;
    }
    let shares = shares(&got);
    assert!(
        shares["one"] < 20 && shares["two:81"] > 20 && shares["three"] > 20,
        "{shares:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn requests_under_way_count() {
    let (client, _, got) = client(
        &[("one", 200, 1000), ("two:81", 200, 1000), ("three", 200, 1000)],
        |_| {},
    );
    let sent: Vec<_> = (0..30).map(|_| tokio::spawn(client.get("x").send())).collect();
    settled().await;
    for each in sent {
        each.await.unwrap().unwrap();
    }
    let shares = shares(&got);
    assert!(shares.values().all(|share| (8..=12).contains(share)), "{shares:?}");
}

#[tokio::test(start_paused = true)]
async fn a_retry_goes_to_another_endpoint() {
    for fails in [0, 503] {
        let (client, _, got) = client(&[("one", fails, 0), ("two:81", fails, 0)], |_| {});
        for _ in 0..20 {
            assert_eq!(get(&client, "x").await, 200, "{fails}");
        }
        let shares = shares(&got);
        assert_eq!(shares["three"], 20, "{shares:?}");
        assert_eq!(client.stats().retries + 20, shares.values().sum::<usize>() as u64);
    }
}

#[tokio::test(start_paused = true)]
async fn what_must_not_be_done_twice_is_asked_of_no_other_endpoint_after_an_answer() {
    let (client, _, got) = client(&[("one", 503, 0), ("two:81", 503, 0), ("three", 503, 0)], |policy| {
        policy.breaker.enabled = false;
    });
    let sent = async |request: crate::RequestBuilder| {
        let before: usize = shares(&got).values().sum();
        assert_eq!(request.send().await.unwrap().status(), 503);
        shares(&got).values().sum::<usize>() - before
    };
    for _ in 0..10 {
        assert_eq!(sent(client.post("x")).await, 1);
        assert_eq!(sent(client.post("x").header("idempotency-key", "7")).await, 3);
        assert_eq!(sent(client.get("x").idempotent(false)).await, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_whose_breaker_is_open_is_passed_over_until_it_is_back() {
    let (client, says, got) = client(&[("one", 503, 0), ("two:81", 200, 5), ("three", 200, 5)], |policy| {
        policy.retry.max_attempts = 1;
        policy.breaker.min_requests = 1;
    });
    let mut statuses = Vec::new();
    for _ in 0..60 {
        statuses.push(get(&client, "x").await);
    }
    assert!(
        statuses.iter().filter(|status| **status == 503).count() <= 1,
        "{statuses:?}"
    );
    assert!(shares(&got).get("one").is_none_or(|share| *share == 1));
    // By hand, to be sure that it was met.
    client.breaker("http://two:81").unwrap().force_open();
    says.lock().unwrap().insert("one", (200, 0));
    tokio::time::advance(Duration::from_mins(2)).await;
    got.lock().unwrap().clear();
    for _ in 0..60 {
        assert_eq!(get(&client, "x").await, 200);
    }
    let shares = shares(&got);
    assert!(!shares.contains_key("two:81") && shares["one"] > 5, "{shares:?}");
}

#[tokio::test(start_paused = true)]
async fn where_all_breakers_are_open_a_request_fails_at_once_and_says_when_to_come_back() {
    let fails = [("one", 503, 0), ("two:81", 503, 0), ("three", 503, 0)];
    let (client, _, got) = client(&fails, |policy| {
        policy.breaker.min_requests = 3;
        policy.retry.max_attempts = 1;
    });
    let mut refused = None;
    for _ in 0..100 {
        if let Err(error) = client.get("x").send().await {
            refused.get_or_insert(error);
        }
    }
    let error = refused.expect("in the end all are open");
    assert!(matches!(error.kind(), Kind::BreakerOpen { .. }), "{error}");
    assert!(error.retry_after().unwrap() <= Duration::from_secs(5));
    assert_eq!(shares(&got).values().sum::<usize>(), 9);
    for host in ["http://one", "http://two:81", "http://three"] {
        assert_eq!(client.breaker(host).unwrap().state(), BreakerState::Open);
    }
}

#[tokio::test(start_paused = true)]
async fn a_hedge_goes_to_another_endpoint() {
    let (client, _, got) = client(
        &[("one", 200, 10_000), ("two:81", 200, 10_000), ("three", 200, 10)],
        |policy| {
            policy.hedge_after = Some(Duration::from_millis(100));
            policy.breaker.enabled = false;
        },
    );
    client.get("x").send().await.unwrap();
    let shares = shares(&got);
    assert!(shares.values().all(|share| *share == 1), "{shares:?}");
    assert_eq!(shares.len() as u64, 1 + client.stats().hedges);
}

#[tokio::test(start_paused = true)]
async fn a_path_through_the_tower_door_is_spread_too() {
    use tower_service::Service;

    let (mut client, _, got) = client(&[], |_| {});
    for _ in 0..60 {
        let request = http::Request::get("/x").body(http_body_util::Empty::new()).unwrap();
        assert_eq!(client.call(request).await.unwrap().status(), 200);
    }
    assert_eq!(shares(&got).len(), 3);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_nobody_reads_is_under_way_until_its_deadline() {
    let (client, ..) = client(&[], |policy| policy.timeout = Some(Duration::from_secs(1)));
    let under_way = || under_way(&client);
    let kept = client.get("/").send().await.unwrap();
    tokio::time::sleep(Duration::from_millis(900)).await;
    assert_eq!(under_way(), 1);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(under_way(), 0);
    drop(kept);
    assert_eq!(under_way(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_hedge_that_is_not_made_or_has_failed_is_under_way_nowhere() {
    let hangs = [("one", 200, 10_000), ("two:81", 200, 10_000), ("three", 200, 10_000)];
    for (min_per_second, failing) in [(0, None), (1000, Some(503))] {
        let (client, says, got) = client(&hangs, |policy| {
            policy.hedge_after = Some(Duration::from_millis(100));
            (policy.retry.budget_ratio, policy.retry.budget_min_per_second) = (0.0, min_per_second);
        });
        let first = tokio::spawn(client.get("x").send());
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(under_way(&client), 1);
        if let Some(status) = failing {
            says.lock().unwrap().values_mut().for_each(|say| *say = (status, 10));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(shares(&got).len(), 1 + usize::from(failing.is_some()));
        assert_eq!(under_way(&client), 1, "{failing:?}");
        assert_eq!(first.await.unwrap().unwrap().status(), 200);
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_hangs_draws_few_requests_also_of_callers_who_give_up_by_themselves() {
    let hangs = 3_600_000;
    let (client, says, got) = client(
        &[("one", 200, hangs), ("two:81", 200, 5), ("three", 200, 5)],
        |policy| {
            policy.retry.max_attempts = 1;
        },
    );
    // Nothing is known of any; then of all; then what was known of one is true no more.
    for hung in ["one", "two:81"] {
        got.lock().unwrap().clear();
        says.lock().unwrap().insert(hung, (200, hangs));
        for _ in 0..200 {
            tokio::spawn({
                let client = client.clone();
                async move { tokio::time::timeout(Duration::from_millis(100), get(&client, "x")).await }
            });
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let shares = shares(&got);
        assert!(shares[hung] < 20, "{shares:?}");
        says.lock().unwrap().insert(hung, (200, 5));
        tokio::time::advance(Duration::from_mins(2)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_egress_refuses_is_passed_over_and_where_it_refuses_all_a_request_hears_that() {
    let (client, _, got) = client_with(&[], |profile| {
        profile.transport.egress.deny = vec!["one".to_owned(), "three".to_owned()];
    });
    for _ in 0..30 {
        assert_eq!(get(&client, "x").await, 200);
    }
    assert_eq!(shares(&got), [("two:81".to_owned(), 30)].into());
    // Also where all places of the one that is left are taken.
    let (client, _, got) = client_with(&[("two:81", 200, 10)], |profile| {
        profile.transport.egress.deny = vec!["one".to_owned(), "three".to_owned()];
        profile.policy.limit.max_concurrent_per_host = Some(1);
        profile.policy.limit.queue = Some(10);
    });
    let sent: Vec<_> = (0..5).map(|_| tokio::spawn(client.get("x").send())).collect();
    for each in sent {
        assert_eq!(each.await.unwrap().unwrap().bytes().await.unwrap(), "no");
    }
    assert_eq!(shares(&got), [("two:81".to_owned(), 5)].into());
    let (client, _, got) = client_with(&[], |profile| {
        profile.transport.egress.deny = ["one", "two", "three"].map(str::to_owned).to_vec();
    });
    let error = client.get("x").send().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Egress, "{error}");
    assert!(shares(&got).is_empty());
}

#[tokio::test(start_paused = true)]
async fn one_whose_places_are_taken_is_passed_over_while_another_has_some() {
    let says = [("one", 200, 1000), ("two:81", 200, 10), ("three", 200, 10)];
    let (client, _, got) = client(&says, |policy| {
        policy.limit.max_concurrent_per_host = Some(1);
        policy.limit.queue = Some(0);
        policy.retry.max_attempts = 1;
    });
    for _ in 0..3 {
        let sent: Vec<_> = (0..3).map(|_| tokio::spawn(client.get("x").send())).collect();
        for each in sent {
            assert_eq!(each.await.unwrap().unwrap().bytes().await.unwrap(), "no");
        }
    }
    assert_eq!(shares(&got).values().sum::<usize>(), 9);
    assert_eq!(client.stats().shed, 0);
}

/// A request's body that its caller cannot bring.
struct Breaks;

impl http_body::Body for Breaks {
    type Data = bytes::Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<bytes::Bytes>, std::io::Error>>> {
        Poll::Ready(Some(Err(std::io::Error::other("mine"))))
    }
}

#[tokio::test(start_paused = true)]
async fn what_fails_by_the_caller_s_fault_takes_no_endpoint_out() {
    let (client, _, got) = client(&[], |policy| policy.retry.max_attempts = 1);
    for _ in 0..30 {
        get(&client, "x").await;
    }
    for _ in 0..30 {
        client
            .post("x")
            .body(reqwest::Body::wrap(Breaks))
            .send()
            .await
            .unwrap_err();
    }
    got.lock().unwrap().clear();
    for _ in 0..60 {
        get(&client, "x").await;
    }
    assert!(shares(&got).values().all(|share| *share > 5), "{:?}", shares(&got));
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_place_at_one_whose_breaker_opens_goes_to_another() {
    let (client, _, got) = client(&[("one", 200, 1000), ("two:81", 200, 10)], |policy| {
        policy.base_url.truncate(2);
        policy.limit.max_concurrent_per_host = Some(1);
        policy.limit.queue = Some(10);
        policy.retry.max_attempts = 1;
    });
    let [one, two] = ["http://one", "http://two:81"].map(|host| client.breaker(host).unwrap());
    two.force_open();
    let runs = tokio::spawn(client.get("x").send());
    settled().await;
    let waits = tokio::spawn(client.get("y").send());
    settled().await;
    two.reset();
    one.force_open();
    let answer = waits.await.unwrap().unwrap();
    assert_eq!(answer.url().as_str(), "http://two:81/y");
    runs.await.unwrap().unwrap();
    assert_eq!(shares(&got), [("one".to_owned(), 1), ("two:81".to_owned(), 1)].into());
}

#[tokio::test(start_paused = true)]
async fn retry_after_holds_for_the_endpoint_that_said_it_and_for_no_other() {
    let pause = Duration::from_secs(5);
    let two_say = |one: u16, two: u16, many: usize| {
        client(&[("one", one, 0), ("two:81", two, 0)], |policy| {
            policy.base_url.truncate(many);
            policy.breaker.enabled = false;
        })
    };
    // The third has said nothing.
    let (client, ..) = two_say(429, 429, 3);
    for _ in 0..20 {
        let began = Instant::now();
        assert_eq!(get(&client, "x").await, 200);
        assert!(began.elapsed() < pause, "{:?}", began.elapsed());
    }
    // When both have said it, it holds.
    let (client, ..) = two_say(429, 429, 2);
    let began = Instant::now();
    assert_eq!(get(&client, "x").await, 429);
    assert!(began.elapsed() >= pause, "{:?}", began.elapsed());
    // The one that has said it is left alone, though the other one fails, too.
    let (client, _, got) = two_say(429, 503, 2);
    let mut fast = 0;
    for _ in 0..20 {
        got.lock().unwrap().clear();
        let began = Instant::now();
        get(&client, "x").await;
        if began.elapsed() < pause {
            fast += 1;
            assert_eq!(shares(&got), [("one".to_owned(), 1), ("two:81".to_owned(), 2)].into());
        }
    }
    assert!(fast > 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_known_of_endpoints_outlives_other_rules_but_not_other_endpoints() {
    let profile = |change: &dyn Fn(&mut Policy)| {
        let mut profile = Profile::named("test");
        profile.policy.base_url = ["http://one", "http://two"].map(str::to_owned).to_vec();
        change(&mut profile.policy);
        profile
    };
    let earlier = Policies::of(&profile(&|_| {})).unwrap();
    let under_way = |policies: &Policies| policies.endpoints.as_ref().unwrap().loads.under_way();
    let loads = &earlier.endpoints.as_ref().unwrap().loads;
    let _visit = loads.choose(|_| crate::policy::Standing::default());
    assert_eq!(under_way(&earlier), 1);
    let later = Policies::succeeding(&earlier, &profile(&|policy| policy.retry.max_attempts = 7)).unwrap();
    assert_eq!(under_way(&later), 1);
    let later = Policies::succeeding(&earlier, &profile(&|policy| policy.base_url.reverse())).unwrap();
    assert_eq!(under_way(&later), 0);
}
