//! The process-wide registry, in a process of its own: it reads the working directory and the variables.

use std::path::Path;
use std::process::Command;

use httputil::{Kind, PooledClient, Registry, default_client};
use httputil_tests::server::Server;

use crate::common::get;

/// Set for the process that the test is about: the URL of a server.
const URL: &str = "POOL_GLOBAL_TEST_URL";

#[derive(PooledClient)]
#[pooled_client(profile = "late", unchecked)]
struct Late {
    client: httputil::Client,
}

#[tokio::test]
async fn its_first_error_is_returned_and_it_loads_once_the_file_is_mended() {
    if let Ok(url) = std::env::var(URL) {
        return in_a_process_of_its_own(&url).await;
    }
    let server = Server::builder().start().await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("httputil.toml"), "[late]\ntimeuot = \"1s\"\n").unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap());
    child
        .args([
            "--exact",
            "global::its_first_error_is_returned_and_it_loads_once_the_file_is_mended",
        ])
        .current_dir(folder.path())
        .env_remove("HTTPUTIL_CONFIG")
        .env_remove("HTTPUTIL_ENV")
        .env(URL, server.url("/"));
    let output = tokio::task::spawn_blocking(move || child.output())
        .await
        .unwrap()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    assert_eq!(server.requests(), 3);
}

async fn in_a_process_of_its_own(url: &str) {
    for _ in 0..2 {
        let error = Registry::global().unwrap_err();
        assert_eq!(error.kind(), Kind::Config);
        let text = error.to_string();
        assert!(
            text.contains("httputil.toml:2:1") && text.contains("did you mean timeout"),
            "{text}"
        );
        assert_eq!(default_client().unwrap_err().kind(), Kind::Config);
        assert_eq!(Late::new().map(|_| ()).unwrap_err().kind(), Kind::Config);
    }
    std::fs::write(Path::new("httputil.toml"), "[late]\ntimeout = \"1s\"\n").unwrap();
    let service = Late::new().unwrap();
    assert_eq!(get(service.client(), url).await, "hello");

    let (one, two) = (default_client().unwrap(), default_client().unwrap());
    assert_eq!(get(&one, url).await, "hello");
    one.stop();
    assert_eq!(get(&two, url).await, "hello", "nobody can stop it for others");
    let stats = Registry::global().unwrap().stats();
    assert_eq!(stats.pool("default").unwrap().dialled, 1);
    assert_eq!(stats.pool("late").unwrap().dialled, 1);
    drop(service);
    assert_eq!(Registry::global().unwrap().stats().pool("late").unwrap().leases, 0);
}
