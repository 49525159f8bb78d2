//! Bounds for everything that a test awaits: a hang becomes a sentence and a line number.

use std::future::Future;
use std::panic::Location;
use std::time::Duration;

/// How long the kit waits for something that should happen at once. Long enough for a loaded machine, since a test
/// that passes never uses it up.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// The future's output, or a panic at the caller's line when it takes longer than `duration`.
///
/// ```
/// # use std::time::Duration;
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let answer = httputil_tests::within(Duration::from_secs(1), async { 42 }).await;
/// assert_eq!(answer, 42);
/// # }
/// ```
#[track_caller]
pub fn within<F: Future>(duration: Duration, future: F) -> impl Future<Output = F::Output> {
    let caller = Location::caller();
    async move {
        let done = tokio::time::timeout(duration, future).await;
        done.unwrap_or_else(|_| panic!("{caller}: still waiting after {duration:?}"))
    }
}
