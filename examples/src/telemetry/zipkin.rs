//! Zipkin's API v2: spans as JSON, as OpenTelemetry's specification maps them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::time::SystemTime;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::Request;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use httputil::{OpenTelemetryClient, RequestOptions};
use opentelemetry::trace::{SpanId, SpanKind, Status};
use opentelemetry::{Key, KeyValue};
use opentelemetry_http::HttpClient as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use serde::Serialize;
use url::Url;

/// Sends batches to `POST /api/v2/spans`.
#[derive(Debug)]
pub(super) struct ZipkinExporter {
    pub(super) client: OpenTelemetryClient,
    pub(super) endpoint: Url,
    /// Of the resource, once the SDK tells it.
    pub(super) service: String,
}

impl SpanExporter for ZipkinExporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let failed = |why: String| OTelSdkError::InternalFailure(why);
        let spans: Vec<_> = batch.iter().map(|span| ZipkinSpan::of(span, &self.service)).collect();
        let json = serde_json::to_vec(&spans).expect("text and numbers have a JSON form");
        let request = Request::post(self.endpoint.as_str())
            .header(CONTENT_TYPE, "application/json")
            .header(CONTENT_ENCODING, "gzip")
            // A span is known by its id, so the profile's retries may send it twice. Behind a redirect there would be none.
            .extension(RequestOptions::default().idempotent(true).max_redirects(0))
            .body(gzip(&json))
            .map_err(|error| failed(error.to_string()))?;
        let answer = self.client.send_bytes(request).await;
        let answer = answer.map_err(|error| failed(error.to_string()))?;
        match answer.status() {
            status if status.is_success() => Ok(()),
            status => Err(failed(format!("the collector answered {status}"))),
        }
    }

    fn set_resource(&mut self, resource: &Resource) {
        if let Some(name) = resource.get(&Key::from_static_str("service.name")) {
            self.service = name.to_string();
        }
    }
}

fn gzip(bytes: &[u8]) -> Bytes {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    let written = gzip.write_all(bytes).and_then(|()| gzip.finish());
    written.expect("memory can be written").into()
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ZipkinSpan<'a> {
    trace_id: String,
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_id: Option<String>,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    /// Microseconds since 1970, and of the span; never 0, which would be none.
    timestamp: u64,
    duration: u64,
    local_endpoint: Endpoint<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remote_endpoint: Option<Endpoint<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    annotations: Vec<Annotation>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    tags: BTreeMap<&'a str, Cow<'a, str>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Endpoint<'a> {
    service_name: Cow<'a, str>,
}

#[derive(Serialize)]
struct Annotation {
    timestamp: u64,
    value: String,
}

impl<'a> ZipkinSpan<'a> {
    fn of(span: &'a SpanData, service: &'a str) -> ZipkinSpan<'a> {
        let kind = match span.span_kind {
            SpanKind::Client => Some("CLIENT"),
            SpanKind::Server => Some("SERVER"),
            SpanKind::Producer => Some("PRODUCER"),
            SpanKind::Consumer => Some("CONSUMER"),
            SpanKind::Internal => None,
        };
        let took = span.end_time.duration_since(span.start_time).unwrap_or_default();
        let peer = span.attributes.iter().find(|one| one.key.as_str() == "peer.service");
        let annotations = span.events.iter().map(|event| Annotation {
            timestamp: micros(event.timestamp),
            value: annotation(&event.name, &event.attributes),
        });
        ZipkinSpan {
            trace_id: span.span_context.trace_id().to_string(),
            id: span.span_context.span_id().to_string(),
            parent_id: (span.parent_span_id != SpanId::INVALID).then(|| span.parent_span_id.to_string()),
            name: &span.name,
            kind,
            timestamp: micros(span.start_time),
            duration: u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1),
            local_endpoint: Endpoint {
                service_name: service.into(),
            },
            remote_endpoint: peer.map(|peer| Endpoint {
                service_name: peer.value.as_str(),
            }),
            annotations: annotations.collect(),
            tags: tags(span),
        }
    }
}

fn tags(span: &SpanData) -> BTreeMap<&str, Cow<'_, str>> {
    let mut tags: BTreeMap<_, _> = of_attributes(&span.attributes).collect();
    let scope = &span.instrumentation_scope;
    tags.insert("otel.scope.name", scope.name().into());
    if let Some(version) = scope.version() {
        tags.insert("otel.scope.version", version.into());
    }
    match &span.status {
        Status::Unset => {}
        Status::Ok => drop(tags.insert("otel.status_code", "OK".into())),
        Status::Error { description } => {
            tags.insert("otel.status_code", "ERROR".into());
            tags.insert("error", description.as_ref().into());
        }
    }
    tags
}

fn of_attributes(attributes: &[KeyValue]) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
    attributes.iter().map(|one| (one.key.as_str(), one.value.as_str()))
}

/// An event's name, and its attributes in JSON, if it has any.
fn annotation(name: &str, attributes: &[KeyValue]) -> String {
    if attributes.is_empty() {
        return name.to_owned();
    }
    let attributes: BTreeMap<_, _> = of_attributes(attributes).collect();
    serde_json::json!({ name: attributes }).to_string()
}

fn micros(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}
