//! How much is logged of what fails all the time: the counters tell the rest.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use super::memory::{self, answer};
use crate::settings::Profile;

/// Counts the lines that an operator sees.
#[derive(Clone, Default)]
struct Lines(Arc<AtomicUsize>);

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::INFO
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[tokio::test(start_paused = true)]
async fn a_host_that_fails_for_minutes_is_told_of_when_its_breaker_changes() {
    let lines = Lines::default();
    // While there is only one subscriber, tracing asks that of whichever thread first comes by an event whether anybody
    // wants it, and other tests' threads have none. With two it asks them all.
    let _another = tracing::Dispatch::new(Lines::default());
    let _listening = tracing::subscriber::set_default(lines.clone());
    for status in [0, 503] {
        lines.0.store(0, Ordering::SeqCst);
        let (client, _) = memory::client(Profile::named("test"), move |_| {
            std::future::ready((status > 0).then(|| answer(status, &[])))
        });
        for _ in 0..5000 {
            drop(client.get("http://server/").send().await);
            tokio::time::advance(Duration::from_millis(50)).await;
        }
        let stats = client.stats();
        assert!(stats.breaker_refusals > 1000, "{stats:?}");
        // Each time that it opens, and that the host is asked again.
        let told = lines.0.load(Ordering::SeqCst);
        assert!(
            told > 0 && told as u64 <= 2 * stats.breaker_openings,
            "{told}: {stats:?}"
        );
        assert!(stats.breaker_openings < 12, "{stats:?}");
    }
}
