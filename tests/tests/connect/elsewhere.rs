//! A failed attempt is followed by one over another connection, to another address where the host has one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::StatusCode;
use httputil::{Client, CloseReason, Config, Environment, Kind, Phase, Registry};
use httputil_tests::ca::{Ca, Wrong};
use httputil_tests::gate::Gate;
use httputil_tests::resolver::ScriptedResolver;
use httputil_tests::script::{Script, Step, answers, steps};
use httputil_tests::server::{Server, handlers};
use httputil_tests::tcp::ClosedPort;
use httputil_tests::tls::{Alpn, ServerTls};
use httputil_tests::{PATIENCE, within};
use hyper::body::Incoming;

use crate::addresses::{Swallow, answer, loopback};
use crate::scene::{Trust, assert_balanced, eventually};

pub(crate) const RETRIES: &str = "[default]\nretry.backoff.base = \"1ms\"\nretry.backoff.max = \"1ms\"\n\
                       tls.roots = \"bundled\"\n";

/// A client for `a.test`, which is at `127.0.0.1` and then at `127.0.0.2`.
fn client(keys: &str) -> Client {
    client_to(keys, 2)
}

/// A client for `a.test`, which is at so many addresses.
fn client_to(keys: &str, addresses: u8) -> Client {
    client_of(at_addresses(addresses), 2, keys)
}

pub(crate) fn at_addresses(count: u8) -> ScriptedResolver {
    ScriptedResolver::new().name("a.test", answer((1..=count).map(loopback)))
}

pub(crate) fn client_of(resolver: ScriptedResolver, attempts: u32, keys: &str) -> Client {
    let attempt = if keys.contains("timeouts.attempt") {
        ""
    } else {
        "timeouts.attempt = \"250ms\"\n"
    };
    let toml = format!("{RETRIES}retry.max_attempts = {attempts}\n{attempt}{keys}");
    let config = Config::builder()
        .embedded("test.toml", toml)
        .env(&Environment::empty())
        .load()
        .unwrap();
    let registry = Registry::builder().config(config).resolver(Arc::new(resolver)).build();
    registry.unwrap().client("default").unwrap()
}

/// A server at the first address that plays these steps on each connection, and one beside it that answers.
async fn servers(first: Vec<Step>) -> (Script, Server) {
    let first = Script::start([first]).await;
    let second = Server::builder().start_beside(2, first.port()).await;
    (first, second)
}

/// Whether or not the request itself is made again.
#[tokio::test]
async fn the_address_of_the_last_attempt_is_passed_over_by_the_next_request() {
    let answers_503 = || steps::answer_all(answers::with_length("503 Service Unavailable", &[], ""));
    for (what, fails) in [
        ("503", answers_503()),
        ("a reset", steps::reset_on_request()),
        ("silence", vec![Step::ReadRequest, Step::Stall]),
    ] {
        for attempts in [1, 2] {
            let mut bad = vec![Script::start([fails.clone()]).await];
            if attempts == 2 {
                let port = Arc::new(ClosedPort::on([127, 0, 0, 2].into(), bad[0].port()));
                bad.push(Script::start_on(port, [fails.clone()]).await);
            }
            let good = u8::try_from(bad.len()).unwrap() + 1;
            let server = Server::builder().start_beside(good, bad[0].port()).await;
            let client = client_of(at_addresses(good), attempts, "retry.budget.min_per_second = 1000\n");
            let get = || {
                let request = client.get(server.url_for("a.test", "/")).fresh_connection(true);
                within(PATIENCE, request.send())
            };
            let answer = get().await;
            assert!(
                answer.is_ok_and(|answer| answer.status() == 503) == (what == "503"),
                "{what}"
            );
            for sent in 1..=2 {
                assert_eq!(get().await.unwrap().text().await.unwrap(), "hello", "{what}");
                assert_eq!(server.requests(), sent, "{what}, {attempts}");
            }
            let asked: Vec<_> = bad.iter().map(|script| script.requests()).collect();
            assert_eq!(asked, vec![1; bad.len()], "{what}, {attempts}");
        }
    }
}

#[tokio::test]
async fn a_caller_in_a_hurry_says_nothing_of_the_address() {
    let (first, second) = servers(vec![Step::ReadRequest, Step::Stall]).await;
    let client = client_of(at_addresses(2), 1, "timeouts.attempt = \"none\"\n");
    for sent in 1..=2 {
        let request = client.get(second.url_for("a.test", "/")).fresh_connection(true);
        let error = within(PATIENCE, request.timeout(Duration::from_millis(100)).send()).await;
        assert!(error.unwrap_err().is_timeout());
        assert_eq!((first.requests(), second.requests()), (sent, 0));
    }
}

/// Idle connections to as many bad addresses as there are attempts stand between a request and the good one.
#[tokio::test]
async fn a_retry_passes_over_idle_connections_to_addresses_at_which_others_have_failed() {
    for h2 in [false, true] {
        let builder = || if h2 { Server::builder().h2() } else { Server::builder() };
        let bad = || builder().handler(handlers::always(StatusCode::SERVICE_UNAVAILABLE));
        let first = bad().start().await;
        let second = bad().start_beside(2, first.port()).await;
        let third = bad().start_beside(3, first.port()).await;
        let good = builder().start_beside(4, first.port()).await;
        let keys = format!("http2.prior_knowledge = {h2}\nbreaker.enabled = false\n");
        let client = client_of(at_addresses(4), 3, &keys);
        let mut told = Vec::new();
        for _ in 0..4 {
            let answer = within(PATIENCE, client.get(good.url_for("a.test", "/")).send()).await;
            let answer = answer.unwrap();
            told.push(answer.status().as_u16());
            answer.bytes().await.unwrap();
        }
        // The first request meets all that are bad, and none of them goes unasked.
        assert!(
            [&first, &second, &third].iter().all(|server| server.requests() > 0),
            "h2: {h2}"
        );
        assert_eq!(told[0], 503, "h2: {h2}");
        assert!(told[1..].iter().all(|status| *status == 200), "h2: {h2}: {told:?}");
        assert_eq!(good.requests(), 3, "h2: {h2}");
        assert_balanced(&client.stats());
    }
}

#[tokio::test]
async fn a_retry_goes_to_the_other_address() {
    let failing = |status| steps::answer_all(answers::with_length(status, &[], ""));
    for (what, first) in [
        ("502", failing("502 Bad Gateway")),
        ("503", failing("503 Service Unavailable")),
        ("504", failing("504 Gateway Timeout")),
        ("a reset", steps::reset_on_request()),
        ("a close", vec![Step::ReadRequest, Step::Close]),
        ("silence", vec![Step::ReadRequest, Step::Stall]),
        (
            "silence in the middle of the header",
            vec![Step::ReadRequest, Step::write("HTTP/1.1 2"), Step::Stall],
        ),
    ] {
        for balance in ["first", "round_robin"] {
            let (first, second) = servers(first.clone()).await;
            let client = client(&format!("dns.balance = \"{balance}\"\n"));
            // Round robin begins anywhere.
            let mut sent = 0;
            while first.requests() == 0 {
                let request = client.get(second.url_for("a.test", "/")).fresh_connection(true).send();
                let answer = within(PATIENCE, request).await.unwrap();
                assert_eq!(answer.text().await.unwrap(), "hello", "{what}, {balance}");
                sent += 1;
            }
            assert_eq!((first.requests(), second.requests()), (1, sent), "{what}, {balance}");
            assert_eq!(client.stats().retries, 1, "{what}, {balance}");
            client.stop();
        }
    }
}

#[tokio::test]
async fn a_tls_handshake_that_hangs_makes_the_next_attempt_take_another_address() {
    let ca = Ca::new();
    let trust = Trust::of([&ca]);
    let first = Script::start([vec![Step::Stall]]).await;
    let tls = ServerTls::new(ca.issue(["a.test"])).alpn(Alpn::H1).build();
    let second = Server::builder().tls(tls).start_beside(2, first.port()).await;
    let keys = format!(
        "tls.extra_ca_file = '{}'\ntimeouts.tls_handshake = \"100ms\"\n",
        trust.path().display()
    );
    let client = client(&keys);
    let request = client.get(second.url_for("a.test", "/")).send();
    let answer = within(PATIENCE, request).await.unwrap();
    assert_eq!(answer.text().await.unwrap(), "hello");
    assert_eq!((first.accepted(), second.accepted()), (1, 1));
    assert_balanced(&client.stats());
}

/// What a server may do with a TLS greeting beside answering it.
fn refusals() -> [(&'static str, Vec<Step>); 4] {
    let after_greeting = |then: &[Step]| [&[Step::ReadBody(1)], then].concat();
    [
        ("no TLS", after_greeting(&[Step::write(answers::GARBAGE), Step::Stall])),
        ("a close", after_greeting(&[Step::Close])),
        ("an alert", steps::refuse_tls_version()),
        ("a close at once", vec![Step::Close]),
    ]
}

#[tokio::test]
async fn an_address_that_refuses_tls_fails_no_request_while_another_serves() {
    let ca = Ca::new();
    let trust = Trust::of([&ca]);
    let client = || {
        let keys = format!("tls.extra_ca_file = '{}'\n", trust.path().display());
        client_of(at_addresses(2), 1, &keys)
    };
    let tls = |identity| ServerTls::new(identity).alpn(Alpn::H1).build();
    let serves = || tls(ca.issue(["a.test"]));
    let crowd = async |what: &str, second: &Server| {
        let client = client();
        let url = second.url_for("a.test", "/");
        let crowd: Vec<_> = (0..8).map(|_| tokio::spawn(client.get(&url).send())).collect();
        for request in crowd {
            let answer = within(PATIENCE, request).await.unwrap();
            assert_eq!(answer.expect(what).text().await.unwrap(), "hello", "{what}");
        }
        let stats = client.stats();
        assert_eq!(stats.dial_failures_total(), 1, "{what}: {stats:?}");
        assert_balanced(&stats);
    };
    for (what, steps) in refusals() {
        let first = Script::start([steps]).await;
        let second = Server::builder().tls(serves()).start_beside(2, first.port()).await;
        crowd(what, &second).await;
        assert_eq!(first.accepted(), 1, "{what}");
    }
    for wrong in [Wrong::Expired, Wrong::WrongHost] {
        let first = Server::builder().tls(tls(ca.issue_wrong(wrong, ["a.test"])));
        let first = first.start().await;
        let second = Server::builder().tls(serves()).start_beside(2, first.port()).await;
        crowd(&format!("{wrong:?}"), &second).await;
        assert_eq!(first.accepted(), 1, "{wrong:?}");
    }
}

#[tokio::test]
async fn where_all_addresses_refuse_tls_or_the_connect_a_request_hears_of_it_at_once() {
    for second_listens in [true, false] {
        let refuses = || vec![Step::ReadBody(1), Step::write(answers::GARBAGE), Step::Stall];
        let first = Script::start([refuses()]).await;
        let port = Arc::new(ClosedPort::on([127, 0, 0, 2].into(), first.port()));
        let second = if second_listens {
            Some(Script::start_on(port, [refuses()]).await)
        } else {
            None
        };
        let client = client_of(at_addresses(2), 3, "timeouts.attempt = \"none\"\n");
        let request = client.get(format!("https://a.test:{}/", first.port())).send();
        let error = within(PATIENCE, request).await.unwrap_err();
        assert_eq!((error.kind(), error.attempts()), (Kind::Tls, 1), "{error}");
        let asked = (first.accepted(), second.as_ref().map(|script| script.accepted()));
        assert_eq!(asked, if second_listens { (1, Some(1)) } else { (2, None) }, "{error}");
        assert_balanced(&client.stats());
    }
}

/// Attempts, or requests, that have less time than the handshake.
#[tokio::test]
async fn who_comes_after_one_that_ran_out_of_time_in_a_handshake_is_dialled_for_at_another_address() {
    let ca = Ca::new();
    let trust = Trust::of([&ca]);
    for balance in ["first", "round_robin"] {
        for (attempts, attempt) in [(4, "600ms"), (1, "none")] {
            let what = format!("{balance}, {attempts} attempts");
            let first = Script::start([vec![Step::Stall]]).await;
            let tls = ServerTls::new(ca.issue(["a.test"])).alpn(Alpn::H1).build();
            let second = Server::builder().tls(tls).start_beside(2, first.port()).await;
            let keys = format!(
                "tls.extra_ca_file = '{}'\ndns.balance = \"{balance}\"\ntimeouts.attempt = \"{attempt}\"\n",
                trust.path().display()
            );
            let client = client_of(at_addresses(2), attempts, &keys);
            let get = |bound| {
                let request = client.get(second.url_for("a.test", "/")).timeout(bound);
                within(PATIENCE, request.send())
            };
            if attempts == 1 {
                let error = get(Duration::from_millis(600)).await.unwrap_err();
                let is_in_handshake =
                    matches!(error.kind(), Kind::Timeout { phase, .. } if phase == Phase::TlsHandshake);
                assert!(is_in_handshake, "{what}: {error}");
            }
            assert_eq!(get(PATIENCE).await.unwrap().text().await.unwrap(), "hello", "{what}");
            assert_eq!((first.accepted(), second.accepted()), (1, 1), "{what}");
            let stats = client.stats();
            let dials = (stats.dials_in_progress, stats.dial_failures_total());
            assert_eq!(dials, (1, 0), "{what}: {stats:?}");
            // That the one that hangs fails in the end is no reason to leave the host alone.
            drop(first);
            eventually("its end", || client.stats().dial_failures_total() == 1).await;
            let fresh = client.get(second.url_for("a.test", "/")).fresh_connection(true);
            let answer = within(PATIENCE, fresh.send()).await.expect(&what);
            assert_eq!(answer.text().await.unwrap(), "hello", "{what}");
            assert_balanced(&client.stats());
        }
    }
}

#[tokio::test]
async fn a_handshake_that_was_slow_only_serves_whoever_waits_by_then() {
    let ca = Ca::new();
    let trust = Trust::of([&ca]);
    let gate = Gate::new();
    let tls = ServerTls::new(ca.issue(["a.test"])).alpn(Alpn::H1).build();
    let slow = [
        vec![Step::HoldUnheard(gate.clone())],
        steps::over_tls(&tls, steps::answer_all(answers::ok("hello"))),
    ];
    let first = Script::start([slow.concat()]).await;
    let swallow = Swallow::on(loopback(2), first.port());
    let keys = format!(
        "tls.extra_ca_file = '{}'\ntimeouts.attempt = \"600ms\"\n",
        trust.path().display()
    );
    let client = client_of(at_addresses(2), 4, &keys);
    let request = tokio::spawn(client.get(format!("https://a.test:{}/", first.port())).send());
    eventually("a dial to the other address", || client.stats().dials_in_progress == 2).await;
    gate.open();
    let answer = within(PATIENCE, request).await.unwrap().unwrap();
    assert_eq!(answer.text().await.unwrap(), "hello");
    assert_eq!(first.accepted(), 1);
    drop(swallow);
}

#[tokio::test]
async fn a_retry_through_a_proxy_that_is_given_addresses_asks_for_the_other_one() {
    let reached = |then: Vec<Step>| {
        let greeting = vec![Step::ReadBody(3), Step::write(vec![5, 0])];
        let asked = vec![Step::ReadBody(10), Step::write(vec![5, 0, 0, 1, 0, 0, 0, 0, 0, 0])];
        [greeting, asked, then].concat()
    };
    for (scheme, fails) in [
        (
            "http",
            steps::answer_all(answers::with_length("503 Service Unavailable", &[], "")),
        ),
        ("http", steps::reset_on_request()),
        ("http", vec![Step::ReadRequest, Step::Stall]),
        ("https", vec![Step::Stall]),
    ] {
        let proxy = Script::start([reached(fails), reached(steps::answer_all(answers::ok("hello")))]).await;
        let client = client(&format!(
            "proxy.url = 'socks5://{}'\ntimeouts.tls_handshake = \"100ms\"\n",
            proxy.addr()
        ));
        let answer = within(PATIENCE, client.get(format!("{scheme}://a.test/")).send()).await;
        // The second one speaks no TLS.
        assert_eq!(answer.is_ok_and(|answer| answer.status() == 200), scheme == "http");
        for (connection, n) in [(0, 1), (1, 2)] {
            let heard = proxy.received(connection);
            assert_eq!(heard[3..][..8], [5, 1, 0, 1, 127, 0, 0, n], "{scheme}, {connection}");
        }
        assert_eq!(client.stats().retries, 1);
    }
}

#[tokio::test]
async fn a_retry_goes_to_the_other_address_of_an_override_that_may_differ_by_port() {
    let first = Script::start([steps::answer_all(answers::with_length(
        "503 Service Unavailable",
        &[],
        "",
    ))])
    .await;
    let second = Server::builder().start().await;
    let addresses = format!("\"{}\", \"{}\"", first.addr(), second.addr());
    let client = client_of(
        ScriptedResolver::new(),
        2,
        &format!("dns.overrides = {{ \"a.test\" = [{addresses}] }}\n"),
    );
    for sent in 1..=2 {
        let request = client.get("http://a.test/").fresh_connection(true).send();
        let answer = within(PATIENCE, request).await.unwrap();
        assert_eq!(answer.text().await.unwrap(), "hello");
        // The next begins at the other one.
        assert_eq!((first.requests(), second.requests()), (1, sent));
    }
}

#[tokio::test]
async fn an_answer_that_asks_for_patience_is_no_reason_to_go_elsewhere() {
    let too_many = answers::with_length("429 Too Many Requests", &[("retry-after", "0")], "");
    let (first, second) = servers(steps::answer_all(too_many)).await;
    let client = client("");
    let request = client.get(second.url_for("a.test", "/")).send();
    assert_eq!(within(PATIENCE, request).await.unwrap().status(), 429);
    assert_eq!((first.accepted(), first.requests(), second.accepted()), (1, 2, 0));
}

/// All that a host may have leads to one address when that goes bad; the other one is well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_a_cap_connections_to_an_address_that_went_bad_make_room_for_others() {
    const CAP: usize = 2;
    for (h2, key) in [
        (false, "pool.max_connections_per_host"),
        (false, "pool.max_connections"),
        (true, "http2.max_connections_per_host"),
        (true, "pool.max_connections_per_host"),
    ] {
        let what = format!("{key}, h2: {h2}");
        let builder = || {
            let builder = Server::builder();
            if h2 {
                builder.h2().max_concurrent_streams(2)
            } else {
                builder
            }
        };
        let (gate, is_bad) = (Gate::new(), Arc::new(AtomicBool::new(false)));
        let (held, bad) = (gate.clone(), Arc::clone(&is_bad));
        let handler = move |_: http::Request<Incoming>| {
            let (held, bad) = (held.clone(), Arc::clone(&bad));
            async move {
                held.pass().await;
                if bad.load(Ordering::SeqCst) {
                    handlers::status(StatusCode::SERVICE_UNAVAILABLE)
                } else {
                    handlers::full("hello")
                }
            }
        };
        let first = builder().handler(handler).start().await;
        let second = builder().start_beside(2, first.port()).await;
        let keys = format!(
            "{key} = {CAP}\nhttp2.prior_knowledge = {h2}\nbreaker.enabled = false\n\
             retry.budget.min_per_second = 1000\ntimeouts.attempt = \"none\"\n"
        );
        let client = client_of(at_addresses(2), 5, &keys);
        let url = first.url_for("a.test", "/");
        let places = if h2 { 2 * CAP } else { CAP };
        let held: Vec<_> = (0..places).map(|_| tokio::spawn(client.get(&url).send())).collect();
        within(PATIENCE, gate.arrived(places)).await;
        is_bad.store(true, Ordering::SeqCst);
        gate.open();
        for request in held {
            let answer = within(PATIENCE, request).await.unwrap().unwrap();
            assert_eq!(answer.text().await.unwrap(), "hello", "{what}");
        }
        let asks = |_| {
            let (client, url) = (client.clone(), url.clone());
            tokio::spawn(async move {
                for _ in 0..20 {
                    let answer = within(PATIENCE, client.get(&url).send()).await.unwrap();
                    assert_eq!(answer.text().await.unwrap(), "hello");
                }
            })
        };
        for asking in (0..6).map(asks).collect::<Vec<_>>() {
            asking.await.expect(&what);
        }
        let stats = client.stats();
        assert_eq!(second.requests(), places + 120, "{what}");
        // Each of those to the first made room at most once, and none of the others did.
        let made_room = stats.closed_for(CloseReason::MadeRoom);
        assert!((1..=CAP as u64).contains(&made_room), "{what}: {stats:?}");
        assert!(second.accepted() <= CAP, "{what}: {stats:?}");
        assert_balanced(&stats);
    }
}

#[tokio::test]
async fn a_retry_takes_an_idle_connection_to_another_address_before_a_new_one() {
    for h2 in [false, true] {
        let builder = || if h2 { Server::builder().h2() } else { Server::builder() };
        let broken = builder().handler(handlers::always(StatusCode::SERVICE_UNAVAILABLE));
        let broken = broken.start().await;
        let _serving = [
            builder().start_beside(2, broken.port()).await,
            builder().start_beside(3, broken.port()).await,
        ];
        let keys = format!(
            "dns.balance = \"round_robin\"\nhttp2.prior_knowledge = {h2}\nbreaker.enabled = false\n\
             retry.budget.min_per_second = 1000\n"
        );
        let client = client_to(&keys, 3);
        // It is asked again when it has been passed over for a while.
        let asks = async {
            while broken.requests() < 3 {
                let request = client.get(broken.url_for("a.test", "/")).send();
                let answer = request.await.unwrap();
                assert_eq!(answer.text().await.unwrap(), "hello", "h2: {h2}");
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        within(PATIENCE, asks).await;
        let stats = client.stats();
        assert_eq!(stats.retries, 3, "h2: {h2}, {stats:?}");
        assert!(stats.dialled <= 6, "h2: {h2}, {stats:?}");
    }
}

#[tokio::test]
async fn where_all_addresses_but_one_fail_each_request_finds_that_one() {
    for (balance, h2) in [
        ("first", false),
        ("round_robin", false),
        ("first", true),
        ("round_robin", true),
    ] {
        let builder = || if h2 { Server::builder().h2() } else { Server::builder() };
        let failing = || builder().handler(handlers::always(StatusCode::SERVICE_UNAVAILABLE));
        let broken = failing().start().await;
        let broken = [failing().start_beside(2, broken.port()).await, broken];
        let sound = builder().start_beside(3, broken[0].port()).await;
        let keys = format!(
            "dns.balance = \"{balance}\"\nhttp2.prior_knowledge = {h2}\nbreaker.enabled = false\n\
             retry.budget.min_per_second = 1000\n"
        );
        let client = client_of(at_addresses(3), 3, &keys);
        for number in 0..60 {
            let request = client.get(sound.url_for("a.test", "/")).send();
            let answer = within(PATIENCE, request).await.unwrap();
            assert_eq!(answer.status(), 200, "{balance}, h2: {h2}, request {number}");
            assert_eq!(answer.text().await.unwrap(), "hello");
        }
        let stats = client.stats();
        assert_eq!(sound.requests(), 60, "{balance}, h2: {h2}");
        assert!(broken.iter().all(|server| server.requests() > 0), "{balance}, h2: {h2}");
        assert!(stats.dialled <= 12, "{balance}, h2: {h2}, {stats:?}");
    }
}

#[tokio::test]
async fn without_another_address_the_retry_goes_to_the_same_over_a_new_connection() {
    let first = Script::start([vec![Step::ReadRequest, Step::Stall]]).await;
    let client = client("");
    let began = std::time::Instant::now();
    let request = client.get(first.url("/")).send();
    let error = within(PATIENCE, request).await.unwrap_err();
    assert!(matches!(error.kind(), Kind::Timeout { .. }), "{error}");
    assert!(began.elapsed() >= Duration::from_millis(500));
    assert_eq!((first.accepted(), error.attempts()), (2, 2));
}
