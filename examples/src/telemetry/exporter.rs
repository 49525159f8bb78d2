//! What the SDK's thread gives batches to: one of the formats, and a count of how each batch ended.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use httputil::OpenTelemetryClient;
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use prost::Message as _;

use super::counts::Counts;
use super::zipkin::ZipkinExporter;

#[derive(Debug)]
pub(super) struct Exporter {
    pub(super) wire: Wire,
    pub(super) counts: Arc<Counts>,
}

#[derive(Debug)]
pub(super) enum Wire {
    Otlp(opentelemetry_otlp::SpanExporter),
    Zipkin(ZipkinExporter),
}

impl SpanExporter for Exporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len() as u64;
        let result = match &self.wire {
            Wire::Otlp(exporter) => exporter.export(batch).await,
            Wire::Zipkin(exporter) => exporter.export(batch).await,
        };
        self.counts.ended(spans, result.is_ok());
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        match &self.wire {
            Wire::Otlp(exporter) => exporter.shutdown_with_timeout(timeout),
            Wire::Zipkin(exporter) => exporter.shutdown_with_timeout(timeout),
        }
    }

    fn set_resource(&mut self, resource: &Resource) {
        match &mut self.wire {
            Wire::Otlp(exporter) => exporter.set_resource(resource),
            Wire::Zipkin(exporter) => exporter.set_resource(resource),
        }
    }
}

/// The client, and a look at its answers: what a collector took in part is not sent again (OTLP says so), but counted.
#[derive(Debug)]
pub(super) struct Judged {
    pub(super) client: OpenTelemetryClient,
    pub(super) counts: Arc<Counts>,
}

#[async_trait::async_trait]
impl HttpClient for Judged {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let answer = self.client.send_bytes(request).await?;
        if answer.status().is_success()
            && let Ok(said) = ExportTraceServiceResponse::decode(answer.body().clone())
            && let Some(partial) = said.partial_success
        {
            let spans = u64::try_from(partial.rejected_spans).unwrap_or_default();
            tracing::warn!(spans, why = partial.error_message, "the collector refused spans");
            self.counts.rejected(spans);
        }
        Ok(answer)
    }
}
