//! No descriptors left: a process of its own, with few of them.

use std::fs::File;
use std::process::Command;
use std::time::Duration;

use httputil::{Client, Kind};
use httputil_tests::one_attempt;
use httputil_tests::resolver::{Answer, ScriptedResolver};
use httputil_tests::server::Server;
use httputil_tests::tcp::ClosedPort;

use crate::ALONE;
use crate::common::{TrustedCa, assert_all_gone, assert_at_rest, get};

/// Set for the process that has few descriptors: the port of the server.
const PORT: &str = "POOL_LOAD_TEST_PORT";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_descriptors_requests_fail_with_a_clear_local_error_no_host_is_blamed_and_all_is_well_after() {
    if let Ok(port) = std::env::var(PORT) {
        return starve(&port).await;
    }
    let _alone = ALONE.lock().await;
    let server = Server::builder().start().await;
    // A shell, since a process can lower the limit of nobody but itself and its children.
    let this_test = "descriptors::without_descriptors_requests_fail_with_a_clear_local_error_no_host_is_blamed_and_all_is_well_after";
    let mut child = Command::new("sh");
    child
        .args(["-c", "ulimit -n 64 && exec \"$0\" --exact \"$1\" --nocapture"])
        .arg(std::env::current_exe().unwrap())
        .arg(this_test)
        .env(PORT, server.port().to_string());
    let output = tokio::task::spawn_blocking(move || child.output())
        .await
        .unwrap()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    server.until_open(0).await;
    assert!(server.requests() > 20, "{} requests came", server.requests());
}

/// Takes every descriptor that is left.
fn take_all() -> Vec<File> {
    std::iter::from_fn(|| File::open("/dev/null").ok()).collect()
}

async fn starve(port: &str) {
    let config = one_attempt().timeout(Duration::from_secs(5));
    // No earlier answer serves.
    let config = config.dns_ttl(Duration::from_micros(1)).dns_stale_for(Duration::ZERO);
    let client = Client::new(config).unwrap();
    let url = format!("http://127.0.0.1:{port}/");
    // The system looks it up, and opens files to do so.
    let by_name = format!("http://localhost:{port}/");
    assert_eq!(get(&client, &url).await, "hello");
    assert_eq!(get(&client, &by_name).await, "hello");
    for round in 0..5 {
        let mut taken = take_all();
        // What is open serves on.
        assert_eq!(get(&client, &url).await, "hello");
        client.close_idle_connections();
        while client.stats().open > 0 {
            tokio::task::yield_now().await;
        }
        taken.extend(take_all());
        for _ in 0..10 {
            for (url, phase) in [(&url, "TCP connect to"), (&by_name, "name look-up of localhost")] {
                let error = client.get(url).send().await.unwrap_err();
                assert_eq!(error.kind(), Kind::LimitExceeded, "round {round}: {error}");
                let text = error.to_string();
                let why = "too many open files (a limit of this process or machine)";
                assert!(text.contains(phase) && text.contains(why), "{text}");
                assert!(!text.contains("last try"), "the host is to blame for nothing: {text}");
            }
        }
        drop(taken);
        // The very next request: no backoff holds it.
        assert_eq!(get(&client, &url).await, "hello", "round {round}");
        assert_eq!(get(&client, &by_name).await, "hello", "round {round}");
        assert_at_rest(&client).await;
    }
    // A spike far over the limit ends in a queue: the cap over all pools is three quarters of the limit.
    let requests: Vec<_> = (0..300).map(|_| crate::common::spawn_get(&client, &url)).collect();
    for request in requests {
        assert_eq!(request.await.unwrap().unwrap(), "hello");
    }
    assert!(client.stats().open <= 48);
    assert_all_gone(&client).await;
}

#[tokio::test]
async fn an_answer_of_a_thousand_addresses_is_not_a_thousand_dials() {
    let ca = TrustedCa::new();
    let port = ClosedPort::new();
    let addresses = (0..1000_u16).map(|number| {
        let [high, low] = number.to_be_bytes();
        std::net::SocketAddr::from(([127, 7, high, low], 0))
    });
    let resolver = ScriptedResolver::new().name("many.test", Answer::Addresses(addresses.collect()));
    let client = ca.registry("", &resolver).client("default").unwrap();
    let error = client
        .get(format!("http://many.test:{}/", port.port()))
        .send()
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Connect);
    let tried = error.to_string().matches("127.7.").count();
    assert!((2..=16).contains(&tried), "{tried} addresses tried: {error}");
    assert_all_gone(&client).await;
}
