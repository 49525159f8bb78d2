//! Three services as a storage system has them, annotated.

use std::sync::atomic::{AtomicU64, Ordering};

use httputil::{Client, PooledClient};
use reqwest::{Response, Version};
use url::Url;

/// Ships finished spans to the collector.
#[derive(PooledClient)]
#[pooled_client(profile = "telemetry")]
pub(crate) struct SpanExporter {
    client: Client,
    #[pooled_client(setting)]
    endpoint: Url,
    #[pooled_client(default)]
    exported: AtomicU64,
}

/// Tells a webhook what was done, and by whom.
#[derive(PooledClient)]
#[pooled_client(profile = "audit")]
pub(crate) struct AuditWebhook {
    client: Client,
    #[pooled_client(setting)]
    endpoint: Url,
    #[pooled_client(default)]
    delivered: AtomicU64,
}

/// Asks a model.
#[derive(PooledClient)]
#[pooled_client(profile = "nim")]
pub(crate) struct Nim {
    client: Client,
    #[pooled_client(setting)]
    endpoint: Url,
    #[pooled_client(default)]
    answered: AtomicU64,
}

/// What the tour does with each of them.
pub(crate) trait Service: PooledClient + Send + Sync + 'static {
    /// One request of the service's kind; what the server spoke comes back.
    fn send(&self) -> impl Future<Output = Result<Version, httputil::Error>> + Send;
}

impl Service for SpanExporter {
    async fn send(&self) -> Result<Version, httputil::Error> {
        let response = self
            .client
            .post(self.endpoint.clone())
            .body(vec![0x0a; 300])
            .send()
            .await?;
        self.exported.fetch_add(1, Ordering::Relaxed);
        finish(response).await
    }
}

impl Service for AuditWebhook {
    async fn send(&self) -> Result<Version, httputil::Error> {
        let event = r#"[{"action":"PutObject","bucket":"photos","user":"ada"}]"#;
        let request = self
            .client
            .post(self.endpoint.clone())
            .header("content-type", "application/json")
            .body(event);
        let response = request.send().await?;
        self.delivered.fetch_add(1, Ordering::Relaxed);
        finish(response).await
    }
}

impl Service for Nim {
    async fn send(&self) -> Result<Version, httputil::Error> {
        let response = self.client.get(self.endpoint.clone()).send().await?;
        self.answered.fetch_add(1, Ordering::Relaxed);
        finish(response).await
    }
}

/// Reads the answer to its end, which gives the connection back to the pool.
async fn finish(response: Response) -> Result<Version, httputil::Error> {
    let version = response.version();
    let status = response.status();
    let body = response.bytes().await.expect("the tour's servers send whole answers");
    assert!(
        status.is_success() && !body.is_empty(),
        "the tour's servers answer every request"
    );
    Ok(version)
}
