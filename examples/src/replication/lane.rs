//! One region's lane: a queue, and a task that brings so many objects over at once.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use httputil::Client;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_LENGTH, ETAG, HeaderMap, HeaderName, HeaderValue};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

use super::region::Region;
use super::service::Change;
use crate::s3::{Listed, Location, Plan, S3Error, Store};

/// The pause after a region failed; each further one of the same object is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// What happened to the changes of one region.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LaneStats {
    /// Changes that the region has, those that a later one of the same key stood for included.
    pub replicated: u64,
    /// Changes that it refused for good, or that were given up at the end.
    pub failed: u64,
    /// Changes that found its queue full.
    pub refused: u64,
    /// Changes that wait or are under way.
    pub waiting: u64,
    /// How long the oldest of them has waited.
    pub lag: Option<Duration>,
    /// Bytes that were read for it, those that were read again included.
    pub moved_bytes: u64,
}

/// What is the same for all regions.
#[derive(Clone, Copy)]
pub(super) struct Rules {
    pub(super) part_bytes: u64,
    pub(super) tries: u32,
    pub(super) longest_pause: Duration,
}

pub(super) struct Lane {
    changes: Option<mpsc::Sender<(u64, Change)>>,
    task: JoinHandle<()>,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    replicated: AtomicU64,
    failed: AtomicU64,
    refused: AtomicU64,
    moved: Arc<AtomicU64>,
    /// Since when each change waits, by its number.
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    next: u64,
    since: BTreeMap<u64, Instant>,
}

impl Lane {
    pub(super) fn start(client: &Client, from: &Location, region: &Region, queue: usize, rules: Rules) -> Lane {
        let counts = Arc::<Counts>::default();
        let (sender, changes) = mpsc::channel(queue.max(1));
        let courier = Courier {
            from: Store::new(client, from),
            to: Store::new(client, &region.at),
            name: region.name.clone(),
            headers: headers(region),
            rules,
            moved: Arc::clone(&counts.moved),
            ails: AtomicBool::new(false),
        };
        let task = tokio::spawn(run(
            Arc::new(courier),
            region.at_once.max(1),
            changes,
            Arc::clone(&counts),
        ));
        Lane {
            changes: Some(sender),
            task,
            counts,
        }
    }

    /// Whether the queue had room.
    pub(super) fn offer(&self, change: Change) -> bool {
        let mut waiting = self.counts.waiting();
        let number = waiting.next;
        let taken = self
            .changes
            .as_ref()
            .is_some_and(|changes| changes.try_send((number, change)).is_ok());
        if taken {
            waiting.next += 1;
            waiting.since.insert(number, Instant::now());
        } else {
            self.counts.refused.fetch_add(1, Ordering::Relaxed);
        }
        taken
    }

    pub(super) fn stats(&self) -> LaneStats {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let waiting = self.counts.waiting();
        LaneStats {
            replicated: read(&self.counts.replicated),
            failed: read(&self.counts.failed),
            refused: read(&self.counts.refused),
            waiting: waiting.since.len() as u64,
            lag: waiting.since.values().next().map(Instant::elapsed),
            moved_bytes: read(&self.counts.moved),
        }
    }

    /// Takes no more.
    pub(super) fn close(&mut self) {
        self.changes = None;
    }

    /// What became of all, when the last is done or the time is up.
    pub(super) async fn end(mut self, until: Instant) -> LaneStats {
        self.close();
        if tokio::time::timeout_at(until, &mut self.task).await.is_err() {
            self.task.abort();
            let _ = (&mut self.task).await;
            let given_up = std::mem::take(&mut self.counts.waiting().since).len() as u64;
            self.counts.failed.fetch_add(given_up, Ordering::Relaxed);
        }
        self.stats()
    }
}

/// Whoever lets go of a lane gives up what it does.
impl Drop for Lane {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Counts {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn done(&self, numbers: &[u64], is_there: bool) {
        let count = if is_there { &self.replicated } else { &self.failed };
        count.fetch_add(numbers.len() as u64, Ordering::Relaxed);
        let mut waiting = self.waiting();
        for number in numbers {
            waiting.since.remove(number);
        }
    }
}

/// A change that waits, with the numbers of those that it stands for.
type Pending = (Vec<u64>, Change);

/// Takes what comes until nobody can send any more. Two changes of one key are never under way at once: the later one could be
/// overtaken by the earlier one.
async fn run(courier: Arc<Courier>, at_once: usize, mut changes: mpsc::Receiver<(u64, Change)>, counts: Arc<Counts>) {
    let mut under_way = JoinSet::new();
    // By key: what is to be done when what is under way is done.
    let mut keys: HashMap<String, Option<Pending>> = HashMap::new();
    let mut ready: VecDeque<Pending> = VecDeque::new();
    let mut is_open = true;
    loop {
        while under_way.len() < at_once
            && let Some((numbers, change)) = ready.pop_front()
        {
            let courier = Arc::clone(&courier);
            under_way.spawn(async move {
                let result = courier.bring(&change).await;
                (numbers, change, result)
            });
        }
        tokio::select! {
            change = changes.recv(), if is_open && ready.is_empty() => {
                let Some((number, change)) = change else {
                    is_open = false;
                    continue;
                };
                if let Some(next) = keys.get_mut(change.key()) {
                    // It goes as the object is then, which does for all.
                    let (numbers, latest) = next.get_or_insert_with(|| (Vec::new(), change.clone()));
                    numbers.push(number);
                    *latest = change;
                } else {
                    keys.insert(change.key().to_owned(), None);
                    ready.push_back((vec![number], change));
                }
            }
            Some(done) = under_way.join_next() => {
                let (numbers, change, result) = done.expect("bringing an object over does not panic");
                if let Err(error) = &result {
                    tracing::error!(region = courier.name, key = change.key(), %error, "a change is given up");
                }
                counts.done(&numbers, result.is_ok());
                if let Some(next) = keys.remove(change.key()).flatten() {
                    keys.insert(change.key().to_owned(), None);
                    ready.push_back(next);
                }
            }
            else => return,
        }
    }
}

/// Who brings objects to one region.
struct Courier {
    from: Store,
    to: Store,
    name: String,
    headers: HeaderMap,
    rules: Rules,
    moved: Arc<AtomicU64>,
    /// Whether changes wait for another try, which is told once and not of each.
    ails: AtomicBool,
}

impl Courier {
    /// Tries as long as another try may go well.
    async fn bring(&self, change: &Change) -> Result<(), S3Error> {
        let mut pause = FIRST_PAUSE.min(self.rules.longest_pause);
        loop {
            let error = match self.once(change).await {
                Err(error) if error.is_passing() || has_changed(&error) => error,
                done => {
                    if done.is_ok() && self.ails.swap(false, Ordering::Relaxed) {
                        tracing::info!(region = self.name, "changes arrive again");
                    }
                    return done;
                }
            };
            if self.ails.swap(true, Ordering::Relaxed) {
                tracing::debug!(region = self.name, key = change.key(), %error, "a change waits");
            } else {
                tracing::warn!(region = self.name, key = change.key(), %error, "changes wait");
            }
            tokio::time::sleep(error.after().unwrap_or(pause).min(self.rules.longest_pause)).await;
            pause = (pause * 2).min(self.rules.longest_pause);
        }
    }

    async fn once(&self, change: &Change) -> Result<(), S3Error> {
        let key = match change {
            Change::Put(key) => key,
            Change::Removed(key) => return self.to.remove(key, replica()).await,
        };
        let said = match self.from.head(key).await {
            Ok(said) => said,
            // It has gone since, which is a change of its own; or its bucket is not there, which an answer without a body
            // cannot say, and a list can.
            Err(error) if error.is_gone() => return self.from.list(key, None).await.map(drop),
            Err(error) => return Err(error),
        };
        let value = |name: HeaderName| said.get(name).and_then(|value| value.to_str().ok());
        let size = value(CONTENT_LENGTH).and_then(|size| size.parse().ok());
        let (Some(size), Some(e_tag)) = (size, value(ETAG)) else {
            return Err(S3Error::Answer("an object without a size or an ETag".to_owned()));
        };
        let plan = Plan {
            from: self.from.clone(),
            to: self.to.clone(),
            object: Listed {
                key: key.clone(),
                size,
                e_tag: e_tag.to_owned(),
            },
            headers: self.headers.clone(),
            part_bytes: self.rules.part_bytes,
            tries: self.rules.tries,
            moved: Arc::clone(&self.moved),
        };
        plan.carry_out().await
    }
}

/// Whether the object here is another one by now, or gone: then it is looked at again.
fn has_changed(error: &S3Error) -> bool {
    matches!(error, S3Error::Status { status, code, .. } if *status == StatusCode::PRECONDITION_FAILED || code == "NoSuchKey")
}

/// What says that it is a replica, as `MinIO` has it: it is not to be replicated in turn.
fn replica() -> HeaderMap {
    let says = [
        ("x-amz-replication-status", "REPLICA"),
        ("x-minio-source-replication-request", "true"),
    ];
    let header = |(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value));
    says.into_iter().map(header).collect()
}

fn headers(region: &Region) -> HeaderMap {
    let mut headers = replica();
    let class = region.storage_class.as_deref().map(HeaderValue::from_str);
    match class {
        Some(Ok(class)) => drop(headers.insert("x-amz-storage-class", class)),
        Some(Err(_)) => tracing::error!(
            region = region.name,
            "its storage class cannot be a header's value; it is left out"
        ),
        None => {}
    }
    headers
}
