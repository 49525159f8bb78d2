//! A connection that is closed at the moment it comes home leaves nobody waiting for it.

use std::time::Duration;

use httputil::{Client, ClientConfig, Config, Registry};
use httputil_tests::one_attempt;
use httputil_tests::server::Server;

use crate::common::{TrustedCa, Way, assert_accounted, until, url};

/// Long enough for every dial, far shorter than what a lost request would wait.
fn impatient() -> ClientConfig {
    one_attempt().pool_wait(Duration::from_secs(1))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn close_idle_connections_between_head_and_body_loses_no_request() {
    let server = Server::builder().start().await;
    let client = Client::new(impatient()).unwrap();
    for round in 0..300 {
        let response = client.get(server.url("/")).send().await.unwrap();
        if round % 2 == 0 {
            client.close_idle_connections();
        }
        assert_eq!(response.text().await.unwrap(), "hello");
        if round % 3 == 0 {
            client.close_idle_connections();
        }
    }
    client.stop();
    until(&client, "all to be closed", |stats| stats.open == 0).await;
    assert_accounted(&client.stats());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_taken_while_an_answer_of_the_last_one_is_read_loses_no_request() {
    let server = Server::builder().start().await;
    let config = Config::builder()
        .set("default.timeouts.pool_wait", "1s")
        .load()
        .unwrap();
    let registry = Registry::builder().config(config).build().unwrap();
    for _ in 0..100 {
        let first = registry.client("default").unwrap();
        let response = first.get(server.url("/")).send().await.unwrap();
        first.stop();
        let second = registry.client("default").unwrap();
        assert_eq!(response.text().await.unwrap(), "hello");
        let answer = second.get(server.url("/")).send().await.unwrap();
        assert_eq!(answer.text().await.unwrap(), "hello");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_reuse_every_request_has_a_connection_of_its_own() {
    let ca = TrustedCa::new();
    for way in Way::ALL {
        let server = way.start(Server::builder(), &ca).await;
        let mut config = ca.config().pool_wait(Duration::from_secs(1));
        config.profile_mut().transport.pool.reuse = false;
        let client = Client::new(config).unwrap();
        for _ in 0..10 {
            let answer = client.get(url(&server, "/")).send().await.unwrap();
            assert_eq!(answer.text().await.unwrap(), "hello");
        }
        let together = (0..10).map(|_| {
            let request = client.get(url(&server, "/"));
            tokio::spawn(async move { request.send().await.unwrap().text().await.unwrap() })
        });
        for answer in together.collect::<Vec<_>>() {
            assert_eq!(answer.await.unwrap(), "hello");
        }
        assert_eq!(server.accepted(), 20, "{way:?}");
        until(&client, "all to be closed", |stats| stats.open == 0).await;
        let stats = client.stats();
        assert_eq!((stats.reuses, stats.dialled), (0, 20), "{way:?}");
        assert_accounted(&stats);
    }
}
