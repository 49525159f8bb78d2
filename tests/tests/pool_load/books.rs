//! After any mixture of requests, stops and errors the books balance and nothing is left.

use std::time::Duration;

use httputil_tests::leaks::Baseline;
use httputil_tests::resolver::{Answer, ScriptedResolver};
use httputil_tests::server::Server;
use httputil_tests::tcp::ClosedPort;

use crate::ALONE;
use crate::common::{TrustedCa, Way, assert_accounted, get, until, url};
use crate::scatter::Scatter;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_requests_stops_and_errors_in_a_random_order_what_was_dialled_is_open_or_closed_and_nothing_is_left() {
    let _alone = ALONE.lock().await;
    let baseline = Baseline::take();
    {
        let ca = TrustedCa::new();
        let mut servers = Vec::new();
        for way in Way::ALL {
            servers.push(way.start(Server::builder(), &ca).await);
        }
        let refuses = ClosedPort::new();
        let resolver = ScriptedResolver::new().name("localhost", Answer::to(["127.0.0.1:0"]));
        let registry = ca.registry("[default.pool]\nmax_connections_per_host = 4\n", &resolver);
        let keeps = registry.client("default").unwrap();
        let mut running = tokio::task::JoinSet::new();
        for seed in 0..8 {
            let (registry, mut scatter) = (registry.clone(), Scatter::new(seed));
            let urls: Vec<_> = servers
                .iter()
                .flat_map(|server| ["/", "/bytes/300000", "/close"].map(|path| url(server, path)))
                .collect();
            let dead = format!("http://{}/", refuses.addr());
            running.spawn(async move {
                let mut client = registry.client("default").unwrap();
                for _ in 0..200 {
                    let url = &urls[scatter.below(urls.len())];
                    let pause = Duration::from_micros(scatter.below(2000) as u64);
                    match scatter.below(8) {
                        0 => drop(client.get(url).send().await.unwrap()),
                        1 => drop(tokio::time::timeout(pause, client.get(url).send()).await),
                        2 => drop(client.post(url).body(vec![1; 100_000]).timeout(pause).send().await),
                        3 => drop(client.get(&dead).send().await.unwrap_err()),
                        4 => client.close_idle_connections(),
                        5 => {
                            client.stop();
                            client = registry.client("default").unwrap();
                        }
                        _ => drop(get(&client, url).await),
                    }
                }
            });
        }
        while let Some(ended) = running.join_next().await {
            ended.unwrap();
        }
        keeps.stop();
        until(&keeps, "all to be closed", |stats| {
            (stats.open, stats.waiting, stats.dials_in_progress, stats.leases) == (0, 0, 0, 0)
        })
        .await;
        let stats = keeps.stats();
        assert_accounted(&stats);
        let by_host = keeps.host_stats();
        let sum = |count: fn(&httputil::HostStats) -> u64| by_host.iter().map(count).sum::<u64>();
        assert_eq!(sum(|host| host.dials_started), stats.dials_started);
        assert_eq!(sum(httputil::HostStats::closed_total), stats.closed_total());
        assert_eq!(sum(|host| host.requests), stats.requests);
        assert_eq!(
            sum(httputil::HostStats::dial_failures_total),
            stats.dial_failures_total()
        );
        for server in &servers {
            server.until_open(0).await;
            server.stop().await;
        }
    }
    baseline.assert_no_leak().await;
}
