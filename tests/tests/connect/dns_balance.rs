//! `dns.balance = "round_robin"`: a host's requests go to all its addresses, and follow what the DNS adds and drops.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use httputil::{Client, CloseReason, PoolStats};
use httputil_tests::PATIENCE;
use httputil_tests::gate::Gate;
use httputil_tests::resolver::{Answer, ScriptedResolver};
use httputil_tests::server::{Server, handlers};
use httputil_tests::tcp::ClosedPort;
use tokio::task::JoinHandle;

use crate::addresses::{answer, loopback};
use crate::scene::{assert_balanced, client_with_names, eventually, get};

const TTL: Duration = Duration::from_millis(500);

const KEYS: &str = "dns.balance = \"round_robin\"\ndns.ttl = \"500ms\"\n";

/// Servers on one port, at `127.0.0.1` and on.
struct Fleet {
    servers: Vec<Server>,
    resolver: ScriptedResolver,
}

/// Takes a millisecond, as a server that has something to do.
async fn works(_: http::Request<hyper::body::Incoming>) -> Response<Full<Bytes>> {
    tokio::time::sleep(Duration::from_millis(1)).await;
    Response::new(Full::new("done".into()))
}

impl Fleet {
    async fn of(count: u8, h2: bool) -> Fleet {
        let builder = Server::builder().handler(works);
        let builder = if h2 { builder.h2() } else { builder };
        let mut servers = vec![builder.clone().start().await];
        for n in 2..=count {
            let port = servers[0].port();
            servers.push(builder.clone().start_beside(n, port).await);
        }
        Fleet {
            servers,
            resolver: ScriptedResolver::new(),
        }
    }

    /// What the name leads to from now on.
    fn lead_to(&self, to: impl IntoIterator<Item = u8>) {
        self.resolver.set("many.test", answer(to.into_iter().map(loopback)));
    }

    fn client(&self, keys: &str) -> Client {
        client_with_names(&self.resolver, &format!("{KEYS}{keys}"))
    }

    fn url(&self) -> String {
        self.servers[0].url_for("many.test", "/")
    }

    fn requests(&self) -> Vec<usize> {
        self.servers.iter().map(|server| server.requests()).collect()
    }

    /// What share of the next `many` requests each server gets, in hundredths.
    async fn shares_of_next(&self, many: usize) -> Vec<usize> {
        let before = self.requests();
        let total = |requests: &[usize]| requests.iter().sum::<usize>();
        let end = total(&before) + many;
        eventually("as many requests", || total(&self.requests()) >= end).await;
        let new: Vec<usize> = self
            .requests()
            .iter()
            .zip(&before)
            .map(|(now, before)| now - before)
            .collect();
        new.iter().map(|count| count * 100 / total(&new)).collect()
    }

    fn open(&self) -> Vec<usize> {
        self.servers.iter().map(|server| server.open()).collect()
    }
}

/// Requests one after another, from so many tasks, until told to stop; a failed one is a failed test.
struct Load {
    stops: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<usize>>,
}

impl Load {
    fn begin(client: &Client, url: &str, tasks: usize) -> Load {
        let stops = Arc::new(AtomicBool::new(false));
        let task = |_| {
            let (client, url, stops) = (client.clone(), url.to_owned(), Arc::clone(&stops));
            tokio::spawn(async move {
                let mut sent = 0;
                while !stops.load(Ordering::Relaxed) {
                    assert_eq!(get(&client, &url).await.expect("no request fails"), "done");
                    sent += 1;
                }
                sent
            })
        };
        Load {
            tasks: (0..tasks).map(task).collect(),
            stops,
        }
    }

    async fn end(self) -> usize {
        self.stops.store(true, Ordering::Relaxed);
        let mut sent = 0;
        for task in self.tasks {
            sent += task.await.expect("no request fails");
        }
        sent
    }
}

fn assert_even(shares: &[usize], stats: &PoolStats) {
    assert!(
        shares.iter().all(|share| (15..=35).contains(share)),
        "{shares:?} {stats:?}"
    );
}

/// From one server to four and back under load.
async fn scales_out_and_back(h2: bool, tasks: usize) {
    // One task takes some milliseconds for each, and more where the machine has other work.
    let some = if tasks == 1 { 40 } else { 200 };
    let fleet = Fleet::of(4, h2).await;
    fleet.lead_to([1]);
    let client = fleet.client(if h2 { "http2.prior_knowledge = true" } else { "" });
    let load = Load::begin(&client, &fleet.url(), tasks);
    assert_eq!(fleet.shares_of_next(some).await, [100, 0, 0, 0]);

    fleet.lead_to([1, 2, 3, 4]);
    tokio::time::sleep(2 * TTL).await;
    assert_even(&fleet.shares_of_next(5 * some).await, &client.stats());

    // Whatever is no answer changes nothing.
    let gone = client.stats().closed_for(CloseReason::AddressGone);
    for outage in [Answer::Empty, Answer::Fail("the zone is broken".into())] {
        fleet.resolver.set("many.test", outage);
        let calls = fleet.resolver.calls();
        fleet.resolver.until_calls(calls + 2).await;
        assert_even(&fleet.shares_of_next(2 * some).await, &client.stats());
    }
    assert_eq!(client.stats().closed_for(CloseReason::AddressGone), gone);

    fleet.lead_to([1]);
    tokio::time::sleep(2 * TTL).await;
    assert_eq!(fleet.shares_of_next(some).await, [100, 0, 0, 0]);
    let sent = load.end().await;
    assert_eq!(fleet.requests().iter().sum::<usize>(), sent, "none was sent twice");
    for server in &fleet.servers[1..] {
        server.until_open(0).await;
    }
    let stats = client.stats();
    assert!(stats.closed_for(CloseReason::AddressGone) >= 3, "{stats:?}");
    assert_eq!(stats.dial_failures_total(), 0);
    eventually("the pool to be at rest", || client.stats().in_use == 0).await;
    assert_balanced(&client.stats());
}

#[tokio::test]
async fn http1_requests_follow_a_name_from_one_server_to_four_and_back() {
    scales_out_and_back(false, 8).await;
}

#[tokio::test]
async fn http1_requests_one_at_a_time_go_to_all_servers_in_turn() {
    scales_out_and_back(false, 1).await;
}

#[tokio::test]
async fn http2_requests_follow_a_name_from_one_server_to_four_and_back() {
    scales_out_and_back(true, 8).await;
}

#[tokio::test]
async fn http2_has_one_connection_to_each_address_whatever_its_own_cap() {
    let fleet = Fleet::of(4, true).await;
    fleet.lead_to([1, 2, 3, 4]);
    let client = fleet.client("http2.prior_knowledge = true\nhttp2.max_connections_per_host = 1");
    let load = Load::begin(&client, &fleet.url(), 16);
    eventually("a connection to each", || client.stats().open == 4).await;
    assert_even(&fleet.shares_of_next(500).await, &client.stats());
    assert_eq!(fleet.open(), [1, 1, 1, 1]);
    load.end().await;
}

#[tokio::test]
async fn under_a_cap_connections_move_to_addresses_that_have_none() {
    let fleet = Fleet::of(4, false).await;
    fleet.lead_to([1]);
    let client = fleet.client("pool.max_connections_per_host = 4");
    let load = Load::begin(&client, &fleet.url(), 8);
    eventually("the cap to be reached", || client.stats().open == 4).await;
    fleet.lead_to([1, 2, 3, 4]);
    tokio::time::sleep(2 * TTL).await;
    assert_even(&fleet.shares_of_next(500).await, &client.stats());
    load.end().await;
    let stats = client.stats();
    // One that was told to close counts until its socket is gone, so that another may be told for nothing.
    let moved = stats.closed_for(CloseReason::Rebalanced);
    assert!((3..=6).contains(&moved), "{stats:?}");
    assert!(stats.open <= 4);
}

#[tokio::test]
async fn a_request_under_way_to_an_address_that_goes_is_answered_and_then_its_connection_closes() {
    for h2 in [false, true] {
        let gate = Gate::new();
        let held = Server::builder().handler(handlers::hold(&gate, handlers::fixed("held")));
        let held = if h2 { held.h2() } else { held };
        let going = held.start().await;
        let staying = Server::builder();
        let staying = if h2 { staying.h2() } else { staying };
        let staying = staying.start_beside(2, going.port()).await;
        let resolver = ScriptedResolver::new().name("many.test", answer([loopback(1)]));
        gate.shut();
        let client = client_with_names(
            &resolver,
            &format!("{KEYS}http2.prior_knowledge = {h2}\ndns.ttl = \"50ms\"").replace("dns.ttl = \"500ms\"\n", ""),
        );
        let url = going.url_for("many.test", "/");
        let waits = tokio::spawn({
            let (client, url) = (client.clone(), url.clone());
            async move { get(&client, url).await }
        });
        gate.arrived(1).await;
        resolver.set("many.test", answer([loopback(2)]));
        // On h2 it shares the connection until the look-up is done.
        gate.let_through(0);
        let began = std::time::Instant::now();
        while staying.requests() == 0 {
            assert!(began.elapsed() < PATIENCE, "the new address is not used");
            let asking = tokio::time::timeout(Duration::from_millis(100), get(&client, &url));
            let _ = asking.await;
        }
        assert!(!waits.is_finished());
        gate.open();
        assert_eq!(waits.await.unwrap().unwrap(), "held");
        going.until_open(0).await;
        eventually("the close to be counted", || {
            client.stats().closed_for(CloseReason::AddressGone) > 0
        })
        .await;
        assert_eq!(get(&client, &url).await.unwrap(), "hello");
    }
}

#[tokio::test]
async fn an_address_that_refuses_fails_no_request_and_is_left_alone() {
    let fleet = Fleet::of(3, false).await;
    let _refuses = ClosedPort::on([127, 0, 0, 4].into(), fleet.servers[0].port());
    fleet.lead_to([4, 1, 2, 3]);
    let client = fleet.client("");
    let load = Load::begin(&client, &fleet.url(), 8);
    let shares = fleet.shares_of_next(1000).await;
    assert!(shares.iter().all(|share| (20..=50).contains(share)), "{shares:?}");
    load.end().await;
    let stats = client.stats();
    assert_eq!(stats.dial_failures_total(), 0);
    assert!(stats.dials_started < 40, "it is not dialled again and again: {stats:?}");
}

#[tokio::test]
async fn more_addresses_than_may_be_idle_are_not_dialled_for_each_request() {
    for (addresses, may_idle, tasks) in [(12, 10, 1), (4, 2, 1), (12, 10, 2), (4, 4, 1)] {
        let fleet = Fleet::of(addresses, false).await;
        fleet.lead_to(1..=addresses);
        let client = fleet.client(&format!("pool.max_idle_per_host = {may_idle}"));
        let load = Load::begin(&client, &fleet.url(), tasks);
        fleet.shares_of_next(200).await;
        load.end().await;
        let (open, stats) = (may_idle + tasks, client.stats());
        // One dials, and the spreading of those that are there may move as many.
        assert!(
            stats.dialled <= 2 * open as u64,
            "{addresses} {may_idle} {tasks}: {stats:?}"
        );
        let used = fleet.requests().iter().filter(|requests| **requests > 0).count();
        assert!(used >= may_idle, "{used} of {addresses} addresses: {stats:?}");
    }
}

#[tokio::test]
async fn after_a_quiet_time_no_request_goes_to_an_address_that_has_vanished_since() {
    for h2 in [false, true] {
        let fleet = Fleet::of(2, h2).await;
        fleet.lead_to([1, 2]);
        let client = fleet.client(&format!("http2.prior_knowledge = {h2}"));
        for _ in 0..7 {
            get(&client, fleet.url()).await.unwrap();
        }
        eventually("a connection to each", || fleet.open().iter().all(|open| *open > 0)).await;
        fleet.lead_to([1]);
        tokio::time::sleep(3 * TTL).await;
        let before = fleet.requests();
        for _ in 0..6 {
            get(&client, fleet.url()).await.unwrap();
        }
        assert_eq!(fleet.requests(), [before[0] + 6, before[1]]);
        // Where the resolver says nothing, it is not waited for beyond a moment, and what there was serves.
        fleet.resolver.set("many.test", Answer::Hang);
        tokio::time::sleep(3 * TTL).await;
        let hangs = client.get(fleet.url()).timeout(Duration::from_millis(150)).send().await;
        assert_eq!(hangs.unwrap().status(), 200);
    }
}

#[tokio::test]
async fn a_name_that_leads_here_and_there_in_turn_fails_no_request() {
    for h2 in [false, true] {
        let fleet = Fleet::of(3, h2).await;
        fleet.lead_to([1]);
        let client = client_with_names(
            &fleet.resolver,
            &format!("dns.balance = \"round_robin\"\ndns.ttl = \"20ms\"\nhttp2.prior_knowledge = {h2}"),
        );
        let load = Load::begin(&client, &fleet.url(), 4);
        for turn in 0..12 {
            fleet.lead_to([turn % 3 + 1, (turn + 1) % 3 + 1]);
            let calls = fleet.resolver.calls();
            fleet.resolver.until_calls(calls + 2).await;
            if turn % 2 == 0 {
                client.close_idle_connections();
            }
        }
        load.end().await;
        let stats = client.stats();
        assert!(stats.closed_for(CloseReason::AddressGone) >= 3, "{stats:?}");
        assert_eq!(stats.dial_failures_total(), 0, "{stats:?}");
        eventually("the pool to be at rest", || {
            let stats = client.stats();
            stats.in_use == 0 && stats.dials_in_progress == 0
        })
        .await;
        assert_balanced(&client.stats());
    }
}

#[tokio::test]
async fn by_default_connections_stay_where_they_are_and_no_name_is_looked_up_without_a_dial() {
    let fleet = Fleet::of(2, false).await;
    fleet.lead_to([1]);
    let client = client_with_names(&fleet.resolver, "dns.ttl = \"1us\"");
    assert_eq!(get(&client, fleet.url()).await.unwrap(), "done");
    fleet.lead_to([2]);
    for _ in 0..50 {
        assert_eq!(get(&client, fleet.url()).await.unwrap(), "done");
    }
    assert_eq!(fleet.requests(), [51, 0]);
    assert_eq!(fleet.resolver.calls(), 1);
}
