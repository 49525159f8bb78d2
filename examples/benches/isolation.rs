//! What a small request waits for while bulk transfers fill their pool and another server hangs: with a pool for each
//! profile, as profiles have it, beside one pool of as many connections for all. Prints a table in Markdown.
//!
//! All servers are a round trip away, so that the processors of the machine, which all sides share, are not what is measured.
//! The transfers go at a pace; there are twice as many as their pool has connections, and so there are of those that hang.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body::{Body, Frame};
use httputil::{Client, Config, Environment, Registry};
use httputil_tests::distance::Distance;
use httputil_tests::server::Server;
use reqwest::Response;
use tokio::task::JoinSet;
use tokio::time::{Interval, interval};

const ROUND_TRIP: Duration = Duration::from_millis(10);
/// Connections of each pool that is full; the one pool for all has as many as both.
const CAP: u64 = 32;
/// Small requests at once, of each of the two critical profiles.
const ASKERS: usize = 4;
/// Of each, in a round.
const REQUESTS: usize = 150;
const ROUNDS: usize = 4;
/// Many will not be served behind the others.
const REQUESTS_BEHIND: usize = 10;
/// One that hangs is given up then, and made again.
const HANGS: Duration = Duration::from_secs(1);
const TRANSFERS: Duration = Duration::from_secs(30);
const SLOWER: f64 = 2.0;

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
    let scene = Scene::start().await;
    let (mut alone, mut beside) = (Latencies::default(), Latencies::default());
    let (mut quietest_alone, mut quietest_beside) = (Duration::MAX, Duration::MAX);
    let own = profiles(CAP, "");
    for _ in 0..ROUNDS {
        let registry = registry(&own);
        let round = scene.ask(&registry, REQUESTS).await;
        quietest_alone = quietest_alone.min(round.quantile(99));
        alone.extend(round);
        let load = scene.load(&registry).await;
        let round = scene.ask(&registry, REQUESTS).await;
        quietest_beside = quietest_beside.min(round.quantile(99));
        beside.extend(round);
        assert_full(&registry);
        drop(load);
    }
    let registry = registry(&profiles(2 * CAP, "pool.name = 'all'\n"));
    let load = scene.load(&registry).await;
    let behind = scene.ask(&registry, REQUESTS_BEHIND).await;
    drop(load);

    println!(
        "| a small request, {} ms away | p50 | p99 | failed |\n|---|---|---|---|",
        ROUND_TRIP.as_millis()
    );
    alone.print("nothing else");
    beside.print(&format!("bulk fills its {CAP} connections, a third's server hangs"));
    behind.print(&format!("the same in one pool of {}", 2 * CAP));
    // What else the machine does only ever adds.
    let times = quietest_beside.as_secs_f64() / quietest_alone.as_secs_f64();
    println!("\nbeside the others p99 is {times:.2} times what it is alone, each in the quietest of {ROUNDS} rounds");
    let mut missed = Vec::new();
    if times > SLOWER {
        missed.push(format!(
            "p99 beside the others is more than {SLOWER} times what it is alone"
        ));
    }
    if alone.failed + beside.failed > 0 {
        missed.push("requests failed".to_owned());
    }
    missed
}

/// Two critical profiles, bulk and a third; each waits for a connection for two seconds.
fn profiles(cap: u64, pool: &str) -> String {
    let mut toml = format!(
        "[default]\ntimeouts.pool_wait = '2s'\nretry.max_attempts = 1\nbreaker.enabled = false\npool.max_connections = {cap}\n"
    );
    for name in ["telemetry", "audit", "bulk", "third"] {
        let _ = write!(toml, "[{name}]\ndescription = '{name}'\n{pool}");
    }
    toml
}

fn registry(toml: &str) -> Registry {
    let config = Config::builder()
        .embedded("isolation.toml", toml.to_owned())
        .env(&Environment::empty())
        .load()
        .unwrap_or_else(|error| panic!("{error}"));
    Registry::builder().config(config).build().expect("a registry")
}

fn client(registry: &Registry, name: &str) -> Client {
    registry.client(name).expect("the profile is there")
}

/// Whether both pools are full, with others in line: else nothing was shown. What was given up a moment ago is being dialled
/// again.
fn assert_full(registry: &Registry) {
    for name in ["bulk", "third"] {
        let stats = client(registry, name).stats();
        assert!(
            stats.open + stats.dials_in_progress >= CAP && stats.waiting > 0,
            "{stats:?}"
        );
    }
}

/// The servers, and the ways to them.
struct Scene {
    _servers: [Server; 3],
    small: Distance,
    bulk: Distance,
    third: Distance,
}

impl Scene {
    async fn start() -> Scene {
        let small = Server::builder().start().await;
        let bulk = Server::builder()
            .handler(|_| std::future::ready(http::Response::new(Paced::new())))
            .start()
            .await;
        let third = Server::builder()
            .handler(|_| std::future::pending::<http::Response<Paced>>())
            .start()
            .await;
        let way = |server: &Server| Distance::to(server.addr(), ROUND_TRIP);
        let (to_small, to_bulk, to_third) = (way(&small).await, way(&bulk).await, way(&third).await);
        Scene {
            _servers: [small, bulk, third],
            small: to_small,
            bulk: to_bulk,
            third: to_third,
        }
    }

    /// Transfers and requests that hang, twice as many as there are connections for, until it is dropped.
    async fn load(&self, registry: &Registry) -> JoinSet<()> {
        let mut load = JoinSet::new();
        for (name, way, patience) in [("bulk", &self.bulk, TRANSFERS), ("third", &self.third, HANGS)] {
            for _ in 0..2 * CAP {
                let (client, url) = (client(registry, name), url(way));
                load.spawn(async move {
                    loop {
                        // Where it waits for a connection in vain, it does so again.
                        let _ =
                            tokio::time::timeout(patience, async { read(client.get(&url).send().await).await }).await;
                    }
                });
            }
        }
        let full = async {
            let open = || client(registry, "bulk").stats().open + client(registry, "third").stats().open;
            while open() < 2 * CAP {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), full)
            .await
            .expect("the pools are full by then");
        load
    }

    /// How long so many small requests of both critical profiles take.
    async fn ask(&self, registry: &Registry, requests: usize) -> Latencies {
        let mut asking = JoinSet::new();
        for name in ["telemetry", "audit"] {
            for _ in 0..ASKERS {
                let (client, url) = (client(registry, name), url(&self.small));
                // What a profile has done before is not its load's fault.
                let _ = read(client.get(&url).send().await).await;
                asking.spawn(async move {
                    let mut latencies = Latencies::default();
                    for _ in 0..requests {
                        let began = Instant::now();
                        match read(client.get(&url).send().await).await {
                            Ok(()) => latencies.took.push(began.elapsed()),
                            Err(_) => latencies.failed += 1,
                        }
                    }
                    latencies
                });
            }
        }
        let mut all = Latencies::default();
        for latencies in asking.join_all().await {
            all.extend(latencies);
        }
        all
    }
}

async fn read(answer: Result<Response, httputil::Error>) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    answer?.bytes().await?;
    Ok(())
}

fn url(way: &Distance) -> String {
    format!("http://{}/", way.addr())
}

#[derive(Default)]
struct Latencies {
    took: Vec<Duration>,
    failed: usize,
}

impl Latencies {
    fn extend(&mut self, other: Latencies) {
        self.took.extend(other.took);
        self.failed += other.failed;
    }

    fn quantile(&self, percent: usize) -> Duration {
        let mut sorted = self.took.clone();
        sorted.sort_unstable();
        let at = (sorted.len() * percent).div_ceil(100);
        sorted.get(at.saturating_sub(1)).copied().unwrap_or_default()
    }

    fn print(&self, what: &str) {
        let milliseconds = |percent| {
            if self.took.is_empty() {
                return "none came".to_owned();
            }
            format!("{:.1} ms", self.quantile(percent).as_secs_f64() * 1e3)
        };
        let all = self.took.len() + self.failed;
        println!(
            "| {what} | {} | {} | {} of {all} |",
            milliseconds(50),
            milliseconds(99),
            self.failed
        );
    }
}

static PIECE: [u8; 1 << 16] = [0; 1 << 16];

/// A transfer of 2 MiB in 32 pieces, one each 100 ms.
struct Paced {
    pace: Interval,
    left: usize,
}

impl Paced {
    fn new() -> Paced {
        Paced {
            pace: interval(Duration::from_millis(100)),
            left: 32,
        }
    }
}

impl Body for Paced {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        ready!(self.pace.poll_tick(cx));
        self.left -= 1;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&PIECE)))))
    }
}
