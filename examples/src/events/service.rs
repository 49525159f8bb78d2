//! The annotated service.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use httputil::{Client, Error, PooledClient};
use reqwest::StatusCode;
use uuid::Uuid;

use super::lane::{Event, Lane, LaneStats};
use super::notification::{Notification, ObjectEvent};
use super::target::Target;

/// Tells webhooks what happens to objects.
///
/// ```no_run
/// # async fn tell(event: services::events::ObjectEvent) -> Result<(), httputil::Error> {
/// use std::time::Duration;
/// use services::events::EventWebhooks;
///
/// let webhooks = EventWebhooks::new()?;
/// let refused = webhooks.publish(&event);
/// assert!(refused.is_empty(), "the queues of {refused:?} are full");
/// webhooks.drain(Duration::from_secs(10)).await;
/// # Ok(())
/// # }
/// ```
#[derive(PooledClient)]
#[pooled_client(profile = "events")]
pub struct EventWebhooks {
    client: Client,
    /// `[[events.settings.targets]]`.
    #[pooled_client(setting, default)]
    targets: Vec<Target>,
    /// How many events each target's queue holds.
    #[pooled_client(setting, default = 1000)]
    queue: usize,
    #[pooled_client(default)]
    lanes: Mutex<Lanes>,
}

#[derive(Default)]
enum Lanes {
    /// The first event starts them, since they need a runtime.
    #[default]
    NotStarted,
    Running(Vec<Lane>),
    Drained,
}

/// What a target's health check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// It answered by 2xx or 3xx, or by 405: it is there, and knows no `HEAD`.
    Healthy(StatusCode),
    /// It answered by something else.
    Ailing(StatusCode),
    /// It did not answer, and why.
    Unreachable(String),
}

impl EventWebhooks {
    /// Gives the event to every target's queue, and returns the names of the targets that had no room for it, or of all
    /// after [`drain`](Self::drain).
    ///
    /// Does not wait. A few events at once are on their way to each target; what the profile's retries cannot deliver is
    /// given up and counted.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn publish(&self, event: &ObjectEvent) -> Vec<&str> {
        let body = serde_json::to_vec(&Notification::of(event)).expect("text and numbers have a JSON form");
        let event = Event {
            id: Uuid::new_v4(),
            body: body.into(),
        };
        let mut lanes = self.lanes();
        if let Lanes::NotStarted = *lanes {
            let start = |target| Lane::start(&self.client, target, self.queue);
            *lanes = Lanes::Running(self.targets.iter().map(start).collect());
        }
        let names = self.targets.iter().map(|target| target.name.as_str());
        match &*lanes {
            Lanes::Running(lanes) => {
                let offered = names.zip(lanes);
                offered
                    .filter_map(|(name, lane)| (!lane.offer(event.clone())).then_some(name))
                    .collect()
            }
            _ => names.collect(),
        }
    }

    /// What became of each target's events; empty before the first one and after [`drain`](Self::drain).
    pub fn stats(&self) -> Vec<(&str, LaneStats)> {
        let names = self.targets.iter().map(|target| target.name.as_str());
        match &*self.lanes() {
            Lanes::Running(lanes) => names.zip(lanes.iter().map(Lane::stats)).collect(),
            _ => Vec::new(),
        }
    }

    /// Asks all targets at once by `HEAD` whether they are there; once each, for what they say now.
    pub async fn health(&self) -> Vec<(&str, Health)> {
        let ask = |target: &Target| {
            let head = self.client.head(target.url.clone());
            head.max_redirects(0).retry(false).send()
        };
        let asked = self.targets.iter().map(|target| async { judge(ask(target).await) });
        let told = join_all(asked).await;
        let names = self.targets.iter().map(|target| target.name.as_str());
        names.zip(told).collect()
    }

    /// Takes no more events, delivers those that wait, and stops the service; what is left after `grace` is given up.
    /// Returns what became of each target's events.
    ///
    /// Cancel-safe: dropped before its end, the queues are delivered all the same, and the service is not stopped.
    pub async fn drain(&self, grace: Duration) -> Vec<(&str, LaneStats)> {
        let lanes = match std::mem::replace(&mut *self.lanes(), Lanes::Drained) {
            Lanes::Running(lanes) => lanes,
            _ => Vec::new(),
        };
        let names = self.targets.iter().map(|target| target.name.as_str());
        let until = tokio::time::Instant::now() + grace;
        let mut told = Vec::with_capacity(lanes.len());
        for (name, lane) in names.zip(lanes) {
            told.push((name, lane.finish(until).await));
        }
        self.shutdown(until.saturating_duration_since(tokio::time::Instant::now()))
            .await;
        told
    }

    fn lanes(&self) -> MutexGuard<'_, Lanes> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn judge(asked: Result<reqwest::Response, Error>) -> Health {
    match asked.map(|response| response.status()) {
        Ok(status) if status.is_success() || status.is_redirection() => Health::Healthy(status),
        Ok(status) if status == StatusCode::METHOD_NOT_ALLOWED => Health::Healthy(status),
        Ok(status) => Health::Ailing(status),
        Err(error) => Health::Unreachable(error.to_string()),
    }
}
