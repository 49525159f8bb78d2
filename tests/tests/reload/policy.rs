//! What happens to requests: other rules from the next request on, over the same connections.

use std::time::Duration;

use http::StatusCode;
use httputil::{BreakerState, Kind, ProfileChange};
use httputil_tests::gate::Gate;
use httputil_tests::server::{Server, handlers};
use httputil_tests::tcp::ClosedPort;

use crate::common::get;
use crate::scene::{config, echoed, registry, stats};

#[tokio::test]
async fn the_next_request_follows_it_over_the_connection_that_is_there() {
    let server = Server::builder().start().await;
    let registry = registry("user_agent = 'one'");
    let client = registry.client("default").unwrap();
    let before = echoed(&client, &server.url("/echo")).await;
    let report = registry
        .reload(config(&format!(
            "user_agent = 'two'\nbase_url = '{}'",
            server.url("/echo")
        )))
        .unwrap();
    assert_eq!(report.profile("default"), Some(ProfileChange::Policy));
    assert_eq!(report.to_string(), "default: policy");
    let after = echoed(&client, "relative").await;
    assert_eq!(
        (before.header("user-agent"), after.header("user-agent")),
        (Some("one"), Some("two"))
    );
    assert_eq!((after.target.as_str(), after.connection), ("/echo/relative", 0));
    assert_eq!((server.accepted(), stats(&registry, "default").dialled), (1, 1));
    assert_eq!(registry.stats().reloads, 1);
}

#[tokio::test]
async fn a_request_keeps_the_policy_that_it_began_with() {
    let gate = Gate::new();
    let server = Server::builder()
        .handler(handlers::hold(&gate, handlers::always(StatusCode::SERVICE_UNAVAILABLE)))
        .start()
        .await;
    let registry = registry("timeout = '20s'");
    let client = registry.client("default").unwrap();
    let request = tokio::spawn(client.get(server.url("/")).send());
    gate.arrived(1).await;
    registry.reload(config("timeout = '1ms'")).unwrap();
    // Its time is not over, and it is attempted once.
    gate.open();
    assert_eq!(
        request.await.unwrap().unwrap().status(),
        StatusCode::SERVICE_UNAVAILABLE
    );
    assert_eq!(server.requests(), 1);
    gate.shut();
    let error = client.get(server.url("/")).send().await.unwrap_err();
    assert!(
        matches!(error.kind(), Kind::Timeout { after, .. } if after == Duration::from_millis(1)),
        "{error}"
    );
}

/// Retries are bought with what requests have paid in: a budget without a rate of its own that has been spent.
#[tokio::test]
async fn a_budget_that_is_spent_stays_so_where_its_rule_is_the_same() {
    let server = Server::builder()
        .handler(handlers::always(StatusCode::SERVICE_UNAVAILABLE))
        .start()
        .await;
    let lines = |attempts: u32, ratio: &str| {
        config(&format!(
            "[telemetry.retry]\nmax_attempts = {attempts}\nbackoff.base = '1ms'\nbackoff.max = '1ms'\n\
             budget.ratio = {ratio}\nbudget.min_per_second = 0"
        ))
    };
    let registry = httputil::Registry::builder().config(lines(2, "0.5")).build().unwrap();
    let client = registry.client("telemetry").unwrap();
    let url = server.url("/");
    // Two requests pay for one retry, and it is spent.
    while stats_of(&client).0 == 0 {
        client.get(&url).send().await.unwrap();
    }
    let (retries, denied) = stats_of(&client);
    registry.reload(lines(3, "0.5")).unwrap();
    client.get(&url).send().await.unwrap();
    assert_eq!(
        stats_of(&client),
        (retries, denied + 1),
        "the rule is the same, the purse as empty"
    );
    registry.reload(lines(3, "10.0")).unwrap();
    client.get(&url).send().await.unwrap();
    assert_eq!(stats_of(&client), (retries + 2, denied + 1));
}

fn stats_of(client: &httputil::Client) -> (u64, u64) {
    let stats = client.stats();
    (stats.retries, stats.retries_denied)
}

#[tokio::test]
async fn a_breaker_that_is_open_stays_so_where_its_rule_is_the_same() {
    let port = ClosedPort::new();
    let url = format!("http://{}/", port.addr());
    let lines = |attempts: u32, ratio: &str| {
        config(&format!(
            "[telemetry]\nretry.max_attempts = {attempts}\nbreaker = {{ min_requests = 1, failure_ratio = {ratio} }}"
        ))
    };
    let registry = httputil::Registry::builder().config(lines(1, "0.5")).build().unwrap();
    let client = registry.client("telemetry").unwrap();
    let fails = async || client.get(&url).retry(false).send().await.unwrap_err();
    assert_eq!(fails().await.kind(), Kind::Connect);
    registry.reload(lines(2, "0.5")).unwrap();
    let error = fails().await;
    assert!(matches!(error.kind(), Kind::BreakerOpen { .. }), "{error}");
    registry.reload(lines(2, "0.6")).unwrap();
    assert_eq!(fails().await.kind(), Kind::Connect);
}

#[tokio::test]
async fn a_handle_of_a_breaker_is_that_of_the_settings_in_force_and_what_it_decided_holds() {
    let server = Server::builder().start().await;
    let url = server.url("/");
    let lines = |attempts: u32, more: &str| config(&format!("[telemetry]\nretry.max_attempts = {attempts}\n{more}"));
    let registry = httputil::Registry::builder().config(lines(1, "")).build().unwrap();
    let client = registry.client("telemetry").unwrap();
    let of_registry = registry.breaker("telemetry", &url).unwrap();
    let of_client = client.breaker(&url).unwrap();
    get(&client, &url).await;
    registry.reload(lines(2, "")).unwrap();
    of_registry.force_open();
    for (attempts, more) in [(3, ""), (3, "breaker.window = '20s'"), (4, "breaker.window = '20s'")] {
        registry.reload(lines(attempts, more)).unwrap();
        let error = client.get(&url).send().await.unwrap_err();
        assert!(matches!(error.kind(), Kind::BreakerOpen { .. }), "{more}: {error}");
        assert_eq!(of_client.state(), BreakerState::Open);
    }
    of_client.reset();
    get(&client, &url).await;
    assert_eq!(of_registry.state(), BreakerState::Closed);
    registry.reload(lines(4, "breaker.enabled = false")).unwrap();
    of_registry.force_open();
    get(&client, &url).await;
    assert_eq!(of_registry.state(), BreakerState::Closed);
}

#[tokio::test]
async fn a_limit_goes_on_counting_what_is_under_way_where_its_rule_is_the_same() {
    let gate = Gate::new();
    let server = Server::builder().handler(handlers::hold_body(&gate)).start().await;
    let lines = |attempts: u32, most: u32| {
        config(&format!(
            "[telemetry]\nretry.max_attempts = {attempts}\nlimit.max_concurrent = {most}\nlimit.queue = 0"
        ))
    };
    let registry = httputil::Registry::builder().config(lines(1, 1)).build().unwrap();
    let client = registry.client("telemetry").unwrap();
    let held = client.get(server.url("/")).send().await.unwrap();
    registry.reload(lines(2, 1)).unwrap();
    let error = client.get(server.url("/")).send().await.unwrap_err();
    assert_eq!(error.kind(), Kind::LimitExceeded, "{error}");
    registry.reload(lines(2, 2)).unwrap();
    let next = client.get(server.url("/")).send().await.unwrap();
    gate.open();
    for response in [held, next] {
        response.bytes().await.unwrap();
    }
}

#[tokio::test]
async fn the_same_once_more_changes_nothing_and_says_so() {
    let server = Server::builder().start().await;
    let registry = registry("[telemetry]\ntimeout = '5s'");
    let client = registry.client("telemetry").unwrap();
    get(&client, &server.url("/")).await;
    let report = registry.reload(config("[telemetry]\ntimeout = '5s'")).unwrap();
    assert!(report.is_nothing(), "{report}");
    get(&client, &server.url("/")).await;
    assert_eq!(server.accepted(), 1);
}
