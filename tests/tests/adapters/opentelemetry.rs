//! The exporter of `opentelemetry-otlp` on a client, driven by the SDK's own thread.

use std::collections::VecDeque;
use std::io::Read as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use flate2::read::GzDecoder;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use httputil::{Body, Client, ClientConfig, Error, LayerFuture, LayeredRequest, Next, RequestLayer, RequestOptions};
use httputil_tests::gate::Gate;
use httputil_tests::server::{Reply, Server, handlers};
use httputil_tests::tcp::ClosedPort;
use httputil_tests::{PATIENCE, within};
use hyper::body::Incoming;
use opentelemetry::Context;
use opentelemetry::trace::{Tracer as _, TracerProvider as _};
use opentelemetry_http::HttpClient as _;
use opentelemetry_otlp::{
    Compression, Protocol, RetryPolicy, SpanExporter, WithExportConfig as _, WithHttpConfig as _,
};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider, SpanData, SpanExporter as _};
use prost::Message as _;
use tokio::runtime::Handle;

/// What a collector has understood: the names of the spans of each request, and when it came.
type Taken = Arc<Mutex<Vec<(Instant, Vec<String>)>>>;

/// A collector that gives these answers first; it takes nothing that is not OTLP in gzip.
async fn collector(answers: impl IntoIterator<Item = Reply>) -> (Server, Taken) {
    let taken = Taken::default();
    let answers = Arc::new(Mutex::new(answers.into_iter().collect::<VecDeque<_>>()));
    let of_handler = Arc::clone(&taken);
    let handler = move |request: Request<Incoming>| {
        let (taken, answers) = (Arc::clone(&of_handler), Arc::clone(&answers));
        async move {
            let Some(names) = names(request).await else {
                return handlers::status(StatusCode::UNSUPPORTED_MEDIA_TYPE);
            };
            taken.lock().unwrap().push((Instant::now(), names));
            let next = answers.lock().unwrap().pop_front();
            next.unwrap_or_else(|| handlers::status(StatusCode::OK))
        }
    };
    (Server::builder().handler(handler).start().await, taken)
}

async fn names(request: Request<Incoming>) -> Option<Vec<String>> {
    let is = |name: &str, value: &str| request.headers().get(name).is_some_and(|is| is == value);
    if !is("content-type", "application/x-protobuf") || !is("content-encoding", "gzip") {
        return None;
    }
    let packed = request.into_body().collect().await.ok()?.to_bytes();
    let mut bytes = Vec::new();
    GzDecoder::new(&packed[..]).read_to_end(&mut bytes).ok()?;
    let export = ExportTraceServiceRequest::decode(&bytes[..]).ok()?;
    let scopes = export.resource_spans.into_iter().flat_map(|of| of.scope_spans);
    Some(scopes.flat_map(|scope| scope.spans).map(|span| span.name).collect())
}

fn exporter(client: &Client, url: &str, retries: RetryPolicy) -> SpanExporter {
    SpanExporter::builder()
        .with_http()
        .with_http_client(client.to_opentelemetry(Handle::current()))
        .with_endpoint(url)
        .with_protocol(Protocol::HttpBinary)
        .with_compression(Compression::Gzip)
        .with_retry_policy(retries)
        .build()
        .unwrap()
}

fn quickly() -> RetryPolicy {
    RetryPolicy::recommended().with_initial_delay(Duration::from_millis(1))
}

/// A span of this name through the SDK's batch thread, and how its export ended.
async fn export(exporter: SpanExporter, name: &'static str) -> OTelSdkResult {
    let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).build();
    provider.tracer("test").in_span(name, |_| ());
    let ended = tokio::task::spawn_blocking(move || {
        let flushed = provider.force_flush();
        provider.shutdown().and(flushed)
    });
    within(PATIENCE, ended).await.unwrap()
}

fn is_taken(taken: &Taken, names: &[&[&str]]) -> bool {
    let taken = taken.lock().unwrap();
    taken.iter().map(|(_, names)| names).eq(names)
}

#[tokio::test]
async fn spans_of_the_sdk_s_thread_arrive_over_the_client_s_own_pool() {
    let (server, taken) = collector([]).await;
    let client = Client::new(ClientConfig::default()).unwrap();
    for name in ["first", "second"] {
        export(exporter(&client, &server.url("/v1/traces"), quickly()), name)
            .await
            .unwrap();
    }
    assert!(is_taken(&taken, &[&["first"], &["second"]]), "{taken:?}");
    assert_eq!((server.accepted(), client.stats().requests), (1, 2));
    // Neither exporter holds the lease any more.
    client.stop();
    server.until_open(0).await;
}

#[tokio::test]
async fn a_collector_that_is_busy_is_asked_again_when_it_says_so() {
    let mut busy = handlers::status(StatusCode::TOO_MANY_REQUESTS);
    busy.headers_mut().insert("retry-after", "1".parse().unwrap());
    let (server, taken) = collector([busy]).await;
    let client = Client::new(ClientConfig::default()).unwrap();
    export(exporter(&client, &server.url("/"), quickly()), "span")
        .await
        .unwrap();
    assert!(is_taken(&taken, &[&["span"], &["span"]]), "{taken:?}");
    let taken = taken.lock().unwrap();
    let between = taken[1].0 - taken[0].0;
    assert!(between >= Duration::from_secs(1), "{between:?}");
}

#[tokio::test]
async fn retries_are_the_exporter_s_alone() {
    let unavailable = || handlers::status(StatusCode::SERVICE_UNAVAILABLE);
    let (server, _) = collector((0..9).map(|_| unavailable())).await;
    let client = Client::new(ClientConfig::default()).unwrap();
    let once = exporter(&client, &server.url("/"), RetryPolicy::disabled());
    export(once, "span").await.unwrap_err();
    assert_eq!(server.requests(), 1);
    let thrice = exporter(&client, &server.url("/"), quickly().with_max_retries(2));
    export(thrice, "span").await.unwrap_err();
    assert_eq!((server.requests(), client.stats().retries), (4, 0));

    let gone = ClosedPort::new();
    let once = exporter(&client, &format!("http://{}/", gone.addr()), RetryPolicy::disabled());
    export(once, "span").await.unwrap_err();
    assert_eq!(client.stats().retries, 0);
}

#[tokio::test]
async fn a_request_that_bears_options_goes_by_them() {
    let failed = AtomicUsize::new(0);
    let handler = move |_| {
        let status = match failed.fetch_add(1, Ordering::SeqCst) {
            0 => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::OK,
        };
        std::future::ready(handlers::status(status))
    };
    let server = Server::builder().handler(handler).start().await;
    let client = Client::new(ClientConfig::default()).unwrap();
    let exporting = client.to_opentelemetry(Handle::current());
    let options = RequestOptions::default().idempotent(true);
    let request = Request::post(server.url("/")).extension(options);
    let answer = exporting.send_bytes(request.body(Bytes::new()).unwrap()).await.unwrap();
    assert_eq!((answer.status(), client.stats().retries), (StatusCode::OK, 1));
}

#[tokio::test]
async fn a_collector_that_sends_elsewhere_has_not_taken_the_spans() {
    let mut elsewhere = handlers::status(StatusCode::FOUND);
    let login = "/login".parse().unwrap();
    elsewhere.headers_mut().insert("location", login);
    let (server, taken) = collector([elsewhere]).await;
    let client = Client::new(ClientConfig::default()).unwrap();
    let exporter = exporter(&client, &server.url("/"), quickly());
    export(exporter, "span").await.unwrap_err();
    assert!(is_taken(&taken, &[&["span"]]), "{taken:?}");
    assert_eq!(server.requests(), 1, "nobody asks for the page");
}

#[tokio::test]
async fn what_was_taken_or_refused_is_not_sent_again() {
    let answers = [
        handlers::status(StatusCode::BAD_REQUEST),
        handlers::status(StatusCode::INTERNAL_SERVER_ERROR),
        handlers::status(StatusCode::REQUEST_TIMEOUT),
        // More than anybody has to say who took spans.
        handlers::full(vec![0; (4 << 20) + 1]),
    ];
    let count = answers.len();
    let (server, _) = collector(answers).await;
    let client = Client::new(ClientConfig::default()).unwrap();
    for number in 1..=count {
        export(exporter(&client, &server.url("/"), quickly()), "span")
            .await
            .unwrap_err();
        assert_eq!(server.requests(), number);
    }
}

/// Traces each request of a client, as an application would that traces all that it sends.
struct Traced {
    tracer: SdkTracer,
    suppressed: Arc<AtomicUsize>,
}

impl RequestLayer for Traced {
    fn call<'a>(&'a self, request: LayeredRequest, next: Next<'a>) -> LayerFuture<'a, Result<Response<Body>, Error>> {
        Box::pin(async move {
            self.tracer.in_span("an export", |_| ());
            let answer = next.run(request).await;
            let is_suppressed = Context::is_current_telemetry_suppressed();
            self.suppressed.fetch_add(usize::from(is_suppressed), Ordering::SeqCst);
            answer
        })
    }
}

#[tokio::test]
async fn an_export_is_not_traced_itself() {
    let (server, taken) = collector([]).await;
    let client = Client::new(ClientConfig::default()).unwrap();
    let of_application = exporter(&client, &server.url("/"), quickly());
    let provider = SdkTracerProvider::builder().with_batch_exporter(of_application).build();
    let suppressed = Arc::new(AtomicUsize::new(0));
    let traced = client.with_request_layer(Traced {
        tracer: provider.tracer("layer"),
        suppressed: Arc::clone(&suppressed),
    });
    export(exporter(&traced, &server.url("/"), quickly()), "span")
        .await
        .unwrap();
    assert_eq!(suppressed.load(Ordering::SeqCst), 1);
    // A request of the application is traced, through the same layer.
    traced.get(server.url("/")).send().await.unwrap();
    let ended = tokio::task::spawn_blocking(move || provider.shutdown());
    within(PATIENCE, ended).await.unwrap().unwrap();
    assert!(is_taken(&taken, &[&["span"], &["an export"]]), "{taken:?}");
}

#[tokio::test]
async fn an_export_that_is_dropped_is_abandoned() {
    let gate = Gate::new();
    let server = Server::builder()
        .handler(handlers::hold(&gate, handlers::fixed("")))
        .start()
        .await;
    let client = Client::new(ClientConfig::default()).unwrap();
    let exporter = exporter(&client, &server.url("/"), quickly());
    let spans = vec![finished_span()];
    {
        let mut exporting = std::pin::pin!(exporter.export(spans));
        tokio::select! {
            ended = &mut exporting => panic!("{ended:?}"),
            () = gate.arrived(1) => {}
        }
    }
    gate.left(1).await;
    server.until_open(0).await;
}

/// A finished span.
fn finished_span() -> SpanData {
    #[derive(Clone, Debug, Default)]
    struct Kept(Arc<Mutex<Vec<SpanData>>>);
    impl opentelemetry_sdk::trace::SpanExporter for Kept {
        async fn export(&self, spans: Vec<SpanData>) -> OTelSdkResult {
            self.0.lock().unwrap().extend(spans);
            Ok(())
        }
    }
    let kept = Kept::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(kept.clone()).build();
    provider.tracer("test").in_span("span", |_| ());
    let span = kept.0.lock().unwrap().pop();
    span.expect("a simple exporter has a span when it has ended")
}

#[tokio::test]
async fn a_client_that_was_stopped_exports_no_more() {
    let (server, _) = collector([]).await;
    let client = Client::new(ClientConfig::default()).unwrap();
    let stopped = exporter(&client, &server.url("/"), quickly());
    client.stop();
    export(stopped, "span").await.unwrap_err();
    assert_eq!(server.accepted(), 0);
}

#[test]
fn a_runtime_that_is_gone_fails_the_export_and_hangs_nobody() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let client = Client::new(ClientConfig::default()).unwrap();
    let exporter = {
        let _entered = runtime.enter();
        exporter(&client, "http://127.0.0.1:1/", RetryPolicy::disabled())
    };
    drop(runtime);
    let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).build();
    provider.tracer("test").in_span("span", |_| ());
    provider.force_flush().unwrap_err();
    provider.shutdown().unwrap();
}
