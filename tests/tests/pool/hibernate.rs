//! Hibernation: an idle HTTP/1 connection without buffers is still an idle connection.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use httputil::{Client, ClientConfig, CloseReason};
use httputil_tests::gate::Gate;
use httputil_tests::ledger::End;
use httputil_tests::script::{Script, Step, answers, steps};
use httputil_tests::server::{Server, handlers};
use httputil_tests::tls::Alpn;
use httputil_tests::{PATIENCE, one_attempt, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::common::{
    TrustedCa, Way, assert_all_gone, assert_at_rest, be_idle_for_long_enough_to_be_peeked_at, get, spawn_get, until,
    url,
};

const H1_WAYS: [Way; 2] = [Way::H1, Way::H1Tls];

/// A client whose idle connections hibernate almost at once.
fn drowsy(config: ClientConfig) -> Client {
    Client::new(config.hibernate_after(Duration::from_millis(1))).unwrap()
}

async fn until_asleep(client: &Client, connections: u64) {
    until(client, "connections to hibernate", |stats| {
        stats.hibernating == connections
    })
    .await;
    // Its driver has been told by now, and is heard of again when something happens to the connection.
    tokio::task::yield_now().await;
}

#[tokio::test]
async fn a_sleeper_is_woken_for_the_next_request_and_sleeps_again() {
    let ca = TrustedCa::new();
    for way in H1_WAYS {
        let server = way.start(Server::builder(), &ca).await;
        let client = drowsy(ca.config());
        for path in ["/", "/bytes/100000", "/chunked", "/"] {
            get(&client, &url(&server, path)).await;
            until_asleep(&client, 1).await;
            assert_eq!(client.stats().idle, 1, "{way:?}");
        }
        let posted = client.post(url(&server, "/length")).body("x".repeat(100_000));
        assert_eq!(posted.send().await.unwrap().text().await.unwrap(), "100000");
        assert_eq!(server.accepted(), 1, "{way:?}");
        assert_at_rest(&client).await;
        assert_all_gone(&client).await;
        server.until_open(0).await;
    }
}

#[tokio::test]
async fn several_sleepers_are_woken_newest_first_and_at_once() {
    let ca = TrustedCa::new();
    for way in H1_WAYS {
        let server = way.start(Server::builder(), &ca).await;
        let client = drowsy(ca.config());
        for _ in 0..5 {
            let all: Vec<_> = (0..8).map(|_| spawn_get(&client, &url(&server, "/"))).collect();
            for one in all {
                assert_eq!(one.await.unwrap().unwrap(), "hello");
            }
            assert_at_rest(&client).await;
            let idle = client.stats().idle;
            until_asleep(&client, idle).await;
        }
        assert!(server.accepted() <= 8, "{way:?}: {}", server.accepted());
        assert_all_gone(&client).await;
    }
}

#[tokio::test]
async fn the_default_keeps_a_busy_connection_awake_and_none_keeps_all() {
    let ca = TrustedCa::new();
    let server = Way::H1.start(Server::builder(), &ca).await;
    let always = Client::new(ca.config().no_hibernation().idle_timeout(Duration::from_millis(50))).unwrap();
    get(&always, &url(&server, "/")).await;
    until(&always, "the idle time-out", |stats| {
        assert_eq!(stats.hibernating, 0);
        stats.open == 0
    })
    .await;
    let client = ca.client();
    get(&client, &url(&server, "/")).await;
    assert_eq!(client.stats().hibernating, 0);
}

#[tokio::test]
async fn the_peer_s_close_of_a_sleeper_is_noticed_at_once() {
    let ca = TrustedCa::new();
    for tls in [false, true] {
        for close in [Step::Fin, Step::CutFin, Step::Close] {
            let gate = Gate::new();
            let mut script = steps::answer_once(answers::ok("one"));
            script.extend([Step::Hold(gate.clone()), close.clone()]);
            if tls {
                script = steps::over_tls(&ca.server_for(["127.0.0.1"], Alpn::H1), script);
            }
            let server = Script::start([script]).await;
            let address = if tls { server.https_url("/") } else { server.url("/") };
            let client = drowsy(ca.config());
            assert_eq!(get(&client, &address).await, "one");
            until_asleep(&client, 1).await;
            gate.open();
            until(&client, "the close to be seen", |stats| stats.open == 0).await;
            assert_eq!(
                client.stats().closed_for(CloseReason::PeerClosed),
                1,
                "{close:?}, {tls}: {:?}",
                client.stats()
            );
            server.until_closed(1).await;
            assert_all_gone(&client).await;
        }
    }
}

#[tokio::test]
async fn a_reset_sleeper_leaves_the_pool_at_once() {
    let gate = Gate::new();
    let mut script = steps::answer_once(answers::ok("one"));
    script.extend([Step::Hold(gate.clone()), Step::Reset]);
    let server = Script::start([script, steps::answer_all(answers::ok("more"))]).await;
    let client = drowsy(one_attempt());
    get(&client, &server.url("/")).await;
    until_asleep(&client, 1).await;
    gate.open();
    until(&client, "the reset to be seen", |stats| stats.open == 0).await;
    assert_eq!(client.stats().closed_for(CloseReason::Error), 1);
    assert_eq!(get(&client, &server.url("/")).await, "more");
    assert_all_gone(&client).await;
}

#[tokio::test]
async fn bytes_that_come_in_its_sleep_poison_it_and_even_a_post_goes_elsewhere() {
    let ca = TrustedCa::new();
    for tls in [false, true] {
        for bytes in [
            answers::with_length("408 Request Timeout", &[], ""),
            "\r\n".into(),
            answers::ok("of whom?"),
        ] {
            let gate = Gate::new();
            let mut first = steps::answer_once(answers::ok("one"));
            first.extend([Step::Hold(gate.clone()), Step::write(bytes.clone())]);
            let mut scripts = [first, steps::answer_all(answers::ok("mine"))];
            if tls {
                let config = ca.server_for(["127.0.0.1"], Alpn::H1);
                scripts = scripts.map(|script| steps::over_tls(&config, script));
            }
            let server = Script::start(scripts).await;
            let address = if tls { server.https_url("/") } else { server.url("/") };
            let client = drowsy(ca.config());
            get(&client, &address).await;
            until_asleep(&client, 1).await;
            gate.open();
            until(&client, "the bytes to be seen", |stats| stats.open == 0).await;
            let posted = client.post(&address).body("x").send().await.unwrap();
            assert_eq!(posted.text().await.unwrap(), "mine", "{tls}, {bytes:?}");
            assert_eq!(server.accepted(), 2);
            assert_all_gone(&client).await;
        }
    }
}

#[tokio::test]
async fn bytes_that_nobody_has_read_yet_poison_it_too() {
    for bytes in [answers::ok("of whom?"), "\r\n".into()] {
        let gate = Gate::new();
        let mut first = steps::answer_once(answers::ok("one"));
        first.extend([Step::Hold(gate.clone()), Step::write(bytes)]);
        let server = Script::start([first, steps::answer_all(answers::ok("mine"))]).await;
        let client = drowsy(one_attempt());
        get(&client, &server.url("/")).await;
        until_asleep(&client, 1).await;
        gate.open();
        // The request is on its way to the pool before the driver of the sleeper gets its turn.
        gate.passed(1).await;
        let posted = client.post(server.url("/")).body("x").send().await.unwrap();
        assert_eq!(posted.text().await.unwrap(), "mine");
        assert_all_gone(&client).await;
    }
}

#[tokio::test]
async fn a_tls_message_on_an_idle_connection_awake_or_asleep_neither_poisons_nor_breaks_it() {
    for sleeps in [false, true] {
        let ca = TrustedCa::new();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("https://127.0.0.1:{}/", listener.local_addr().unwrap().port());
        let acceptor = TlsAcceptor::from(ca.server_for(["127.0.0.1"], Alpn::H1));
        let (idle, updated) = (Gate::new(), Gate::new());
        let serving = tokio::spawn({
            let (idle, updated) = (idle.clone(), updated.clone());
            async move {
                let mut stream = acceptor.accept(listener.accept().await.unwrap().0).await.unwrap();
                let mut heard = [0; 4096];
                for _ in 0..3 {
                    assert!(stream.read(&mut heard).await.unwrap() > 0);
                    stream.write_all(&answers::ok("hello")).await.unwrap();
                    idle.pass().await;
                    // A KeyUpdate (RFC 8446 §4.6.3): from here on both sides speak with other keys.
                    stream.get_mut().1.refresh_traffic_keys().unwrap();
                    stream.flush().await.unwrap();
                    updated.pass().await;
                }
                assert_eq!(stream.read(&mut heard).await.unwrap(), 0);
            }
        });
        // Nothing is dialled beside it.
        let config = ca.config().max_connections_per_host(1);
        let client = if sleeps {
            drowsy(config)
        } else {
            Client::new(config.no_hibernation()).unwrap()
        };
        for round in 1..=3 {
            assert_eq!(get(&client, &address).await, "hello");
            if sleeps {
                until_asleep(&client, 1).await;
            } else {
                until(&client, "it to be idle", |stats| stats.idle == 1).await;
                be_idle_for_long_enough_to_be_peeked_at();
            }
            let seen = updated.arrived(round);
            idle.let_through(1);
            seen.await;
            updated.let_through(1);
        }
        assert_eq!(client.stats().dialled, 1);
        assert_all_gone(&client).await;
        within(PATIENCE, serving).await.unwrap();
    }
}

#[tokio::test]
async fn a_connection_to_a_server_of_http_1_0_stays_as_it_is() {
    let answer = "HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 3\r\n\r\nold";
    let server = Script::start([steps::answer_all(answer)]).await;
    let client = drowsy(one_attempt().idle_timeout(Duration::from_millis(60)));
    for _ in 0..3 {
        assert_eq!(get(&client, &server.url("/")).await, "old");
    }
    until(&client, "the idle time-out", |stats| {
        assert_eq!(stats.hibernating, 0);
        stats.open == 0
    })
    .await;
    assert_eq!(server.accepted(), 1);
}

#[tokio::test]
async fn sleepers_are_closed_politely_for_every_reason_that_closes_the_idle() {
    let ca = TrustedCa::new();
    for way in H1_WAYS {
        let close_idle: fn(&Client) = Client::close_idle_connections;
        let wait: fn(&Client) = |_| ();
        let short = Duration::from_millis(40);
        for (reason, config, act) in [
            (CloseReason::CloseIdle, ca.config(), close_idle),
            (CloseReason::Stopped, ca.config(), Client::stop as fn(&Client)),
            (CloseReason::IdleTimeout, ca.config().idle_timeout(short), wait),
            (CloseReason::MaxLifetime, ca.config().max_lifetime(short), wait),
        ] {
            let server = way.start(Server::builder(), &ca).await;
            let client = drowsy(config);
            get(&client, &url(&server, "/")).await;
            until(&client, "sleep or its end", |stats| {
                stats.hibernating == 1 || stats.open == 0
            })
            .await;
            act(&client);
            until(&client, "the sleeper to be closed", |stats| stats.open == 0).await;
            let stats = client.stats();
            assert_eq!(
                (stats.closed_for(reason), stats.hibernating),
                (1, 0),
                "{way:?}: {stats:?}"
            );
            server.until_open(0).await;
            // Under TLS the server answers the close before it sees the FIN.
            assert_ne!(server.saw(0), End::Rst, "{way:?}, {reason:?}");
            assert_all_gone(&client).await;
        }
    }
}

#[tokio::test]
async fn a_sleeper_woken_for_a_request_that_goes_away_is_closed_or_idle_again() {
    let ca = TrustedCa::new();
    for way in H1_WAYS {
        let gate = Gate::new();
        let server = way
            .start(Server::builder().handler(handlers::hold(&gate, handlers::by_path)), &ca)
            .await;
        gate.open();
        let client = drowsy(ca.config());
        get(&client, &url(&server, "/")).await;
        gate.shut();
        for _ in 0..5 {
            until(&client, "rest", |stats| {
                stats.in_use == 0 && stats.idle == stats.hibernating
            })
            .await;
            // Dropped after its first turn: the connection has just been woken.
            let mut request = Box::pin(client.get(url(&server, "/")).send());
            let polled = poll_fn(|cx| Poll::Ready(request.as_mut().poll(cx).is_pending()));
            assert!(polled.await, "{way:?}");
            drop(request);
            assert_at_rest(&client).await;
        }
        gate.open();
        get(&client, &url(&server, "/")).await;
        assert_all_gone(&client).await;
        server.until_open(0).await;
    }
}

#[test]
fn a_runtime_that_shuts_down_takes_its_sleepers_along() {
    let outer = tokio::runtime::Runtime::new().unwrap();
    let ca = TrustedCa::new();
    for way in H1_WAYS {
        let server = outer.block_on(way.start(Server::builder(), &ca));
        let client = drowsy(ca.config());
        let inner = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        inner.block_on(async {
            get(&client, &url(&server, "/")).await;
            until_asleep(&client, 1).await;
        });
        drop(inner);
        let stats = client.stats();
        assert_eq!(
            (
                stats.open,
                stats.hibernating,
                stats.closed_for(CloseReason::RuntimeGone)
            ),
            (0, 0, 1),
            "{stats:?}"
        );
        outer.block_on(async {
            server.until_open(0).await;
            get(&client, &url(&server, "/")).await;
            assert_all_gone(&client).await;
        });
    }
}
