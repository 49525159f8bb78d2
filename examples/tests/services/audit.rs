//! Audit webhooks: nothing is lost.

use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http::HeaderValue;
use http::header::RETRY_AFTER;
use httputil::Registry;
use httputil_tests::server::{Server, handlers};
use httputil_tests::tcp::ClosedPort;
use httputil_tests::{PATIENCE, within};
use reqwest::StatusCode;
use services::audit::{AuditError, AuditEvent, AuditStats, AuditTrail};
use services::peers::AuditSink;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::support::registry;
use crate::wall::{ELSEWHERE, login_wall};

fn event(number: usize) -> AuditEvent {
    AuditEvent {
        time: "2026-01-01T00:00:00Z".to_owned(),
        user: "ada".to_owned(),
        action: "PutObject".to_owned(),
        resource: format!("photos/{number}.jpg"),
        status: 200,
    }
}

fn events(numbers: std::ops::Range<usize>) -> Vec<AuditEvent> {
    numbers.map(event).collect()
}

fn to<'a>(endpoint: &str, spool: &Path, more: impl IntoIterator<Item = (&'a str, &'a str)>) -> Registry {
    let more = more.into_iter().map(|(key, value)| (key, value.to_owned()));
    registry(more.chain([
        ("audit.settings.endpoint", endpoint.to_owned()),
        ("audit.settings.spool", spool.display().to_string()),
    ]))
}

async fn record(trail: &AuditTrail, numbers: std::ops::Range<usize>) {
    for number in numbers {
        trail.record(&event(number)).await.unwrap();
    }
}

fn files(folder: &TempDir, extension: &str) -> usize {
    let all = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    all.filter(|path| path.extension().is_some_and(|found| found == extension))
        .count()
}

fn told(recorded: u64, delivered: u64, refused: u64) -> AuditStats {
    AuditStats {
        recorded,
        delivered,
        refused,
        waiting: 0,
    }
}

#[tokio::test]
async fn events_come_in_batches_in_order_and_leave_no_file() {
    let (sink, folder) = (AuditSink::start().await, TempDir::new().unwrap());
    let registry = to(
        sink.url().as_str(),
        folder.path(),
        [("audit.settings.token", "a token")],
    );
    let trail = AuditTrail::with_registry(&registry).unwrap();
    record(&trail, 0..250).await;
    assert_eq!(trail.drain(PATIENCE).await, told(250, 250, 0));
    assert_eq!(sink.batches().concat(), events(0..250));
    assert!(sink.batches().iter().all(|batch| batch.len() <= 100));
    assert_eq!(sink.server.accepted(), 1);
    let tries = sink.tries();
    assert_eq!(tries[0].headers["authorization"], "Bearer a token");
    assert_eq!(tries[0].headers["content-type"], "application/json");
    assert_eq!(files(&folder, "batch") + files(&folder, "open"), 0);
}

#[tokio::test]
async fn many_that_record_at_once_share_the_disk_and_fill_batches() {
    let (sink, folder) = (AuditSink::start().await, TempDir::new().unwrap());
    let registry = to(sink.url().as_str(), folder.path(), []);
    let trail = Arc::new(AuditTrail::with_registry(&registry).unwrap());
    let mut recording = tokio::task::JoinSet::new();
    for number in 0..1000 {
        let trail = Arc::clone(&trail);
        recording.spawn(async move { trail.record(&event(number)).await.unwrap() });
    }
    recording.join_all().await;
    assert_eq!(trail.drain(PATIENCE).await, told(1000, 1000, 0));
    assert_eq!(sink.batches().len(), 10);
    let mut resources: Vec<String> = sink
        .batches()
        .concat()
        .into_iter()
        .map(|event| event.resource)
        .collect();
    resources.sort();
    resources.dedup();
    assert_eq!(resources.len(), 1000);
}

#[tokio::test]
async fn a_batch_ends_by_age_too() {
    let (sink, folder) = (AuditSink::start().await, TempDir::new().unwrap());
    let registry = to(
        sink.url().as_str(),
        folder.path(),
        [("audit.settings.flush_after", "20ms")],
    );
    let trail = AuditTrail::with_registry(&registry).unwrap();
    record(&trail, 0..3).await;
    within(PATIENCE, async {
        while trail.stats().delivered < 3 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(sink.batches().concat(), events(0..3));
}

#[tokio::test]
async fn a_batch_that_fails_is_tried_again_with_the_same_key_and_bytes_and_the_others_wait() {
    let (sink, folder) = (AuditSink::start().await, TempDir::new().unwrap());
    sink.answer_next([
        StatusCode::SERVICE_UNAVAILABLE,
        StatusCode::TOO_MANY_REQUESTS,
        StatusCode::UNAUTHORIZED,
    ]);
    let registry = to(sink.url().as_str(), folder.path(), [("audit.settings.batch", "2")]);
    let trail = AuditTrail::with_registry(&registry).unwrap();
    record(&trail, 0..4).await;
    assert_eq!(trail.drain(PATIENCE).await, told(4, 4, 0));
    let tries = sink.tries();
    assert_eq!(tries.len(), 5);
    for again in &tries[1..4] {
        assert_eq!((&again.key, &again.body), (&tries[0].key, &tries[0].body));
    }
    assert_ne!(tries[4].key, tries[0].key);
    assert_eq!(sink.batches(), [events(0..2), events(2..4)]);
}

#[tokio::test]
async fn an_endpoint_that_says_when_to_come_back_is_not_asked_before() {
    let (asked, folder) = (Arc::<Mutex<Vec<Instant>>>::default(), TempDir::new().unwrap());
    let of_handler = Arc::clone(&asked);
    let handler = move |_| {
        let mut asked = of_handler.lock().unwrap();
        asked.push(Instant::now());
        let mut reply = handlers::status(StatusCode::OK);
        if asked.len() == 1 {
            *reply.status_mut() = StatusCode::TOO_MANY_REQUESTS;
            reply.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        std::future::ready(reply)
    };
    let server = Server::builder().handler(handler).start().await;
    let trail = AuditTrail::with_registry(&to(&server.url("/"), folder.path(), [])).unwrap();
    record(&trail, 0..1).await;
    assert_eq!(trail.drain(PATIENCE).await, told(1, 1, 0));
    let asked = asked.lock().unwrap();
    let between = asked[1] - asked[0];
    assert!(between >= Duration::from_secs(1), "{between:?}");
}

#[tokio::test]
async fn a_batch_that_somebody_has_removed_holds_nothing_up() {
    let (port, folder) = (Arc::new(ClosedPort::new()), TempDir::new().unwrap());
    let endpoint = format!("http://{}/audit", port.addr());
    let registry = to(&endpoint, folder.path(), [("audit.settings.batch", "2")]);
    let trail = AuditTrail::with_registry(&registry).unwrap();
    record(&trail, 0..4).await;
    within(PATIENCE, async {
        while files(&folder, "batch") < 2 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let mut batches: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "batch"))
        .collect();
    batches.sort();
    std::fs::remove_file(&batches[0]).unwrap();
    let sink = AuditSink::start_on(port).await;
    assert_eq!(trail.drain(PATIENCE).await, told(4, 2, 0));
    assert_eq!(sink.batches(), [events(2..4)]);
}

#[tokio::test]
async fn what_is_refused_for_good_is_put_aside_and_holds_nothing_up() {
    let (sink, folder) = (AuditSink::start().await, TempDir::new().unwrap());
    sink.answer_next([StatusCode::UNPROCESSABLE_ENTITY]);
    let registry = to(sink.url().as_str(), folder.path(), [("audit.settings.batch", "2")]);
    let trail = AuditTrail::with_registry(&registry).unwrap();
    record(&trail, 0..4).await;
    assert_eq!(trail.drain(PATIENCE).await, told(4, 2, 2));
    assert_eq!(sink.batches(), [events(2..4)]);
    assert_eq!(files(&folder, "rejected"), 1);
}

#[tokio::test]
async fn an_endpoint_that_sends_elsewhere_has_taken_nothing() {
    for status in ELSEWHERE {
        let (wall, folder) = (login_wall(status).await, TempDir::new().unwrap());
        let registry = to(
            &wall.url("/audit"),
            folder.path(),
            [("audit.settings.flush_after", "1ms")],
        );
        let trail = AuditTrail::with_registry(&registry).unwrap();
        record(&trail, 0..3).await;
        wall.until_requests(2).await;
        let left = trail.drain(Duration::ZERO).await;
        assert_eq!((left.delivered, left.refused), (0, 0), "{status}");

        // An operator has told it where to.
        let sink = AuditSink::start().await;
        let trail = AuditTrail::with_registry(&to(sink.url().as_str(), folder.path(), [])).unwrap();
        trail.start().await.unwrap();
        trail.drain(PATIENCE).await;
        assert_eq!(sink.batches().concat(), events(0..3), "{status}");
    }
}

#[tokio::test]
async fn while_the_endpoint_is_down_batches_wait_and_a_full_spool_says_so() {
    let port = Arc::new(ClosedPort::new());
    let folder = TempDir::new().unwrap();
    let endpoint = format!("http://{}/audit", port.addr());
    let size = serde_json::to_vec(&event(0)).unwrap().len() + 1;
    let limit = (10 * size).to_string();
    let registry = to(
        &endpoint,
        folder.path(),
        [
            ("audit.settings.batch", "2"),
            ("audit.settings.spool_bytes", limit.as_str()),
            ("audit.breaker.min_requests", "2"),
            ("audit.breaker.open_for", "50ms"),
        ],
    );
    let trail = AuditTrail::with_registry(&registry).unwrap();
    record(&trail, 0..10).await;
    let full = trail.record(&event(10)).await.unwrap_err();
    assert!(matches!(full, AuditError::Full { .. }), "{full}");

    let sink = AuditSink::start_on(port).await;
    within(PATIENCE, async {
        while trail.stats().delivered == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    trail.record(&event(10)).await.expect("there is room again");
    assert_eq!(trail.drain(PATIENCE).await, told(11, 11, 0));
    assert_eq!(sink.batches().concat(), events(0..11));
}

#[tokio::test]
async fn what_could_not_be_written_is_told_and_takes_no_room() {
    let (sink, folder) = (AuditSink::start().await, TempDir::new().unwrap());
    let spool = folder.path().join("spool");
    let trail = AuditTrail::with_registry(&to(sink.url().as_str(), &spool, [])).unwrap();
    trail.start().await.unwrap();
    std::fs::remove_dir_all(&spool).unwrap();
    let error = trail.record(&event(1)).await.unwrap_err();
    assert!(matches!(error, AuditError::Disk(_)), "{error}");
    assert_eq!(trail.stats(), told(0, 0, 0));
    // The disk is there again.
    std::fs::create_dir(&spool).unwrap();
    record(&trail, 2..3).await;
    assert_eq!(trail.drain(PATIENCE).await, told(1, 1, 0));
    assert_eq!(sink.batches().concat(), events(2..3));
}

#[tokio::test]
async fn what_a_drain_cannot_deliver_is_delivered_by_the_next_start() {
    let port = Arc::new(ClosedPort::new());
    let folder = TempDir::new().unwrap();
    let endpoint = format!("http://{}/audit", port.addr());
    let registry = to(&endpoint, folder.path(), [("audit.settings.batch", "3")]);
    let trail = AuditTrail::with_registry(&registry).unwrap();
    record(&trail, 0..7).await;
    let left = trail.drain(Duration::ZERO).await;
    assert_eq!((left.recorded, left.delivered), (7, 0));
    assert!(matches!(trail.record(&event(7)).await, Err(AuditError::Drained)));

    let sink = AuditSink::start_on(port).await;
    let next = AuditTrail::with_registry(&registry).unwrap();
    next.start().await.unwrap();
    assert_eq!(next.drain(PATIENCE).await, told(0, 7, 0));
    assert_eq!(sink.batches(), [events(0..3), events(3..6), events(6..7)]);
}

#[tokio::test]
async fn nobody_else_writes_into_a_spool_that_is_in_use() {
    let (sink, folder) = (AuditSink::start().await, TempDir::new().unwrap());
    let registry = to(sink.url().as_str(), folder.path(), []);
    let first = AuditTrail::with_registry(&registry).unwrap();
    first.start().await.unwrap();
    let second = AuditTrail::with_registry(&registry).unwrap();
    let error = second.start().await.unwrap_err();
    assert_eq!(error.to_string(), "the spool: another process has the spool");
    first.drain(PATIENCE).await;
    second.start().await.expect("the spool is free");
}

/// The binary, with its recorded lines.
fn process(endpoint: &str, folder: &TempDir, count: usize) -> Child {
    Command::new(env!("CARGO_BIN_EXE_audit_webhooks"))
        .args(["--endpoint", endpoint, "--events", &count.to_string(), "--grace", "60"])
        .arg("--spool")
        .arg(folder.path())
        .env_clear()
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the binary starts")
}

#[tokio::test]
async fn a_kill_loses_nothing_that_was_recorded() {
    let port = Arc::new(ClosedPort::new());
    let folder = TempDir::new().unwrap();
    let endpoint = format!("http://{}/audit", port.addr());
    let mut first = process(&endpoint, &folder, 1_000_000);
    let mut lines = BufReader::new(first.stdout.take().unwrap()).lines();
    for _ in 0..3 {
        lines.next_line().await.unwrap().expect("it goes on recording");
    }
    first.kill().await.unwrap();

    let sink = AuditSink::start_on(port).await;
    let mut second = process(&endpoint, &folder, 0);
    let ended = within(PATIENCE, second.wait()).await.unwrap();
    assert!(ended.success(), "{ended}");
    let delivered = sink.batches().concat();
    assert!(delivered.len() >= 300, "{}", delivered.len());
    for (number, event) in delivered.iter().enumerate() {
        assert_eq!(event.resource, format!("photos/{number}.jpg"), "in order, none missing");
    }
}
