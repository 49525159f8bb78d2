//! Spans that reach a busy collector, in two formats.

use std::time::Duration;

use httputil::PooledClient as _;
use indicatif::ProgressBar;
use opentelemetry::trace::{Span as _, Tracer as _, TracerProvider as _};
use reqwest::StatusCode;
use services::command::Failure;
use services::peers::Collector;
use services::telemetry::Telemetry;

use crate::proof::{Proof, expect};
use crate::tour::{Tour, until};

const SPANS: u64 = 1000;

pub(super) async fn prove(tour: &Tour, progress: &ProgressBar) -> Result<Proof, Failure> {
    progress.set_length(2 * SPANS);
    let collector = Collector::start().await;
    let mut pools = Vec::new();
    for (format, url) in [("otlp", collector.otlp()), ("zipkin", collector.zipkin())] {
        let registry = tour.configuration.registry([
            ("telemetry.settings.endpoint", url.to_string()),
            ("telemetry.settings.format", format.to_owned()),
            ("telemetry.settings.batch", "100".to_owned()),
        ])?;
        let telemetry = Telemetry::with_registry(&registry)?;
        let tracer = telemetry.provider()?.tracer("tour");
        collector.answer_next([StatusCode::SERVICE_UNAVAILABLE]);
        for _ in 0..SPANS {
            tracer.start("PutObject").end();
        }
        let gone = until(|| {
            progress.set_position(collector.spans().len() as u64);
            telemetry.stats().exported == SPANS
        });
        gone.await
            .ok_or("not so: every span is exported though the collector was busy")?;
        let told = telemetry.drain(Duration::from_secs(5)).await;
        expect(told.dropped + told.failed + told.rejected == 0, "no span is lost")?;
        pools.push(telemetry.client().stats());
    }
    expect(
        collector.spans().len() as u64 == 2 * SPANS,
        "the collector has every span once",
    )?;
    let headers = collector.headers();
    expect(
        headers
            .iter()
            .all(|headers| headers.get("content-encoding").is_some_and(|coding| coding == "gzip")),
        "every body was compressed",
    )?;
    let said = format!(
        "{} spans decoded by the collector from protobuf and Zipkin's JSON, in {} compressed bodies; it was busy twice, and none \
         was lost or came twice",
        collector.spans().len(),
        headers.len()
    );
    Ok(Proof::new(said, &pools))
}
