//! A failed attempt is followed by one over another connection, to another address where the host has one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::StatusCode;
use httputil::{Client, Config, Environment, Kind, Registry};
use httputil_tests::gate::Gate;
use httputil_tests::resolver::{Answer, ScriptedResolver};
use httputil_tests::script::{Script, Step, answers, steps};
use httputil_tests::server::{Server, handlers};
use httputil_tests::tls::{Alpn, ServerTls};
use httputil_tests::{PATIENCE, within};
use hyper::body::Incoming;

use crate::addresses::{answer, loopback};
use crate::scene::assert_balanced;

const RETRIES: &str = "[default]\ntimeouts.attempt = \"250ms\"\nretry.backoff.base = \"1ms\"\n\
                       retry.backoff.max = \"1ms\"\nretry.max_attempts = 2\ntls.roots = \"bundled\"\n";

/// A client for `a.test`, which is at `127.0.0.1` and then at `127.0.0.2`.
fn client(keys: &str) -> Client {
    let resolver = ScriptedResolver::new().name("a.test", answer([loopback(1), loopback(2)]));
    let config = Config::builder()
        .embedded("test.toml", format!("{RETRIES}{keys}"))
        .env(&Environment::empty())
        .load()
        .unwrap();
    let registry = Registry::builder().config(config).resolver(Arc::new(resolver)).build();
    registry.unwrap().client("default").unwrap()
}

/// A server at the first address that plays these steps on each connection, and one beside it that answers.
async fn servers(first: Vec<Step>) -> (Script, Server) {
    let first = Script::start([first]).await;
    let second = Server::builder().start_beside(2, first.port()).await;
    (first, second)
}

#[tokio::test]
async fn a_retry_goes_to_the_other_address() {
    let failing = |status| steps::answer_all(answers::with_length(status, &[], ""));
    for (what, first) in [
        ("502", failing("502 Bad Gateway")),
        ("503", failing("503 Service Unavailable")),
        ("504", failing("504 Gateway Timeout")),
        ("a reset", steps::reset_on_request()),
        ("a close", vec![Step::ReadRequest, Step::Close]),
        ("silence", vec![Step::ReadRequest, Step::Stall]),
        (
            "silence in the middle of the header",
            vec![Step::ReadRequest, Step::write("HTTP/1.1 2"), Step::Stall],
        ),
    ] {
        for balance in ["first", "round_robin"] {
            let (first, second) = servers(first.clone()).await;
            let client = client(&format!("dns.balance = \"{balance}\"\n"));
            // Round robin begins anywhere.
            let mut sent = 0;
            while first.requests() == 0 {
                let request = client.get(second.url_for("a.test", "/")).fresh_connection(true).send();
                let answer = within(PATIENCE, request).await.unwrap();
                assert_eq!(answer.text().await.unwrap(), "hello", "{what}, {balance}");
                sent += 1;
            }
            assert_eq!((first.requests(), second.requests()), (1, sent), "{what}, {balance}");
            assert_eq!(client.stats().retries, 1, "{what}, {balance}");
            client.stop();
        }
    }
}

#[tokio::test]
async fn a_tls_handshake_that_hangs_makes_the_next_attempt_take_another_address() {
    let ca = httputil_tests::ca::Ca::new();
    let trust = crate::scene::Trust::of([&ca]);
    let first = Script::start([vec![Step::Stall]]).await;
    let tls = ServerTls::new(ca.issue(["a.test"])).alpn(Alpn::H1).build();
    let second = Server::builder().tls(tls).start_beside(2, first.port()).await;
    let keys = format!(
        "tls.extra_ca_file = '{}'\ntimeouts.tls_handshake = \"100ms\"\n",
        trust.path().display()
    );
    let client = client(&keys);
    let request = client.get(second.url_for("a.test", "/")).send();
    let answer = within(PATIENCE, request).await.unwrap();
    assert_eq!(answer.text().await.unwrap(), "hello");
    assert_eq!((first.accepted(), second.accepted()), (1, 1));
    assert_balanced(&client.stats());
}

#[tokio::test]
async fn an_answer_that_asks_for_patience_is_no_reason_to_go_elsewhere() {
    let too_many = answers::with_length("429 Too Many Requests", &[("retry-after", "0")], "");
    let (first, second) = servers(steps::answer_all(too_many)).await;
    let client = client("");
    let request = client.get(second.url_for("a.test", "/")).send();
    assert_eq!(within(PATIENCE, request).await.unwrap().status(), 429);
    assert_eq!((first.accepted(), first.requests(), second.accepted()), (1, 2, 0));
}

#[tokio::test]
async fn where_no_new_connection_can_be_had_a_retry_takes_an_idle_one() {
    for h2 in [false, true] {
        let (gate, asked) = (Gate::new(), Arc::new(AtomicUsize::new(0)));
        let (held, count) = (gate.clone(), Arc::clone(&asked));
        let handler = move |request: http::Request<Incoming>| {
            let (held, count) = (held.clone(), Arc::clone(&count));
            async move {
                if request.uri().path() == "/warm" {
                    held.pass().await;
                } else if count.fetch_add(1, Ordering::SeqCst) == 0 {
                    return handlers::status(StatusCode::SERVICE_UNAVAILABLE);
                }
                handlers::full("hello")
            }
        };
        let server = Server::builder().handler(handler);
        let server = if h2 { server.h2() } else { server }.start().await;
        let resolver = ScriptedResolver::new().name("a.test", answer([loopback(1)]));
        let config = Config::builder()
            .embedded(
                "test.toml",
                format!("{RETRIES}http2.prior_knowledge = {h2}\ndns.ttl = \"1ms\"\ndns.stale_for = \"0s\"\n"),
            )
            .env(&Environment::empty())
            .load()
            .unwrap();
        let registry = Registry::builder().config(config).resolver(Arc::new(resolver.clone()));
        let client = registry.build().unwrap().client("default").unwrap();
        let warm: Vec<_> = (0..3)
            .map(|_| tokio::spawn(client.get(server.url_for("a.test", "/warm")).send()))
            .collect();
        within(PATIENCE, gate.arrived(3)).await;
        gate.open();
        for request in warm {
            request.await.unwrap().unwrap().text().await.unwrap();
        }
        resolver.set("a.test", Answer::Fail("outage".into()));
        let request = client.get(server.url_for("a.test", "/")).send();
        let answer = within(PATIENCE, request).await.unwrap();
        assert_eq!(answer.text().await.unwrap(), "hello", "h2: {h2}");
        assert_eq!(
            (asked.load(Ordering::SeqCst), client.stats().retries),
            (2, 1),
            "h2: {h2}"
        );
    }
}

#[tokio::test]
async fn without_another_address_the_retry_goes_to_the_same_over_a_new_connection() {
    let first = Script::start([vec![Step::ReadRequest, Step::Stall]]).await;
    let client = client("");
    let began = std::time::Instant::now();
    let request = client.get(first.url("/")).send();
    let error = within(PATIENCE, request).await.unwrap_err();
    assert!(matches!(error.kind(), Kind::Timeout { .. }), "{error}");
    assert!(began.elapsed() >= Duration::from_millis(500));
    assert_eq!((first.accepted(), error.attempts()), (2, 2));
}
