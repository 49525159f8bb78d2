//! A client for OpenTelemetry's exporters ([`Client::to_opentelemetry`]).
//!
//! An exporter asks from wherever its SDK runs it: mostly on a thread of its own, where there is no runtime. So each exchange
//! is a task on the runtime that the client was made with, and its context goes along, which says that what is done for an
//! export is not to be traced itself.

use std::fmt;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use opentelemetry::Context;
use opentelemetry::context::FutureExt as _;
use opentelemetry_http::{HttpClient, HttpError, ResponseBodyTooLarge};
use tokio::runtime::Handle;
use tokio::task::AbortHandle;
use tower_service::Service as _;

use super::{Client, RequestOptions};
use crate::error::{Error, Kind};

/// As OpenTelemetry's own clients bound it.
const LARGEST_ANSWER: usize = 4 << 20;

/// A [`Client`] as an [`opentelemetry_http::HttpClient`]; made by [`Client::to_opentelemetry`].
///
/// Clones are cheap and share the client's lease. Dropping the future of a request abandons it.
#[derive(Clone)]
pub struct OpenTelemetryClient {
    client: Client,
    runtime: Handle,
}

impl Client {
    /// This client for OpenTelemetry's exporters, which sends on `runtime` from whatever thread it is asked. Needs the feature
    /// `opentelemetry`.
    ///
    /// It is the same client: lease, pool, limits, breaker and time-outs are those of the profile, and `timeout` is what bounds
    /// an exchange, since an exporter's own time-out bounds the pauses between its attempts only. Retries are the exporter's, so
    /// that each span has one side's: 429, 502, 503 and 504 after a pause or `Retry-After`, and no answer. Every status is
    /// therefore an answer, a redirect too, behind which most exports would be a `GET` without their spans; and this client
    /// retries none of these requests. One that bears [`RequestOptions`] as an extension goes by these instead. An answer's body
    /// is bounded by 4 MiB.
    ///
    /// A runtime that has been shut down fails every request. One of a single thread must not be blocked by the SDK's
    /// `shutdown` or `force_flush`, which wait for such a request: call them in `spawn_blocking`.
    #[cfg_attr(not(doctest), doc = include_str!("../../docs/opentelemetry.md"))]
    pub fn to_opentelemetry(&self, runtime: Handle) -> OpenTelemetryClient {
        OpenTelemetryClient {
            client: self.clone(),
            runtime,
        }
    }
}

impl fmt::Debug for OpenTelemetryClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OpenTelemetryClient").field(&self.client).finish()
    }
}

#[async_trait]
impl HttpClient for OpenTelemetryClient {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let exchange = exchange(self.client.clone(), request).with_context(Context::current());
        let task = self.runtime.spawn(exchange);
        let _end = AbortOnDrop(task.abort_handle());
        match task.await {
            Ok(answer) => answer,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => Err("the runtime that this client sends on was shut down".into()),
        }
    }
}

async fn exchange(client: Client, mut request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
    request
        .extensions_mut()
        .get_or_insert_with(|| RequestOptions::default().retry(false).max_redirects(0));
    let response = (&client).call(request.map(Full::new)).await.map_err(refusal)?;
    let (head, mut body) = response.into_parts();
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(refusal)?.into_data() else {
            continue;
        };
        if whole.len() + data.len() > LARGEST_ANSWER {
            return Err(ResponseBodyTooLarge::new().into());
        }
        whole.extend_from_slice(&data);
    }
    Ok(Response::from_parts(head, whole.freeze()))
}

/// What was taken must not be exported again because its answer was too long, by whichever bound.
fn refusal(error: Error) -> HttpError {
    match error.kind() {
        Kind::TooLarge => ResponseBodyTooLarge::new().into(),
        _ => error.into(),
    }
}

struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
