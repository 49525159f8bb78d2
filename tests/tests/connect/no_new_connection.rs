//! A retry, or what is sent again, where no new connection is to be had: it takes one that is there.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::StatusCode;
use httputil::{Client, Config, Environment, Kind, Registry};
use httputil_tests::gate::Gate;
use httputil_tests::h2_script::{H2Script, Step as H2Step};
use httputil_tests::resolver::{Answer, ScriptedResolver};
use httputil_tests::script::{Script, Step, answers, steps};
use httputil_tests::server::{Server, handlers};
use httputil_tests::{PATIENCE, within};
use hyper::body::Incoming;
use tokio::task::JoinHandle;

use crate::addresses::{Swallow, answer, loopback};
use crate::elsewhere::{RETRIES, at_addresses, client_of};
use crate::scene::eventually;

/// A server with idle connections to it; the first request besides those that made them is answered 503.
struct Warm {
    server: Server,
    resolver: ScriptedResolver,
    client: Client,
    /// What `/held` waits for.
    gate: Gate,
    /// Requests for `/`.
    asked: Arc<AtomicUsize>,
}

impl Warm {
    async fn new(connections: usize, h2: bool, keys: &str) -> Warm {
        let (gate, asked) = (Gate::new(), Arc::new(AtomicUsize::new(0)));
        let (held, count) = (gate.clone(), Arc::clone(&asked));
        let handler = move |request: http::Request<Incoming>| {
            let (held, count) = (held.clone(), Arc::clone(&count));
            async move {
                if request.uri().path() == "/held" {
                    held.pass().await;
                } else if count.fetch_add(1, Ordering::SeqCst) == 0 {
                    return handlers::status(StatusCode::SERVICE_UNAVAILABLE);
                }
                handlers::full("hello")
            }
        };
        let server = Server::builder().handler(handler);
        let server = if h2 { server.h2() } else { server }.start().await;
        let resolver = ScriptedResolver::new().name("a.test", answer([loopback(1)]));
        let toml =
            format!("{RETRIES}retry.max_attempts = 2\n{keys}\ndns.ttl = \"1ms\"\nhttp2.prior_knowledge = {h2}\n");
        let config = Config::builder()
            .embedded("test.toml", toml)
            .env(&Environment::empty())
            .load()
            .unwrap();
        let registry = Registry::builder().config(config).resolver(Arc::new(resolver.clone()));
        let client = registry.build().unwrap().client("default").unwrap();
        let warm = Warm {
            server,
            resolver,
            client,
            gate,
            asked,
        };
        let held: Vec<_> = (0..connections).map(|_| warm.hold()).collect();
        within(PATIENCE, warm.gate.arrived(connections)).await;
        warm.gate.open();
        for request in held {
            assert_eq!(request.await.unwrap(), "hello");
        }
        if !h2 {
            eventually("all to be idle", || warm.client.stats().idle == connections as u64).await;
        }
        warm
    }

    /// A request that has its answer when the gate opens.
    fn hold(&self) -> JoinHandle<String> {
        let request = self.client.get(self.server.url_for("a.test", "/held"));
        tokio::spawn(async move { request.send().await.unwrap().text().await.unwrap() })
    }

    /// A request that is answered 503 at first.
    async fn ask(&self) -> String {
        let request = self.client.get(self.server.url_for("a.test", "/")).timeout(PATIENCE);
        let answer = within(PATIENCE, request.send()).await.unwrap();
        let text = answer.text().await.unwrap();
        assert_eq!((self.asked.load(Ordering::SeqCst), self.client.stats().retries), (2, 1));
        text
    }
}

#[tokio::test]
async fn where_no_new_connection_can_be_had_a_retry_takes_an_idle_one() {
    for (h2, connections) in [(false, 3), (false, 1), (true, 3)] {
        let warm = Warm::new(connections, h2, "dns.stale_for = \"0s\"").await;
        warm.resolver.set("a.test", Answer::Fail("outage".into()));
        assert_eq!(warm.ask().await, "hello", "h2: {h2}");
    }
}

#[tokio::test]
async fn where_no_new_connection_can_be_had_what_lost_a_keep_alive_race_is_sent_again_over_an_idle_one() {
    let gates = [Gate::new(), Gate::new()];
    let first = |gate: &Gate| {
        let answer = Step::write(answers::ok("hello"));
        vec![Step::ReadRequest, Step::Hold(gate.clone()), answer]
    };
    let lives = [first(&gates[0]), steps::answer_all(answers::ok("hello"))].concat();
    let dies = [first(&gates[1]), vec![Step::ReadRequest, Step::Close]].concat();
    let server = Script::start([lives, dies]).await;
    let resolver = at_addresses(1);
    let client = client_of(resolver.clone(), 1, "dns.ttl = \"1ms\"\ndns.stale_for = \"0s\"\n");
    let url = format!("http://a.test:{}/", server.port());
    let mut warming = Vec::new();
    for sent in 1..=2 {
        warming.push(tokio::spawn(client.get(&url).send()));
        eventually("the server to have it", || server.requests() == sent).await;
    }
    // The one that dies is the newest.
    for (idle, (gate, request)) in (1..).zip(gates.iter().zip(warming)) {
        gate.open();
        assert_eq!(request.await.unwrap().unwrap().text().await.unwrap(), "hello");
        eventually("it to be idle", || client.stats().idle == idle).await;
    }
    resolver.set("a.test", Answer::Fail("outage".into()));
    // What the name led to is old by then.
    tokio::time::sleep(Duration::from_millis(2)).await;
    let answer = within(PATIENCE, client.get(&url).send()).await.unwrap();
    assert_eq!(answer.text().await.unwrap(), "hello");
    let stats = client.stats();
    assert_eq!(
        (server.requests(), stats.resends, stats.retries),
        (4, 1, 0),
        "{stats:?}"
    );
    // Who has asked for a new one is not served by another.
    let wants_new = client.get(&url).fresh_connection(true).send();
    assert_eq!(within(PATIENCE, wants_new).await.unwrap_err().kind(), Kind::Dns);
}

#[tokio::test]
async fn where_a_new_connection_takes_long_a_retry_takes_one_that_is_idle_by_then() {
    for is_in_use in [false, true] {
        let warm = Warm::new(2, false, "").await;
        let swallow = Swallow::on(loopback(9), warm.server.port());
        warm.resolver.set("a.test", answer([loopback(9)]));
        let (asking, held) = if is_in_use {
            warm.gate.shut();
            let held = warm.hold();
            within(PATIENCE, warm.gate.arrived(3)).await;
            let asking = warm.ask();
            (asking, Some(held))
        } else {
            (warm.ask(), None)
        };
        let opens = async {
            eventually("the retry's dial", || warm.client.stats().dials_in_progress == 1).await;
            warm.gate.open();
        };
        let (text, ()) = tokio::join!(asking, opens);
        assert_eq!(text, "hello");
        assert_eq!(warm.server.accepted(), 2);
        if let Some(held) = held {
            held.await.unwrap();
        }
        drop(swallow);
    }
}

#[tokio::test]
async fn where_no_new_connection_comes_a_retry_takes_the_one_that_bore_a_bad_answer() {
    for h2 in [false, true] {
        let warm = Warm::new(1, h2, "").await;
        let swallow = Swallow::on(loopback(9), warm.server.port());
        warm.resolver.set("a.test", answer([loopback(9)]));
        assert_eq!(warm.ask().await, "hello", "h2: {h2}");
        let stats = warm.client.stats();
        assert_eq!((warm.server.accepted(), stats.dials_in_progress), (1, 1), "h2: {h2}");
        drop(swallow);
    }
}

#[tokio::test]
async fn where_no_new_connection_comes_a_retry_does_not_take_the_one_that_bore_no_answer() {
    let server = H2Script::builder()
        .on_stream(|arrival| match arrival.head.uri.path() {
            "/reset" => vec![H2Step::RstStream(h2::Reason::INTERNAL_ERROR)],
            _ => vec![H2Step::Answer("hello".into())],
        })
        .start()
        .await;
    let resolver = at_addresses(1);
    let keys = "timeouts.attempt = \"750ms\"\ndns.ttl = \"1ms\"\nhttp2.prior_knowledge = true\n";
    let client = client_of(resolver.clone(), 2, keys);
    let get = |path: &str| {
        let url = format!("http://a.test:{}{path}", server.port());
        within(PATIENCE, client.get(url).send())
    };
    assert_eq!(get("/").await.unwrap().text().await.unwrap(), "hello");
    let swallow = Swallow::on(loopback(9), server.port());
    resolver.set("a.test", answer([loopback(9)]));
    let error = get("/reset").await.unwrap_err();
    assert!(matches!(error.kind(), Kind::Timeout { .. }), "{error}");
    assert_eq!((error.attempts(), server.requests()), (2, 2), "{error}");
    // It is whole all the same.
    assert_eq!(get("/").await.unwrap().text().await.unwrap(), "hello");
    assert_eq!(server.accepted(), 1);
    drop(swallow);
}

#[tokio::test]
async fn at_a_cap_a_retry_takes_another_idle_connection_and_closes_none() {
    for key in ["pool.max_connections_per_host", "pool.max_connections"] {
        let warm = Warm::new(3, false, &format!("{key} = 3")).await;
        assert_eq!(warm.ask().await, "hello", "{key}");
        let stats = warm.client.stats();
        assert_eq!(
            (warm.server.accepted(), stats.closed_total()),
            (3, 0),
            "{key}: {stats:?}"
        );
        // Where there is no other, the one that bore the bad answer is asked once more.
        let warm = Warm::new(1, false, &format!("{key} = 1")).await;
        assert_eq!(warm.ask().await, "hello", "{key}");
        let stats = warm.client.stats();
        assert_eq!(
            (warm.server.accepted(), stats.closed_total(), stats.retries),
            (1, 0, 1),
            "{key}: {stats:?}"
        );
    }
}
