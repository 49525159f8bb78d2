//! The task that sends batches, one after another, until each is taken or refused for good.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use httputil::settings::Secret;
use httputil::{Client, Kind};
use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use tokio::sync::mpsc;
use url::Url;

use super::service::Counts;
use super::spool::Batch;

/// The first pause after a failure; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// What the endpoint may ask for: one that says 0 and goes on failing is not asked without a pause.
const SHORTEST_WISH: Duration = Duration::from_secs(1);
const LONGEST_WISH: Duration = Duration::from_mins(10);

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
    /// Somebody has removed its file.
    Gone,
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
                Err(error) if error.kind() == io::ErrorKind::NotFound => Tried::Gone,
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
                Tried::Gone => {
                    tracing::error!(id = %batch.id, "a batch's file is gone from the spool; its events are not delivered");
                    return self.counts.gives_back(batch.bytes);
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
            .header("idempotency-key", format!("\"{}\"", batch.id))
            // What most redirects make of a POST is a GET without the batch, and what answers that has taken nothing.
            .max_redirects(0);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.expose());
        }
        match request.body(body).send().await {
            Ok(response) => judge(response.status(), retry_after(response.headers())),
            Err(error) => match error.kind() {
                Kind::BreakerOpen { retry_after, .. } => Tried::Later(error.to_string(), Some(retry_after)),
                _ => Tried::Later(error.to_string(), None),
            },
        }
    }
}

/// A status that another try may change is no refusal: 408, 425 and 429, and all that are the server's fault. Nor are
/// 401, 403 and 404, which an operator mends.
fn judge(status: StatusCode, after: Option<Duration>) -> Tried {
    let mendable = [401, 403, 404, 408, 425, 429].contains(&status.as_u16());
    match status {
        _ if status.is_success() => Tried::Taken,
        _ if status.is_client_error() && !mendable => Tried::Refused(status),
        _ => Tried::Later(format!("the endpoint answered {status}"), after),
    }
}

/// When the endpoint wants to be asked again: after so many seconds, or at a date (RFC 9110 §10.2.3).
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let after = if let Ok(seconds) = text.parse() {
        Duration::from_secs(seconds)
    } else {
        let date = httpdate::parse_http_date(text).ok()?;
        date.duration_since(SystemTime::now()).unwrap_or_default()
    };
    Some(after.clamp(SHORTEST_WISH, LONGEST_WISH))
}

async fn of_disk<T: Send + 'static>(
    batch: &Batch,
    what: impl FnOnce(&Batch) -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let batch = batch.clone();
    let done = tokio::task::spawn_blocking(move || what(&batch));
    done.await.expect("files do not panic")
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use reqwest::header::{HeaderMap, RETRY_AFTER};

    use super::{LONGEST_WISH, SHORTEST_WISH, retry_after};

    #[test]
    fn an_endpoint_says_when_to_come_back_in_seconds_or_by_a_date() {
        let said = |text: &str| retry_after(&HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]));
        assert_eq!(said("7"), Some(Duration::from_secs(7)));
        assert_eq!(said("1000000"), Some(LONGEST_WISH));
        let date = |time| httpdate::fmt_http_date(time);
        let soon = said(&date(SystemTime::now() + Duration::from_secs(100))).unwrap();
        assert!((90..=100).contains(&soon.as_secs()), "{soon:?}");
        assert_eq!(said(&date(SystemTime::UNIX_EPOCH)), Some(SHORTEST_WISH));
        assert_eq!(said("0"), Some(SHORTEST_WISH));
        assert_eq!(said("soon"), None);
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }
}
