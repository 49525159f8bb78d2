//! A process that is stopped for longer than its connections may be idle, and goes on as if nothing had been.

use std::process::{Command, Stdio};
use std::time::Duration;

use httputil_tests::distance::Distance;
use httputil_tests::gate::Gate;
use httputil_tests::h2_script::{H2Script, Kind, Step};
use httputil_tests::one_attempt;

use httputil::{Client, CloseReason};
use httputil_tests::server::{Server, handlers};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::ChildStdout;

use crate::ALONE;
use crate::common::{assert_all_gone, get, h2_client, until};

/// Set for the process that is frozen: the port of the server.
const PORT: &str = "POOL_LOAD_FROZEN_PORT";
const IDLE_TIMEOUT: Duration = Duration::from_millis(700);
const IDLE: usize = 8;

/// This very test in a process of its own, which can be frozen.
struct Child {
    process: tokio::process::Child,
    said: Lines<BufReader<ChildStdout>>,
}

impl Child {
    /// Returns when it has said that it is ready.
    async fn start(this_test: &str, port: u16) -> Child {
        let mut process = tokio::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", this_test, "--nocapture"])
            .env(PORT, port.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut said = BufReader::new(process.stdout.take().unwrap()).lines();
        while !said.next_line().await.unwrap().unwrap().contains("ready") {}
        Child { process, said }
    }

    fn signal(&self, name: &str) {
        let pid = self.process.id().unwrap().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    }

    /// Tells it that it is awake, and waits for its end.
    async fn ends_well(&mut self) {
        let mut stdin = self.process.stdin.take().unwrap();
        stdin.write_all(b"awake\n").await.unwrap();
        let mut rest = String::new();
        while let Some(line) = self.said.next_line().await.unwrap() {
            rest.push_str(&line);
            rest.push('\n');
        }
        assert!(self.process.wait().await.unwrap().success(), "{rest}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_being_frozen_longer_than_idle_timeout_no_expired_connection_is_handed_out() {
    if let Ok(port) = std::env::var(PORT) {
        return freeze(&port).await;
    }
    let _alone = ALONE.lock().await;
    let handler = |request: http::Request<_>| async move {
        handlers::full(match request.uri().path() {
            // Not taken off its connection before somebody reads.
            "/long" => "hello".repeat(10_000),
            _ => "hello".to_owned(),
        })
    };
    let server = Server::builder().handler(handler).start().await;
    let mut child = Child::start(
        "frozen::after_being_frozen_longer_than_idle_timeout_no_expired_connection_is_handed_out",
        server.port(),
    )
    .await;
    child.signal("-STOP");
    // Its connections come of age meanwhile, and it cannot see it.
    tokio::time::sleep(IDLE_TIMEOUT * 2).await;
    assert_eq!(server.open(), IDLE, "a frozen process closes nothing");
    child.signal("-CONT");
    child.ends_well().await;
    server.until_open(0).await;
    assert_eq!(
        server.accepted(),
        IDLE + 1,
        "the request after it went over a new connection"
    );
}

async fn freeze(port: &str) {
    let config = one_attempt().idle_timeout(IDLE_TIMEOUT).max_idle_per_host(IDLE);
    let client = Client::new(config.min_idle_per_host(0)).unwrap();
    let url = format!("http://127.0.0.1:{port}/");
    // Held open together, so that there are so many.
    let mut answers = Vec::new();
    for _ in 0..IDLE {
        answers.push(client.get(format!("{url}long")).send().await.unwrap());
    }
    for answer in answers {
        answer.text().await.unwrap();
    }
    let ready = client.stats().idle;
    println!("ready {ready}");
    let mut line = String::new();
    // Blocks this thread on purpose: the request must come before any timer can.
    std::io::stdin().read_line(&mut line).unwrap();
    assert_eq!(get(&client, &url).await, "hello");
    let stats = client.stats();
    assert_eq!((stats.reuses, stats.dialled), (0, IDLE as u64 + 1), "{stats:?}");
    until(&client, "the old ones to be closed", |stats| {
        stats.closed_for(CloseReason::IdleTimeout) >= IDLE as u64
    })
    .await;
    assert_all_gone(&client).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ping_whose_answer_came_while_the_process_was_frozen_is_not_missed() {
    if let Ok(port) = std::env::var(PORT) {
        return freeze_under_way(&port).await;
    }
    let _alone = ALONE.lock().await;
    let gate = Gate::new();
    let held = gate.clone();
    let server = H2Script::builder()
        .on_stream(move |_| vec![Step::Hold(held.clone()), Step::Answer("held".into())])
        .start()
        .await;
    // So far away that there is nearly always a ping under way.
    let distance = Distance::to(server.addr(), ROUND_TRIP).await;
    let this_test = "frozen::a_ping_whose_answer_came_while_the_process_was_frozen_is_not_missed";
    let mut child = Child::start(this_test, distance.addr().port()).await;
    gate.arrived(1).await;
    for frozen in 1..=5 {
        let pings = server.frames().count(0, Kind::Ping);
        server.frames().until(0, Kind::Ping, pings + 1).await;
        child.signal("-STOP");
        // The answer comes, and the time for it is over.
        tokio::time::sleep(PING_TIMEOUT * 2).await;
        child.signal("-CONT");
        assert_eq!(server.accepted(), 1, "frozen {frozen} times");
    }
    let pings = server.frames().count(0, Kind::Ping);
    server.frames().until(0, Kind::Ping, pings + 2).await;
    gate.open();
    child.ends_well().await;
    assert_eq!(server.accepted(), 1);
}

const ROUND_TRIP: Duration = Duration::from_millis(200);
const PING_TIMEOUT: Duration = Duration::from_millis(600);

async fn freeze_under_way(port: &str) {
    let client = h2_client(|transport| {
        transport.http2.keepalive_interval = ROUND_TRIP / 10;
        transport.http2.keepalive_timeout = PING_TIMEOUT;
    });
    println!("ready");
    assert_eq!(get(&client, &format!("http://127.0.0.1:{port}/")).await, "held");
    assert_eq!(client.stats().closed_total(), 0);
    assert_all_gone(&client).await;
}
