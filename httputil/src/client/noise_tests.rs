//! What is logged: each decision, once, and little of what fails all the time; the counters tell the rest.

use std::fmt::{self, Write as _};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::header::{CONTENT_ENCODING, LOCATION, RETRY_AFTER, UPGRADE, WWW_AUTHENTICATE};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use super::memory::{self, answer};
use super::{Attempt, AttemptLayer, Client, LayerFuture, Refused};
use crate::error::BoxError;
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
                "/shut" => answer(401, &[]),
                "/later" => answer(503, &[(RETRY_AFTER, "3600")]),
                "/loop" => answer(302, &[(LOCATION, "/loop")]),
                _ => answer(200, &[]),
            })
        }
    });
    client
}

/// Has always another key.
struct Renewing;

impl AttemptLayer for Renewing {
    fn sign<'a>(&'a self, _: &'a mut Attempt<'_>) -> LayerFuture<'a, Result<(), BoxError>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn refresh<'a>(&'a self, _: &'a Refused) -> LayerFuture<'a, bool> {
        Box::pin(std::future::ready(true))
    }
}

#[tokio::test(start_paused = true)]
async fn each_decision_about_a_request_is_told_when_it_is_made() {
    let words = Words::default();
    // As above.
    let _another = tracing::Dispatch::new(Words::default());
    let _listening = tracing::subscriber::set_default(words.clone());
    let told = |what: &str| {
        let told = std::mem::take(&mut *words.0.lock().unwrap());
        let many = told.iter().filter(|line| line.starts_with(what)).count();
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
    assert_eq!(broken.stats().breaker_refusals, 1);
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

    let lost = client(|_| {});
    get(&lost, "/loop").await.unwrap_err();
    told("redirect refused");
    assert_eq!((lost.stats().redirects, lost.stats().redirects_refused), (10, 1));

    let hasty = client(|policy| policy.timeout = Some(Duration::from_secs(1)));
    get(&hasty, "/slow").await.unwrap_err();
    assert_eq!(hasty.stats().timed_out, 1);
    told("timed out after 1 s (timeout), waiting for the response header");

    let patient = |attempts| client(move |policy| policy.retry.max_attempts = attempts);
    get(&patient(1), "/fails").await.unwrap();
    told("not retried, no attempt is left");
    let impatient = patient(3);
    impatient.get("http://server/fails").retry(false).send().await.unwrap();
    told("not retried, the request wants no retry");
    patient(3).post("http://server/fails").send().await.unwrap();
    told("not retried, it must not be sent twice");
    get(&patient(3), "/later").await.unwrap();
    told("not retried, it is asked for a longer pause than retry.max_retry_after");
    assert_eq!(impatient.stats().retries, 0);

    let choosing = client(|policy| {
        policy.base_url = ["http://one", "http://two"].map(str::to_owned).to_vec();
        policy.breaker.min_requests = 1;
    });
    choosing.get("/fails").send().await.unwrap();
    told("breaker open");
    choosing.get("/").send().await.unwrap();
    told("endpoint passed over: its breaker is open");
    assert_eq!(choosing.stats().endpoints_passed_over, 1);

    let renewing = client(|_| {}).with_attempt_layer(Renewing);
    get(&renewing, "/shut").await.unwrap();
    told("401: the credentials were looked for again");
    assert_eq!(renewing.stats().credentials_renewed, 1);
    assert_eq!(lost.stats().credentials_renewed, 0);

    let bounded = client(|policy| policy.max_response_bytes = Some(1));
    drop(match get(&bounded, "/").await {
        Ok(response) => response.bytes().await.map(drop).unwrap_err().to_string(),
        Err(error) => error.to_string(),
    });
    told("cut: the response's body is larger than");
}

/// Keeps the longest line, with all that stands in it.
#[derive(Clone, Default)]
struct Longest(Arc<Mutex<String>>);

/// A line in the making.
struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _ = write!(self.0, " {}={value:?}", field.name());
    }
}

impl Subscriber for Longest {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("httputil")
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut line = Line(String::new());
        span.record(&mut line);
        self.keep(line);
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        let mut line = Line(String::new());
        values.record(&mut line);
        self.keep(line);
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        self.keep(line);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

impl Longest {
    fn keep(&self, line: Line) {
        let mut longest = self.0.lock().unwrap();
        if line.0.len() > longest.len() {
            *longest = line.0;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn no_line_is_long_whatever_a_server_says_in_its_answers() {
    let longest = Longest::default();
    // As above.
    let _another = tracing::Dispatch::new(Longest::default());
    let _listening = tracing::subscriber::set_default(longest.clone());
    let mut profile = Profile::named("test");
    profile.policy.retry.budget_min_per_second = 1000;
    let very = "x".repeat(20_000);
    let long = very.clone();
    let (client, _) = memory::client(profile, move |request| {
        let path = request.uri().path().to_owned();
        let to = |status: u16, location: String| Some(answer(status, &[(LOCATION, &location)]));
        let came = match path.split('/').nth(1).unwrap() {
            "path" => to(302, format!("/fails/{long}")),
            "lost" => to(302, format!("/hangs/{long}")),
            "host" => to(302, format!("http://{long}.test/")),
            "query" => to(302, format!("/?{long}#{long}")),
            "down" => to(302, format!("ftp://{long}/")),
            "loop" => to(302, format!("/loop/{}", long.len() + path.len())),
            "fails" => Some(answer(503, &[(RETRY_AFTER, &long), (WWW_AUTHENTICATE, &long)])),
            "coding" => Some(answer(200, &[(CONTENT_ENCODING, &long)])),
            "upgrade" => Some(answer(101, &[(UPGRADE, &long)])),
            "hangs" => None,
            _ => Some(answer(200, &[])),
        };
        std::future::ready(came)
    });
    for path in [
        "path", "lost", "host", "query", "down", "loop", "fails", "coding", "upgrade",
    ] {
        let told = match client.get(format!("http://server/{path}")).send().await {
            Ok(response) => response.bytes().await.err().map(|error| error.to_string()),
            Err(error) => Some(error.to_string()),
        };
        let told = told.unwrap_or_default();
        assert!(told.len() < MOST, "{path}: {} bytes: {told:.300}", told.len());
        let line = std::mem::take(&mut *longest.0.lock().unwrap());
        assert!(line.len() < MOST, "{path}: {} bytes: {line:.300}", line.len());
    }
}

/// A message is cut at a thousand characters, and there are a URL and some names beside it.
const MOST: usize = 2000;
