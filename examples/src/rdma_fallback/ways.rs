//! Both sides, and an operation's way over them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::counts::{AccessStats, Counts, add};
use super::service::{AccessError, Rdma};
use super::switch::{Side, Switch};
use super::transport::{Transport, TransportError};

pub(super) struct Ways {
    pub(super) rdma: Rdma,
    pub(super) http: Arc<dyn Transport>,
    pub(super) switch: Mutex<Switch>,
    pub(super) counts: Counts,
    /// What RDMA has for each step.
    pub(super) patience: Duration,
    /// What it failed by last.
    pub(super) why: Mutex<Option<String>>,
}

impl Ways {
    /// Does it by RDMA, if that is the side, and over HTTP if it is not or has failed; and says which it was.
    ///
    /// It must be an operation that may be done twice: whether a side that failed has done it is not known.
    pub(super) async fn run<T, F, D>(self: &Arc<Self>, operation: F) -> Result<(T, Side), AccessError>
    where
        F: Fn(Arc<dyn Transport>) -> D,
        D: Future<Output = Result<T, TransportError>>,
    {
        let done = self.begin(operation).await;
        if let Ok((_, Side::Rdma)) = done {
            self.served();
        }
        done
    }

    /// The same of an operation that has only begun with it: whether RDMA serves is seen at its end.
    pub(super) async fn begin<T, F, D>(self: &Arc<Self>, operation: F) -> Result<(T, Side), AccessError>
    where
        F: Fn(Arc<dyn Transport>) -> D,
        D: Future<Output = Result<T, TransportError>>,
    {
        let mut has_failed = false;
        if let Some(rdma) = self.rdma_now() {
            add(&self.counts.rdma.asked, 1);
            match self.in_time(operation(rdma)).await {
                Ok(done) => return Ok((done, Side::Rdma)),
                Err(TransportError::Answered(error)) => {
                    self.served();
                    return Err(AccessError::Store(error));
                }
                Err(TransportError::Failed(why)) => self.rdma_failed(why),
            }
            has_failed = true;
        }
        add(&self.counts.http.asked, 1);
        match operation(Arc::clone(&self.http)).await {
            Ok(done) => {
                add(&self.counts.failed_over, u64::from(has_failed));
                Ok((done, Side::Http))
            }
            Err(TransportError::Answered(error)) => {
                add(&self.counts.failed_over, u64::from(has_failed));
                Err(AccessError::Store(error))
            }
            Err(TransportError::Failed(why)) => {
                add(&self.counts.http.failed, 1);
                Err(AccessError::Failed(why))
            }
        }
    }

    /// A step of RDMA's, which has failed if it takes too long.
    pub(super) async fn in_time<T>(
        &self,
        step: impl Future<Output = Result<T, TransportError>>,
    ) -> Result<T, TransportError> {
        match tokio::time::timeout(self.patience, step).await {
            Ok(done) => done,
            Err(_) => Err(TransportError::Failed(format!("nothing came for {:?}", self.patience))),
        }
    }

    /// RDMA has served, to the end.
    pub(super) fn served(&self) {
        lock(&self.switch).served();
    }

    pub(super) fn rdma_failed(&self, why: String) {
        add(&self.counts.rdma.failed, 1);
        let has_left = lock(&self.switch).failed(Instant::now());
        if has_left {
            add(&self.counts.left, 1);
            tracing::warn!(why, "RDMA is left for HTTP");
        }
        *lock(&self.why) = Some(why);
    }

    pub(super) fn stats(&self) -> AccessStats {
        let side = match self.rdma {
            Rdma::Absent(_) => Side::Http,
            Rdma::Present(_) => lock(&self.switch).side(),
        };
        let why = match (&self.rdma, side) {
            (Rdma::Absent(why), _) => Some(why.clone()),
            (Rdma::Present(_), Side::Http) => lock(&self.why).clone(),
            (Rdma::Present(_), Side::Rdma) => None,
        };
        self.counts.read(side, why)
    }

    /// RDMA, if it is the side now; if it is not and a probe is due, this makes one, which nobody waits for.
    fn rdma_now(self: &Arc<Self>) -> Option<Arc<dyn Transport>> {
        let Rdma::Present(rdma) = &self.rdma else {
            return None;
        };
        let is_due = {
            let mut switch = lock(&self.switch);
            if switch.side() == Side::Rdma {
                return Some(Arc::clone(rdma));
            }
            switch.is_due(Instant::now())
        };
        if is_due {
            let (ways, rdma) = (Arc::clone(self), Arc::clone(rdma));
            tokio::spawn(async move {
                add(&ways.counts.rdma.probes, 1);
                let probed = ways.in_time(rdma.probe()).await;
                if lock(&ways.switch).probed(probed.is_ok(), Instant::now()) {
                    add(&ways.counts.returned, 1);
                    tracing::info!("RDMA is taken back");
                }
                if let Err(error) = probed {
                    *lock(&ways.why) = Some(error.to_string());
                }
            });
        }
        None
    }
}

/// What a panic elsewhere does not take away.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
