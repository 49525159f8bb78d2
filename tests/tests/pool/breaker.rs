//! Breakers over real sockets: hosts that cannot be reached, and who shares what.

use std::sync::Arc;
use std::time::Duration;

use ::tower::Service;
use http_body_util::Empty;
use httputil::settings::Breaker;
use httputil::{BreakerState, Client, ClientConfig, Config, Environment, Kind, Registry};
use httputil_tests::gate::Gate;
use httputil_tests::script::{Script, Step, answers, steps};
use httputil_tests::server::{Server, handlers};
use httputil_tests::tcp::ClosedPort;
use httputil_tests::{PATIENCE, within};

use crate::common::{TrustedCa, assert_all_gone, assert_at_rest, get, spawn_get, until};

fn quick() -> Breaker {
    let mut breaker = Breaker::default();
    breaker.min_requests = 5;
    // Longer than a test, where nobody waits for it.
    (breaker.open_for, breaker.max_open_for) = (Duration::from_mins(10), Duration::from_mins(10));
    breaker
}

fn client(breaker: Breaker) -> Client {
    Client::new(ClientConfig::default().max_attempts(1).breaker(breaker)).unwrap()
}

/// Sends requests until one is refused by the breaker; how many were not.
async fn until_refused(client: &Client, url: &str) -> usize {
    for sent in 0..100 {
        if let Err(error) = within(PATIENCE, client.get(url).send()).await
            && matches!(error.kind(), Kind::BreakerOpen { .. })
        {
            return sent;
        }
    }
    panic!("no request was refused");
}

#[tokio::test]
async fn a_host_that_cannot_be_reached_is_left_alone() {
    let port = ClosedPort::new();
    let client = client(quick());
    let url = format!("http://{}/", port.addr());
    assert_eq!(until_refused(&client, &url).await, 5);
    let error = client.get(&url).send().await.unwrap_err();
    assert!(error.retry_after().is_some() && error.is_retryable(), "{error:?}");
    assert_eq!(client.host_stats()[0].breaker, Some(BreakerState::Open));
    assert_at_rest(&client).await;
}

/// Nobody knows which of the two broke it off.
#[tokio::test]
async fn an_answer_that_breaks_off_behind_a_proxy_that_passes_it_on_opens_no_breaker() {
    let life = vec![Step::ReadRequest, Step::write(answers::cut(10, "half")), Step::Close];
    let server = Script::start([life]).await;
    for is_proxied in [false, true] {
        let config = ClientConfig::default().max_attempts(1).breaker(quick());
        let (config, url) = if is_proxied {
            (config.proxy(server.url("/")), "http://server.test/".to_owned())
        } else {
            (config, server.url("/"))
        };
        let client = Client::new(config).unwrap();
        for _ in 0..5 {
            let response = within(PATIENCE, client.get(&url).send()).await.unwrap();
            within(PATIENCE, response.bytes()).await.unwrap_err();
        }
        assert_eq!(client.stats().breaker_openings, u64::from(!is_proxied));
        assert_at_rest(&client).await;
    }
}

#[tokio::test]
async fn a_host_whose_handshakes_fail_or_that_hangs_up_is_left_alone() {
    for (scheme, life) in [
        ("http", vec![Step::ReadRequest, Step::Close]),
        ("https", vec![Step::Close]),
    ] {
        let server = Script::start([life]).await;
        let client = client(quick());
        let url = format!("{scheme}://127.0.0.1:{}/", server.port());
        assert_eq!(until_refused(&client, &url).await, 5, "{scheme}");
        assert_at_rest(&client).await;
    }
}

#[tokio::test]
async fn those_who_wait_for_one_dial_that_fails_count_once() {
    let ca = TrustedCa::new();
    let handshake = Gate::new();
    let server = Script::start([vec![Step::Hold(handshake.clone()), Step::Close]]).await;
    let client = Client::new(ca.config().breaker(quick())).unwrap();
    let url = format!("https://localhost:{}/", server.port());
    let burst: Vec<_> = (0..30).map(|_| spawn_get(&client, &url)).collect();
    handshake.arrived(1).await;
    until(&client, "all to wait", |stats| stats.waiting == 30).await;
    handshake.open();
    for each in burst {
        assert_eq!(each.await.unwrap().unwrap_err().kind(), Kind::Tls);
    }
    assert_eq!(client.breaker(&url).unwrap().state(), BreakerState::Closed);
    assert_eq!(until_refused(&client, &url).await, 4);
    assert_at_rest(&client).await;
}

#[tokio::test]
async fn a_body_that_the_server_breaks_off_or_falls_silent_in_counts_against_it() {
    let half = answers::cut(8, "half");
    let broken: fn(ClientConfig) -> ClientConfig = |config| config;
    let silent: fn(ClientConfig) -> ClientConfig = |config| config.read_timeout(Duration::from_millis(20));
    for (end, change) in [(Step::Close, broken), (Step::Reset, broken), (Step::Stall, silent)] {
        let life = vec![Step::ReadRequest, Step::Write(half.clone()), end];
        let server = Script::start([life]).await;
        let client = Client::new(change(ClientConfig::default().max_attempts(1).breaker(quick()))).unwrap();
        let mut sent = 0;
        let error = loop {
            match within(PATIENCE, client.get(server.url("/")).send()).await {
                Ok(answer) => assert!(within(PATIENCE, answer.bytes()).await.is_err()),
                Err(error) => break error,
            }
            sent += 1;
        };
        assert!(matches!(error.kind(), Kind::BreakerOpen { .. }), "{error}");
        assert_eq!((sent, server.requests()), (5, 5));
        assert_at_rest(&client).await;
    }
}

#[tokio::test]
async fn a_body_that_is_dropped_too_large_or_out_of_the_request_s_time_says_nothing_of_the_server() {
    let gate = Gate::new();
    let server = Server::builder().handler(handlers::hold_body(&gate)).start().await;
    let client = client(quick());
    for _ in 0..10 {
        let url = server.url("/");
        drop(client.get(&url).send().await.unwrap());
        let late = client.get(&url).timeout(Duration::from_millis(100));
        if let Ok(answer) = late.send().await {
            assert!(answer.bytes().await.unwrap_err().is_timeout());
        }
        let large = client.get(&url).max_response_bytes(1).send().await.unwrap();
        assert!(large.bytes().await.is_err());
    }
    assert_eq!(client.breaker(&server.url("")).unwrap().state(), BreakerState::Closed);
    gate.open();
    assert_at_rest(&client).await;
}

#[tokio::test]
async fn a_name_that_is_unknown_and_a_proxy_that_is_down_say_nothing_of_the_host() {
    let port = ClosedPort::new();
    let config = |change: fn(ClientConfig, String) -> ClientConfig| {
        let config = ClientConfig::default().max_attempts(1).breaker(quick());
        Client::new(change(config, port.addr().to_string())).unwrap()
    };
    let behind_a_proxy = config(|config, at| config.proxy(format!("http://{at}")));
    let nowhere = config(|config, _| config);
    for (client, url, kind) in [
        (behind_a_proxy, "http://server.invalid/", Kind::Proxy),
        (nowhere, "http://server.invalid/", Kind::Dns),
    ] {
        for _ in 0..10 {
            let error = within(PATIENCE, client.get(url).send()).await.unwrap_err();
            assert_eq!(error.kind(), kind, "{error}");
        }
        assert_eq!(client.breaker(url).unwrap().state(), BreakerState::Closed);
        assert_at_rest(&client).await;
    }
}

#[tokio::test]
async fn the_clients_of_a_profile_share_its_breakers_through_both_doors_and_other_profiles_do_not() {
    let toml =
        "[one]\npool.name = 'both'\nretry.max_attempts = 1\nbreaker.min_requests = 5\n[two]\npool.name = 'both'\n";
    let config = Config::builder().embedded("test.toml", toml).env(&Environment::empty());
    let registry = Registry::builder().config(config.load().unwrap()).build().unwrap();
    let failing = answers::with_length("503 Service Unavailable", &[], "no");
    let server = Script::start([steps::answer_all(failing)]).await;
    let first = registry.client("one").unwrap();
    assert_eq!(until_refused(&first, &server.url("/")).await, 5);
    assert_all_gone(&first).await;

    let mut second = registry.client("one").unwrap();
    assert!(second.get(server.url("/")).send().await.is_err());
    let request = http::Request::get(server.url("/")).body(Empty::new()).unwrap();
    let error = second.call(request).await.unwrap_err();
    assert!(matches!(error.kind(), Kind::BreakerOpen { .. }), "{error}");
    assert_eq!(server.requests(), 5);

    let other = registry.client("two").unwrap();
    assert_eq!(other.get(server.url("/")).send().await.unwrap().status(), 503);

    registry.breaker("one", &server.url("")).unwrap().reset();
    assert_eq!(second.get(server.url("/")).send().await.unwrap().status(), 503);
    let error = registry.breaker("oen", &server.url("")).unwrap_err();
    assert!(error.is_config() && error.to_string().contains("one"), "{error}");
    second.stop();
    assert_all_gone(&other).await;
}

#[tokio::test]
async fn a_server_that_comes_back_is_found_again() {
    let port = Arc::new(ClosedPort::new());
    let mut breaker = quick();
    breaker.open_for = Duration::from_millis(20);
    let client = client(breaker);
    let url = format!("http://{}/", port.addr());
    until_refused(&client, &url).await;
    let server = Server::builder().start_on(port).await;
    let back = within(PATIENCE, async {
        loop {
            match client.get(&url).send().await {
                Ok(response) => return response.text().await.unwrap(),
                // A host that is left alone says when it is asked again, be it by the breaker or by the pool.
                Err(error) => tokio::time::sleep(error.retry_after().unwrap_or(Duration::from_millis(1))).await,
            }
        }
    });
    assert_eq!(back.await, "hello");
    for _ in 0..2 {
        get(&client, &url).await;
    }
    assert_eq!(client.breaker(&url).unwrap().state(), BreakerState::Closed);
    assert_eq!(server.requests(), 3);
    assert_all_gone(&client).await;
}

#[tokio::test]
async fn resends_are_no_failures() {
    // Each connection serves one request well and ends with the next: a race that the user never hears of.
    let mut life = steps::answer_once(answers::ok("one"));
    life.extend([Step::ReadRequest, Step::Close]);
    let server = Script::start([life]).await;
    let ca = TrustedCa::new();
    let mut breaker = quick();
    breaker.failure_ratio = 0.01;
    let client = Client::new(ca.config().breaker(breaker)).unwrap();
    for _ in 0..20 {
        assert_eq!(get(&client, &server.url("/")).await, "one");
    }
    assert!(client.stats().resends >= 10, "{:?}", client.stats());
    assert_eq!(client.breaker(&server.url("")).unwrap().state(), BreakerState::Closed);
    assert_all_gone(&client).await;
}
