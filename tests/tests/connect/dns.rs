//! Name look-ups: one a name, shared, kept, and stood in for while the resolver gives nothing.

use std::sync::Arc;
use std::time::Duration;

use httputil::{Client, Config, Environment, Kind, Phase, Registry};
use httputil_tests::gate::Gate;
use httputil_tests::resolver::{Answer, ScriptedResolver};
use httputil_tests::server::{Server, handlers};
use httputil_tests::{PATIENCE, within};
use reqwest::dns::{Name, Resolve, Resolving};

use crate::addresses::{answer, loopback};
use crate::scene::{
    after_backoff, assert_balanced, assert_bound, assert_says, client, client_with_names, eventually, failure, get,
    registry_in,
};

/// Every request dials, and every dial asks anew.
const ALWAYS_ASKS: &str = "pool.reuse = false\ndns.ttl = \"1us\"\n";

fn names(name: &str, to: u8) -> ScriptedResolver {
    ScriptedResolver::new().name(name, answer([loopback(to)]))
}

#[tokio::test]
async fn a_thousand_requests_to_one_name_make_one_look_up() {
    let server = Server::builder().start().await;
    let gate = Gate::new();
    gate.shut();
    let resolver = ScriptedResolver::new().name("a.test", answer([loopback(1)]).after(&gate));
    let client = client_with_names(&resolver, "");
    let requests: Vec<_> = (0..1000)
        .map(|_| {
            let (client, url) = (client.clone(), server.url_for("a.test", "/"));
            tokio::spawn(async move { get(&client, url).await })
        })
        .collect();
    gate.arrived(1).await;
    // Sixteen dials wait for it, and the rest for those.
    eventually("all requests to wait", || client.stats().waiting == 1000).await;
    gate.open();
    for request in requests {
        assert_eq!(request.await.unwrap().unwrap(), "hello");
    }
    assert_eq!((resolver.calls(), client.stats().dns_look_ups), (1, 1));
    assert_balanced(&client.stats());
}

#[tokio::test]
async fn an_answer_serves_the_dials_of_its_time_to_live_and_of_all_pools() {
    let server = Server::builder().start().await;
    let resolver = names("a.test", 1);
    let toml = "[default]\ntls.roots = \"bundled\"\npool.reuse = false\n[other]";
    let registry = registry_in(toml, &Environment::empty(), &resolver);
    for profile in ["default", "other", "default"] {
        let client = registry.client(profile).unwrap();
        let url = server.url_for("a.test", "/");
        assert_eq!(client.get(&url).send().await.unwrap().status(), 200);
    }
    assert_eq!((resolver.calls(), server.accepted()), (1, 3));
    let client = client_with_names(&resolver, ALWAYS_ASKS);
    for _ in 0..3 {
        get(&client, server.url_for("a.test", "/")).await.unwrap();
    }
    assert_eq!(resolver.calls(), 4);
}

/// Whatever the resolver says instead of an address.
fn outages() -> [(Answer, &'static str); 3] {
    [
        (Answer::Fail("the zone is broken".into()), ""),
        (Answer::Empty, ""),
        (Answer::Hang, "timeouts.dns = \"100ms\"\n"),
    ]
}

#[tokio::test]
async fn in_an_outage_open_connections_serve_on_and_dials_use_the_last_good_answer() {
    for (outage, keys) in outages() {
        let server = Server::builder().start().await;
        let resolver = names("a.test", 1);
        let client = client_with_names(&resolver, &format!("dns.ttl = \"1us\"\n{keys}"));
        let url = server.url_for("a.test", "/");
        assert_eq!(get(&client, &url).await.unwrap(), "hello");
        resolver.set("a.test", outage);
        for _ in 0..5 {
            let requests: Vec<_> = (0..20)
                .map(|_| {
                    let (client, url) = (client.clone(), url.clone());
                    tokio::spawn(async move { get(&client, url).await })
                })
                .collect();
            for request in requests {
                assert_eq!(request.await.unwrap().unwrap(), "hello");
            }
        }
        eventually("a dial to be done", || server.accepted() > 1).await;
        let stats = client.stats();
        assert!(stats.reuses > 0, "some did not dial");
        assert!(stats.dns_stale > 0 && stats.dns_look_ups > 1, "{stats:?}");
        assert_eq!(stats.dial_failures_total(), 0);
        drop(client);
        resolver.until_quiet().await;
    }
}

#[tokio::test]
async fn the_first_request_of_an_outage_with_little_time_lives_on_the_last_answer_too() {
    let server = Server::builder().start().await;
    let gate = Gate::new();
    gate.shut();
    let resolver = names("a.test", 1);
    let client = client_with_names(&resolver, ALWAYS_ASKS);
    let url = server.url_for("a.test", "/");
    assert_eq!(get(&client, &url).await.unwrap(), "hello");
    resolver.set("a.test", answer([loopback(1)]).after(&gate));
    // Less than the 200 ms that one waits for a new answer who has the time.
    let hurried = client.get(&url).timeout(Duration::from_millis(190)).send();
    assert_eq!(within(PATIENCE, hurried).await.unwrap().status(), 200);
    assert_eq!((client.stats().dns_stale, client.stats().dial_failures_total()), (1, 0));
    gate.open();
    drop(client);
    resolver.until_quiet().await;
}

#[tokio::test]
async fn after_stale_for_the_error_says_what_there_was_and_why_it_is_not_used() {
    for (outage, keys) in outages() {
        let server = Server::builder().start().await;
        let resolver = names("a.test", 1);
        let client = client_with_names(&resolver, &format!("{ALWAYS_ASKS}dns.stale_for = \"0s\"\n{keys}"));
        let url = server.url_for("a.test", "/");
        assert_eq!(get(&client, &url).await.unwrap(), "hello");
        resolver.set("a.test", outage);
        let error = failure(&client, &url).await;
        let text = error.to_string();
        for words in ["a.test", "the last good answer is ", "(dns.stale_for)"] {
            assert!(text.contains(words), "{words:?} is missing: {text}");
        }
        match error.kind() {
            Kind::Timeout { phase, .. } => assert_eq!(phase, Phase::Dns),
            kind => assert_eq!(kind, Kind::Dns),
        }
        assert_eq!((client.stats().dns_stale, server.accepted()), (0, 1));
    }
}

#[tokio::test]
async fn the_first_answer_after_an_outage_is_used_by_the_next_dials() {
    let first = Server::builder().handler(handlers::fixed("first")).start().await;
    let second = Server::builder().handler(handlers::fixed("second"));
    let second = second.start_beside(2, first.port()).await;
    let resolver = names("a.test", 1);
    let client = client_with_names(&resolver, ALWAYS_ASKS);
    let url = first.url_for("a.test", "/");
    assert_eq!(get(&client, &url).await.unwrap(), "first");
    resolver.set("a.test", Answer::Fail("the zone is broken".into()));
    assert_eq!(get(&client, &url).await.unwrap(), "first");
    resolver.set("a.test", answer([loopback(2)]));
    while get(&client, &url).await.unwrap() == "first" {}
    assert_eq!(get(&client, &url).await.unwrap(), "second");
    assert_eq!(client.stats().dial_failures_total(), 0);
    drop(second);
}

#[tokio::test]
async fn an_answer_that_comes_too_late_for_who_asked_serves_the_next() {
    const TTL: Duration = Duration::from_secs(1);
    let first = Server::builder().handler(handlers::fixed("first")).start().await;
    let second = Server::builder().handler(handlers::fixed("second"));
    let _second = second.start_beside(2, first.port()).await;
    let resolver = names("a.test", 1);
    let client = client_with_names(&resolver, "pool.reuse = false\ndns.ttl = \"1s\"\n");
    let url = first.url_for("a.test", "/");
    assert_eq!(get(&client, &url).await.unwrap(), "first");
    tokio::time::sleep(TTL + Duration::from_millis(10)).await;
    let gate = Gate::new();
    gate.shut();
    resolver.set("a.test", answer([loopback(2)]).after(&gate));
    assert_eq!(get(&client, &url).await.unwrap(), "first", "the last answer stands in");
    assert_eq!(resolver.pending(), 1, "and the look-up goes on");
    gate.open();
    resolver.until_quiet().await;
    assert_eq!(get(&client, &url).await.unwrap(), "second");
    assert_eq!(resolver.calls(), 2, "of the look-up that was under way");
}

#[tokio::test]
async fn a_stuck_resolver_delays_only_its_name() {
    let server = Server::builder().start().await;
    let resolver = names("fast.test", 1).name("slow.test", Answer::Hang);
    let client = client_with_names(&resolver, "pool.reuse = false");
    let slow: Vec<_> = (0..10)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { get(&client, "http://slow.test/").await })
        })
        .collect();
    resolver.until_calls(1).await;
    for _ in 0..5 {
        assert_eq!(get(&client, server.url_for("fast.test", "/")).await.unwrap(), "hello");
    }
    assert_eq!((resolver.calls_for("slow.test"), resolver.pending()), (1, 1));
    for request in &slow {
        assert!(!request.is_finished());
        request.abort();
    }
    drop(client);
    resolver.until_quiet().await;
}

#[tokio::test]
async fn each_who_waits_for_a_look_up_keeps_a_bound_of_its_own() {
    let server = Server::builder().start().await;
    let gate = Gate::new();
    gate.shut();
    let resolver = ScriptedResolver::new().name("a.test", answer([loopback(1)]).after(&gate));
    let toml = "[default]\ntls.roots = \"bundled\"\n[hasty]\ntimeouts.dns = \"50ms\"";
    let registry = registry_in(toml, &Environment::empty(), &resolver);
    let (patient, hasty) = (registry.client("default").unwrap(), registry.client("hasty").unwrap());
    let url = server.url_for("a.test", "/");
    let waits = tokio::spawn({
        let (client, url) = (patient.clone(), url.clone());
        async move { get(&client, url).await }
    });
    gate.arrived(1).await;
    let error = within(PATIENCE, hasty.get(&url).send()).await.unwrap_err();
    let Kind::Timeout { phase, after, .. } = error.kind() else {
        panic!("not a time-out: {error}")
    };
    assert_eq!((phase, after), (Phase::Dns, Duration::from_millis(50)));
    gate.open();
    assert_eq!(waits.await.unwrap().unwrap(), "hello");
    assert_eq!(resolver.calls(), 1);
}

#[tokio::test]
async fn a_look_up_that_nobody_waits_for_ends_with_the_last_who_did() {
    let resolver = ScriptedResolver::new().name("slow.test", Answer::Hang);
    let client = client_with_names(&resolver, "timeouts.dns = \"100ms\"");
    let error = failure(&client, "http://slow.test/").await;
    assert_bound(&error, Phase::Dns, Duration::from_millis(100), "timeouts.dns");
    resolver.until_quiet().await;
    eventually("the look-up to be counted", || client.stats().dns_failures == 1).await;
    assert_eq!(client.stats().dns_look_ups, 1);
}

#[test]
fn a_look_up_whose_runtime_goes_is_begun_anew_by_those_who_still_wait() {
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(1).enable_all().build().unwrap()
    };
    let (going, staying) = (runtime(), runtime());
    let server = staying.block_on(Server::builder().start());
    let gate = Gate::new();
    gate.shut();
    let resolver = ScriptedResolver::new().name("a.test", answer([loopback(1)]).after(&gate));
    let client = client_with_names(&resolver, "");
    let ask = || {
        let (client, url) = (client.clone(), server.url_for("a.test", "/"));
        async move { get(&client, url).await }
    };
    going.spawn(ask());
    staying.block_on(gate.arrived(1));
    let waits = staying.spawn(ask());
    staying.block_on(eventually("both to wait", || client.stats().dials_in_progress == 2));
    let began = std::time::Instant::now();
    drop(going);
    assert!(began.elapsed() < PATIENCE, "a runtime waits for no look-up");
    staying.block_on(resolver.until_calls(2));
    gate.open();
    assert_eq!(staying.block_on(waits).unwrap().unwrap(), "hello");
    assert_eq!(client.stats().dial_failures_total(), 1, "the one that went");
}

#[test]
fn the_system_s_resolver_needs_none_of_the_runtime_s_blocking_threads() {
    let elsewhere = tokio::runtime::Runtime::new().unwrap();
    let server = elsewhere.block_on(Server::builder().start());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(1)
        .build()
        .unwrap();
    let client = client(|_| {});
    let (end, is_over) = std::sync::mpsc::channel::<()>();
    let taken = runtime.spawn_blocking(move || is_over.recv());
    let url = server.url_for("localhost", "/");
    assert_eq!(runtime.block_on(get(&client, url)).unwrap(), "hello");
    assert_eq!(client.stats().dns_look_ups, 1);
    drop(end);
    let _ = runtime.block_on(taken);
}

/// Panics when asked, or when its answer is awaited, or when that is read.
struct Panics;

impl Resolve for Panics {
    fn resolve(&self, name: Name) -> Resolving {
        match name.as_str() {
            "asked.test" => panic!("as a test wants"),
            "awaited.test" => Box::pin(async { panic!("as a test wants") }),
            "read.test" => Box::pin(async {
                let address = || panic!("as a test wants");
                Ok(Box::new(std::iter::from_fn(address)) as _)
            }),
            _ => {
                Box::pin(async { Ok(Box::new(std::iter::once(std::net::SocketAddr::from(([127, 0, 0, 1], 0)))) as _) })
            }
        }
    }
}

#[tokio::test]
async fn a_resolver_that_panics_harms_only_its_name() {
    let server = Server::builder().start().await;
    let config = Config::builder().embedded(
        "test.toml",
        "[default]\ntls.roots = \"bundled\"\nretry.max_attempts = 1",
    );
    let registry = Registry::builder().config(config.env(&Environment::empty()).load().unwrap());
    let registry = registry.resolver(Arc::new(Panics)).build().unwrap();
    let client: Client = registry.client("default").unwrap();
    for name in ["asked.test", "awaited.test", "read.test"] {
        let error = failure(&client, format!("http://{name}/")).await;
        assert_says(&error, Kind::Dns, &[name, "the resolver panicked"]);
    }
    assert_eq!(get(&client, server.url_for("good.test", "/")).await.unwrap(), "hello");
    assert_balanced(&client.stats());
    assert_eq!(client.stats().dns_failures, 3);
}

#[tokio::test]
async fn an_address_whose_handshake_hangs_is_dialled_last_the_next_time() {
    use httputil_tests::ca::Ca;
    use httputil_tests::script::{Script, Step};
    use httputil_tests::tls::ServerTls;

    let ca = Ca::new();
    let trust = crate::scene::Trust::of([&ca]);
    let silent = Script::start([vec![Step::Stall]]).await;
    let server = Server::builder().tls(ServerTls::new(ca.issue(["a.test"])).build());
    let server = server.start_beside(2, silent.port()).await;
    let resolver = ScriptedResolver::new().name("a.test", answer([loopback(1), loopback(2)]));
    let keys = format!(
        "tls.ca_file = {}\ntimeouts.tls_handshake = \"250ms\"",
        crate::scene::quoted(trust.path())
    );
    let client = client_with_names(&resolver, &keys);
    let url = server.url_for("a.test", "/");
    let error = failure(&client, &url).await;
    assert_bound(
        &error,
        Phase::TlsHandshake,
        Duration::from_millis(250),
        "timeouts.tls_handshake",
    );
    assert_eq!(after_backoff(&client, &url).await.unwrap(), "hello");
    assert_eq!((silent.accepted(), server.accepted()), (1, 1));
}

#[tokio::test]
async fn when_the_resolver_falls_silent_requests_with_little_time_do_not_fail() {
    let server = Server::builder().start().await;
    for balance in ["first", "round_robin"] {
        let resolver = names("a.test", 1);
        let keys = format!("{ALWAYS_ASKS}dns.balance = \"{balance}\"\ntimeout = \"1s\"\n");
        let client = client_with_names(&resolver, &keys);
        let url = server.url_for("a.test", "/");
        get(&client, &url).await.unwrap();
        resolver.set("a.test", Answer::Hang);
        for _ in 0..5 {
            let eight: Vec<_> = (0..8)
                .map(|_| {
                    let (client, url) = (client.clone(), url.clone());
                    tokio::spawn(async move { get(&client, url).await })
                })
                .collect();
            for one in eight {
                assert_eq!(one.await.unwrap().expect("the last good answer stands in"), "hello");
            }
        }
        assert!(client.stats().dns_stale > 0);
    }
}

#[tokio::test]
async fn an_answer_without_the_wanted_family_is_no_answer_and_the_last_one_that_had_it_stands_in() {
    let server = Server::builder().start().await;
    let v6 = || answer(["::1".parse().unwrap()]);
    for balance in ["first", "round_robin"] {
        let resolver = names("a.test", 1);
        let keys = format!("{ALWAYS_ASKS}dns.prefer = \"ipv4_only\"\ndns.balance = \"{balance}\"\n");
        let client = client_with_names(&resolver, &keys);
        let url = server.url_for("a.test", "/");
        get(&client, &url).await.unwrap();
        for nothing in [v6(), Answer::Empty, v6(), v6()] {
            resolver.set("a.test", nothing);
            assert_eq!(get(&client, &url).await.unwrap(), "hello");
        }
        assert_eq!(client.stats().dns_stale, 4);
        // Another server, as soon as the family is there again.
        let moved = Server::builder().start_beside(2, server.port()).await;
        resolver.set("a.test", answer(["::1".parse().unwrap(), loopback(2)]));
        get(&client, &url).await.unwrap();
        assert_eq!(moved.requests(), 1);
    }
    let client = client_with_names(
        &ScriptedResolver::new().name("a.test", v6()),
        &format!("{ALWAYS_ASKS}dns.prefer = \"ipv4_only\"\n"),
    );
    let error = failure(&client, server.url_for("a.test", "/")).await;
    assert_says(
        &error,
        Kind::Dns,
        &["a.test", "gave no IPv4 address", "dns.prefer = \"ipv4_only\""],
    );
}
