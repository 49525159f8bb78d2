//! Event webhooks.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use http::HeaderValue;
use httputil::{PooledClient as _, Registry};
use httputil_tests::gate::Gate;
use httputil_tests::server::{Server, handlers};
use httputil_tests::tcp::ClosedPort;
use httputil_tests::{PATIENCE, within};
use reqwest::StatusCode;
use services::events::{EventWebhooks, Health, LaneStats, ObjectEvent};
use services::peers::Webhook;

use crate::support::registry;
use crate::wall::{ELSEWHERE, login_wall};

fn event(number: u64) -> ObjectEvent {
    ObjectEvent {
        name: "ObjectCreated:Put".to_owned(),
        region: "eu-central-1".to_owned(),
        bucket: "photos".to_owned(),
        key: format!("a trip/{number}.jpg"),
        size: 1024,
        e_tag: "d41d8cd98f00b204e9800998ecf8427e".to_owned(),
        sequencer: number,
        time: SystemTime::UNIX_EPOCH,
    }
}

/// A registry whose events go to these targets, each given as the rest of its table.
fn telling<'a>(targets: &[(&str, String, &str)], more: impl IntoIterator<Item = (&'a str, &'a str)>) -> Registry {
    let table = |(name, url, rest): &(&str, String, &str)| format!("{{ name = \"{name}\", url = \"{url}\"{rest} }}");
    let targets: Vec<String> = targets.iter().map(table).collect();
    let more = more.into_iter().map(|(key, value)| (key, value.to_owned()));
    registry(more.chain([
        ("events.settings.targets", format!("[{}]", targets.join(", "))),
        ("events.retry.backoff.base", "1ms".to_owned()),
    ]))
}

fn told(delivered: u64, failed: u64, refused: u64) -> LaneStats {
    LaneStats {
        delivered,
        failed,
        refused,
        queued: 0,
    }
}

#[tokio::test]
async fn an_event_reaches_every_target_signed_and_with_its_headers() {
    let signed = Webhook::start(Some("first key".into()), StatusCode::OK).await;
    let plain = Webhook::start(None, StatusCode::OK).await;
    let registry = telling(
        &[
            (
                "signed",
                signed.url().to_string(),
                ", signing_key = \"first key\", token = \"a token\", headers = { x-team = \"catalogue\" }",
            ),
            ("plain", plain.url().to_string(), ""),
        ],
        [("events.user_agent", "NebulaIO/1.0")],
    );
    let webhooks = EventWebhooks::with_registry(&registry).unwrap();
    assert!(webhooks.publish(&event(7)).is_empty());
    let stats = webhooks.drain(PATIENCE).await;
    assert_eq!(stats, [("signed", told(1, 0, 0)), ("plain", told(1, 0, 0))]);

    let taken = signed.deliveries();
    let header = |name: &str| taken[0].headers.get(name).and_then(|value| value.to_str().ok());
    assert_eq!(header("content-type"), Some("application/json"));
    assert_eq!(header("user-agent"), Some("NebulaIO/1.0"));
    assert_eq!(header("authorization"), Some("Bearer a token"));
    assert_eq!(header("x-team"), Some("catalogue"));
    assert_eq!(taken[0].notification.records[0].s3.object.key, "a+trip/7.jpg");
    assert_eq!(plain.deliveries()[0].headers.get("authorization"), None);
    assert_eq!(plain.deliveries()[0].notification, taken[0].notification);
}

#[tokio::test]
async fn a_target_that_fails_is_asked_again_with_the_same_event() {
    let target = Webhook::start(None, StatusCode::OK).await;
    target.answer_next([StatusCode::SERVICE_UNAVAILABLE, StatusCode::BAD_GATEWAY]);
    let registry = telling(&[("target", target.url().to_string(), "")], []);
    let webhooks = EventWebhooks::with_registry(&registry).unwrap();
    webhooks.publish(&event(1));
    assert_eq!(webhooks.drain(PATIENCE).await, [("target", told(1, 0, 0))]);
    assert_eq!(target.server.requests(), 3);
    let key = target.deliveries()[0].headers["idempotency-key"].clone();
    let key = key.to_str().unwrap();
    assert!(key.starts_with('"') && key.ends_with('"'), "a quoted string: {key}");
}

#[tokio::test]
async fn every_event_has_its_retries_while_all_of_them_fail() {
    const EVENTS: u64 = 40;
    for status in [408, 500, 503] {
        let tries = Arc::<Mutex<HashMap<HeaderValue, u32>>>::default();
        let handler = move |request: http::Request<hyper::body::Incoming>| {
            let key = request.headers()["idempotency-key"].clone();
            let mut tries = tries.lock().unwrap();
            let made = tries.entry(key).or_default();
            *made += 1;
            let status = if *made < 4 { status } else { 200 };
            std::future::ready(handlers::status(StatusCode::from_u16(status).unwrap()))
        };
        let target = Server::builder().handler(handler).start().await;
        let registry = telling(
            &[("target", target.url("/"), ", at_once = 40")],
            // Which would let them wait, and is shown elsewhere.
            [("events.breaker.enabled", "false")],
        );
        let webhooks = EventWebhooks::with_registry(&registry).unwrap();
        for number in 0..EVENTS {
            webhooks.publish(&event(number));
        }
        let stats = webhooks.drain(PATIENCE).await;
        assert_eq!(stats, [("target", told(EVENTS, 0, 0))], "{status}");
        assert_eq!(target.requests() as u64, 4 * EVENTS, "{status}");
    }
}

#[tokio::test]
async fn an_event_is_given_up_after_three_retries_or_when_it_is_refused_for_good() {
    let failing = Webhook::start(None, StatusCode::OK).await;
    failing.answer_next([StatusCode::SERVICE_UNAVAILABLE; 5]);
    let strict = Webhook::start(Some("another key".into()), StatusCode::OK).await;
    let registry = telling(
        &[
            ("failing", failing.url().to_string(), ""),
            ("strict", strict.url().to_string(), ", signing_key = \"a key\""),
        ],
        [],
    );
    let webhooks = EventWebhooks::with_registry(&registry).unwrap();
    webhooks.publish(&event(1));
    let stats = webhooks.drain(PATIENCE).await;
    assert_eq!(stats, [("failing", told(0, 1, 0)), ("strict", told(0, 1, 0))]);
    assert_eq!(failing.server.requests(), 4);
    assert_eq!(strict.server.requests(), 1);
}

#[tokio::test]
async fn a_target_that_sends_elsewhere_has_not_taken_the_event() {
    for status in ELSEWHERE {
        let wall = login_wall(status).await;
        let registry = telling(&[("moved", wall.url("/events"), "")], []);
        let webhooks = EventWebhooks::with_registry(&registry).unwrap();
        webhooks.publish(&event(1));
        assert_eq!(webhooks.drain(PATIENCE).await, [("moved", told(0, 1, 0))], "{status}");
        assert_eq!(wall.requests(), 1, "{status}");
    }
}

#[tokio::test]
async fn a_slow_target_and_a_dead_one_hold_nobody_up() {
    let gate = Gate::new();
    let slow = Server::builder()
        .handler(handlers::hold(&gate, handlers::fixed("late")))
        .start()
        .await;
    let dead = ClosedPort::new();
    let well = Webhook::start(None, StatusCode::OK).await;
    let registry = telling(
        &[
            ("slow", slow.url("/"), ", at_once = 2"),
            ("dead", format!("http://{}/", dead.addr()), ""),
            ("well", well.url().to_string(), ""),
        ],
        [],
    );
    let webhooks = EventWebhooks::with_registry(&registry).unwrap();
    for number in 0..50 {
        assert!(webhooks.publish(&event(number)).is_empty());
    }
    within(PATIENCE, async {
        well.server.until_requests(50).await;
        while webhooks.stats()[2].1.queued > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    gate.arrived(2).await;
    assert_eq!(slow.requests(), 2, "no more at once than the target may have");
    let stats = webhooks.stats();
    assert_eq!((stats[0].1.delivered, stats[0].1.queued), (0, 50));
    assert_eq!(stats[1].1.delivered, 0);
    assert_eq!(stats[2].1, told(50, 0, 0));

    gate.open();
    let stats = webhooks.drain(Duration::ZERO).await;
    assert_eq!(
        stats[1].1,
        told(0, 50, 0),
        "what a dead target did not take is given up at the end"
    );
}

#[tokio::test]
async fn a_full_queue_refuses_by_name_and_the_others_have_the_event() {
    let gate = Gate::new();
    let slow = Server::builder()
        .handler(handlers::hold(&gate, handlers::fixed("late")))
        .start()
        .await;
    let well = Webhook::start(None, StatusCode::OK).await;
    let registry = telling(
        &[
            ("slow", slow.url("/"), ", at_once = 1"),
            ("well", well.url().to_string(), ""),
        ],
        [("events.settings.queue", "2")],
    );
    let webhooks = EventWebhooks::with_registry(&registry).unwrap();
    let mut published = 0;
    let refused = loop {
        published += 1;
        let refused = webhooks.publish(&event(published));
        well.server.until_requests(usize::try_from(published).unwrap()).await;
        if !refused.is_empty() {
            break refused;
        }
    };
    assert_eq!(refused, ["slow"]);
    // One on its way, one that waits for it in the task's hands, two in the queue.
    assert!(published <= 5, "{published}");
    gate.open();
    let stats = webhooks.drain(PATIENCE).await;
    assert_eq!(stats[0].1, told(published - 1, 0, 1));
    assert_eq!(stats[1].1, told(published, 0, 0));
}

#[tokio::test]
async fn events_wait_while_their_target_is_left_alone() {
    let target = Webhook::start(None, StatusCode::OK).await;
    target.answer_next([StatusCode::SERVICE_UNAVAILABLE; 4]);
    let registry = telling(
        &[("target", target.url().to_string(), ", at_once = 1")],
        [
            ("events.retry.max_attempts", "1"),
            ("events.breaker.min_requests", "4"),
            ("events.breaker.open_for", "100ms"),
        ],
    );
    let webhooks = EventWebhooks::with_registry(&registry).unwrap();
    for number in 0..10 {
        webhooks.publish(&event(number));
    }
    // The first four are tried and fail; the others are not wasted on the open breaker.
    assert_eq!(webhooks.drain(PATIENCE).await, [("target", told(6, 4, 0))]);
    assert_eq!(target.server.requests(), 10);
}

#[tokio::test]
async fn health_is_what_head_says() {
    let (fine, knows_no_head) = (StatusCode::NO_CONTENT, StatusCode::METHOD_NOT_ALLOWED);
    let (elsewhere, broken) = (StatusCode::FOUND, StatusCode::INTERNAL_SERVER_ERROR);
    let mut peers = Vec::new();
    for status in [fine, knows_no_head, elsewhere, broken] {
        peers.push(Webhook::start(None, status).await);
    }
    let dead = ClosedPort::new();
    let mut targets: Vec<(&str, String, &str)> = peers.iter().map(|peer| ("a", peer.url().to_string(), "")).collect();
    targets.push(("a", format!("http://{}/", dead.addr()), ""));
    // Two that hang are asked at once, and neither keeps the others' words back.
    let gate = Gate::new();
    let hanging = Server::builder()
        .handler(handlers::hold(&gate, handlers::fixed("late")))
        .start()
        .await;
    targets.extend((0..2).map(|_| ("a", hanging.url("/"), "")));
    let wall = login_wall(StatusCode::FOUND).await;
    targets.push(("a", wall.url("/events"), ""));
    let registry = telling(&targets, []);
    let webhooks = EventWebhooks::with_registry(&registry).unwrap();
    let let_go = async {
        gate.arrived(2).await;
        gate.open();
    };
    let (told, ()) = within(PATIENCE, async { tokio::join!(webhooks.health(), let_go) }).await;
    let told: Vec<Health> = told.into_iter().map(|(_, health)| health).collect();
    assert_eq!(told[0], Health::Healthy(fine));
    assert_eq!(told[1], Health::Healthy(knows_no_head));
    assert_eq!(told[2], Health::Healthy(elsewhere));
    assert_eq!(told[3], Health::Ailing(broken));
    assert!(
        matches!(&told[4], Health::Unreachable(why) if why.contains("refused")),
        "{:?}",
        told[4]
    );
    let (late, moved) = (Health::Healthy(StatusCode::OK), Health::Healthy(StatusCode::FOUND));
    assert_eq!(told[5..], [late.clone(), late, moved]);
    let asked: usize = peers.iter().map(|peer| peer.server.requests()).sum();
    assert_eq!(asked, peers.len(), "one that ails is asked once");
}

#[tokio::test]
async fn after_the_drain_nothing_is_taken_and_no_connection_is_open() {
    let target = Webhook::start(None, StatusCode::OK).await;
    let registry = telling(&[("target", target.url().to_string(), "")], []);
    let webhooks = EventWebhooks::with_registry(&registry).unwrap();
    for number in 0..20 {
        webhooks.publish(&event(number));
    }
    assert_eq!(webhooks.drain(PATIENCE).await, [("target", told(20, 0, 0))]);
    target.server.until_open(0).await;
    assert_eq!(webhooks.publish(&event(20)), ["target"]);
    assert!(webhooks.client().is_stopped());
    assert!(target.server.accepted() <= 4, "few connections carried all");
}
