//! The annotated service.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use httputil::{Client, PooledClient};
use tokio::time::Instant;

use super::lane::{Lane, LaneStats, Rules};
use super::region::Region;
use crate::s3::Location;

/// Something that happened to an object here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is new, or another one.
    Put(String),
    /// It is gone.
    Removed(String),
}

impl Change {
    /// Whose it is.
    pub fn key(&self) -> &str {
        match self {
            Change::Put(key) | Change::Removed(key) => key,
        }
    }
}

/// Brings what changes in one store's bucket to the same store's other regions.
///
/// ```no_run
/// # async fn replicate() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use services::replication::{Change, Replication};
///
/// let replication = Replication::new()?;
/// let refused = replication.publish(&Change::Put("photos/1.jpg".to_owned()));
/// assert!(refused.is_empty(), "the queues of {refused:?} are full");
/// for (region, stats) in replication.stats() {
///     println!("{region}: {} wait, the oldest for {:?}", stats.waiting, stats.lag);
/// }
/// replication.drain(Duration::from_secs(60)).await;
/// # Ok(())
/// # }
/// ```
#[derive(PooledClient)]
#[pooled_client(profile = "replication")]
pub struct Replication {
    client: Client,
    /// The bucket here.
    #[pooled_client(setting)]
    from: Location,
    /// `[[replication.settings.regions]]`.
    #[pooled_client(setting, default)]
    regions: Vec<Region>,
    /// How many changes each region's queue holds.
    #[pooled_client(setting, default = 10_000)]
    queue: usize,
    /// Larger objects go in parts of this size, in bytes; all others in one piece, also streamed.
    #[pooled_client(setting, default = 64 * 1024 * 1024)]
    part_bytes: u64,
    /// How often a piece is tried before its object waits for the region to mend.
    #[pooled_client(setting, default = 3)]
    tries: u32,
    /// How long it waits then, at most.
    #[pooled_client(setting, default = Duration::from_secs(30))]
    longest_pause: Duration,
    #[pooled_client(default)]
    lanes: Mutex<Lanes>,
}

#[derive(Default)]
enum Lanes {
    /// The first change starts them, since they need a runtime.
    #[default]
    NotStarted,
    Running(Vec<Lane>),
    Drained,
}

impl Replication {
    /// Tells every region, and waits for none. Returns the names of those whose queues are full; all of them once the
    /// service was drained.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn publish(&self, change: &Change) -> Vec<&str> {
        let mut lanes = self.lanes();
        if let Lanes::NotStarted = &*lanes {
            let rules = Rules {
                part_bytes: self.part_bytes.max(1),
                tries: self.tries,
                longest_pause: self.longest_pause,
            };
            let start = |region| Lane::start(&self.client, &self.from, region, self.queue, rules);
            *lanes = Lanes::Running(self.regions.iter().map(start).collect());
        }
        let Lanes::Running(lanes) = &*lanes else {
            return self.regions.iter().map(|region| region.name.as_str()).collect();
        };
        let told = self.regions.iter().zip(lanes);
        told.filter(|(_, lane)| !lane.offer(change.clone()))
            .map(|(region, _)| region.name.as_str())
            .collect()
    }

    /// Each region's numbers.
    pub fn stats(&self) -> Vec<(&str, LaneStats)> {
        let names = self.regions.iter().map(|region| region.name.as_str());
        match &*self.lanes() {
            Lanes::Running(lanes) => names.zip(lanes.iter().map(Lane::stats)).collect(),
            _ => names.map(|name| (name, LaneStats::default())).collect(),
        }
    }

    /// Takes no more changes, lets those that wait go, and stops the service. What is left after `grace` is given up, and
    /// counted as failed.
    ///
    /// Dropped before its end, what waits is given up at once.
    pub async fn drain(&self, grace: Duration) -> Vec<(&str, LaneStats)> {
        let until = Instant::now() + grace;
        let lanes = std::mem::replace(&mut *self.lanes(), Lanes::Drained);
        let mut stats = Vec::new();
        if let Lanes::Running(mut lanes) = lanes {
            lanes.iter_mut().for_each(Lane::close);
            for (region, lane) in self.regions.iter().zip(lanes) {
                stats.push((region.name.as_str(), lane.end(until).await));
            }
        }
        self.shutdown(until.saturating_duration_since(Instant::now())).await;
        stats
    }

    fn lanes(&self) -> MutexGuard<'_, Lanes> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
