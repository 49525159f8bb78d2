//! The annotated service.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use httputil::{Client, PooledClient};
use opentelemetry_otlp::{Compression, ExporterBuildError, Protocol, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, SdkTracerProvider};
use serde::Deserialize;
use tokio::runtime::Handle;
use tokio::time::Instant;
use url::Url;

use super::counts::{Counts, TelemetryStats};
use super::exporter::{Exporter, Judged, Wire};
use super::queue::Queue;
use super::zipkin::ZipkinExporter;

/// What a collector is told in.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// OTLP over HTTP in protobuf, to `…/v1/traces`: OpenTelemetry's collector, Jaeger and most others.
    #[default]
    Otlp,
    /// Zipkin's API v2 in JSON, to `…/api/v2/spans`.
    Zipkin,
}

/// Ships finished spans to the collector.
///
/// ```no_run
/// # async fn trace() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use opentelemetry::trace::{Tracer as _, TracerProvider as _};
/// use services::telemetry::Telemetry;
///
/// let telemetry = Telemetry::new()?;
/// let tracer = telemetry.provider()?.tracer("storage");
/// tracer.in_span("PutObject", |_| { /* what is traced */ });
/// telemetry.drain(Duration::from_secs(5)).await;
/// # Ok(())
/// # }
/// ```
#[derive(PooledClient)]
#[pooled_client(profile = "telemetry")]
pub struct Telemetry {
    client: Client,
    /// Where spans go, path included.
    #[pooled_client(setting)]
    endpoint: Url,
    #[pooled_client(setting, default)]
    format: Format,
    /// Whose spans they are.
    #[pooled_client(setting, default = "storage".to_owned())]
    service_name: String,
    /// So many spans may wait, those on their way included; beyond it they are dropped.
    #[pooled_client(setting, default = 2048)]
    queue: usize,
    /// A batch has so many at most,
    #[pooled_client(setting, default = 512)]
    batch: usize,
    /// and goes so long after the one before it at the latest.
    #[pooled_client(setting, default = Duration::from_secs(5))]
    flush_after: Duration,
    #[pooled_client(default)]
    counts: Arc<Counts>,
    #[pooled_client(default)]
    running: Mutex<Running>,
}

#[derive(Default)]
enum Running {
    /// The first span's provider starts it, since it needs a runtime.
    #[default]
    NotStarted,
    Started(Provider),
    Drained,
}

/// Shuts down on a thread of its own if nobody has drained it: that blocks until the last batch has gone.
struct Provider(Option<SdkTracerProvider>);

/// Why spans cannot be exported.
#[derive(Debug)]
pub enum TelemetryError {
    /// There is no tokio runtime to send on.
    NoRuntime,
    /// The exporter does not take what is set.
    Exporter(ExporterBuildError),
    /// The service was drained.
    Drained,
}

impl Telemetry {
    /// Where tracers come from, for [`opentelemetry::global::set_tracer_provider`] too. The first call starts the export, on
    /// the runtime that it is made in.
    ///
    /// # Errors
    ///
    /// Outside of a tokio runtime, where a setting is none that an exporter takes, and after [`drain`](Self::drain).
    pub fn provider(&self) -> Result<SdkTracerProvider, TelemetryError> {
        let mut running = self.running();
        match &*running {
            Running::Started(provider) => return Ok(provider.get()),
            Running::Drained => return Err(TelemetryError::Drained),
            Running::NotStarted => {}
        }
        let runtime = Handle::try_current().map_err(|_| TelemetryError::NoRuntime)?;
        let config = BatchConfigBuilder::default()
            .with_max_queue_size(self.queue.max(1))
            .with_max_export_batch_size(self.batch.clamp(1, self.queue.max(1)))
            .with_scheduled_delay(self.flush_after)
            .build();
        let exporter = self.exporter(runtime)?;
        let queue = Queue {
            batches: BatchSpanProcessor::builder(exporter).with_batch_config(config).build(),
            limit: self.queue as u64,
            counts: Arc::clone(&self.counts),
        };
        let provider = SdkTracerProvider::builder()
            .with_resource(Resource::builder().with_service_name(self.service_name.clone()).build())
            .with_span_processor(queue)
            .build();
        *running = Running::Started(Provider(Some(provider.clone())));
        Ok(provider)
    }

    /// What became of spans so far.
    pub fn stats(&self) -> TelemetryStats {
        self.counts.read()
    }

    /// Exports what waits, and stops the service; what is left after `grace` is given up. Tracers make no more spans then.
    ///
    /// Cancel-safe: dropped before its end, what waits is exported all the same, and the service is not stopped.
    pub async fn drain(&self, grace: Duration) -> TelemetryStats {
        let until = Instant::now() + grace;
        let running = std::mem::replace(&mut *self.running(), Running::Drained);
        if let Running::Started(provider) = running {
            // It blocks until the SDK's thread has sent the last batch, which this runtime may have to do.
            let ended = tokio::task::spawn_blocking(move || provider.shut_down(grace));
            let _ = ended.await;
        }
        self.shutdown(until.saturating_duration_since(Instant::now())).await;
        self.stats()
    }

    fn exporter(&self, runtime: Handle) -> Result<Exporter, TelemetryError> {
        let client = self.client.to_opentelemetry(runtime);
        let counts = Arc::clone(&self.counts);
        let wire = match self.format {
            Format::Otlp => Wire::Otlp(
                opentelemetry_otlp::SpanExporter::builder()
                    .with_http()
                    .with_http_client(Judged {
                        client,
                        counts: Arc::clone(&counts),
                    })
                    .with_endpoint(self.endpoint.as_str())
                    .with_protocol(Protocol::HttpBinary)
                    .with_compression(Compression::Gzip)
                    .build()
                    .map_err(TelemetryError::Exporter)?,
            ),
            Format::Zipkin => Wire::Zipkin(ZipkinExporter {
                client,
                endpoint: self.endpoint.clone(),
                service: self.service_name.clone(),
            }),
        };
        Ok(Exporter { wire, counts })
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Provider {
    fn get(&self) -> SdkTracerProvider {
        self.0.clone().expect("it is there until it is shut down")
    }

    fn shut_down(mut self, grace: Duration) {
        if let Some(provider) = self.0.take()
            && let Err(error) = provider.shutdown_with_timeout(grace)
        {
            tracing::warn!(%error, "not all spans were exported");
        }
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        if let Some(provider) = self.0.take() {
            // Where there is no thread to be had, this one waits.
            let _ = std::thread::Builder::new().spawn(move || drop(provider.shutdown()));
        }
    }
}

impl fmt::Display for TelemetryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TelemetryError::NoRuntime => f.write_str("spans are exported on a tokio runtime, and there is none here"),
            TelemetryError::Exporter(error) => write!(f, "the exporter: {error}"),
            TelemetryError::Drained => f.write_str("the telemetry was drained"),
        }
    }
}

impl std::error::Error for TelemetryError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            TelemetryError::Exporter(error) => Some(error),
            _ => None,
        }
    }
}
