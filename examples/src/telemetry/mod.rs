//! Telemetry export: finished spans to a collector, by OTLP over HTTP or as Zipkin's JSON, and never in anybody's way.
//!
//! ```text
//! a span ends ─► a bounded queue ─► the SDK's thread: batches ─► protobuf, or JSON ─► gzip ─► POST on our runtime
//!                  full: dropped, and counted
//! ```
//!
//! The SDK is OpenTelemetry's, its OTLP exporter too; the client beneath it is ours
//! ([`Client::to_opentelemetry`](httputil::Client::to_opentelemetry)). Ending a span never waits: a collector that hangs
//! costs the spans that find the queue full, and no memory. Jaeger takes OTLP by itself. OTLP's retries are the exporter's
//! own: 429, 502, 503, 504 and no answer, and never what was taken in part. Zipkin, which knows a span by its id, may get one
//! twice, so there the profile's retries count.

mod counts;
mod exporter;
mod queue;
mod service;
mod zipkin;

pub use counts::TelemetryStats;
pub use service::{Format, Telemetry, TelemetryError};
