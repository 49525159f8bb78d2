//! A process that is stopped for longer than its connections may be idle, and goes on as if nothing had been.

use std::process::{Command, Stdio};
use std::time::Duration;

use httputil::{Client, ClientConfig, CloseReason};
use httputil_tests::server::Server;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

use crate::ALONE;
use crate::common::{assert_all_gone, get, until};

/// Set for the process that is frozen: the port of the server.
const PORT: &str = "POOL_LOAD_FROZEN_PORT";
const IDLE_TIMEOUT: Duration = Duration::from_millis(700);
const IDLE: usize = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_being_frozen_longer_than_idle_timeout_no_expired_connection_is_handed_out() {
    if let Ok(port) = std::env::var(PORT) {
        return freeze(&port).await;
    }
    let _alone = ALONE.lock().await;
    let server = Server::builder().start().await;
    let this_test = "frozen::after_being_frozen_longer_than_idle_timeout_no_expired_connection_is_handed_out";
    let mut child = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", this_test, "--nocapture"])
        .env(PORT, server.port().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
    while !said.next_line().await.unwrap().unwrap().contains("ready") {}
    let pid = child.id().unwrap().to_string();
    let signal = |name: &str| Command::new("kill").args([name, &pid]).status().unwrap();
    assert!(signal("-STOP").success());
    // Its connections come of age meanwhile, and it cannot see it.
    tokio::time::sleep(IDLE_TIMEOUT * 2).await;
    assert_eq!(server.open(), IDLE, "a frozen process closes nothing");
    assert!(signal("-CONT").success());
    child.stdin.take().unwrap().write_all(b"awake\n").await.unwrap();
    let mut rest = String::new();
    while let Some(line) = said.next_line().await.unwrap() {
        rest.push_str(&line);
        rest.push('\n');
    }
    assert!(child.wait().await.unwrap().success(), "{rest}");
    server.until_open(0).await;
    assert_eq!(
        server.accepted(),
        IDLE + 1,
        "the request after it went over a new connection"
    );
}

async fn freeze(port: &str) {
    let config = ClientConfig::default()
        .idle_timeout(IDLE_TIMEOUT)
        .max_idle_per_host(IDLE);
    let client = Client::new(config.min_idle_per_host(0)).unwrap();
    let url = format!("http://127.0.0.1:{port}/");
    // Held open together, so that there are so many.
    let mut answers = Vec::new();
    for _ in 0..IDLE {
        answers.push(client.get(&url).send().await.unwrap());
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
