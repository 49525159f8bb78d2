//! A thousand objects of 64 KiB from one store to another, each 20 ms of round trip away: the service, beside what the
//! services did that httputil is for, a client made for each request. Prints a table in Markdown.
//!
//! The other side is told twice: one object after another, and as many at once as the service has under way. Its URLs are
//! signed beforehand, so that it pays for nothing but requests.

use std::sync::Arc;
use std::time::{Duration, Instant};

use httputil::{Config, Registry};
use httputil_tests::distance::Distance;
use reqwest::Method;
use services::peers::{Content, S3Peer};
use services::s3::{Location, presigned};
use services::s3_migration::BucketMigration;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

const ROUND_TRIP: Duration = Duration::from_millis(20);
const OBJECTS: usize = 1000;
const SIZE: u64 = 64 << 10;
/// As many as the profile has under way.
const AT_ONCE: usize = 32;
/// Of the slowest side, fewer do: each takes as long as the next.
const ONE_AFTER_ANOTHER: usize = 100;
/// The profile's.
const CAP: usize = 64;
const FASTER: f64 = 10.0;

fn main() {
    // `cargo test --benches` only wants to know that it runs.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime can be made");
    let missed = runtime.block_on(compare());
    if !missed.is_empty() {
        eprintln!("\n{}", missed.join("\n"));
        std::process::exit(1);
    }
}

async fn compare() -> Vec<String> {
    println!(
        "| {OBJECTS} objects over {} ms | objects a second | sockets to each store |",
        ROUND_TRIP.as_millis()
    );
    println!("|---|---|---|");
    let ours = Way::new().await.by_the_service().await;
    ours.print(&format!("the service, {AT_ONCE} at once"));
    let at_once = Way::new().await.by_clients(OBJECTS, AT_ONCE).await;
    at_once.print(&format!("a client for each request, {AT_ONCE} at once"));
    let alone = Way::new().await.by_clients(ONE_AFTER_ANOTHER, 1).await;
    alone.print("a client for each request, one object after another");
    println!(
        "\n{:.1} times as fast as as many at once, {:.1} times as fast as one after another",
        ours.rate / at_once.rate,
        ours.rate / alone.rate
    );
    let mut missed = Vec::new();
    if ours.rate < FASTER * alone.rate {
        missed.push(format!(
            "the service is not {FASTER} times as fast as a client for each request"
        ));
    }
    if ours.sockets > CAP {
        missed.push(format!(
            "the service has {} connections, and the cap is {CAP}",
            ours.sockets
        ));
    }
    missed
}

/// From one store to the other.
struct Way {
    from: S3Peer,
    to: S3Peer,
    there: Distance,
    here: Distance,
}

struct Measured {
    rate: f64,
    sockets: usize,
}

impl Measured {
    fn print(&self, name: &str) {
        println!("| {name} | {:.0} | {} |", self.rate, self.sockets);
    }
}

impl Way {
    async fn new() -> Way {
        let (from, to) = (S3Peer::start().await, S3Peer::start().await);
        for number in 0..OBJECTS {
            from.put("old", &key(number), Content::Made(SIZE), []);
        }
        let there = Distance::to(from.server.addr(), ROUND_TRIP).await;
        let here = Distance::to(to.server.addr(), ROUND_TRIP).await;
        Way { from, to, there, here }
    }

    async fn by_the_service(&self) -> Measured {
        let mut config =
            Config::builder().embedded("the profiles as shipped", include_str!("../../config/httputil.toml"));
        let mut values = self.from.settings("s3_migration.settings.from", "old");
        values.extend(self.to.settings("s3_migration.settings.to", "new"));
        for (end, distance) in [("from", &self.there), ("to", &self.here)] {
            values.push((format!("s3_migration.settings.{end}.endpoint"), url(distance)));
        }
        for (key, value) in values {
            config = config.set(key, value);
        }
        let config = config.load().unwrap_or_else(|error| panic!("{error}"));
        let registry = Registry::builder().config(config).build().expect("a registry");
        let migration = BucketMigration::with_registry(&registry).expect("the service");
        let began = Instant::now();
        let report = migration.run("").await.unwrap();
        assert_eq!(
            (report.copied, report.failed.len()),
            (OBJECTS as u64, 0),
            "{:?}",
            report.failed
        );
        self.measured(began, OBJECTS)
    }

    async fn by_clients(&self, objects: usize, at_once: usize) -> Measured {
        let at = |peer: &S3Peer, bucket, distance| Location {
            endpoint: url(distance).parse().expect("an address is a URL"),
            ..peer.location(bucket)
        };
        let (from, to) = (at(&self.from, "old", &self.there), at(&self.to, "new", &self.here));
        let hour = Duration::from_hours(1);
        let signed = |number| {
            let key = key(number);
            let get = presigned(&Method::GET, &from, &key, hour).expect("it can be signed");
            (get, presigned(&Method::PUT, &to, &key, hour).expect("it can be signed"))
        };
        let urls: Vec<(String, String)> = (0..objects).map(signed).collect();
        let places = Arc::new(Semaphore::new(at_once));
        let began = Instant::now();
        let mut under_way = JoinSet::new();
        for (get, put) in urls {
            let place = Arc::clone(&places).acquire_owned().await.expect("it is not closed");
            under_way.spawn(async move {
                let _place = place;
                let client = || reqwest::Client::builder().no_proxy().build().expect("a client");
                let object = client().get(get).send().await.unwrap().error_for_status().unwrap();
                let object = object.bytes().await.unwrap();
                client()
                    .put(put)
                    .body(object)
                    .send()
                    .await
                    .unwrap()
                    .error_for_status()
                    .unwrap();
            });
        }
        under_way.join_all().await;
        self.measured(began, objects)
    }

    fn measured(&self, began: Instant, objects: usize) -> Measured {
        let took = began.elapsed();
        assert_eq!(self.to.keys("new").len(), objects);
        Measured {
            rate: objects as f64 / took.as_secs_f64(),
            sockets: self.there.accepted().max(self.here.accepted()),
        }
    }
}

fn key(number: usize) -> String {
    format!("photos/{number}")
}

fn url(distance: &Distance) -> String {
    format!("http://{}", distance.addr())
}
