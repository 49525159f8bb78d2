//! Several endpoints, as their servers see it.

use std::time::{Duration, Instant};

use httputil::{Client, ClientConfig, Kind};
use httputil_tests::gate::Gate;
use httputil_tests::resolver::{Answer, ScriptedResolver};
use httputil_tests::server::{Server, handlers};
use httputil_tests::tcp::ClosedPort;
use httputil_tests::tls::Alpn;
use httputil_tests::{PATIENCE, within};

use crate::common::{TrustedCa, get, spawn_get};

/// A server that holds what asks for `/held`.
async fn holding(gate: &Gate) -> Server {
    let hold = handlers::hold(gate, handlers::by_path);
    let handler = move |request: http::Request<hyper::body::Incoming>| {
        let hold = hold.clone();
        async move {
            match request.uri().path() {
                "/held" => hold(request).await,
                _ => handlers::full("here"),
            }
        }
    };
    Server::builder().handler(handler).start().await
}

#[tokio::test]
async fn what_a_look_up_or_a_dial_took_makes_no_endpoint_slow() {
    let (gate, found) = (Gate::new(), Gate::new());
    let (quick, late) = (holding(&gate).await, holding(&gate).await);
    let resolver = ScriptedResolver::new()
        .name("quick.test", Answer::to(["127.0.0.1:0"]))
        .name("late.test", Answer::to(["127.0.0.1:0"]).after(&found));
    let bases = [quick.url_for("quick.test", ""), late.url_for("late.test", "")];
    let ca = TrustedCa::new();
    let registry = ca.registry(&format!("base_url = {bases:?}\n"), &resolver);
    let client = registry.client("default").unwrap();
    // Nothing is known of either, so that chance sends one there.
    let mut waits = None;
    let until_one_waits = async {
        while waits.is_none() {
            let mut asked = spawn_get(&client, "/");
            tokio::select! {
                answer = &mut asked => assert_eq!(answer.unwrap().unwrap(), "here"),
                () = found.arrived(1) => waits = Some(asked),
            }
        }
    };
    within(PATIENCE, until_one_waits).await;
    // So long the look-up takes: what is shown is that nobody takes that for the endpoint's own slowness.
    tokio::time::sleep(Duration::from_secs(1)).await;
    found.open();
    assert_eq!(within(PATIENCE, waits.unwrap()).await.unwrap().unwrap(), "here");
    // What is under way at the other one tells them apart from now on.
    let before = late.requests();
    let held: Vec<_> = (0..40).map(|_| spawn_get(&client, "/held")).collect();
    within(PATIENCE, gate.arrived(40)).await;
    assert!(
        late.requests() > before,
        "it got none of 40 that were under way at once"
    );
    gate.open();
    for held in held {
        within(PATIENCE, held).await.unwrap().unwrap();
    }
    assert_eq!(get(&client, "/").await, "here");
}

/// One that never lets anybody speak to it costs a request a second attempt, and no answer.
#[tokio::test]
async fn a_certificate_that_is_refused_fails_no_request_that_another_endpoint_can_answer() {
    let (ca, stranger) = (TrustedCa::new(), TrustedCa::new());
    let sound = Server::builder().tls(ca.server(Alpn::Both)).start().await;
    let unsound = Server::builder().tls(stranger.server(Alpn::Both)).start().await;
    let bases = [&unsound, &sound].map(|server| server.url_for("localhost", ""));
    let mut config = ClientConfig::default().base_urls(bases);
    config.profile_mut().transport.tls.ca_file = Some(ca.path().to_owned());
    let client = Client::new(config).unwrap();
    let until_asked = async {
        while unsound.accepted() == 0 {
            let sent = client.post("/").body("once").send().await;
            assert_eq!(sent.unwrap().status(), 200);
        }
    };
    within(PATIENCE, until_asked).await;
    assert!(client.stats().retries > 0);
    assert_eq!(sound.requests() as u64, client.stats().requests);

    // Where nobody can answer it is told at once.
    let other = Server::builder().tls(stranger.server(Alpn::Both)).start().await;
    let bases = [&unsound, &other].map(|server| server.url_for("localhost", ""));
    let mut config = ClientConfig::default().base_urls(bases);
    config.profile_mut().transport.tls.ca_file = Some(ca.path().to_owned());
    let client = Client::new(config).unwrap();
    let error = within(PATIENCE, client.get("/").send()).await.unwrap_err();
    assert_eq!((error.kind(), client.stats().retries), (Kind::Tls, 1), "{error}");
}

#[tokio::test]
async fn an_endpoint_whose_addresses_may_not_be_dialled_fails_no_request_that_another_can_answer() {
    let server = Server::builder().start().await;
    let resolver = ScriptedResolver::new()
        .name("inside.test", Answer::to(["10.9.8.7:0"]))
        .name("good.test", Answer::to(["127.0.0.1:0"]));
    let bases = ["inside.test", "good.test"].map(|name| server.url_for(name, ""));
    let lines = format!("[service]\nbase_url = {bases:?}\negress.deny = ['10.0.0.0/8']\nretry.max_attempts = 2\n");
    let ca = TrustedCa::new();
    let registry = ca.registry(&lines, &resolver);
    let client = registry.client("service").unwrap();
    let until_asked = async {
        while resolver.calls_for("inside.test") == 0 {
            let sent = client.post("/").body("once").send().await;
            assert_eq!(sent.unwrap().status(), 200);
        }
    };
    within(PATIENCE, until_asked).await;
    assert_eq!(client.stats().retries, 1);
    // Nor does it draw many a second time.
    for _ in 0..100 {
        assert_eq!(get(&client, "/").await, "hello");
    }
    assert!(client.stats().retries < 25, "{}", client.stats().retries);
}

#[tokio::test]
async fn a_retry_at_another_endpoint_does_not_wait_until_the_first_is_dialled_again() {
    let (closed, sound) = (ClosedPort::new(), Server::builder().start().await);
    let bases = [format!("http://{}", closed.addr()), sound.url("")];
    let pause = Duration::from_millis(1);
    let config = ClientConfig::default().base_urls(bases.clone()).no_breaker();
    let client = Client::new(config.retry_backoff(pause, pause)).unwrap();
    // After each dial that fails it is left alone for twice as long, at last for 1.6 s.
    let until_left_alone = async {
        while client.stats().dial_failures_total() < 6 {
            client.get(&bases[0]).retry(false).send().await.unwrap_err();
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    within(PATIENCE, until_left_alone).await;
    let began = Instant::now();
    // Chance says where each goes first.
    while client.stats().retries == 0 {
        assert_eq!(within(PATIENCE, get(&client, "/")).await, "hello");
    }
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
}
