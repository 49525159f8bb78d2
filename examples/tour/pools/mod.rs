//! What is beneath the ten services: three annotated structs, their pools, and what the servers see of them.
//!
//! 2 000 requests go through each, 10 at a time, beside the same load through a new client per request. Then the services are
//! stopped one by one while the servers count their open connections.

mod load;
mod services;

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ::services::command::Failure;
use httputil::Registry;
use httputil_tests::PATIENCE;
use httputil_tests::ca::Ca;
use httputil_tests::server::{Server, handlers};
use httputil_tests::tls::{Alpn, ServerTls};
use reqwest::Version;

use self::load::Measured;
use self::services::{AuditWebhook, Nim, Service, SpanExporter};
use crate::proof::expect;
use crate::tour::Tour;

const REQUESTS: usize = 2_000;
const REQUESTS_BESIDE: usize = 100;
const AT_ONCE: usize = 10;

/// Shows it.
pub(crate) async fn show(tour: &Tour) -> Result<(), Failure> {
    let ca = Ca::new();
    let (collector, webhook, model) = start_servers(&ca).await;
    let folder = tempfile::tempdir()?;
    let ca_file = folder.path().join("ca.pem");
    std::fs::write(&ca_file, ca.pem())?;

    // The file, the environment, and on top what only this run knows: where its servers are, and whom to trust.
    let registry = tour.configuration.registry([
        (
            "telemetry.settings.endpoint",
            collector.url_for("localhost", "/v1/traces"),
        ),
        ("audit.settings.endpoint", webhook.url_for("localhost", "/audit")),
        ("nim.settings.endpoint", model.url_for("localhost", "/v1/models")),
        ("global.tls.ca_file", ca_file.display().to_string()),
    ])?;

    println!("Three annotated structs, {REQUESTS} requests each, {AT_ONCE} at a time; one shared pool per profile.\n");
    println!("{HEAD}");
    let spans = Arc::new(SpanExporter::with_registry(&registry)?);
    let audit = Arc::new(AuditWebhook::with_registry(&registry)?);
    let nim = Arc::new(Nim::with_registry(&registry)?);
    let spoken = [
        pooled(&registry, "SpanExporter", &spans, &collector).await?,
        pooled(&registry, "AuditWebhook", &audit, &webhook).await?,
        pooled(&registry, "Nim", &nim, &model).await?,
    ];

    println!("\nThe same, with a new client for each request ({REQUESTS_BESIDE} requests):\n\n{HEAD}");
    unpooled("SpanExporter", spans.as_ref(), &collector, &ca, spoken[0]).await?;
    unpooled("AuditWebhook", audit.as_ref(), &webhook, &ca, spoken[1]).await?;
    unpooled("Nim", nim.as_ref(), &model, &ca, spoken[2]).await?;

    println!("\nStopping them, as their servers see it:\n");
    stop("SpanExporter", spans.as_ref(), &collector).await?;
    stop("AuditWebhook", audit.as_ref(), &webhook).await?;
    stop("Nim", nim.as_ref(), &model).await?;
    // The servers may see the last close a moment before it is counted here.
    let counted = async {
        while registry.stats().open() > 0 {
            tokio::task::yield_now().await;
        }
    };
    let counted = tokio::time::timeout(PATIENCE, counted).await;
    expect(
        counted.is_ok(),
        "after the last stop the registry has no connection open",
    )?;
    println!("\nAll connections are closed. Try: HTTPUTIL_TELEMETRY__HTTP2__ENABLED=false cargo run --bin tour\n");
    Ok(())
}

/// A collector and a model that speak HTTP/2 and HTTP/1, and a webhook that speaks HTTP/1 only; all over TLS.
async fn start_servers(ca: &Ca) -> (Server, Server, Server) {
    let tls = |alpn| ServerTls::new(ca.issue(["localhost"])).alpn(alpn).build();
    let start = |alpn, answer: &'static str| {
        Server::builder()
            .tls(tls(alpn))
            .handler(handlers::fixed(answer))
            .start()
    };
    (
        start(Alpn::Both, "{}").await,
        start(Alpn::H1, "taken").await,
        start(Alpn::Both, r#"{"data":[]}"#).await,
    )
}

const HEAD: &str = "  service        protocol   requests  connections  reused      first      later
  ------------------------------------------------------------------------------";

fn row(name: &str, measured: &Measured, connections: usize, reused: f64) {
    let protocol = if measured.version == Version::HTTP_2 {
        "HTTP/2"
    } else {
        "HTTP/1.1"
    };
    println!(
        "  {name:<14} {protocol:<9} {:>9}  {connections:>11}  {:>5.1}%  {:>9}  {:>9}",
        measured.requests,
        reused * 100.0,
        millis(measured.first),
        millis(measured.later),
    );
    let _ = std::io::stdout().flush();
}

fn millis(duration: Duration) -> String {
    format!("{:.2} ms", duration.as_secs_f64() * 1000.0)
}

async fn pooled<S: Service>(
    registry: &Registry,
    name: &str,
    service: &Arc<S>,
    server: &Server,
) -> Result<Version, Failure> {
    let measured = load::run(REQUESTS, AT_ONCE, || {
        let service = Arc::clone(service);
        async move { service.send().await.map_err(Failure::from) }
    })
    .await?;
    let stats = registry.stats();
    let pool = stats
        .pool(S::PROFILE)
        .ok_or("the profile's pool is missing from the statistics")?;
    let accepted = server.accepted();
    row(name, &measured, accepted, pool.reuse_ratio());
    expect(server.requests() == REQUESTS, "the server saw every request once")?;
    expect(pool.requests == REQUESTS as u64, "the pool counted every request once")?;
    expect(
        pool.dialled == accepted as u64,
        "pool and server count the same connections",
    )?;
    expect(
        pool.reuse_ratio() >= 0.99,
        "at least 99 % of the requests reused a connection",
    )?;
    expect(
        service.sent().load(Ordering::Relaxed) == REQUESTS as u64,
        "the service counted every request once",
    )?;
    Ok(measured.version)
}

/// The same requests, in the same protocol, by a client each.
async fn unpooled<S: Service>(
    name: &str,
    service: &S,
    server: &Server,
    ca: &Ca,
    version: Version,
) -> Result<(), Failure> {
    let certificate = reqwest::Certificate::from_der(ca.der().as_ref())?;
    let (before, answered) = (server.accepted(), server.requests());
    let measured = load::run(REQUESTS_BESIDE, AT_ONCE, || {
        let (certificate, url) = (certificate.clone(), service.endpoint().clone());
        async move {
            let mut builder = reqwest::Client::builder().no_proxy().tls_certs_only([certificate]);
            if version != Version::HTTP_2 {
                builder = builder.http1_only();
            }
            let request = builder.build()?.request(S::METHOD, url).body(S::BODY);
            let response = request.send().await?;
            let version = response.version();
            response.bytes().await?;
            Ok::<_, Failure>(version)
        }
    })
    .await?;
    expect(
        server.requests() - answered == measured.requests,
        "the server saw every request of the new clients once",
    )?;
    expect(measured.version == version, "both ways spoke the same protocol")?;
    let connections = server.accepted() - before;
    row(
        name,
        &measured,
        connections,
        1.0 - connections as f64 / measured.requests as f64,
    );
    expect(
        connections == REQUESTS_BESIDE,
        "a new client each opens a connection each",
    )
}

async fn stop<S: Service>(name: &str, service: &S, server: &Server) -> Result<(), Failure> {
    // The clients of the comparison are gone; what is open now is the service's.
    let idle = service.client().stats().idle;
    server.until_open(usize::try_from(idle)?).await;
    let before = server.open();
    service.stop();
    server.until_open(0).await;
    println!("  {name:<14} {before:>2} open before stop(), {} after", server.open());
    expect(before > 0, "the service had connections to close")?;
    let refused = service.send().await;
    expect(
        refused.is_err_and(|error| error.kind() == httputil::Kind::Stopped),
        "a stopped service sends nothing more",
    )
}
