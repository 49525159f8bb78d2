//! What shapes connections: what was made by earlier settings serves no request that begins after the reload, nor one that
//! waits.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Mutex;
use std::task::Poll;

use httputil::{CloseReason, Kind, ProfileChange};
use httputil_tests::ca::Ca;
use httputil_tests::gate::Gate;
use httputil_tests::proxy::Proxy;
use httputil_tests::server::{Server, handlers};
use httputil_tests::tcp::BlackHole;
use httputil_tests::tls::{Alpn, ServerTls};

use crate::common::{Way, assert_all_gone, assert_at_rest, get, spawn_get, until, url};
use crate::scene::{Folder, config, echoed, quoted, registry, stats};

#[tokio::test]
async fn idle_connections_close_at_once_and_those_in_use_when_their_requests_have_ended() {
    let ca = crate::common::TrustedCa::new();
    for way in Way::ALL {
        let gate = Gate::new();
        let server = way
            .start(Server::builder().handler(handlers::hold_body(&gate)), &ca)
            .await;
        let lines = |more: &str| config(&format!("tls.ca_file = {}\n{more}", quoted(ca.path())));
        let registry = httputil::Registry::builder().config(lines("")).build().unwrap();
        let client = registry.client("default").unwrap();
        let held = client.get(url(&server, "/")).send().await.unwrap();
        let report = registry.reload(lines("tcp.keepalive = '45s'")).unwrap();
        assert_eq!(report.profile("default"), Some(ProfileChange::Transport));
        assert_eq!(report.renewed_pools, ["default"]);
        // The next one has a connection of its own, and the one under way is not disturbed.
        let next = client.get(url(&server, "/")).send().await.unwrap();
        assert_eq!(server.accepted(), 2, "{way:?}");
        gate.open();
        assert!(!held.bytes().await.unwrap().is_empty());
        server.until_closed(1).await;
        next.bytes().await.unwrap();
        assert_at_rest(&client).await;
        let counts = client.stats();
        assert_eq!(
            (counts.dialled, counts.open, counts.closed_for(CloseReason::Reloaded)),
            (2, 1, 1)
        );
        // Idle now, and closed without anybody asking for it.
        registry.reload(lines("")).unwrap();
        server.until_closed(2).await;
        until(&client, "its books", |stats| stats.open == 0).await;
        assert_eq!(client.stats().closed_for(CloseReason::Reloaded), 2);
        assert_all_gone(&client).await;
    }
}

/// The certificate is one that only the earlier settings trust: nothing of theirs may be used, not even a TLS session.
#[tokio::test]
async fn a_server_that_the_new_settings_refuse_is_not_reached_over_what_the_earlier_ones_made() {
    let folder = Folder::new();
    let (trusted, other) = (Ca::new(), Ca::new());
    let [ours, theirs] = [folder.ca("ours.pem", &trusted), folder.ca("theirs.pem", &other)].map(|path| quoted(&path));
    let pin = other.issue(["localhost"]).pin().to_owned();
    let trust = format!("tls.ca_file = {ours}");
    let refusals = [
        format!("tls.ca_file = {theirs}"),
        format!("tls.ca_file = {ours}\ntls.pins = ['{pin}']"),
        format!("tls.ca_file = {ours}\ntls.server_name = 'elsewhere.test'"),
        format!(
            "tls.ca_file = {ours}\ntls.crl_files = [{}]",
            quoted(&folder.path("crl.pem"))
        ),
    ];
    for refusal in refusals {
        let identity = trusted.issue(["localhost"]);
        folder.write("crl.pem", &trusted.revoke([&identity]).pem().unwrap());
        let server = Server::builder()
            .tls(ServerTls::new(identity).alpn(Alpn::Both).build())
            .start()
            .await;
        let registry = registry(&trust);
        let client = registry.client("default").unwrap();
        get(&client, &url(&server, "/")).await;
        registry.reload(config(&refusal)).unwrap();
        let error = client.get(url(&server, "/")).send().await.unwrap_err();
        assert_eq!(error.kind(), Kind::Tls, "{error}");
        // And trusted again it starts from nothing: a session of then is not resumed.
        registry.reload(config(&trust)).unwrap();
        get(&client, &url(&server, "/")).await;
        assert_eq!(
            (server.seen().full_handshakes, server.seen().resumed_handshakes),
            (2, 0)
        );
        assert_all_gone(&client).await;
    }
}

#[tokio::test]
async fn a_file_that_holds_another_certificate_is_another_transport() {
    let folder = Folder::new();
    let (trusted, other) = (Ca::new(), Ca::new());
    let lines = format!("tls.ca_file = {}", quoted(&folder.ca("ca.pem", &trusted)));
    let server = Server::builder()
        .tls(ServerTls::new(trusted.issue(["localhost"])).build())
        .start()
        .await;
    let registry = registry(&lines);
    let client = registry.client("default").unwrap();
    get(&client, &url(&server, "/")).await;
    folder.ca("ca.pem", &other);
    let report = registry.reload(config(&lines)).unwrap();
    assert_eq!(report.profile("default"), Some(ProfileChange::Transport));
    let error = client.get(url(&server, "/")).send().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Tls, "{error}");
}

#[tokio::test]
async fn the_protocol_of_a_host_is_the_new_settings_affair() {
    let ca = crate::common::TrustedCa::new();
    let server = Way::H2Tls.start(Server::builder().handler(handlers::echo), &ca).await;
    let lines = |h2: bool| config(&format!("http2.enabled = {h2}\ntls.ca_file = {}", quoted(ca.path())));
    let registry = httputil::Registry::builder().config(lines(true)).build().unwrap();
    let client = registry.client("default").unwrap();
    for (h2, version) in [(true, "HTTP/2.0"), (false, "HTTP/1.1"), (true, "HTTP/2.0")] {
        registry.reload(lines(h2)).unwrap();
        assert_eq!(echoed(&client, &url(&server, "/")).await.version, version);
    }
    assert_at_rest(&client).await;
}

/// One connection a host, held by a request: the other ones wait in the queue while the settings change under them.
#[tokio::test]
async fn those_who_wait_are_served_by_the_new_settings_and_none_fails() {
    let gate = Gate::new();
    let server = Server::builder().handler(handlers::hold_body(&gate)).start().await;
    let registry = registry("pool.max_connections_per_host = 1");
    let client = registry.client("default").unwrap();
    let held = client.get(server.url("/")).send().await.unwrap();
    let waiting: Vec<_> = (0..3).map(|_| spawn_get(&client, &server.url("/"))).collect();
    until(&client, "three to wait", |stats| stats.waiting == 3).await;
    registry
        .reload(config("pool.max_connections_per_host = 1\ntcp.nodelay = false"))
        .unwrap();
    assert_eq!(client.stats().waiting, 3);
    gate.open();
    held.bytes().await.unwrap();
    for request in waiting {
        request.await.unwrap().unwrap();
    }
    // The cap was kept all the while, and the first connection served nobody any more.
    assert_eq!(server.seen().max_open, 1);
    assert_eq!(server.seen().connections[0].requests, 1);
    assert_all_gone(&client).await;
}

#[tokio::test]
async fn the_cap_of_a_host_holds_however_often_its_connections_are_spread_another_way() {
    let gate = Gate::new();
    let server = Server::builder().handler(handlers::hold_body(&gate)).start().await;
    let lines = "pool.max_connections_per_host = 1\ndns.overrides = { 'collector.test' = ['127.0.0.1'] }";
    let spread = |balance: &str| config(&format!("{lines}\ndns.balance = '{balance}'"));
    let registry = registry(lines);
    let client = registry.client("default").unwrap();
    let url = server.url_for("collector.test", "/");
    let held = client.get(&url).send().await.unwrap();
    let waiting: Vec<_> = (0..2).map(|_| spawn_get(&client, &url)).collect();
    until(&client, "two to wait", |stats| stats.waiting == 2).await;
    for _ in 0..3 {
        for balance in ["round_robin", "first"] {
            registry.reload(spread(balance)).unwrap();
            assert_eq!(client.stats().waiting, 2);
        }
    }
    gate.open();
    held.bytes().await.unwrap();
    for request in waiting {
        request.await.unwrap().unwrap();
    }
    assert_eq!(server.seen().max_open, 1);
    assert_all_gone(&client).await;
}

/// Behind a proxy the way is asked for anew.
#[tokio::test]
async fn those_who_ask_again_keep_their_places_and_the_cap_counts_what_drains() {
    let gate = Gate::new();
    let proxy = Proxy::builder().start().await;
    let server = Server::builder().handler(handlers::hold_body(&gate)).start().await;
    let lines = format!(
        "pool.max_connections_per_host = 1\nproxy.no_proxy = []\nproxy.url = 'http://{}'",
        proxy.addr()
    );
    let registry = registry(&lines);
    let client = registry.client("default").unwrap();
    let held = client.get(server.url("/")).send().await.unwrap();
    let order = Mutex::new(Vec::new());
    let ask = async |name: &'static str| {
        client.get(server.url("/")).send().await.unwrap().bytes().await.unwrap();
        order.lock().unwrap().push(name);
    };
    let (mut first, mut second) = (pin!(ask("first")), pin!(ask("second")));
    assert!(poll_once(first.as_mut()).await.is_pending());
    assert!(poll_once(second.as_mut()).await.is_pending());
    assert_eq!(client.stats().waiting, 2);
    registry
        .reload(config(&format!("{lines}\ntcp.nodelay = false")))
        .unwrap();
    // The one that came last is the first to ask again.
    assert!(poll_once(second.as_mut()).await.is_pending());
    assert!(poll_once(first.as_mut()).await.is_pending());
    assert_eq!((client.stats().waiting, proxy.accepted()), (2, 1));
    gate.open();
    held.bytes().await.unwrap();
    tokio::join!(second, first);
    assert_eq!(*order.lock().unwrap(), ["first", "second"]);
    assert_all_gone(&client).await;
}

async fn poll_once<F: Future>(mut future: Pin<&mut F>) -> Poll<F::Output> {
    poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await
}

#[tokio::test]
async fn those_who_wait_behind_a_dial_that_hangs_are_dialled_for_by_the_new_settings() {
    let hole = BlackHole::new();
    let server = Server::builder().start().await;
    let port = hole.addr().port();
    let to = |address: std::net::IpAddr| config(&format!("dns.overrides = {{ 'collector.test' = ['{address}'] }}"));
    let registry = httputil::Registry::builder()
        .config(to(hole.addr().ip()))
        .build()
        .unwrap();
    let client = registry.client("default").unwrap();
    let request = spawn_get(&client, &format!("http://collector.test:{port}/"));
    until(&client, "the dial", |stats| stats.dials_in_progress == 1).await;
    let beside = Server::builder().start_beside(77, port).await;
    registry.reload(to(beside.addr().ip())).unwrap();
    assert_eq!(request.await.unwrap().unwrap(), "hello");
    assert_eq!((beside.accepted(), server.accepted()), (1, 0));
    assert_all_gone(&client).await;
}

#[tokio::test]
async fn those_who_wait_for_a_proxy_that_is_none_any_more_go_the_new_way() {
    let hole = BlackHole::new();
    let proxy = Proxy::builder().start().await;
    let server = Server::builder().handler(handlers::echo).start().await;
    let through = |url: &str| config(&format!("proxy.url = '{url}'\nproxy.no_proxy = []"));
    let registry = httputil::Registry::builder()
        .config(through(&format!("http://{}", hole.addr())))
        .build()
        .unwrap();
    let client = registry.client("default").unwrap();
    for way in [format!("http://{}", proxy.addr()), "none".to_owned()] {
        registry.reload(through(&format!("http://{}", hole.addr()))).unwrap();
        let request = spawn_get(&client, &server.url("/"));
        until(&client, "the dial to the proxy", |stats| stats.dials_in_progress == 1).await;
        registry.reload(through(&way)).unwrap();
        request.await.unwrap().unwrap();
    }
    assert_eq!(proxy.accepted(), 1, "the second went straight");
    assert_eq!(server.accepted(), 2);
    assert_all_gone(&client).await;
}

#[tokio::test]
async fn those_who_wait_for_a_host_that_is_forbidden_now_are_refused() {
    let gate = Gate::new();
    let server = Server::builder().handler(handlers::hold_body(&gate)).start().await;
    let cap = "pool.max_connections_per_host = 1";
    let registry = registry(cap);
    let client = registry.client("default").unwrap();
    let held = client.get(server.url("/")).send().await.unwrap();
    let waiting = spawn_get(&client, &server.url("/"));
    until(&client, "one to wait", |stats| stats.waiting == 1).await;
    registry
        .reload(config(&format!("{cap}\negress.deny = ['127.0.0.0/8']")))
        .unwrap();
    let refused = [
        waiting.await.unwrap().unwrap_err(),
        client.get(server.url("/")).send().await.unwrap_err(),
    ];
    for error in refused {
        assert_eq!(error.kind(), Kind::Egress, "{error}");
    }
    gate.open();
    held.bytes().await.unwrap();
    server.until_open(0).await;
    assert_eq!(server.requests(), 1);
    assert_all_gone(&client).await;
}

#[tokio::test]
async fn counters_go_on_and_a_host_keeps_its_books() {
    let server = Server::builder().start().await;
    let registry = registry("");
    let client = registry.client("default").unwrap();
    let mut before = client.stats();
    for round in 1..=6 {
        get(&client, &server.url("/")).await;
        let keepalive = if round % 2 == 0 { "tcp.keepalive = '50s'" } else { "" };
        registry
            .reload(config(&format!("{keepalive}\npool.max_idle = {round}")))
            .unwrap();
        assert_at_rest(&client).await;
        let now = stats(&registry, "default");
        assert_eq!((now.dialled, now.requests, now.leases), (round, round, 1));
        assert!(now.closed_total() >= before.closed_total() && now.lived >= before.lived);
        before = now;
        let hosts = client.host_stats();
        assert_eq!(hosts.len(), 1, "{hosts:?}");
        assert_eq!((hosts[0].dialled, hosts[0].requests), (round, round));
    }
    assert_all_gone(&client).await;
}
