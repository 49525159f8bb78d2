//! An upgrade takes its connection out of the pool for good.

use httputil::settings::ProxyChoice;
use httputil::{Client, ClientConfig, CloseReason, Kind};
use httputil_tests::proxy::Proxy;
use httputil_tests::script::{Script, Step, answers, steps};
use httputil_tests::server::Server;
use httputil_tests::tls::Alpn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tower::Service;

use crate::common::{TrustedCa, Way, assert_accounted, assert_all_gone, client, get, until, url};

const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n";

/// Switches, with the new protocol's first words behind the answer; then gives back what it gets, four bytes.
fn switching() -> Vec<Step> {
    vec![
        Step::ReadHead,
        Step::write(format!("{SWITCH}hello")),
        Step::ReadBody(4),
        Step::write("pong"),
    ]
}

fn asking(client: &Client, url: &str) -> httputil::RequestBuilder {
    client
        .get(url)
        .header("connection", "Upgrade")
        .header("upgrade", "echo")
}

async fn talk(mut upgraded: impl AsyncRead + AsyncWrite + Unpin) {
    let mut heard = [0; 5];
    upgraded.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"hello");
    upgraded.write_all(b"ping").await.unwrap();
    upgraded.flush().await.unwrap();
    upgraded.read_exact(&mut heard[..4]).await.unwrap();
    assert_eq!(&heard[..4], b"pong");
}

#[tokio::test]
async fn the_stream_is_the_caller_s_and_counts_as_open_until_it_is_dropped() {
    let ca = TrustedCa::new();
    for tls in [false, true] {
        // The first request of the client, and one that finds an idle connection, awake or hibernating.
        for (before, drowsy) in [(false, false), (true, false), (true, true)] {
            let mut script = if before {
                steps::answer_once(answers::ok("one"))
            } else {
                Vec::new()
            };
            script.extend(switching());
            let mut scripts = [script, steps::answer_all(answers::ok("more"))];
            if tls {
                let config = ca.server_for(["127.0.0.1"], Alpn::H1);
                scripts = scripts.map(|script| steps::over_tls(&config, script));
            }
            let server = Script::start(scripts).await;
            let address = if tls { server.https_url("/") } else { server.url("/") };
            let mut config = ca.config();
            if drowsy {
                config = config.hibernate_after(std::time::Duration::from_millis(1));
            }
            let client = Client::new(config).unwrap();
            if before {
                assert_eq!(get(&client, &address).await, "one");
            }
            if drowsy {
                until(&client, "sleep", |stats| stats.hibernating == 1).await;
            }
            let response = asking(&client, &address).send().await.unwrap();
            assert_eq!(response.status(), 101);
            let upgraded = response.upgrade().await.unwrap();
            assert_eq!(server.accepted(), 1);
            // The next request finds another connection.
            assert_eq!(get(&client, &address).await, "more");
            let stats = client.stats();
            assert_eq!((stats.open, stats.dialled), (2, 2), "{stats:?}");
            talk(upgraded).await;
            until(&client, "the upgraded one to be closed", |stats| stats.open == 1).await;
            assert_eq!(client.stats().closed_for(CloseReason::Upgraded), 1);
            server.until_closed(1).await;
            assert_all_gone(&client).await;
        }
    }
}

#[tokio::test]
async fn the_tower_door_gives_it_too() {
    let server = Script::start([switching()]).await;
    let mut client = client();
    let request = http::Request::get(server.url("/"))
        .header("connection", "upgrade")
        .header("upgrade", "echo")
        .body(String::new());
    let mut response = client.call(request.unwrap()).await.unwrap();
    assert_eq!(response.status(), 101);
    talk(TokioIo::new(hyper::upgrade::on(&mut response).await.unwrap())).await;
    until(&client, "it to be closed", |stats| stats.open == 0).await;
    assert_eq!(client.stats().closed_for(CloseReason::Upgraded), 1);
    assert_accounted(&client.stats());
}

#[tokio::test]
async fn an_upgraded_stream_outlives_the_client_s_stop() {
    let server = Script::start([switching()]).await;
    let client = client();
    let response = asking(&client, &server.url("/")).send().await.unwrap();
    let upgraded = response.upgrade().await.unwrap();
    client.stop();
    talk(upgraded).await;
    assert_all_gone(&client).await;
}

#[tokio::test]
async fn one_that_nobody_takes_is_closed() {
    for _ in 0..20 {
        let server = Script::start([switching()]).await;
        let client = client();
        drop(asking(&client, &server.url("/")).send().await.unwrap());
        server.until_closed(1).await;
        assert_all_gone(&client).await;
        assert_eq!(client.stats().closed_for(CloseReason::Upgraded), 1);
    }
}

#[tokio::test]
async fn another_answer_is_an_ordinary_one_and_the_connection_goes_home() {
    let ca = TrustedCa::new();
    for way in [Way::H1, Way::H1Tls] {
        let server = way.start(Server::builder(), &ca).await;
        let client = ca.client();
        for _ in 0..3 {
            let response = asking(&client, &url(&server, "/")).send().await.unwrap();
            assert_eq!(
                (response.status(), response.text().await.unwrap()),
                (http::StatusCode::OK, "hello".into())
            );
            get(&client, &url(&server, "/")).await;
        }
        assert_eq!(server.accepted(), 1, "{way:?}");
        assert_all_gone(&client).await;
        server.until_open(0).await;
    }
}

#[tokio::test]
async fn a_101_that_nobody_asked_for_is_an_error_and_the_connection_is_closed() {
    let scripts = [
        vec![Step::ReadRequest, Step::write(SWITCH)],
        steps::answer_all(answers::ok("more")),
    ];
    let server = Script::start(scripts).await;
    let client = client();
    // `Upgrade` alone asks for nothing.
    let error = client
        .get(server.url("/"))
        .header("upgrade", "echo")
        .send()
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Protocol, "{error}");
    assert!(error.to_string().contains("answered 101"), "{error}");
    assert!(
        !server.received_text(0).contains("upgrade"),
        "{}",
        server.received_text(0)
    );
    server.until_closed(1).await;
    assert_eq!(get(&client, &server.url("/")).await, "more");
    assert_all_gone(&client).await;
}

#[tokio::test]
async fn a_101_to_another_protocol_or_to_none_is_an_error_and_the_connection_is_closed() {
    for head in [
        "HTTP/1.1 101 Switching Protocols\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: echo\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: other\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo, other\r\n\r\n",
        "HTTP/1.0 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n",
    ] {
        let scripts = [
            vec![Step::ReadHead, Step::write(head), Step::ReadBody(1)],
            steps::answer_all(answers::ok("more")),
        ];
        let server = Script::start(scripts).await;
        let client = client();
        let error = asking(&client, &server.url("/")).send().await.expect_err(head);
        assert_eq!(error.kind(), Kind::Protocol, "{head}: {error}");
        assert!(error.to_string().contains("answered 101"), "{head}: {error}");
        assert!(error.to_string().contains("upgrade: echo"), "{head}: {error}");
        server.until_closed(1).await;
        assert_eq!(get(&client, &server.url("/")).await, "more");
        assert_eq!(client.stats().closed_for(CloseReason::Error), 1, "{head}");
        assert_all_gone(&client).await;
    }
}

#[tokio::test]
async fn a_101_may_choose_among_the_protocols_and_write_their_names_otherwise() {
    let head = "HTTP/1.1 101 Switching Protocols\r\nconnection: keep-alive, Upgrade\r\nupgrade: ECHO\r\n\r\nhello";
    let script = vec![
        Step::ReadHead,
        Step::write(head),
        Step::ReadBody(4),
        Step::write("pong"),
    ];
    let server = Script::start([script]).await;
    let client = client();
    let request = client.get(server.url("/")).header("connection", "upgrade");
    let request = request.header("upgrade", "other/2, echo");
    talk(request.send().await.unwrap().upgrade().await.unwrap()).await;
    assert_all_gone(&client).await;
}

#[tokio::test]
async fn http2_has_no_upgrade_and_says_so_before_anything_is_sent() {
    let ca = TrustedCa::new();
    let server = Way::H2Tls.start(Server::builder(), &ca).await;
    let client = ca.client();
    let error = asking(&client, &url(&server, "/")).send().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Request);
    assert!(error.to_string().contains("http2.enabled = false"), "{error}");
    assert_eq!(server.requests(), 0);
    let config: ClientConfig = ca.config().http2(false);
    let one = Client::new(config).unwrap();
    assert_eq!(asking(&one, &url(&server, "/")).send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn an_upgrade_passes_the_same_guards_as_any_request_directly_and_through_a_proxy() {
    let server = Script::start([switching()]).await;
    let proxy = Proxy::builder().start().await;
    for through in [None, Some(ProxyChoice::Through(proxy.url().as_str().into()))] {
        let mut config = ClientConfig::default().deny_egress([server.addr().to_string()]);
        config.profile_mut().transport.proxy.url = through;
        let client = Client::new(config).unwrap();
        let error = asking(&client, &server.url("/")).send().await.unwrap_err();
        assert_eq!(error.kind(), Kind::Egress, "{error}");
        assert_all_gone(&client).await;
    }
    assert!(server.accepted() == 0 && proxy.asked().is_empty());
}
