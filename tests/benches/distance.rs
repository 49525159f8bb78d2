//! What a pool saves: the first request and the next one over some distance, beside a client made for each request, as the
//! services did that httputil is for. Prints a table in Markdown.
//!
//! The time is that of round trips, so it tells the same on every machine; the machine's own part is a millisecond or two.

use std::sync::Arc;
use std::time::{Duration, Instant};

use httputil_tests::ca::Ca;
use httputil_tests::distance::Distance;
use httputil_tests::server::{Server, handlers};
use httputil_tests::tls::{Alpn, ServerTls};
use rustls::SupportedProtocolVersion;
use rustls::version::{TLS12, TLS13};

/// A way to speak, and how many round trips the first answer takes: TCP, TLS and the request, one each, and one more for
/// TLS 1.2.
struct Way {
    name: &'static str,
    tls: Option<(Alpn, &'static SupportedProtocolVersion)>,
    round_trips: u32,
}

const WAYS: [Way; 5] = [
    Way {
        name: "HTTP/1.1",
        tls: None,
        round_trips: 2,
    },
    Way {
        name: "HTTP/1.1, TLS 1.2",
        tls: Some((Alpn::H1, &TLS12)),
        round_trips: 4,
    },
    Way {
        name: "HTTP/1.1, TLS 1.3",
        tls: Some((Alpn::H1, &TLS13)),
        round_trips: 3,
    },
    Way {
        name: "HTTP/2, TLS 1.2",
        tls: Some((Alpn::H2, &TLS12)),
        round_trips: 4,
    },
    Way {
        name: "HTTP/2, TLS 1.3",
        tls: Some((Alpn::H2, &TLS13)),
        round_trips: 3,
    },
];

/// Round trips, and requests to each of the two sides.
const DISTANCES: [(Duration, usize); 2] = [(Duration::from_millis(20), 25), (Duration::from_millis(100), 10)];

/// What a request may take beyond its round trips: the machine's own part, and the relay's rounding of each way. Less than
/// a round trip more would be.
const OVERHEAD: f64 = 0.9;

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
        "| round trip | protocol | first request | next requests | client per request | saved per request | sockets |"
    );
    println!("|---|---|---|---|---|---|---|");
    let mut missed = Vec::new();
    for (round_trip, requests) in DISTANCES {
        for way in &WAYS {
            let measured = measure(way, round_trip, requests).await;
            let Measured {
                first,
                next,
                fresh,
                pooled_sockets,
                fresh_sockets,
            } = measured;
            println!(
                "| {} ms | {} | {} ms | {} ms | {} ms | {} ms | {pooled_sockets} instead of {fresh_sockets} |",
                round_trip.as_millis(),
                way.name,
                first.as_millis(),
                next.as_millis(),
                fresh.as_millis(),
                fresh.saturating_sub(next).as_millis(),
            );
            let mut expect = |holds: bool, what: &str| {
                if !holds {
                    missed.push(format!("{} over {round_trip:?}: {what}", way.name));
                }
            };
            expect(
                next < round_trip.mul_f64(1.0 + OVERHEAD),
                "a pooled request takes more than its round trip",
            );
            expect(
                first < round_trip.mul_f64(f64::from(way.round_trips) + OVERHEAD),
                "the first request takes more round trips than the protocols need",
            );
            expect(
                fresh.saturating_sub(next) > round_trip.mul_f64(f64::from(way.round_trips - 1) - OVERHEAD),
                "the pool does not save the handshakes' round trips",
            );
            expect(
                pooled_sockets == 1 && fresh_sockets == requests,
                "the sockets are not one and one for each request",
            );
        }
    }
    missed
}

struct Measured {
    first: Duration,
    /// Median.
    next: Duration,
    /// Median.
    fresh: Duration,
    pooled_sockets: usize,
    fresh_sockets: usize,
}

async fn measure(way: &Way, round_trip: Duration, requests: usize) -> Measured {
    let ca = Ca::new();
    let mut server = Server::builder().handler(handlers::echo);
    if let Some((alpn, version)) = way.tls {
        let tls = ServerTls::new(ca.issue(["localhost"])).alpn(alpn).versions(&[version]);
        server = server.tls(tls.build());
    }
    let server = server.start().await;
    let scheme = if way.tls.is_some() { "https" } else { "http" };
    let url_by = |distance: &Distance| format!("{scheme}://localhost:{}/", distance.port());

    // What a process does once is not counted.
    pooled(&ca).get(server.url_for("localhost", "/")).send().await.unwrap();

    let distance = Distance::to(server.addr(), round_trip).await;
    let url = url_by(&distance);
    let pooled = pooled(&ca);
    let first = timed(async { pooled.get(&url).send().await.unwrap().bytes().await.unwrap() }).await;
    let mut next = Vec::new();
    for _ in 1..requests {
        next.push(timed(async { pooled.get(&url).send().await.unwrap().bytes().await.unwrap() }).await);
    }
    let pooled_sockets = distance.accepted();

    let distance = Distance::to(server.addr(), round_trip).await;
    let url = url_by(&distance);
    let root = reqwest::Certificate::from_pem(ca.pem().as_bytes()).unwrap();
    let mut fresh = Vec::new();
    for _ in 0..requests {
        let request = async {
            let client = reqwest::Client::builder()
                .no_proxy()
                .tls_certs_only([root.clone()])
                .build();
            client.unwrap().get(&url).send().await.unwrap().bytes().await.unwrap()
        };
        fresh.push(timed(request).await);
    }
    let fresh_sockets = distance.accepted();
    server.stop().await;
    Measured {
        first,
        next: median(next),
        fresh: median(fresh),
        pooled_sockets,
        fresh_sockets,
    }
}

fn pooled(ca: &Ca) -> httputil::Client {
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(ca.roots())
        .with_no_client_auth();
    httputil::Client::with_tls(Duration::from_secs(30), config).unwrap()
}

async fn timed<T>(future: impl Future<Output = T>) -> Duration {
    let began = Instant::now();
    future.await;
    began.elapsed()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}
