//! Memory over very many requests.

use httputil::Client;
use httputil_tests::one_attempt;
use httputil_tests::server::{Server, handlers};
use tokio::task::JoinSet;

use crate::ALONE;
use crate::common::{assert_all_gone, get};

/// Set to a million where there is time for it, in release.
const SOAK: &str = "SOAK_REQUESTS";

/// Kilobytes of the process that are in memory.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

async fn send(client: &Client, url: &str, requests: usize) {
    let mut running = JoinSet::new();
    for _ in 0..16 {
        let (client, url) = (client.clone(), url.to_owned());
        running.spawn(async move {
            for number in 0..requests / 16 {
                match number % 50 {
                    // Taken back on its way, and half-read.
                    7 => drop(tokio::time::timeout(std::time::Duration::ZERO, client.get(&url).send()).await),
                    9 => drop(client.get(&url).send().await.unwrap()),
                    _ => assert_eq!(get(&client, &url).await, "hello"),
                }
            }
        });
    }
    while let Some(ended) = running.join_next().await {
        ended.unwrap();
    }
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_is_flat_over_very_many_requests() {
    let _alone = ALONE.lock().await;
    let requests: usize = std::env::var(SOAK).map_or(20_000, |set| set.parse().unwrap());
    for h2 in [false, true] {
        let builder = Server::builder().handler(handlers::fixed("hello"));
        let server = if h2 { builder.h2() } else { builder }.start().await;
        let client = Client::new(one_attempt().http2_prior_knowledge(h2).max_idle_per_host(16)).unwrap();
        send(&client, &server.url("/"), requests / 4).await;
        let before = resident();
        send(&client, &server.url("/"), requests * 3 / 4).await;
        let grown = resident().saturating_sub(before);
        // The test's own books keep a line for each of the connections that half-read and taken back requests cost: of a
        // million requests some ten thousand. A leak of sixteen bytes a request would be more.
        assert!(grown < 4096 + requests as u64 / 64, "grown by {grown} kB, h2: {h2}");
        assert_all_gone(&client).await;
    }
}
