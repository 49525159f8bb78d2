//! `tls.pins`: the public keys that a server may have, beside its chain's own check.

use httputil::{Client, Config, Environment, Kind};
use httputil_tests::ca::{Ca, Identity, Wrong};
use httputil_tests::resolver::ScriptedResolver;
use httputil_tests::server::Server;
use httputil_tests::tls::ServerTls;
use rustls::version::{TLS12, TLS13};

use crate::scene::{Trust, assert_balanced, assert_says, client_of, config, failure, get, registry_in};

async fn server(identity: Identity) -> Server {
    Server::builder().tls(ServerTls::new(identity).build()).start().await
}

fn pinned(trust: &Trust, pins: &[&str]) -> Client {
    client_of(trust, |profile| {
        profile.transport.tls.pins = pins.iter().map(|pin| (*pin).to_owned()).collect();
    })
}

#[tokio::test]
async fn a_server_with_one_of_the_pinned_keys_is_accepted() {
    let ca = Ca::new();
    let trust = Trust::of([&ca]);
    let other = ca.issue(["127.0.0.1"]);
    for versions in [&[&TLS12], &[&TLS13]] {
        let identity = ca.issue(["127.0.0.1"]);
        let pin = identity.pin().to_owned();
        let server = Server::builder()
            .tls(ServerTls::new(identity).versions(versions).build())
            .start()
            .await;
        let client = pinned(&trust, &[other.pin(), &pin]);
        assert_eq!(get(&client, server.url("/")).await.unwrap(), "hello");
    }
}

#[tokio::test]
async fn another_key_is_refused_with_the_host_and_the_key_that_was_found() {
    let ca = Ca::new();
    let trust = Trust::of([&ca]);
    let identity = ca.issue(["127.0.0.1"]);
    let found = identity.pin().to_owned();
    let server = server(identity).await;
    let client = pinned(&trust, &[ca.issue(["127.0.0.1"]).pin()]);
    let error = failure(&client, server.url("/")).await;
    let host = format!("127.0.0.1:{}", server.port());
    assert_says(
        &error,
        Kind::Tls,
        &["TLS handshake", &host, &found, "not among tls.pins"],
    );
    assert_eq!(server.requests(), 0);
    assert_balanced(&client.stats());
}

#[tokio::test]
async fn a_pinned_key_does_not_make_up_for_a_chain_that_is_not_trusted() {
    let trust = Trust::of([&Ca::new()]);
    let identity = Ca::new().issue(["127.0.0.1"]);
    let client = pinned(&trust, &[identity.pin()]);
    let server = server(identity).await;
    assert_says(
        &failure(&client, server.url("/")).await,
        Kind::Tls,
        &["no trusted root"],
    );
}

#[tokio::test]
async fn a_pinned_certificate_that_is_only_sent_along_proves_nothing() {
    let ca = Ca::new();
    let trust = Trust::of([&ca]);
    let pinned_one = ca.issue(["127.0.0.1"]);
    let mut identity = ca.issue(["127.0.0.1"]);
    identity.chain.push(pinned_one.chain[0].clone());
    let server = server(identity).await;
    let client = pinned(&trust, &[pinned_one.pin()]);
    assert_says(
        &failure(&client, server.url("/")).await,
        Kind::Tls,
        &["not among tls.pins"],
    );
}

#[tokio::test]
async fn pins_hold_where_nothing_else_is_verified() {
    let identity = Ca::new().issue_wrong(Wrong::SelfSigned, ["somebody-else.test"]);
    let (own, other) = (identity.pin().to_owned(), Ca::new().issue(["x.test"]));
    let server = server(identity).await;
    let toml = format!(
        "[default.tls]\ninsecure_skip_verify = true\n[good.tls]\npins = [\"{own}\"]\n[bad.tls]\npins = [\"{}\"]",
        other.pin()
    );
    let environment = Environment::empty().with("HTTPUTIL_ENV", "test");
    let registry = registry_in(&toml, &environment, &ScriptedResolver::new());
    let good = registry.client("good").unwrap();
    assert_eq!(get(&good, server.url("/")).await.unwrap(), "hello");
    let error = registry
        .client("bad")
        .unwrap()
        .get(server.url("/"))
        .send()
        .await
        .unwrap_err();
    assert_says(&error, Kind::Tls, &[&own, "not among tls.pins"]);
}

#[tokio::test]
async fn a_session_of_other_pins_is_not_taken_up() {
    let ca = Ca::new();
    let trust = Trust::of([&ca]);
    let identity = ca.issue(["127.0.0.1"]);
    let toml = format!(
        "[default]\ntls.ca_file = '{}'\n[wrong]\ntls.pins = [\"{}\"]",
        trust.path().display(),
        ca.issue(["127.0.0.1"]).pin()
    );
    let server = server(identity).await;
    let registry = registry_in(&toml, &Environment::empty(), &ScriptedResolver::new());
    assert_eq!(
        get(&registry.client("default").unwrap(), server.url("/"))
            .await
            .unwrap(),
        "hello"
    );
    let wrong = registry.client("wrong").unwrap().get(server.url("/")).send().await;
    assert_says(&wrong.unwrap_err(), Kind::Tls, &["not among tls.pins"]);
    assert_eq!(server.seen().resumed_handshakes, 0);
}

#[test]
fn what_is_no_pin_is_a_mistake_of_the_settings() {
    let config = config(|profile| profile.transport.tls.pins = vec!["sha256/abc".to_owned()]);
    let error = Client::new(config).map(|_| ()).expect_err("it is no pin");
    assert!(
        error.is_config() && error.to_string().contains("tls.pins = \"sha256/abc\""),
        "{error}"
    );
    let loaded = Config::builder()
        .embedded("test.toml", "[default.tls]\npins = [\"sha1/x\"]")
        .load();
    let error = loaded.map(|_| ()).expect_err("it is no pin");
    assert!(
        error.to_string().starts_with("test.toml:2:9: default.tls.pins"),
        "{error}"
    );
}
