//! A target's queue, and the task that empties it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use httputil::{Client, Kind, RequestBuilder};
use reqwest::header::CONTENT_TYPE;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;
use uuid::Uuid;

use super::signature::{SIGNATURE, signature};
use super::target::Target;

/// An event on its way to one target: the bytes that are signed and sent, on every try.
#[derive(Clone)]
pub(super) struct Event {
    pub(super) id: Uuid,
    pub(super) body: Bytes,
}

/// What became of a target's events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneStats {
    /// The target took them.
    pub delivered: u64,
    /// Given up, after all tries or because the target refused them for good.
    pub failed: u64,
    /// Not taken, for the queue was full.
    pub refused: u64,
    /// Waiting or on their way.
    pub queued: u64,
}

/// One target with its queue.
pub(super) struct Lane {
    counts: Arc<Counts>,
    queue: mpsc::Sender<Event>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Counts {
    delivered: AtomicU64,
    failed: AtomicU64,
    refused: AtomicU64,
    queued: AtomicU64,
}

impl Lane {
    /// Starts the task, on the runtime of the caller.
    pub(super) fn start(client: &Client, target: &Target, queue: usize) -> Lane {
        let counts = Arc::<Counts>::default();
        let (sender, events) = mpsc::channel(queue.max(1));
        let way = Arc::new(Way {
            client: client.clone(),
            target: target.clone(),
            counts: Arc::clone(&counts),
        });
        Lane {
            counts,
            queue: sender,
            task: tokio::spawn(way.run(events)),
        }
    }

    /// Puts the event into the queue; says whether there was room.
    pub(super) fn offer(&self, event: Event) -> bool {
        self.counts.queued.fetch_add(1, Ordering::Relaxed);
        let taken = self.queue.try_send(event).is_ok();
        if !taken {
            self.counts.queued.fetch_sub(1, Ordering::Relaxed);
            self.counts.refused.fetch_add(1, Ordering::Relaxed);
        }
        taken
    }

    /// Takes no more, and waits until what is queued has been tried; what is left then is given up.
    pub(super) async fn finish(self, until: Instant) -> LaneStats {
        let Lane {
            counts,
            queue,
            mut task,
        } = self;
        drop(queue);
        if tokio::time::timeout_at(until, &mut task).await.is_err() {
            task.abort();
            let _ = task.await;
            let left = counts.queued.swap(0, Ordering::Relaxed);
            counts.failed.fetch_add(left, Ordering::Relaxed);
        }
        counts.read()
    }

    pub(super) fn stats(&self) -> LaneStats {
        self.counts.read()
    }
}

impl Counts {
    fn read(&self) -> LaneStats {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        LaneStats {
            delivered: read(&self.delivered),
            failed: read(&self.failed),
            refused: read(&self.refused),
            queued: read(&self.queued),
        }
    }
}

struct Way {
    client: Client,
    target: Target,
    counts: Arc<Counts>,
}

impl Way {
    /// Delivers what comes, a few at once, until the queue is closed and empty.
    async fn run(self: Arc<Way>, mut events: mpsc::Receiver<Event>) {
        let mut under_way = JoinSet::new();
        while let Some(event) = events.recv().await {
            while under_way.len() >= self.target.at_once.max(1) {
                under_way.join_next().await;
            }
            under_way.spawn(Arc::clone(&self).deliver(event));
        }
        while under_way.join_next().await.is_some() {}
    }

    async fn deliver(self: Arc<Way>, event: Event) {
        let result = self.until_tried(&event).await;
        let count = match &result {
            Ok(()) => &self.counts.delivered,
            Err(_) => &self.counts.failed,
        };
        count.fetch_add(1, Ordering::Relaxed);
        self.counts.queued.fetch_sub(1, Ordering::Relaxed);
        if let Err(why) = result {
            tracing::warn!(target_name = self.target.name, %why, "an event was given up");
        }
    }

    /// Sends the event; while the target is being left alone, waits, for that is no try.
    async fn until_tried(&self, event: &Event) -> Result<(), String> {
        loop {
            match self.request(event).send().await {
                Ok(response) if response.status().is_success() => return Ok(()),
                Ok(response) => return Err(format!("the target answered {}", response.status())),
                Err(error) => match error.kind() {
                    Kind::BreakerOpen { retry_after, .. } => tokio::time::sleep(retry_after).await,
                    _ => return Err(error.to_string()),
                },
            }
        }
    }

    fn request(&self, event: &Event) -> RequestBuilder {
        let target = &self.target;
        let mut request = self
            .client
            .post(target.url.clone())
            .header(CONTENT_TYPE, "application/json")
            // A quoted string, by the draft of the header; the same on every try.
            .header("idempotency-key", format!("\"{}\"", event.id))
            // What most redirects make of a POST is a GET without the event, and what answers that has taken nothing.
            .max_redirects(0);
        if let Some(token) = &target.token {
            request = request.bearer_auth(token.expose());
        }
        if let Some(key) = &target.signing_key {
            request = request.header(SIGNATURE, signature(key, &event.body));
        }
        for (name, value) in &target.headers {
            request = request.header(name, value);
        }
        request.body(event.body.clone())
    }
}
