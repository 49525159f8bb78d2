//! The clients, each with the same task: to send a small `GET` to one URL and read the answer.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use httputil::ClientConfig;
use hyper_util::rt::TokioIo;
use tower_service::Service;

use crate::server;

/// The two sides, and the two ends of the scale: httputil's other door, and what hyper itself needs on one connection.
pub(crate) const REQWEST: &str = "reqwest";
pub(crate) const HTTPUTIL: &str = "httputil";
pub(crate) const TOWER: &str = "tower";
pub(crate) const HYPER: &str = "hyper";

/// A client that is ready to send.
#[derive(Clone)]
pub(crate) enum Client {
    Reqwest(reqwest::Client),
    Httputil(httputil::Client),
    Tower(httputil::Client),
    Hyper,
}

impl Client {
    /// Made with the default settings, but for `idle` idle connections.
    pub(crate) fn new(who: &str, ca: &str, idle: usize) -> Client {
        let ours = || {
            let mut config = ClientConfig::default().max_idle_per_host(idle);
            config.profile_mut().transport.tls.ca_file = Some(ca.into());
            httputil::Client::new(config).unwrap()
        };
        match who {
            REQWEST => {
                let ca = reqwest::Certificate::from_pem(&std::fs::read(ca).unwrap()).unwrap();
                let client = reqwest::Client::builder()
                    .no_proxy()
                    .tls_certs_only([ca])
                    .timeout(Duration::from_secs(30))
                    .pool_max_idle_per_host(idle);
                Client::Reqwest(client.build().unwrap())
            }
            HTTPUTIL => Client::Httputil(ours()),
            TOWER => Client::Tower(ours()),
            HYPER => Client::Hyper,
            other => panic!("no client is called {other}"),
        }
    }

    /// Sends one request after the other.
    async fn send(self, url: &str, requests: usize) {
        match self {
            Client::Reqwest(client) => {
                for _ in 0..requests {
                    check(&client.get(url).send().await.unwrap().bytes().await.unwrap());
                }
            }
            Client::Httputil(client) => {
                for _ in 0..requests {
                    check(&client.get(url).send().await.unwrap().bytes().await.unwrap());
                }
            }
            Client::Tower(mut client) => {
                for _ in 0..requests {
                    let request = http::Request::get(url).body(Empty::<Bytes>::new()).unwrap();
                    let response = client.call(request).await.unwrap();
                    check(&response.into_body().collect().await.unwrap().to_bytes());
                }
            }
            Client::Hyper => {
                let uri: http::Uri = url.parse().unwrap();
                let authority = uri.authority().unwrap().as_str();
                let stream = tokio::net::TcpStream::connect(authority).await.unwrap();
                stream.set_nodelay(true).unwrap();
                let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream));
                let (mut sender, connection) = handshake.await.unwrap();
                tokio::spawn(connection);
                for _ in 0..requests {
                    let request = http::Request::get("/").header(http::header::HOST, authority);
                    sender.ready().await.unwrap();
                    let response = sender.send_request(request.body(Empty::<Bytes>::new()).unwrap());
                    check(&response.await.unwrap().into_body().collect().await.unwrap().to_bytes());
                }
            }
        }
    }
}

fn check(body: &[u8]) {
    assert_eq!(body, server::BODY);
}

/// The runtime of every client.
pub(crate) fn runtime() -> tokio::runtime::Runtime {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().unwrap()
}

/// Sends the requests one after the other: what a process that valgrind watches does.
pub(crate) fn send(who: &str, url: &str, ca: &str, requests: usize) {
    let url = url.to_owned();
    let client = Client::new(who, ca, 1);
    let sent = async move { tokio::spawn(async move { client.send(&url, requests).await }).await };
    runtime().block_on(sent).unwrap();
}

/// How long `concurrency` tasks take to send the requests between them.
pub(crate) async fn time(client: &Client, url: &str, requests: usize, concurrency: usize) -> Duration {
    let mut running = tokio::task::JoinSet::new();
    let began = Instant::now();
    for _ in 0..concurrency {
        let (client, url) = (client.clone(), url.to_owned());
        running.spawn(async move { client.send(&url, requests / concurrency).await });
    }
    running.join_all().await;
    began.elapsed()
}
