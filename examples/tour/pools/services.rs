//! Three services as a storage system has them, annotated.

use std::sync::atomic::{AtomicU64, Ordering};

use httputil::{Client, PooledClient};
use reqwest::{Method, Response, Version};
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
    /// Its one kind of request.
    const METHOD: Method;
    const BODY: &'static str;

    fn endpoint(&self) -> &Url;
    fn sent(&self) -> &AtomicU64;

    /// One request; what the server spoke comes back.
    fn send(&self) -> impl Future<Output = Result<Version, httputil::Error>> + Send {
        let request = self
            .client()
            .request(Self::METHOD, self.endpoint().clone())
            .body(Self::BODY);
        async move {
            let response = request.send().await?;
            self.sent().fetch_add(1, Ordering::Relaxed);
            finish(response).await
        }
    }
}

impl Service for SpanExporter {
    const METHOD: Method = Method::POST;
    const BODY: &'static str = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"PutObject"}]}]}]}"#;

    fn endpoint(&self) -> &Url {
        &self.endpoint
    }

    fn sent(&self) -> &AtomicU64 {
        &self.exported
    }
}

impl Service for AuditWebhook {
    const METHOD: Method = Method::POST;
    const BODY: &'static str = r#"[{"action":"PutObject","bucket":"photos","user":"ada"}]"#;

    fn endpoint(&self) -> &Url {
        &self.endpoint
    }

    fn sent(&self) -> &AtomicU64 {
        &self.delivered
    }
}

impl Service for Nim {
    const METHOD: Method = Method::GET;
    const BODY: &'static str = "";

    fn endpoint(&self) -> &Url {
        &self.endpoint
    }

    fn sent(&self) -> &AtomicU64 {
        &self.answered
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
