//! A proxy that is down is blamed itself, once for all hosts behind it, and used again when it is back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use httputil::settings::ProxyChoice;
use httputil::{Environment, Kind, Phase};
use httputil_tests::ca::Ca;
use httputil_tests::leaks::Baseline;
use httputil_tests::proxy::Proxy;
use httputil_tests::resolver::{Answer, ScriptedResolver};
use httputil_tests::script::{Script, Step};
use httputil_tests::server::Server;
use httputil_tests::tcp::{BlackHole, ClosedPort};
use httputil_tests::tls::ServerTls;
use httputil_tests::{PATIENCE, within};

use crate::scene::{
    Trust, after_backoff, assert_balanced, assert_bound_in, assert_says, client, client_of, client_through, failure,
    get, registry_in,
};

#[tokio::test]
async fn one_error_serves_all_hosts_behind_it_and_direct_requests_are_unharmed() {
    let server = Server::builder().start().await;
    let port = Arc::new(ClosedPort::new());
    let baseline = Baseline::take_on(port.port());
    let proxy_url = format!("http://user:canary@{}", port.addr());
    let (through, direct) = (client_through(&proxy_url, |_| {}), client(|_| {}));
    let error = failure(&through, server.url_for("a.test", "/")).await;
    let blamed = format!("the proxy http://{} cannot be used", port.addr());
    assert_says(&error, Kind::Proxy, &[&blamed, "connection refused"]);
    assert!(error.is_retryable() && !format!("{error} {error:?}").contains("canary"));
    // Of many hosts nobody else goes there while the backoff lasts: all hear of that one try, or of the next.
    let mut remembered = 0;
    for host in ["b.test", "c.test", "d.test", "e.test", "f.test", "g.test"] {
        for scheme in ["http", "https"] {
            let error = failure(&through, format!("{scheme}://{host}/")).await;
            assert_says(&error, Kind::Proxy, &[&blamed]);
            remembered += usize::from(error.to_string().contains("the error of the last try"));
        }
    }
    assert!(remembered > 0);
    assert_eq!(through.stats().dial_failures[3], ("proxy", 13));
    assert_balanced(&through.stats());
    assert_eq!(get(&direct, server.url("/")).await.unwrap(), "hello");

    // Back: for hosts that have failed, and for those that have not.
    let proxy = Proxy::builder().start_on(port.clone()).await;
    for host in ["b.test", "new.test"] {
        let answer = after_backoff(&through, server.url_for(host, "/")).await;
        assert_eq!(answer.unwrap(), "hello", "{host}");
    }
    let wait = Instant::now();
    for host in ["c.test", "d.test", "e.test"] {
        assert_eq!(
            get(&through, server.url_for(host, "/")).await.unwrap(),
            "hello",
            "{host} waits for nothing"
        );
    }
    assert!(wait.elapsed() < Duration::from_secs(4));
    through.stop();
    direct.stop();
    proxy.stop().await;
    drop(proxy);
    baseline.assert_no_leak().await;
}

#[tokio::test]
async fn connections_through_it_serve_on_while_new_ones_fail() {
    let server = Server::builder().start().await;
    let port = Arc::new(ClosedPort::new());
    let relay = Proxy::builder().start_on(port.clone()).await;
    let client = client_through(&relay.url(), |_| {});
    get(&client, server.url_for("a.test", "/")).await.unwrap();
    // A name that the proxy cannot be asked for is not the proxy's fault.
    let closed = ClosedPort::new();
    let error = failure(&client, format!("https://b.test:{}/", closed.port())).await;
    assert_says(&error, Kind::Proxy, &["502 Bad Gateway", "b.test"]);
    assert_eq!(
        get(&client, server.url_for("c.test", "/")).await.unwrap(),
        "hello",
        "others are asked for all the same"
    );
    assert_eq!(get(&client, server.url_for("a.test", "/")).await.unwrap(), "hello");
    assert_balanced(&client.stats());
}

#[tokio::test]
async fn its_name_and_its_address_are_told_as_the_proxys() {
    let resolver = ScriptedResolver::new().name("slow.test", Answer::Hang);
    let through = |proxy: &str| {
        let toml = format!("[default]\ntimeouts.dns = \"200ms\"\n[default.proxy]\nurl = '{proxy}'");
        registry_in(&toml, &Environment::empty(), &resolver)
            .client("default")
            .unwrap()
    };
    for target in ["http://service.test/", "https://service.test/"] {
        let client = through("http://user:canary@nowhere.test:3128");
        let error = failure(&client, target).await;
        assert_says(
            &error,
            Kind::Proxy,
            &["the proxy http://nowhere.test:3128 cannot be used: name look-up"],
        );
        assert!(!format!("{error} {error:?}").contains("canary"));
        let client = through("socks5h://slow.test");
        let error = failure(&client, target).await;
        assert_bound_in(
            &error,
            Phase::ProxyConnect,
            "name look-up",
            Duration::from_millis(200),
            "timeouts.dns",
        );
    }
    assert_eq!(
        resolver.calls_for("service.test"),
        0,
        "nobody here looks up what is the proxy's to reach"
    );
    resolver.until_quiet().await;

    let bound = Duration::from_millis(250);
    let hole = BlackHole::new();
    let client = client_through(&format!("http://{}", hole.addr()), |profile| {
        profile.transport.timeouts.connect = bound;
    });
    let error = failure(&client, "https://service.test/").await;
    assert_bound_in(&error, Phase::ProxyConnect, "TCP connect", bound, "timeouts.connect");
    assert_eq!(client.stats().dial_failures[3], ("proxy", 1));
    assert_balanced(&client.stats());
}

#[tokio::test]
async fn where_one_of_its_addresses_is_silent_another_is_dialled_the_next_time() {
    let (ca, proxy_ca) = (Ca::new(), Ca::new());
    let server = ServerTls::new(ca.issue(["a.test"])).build();
    let server = Server::builder().tls(server).start().await;
    let trust = Trust::of([&ca, &proxy_ca]);
    for scheme in ["http", "https", "socks5h"] {
        let proxy = Proxy::builder();
        let proxy = match scheme {
            "https" => proxy.tls(ServerTls::new(proxy_ca.issue(["proxy.test"])).build()),
            _ => proxy,
        };
        let proxy = proxy.start().await;
        let silent = Arc::new(ClosedPort::on([127, 0, 0, 7].into(), proxy.port()));
        let silent = Script::start_on(silent, [vec![Step::Stall]]).await;
        let resolver = ScriptedResolver::new().name("proxy.test", Answer::to(["127.0.0.7:0", "127.0.0.1:0"]));
        let toml = format!(
            "[default]\nretry.max_attempts = 1\nproxy.url = '{scheme}://proxy.test:{}'\ntls.extra_ca_file = '{}'\n\
             timeouts.proxy_connect = \"500ms\"\ntimeouts.tls_handshake = \"1s\"",
            proxy.port(),
            trust.path().display()
        );
        let client = registry_in(&toml, &Environment::empty(), &resolver)
            .client("default")
            .unwrap();
        let url = server.url_for("a.test", "/");
        let error = failure(&client, &url).await;
        assert!(matches!(error.kind(), Kind::Timeout { .. }), "{scheme}: {error}");
        assert_eq!(after_backoff(&client, &url).await.unwrap(), "hello", "{scheme}");
        assert_eq!((silent.accepted(), proxy.accepted()), (1, 1), "{scheme}");
        assert_balanced(&client.stats());
    }
}

#[tokio::test]
async fn where_one_that_passes_requests_on_answers_nothing_at_one_address_another_is_dialled_the_next_time() {
    let server = Server::builder().start().await;
    for step in [Step::Stall, Step::Close] {
        let proxy = Proxy::builder().start().await;
        let broken = Arc::new(ClosedPort::on([127, 0, 0, 7].into(), proxy.port()));
        let broken = Script::start_on(broken, [vec![step]]).await;
        let resolver = ScriptedResolver::new().name("proxy.test", Answer::to(["127.0.0.7:0", "127.0.0.1:0"]));
        let toml = format!(
            "[default]\nproxy.url = 'http://proxy.test:{}'\ntimeouts.response_header = \"500ms\"",
            proxy.port()
        );
        let client = registry_in(&toml, &Environment::empty(), &resolver)
            .client("default")
            .unwrap();
        let url = server.url_for("a.test", "/");
        let error = failure(&client, &url).await;
        assert!(matches!(error.kind(), Kind::Timeout { .. } | Kind::Proxy), "{error}");
        assert_eq!(after_backoff(&client, &url).await.unwrap(), "hello");
        assert_eq!((broken.accepted(), proxy.accepted()), (1, 1), "{error}");
        assert_balanced(&client.stats());
    }
}

#[tokio::test]
async fn one_that_closes_connections_before_it_is_sent_a_request_is_down_for_all_hosts_until_it_answers() {
    let server = Server::builder().start().await;
    let port = Arc::new(ClosedPort::new());
    let closes = Script::start_on(port.clone(), [vec![Step::Close]]).await;
    let client = client_through(&format!("http://{}", port.addr()), |_| {});
    let blamed = format!("the proxy http://{} ", port.addr());
    let (mut asked, mut remembered) = (0, 0);
    // It may happen that a request is sent before the close has come.
    let crowd = async {
        while remembered < 20 {
            let error = failure(&client, server.url_for(&format!("host{}.test", asked % 3), "/")).await;
            assert_says(&error, Kind::Proxy, &[&blamed]);
            assert!(
                error.is_retryable() || !error.to_string().contains("cannot be used"),
                "{error}"
            );
            asked += 1;
            remembered += usize::from(error.to_string().contains("the error of the last try"));
        }
    };
    within(PATIENCE, crowd).await;
    assert!(closes.accepted() < 2 * asked, "{} of {asked}", closes.accepted());
    closes.stop().await;
    drop(closes);

    let proxy = Proxy::builder().start_on(port).await;
    for host in ["host1.test", "new.test"] {
        let answer = after_backoff(&client, server.url_for(host, "/")).await;
        assert_eq!(answer.unwrap(), "hello", "{host}");
    }
    assert_eq!(proxy.accepted(), 2);
    assert_balanced(&client.stats());
}

#[tokio::test]
async fn one_that_closes_where_it_is_asked_for_a_tunnel_is_down_for_all_hosts_until_it_answers() {
    let ca = Ca::new();
    let trust = Trust::of([&ca]);
    let tls = ServerTls::new(ca.issue(["one.test", "new.test"])).build();
    let server = Server::builder().tls(tls).start().await;
    for (scheme, read) in [("http", Step::ReadHead), ("socks5h", Step::ReadBody(3))] {
        let port = Arc::new(ClosedPort::new());
        let closes = Script::start_on(port.clone(), [vec![read, Step::Close]]).await;
        let client = client_of(&trust, |profile| {
            let url = format!("{scheme}://{}", port.addr());
            profile.transport.proxy.url = Some(ProxyChoice::Through(url.into()));
        });
        let is_old = |error: &httputil::Error| error.to_string().contains("the error of the last try");
        if scheme == "http" {
            // Of one target it may have its reasons.
            while closes.accepted() < 3 {
                failure(&client, server.url_for("one.test", "/")).await;
            }
            let error = failure(&client, server.url_for("other.test", "/")).await;
            assert!(!is_old(&error) && closes.accepted() == 4, "{error}");
        }
        let (mut asked, mut remembered) = (0, 0);
        let crowd = async {
            // None of them has been asked for before.
            while remembered < 20 {
                let error = failure(&client, server.url_for(&format!("host{asked}.test"), "/")).await;
                assert_says(&error, Kind::Proxy, &["closed the connection"]);
                asked += 1;
                remembered += usize::from(is_old(&error));
            }
        };
        within(PATIENCE, crowd).await;
        assert!(closes.accepted() < asked, "{} of {asked}", closes.accepted());
        closes.stop().await;
        drop(closes);

        let proxy = Proxy::builder().start_on(port).await;
        for host in ["one.test", "new.test"] {
            let answer = after_backoff(&client, server.url_for(host, "/")).await;
            assert_eq!(answer.unwrap(), "hello", "{host}");
        }
        assert_eq!(proxy.accepted(), 2);
        assert_balanced(&client.stats());
    }
}

/// A proxy that hangs over one target works for the others, as often as somebody asks for that one.
#[tokio::test]
async fn a_target_over_which_one_of_its_addresses_hangs_keeps_no_other_target_from_it() {
    let ca = Ca::new();
    let trust = Trust::of([&ca]);
    let tls = ServerTls::new(ca.issue(["a.test"])).build();
    let tls = Server::builder().tls(tls).start().await;
    let plain = Server::builder().start().await;
    for (scheme, server) in [("https", &tls), ("http", &plain)] {
        let proxy = Proxy::builder().hangs_over("hang.test").start().await;
        let silent = Arc::new(ClosedPort::on([127, 0, 0, 7].into(), proxy.port()));
        let silent = Script::start_on(silent, [vec![Step::Stall]]).await;
        let resolver = ScriptedResolver::new().name("proxy.test", Answer::to(["127.0.0.1:0", "127.0.0.7:0"]));
        let toml = format!(
            "[default]\nretry.max_attempts = 1\nbreaker.enabled = false\npool.reuse = false\n\
             proxy.url = 'http://proxy.test:{}'\ntls.extra_ca_file = '{}'\n\
             timeouts.proxy_connect = \"200ms\"\ntimeouts.response_header = \"200ms\"",
            proxy.port(),
            trust.path().display()
        );
        let client = registry_in(&toml, &Environment::empty(), &resolver)
            .client("default")
            .unwrap();
        let hung = || {
            proxy
                .wanted()
                .iter()
                .filter(|wanted| wanted.contains("hang.test"))
                .count()
        };
        for round in 1..=3 {
            // Until its host's pause is over it hears of the last time.
            while hung() + silent.accepted() < round {
                failure(&client, server.url_for("hang.test", "/")).await;
            }
            let answer = get(&client, server.url_for("a.test", "/")).await;
            assert_eq!(answer.unwrap(), "hello", "{scheme}");
        }
        // The target that hangs was asked for at either address.
        assert_eq!((hung(), silent.accepted()), (2, 1), "{scheme}");
        assert_balanced(&client.stats());
    }
}

/// All at once, over many hosts: a bounded number of tries, and one answer for everybody.
#[tokio::test]
async fn a_crowd_behind_a_dead_proxy_hears_of_it_at_once() {
    let port = ClosedPort::new();
    let client = client_through(&format!("http://{}", port.addr()), |_| {});
    let requests: Vec<_> = (0..300)
        .map(|number| {
            let scheme = if number % 2 == 0 { "http" } else { "https" };
            tokio::spawn(client.get(format!("{scheme}://host{}.test/", number % 30)).send())
        })
        .collect();
    let began = Instant::now();
    for request in requests {
        let error = request.await.unwrap().expect_err("the proxy is dead");
        assert_says(&error, Kind::Proxy, &["cannot be used"]);
    }
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_balanced(&client.stats());
    assert_eq!(client.stats().open, 0);
}
