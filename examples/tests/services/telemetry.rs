//! Telemetry export.

use std::sync::Arc;
use std::time::{Duration, Instant};

use httputil::{PooledClient as _, Registry};
use httputil_tests::gate::Gate;
use httputil_tests::server::{Server, handlers};
use httputil_tests::tcp::ClosedPort;
use httputil_tests::{PATIENCE, within};
use opentelemetry::trace::{Span as _, SpanKind, Status, TraceContextExt as _, Tracer as _, TracerProvider as _};
use opentelemetry::{Context, KeyValue};
use reqwest::StatusCode;
use services::peers::{Collected, Collector};
use services::telemetry::{Telemetry, TelemetryError, TelemetryStats};
use url::Url;

use crate::support::registry;
use crate::wall::{ELSEWHERE, login_wall};

fn exporting<'a>(endpoint: &Url, more: impl IntoIterator<Item = (&'a str, &'a str)>) -> Registry {
    let more = more.into_iter().map(|(key, value)| (key, value.to_owned()));
    registry(more.chain([("telemetry.settings.endpoint", endpoint.to_string())]))
}

/// So many spans, one after another.
fn trace(telemetry: &Telemetry, spans: usize) {
    let tracer = telemetry.provider().unwrap().tracer("test");
    for _ in 0..spans {
        tracer.start("a span").end();
    }
}

/// A request that is served, with a child that fails.
fn serve(telemetry: &Telemetry) {
    let tracer = telemetry.provider().unwrap().tracer("test");
    let served = tracer.span_builder("PutObject").with_kind(SpanKind::Server);
    let served = served.with_attributes([KeyValue::new("object.size", 1024), KeyValue::new("peer.service", "s3")]);
    let served = Context::current_with_span(tracer.build(served));
    let mut write = tracer.start_with_context("write", &served);
    write.add_event("retried", vec![KeyValue::new("after", "EIO")]);
    write.set_status(Status::error("the disk is full"));
    write.end();
    served.span().end();
}

fn exported(exported: u64) -> TelemetryStats {
    TelemetryStats {
        exported,
        ..TelemetryStats::default()
    }
}

fn assert_served(spans: &[Collected]) {
    let [write, served] = spans else { panic!("{spans:?}") };
    assert_eq!((write.name.as_str(), served.name.as_str()), ("write", "PutObject"));
    assert_eq!(
        (write.service.as_str(), served.service.as_str()),
        ("storage", "storage")
    );
    assert_eq!((write.trace.len(), write.id.len()), (32, 16));
    assert_eq!(write.trace, served.trace);
    assert_eq!(
        (write.parent.as_deref(), &served.parent),
        (Some(served.id.as_str()), &None)
    );
    assert_eq!(served.attributes["object.size"], "1024");
    assert_eq!(
        (write.error.as_deref(), &served.error),
        (Some("the disk is full"), &None)
    );
}

#[tokio::test]
async fn spans_reach_a_collector_in_protobuf_and_gzip() {
    let collector = Collector::start().await;
    let telemetry = Telemetry::with_registry(&exporting(&collector.otlp(), [])).unwrap();
    serve(&telemetry);
    assert_eq!(telemetry.drain(PATIENCE).await, exported(2));
    assert_served(&collector.spans());
    let headers = &collector.headers()[0];
    assert_eq!(
        (&headers["content-type"], &headers["content-encoding"]),
        (&"application/x-protobuf".parse().unwrap(), &"gzip".parse().unwrap())
    );
    assert_eq!((collector.server.accepted(), collector.server.requests()), (1, 1));
}

#[tokio::test]
async fn zipkin_is_told_the_same_in_its_own_words() {
    let collector = Collector::start().await;
    let registry = exporting(&collector.zipkin(), [("telemetry.settings.format", "zipkin")]);
    let telemetry = Telemetry::with_registry(&registry).unwrap();
    serve(&telemetry);
    let tracer = telemetry.provider().unwrap().tracer("test");
    let now = std::time::SystemTime::now();
    let mut brief = tracer.build(tracer.span_builder("brief").with_start_time(now));
    brief.end_with_timestamp(now);
    assert_eq!(telemetry.drain(PATIENCE).await, exported(3));
    assert_served(&collector.spans()[..2]);
    let json = collector.json();
    assert_eq!(json[2]["duration"], 1, "none would be a span that has not ended");
    assert_eq!((json[0].get("kind"), json[1]["kind"].as_str()), (None, Some("SERVER")));
    assert_eq!(json[0]["tags"]["otel.status_code"], "ERROR");
    assert_eq!(json[0]["annotations"][0]["value"], r#"{"retried":{"after":"EIO"}}"#);
    assert_eq!(json[1]["remoteEndpoint"]["serviceName"], "s3");
    assert_eq!(json[1].get("annotations"), None);
    for span in &json {
        let microseconds = |key: &str| span[key].as_u64().unwrap();
        assert!(microseconds("duration") >= 1, "{span}");
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_micros();
        let ago = now - u128::from(microseconds("timestamp"));
        assert!(ago < PATIENCE.as_micros(), "{span}");
    }
    assert_eq!(collector.headers()[0]["content-encoding"], "gzip");
}

#[tokio::test]
async fn a_collector_that_is_busy_is_asked_again_by_one_side_only() {
    let busy = [StatusCode::SERVICE_UNAVAILABLE, StatusCode::BAD_GATEWAY];
    let collector = Collector::start().await;
    for format in ["otlp", "zipkin"] {
        let is_zipkin = format == "zipkin";
        let (url, before) = if is_zipkin {
            (collector.zipkin(), collector.server.requests())
        } else {
            (collector.otlp(), 0)
        };
        let settings = [
            ("telemetry.settings.format", format),
            ("telemetry.retry.backoff.base", "1ms"),
        ];
        let telemetry = Telemetry::with_registry(&exporting(&url, settings)).unwrap();
        collector.answer_next(busy);
        trace(&telemetry, 1);
        assert_eq!(telemetry.drain(PATIENCE).await, exported(1), "{format}");
        assert_eq!(collector.server.requests() - before, 3, "{format}");
        // OTLP's retries are the exporter's, Zipkin's the profile's.
        let ours = if is_zipkin { 2 } else { 0 };
        assert_eq!(telemetry.client().stats().retries, ours, "{format}");
    }
    assert_eq!(collector.spans().len(), 2);
}

#[tokio::test]
async fn what_is_refused_for_good_or_taken_in_part_is_counted_and_not_sent_again() {
    let collector = Collector::start().await;
    for (format, url) in [("otlp", collector.otlp()), ("zipkin", collector.zipkin())] {
        for status in [StatusCode::BAD_REQUEST, StatusCode::INTERNAL_SERVER_ERROR] {
            let before = collector.server.requests();
            collector.answer_next([status]);
            let registry = exporting(&url, [("telemetry.settings.format", format)]);
            let telemetry = Telemetry::with_registry(&registry).unwrap();
            trace(&telemetry, 3);
            let failed = TelemetryStats {
                failed: 3,
                ..exported(0)
            };
            assert_eq!(telemetry.drain(PATIENCE).await, failed, "{format}: {status}");
            assert_eq!(collector.server.requests() - before, 1, "{format}: {status}");
        }
    }
    let before = collector.server.requests();
    collector.reject_next(2);
    let telemetry = Telemetry::with_registry(&exporting(&collector.otlp(), [])).unwrap();
    trace(&telemetry, 5);
    let partly = TelemetryStats {
        rejected: 2,
        ..exported(3)
    };
    assert_eq!(telemetry.drain(PATIENCE).await, partly);
    assert_eq!(collector.server.requests() - before, 1);
    assert_eq!(collector.spans().len(), 3);
}

#[tokio::test]
async fn a_collector_that_sends_elsewhere_has_not_taken_the_spans() {
    for format in ["otlp", "zipkin"] {
        for status in ELSEWHERE {
            let wall = login_wall(status).await;
            let url = wall.url("/v1/traces").parse().unwrap();
            let registry = exporting(&url, [("telemetry.settings.format", format)]);
            let telemetry = Telemetry::with_registry(&registry).unwrap();
            trace(&telemetry, 3);
            let failed = TelemetryStats {
                failed: 3,
                ..exported(0)
            };
            assert_eq!(telemetry.drain(PATIENCE).await, failed, "{format}: {status}");
            assert_eq!(wall.requests(), 1, "{format}: {status}");
        }
    }
}

#[tokio::test]
async fn a_collector_that_hangs_blocks_nobody_and_costs_what_the_queue_does_not_hold() {
    let gate = Gate::new();
    let collector = Server::builder()
        .handler(handlers::hold(&gate, handlers::fixed("")))
        .start()
        .await;
    let url = Url::parse(&collector.url("/v1/traces")).unwrap();
    let settings = [("telemetry.settings.queue", "100"), ("telemetry.settings.batch", "10")];
    let telemetry = Telemetry::with_registry(&exporting(&url, settings)).unwrap();
    // On the only thread of the runtime that the export needs: a span that waited for it would wait for ever.
    trace(&telemetry, 10_000);
    let hanging = TelemetryStats {
        waiting: 100,
        dropped: 9_900,
        ..exported(0)
    };
    assert_eq!(telemetry.stats(), hanging);
    gate.arrived(1).await;
    assert_eq!((telemetry.stats(), collector.requests()), (hanging, 1));

    gate.open();
    let caught_up = TelemetryStats {
        dropped: 9_900,
        ..exported(100)
    };
    assert_eq!(telemetry.drain(PATIENCE).await, caught_up);
    // A batch has ten at most; the SDK may take fewer while spans still come.
    assert!((10..=20).contains(&collector.requests()), "{}", collector.requests());
    assert_eq!(collector.accepted(), 1);
}

#[tokio::test]
async fn spans_flow_again_when_a_collector_is_back() {
    let port = Arc::new(ClosedPort::new());
    let url = Url::parse(&format!("http://{}/v1/traces", port.addr())).unwrap();
    let settings = [
        ("telemetry.settings.batch", "1"),
        ("telemetry.settings.flush_after", "10ms"),
    ];
    let telemetry = Telemetry::with_registry(&exporting(&url, settings)).unwrap();
    trace(&telemetry, 1);
    until(&telemetry, |stats| stats.failed == 1).await;
    let collector = Collector::start_on(port).await;
    within(PATIENCE, async {
        // The breaker, or the pause after a failed dial, may cost some.
        while telemetry.stats().exported == 0 {
            trace(&telemetry, 1);
            until(&telemetry, |stats| stats.waiting == 0).await;
        }
    })
    .await;
    let told = telemetry.drain(PATIENCE).await;
    assert_eq!(collector.spans().len() as u64, told.exported);
}

async fn until(telemetry: &Telemetry, holds: impl Fn(TelemetryStats) -> bool) {
    within(PATIENCE, async {
        while !holds(telemetry.stats()) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn neither_drain_nor_drop_waits_for_a_collector_that_hangs() {
    let gate = Gate::new();
    let collector = Server::builder()
        .handler(handlers::hold(&gate, handlers::fixed("")))
        .start()
        .await;
    let url = Url::parse(&collector.url("/v1/traces")).unwrap();
    let start = || {
        let telemetry = Telemetry::with_registry(&exporting(&url, [("telemetry.settings.batch", "1")])).unwrap();
        trace(&telemetry, 3);
        telemetry
    };
    let (drained, dropped) = (start(), start());
    gate.arrived(2).await;
    let left = drained.drain(Duration::ZERO).await;
    assert_eq!(
        left,
        TelemetryStats {
            waiting: 3,
            ..exported(0)
        }
    );
    assert!(matches!(drained.provider(), Err(TelemetryError::Drained)));

    let began = Instant::now();
    drop(dropped);
    assert!(began.elapsed() < Duration::from_secs(4), "it waited for the SDK's 5 s");
    // What was on its way goes, and the rest behind it.
    gate.open();
    collector.until_requests(4).await;
    collector.until_open(0).await;
    until(&drained, |stats| stats.waiting == 0).await;
    assert_eq!(
        drained.stats(),
        TelemetryStats {
            failed: 2,
            ..exported(1)
        }
    );
}

#[test]
fn outside_of_a_runtime_it_says_what_is_missing() {
    let url = Url::parse("http://127.0.0.1:4318/v1/traces").unwrap();
    let telemetry = Telemetry::with_registry(&exporting(&url, [])).unwrap();
    let error = telemetry.provider().unwrap_err();
    assert_eq!(
        error.to_string(),
        "spans are exported on a tokio runtime, and there is none here"
    );
}
