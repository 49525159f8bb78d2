//! The task that sends batches, one after another, until each is taken or refused for good.

use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use httputil::settings::Secret;
use httputil::{Client, Kind};
use reqwest::StatusCode;
use reqwest::header::CONTENT_TYPE;
use tokio::sync::mpsc;
use url::Url;

use super::service::Counts;
use super::spool::Batch;

/// The first pause after a failure; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

pub(super) struct Sender {
    pub(super) client: Client,
    pub(super) endpoint: Url,
    pub(super) token: Option<Secret>,
    pub(super) counts: Arc<Counts>,
    /// The spool's, until the last batch is dealt with.
    pub(super) lock: Arc<File>,
}

/// What became of one try.
enum Tried {
    Taken,
    Refused(StatusCode),
    /// Not this time, and when to come back if that is known.
    Later(String, Option<Duration>),
}

impl Sender {
    /// Sends what comes, in order, until nobody can send any more.
    pub(super) async fn run(self, mut batches: mpsc::UnboundedReceiver<Batch>) {
        while let Some(batch) = batches.recv().await {
            self.deliver(&batch).await;
        }
        drop(self.lock);
    }

    async fn deliver(&self, batch: &Batch) {
        let mut pause = FIRST_PAUSE;
        loop {
            let tried = match of_disk(batch, Batch::body).await {
                Ok(body) => self.send(batch, body).await,
                Err(error) => Tried::Later(format!("its file cannot be read: {error}"), None),
            };
            match tried {
                Tried::Taken => {
                    // If it cannot be deleted the next start sends it again, which its key makes harmless.
                    if let Err(error) = of_disk(batch, Batch::delete).await {
                        tracing::warn!(%error, "a delivered batch could not be deleted");
                    }
                    return self.counts.delivered(batch);
                }
                Tried::Refused(status) => {
                    let aside = of_disk(batch, Batch::put_aside).await;
                    tracing::error!(%status, ?aside, "the endpoint refused a batch; it is put aside");
                    return self.counts.refused(batch);
                }
                Tried::Later(why, after) => {
                    tracing::warn!(why, "a batch waits");
                    tokio::time::sleep(after.unwrap_or(pause)).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    async fn send(&self, batch: &Batch, body: Bytes) -> Tried {
        let mut request = self
            .client
            .post(self.endpoint.clone())
            .header(CONTENT_TYPE, "application/json")
            .header("idempotency-key", format!("\"{}\"", batch.id));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.expose());
        }
        match request.body(body).send().await {
            Ok(response) => judge(response.status()),
            Err(error) => match error.kind() {
                Kind::BreakerOpen { retry_after, .. } => Tried::Later(error.to_string(), Some(retry_after)),
                _ => Tried::Later(error.to_string(), None),
            },
        }
    }
}

/// A status that another try may change is no refusal: 408, 425 and 429, and all that are the server's fault. Nor are
/// 401, 403 and 404, which an operator mends.
fn judge(status: StatusCode) -> Tried {
    let mendable = [401, 403, 404, 408, 425, 429].contains(&status.as_u16());
    match status {
        _ if status.is_success() => Tried::Taken,
        _ if status.is_client_error() && !mendable => Tried::Refused(status),
        _ => Tried::Later(format!("the endpoint answered {status}"), None),
    }
}

async fn of_disk<T: Send + 'static>(
    batch: &Batch,
    what: impl FnOnce(&Batch) -> std::io::Result<T> + Send + 'static,
) -> std::io::Result<T> {
    let batch = batch.clone();
    let done = tokio::task::spawn_blocking(move || what(&batch));
    done.await.expect("files do not panic")
}
