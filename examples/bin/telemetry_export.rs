//! Exports spans: `cargo run --bin telemetry_export -- --endpoint http://collector:4318/v1/traces`.
//!
//! Without an endpoint it starts a collector that is busy now and then.

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use httputil::PooledClient as _;
use opentelemetry::KeyValue;
use opentelemetry::trace::{Span as _, SpanKind, Status, TraceContextExt as _, Tracer as _, TracerProvider as _};
use reqwest::StatusCode;
use services::command::{Configuration, Failure, exit, show_warnings};
use services::peers::Collector;
use services::telemetry::Telemetry;
use url::Url;

/// Exports spans of made-up requests to a collector, by OTLP over HTTP or as Zipkin's JSON.
#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    configuration: Configuration,
    /// Where spans go, path included; without it, and without `telemetry.settings.endpoint`, a collector is started
    #[arg(long, value_name = "URL")]
    endpoint: Option<Url>,
    /// What the collector is told in, OTLP unless the configuration says otherwise; Jaeger takes OTLP
    #[arg(long, value_enum)]
    format: Option<Wire>,
    /// How many requests to trace; each has two spans
    #[arg(long, default_value_t = 1000)]
    requests: u64,
    /// Gives up what is not exported so long after the last span
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    grace: u64,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Wire {
    Otlp,
    Zipkin,
}

#[tokio::main]
async fn main() -> ExitCode {
    show_warnings();
    exit(run(Flags::parse()).await)
}

async fn run(flags: Flags) -> Result<(), Failure> {
    let mut own = Vec::new();
    let mut peer = None;
    let is_zipkin = match flags.format {
        Some(format) => format == Wire::Zipkin,
        None => flags.configuration.says("telemetry", "settings.format")?.as_deref() == Some("zipkin"),
    };
    if flags.format.is_some() {
        let format = if is_zipkin { "zipkin" } else { "otlp" };
        own.push(("telemetry.settings.format", format.to_owned()));
    }
    if let Some(endpoint) = &flags.endpoint {
        own.push(("telemetry.settings.endpoint", endpoint.to_string()));
    } else if flags.configuration.says("telemetry", "settings.endpoint")?.is_none() {
        let started = Collector::start().await;
        started.answer_next([StatusCode::SERVICE_UNAVAILABLE, StatusCode::BAD_GATEWAY]);
        let url = if is_zipkin { started.zipkin() } else { started.otlp() };
        println!("No endpoint is given; started a collector at {url}.");
        own.push(("telemetry.settings.endpoint", url.to_string()));
        peer = Some(started);
    }
    let registry = flags.configuration.registry(own)?;
    let telemetry = Telemetry::with_registry(&registry)?;
    let tracer = telemetry.provider()?.tracer("telemetry_export");
    for number in 0..flags.requests {
        let request = tracer.span_builder("PutObject").with_kind(SpanKind::Server);
        let request = request.with_attributes([KeyValue::new("object.key", format!("photos/{number}.jpg"))]);
        let request = tracer.build(request);
        let within = opentelemetry::Context::current_with_span(request);
        let mut write = tracer.start_with_context("write", &within);
        if number % 100 == 99 {
            write.set_status(Status::error("the disk is full"));
        }
        write.end();
        within.span().end();
        // An application does something between its spans; this one leaves the exporter its turn.
        if number % 200 == 199 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    let told = telemetry.drain(Duration::from_secs(flags.grace)).await;
    println!(
        "{} spans exported, {} rejected, {} given up, {} dropped, {} left",
        told.exported, told.rejected, told.failed, told.dropped, told.waiting
    );
    let pool = telemetry.client().stats();
    println!("{} requests over {} connections", pool.requests, pool.dialled);
    if let Some(peer) = peer {
        println!("the collector has {} spans", peer.spans().len());
    }
    match told.exported {
        exported if exported == 2 * flags.requests => Ok(()),
        _ => Err("not all spans were exported".into()),
    }
}
