//! Sending many requests, a few at a time, and taking the time of each.

use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::Version;
use tokio::task::JoinSet;

/// What a load came to.
pub(crate) struct Measured {
    pub(crate) requests: usize,
    pub(crate) version: Version,
    /// The very first request, on a connection that it had to wait for.
    pub(crate) first: Duration,
    /// The median of all the others.
    pub(crate) later: Duration,
}

/// Sends `requests`, `at_once` at a time, the first one alone.
pub(crate) async fn run<F>(
    requests: usize,
    at_once: usize,
    one: impl Fn() -> F,
) -> Result<Measured, Box<dyn std::error::Error + Send + Sync>>
where
    F: Future<Output = Result<Version, Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
{
    let began = Instant::now();
    let version = one().await?;
    let first = began.elapsed();

    let places = Arc::new(tokio::sync::Semaphore::new(at_once));
    let mut running = JoinSet::new();
    for _ in 1..requests {
        let place = Arc::clone(&places).acquire_owned().await?;
        let request = one();
        running.spawn(async move {
            let began = Instant::now();
            request.await?;
            drop(place);
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(began.elapsed())
        });
    }
    let mut later = Vec::with_capacity(requests);
    while let Some(took) = running.join_next().await {
        later.push(took??);
    }
    later.sort_unstable();
    Ok(Measured {
        requests,
        version,
        first,
        later: later[later.len() / 2],
    })
}
