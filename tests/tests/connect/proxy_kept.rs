//! What becomes of connections through a proxy once they are made: they hibernate, and are upgraded, like any other.

use std::time::Duration;

use httputil_tests::ca::Ca;
use httputil_tests::proxy::Proxy;
use httputil_tests::script::{Script, Step};
use httputil_tests::server::Server;
use httputil_tests::tls::{Alpn, ServerTls};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::scene::{Trust, assert_balanced, client_through, eventually, get};

#[tokio::test]
async fn idle_connections_through_every_kind_of_proxy_hibernate_and_wake() {
    let ca = Ca::new();
    let trust = Trust::of([&ca]);
    let tls = || ServerTls::new(ca.issue(["127.0.0.1"])).alpn(Alpn::H1).build();
    let (plain, encrypted) = (
        Server::builder().start().await,
        Server::builder().tls(tls()).start().await,
    );
    let (open, over_tls) = (
        Proxy::builder().start().await,
        Proxy::builder().tls(tls()).start().await,
    );
    for proxy in [open.url(), open.url_as("socks5", ""), over_tls.url()] {
        let client = client_through(&proxy, |profile| {
            profile.transport.tls.ca_file = Some(trust.path());
            profile.transport.pool.hibernate_after = Some(Duration::from_millis(1));
        });
        for url in [plain.url("/"), encrypted.url("/")] {
            for _ in 0..3 {
                assert_eq!(get(&client, &url).await.unwrap(), "hello");
                let all_sleep = || client.stats().hibernating == client.stats().open;
                eventually("the connection to hibernate", all_sleep).await;
            }
        }
        assert_eq!(client.stats().dialled, 2, "{proxy}");
        assert_balanced(&client.stats());
    }
}

#[tokio::test]
async fn an_upgrade_works_through_every_kind_of_proxy() {
    let ca = Ca::new();
    let trust = Trust::of([&ca]);
    let tls = ServerTls::new(ca.issue(["127.0.0.1"])).build();
    let (open, over_tls) = (Proxy::builder().start().await, Proxy::builder().tls(tls).start().await);
    for proxy in [open.url(), open.url_as("socks5h", ""), over_tls.url()] {
        let switch = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\nhello";
        let switching = [
            Step::ReadHead,
            Step::write(switch),
            Step::ReadBody(4),
            Step::write("pong"),
        ];
        let server = Script::start([switching.to_vec()]).await;
        let client = client_through(&proxy, |profile| profile.transport.tls.ca_file = Some(trust.path()));
        let asking = client
            .get(server.url("/"))
            .header("connection", "upgrade")
            .header("upgrade", "echo");
        let response = asking.send().await.unwrap();
        assert_eq!(response.status(), 101, "{proxy}");
        assert!(
            server.received_text(0).starts_with("GET / HTTP/1.1\r\n"),
            "in origin-form"
        );
        let mut stream = response.upgrade().await.unwrap();
        let mut heard = [0; 5];
        stream.read_exact(&mut heard).await.unwrap();
        stream.write_all(b"ping").await.unwrap();
        stream.flush().await.unwrap();
        stream.read_exact(&mut heard[..4]).await.unwrap();
        assert_eq!(&heard, b"pongo");
        drop(stream);
        eventually("the stream to be closed", || client.stats().open == 0).await;
        assert_balanced(&client.stats());
        server.until_closed(1).await;
    }
}
