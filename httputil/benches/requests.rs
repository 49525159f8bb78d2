//! Instructions, and requests per second, of a pooled request: bare hyper, reqwest and this client, in one run.
//!
//! `cargo bench -p httputil --bench requests` starts a server in a process of its own and runs this program under
//! callgrind once for a few and once for many requests; the difference of the two counts, divided by the difference of
//! the requests, is what one request costs the client. Set-up cancels out, and so does whatever else the machine does;
//! it fails if a request costs more than reqwest's. With `-- instructions` nothing else is measured. Without valgrind
//! only the requests per second are.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use httputil::{Client, ClientConfig};

#[path = "requests/server.rs"]
mod server;

const FEW: usize = 200;
const MANY: usize = 1200;

fn main() {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve"] => server::serve(),
        ["send", who, url, ca, requests, concurrency] => {
            let (requests, concurrency) = (requests.parse().unwrap(), concurrency.parse().unwrap());
            println!("{}", send(who, url, ca, requests, concurrency).as_nanos());
        }
        ["instructions"] => compare_instructions(&Server::start()),
        _ => {
            let server = Server::start();
            compare_instructions(&server);
            compare_rates(&server);
        }
    }
}

fn compare_instructions(server: &Server) {
    let has_valgrind = Command::new("valgrind")
        .arg("--version")
        .output()
        .is_ok_and(|output| output.status.success());
    println!("instructions per pooled request (callgrind), ratio to reqwest");
    for (protocol, url) in &server.urls {
        if !has_valgrind {
            println!("  {protocol}: valgrind is not installed, not measured");
            continue;
        }
        let theirs = instructions("reqwest", url, &server.ca);
        let ours = instructions("httputil", url, &server.ca);
        println!(
            "  {protocol:8} reqwest {theirs:>8}   httputil {ours:>8}   {:.2}",
            ours as f64 / theirs as f64
        );
        assert!(ours < theirs, "{protocol}: a pooled request costs more than reqwest's");
    }
}

fn compare_rates(server: &Server) {
    println!("requests per second, median of 5 alternating runs, ratio to reqwest");
    for (protocol, url) in &server.urls {
        for concurrency in [1, 16, 64] {
            let (mut theirs, mut ours) = (Vec::new(), Vec::new());
            for _ in 0..5 {
                theirs.push(rate("reqwest", url, &server.ca, concurrency));
                ours.push(rate("httputil", url, &server.ca, concurrency));
            }
            let (theirs, ours) = (median(theirs), median(ours));
            println!(
                "  {protocol:8} concurrency {concurrency:>2}   reqwest {theirs:>8.0}   httputil {ours:>8.0}   {:.2}",
                ours / theirs
            );
        }
    }
}

struct Server {
    process: Child,
    urls: Vec<(String, String)>,
    ca: String,
}

impl Server {
    fn start() -> Server {
        let process = Command::new(std::env::current_exe().unwrap())
            .arg("serve")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // It is ended by the drop from here on, whatever it says.
        let mut server = Server {
            process,
            urls: Vec::new(),
            ca: String::new(),
        };
        for line in BufReader::new(server.process.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            let (name, value) = line.split_once(' ').unwrap();
            if name == "ca" {
                value.clone_into(&mut server.ca);
                return server;
            }
            server.urls.push((name.to_owned(), value.to_owned()));
        }
        panic!("the server ended before it was ready");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_file(&self.ca);
    }
}

fn instructions(who: &str, url: &str, ca: &str) -> u64 {
    let count = |requests: usize| {
        let output = Command::new("valgrind")
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
            .arg(std::env::current_exe().unwrap())
            .args(["send", who, url, ca, &requests.to_string(), "1"])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        let line = said
            .lines()
            .find(|line| line.contains("Collected :"))
            .unwrap_or_else(|| panic!("{said}"));
        line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()
    };
    (count(MANY) - count(FEW)) / (MANY - FEW) as u64
}

fn rate(who: &str, url: &str, ca: &str, concurrency: usize) -> f64 {
    let requests: u32 = 4000;
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["send", who, url, ca, &requests.to_string(), &concurrency.to_string()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(child.wait().unwrap().success());
    f64::from(requests) / Duration::from_nanos(said.trim().parse().unwrap()).as_secs_f64()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Sends the requests, `concurrency` at a time, and says how long it took.
fn send(who: &str, url: &str, ca: &str, requests: usize, concurrency: usize) -> Duration {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        match who {
            "reqwest" => {
                let ca = reqwest::Certificate::from_pem(&std::fs::read(ca).unwrap()).unwrap();
                let client = reqwest::Client::builder()
                    .no_proxy()
                    .tls_certs_only([ca])
                    .timeout(Duration::from_secs(30))
                    .pool_max_idle_per_host(concurrency)
                    .build()
                    .unwrap();
                drive(requests, concurrency, || {
                    let request = client.get(url);
                    async move { request.send().await.unwrap().bytes().await.unwrap().len() }
                })
                .await
            }
            "httputil" => {
                let mut config = ClientConfig::default().max_idle_per_host(concurrency);
                config.profile_mut().transport.tls.ca_file = Some(ca.into());
                let client = Client::new(config).unwrap();
                drive(requests, concurrency, || {
                    let request = client.get(url);
                    async move { request.send().await.unwrap().bytes().await.unwrap().len() }
                })
                .await
            }
            other => panic!("no client is called {other}"),
        }
    })
}

async fn drive<F>(requests: usize, concurrency: usize, one: impl Fn() -> F) -> Duration
where
    F: Future<Output = usize> + Send + 'static,
{
    assert_eq!(one().await, server::BODY.len());
    let began = Instant::now();
    let mut running = tokio::task::JoinSet::new();
    for _ in 0..requests {
        while running.len() >= concurrency {
            assert_eq!(running.join_next().await.unwrap().unwrap(), server::BODY.len());
        }
        running.spawn(one());
    }
    while let Some(length) = running.join_next().await {
        assert_eq!(length.unwrap(), server::BODY.len());
    }
    began.elapsed()
}
