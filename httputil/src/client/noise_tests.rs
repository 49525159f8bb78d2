//! What is logged: each decision, once, and little of what fails all the time; the counters tell the rest.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::header::LOCATION;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use super::Client;
use super::memory::{self, answer};
use crate::settings::{Policy, Profile};

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

/// Keeps the words of each event of ours.
#[derive(Clone, Default)]
struct Words(Arc<Mutex<Vec<String>>>);

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0.lock().unwrap().push(format!("{value:?}"));
        }
    }
}

impl Subscriber for Words {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("httputil")
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        event.record(&mut self.clone());
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// A client whose server answers `/slow` the first time after twenty seconds, and otherwise as the path says.
fn client(change: impl FnOnce(&mut Policy)) -> Client {
    let mut profile = Profile::named("test");
    profile.policy.retry.max_attempts = 1;
    change(&mut profile.policy);
    let asked = Arc::new(AtomicUsize::new(0));
    let (client, _) = memory::client(profile, move |request| {
        let path = request.uri().path().to_owned();
        let is_late = path == "/slow" && asked.fetch_add(1, Ordering::SeqCst) == 0;
        async move {
            if is_late {
                tokio::time::sleep(Duration::from_secs(20)).await;
            }
            Some(match path.as_str() {
                "/fails" => answer(503, &[]),
                "/loop" => answer(302, &[(LOCATION, "/loop")]),
                _ => answer(200, &[]),
            })
        }
    });
    client
}

#[tokio::test(start_paused = true)]
async fn each_decision_about_a_request_is_told_when_it_is_made() {
    let words = Words::default();
    // As above.
    let _another = tracing::Dispatch::new(Words::default());
    let _listening = tracing::subscriber::set_default(words.clone());
    let told = |what: &str| {
        let told = std::mem::take(&mut *words.0.lock().unwrap());
        let many = told.iter().filter(|line| line.contains(what)).count();
        assert_eq!(many, 1, "{what}: {told:#?}");
    };
    let get = |client: &Client, path: &str| client.get(format!("http://server{path}")).send();

    let shedding = client(|policy| {
        policy.limit.max_concurrent = Some(1);
        policy.limit.queue = Some(0);
    });
    let held = tokio::spawn(get(&shedding, "/slow"));
    memory::settled().await;
    get(&shedding, "/").await.unwrap_err();
    told("shed: a limit is reached");
    held.abort();

    let broken = client(|policy| policy.breaker.min_requests = 1);
    get(&broken, "/fails").await.unwrap();
    told("breaker open");
    get(&broken, "/fails").await.unwrap_err();
    told("not sent: the breaker of");
    tokio::time::advance(Duration::from_mins(5)).await;
    get(&broken, "/").await.unwrap();
    told("breaker half-open");

    let hedging = |ratio, at_least| {
        client(move |policy| {
            policy.hedge_after = Some(Duration::from_secs(1));
            (policy.retry.budget_ratio, policy.retry.budget_min_per_second) = (ratio, at_least);
        })
    };
    get(&hedging(0.1, 10), "/slow").await.unwrap();
    told("hedge won");
    get(&hedging(0.0, 0), "/slow").await.unwrap();
    told("not hedged, the host's budget is spent");

    get(&client(|_| {}), "/loop").await.unwrap_err();
    told("redirect refused");

    let bounded = client(|policy| policy.max_response_bytes = Some(1));
    drop(match get(&bounded, "/").await {
        Ok(response) => response.bytes().await.map(drop).unwrap_err().to_string(),
        Err(error) => error.to_string(),
    });
    told("cut: the response's body is larger than");
}
