//! What can be wrong with a host: one clear error each.

use std::sync::Arc;

use httputil::{Config, Error, Kind, Registry};
use httputil_tests::ca::Ca;
use httputil_tests::resolver::{Answer, ScriptedResolver};
use httputil_tests::script::{Script, Step, answers};
use httputil_tests::server::Server;
use httputil_tests::tcp::ClosedPort;
use httputil_tests::tls::{Alpn, ServerTls};
use reqwest::dns::{Name, Resolve, Resolving};

use crate::addresses::has_ipv6;
use crate::scene::{
    Trust, after_backoff, assert_balanced, assert_says, client, client_of, client_with_names, failure, get,
};

#[tokio::test]
async fn a_refused_port_says_so() {
    let port = ClosedPort::new();
    let client = client(|_| {});
    let error = failure(&client, format!("http://{}/", port.addr())).await;
    let address = port.addr().to_string();
    assert_says(&error, Kind::Connect, &["TCP connect", &address, "connection refused"]);
    assert!(error.is_retryable() && !error.is_timeout());
    assert_eq!(error.attempts(), 1);
    assert_balanced(&client.stats());
}

#[tokio::test]
async fn an_ipv6_address_is_named_in_brackets() {
    if !has_ipv6() {
        return;
    }
    let port = ClosedPort::new();
    let error = failure(&client(|_| {}), format!("http://[::1]:{}/", port.port())).await;
    let address = format!("[::1]:{}", port.port());
    assert_says(&error, Kind::Connect, &[&address, "connection refused"]);
}

#[tokio::test]
async fn an_unreachable_host_says_so() {
    // TCP knows no broadcast, so this is refused here, whatever the network is.
    let error = failure(&client(|_| {}), "http://255.255.255.255:81/").await;
    assert_says(
        &error,
        Kind::Connect,
        &["TCP connect", "255.255.255.255:81", "unreachable"],
    );
    assert!(error.is_retryable());
}

#[tokio::test]
async fn a_name_that_does_not_resolve_says_why() {
    let resolver = ScriptedResolver::new().name("gone.test", Answer::Fail("no such host".to_owned()));
    let client = client_with_names(&resolver, "");
    let error = failure(&client, "http://gone.test/").await;
    assert_says(&error, Kind::Dns, &["name look-up", "gone.test", "no such host"]);
    assert_eq!(error.host(), Some("gone.test"));
    assert!(error.is_retryable());
    assert_balanced(&client.stats());
}

#[tokio::test]
async fn the_systems_resolver_is_not_to_be_blamed_on_the_server() {
    // Too long a label to be asked for, so that no network is needed for the refusal.
    let name = format!("{}.test", "x".repeat(64));
    let error = failure(&client(|_| {}), format!("http://{name}/")).await;
    assert_says(&error, Kind::Dns, &["name look-up", &name]);
}

#[tokio::test]
async fn an_empty_answer_to_a_name_is_no_time_out() {
    let resolver = ScriptedResolver::new().name("empty.test", Answer::Empty);
    let error = failure(&client_with_names(&resolver, ""), "http://empty.test/").await;
    assert_says(&error, Kind::Dns, &["empty.test", "no address"]);
}

#[tokio::test]
async fn a_name_is_asked_for_again_after_it_failed() {
    let server = Server::builder().start().await;
    let resolver = ScriptedResolver::new().name("late.test", Answer::Fail("not yet".to_owned()));
    let client = client_with_names(&resolver, "");
    failure(&client, server.url_for("late.test", "/")).await;
    resolver.set("late.test", Answer::to(["127.0.0.1:0"]));
    let answer = after_backoff(&client, server.url_for("late.test", "/")).await;
    assert_eq!(answer.unwrap(), "hello");
}

/// A resolver with a mistake in it.
struct Panicking;

impl Resolve for Panicking {
    fn resolve(&self, _: Name) -> Resolving {
        Box::pin(async { panic!("the resolver's own mistake") })
    }
}

#[tokio::test]
async fn a_resolver_that_panics_fails_its_request_and_is_blamed_for_it() {
    let server = Server::builder().start().await;
    let config = Config::builder().load().unwrap();
    let registry = Registry::builder().config(config).resolver(Arc::new(Panicking)).build();
    let client = registry.unwrap().client("default").unwrap();
    let error = failure(&client, server.url_for("any.test", "/")).await;
    assert_says(&error, Kind::Dns, &["panicked", "name look-up"]);
    assert_balanced(&client.stats());
    assert_eq!(get(&client, server.url("/")).await.unwrap(), "hello");
}

async fn of_script(steps: Vec<Step>) -> Error {
    let server = Script::start([steps]).await;
    let client = client(|_| {});
    let error = failure(&client, server.https_url("/")).await;
    assert!(error.is_retryable(), "no request was sent: {error}");
    server.until_closed(1).await;
    assert_balanced(&client.stats());
    error
}

#[tokio::test]
async fn garbage_instead_of_tls_is_told_apart_from_a_refusal() {
    let error = of_script(vec![Step::ReadBody(1), Step::write(answers::GARBAGE)]).await;
    assert_says(&error, Kind::Tls, &["TLS handshake", "is not TLS"]);
}

#[tokio::test]
async fn a_plain_server_on_an_https_url_is_asked_about() {
    let server = Server::builder().start().await;
    let url = server.url("/").replace("http:", "https:");
    let error = failure(&client(|_| {}), &url).await;
    assert_says(&error, Kind::Tls, &["is not TLS", "plain HTTP"]);
}

#[tokio::test]
async fn a_tls_server_on_an_http_url_is_asked_about() {
    let ca = Ca::new();
    let server = Server::builder()
        .tls(ServerTls::new(ca.issue(["127.0.0.1"])).build())
        .start()
        .await;
    let url = server.url("/").replace("https:", "http:");
    let error = failure(&client(|_| {}), &url).await;
    assert_says(&error, Kind::Protocol, &["TLS", "https"]);
    server.until_open(0).await;
}

#[tokio::test]
async fn a_server_that_closes_in_the_handshake_says_when() {
    let error = of_script(vec![Step::Fin]).await;
    assert_says(
        &error,
        Kind::Tls,
        &["TLS handshake", "closed the connection during the handshake"],
    );
}

#[tokio::test]
async fn a_server_that_resets_in_the_handshake_says_when() {
    let error = of_script(vec![Step::ReadBody(1), Step::Reset]).await;
    assert_says(&error, Kind::Tls, &["TLS handshake", "reset", "during the handshake"]);
}

#[tokio::test]
async fn a_failed_handshake_does_not_spoil_the_next() {
    let ca = Ca::new();
    let trust = Trust::of([&ca]);
    let tls = ServerTls::new(ca.issue(["127.0.0.1"])).alpn(Alpn::H1).build();
    let good = vec![Step::StartTls(tls), Step::ReadRequest, Step::write(answers::ok("well"))];
    let server = Script::start([vec![Step::Fin], good]).await;
    let client = client_of(&trust, |_| {});
    failure(&client, server.https_url("/")).await;
    assert_eq!(after_backoff(&client, server.https_url("/")).await.unwrap(), "well");
}
