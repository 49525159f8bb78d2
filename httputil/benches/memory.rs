//! What an idle connection weighs, beside reqwest's, in one run: live heap of this process for each of very many.
//!
//! ```text
//! cargo bench -p httputil --bench memory
//! ```
//!
//! The server is a process of its own; it answers when as many requests wait as there are to be connections, so that each
//! has one to itself. The client's figure above the bound fails the run. Over HTTP/1 httputil's connections hibernate.

use std::alloc::System;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::Duration;

use httputil::ClientConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

#[global_allocator]
static HEAP: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Idle connections of each client.
const CONNECTIONS: usize = 2000;

/// Protocol, and what a connection may weigh, times reqwest's.
const BOUNDS: [(&str, f64); 2] = [("h1", 0.15), ("h1+tls", 0.45)];

fn main() -> ExitCode {
    if std::env::args().any(|argument| argument == "serve") {
        runtime().block_on(serve());
        return ExitCode::SUCCESS;
    }
    let server = Server::start();
    println!("live heap of an idle connection, of {CONNECTIONS} (ratio to reqwest's)");
    let mut is_missed = false;
    for (protocol, bound) in BOUNDS {
        let (_, url) = server.said.iter().find(|(name, _)| name == protocol).unwrap();
        let (_, ca) = server.said.iter().find(|(name, _)| name == "ca").unwrap();
        let theirs = of_reqwest(url, ca);
        let ours = of_httputil(url, ca);
        let ratio = ours / theirs;
        println!("  {protocol:8} reqwest {theirs:>8.0} B   httputil {ours:>8.0} B ({ratio:.2}, bound {bound})");
        if ratio > bound {
            eprintln!("missed: {protocol}: {ratio:.2} times reqwest's, and not {bound} at most");
            is_missed = true;
        }
    }
    if is_missed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

fn runtime() -> tokio::runtime::Runtime {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().unwrap()
}

fn of_reqwest(url: &str, ca: &str) -> f64 {
    let ca = reqwest::Certificate::from_pem(&std::fs::read(ca).unwrap()).unwrap();
    let client = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([ca])
        .pool_max_idle_per_host(CONNECTIONS + 1);
    let client = client.build().unwrap();
    let runtime = runtime();
    let get = move |url: String| {
        let client = client.clone();
        async move { drop(client.get(url).send().await.unwrap().bytes().await.unwrap()) }
    };
    runtime.block_on(weigh(url, get, async || {
        // What its drivers have yet to do.
        tokio::time::sleep(Duration::from_millis(500)).await;
    }))
}

fn of_httputil(url: &str, ca: &str) -> f64 {
    let mut config = ClientConfig::default()
        .max_idle(CONNECTIONS + 1)
        .max_idle_per_host(CONNECTIONS + 1)
        .hibernate_after(Duration::from_millis(100))
        .no_timeout();
    config.profile_mut().transport.tls.ca_file = Some(ca.into());
    config.profile_mut().policy.pool_wait = Duration::from_mins(1);
    let client = httputil::Client::new(config).unwrap();
    let get = {
        let client = client.clone();
        move |url: String| {
            let client = client.clone();
            async move { drop(client.get(url).send().await.unwrap().bytes().await.unwrap()) }
        }
    };
    let asleep = async || {
        while client.stats().hibernating < client.stats().open || client.stats().in_use > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    runtime().block_on(weigh(url, get, asleep))
}

/// Bytes of live heap for each connection. The first is not counted: it brings what all share.
async fn weigh<F>(url: &str, get: impl Fn(String) -> F, rest: impl AsyncFn()) -> f64
where
    F: Future<Output = ()> + Send + 'static,
{
    get(format!("{url}1")).await;
    rest().await;
    let region = Region::new(HEAP);
    let mut running = JoinSet::new();
    for _ in 0..CONNECTIONS {
        running.spawn(get(format!("{url}{CONNECTIONS}")));
    }
    running.join_all().await;
    rest().await;
    let change = region.change();
    let live = change.bytes_allocated as f64 - change.bytes_deallocated as f64 + change.bytes_reallocated as f64;
    live / (CONNECTIONS - 1) as f64
}

/// The server's process, and what it says of itself.
struct Server {
    process: Child,
    said: Vec<(String, String)>,
}

impl Server {
    fn start() -> Server {
        let process = Command::new(std::env::current_exe().unwrap())
            .arg("serve")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut server = Server {
            process,
            said: Vec::new(),
        };
        for line in BufReader::new(server.process.stdout.take().unwrap()).lines().take(3) {
            let line = line.unwrap();
            let (name, value) = line.split_once(' ').unwrap();
            server.said.push((name.to_owned(), value.to_owned()));
        }
        server
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        for (_, ca) in self.said.iter().filter(|(name, _)| name == "ca") {
            let _ = std::fs::remove_file(ca);
        }
    }
}

/// Serves until it is ended.
async fn serve() {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der()));
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key)
        .unwrap();
    listen("h1", "http", None);
    listen("h1+tls", "https", Some(TlsAcceptor::from(Arc::new(config))));
    let ca = std::env::temp_dir().join(format!("httputil-memory-{}.pem", std::process::id()));
    std::fs::write(&ca, certified.cert.pem()).unwrap();
    println!("ca {}", ca.display());
    std::future::pending::<()>().await;
}

fn listen(name: &str, scheme: &str, tls: Option<TlsAcceptor>) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let any = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    socket.bind(&any.into()).unwrap();
    // reqwest dials all at once.
    socket.listen(4096).unwrap();
    socket.set_nonblocking(true).unwrap();
    let listener = TcpListener::from_std(socket.into()).unwrap();
    println!("{name} {scheme}://localhost:{}/", listener.local_addr().unwrap().port());
    tokio::spawn(async move {
        let together = Arc::new(Barrier::new(CONNECTIONS));
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (tls, together) = (tls.clone(), Arc::clone(&together));
            tokio::spawn(async move {
                match tls {
                    None => answer(stream, &together).await,
                    Some(tls) => answer(tls.accept(stream).await.unwrap(), &together).await,
                }
            });
        }
    });
}

/// Answers one request at a time; `/1` at once, others together.
async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin, together: &Barrier) {
    let mut heard = Vec::new();
    while stream.read_buf(&mut heard).await.is_ok_and(|read| read > 0) {
        if !heard.ends_with(b"\r\n\r\n") {
            continue;
        }
        if !heard.starts_with(b"GET /1 ") {
            together.wait().await;
        }
        heard.clear();
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nsmall";
        if stream.write_all(answer).await.is_err() || stream.flush().await.is_err() {
            return;
        }
    }
}
