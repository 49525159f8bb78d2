//! When a connection serves more than one request.

use std::time::{Duration, Instant};

use httputil::Client;
use httputil_tests::resolver::{Answer, ScriptedResolver};
use httputil_tests::server::{Server, handlers};
use httputil_tests::tls::Alpn;

use crate::common::{
    TrustedCa, Way, assert_accounted, assert_all_gone, assert_at_rest, client, get, spawn_get, until, url,
};

#[tokio::test]
async fn a_second_sequential_request_uses_the_same_connection() {
    let ca = TrustedCa::new();
    for way in Way::ALL {
        let server = way.start(Server::builder(), &ca).await;
        let client = ca.client();
        for _ in 0..5 {
            assert_eq!(get(&client, &url(&server, "/")).await, "hello");
        }
        assert_eq!((server.accepted(), server.requests()), (1, 5), "{way:?}");
        let stats = client.stats();
        assert_eq!((stats.dialled, stats.requests, stats.reuses), (1, 5, 4), "{way:?}");
        assert_accounted(&stats);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sequential_requests_use_one_connection_whichever_thread_drives_it() {
    let ca = TrustedCa::new();
    for way in Way::ALL {
        let server = way.start(Server::builder(), &ca).await;
        let client = ca.client();
        for _ in 0..1500 {
            get(&client, &url(&server, "/")).await;
        }
        assert_eq!(server.accepted(), 1, "{way:?}: {:?}", client.stats());
    }
}

#[tokio::test]
async fn host_name_case_a_default_port_spelled_out_and_the_path_do_not_split_the_key() {
    let server = Server::builder().start().await;
    let client = client();
    for url in [
        "http://localhost:{}/",
        "http://LOCALHOST:{}/a",
        "http://LocalHost:{}/b?c=d",
        "http://u:p@localhost:{}/",
    ] {
        get(&client, &url.replace("{}", &server.port().to_string())).await;
    }
    assert_eq!(server.accepted(), 1);
}

#[tokio::test]
async fn scheme_host_and_port_split_the_key() {
    let (one, other) = (Server::builder().start().await, Server::builder().start().await);
    let client = client();
    get(&client, &one.url_for("localhost", "/")).await;
    get(&client, &one.url_for("127.0.0.1", "/")).await;
    get(&client, &other.url_for("localhost", "/")).await;
    assert_eq!((one.accepted(), other.accepted()), (2, 1));
    let ca = TrustedCa::new();
    let tls = Way::H1Tls.start(Server::builder(), &ca).await;
    let client = ca.client();
    get(&client, &url(&tls, "/")).await;
    // The same host and port without TLS is another key: a connection of its own, which the server cannot make sense of.
    let plain = format!("http://localhost:{}/", tls.port());
    assert!(client.get(plain).send().await.is_err());
    assert_eq!(tls.accepted(), 2);
}

#[tokio::test]
async fn every_kind_of_answer_that_has_ended_returns_its_connection() {
    let ca = TrustedCa::new();
    for way in Way::ALL {
        let server = way.start(Server::builder(), &ca).await;
        let client = ca.client();
        for path in [
            "/bytes/0",
            "/status/204",
            "/status/304",
            "/chunked",
            "/bytes/100000",
            "/echo",
        ] {
            let response = client.get(url(&server, path)).send().await.unwrap();
            response.bytes().await.unwrap();
        }
        let head = client.head(url(&server, "/bytes/100")).send().await.unwrap();
        assert_eq!(head.headers()["content-length"], "100");
        drop(head);
        assert_eq!(get(&client, &url(&server, "/")).await, "hello");
        assert_eq!(server.accepted(), 1, "{way:?}");
        until(&client, "the connection to be idle", |stats| stats.idle == 1).await;
    }
}

#[tokio::test]
async fn a_short_answer_that_came_whole_holds_no_connection_whether_or_not_it_is_read() {
    let ca = TrustedCa::new();
    for way in [Way::H1, Way::H1Tls] {
        let handler = |request: http::Request<_>| async move {
            handlers::full(match request.uri().path() {
                "/long" => "hello".repeat(20_000),
                _ => "hello".to_owned(),
            })
        };
        let server = way.start(Server::builder().handler(handler), &ca).await;
        let client = ca.client();
        let mut unread = Vec::new();
        for _ in 0..3 {
            unread.push(client.get(url(&server, "/")).send().await.unwrap());
            until(&client, "it to be at rest", |stats| {
                (stats.in_use, stats.idle) == (0, 1)
            })
            .await;
        }
        assert_eq!((server.accepted(), server.requests()), (1, 3), "{way:?}");
        let long = client.get(url(&server, "/long")).send().await.unwrap();
        assert_eq!(client.stats().in_use, 1, "{way:?}");
        for answer in unread {
            assert_eq!(answer.text().await.unwrap(), "hello");
        }
        assert_eq!(long.text().await.unwrap().len(), 100_000);
        assert_eq!(server.accepted(), 1, "{way:?}");
        assert_all_gone(&client).await;
    }
}

#[tokio::test]
async fn a_connection_that_the_server_says_it_closes_is_never_reused() {
    let server = Server::builder().handler(handlers::close_after).start().await;
    let client = client();
    for _ in 0..3 {
        assert_eq!(get(&client, &server.url("/")).await, "goodbye");
    }
    assert_eq!(server.accepted(), 3);
    server.until_open(0).await;
    until(&client, "all to be closed", |stats| stats.open == 0).await;
    assert_accounted(&client.stats());
}

#[tokio::test]
async fn a_request_that_says_close_is_the_last_on_its_connection() {
    let server = Server::builder().start().await;
    let client = client();
    let request = client.get(server.url("/")).header("connection", "close");
    request.send().await.unwrap().bytes().await.unwrap();
    get(&client, &server.url("/")).await;
    assert_eq!(server.accepted(), 2);
}

#[tokio::test]
async fn without_reuse_each_request_has_a_connection_of_its_own() {
    let ca = TrustedCa::new();
    for way in Way::ALL {
        let server = way.start(Server::builder(), &ca).await;
        let mut config = ca.config();
        config.profile_mut().transport.pool.reuse = false;
        let client = httputil::Client::new(config).unwrap();
        for _ in 0..3 {
            get(&client, &url(&server, "/")).await;
        }
        server.until_open(0).await;
        let together: Vec<_> = (0..5).map(|_| spawn_get(&client, &url(&server, "/"))).collect();
        for request in together {
            assert_eq!(request.await.unwrap().unwrap(), "hello");
        }
        server.until_open(0).await;
        assert_eq!(server.seen().requests_per_connection(), [1; 8], "{way:?}");
        assert_at_rest(&client).await;
        assert_eq!(client.stats().reuses, 0, "{way:?}");
    }
}

#[tokio::test]
async fn hosts_never_share_a_connection_whatever_the_certificate_says() {
    let ca = TrustedCa::new();
    for alpn in [Alpn::Both, Alpn::H1] {
        let server = Server::builder()
            .tls(ca.server_for(["one.test", "two.test", "*.test"], alpn))
            .start()
            .await;
        let here = || Answer::to(["127.0.0.1:0"]);
        let resolver = ScriptedResolver::new()
            .name("one.test", here())
            .name("two.test", here());
        let client = ca.registry("", &resolver).client("default").unwrap();
        for connections in [2, 2] {
            for host in ["one.test", "two.test"] {
                assert_eq!(get(&client, &server.url_for(host, "/")).await, "hello");
            }
            assert_eq!(server.accepted(), connections, "{alpn:?}");
        }
        let hosts: Vec<_> = client
            .host_stats()
            .iter()
            .map(|host| (host.open, host.requests, host.reuses))
            .collect();
        assert_eq!(hosts, [(1, 2, 1), (1, 2, 1)]);
        assert_at_rest(&client).await;
    }
}

#[tokio::test]
async fn a_pool_knows_how_long_its_closed_connections_have_lived() {
    let ca = TrustedCa::new();
    for way in Way::ALL {
        let server = way.start(Server::builder(), &ca).await;
        let idle = Duration::from_millis(100);
        let client = Client::new(ca.config().idle_timeout(idle)).unwrap();
        let began = Instant::now();
        for lives in 1..=2 {
            get(&client, &url(&server, "/")).await;
            until(&client, "the idle time-out", |stats| stats.open == 0).await;
            let lived = client.stats().lived;
            assert!((idle * lives..=began.elapsed()).contains(&lived), "{way:?}: {lived:?}");
        }
        assert_all_gone(&client).await;
    }
}

#[tokio::test]
async fn requests_at_once_share_one_http2_connection_that_is_dialled_once() {
    let ca = TrustedCa::new();
    let gate = httputil_tests::gate::Gate::new();
    let server = Way::H2Tls
        .start(Server::builder().handler(handlers::hold(&gate, handlers::by_path)), &ca)
        .await;
    let client = ca.client();
    let requests: Vec<_> = (0..50)
        .map(|_| {
            tokio::spawn({
                let (client, url) = (client.clone(), url(&server, "/"));
                async move { get(&client, &url).await }
            })
        })
        .collect();
    gate.arrived(50).await;
    gate.open();
    for request in requests {
        assert_eq!(request.await.unwrap(), "hello");
    }
    assert_eq!((server.accepted(), client.stats().dials_started), (1, 1));
}

#[tokio::test]
async fn many_requests_over_a_few_connections_are_almost_all_reuses() {
    let ca = TrustedCa::new();
    for way in Way::ALL {
        let server = way.start(Server::builder(), &ca).await;
        let client = ca.client();
        let mut running = tokio::task::JoinSet::new();
        for _ in 0..1000 {
            if running.len() == 10 {
                running.join_next().await.unwrap().unwrap();
            }
            let (client, url) = (client.clone(), url(&server, "/"));
            running.spawn(async move { assert_eq!(get(&client, &url).await, "hello") });
        }
        running.join_all().await;
        assert!(server.accepted() <= 10, "{way:?}: {} connections", server.accepted());
        assert!(client.stats().reuse_ratio() >= 0.99, "{way:?}: {:?}", client.stats());
    }
}
