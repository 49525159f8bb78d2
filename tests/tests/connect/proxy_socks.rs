//! SOCKS5: names resolved here or there, logins, and every way in which the other side can fall short.

use std::time::Duration;

use httputil::{Environment, Kind, Phase};
use httputil_tests::ca::Ca;
use httputil_tests::leaks::Baseline;
use httputil_tests::proxy::Proxy;
use httputil_tests::resolver::{Answer, ScriptedResolver};
use httputil_tests::script::{Script, Step, answers, steps};
use httputil_tests::server::Server;
use httputil_tests::tls::{Alpn, ServerTls};

use crate::scene::{Trust, assert_balanced, assert_bound, assert_says, client_through, failure, get, registry_in};

#[tokio::test]
async fn names_are_resolved_here_for_socks5_and_by_the_proxy_for_socks5h() {
    let (server, proxy) = (Server::builder().start().await, Proxy::builder().start().await);
    let resolver = ScriptedResolver::new().name("service.test", Answer::to(["127.0.0.9:0"]));
    let url = server.url_for("service.test", "/");
    for (scheme, place, looked_up) in [("socks5", "127.0.0.9", 1), ("socks5h", "service.test", 1)] {
        let toml = format!("[default.proxy]\nurl = '{}'", proxy.url_as(scheme, ""));
        let client = registry_in(&toml, &Environment::empty(), &resolver)
            .client("default")
            .unwrap();
        for _ in 0..2 {
            assert_eq!(get(&client, &url).await.unwrap(), "hello");
        }
        assert_eq!(resolver.calls_for("service.test"), looked_up, "{scheme}");
        let asked = proxy.asked().pop().unwrap();
        assert_eq!(asked.what, format!("SOCKS5 {place}:{}", server.port()));
        assert_balanced(&client.stats());
    }
    assert_eq!(proxy.accepted(), 2, "one connection each");
    let direct = client_through(&proxy.url_as("socks5h", ""), |_| {});
    assert_eq!(get(&direct, server.url("/")).await.unwrap(), "hello");
    assert_eq!(
        proxy.asked().pop().unwrap().what,
        format!("SOCKS5 127.0.0.1:{}", server.port())
    );
}

#[tokio::test]
async fn a_proxy_that_hangs_up_before_it_was_named_a_place_is_not_asked_for_the_other_addresses() {
    let proxy = Script::start([vec![Step::ReadBody(GREETING), Step::Close]]).await;
    let addresses = ["127.0.0.7:0", "127.0.0.8:0", "127.0.0.9:0"];
    let resolver = ScriptedResolver::new().name("service.test", Answer::to(addresses));
    let toml = format!(
        "[default]\nretry.max_attempts = 1\nproxy.url = 'socks5://{}'",
        proxy.addr()
    );
    let client = registry_in(&toml, &Environment::empty(), &resolver)
        .client("default")
        .unwrap();
    let error = failure(&client, "http://service.test/").await;
    assert_eq!(error.kind(), Kind::Proxy, "{error}");
    assert_eq!(proxy.accepted(), 1);
    assert_balanced(&client.stats());
}

#[tokio::test]
async fn a_proxy_that_is_silent_before_it_was_named_a_place_has_one_bound_and_is_blamed_for_all_hosts() {
    const BOUND: Duration = Duration::from_millis(200);
    let login = vec![Step::ReadBody(4), Step::write(vec![5, 2]), Step::ReadBody(1 + 4 + 4)];
    for (user, plays) in [
        ("", vec![Step::Stall]),
        ("user:word@", [login, vec![Step::Stall]].concat()),
    ] {
        let proxy = Script::start([plays]).await;
        let names = ["service.test", "other.test"];
        let resolver = names.iter().fold(ScriptedResolver::new(), |resolver, name| {
            resolver.name(name, Answer::to(["127.0.0.7:0", "127.0.0.8:0", "127.0.0.9:0"]))
        });
        let toml = format!(
            "[default]\ntimeouts.proxy_connect = \"200ms\"\nproxy.url = 'socks5://{user}{}'",
            proxy.addr()
        );
        let client = registry_in(&toml, &Environment::empty(), &resolver)
            .client("default")
            .unwrap();
        let error = failure(&client, "http://service.test/").await;
        assert_bound(&error, Phase::ProxyConnect, BOUND, "timeouts.proxy_connect");
        assert_eq!(proxy.accepted(), 1, "no second address for it: {error}");
        // It is left alone for a moment, whoever asks.
        let mut remembered = 0;
        for _ in 0..6 {
            let error = failure(&client, "http://other.test/").await;
            remembered += usize::from(error.to_string().contains("the error of the last try"));
        }
        assert!(remembered > 0);
        assert_eq!(proxy.accepted(), 7 - remembered);
        assert_balanced(&client.stats());
    }
}

#[tokio::test]
async fn of_a_name_that_is_resolved_here_the_proxy_is_asked_for_one_address_after_the_other() {
    // Version, command, reserved, kind, an IPv4 address, port.
    let asked = |reply, then: Vec<Step>| {
        let said = vec![5, reply, 0, 1, 0, 0, 0, 0, 0, 0];
        let exchange = vec![
            Step::ReadBody(GREETING),
            Step::write(vec![5, 0]),
            Step::ReadBody(4 + 4 + 2),
            Step::write(said),
        ];
        [exchange, then].concat()
    };
    let refused = |reply| asked(reply, vec![Step::Close]);
    let server = steps::answer_all(answers::ok("hello"));
    let proxy = Script::start([refused(4), refused(5), asked(0, server), refused(5)]).await;
    let resolver = ScriptedResolver::new().name(
        "service.test",
        Answer::to(["127.0.0.7:0", "127.0.0.8:0", "127.0.0.9:0"]),
    );
    let toml = format!("[default.proxy]\nurl = 'socks5://{}'", proxy.addr());
    let client = registry_in(&toml, &Environment::empty(), &resolver)
        .client("default")
        .unwrap();
    assert_eq!(get(&client, "http://service.test/").await.unwrap(), "hello");
    for (connection, last) in [7, 8, 9].into_iter().enumerate() {
        let heard = proxy.received(connection);
        assert_eq!(heard[GREETING..][..8], [5, 1, 0, 1, 127, 0, 0, last], "{connection}");
    }
    // What failed is closed, and no connection of the pool.
    proxy.until_open(1).await;
    assert_eq!((client.stats().dials_started, client.stats().open), (1, 1));

    client.close_idle_connections();
    let error = failure(&client, "http://service.test/").await;
    let words = [
        "connection refused (reply 5)",
        "(the last of 3 addresses that were tried)",
    ];
    assert_says(&error, Kind::Proxy, &words);
    assert_eq!(proxy.accepted(), 6);
    assert_balanced(&client.stats());
}

#[tokio::test]
async fn one_that_hangs_over_an_address_is_asked_for_the_next_until_timeouts_connect_is_over() {
    let named = |then: Vec<Step>| {
        let asked = vec![Step::ReadBody(GREETING), Step::write(vec![5, 0]), Step::ReadBody(10)];
        [asked, then].concat()
    };
    let serves = [
        vec![Step::write(vec![5, 0, 0, 1, 0, 0, 0, 0, 0, 0])],
        steps::answer_all(answers::ok("hello")),
    ];
    let addresses = |count: u8| (1..=count).map(|n| ([127, 0, 1, n], 0).into()).collect();
    let client = |proxy: &Script, count, connect: &str| {
        let resolver = ScriptedResolver::new().name("service.test", Answer::Addresses(addresses(count)));
        let toml = format!(
            "[default]\ntimeouts.proxy_connect = \"200ms\"\ntimeouts.connect = \"{connect}\"\n\
             proxy.url = 'socks5://{}'",
            proxy.addr()
        );
        let registry = registry_in(&toml, &Environment::empty(), &resolver);
        registry.client("default").unwrap()
    };
    let proxy = Script::start([named(vec![Step::Stall]), named(serves.concat())]).await;
    let asks = client(&proxy, 3, "10s");
    assert_eq!(get(&asks, "http://service.test/").await.unwrap(), "hello");

    let proxy = Script::start([named(vec![Step::Stall])]).await;
    let asks = client(&proxy, 12, "500ms");
    let error = failure(&asks, "http://service.test/").await;
    assert_says(
        &error,
        error.kind(),
        &["timed out after 200 ms (timeouts.proxy_connect)"],
    );
    assert!(proxy.accepted() <= 3, "{}: {error}", proxy.accepted());
    assert_balanced(&asks.stats());

    // Of very many not all are asked for.
    let refuses = vec![Step::write(vec![5, 5, 0, 1, 0, 0, 0, 0, 0, 0]), Step::Close];
    let proxy = Script::start([named(refuses)]).await;
    let asks = client(&proxy, 20, "10s");
    let error = failure(&asks, "http://service.test/").await;
    assert_says(&error, Kind::Proxy, &["(the last of 16 addresses that were tried)"]);
    assert_eq!(proxy.accepted(), 16);
    assert_balanced(&asks.stats());
}

#[tokio::test]
async fn tls_with_the_server_goes_through_it_in_both_protocols() {
    let (ca, proxy) = (Ca::new(), Proxy::builder().login("user", "word").start().await);
    let trust = Trust::of([&ca]);
    for (alpn, version) in [(Alpn::H1, http::Version::HTTP_11), (Alpn::Both, http::Version::HTTP_2)] {
        let tls = ServerTls::new(ca.issue(["service.test"])).alpn(alpn).build();
        let server = Server::builder().tls(tls).start().await;
        let client = client_through(&proxy.url_as("socks5h", "user:word@"), |profile| {
            profile.transport.tls.ca_file = Some(trust.path());
        });
        let response = client.get(server.url_for("service.test", "/")).send().await.unwrap();
        assert_eq!(response.version(), version);
        let asked = proxy.asked().pop().unwrap();
        assert_eq!(
            (asked.header("user"), asked.header("password")),
            (Some("user"), Some("word"))
        );
    }
}

#[tokio::test]
async fn a_name_that_cannot_be_resolved_here_is_no_fault_of_the_proxy() {
    let proxy = Proxy::builder().start().await;
    let toml = format!("[default.proxy]\nurl = '{}'", proxy.url_as("socks5", ""));
    let client = registry_in(&toml, &Environment::empty(), &ScriptedResolver::new())
        .client("default")
        .unwrap();
    let error = failure(&client, "http://nowhere.test/").await;
    assert_says(&error, Kind::Dns, &["nowhere.test"]);
    assert_eq!(proxy.accepted(), 0);
}

#[tokio::test]
async fn a_name_of_more_than_255_bytes_is_refused_and_resolved_nowhere() {
    let proxy = Proxy::builder().start().await;
    let resolver = ScriptedResolver::new();
    let name = vec!["a".repeat(60); 5].join(".");
    let toml = format!("[default.proxy]\nurl = '{}'", proxy.url_as("socks5h", ""));
    let client = registry_in(&toml, &Environment::empty(), &resolver)
        .client("default")
        .unwrap();
    let sent = client.get(format!("http://{name}/")).send().await;
    let error = sent.expect_err("the name is too long");
    assert_says(&error, Kind::Proxy, &["255 bytes", &proxy.url_as("socks5h", "")]);
    assert_eq!((proxy.accepted(), resolver.calls()), (0, 0));
}

const GREETING: usize = 3;
/// Version, command, reserved, kind, length, `service.test`, port.
const REQUEST: usize = 7 + 12;

fn login(then: Vec<Step>) -> Vec<Step> {
    [
        vec![Step::ReadBody(4), Step::write(vec![5, 2]), Step::ReadBody(1 + 5 + 7)],
        then,
    ]
    .concat()
}

fn after_login(reply: impl Into<Vec<u8>>) -> Vec<Step> {
    vec![
        Step::ReadBody(GREETING),
        Step::write(vec![5, 0]),
        Step::ReadBody(REQUEST),
        Step::write(reply.into()),
    ]
}

#[tokio::test]
async fn each_way_to_fall_short_has_an_error_of_its_own() {
    let greeted = |bytes: &[u8]| vec![Step::ReadBody(GREETING), Step::write(bytes.to_vec())];
    let cut = |steps: Vec<Step>| [steps, vec![Step::Close]].concat();
    let user = "user:canary@";
    let mut cases: Vec<(&str, Vec<Step>, &[&str])> = vec![
        ("", greeted(&[4, 0]), &["does not speak SOCKS5"]),
        (
            "",
            greeted(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
            &["does not speak SOCKS5"],
        ),
        ("", greeted(&[5, 0xff]), &["set proxy.username"]),
        ("", greeted(&[5, 2]), &["was not offered (2)"]),
        ("", greeted(&[5, 1]), &["was not offered (1)"]),
        (user, greeted(&[5, 0xff]), &["no way to log in suits it"]),
        (user, greeted(&[5, 3]), &["was not offered (3)"]),
        (
            user,
            login(vec![Step::write(vec![1, 1])]),
            &["refused the credentials (status 1)"],
        ),
        (
            user,
            cut(login(vec![Step::write(vec![1])])),
            &["closed the connection before its answer"],
        ),
        (
            "",
            cut(greeted(&[5])),
            &["closed the connection before its answer was whole"],
        ),
        (
            "",
            cut(after_login([5])),
            &["closed the connection before its answer was whole"],
        ),
        (
            "",
            cut(after_login([5, 0, 0, 1, 127, 0])),
            &["closed the connection before its answer was whole"],
        ),
        (
            "",
            cut(after_login([5, 0, 0, 3, 200, b'x'])),
            &["closed the connection before its answer was whole"],
        ),
        ("", after_login([5, 0, 0, 2, 0, 0]), &["an address of a kind"]),
        (
            "",
            after_login([4, 0, 0, 1, 0, 0, 0, 0, 0, 0]),
            &["does not speak SOCKS5"],
        ),
        (
            "",
            after_login([vec![5, 0, 0, 1, 0, 0, 0, 0, 0, 0], vec![b'x'; 100_000]].concat()),
            &["before TLS"],
        ),
    ];
    let replies = [
        (1, "general failure"),
        (2, "its rules do not allow it"),
        (3, "network is unreachable"),
        (4, "host is unreachable"),
        (5, "connection refused"),
        (6, "TTL expired"),
        (7, "the command"),
        (8, "kind of address"),
        (99, "reply 99"),
    ];
    let words: Vec<[&str; 2]> = replies.iter().map(|(_, words)| [*words, "service.test:443"]).collect();
    for ((reply, _), words) in replies.iter().zip(&words) {
        cases.push(("", after_login([5, *reply, 0, 1, 0, 0, 0, 0, 0, 0]), words));
    }
    for (user, steps, words) in cases {
        let proxy = Script::start([steps]).await;
        let baseline = Baseline::take_on(proxy.port());
        let url = format!("socks5h://{user}127.0.0.1:{}", proxy.port());
        let client = client_through(&url, |_| {});
        let error = failure(&client, "https://service.test/").await;
        assert_says(&error, Kind::Proxy, words);
        assert_says(
            &error,
            Kind::Proxy,
            &[&format!("the proxy socks5h://127.0.0.1:{}", proxy.port())],
        );
        assert!(error.is_retryable());
        assert!(!format!("{error} {error:?}").contains("canary"), "{error}");
        assert_eq!(client.stats().dial_failures[3], ("proxy", 1));
        assert_balanced(&client.stats());
        proxy.until_closed(1).await;
        baseline.assert_no_leak().await;
    }
}

#[tokio::test]
async fn silence_at_any_point_ends_after_timeouts_proxy_connect() {
    const BOUND: Duration = Duration::from_millis(200);
    for steps in [
        vec![Step::Stall],
        vec![Step::ReadBody(GREETING), Step::write(vec![5]), Step::Stall],
        after_login([5, 0, 0]),
        after_login([5, 0, 0, 3, 255]),
    ] {
        let proxy = Script::start([steps]).await;
        let client = client_through(&format!("socks5h://127.0.0.1:{}", proxy.port()), |profile| {
            profile.transport.timeouts.proxy_connect = BOUND;
        });
        let error = failure(&client, "https://service.test/").await;
        assert_bound(&error, Phase::ProxyConnect, BOUND, "timeouts.proxy_connect");
        proxy.until_closed(1).await;
        assert_balanced(&client.stats());
    }
}
