//! What failed, was given up or lost its runtime leaves nothing behind: all descriptors of the process and all tasks are
//! counted, so this is a binary of its own, whose tests run one after the other.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use httputil::settings::{Profile, ProxyChoice, Roots};
use httputil::{Client, Config, Phase, PoolStats, Registry};
use httputil_tests::ca::{Ca, Wrong};
use httputil_tests::leaks::Baseline;
use httputil_tests::resolver::{Answer, ScriptedResolver};
use httputil_tests::script::{Script, Step, answers};
use httputil_tests::server::Server;
use httputil_tests::tcp::{BlackHole, ClosedPort};
use httputil_tests::tls::ServerTls;
use httputil_tests::{PATIENCE, one_attempt, within};
use tokio::sync::Mutex;

/// Held by the test that runs.
static ALONE: Mutex<()> = Mutex::const_new(());

const BOUND: Duration = Duration::from_millis(100);

fn client(change: impl FnOnce(&mut Profile)) -> Client {
    let mut config = one_attempt();
    let profile = config.profile_mut();
    profile.transport.proxy.from_env = false;
    profile.transport.tls.roots = Roots::Bundled;
    profile.transport.timeouts.connect = BOUND;
    profile.transport.timeouts.tls_handshake = BOUND;
    change(profile);
    Client::new(config).expect("the settings are right")
}

fn client_with_names(resolver: &ScriptedResolver) -> Client {
    let toml = "[default]\ntls.roots = \"bundled\"\ntimeouts = { dns = \"100ms\", connect = \"100ms\" }";
    let config = Config::builder()
        .embedded("test.toml", toml)
        .load()
        .expect("it is right");
    let registry = Registry::builder().config(config).resolver(Arc::new(resolver.clone()));
    let client = registry.build().and_then(|registry| registry.client("default"));
    client.expect("there always is a default profile")
}

/// The books hold at any moment: what began is under way, has failed or was dialled; what was dialled is open or closed.
#[track_caller]
fn assert_holds(stats: &PoolStats) {
    let ends = stats.dial_failures_total() + stats.dialled;
    assert_eq!(stats.dials_started, stats.dials_in_progress + ends, "{stats:?}");
    assert_eq!(stats.dialled, stats.open + stats.closed_total(), "{stats:?}");
}

/// Waits until no dial is under way, then looks at the books.
async fn assert_balanced(client: &Client) {
    let looking = async {
        while client.stats().dials_in_progress > 0 {
            assert_holds(&client.stats());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    within(PATIENCE, looking).await;
    assert_holds(&client.stats());
    assert_eq!(client.stats().waiting, 0);
}

/// Waits until every connection is idle, then looks at the books.
async fn assert_rests(client: &Client) {
    let looking = async {
        while client.stats().in_use > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    within(PATIENCE, looking).await;
    assert_balanced(client).await;
}

/// Polls a future at most so many times, letting the runtime work in between, then drops it.
async fn poll<T>(times: usize, future: impl Future<Output = T>) {
    let mut future = pin!(future);
    let mut left = times;
    poll_fn(|cx| {
        left -= 1;
        if future.as_mut().poll(cx).is_ready() || left == 0 {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Some requests in turn that must fail, then so many dropped in the middle.
async fn fail_and_drop(client: &Client, url: &str) {
    for _ in 0..3 {
        let sent = within(PATIENCE, client.get(url).send()).await;
        sent.map(|answer| answer.status()).expect_err("the request fails");
        assert_holds(&client.stats());
    }
    for polls in 1..=20 {
        poll(polls, client.get(url).send()).await;
    }
    assert_balanced(client).await;
    assert_eq!(client.stats().open, 0);
}

#[tokio::test]
async fn failed_and_dropped_dials_of_every_kind_leave_nothing_behind() {
    let _alone = ALONE.lock().await;
    let baseline = Baseline::take();
    {
        let ca = Ca::new();
        let (port, hole) = (ClosedPort::new(), BlackHole::new());
        let silent = Script::start([vec![Step::Stall]]).await;
        let closing = Script::start([vec![Step::Close]]).await;
        let resetting = Script::start([vec![Step::ReadBody(1), Step::Reset]]).await;
        let garbage = Script::start([vec![Step::ReadBody(1), Step::write(answers::GARBAGE)]]).await;
        let plain = Server::builder().start().await;
        let wrong = Server::builder()
            .tls(ServerTls::new(ca.issue_wrong(Wrong::SelfSigned, ["127.0.0.1"])).build())
            .start()
            .await;
        let urls = [
            format!("http://{}/", port.addr()),
            format!("http://{}/", hole.addr()),
            "http://255.255.255.255:81/".to_owned(),
            silent.https_url("/"),
            closing.https_url("/"),
            resetting.https_url("/"),
            garbage.https_url("/"),
            plain.url("/").replace("http:", "https:"),
            wrong.url("/"),
            wrong.url("/").replace("https:", "http:"),
            garbage.url("/"),
            closing.url("/"),
        ];
        let shared = client(|_| {});
        for url in &urls {
            fail_and_drop(&shared, url).await;
            fail_and_drop(&client(|_| {}), url).await;
        }
    }
    baseline.assert_no_leak().await;
}

#[tokio::test]
async fn failed_and_dropped_dials_through_every_kind_of_proxy_leave_nothing_behind() {
    let _alone = ALONE.lock().await;
    let baseline = Baseline::take();
    {
        let (port, hole) = (ClosedPort::new(), BlackHole::new());
        let silent = Script::start([vec![Step::Stall]]).await;
        let closing = Script::start([vec![Step::ReadBody(1), Step::Close]]).await;
        let resetting = Script::start([vec![Step::ReadBody(1), Step::Reset]]).await;
        let garbage = Script::start([vec![Step::ReadBody(1), Step::write(answers::GARBAGE)]]).await;
        let refusing = Script::start([vec![
            Step::ReadHead,
            Step::write(answers::with_length("403 No", &[], "")),
        ]])
        .await;
        let places = [
            port.addr(),
            hole.addr(),
            silent.addr(),
            closing.addr(),
            resetting.addr(),
            garbage.addr(),
            refusing.addr(),
        ];
        for place in places {
            for scheme in ["http", "https", "socks5h"] {
                let through = |profile: &mut Profile| {
                    profile.transport.timeouts.proxy_connect = BOUND;
                    let proxy = format!("{scheme}://{place}");
                    profile.transport.proxy.url = Some(ProxyChoice::Through(proxy.into()));
                };
                fail_and_drop(&client(through), "https://service.test/").await;
            }
        }
    }
    baseline.assert_no_leak().await;
}

#[tokio::test]
async fn failed_and_dropped_look_ups_leave_nothing_behind() {
    let _alone = ALONE.lock().await;
    let baseline = Baseline::take();
    {
        let hole = BlackHole::new();
        let swallowed = Answer::Addresses(vec![SocketAddr::from(([127, 0, 0, 1], 0)); 4]);
        let resolver = ScriptedResolver::new()
            .name("slow.test", Answer::Hang)
            .name("gone.test", Answer::Fail("no such host".to_owned()))
            .name("empty.test", Answer::Empty)
            .name("many.test", swallowed);
        let client = client_with_names(&resolver);
        for name in ["slow.test", "gone.test", "empty.test", "many.test"] {
            fail_and_drop(&client, &format!("http://{name}:{}/", hole.port())).await;
        }
        resolver.until_quiet().await;
    }
    baseline.assert_no_leak().await;
}

#[tokio::test]
async fn requests_dropped_on_the_way_to_a_good_server_leave_pooled_connections_only() {
    let _alone = ALONE.lock().await;
    let baseline = Baseline::take();
    {
        let ca = Ca::new();
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("ca.pem");
        std::fs::write(&path, ca.pem()).unwrap();
        for tls in [false, true] {
            let server = Server::builder();
            let config = ServerTls::new(ca.issue(["127.0.0.1"])).build();
            let server = if tls { server.tls(config) } else { server };
            let server = server.start().await;
            let client = client(|profile| {
                profile.transport.timeouts.tls_handshake = PATIENCE;
                profile.transport.tls.ca_file = Some(path.clone());
            });
            // From before the dial to after the answer, whatever the machine makes of it.
            for polls in 1..=150 {
                poll(polls, async {
                    let answer = client.get(server.url("/")).send().await;
                    answer.unwrap().bytes().await.unwrap();
                })
                .await;
                assert_holds(&client.stats());
            }
            let answer = within(PATIENCE, client.get(server.url("/")).send()).await.unwrap();
            within(PATIENCE, answer.bytes()).await.unwrap();
            assert_rests(&client).await;
            drop(client);
            server.until_open(0).await;
        }
    }
    baseline.assert_no_leak().await;
}

#[tokio::test]
async fn a_dial_that_outlives_its_client_ends_by_its_own_bound() {
    let _alone = ALONE.lock().await;
    let baseline = Baseline::take();
    {
        let hole = BlackHole::new();
        let client = client(|profile| profile.policy.timeout = Some(BOUND / 4));
        let error = client.get(format!("http://{}/", hole.addr())).send().await.unwrap_err();
        assert!(matches!(
            error.kind(),
            httputil::Kind::Timeout {
                phase: Phase::Connect,
                ..
            }
        ));
        drop(client);
    }
    baseline.assert_no_leak().await;
}

/// All descriptors, not sockets only: a runtime's own (epoll, eventfd) count too.
fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("Linux has /proc").count()
}

#[test]
fn a_client_holds_nothing_of_the_runtimes_that_have_gone() {
    let alone = ALONE.blocking_lock();
    let there = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let server = there.block_on(Server::builder().start());
    let client = client(|_| {});
    let request = || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let answer = runtime.block_on(client.get(server.url("/")).send()).unwrap();
        runtime.block_on(answer.bytes()).unwrap();
    };
    request();
    there.block_on(server.until_open(0));
    let before = descriptors();
    for _ in 0..40 {
        request();
    }
    there.block_on(server.until_open(0));
    let after = descriptors();
    assert!(
        after <= before + 8,
        "{before} descriptors before 40 runtimes, {after} after"
    );
    drop(alone);
}
