//! Connections made before they are asked for.

use httputil::{Client, ClientConfig, Config, Environment, Registry};
use httputil_tests::script::{Script, Step, answers, steps};
use httputil_tests::server::Server;

use crate::common::{TrustedCa, Way, assert_at_rest, get, until, url};

#[tokio::test]
async fn the_hosts_of_pool_warm_are_connected_to_with_the_first_lease() {
    let ca = TrustedCa::new();
    for (way, connections) in [(Way::H1, 3), (Way::H1Tls, 3), (Way::H2Tls, 1)] {
        let server = way.start(Server::builder(), &ca).await;
        let config = ca.config().min_idle_per_host(3).warm([url(&server, "/whatever")]);
        let client = Client::new(config).unwrap();
        until(&client, "the pool to be warm", |stats| stats.idle == connections).await;
        assert_eq!(
            (server.accepted() as u64, server.requests()),
            (connections, 0),
            "{way:?}"
        );
        assert_eq!(get(&client, &url(&server, "/")).await, "hello");
        // What the request took is made up for at once, or lies idle again already.
        until(&client, "the pool to be warm again", |stats| stats.idle >= connections).await;
        assert_at_rest(&client).await;
    }
}

#[tokio::test]
async fn a_client_made_outside_a_runtime_is_warm_from_its_first_request_on() {
    let (asked, warm) = (Server::builder().start().await, Server::builder().start().await);
    let url = warm.url("/");
    let client = std::thread::spawn(|| Client::new(ClientConfig::default().warm([url])).unwrap());
    let client = client.join().unwrap();
    assert_eq!(client.stats().dials_started, 0);
    get(&client, &asked.url("/")).await;
    warm.until_open(1).await;
    until(&client, "both to be idle", |stats| stats.idle == 2).await;
    assert_at_rest(&client).await;
}

#[tokio::test]
async fn a_new_lease_after_the_last_warms_anew() {
    let server = Server::builder().start().await;
    let warm = format!("[default.pool]\nwarm = [\"{}\"]", server.url("/"));
    let config = Config::builder()
        .embedded("warm.toml", &warm)
        .env(&Environment::default());
    let registry = Registry::builder().config(config.load().unwrap()).build().unwrap();
    for round in 1..=2 {
        let client = registry.client("default").unwrap();
        until(&client, "the pool to be warm", |stats| stats.idle == 1).await;
        assert_eq!(server.accepted(), round);
        client.stop();
        server.until_open(0).await;
    }
}

#[tokio::test]
async fn a_connection_that_was_idle_but_never_used_is_as_stale_as_any_other() {
    // It is closed as the first request on it comes: a race that keep-alive cannot avoid.
    let server = Script::start([
        vec![Step::ReadRequest, Step::Close],
        steps::answer_all(answers::ok("fine")),
    ])
    .await;
    let client = Client::new(ClientConfig::default().warm([server.url("/")])).unwrap();
    until(&client, "the pool to be warm", |stats| stats.idle == 1).await;
    assert_eq!(get(&client, &server.url("/")).await, "fine");
    assert_eq!((server.accepted(), client.stats().resends), (2, 1));
    assert_at_rest(&client).await;
}
