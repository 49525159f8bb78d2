//! Connections made before they are asked for.

use httputil::{Client, Config, Environment, Registry};
use httputil_tests::gate::Gate;
use httputil_tests::h2_script::{H2Script, Step as H2Step};
use httputil_tests::one_attempt;
use httputil_tests::resolver::{Answer, ScriptedResolver};
use httputil_tests::script::{Script, Step, answers, steps};
use httputil_tests::server::Server;

use crate::common::{TrustedCa, Way, assert_all_gone, assert_at_rest, get, spawn_get, until, url};

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
    let client = std::thread::spawn(|| Client::new(one_attempt().warm([url])).unwrap());
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
    let client = Client::new(one_attempt().warm([server.url("/")])).unwrap();
    until(&client, "the pool to be warm", |stats| stats.idle == 1).await;
    assert_eq!(get(&client, &server.url("/")).await, "fine");
    assert_eq!((server.accepted(), client.stats().resends), (2, 1));
    assert_at_rest(&client).await;
}

#[tokio::test]
async fn so_is_an_http2_connection_that_no_stream_was_opened_on_warmed_or_dialled_for_a_request_that_went() {
    for is_warm in [true, false] {
        // The first stream finds the connection closed, as do those on any connection but the second.
        let server = H2Script::builder()
            .on_stream(|stream| match stream.connection {
                1 => vec![H2Step::Answer("fine".into())],
                _ => vec![H2Step::CloseConnection],
            })
            .start()
            .await;
        let name_found = Gate::new();
        let resolver =
            ScriptedResolver::new().name("h.test", Answer::Addresses(vec![server.addr()]).after(&name_found));
        let url = format!("http://h.test:{}/", server.port());
        let warm = if is_warm { format!("'{url}'") } else { String::new() };
        let lines = format!("http2.prior_knowledge = true\npool.warm = [{warm}]");
        let client = TrustedCa::new().registry(&lines, &resolver).client("default").unwrap();
        let gone = (!is_warm).then(|| spawn_get(&client, &url));
        until(&client, "the dial to begin", |stats| stats.dials_in_progress == 1).await;
        if let Some(gone) = gone {
            gone.abort();
            assert!(gone.await.unwrap_err().is_cancelled());
        }
        name_found.open();
        until(&client, "the connection to be idle", |stats| stats.idle == 1).await;
        assert_eq!(client.stats().requests, 0);

        assert_eq!(get(&client, &url).await, "fine", "warm: {is_warm}");
        let stats = client.stats();
        assert_eq!((server.accepted(), stats.resends, stats.reuses), (2, 1, 0), "{stats:?}");
        assert_all_gone(&client).await;
    }
}

#[tokio::test]
async fn a_post_that_meets_that_race_is_not_sent_again_and_the_error_blames_no_setting() {
    let server = H2Script::builder()
        .on_stream(|_| vec![H2Step::CloseConnection])
        .start()
        .await;
    let config = one_attempt().http2_prior_knowledge(true);
    let client = Client::new(config.warm([server.url("/")])).unwrap();
    until(&client, "the pool to be warm", |stats| stats.idle == 1).await;
    let error = client.post(server.url("/")).body("x").send().await.unwrap_err();
    let said = error.to_string();
    assert!(said.contains("it may have been processed"), "{said}");
    assert!(!said.contains("prior_knowledge"), "{said}");
    assert_eq!(server.accepted(), 1);
    assert_all_gone(&client).await;
}
