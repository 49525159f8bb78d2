//! `dns.balance = "round_robin"` while one of a host's addresses takes connections and fails their TLS, or their requests.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use httputil::{Client, Config, Environment, Registry};
use httputil_tests::ca::Ca;
use httputil_tests::resolver::ScriptedResolver;
use httputil_tests::script::{Script, Step, answers, steps};
use httputil_tests::server::Server;
use httputil_tests::tcp::ClosedPort;
use httputil_tests::tls::{Alpn, ServerTls};
use httputil_tests::{PATIENCE, within};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::addresses::{answer, loopback};
use crate::scene::{Trust, after_backoff, assert_balanced, eventually, get, quoted, registry_in};

/// Accepts and closes, and counts.
struct Slammer {
    accepted: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Slammer {
    fn on(number: u8, port: u16) -> Slammer {
        let listener = ClosedPort::on(Ipv4Addr::new(127, 0, 0, number), port).listen().unwrap();
        listener.set_nonblocking(true).unwrap();
        let listener = TcpListener::from_std(listener).unwrap();
        let accepted = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&accepted);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                drop(stream);
            }
        });
        Slammer { accepted, task }
    }

    fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }
}

impl Drop for Slammer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Scene {
    server: Server,
    slammer: Slammer,
    resolver: ScriptedResolver,
    client: Client,
    _trust: Trust,
}

impl Scene {
    async fn new(alpn: Alpn) -> Scene {
        let ca = Ca::new();
        let trust = Trust::of([&ca]);
        let tls = ServerTls::new(ca.issue(["many.test"])).alpn(alpn).build();
        let server = Server::builder().tls(tls).start().await;
        let slammer = Slammer::on(2, server.port());
        let resolver = ScriptedResolver::new();
        let toml = format!(
            "[default]\ntls.ca_file = {}\ndns.balance = \"round_robin\"\ndns.ttl = \"100ms\"\n",
            quoted(trust.path())
        );
        let client = registry_in(&toml, &Environment::empty(), &resolver)
            .client("default")
            .unwrap();
        Scene {
            server,
            slammer,
            resolver,
            client,
            _trust: trust,
        }
    }

    fn lead_to(&self, to: &[u8]) {
        self.resolver.set("many.test", answer(to.iter().copied().map(loopback)));
    }

    fn url(&self) -> String {
        self.server.url_for("many.test", "/")
    }

    /// So many at once; none fails.
    async fn crowd(&self, many: usize) {
        let request = |_| {
            let (client, url) = (self.client.clone(), self.url());
            tokio::spawn(async move { get(&client, url).await })
        };
        let crowd: Vec<_> = (0..many).map(request).collect();
        for request in crowd {
            assert_eq!(request.await.unwrap().expect("no request fails"), "hello");
        }
    }
}

#[tokio::test]
async fn an_address_that_fails_its_tls_fails_no_request_while_another_serves() {
    for alpn in [Alpn::H1, Alpn::Both] {
        // Known from the start, and on a host that nobody knows yet.
        let scene = Scene::new(alpn).await;
        scene.lead_to(&[2, 1]);
        scene.crowd(40).await;
        // New on a host whose load grows.
        let scene = Scene::new(alpn).await;
        scene.lead_to(&[1]);
        scene.crowd(1).await;
        scene.lead_to(&[1, 2]);
        let mut crowd = 0;
        while scene.slammer.accepted() < 2 {
            crowd += 1;
            assert!(crowd < 1000, "it is not dialled: {:?}", scene.client.stats());
            scene.crowd(crowd.min(60)).await;
        }
        scene.crowd(60).await;
        let stats = scene.client.stats();
        assert!(stats.dial_failures_total() > 0, "{stats:?}");
        eventually("the pool to be at rest", || scene.client.stats().in_use == 0).await;
        assert_balanced(&scene.client.stats());
    }
}

#[tokio::test]
async fn where_all_addresses_fail_a_request_hears_of_it_after_each_was_tried_once() {
    let scene = Scene::new(Alpn::H1).await;
    let others: Vec<_> = [3, 4].map(|n| Slammer::on(n, scene.server.port())).into();
    scene.lead_to(&[2, 3, 4]);
    let error = get(&scene.client, scene.url()).await.unwrap_err();
    assert_eq!(error.kind(), httputil::Kind::Tls, "{error}");
    let accepted = [scene.slammer.accepted(), others[0].accepted(), others[1].accepted()];
    assert_eq!(accepted, [1, 1, 1]);
    // And it is tried again when there is one that works, as soon as the name says so.
    scene.lead_to(&[1]);
    within(PATIENCE, async {
        while after_backoff(&scene.client, scene.url()).await.is_err() {}
    })
    .await;
}

#[tokio::test]
async fn an_address_that_was_blamed_is_passed_over_by_the_retry() {
    let failing = |status| steps::answer_once(answers::with_length(status, &[("connection", "close")], ""));
    for (what, plays) in [
        ("silence", vec![Step::ReadRequest, Step::Stall]),
        ("a reset", steps::reset_on_request()),
        ("503", failing("503 Service Unavailable")),
    ] {
        let broken = Script::start([plays]).await;
        let mut serving = Vec::new();
        for n in 2..=4 {
            serving.push(Server::builder().start_beside(n, broken.port()).await);
        }
        let resolver = ScriptedResolver::new().name("many.test", answer((1..=4).map(loopback)));
        let toml = "[default]\ntls.roots = \"bundled\"\ndns.balance = \"round_robin\"\nbreaker.enabled = false\n\
                    timeouts.response_header = \"100ms\"\nretry.backoff.base = \"1ms\"\nretry.backoff.max = \"1ms\"\n\
                    retry.max_attempts = 2\nretry.budget.min_per_second = 100\n";
        let config = Config::builder().embedded("test.toml", toml).env(&Environment::empty());
        let registry = Registry::builder()
            .config(config.load().unwrap())
            .resolver(Arc::new(resolver));
        let client = registry.build().unwrap().client("default").unwrap();
        let url = serving[0].url_for("many.test", "/");
        let mut sent = 0;
        while broken.requests() < 2 {
            sent += 1;
            assert!(sent < 2000, "{what}: it is not asked: {:?}", client.stats());
            // It is asked again after a second.
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            // Whatever is idle elsewhere, a dial has to find its way.
            let request = client.get(&url).fresh_connection(true).send();
            let answer = within(PATIENCE, request).await.expect("no request fails");
            assert_eq!(answer.text().await.unwrap(), "hello", "{what}");
        }
        let served: usize = serving.iter().map(|server| server.requests()).sum();
        assert_eq!(served, sent, "{what}");
    }
}
