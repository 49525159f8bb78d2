//! `tls.server_name`: whom a server is asked for and verified as, where its address says something else.

use httputil::{Client, Kind};
use httputil_tests::ca::Ca;
use httputil_tests::server::{Server, handlers};
use httputil_tests::tls::ServerTls;

use crate::scene::{Trust, assert_says, client_of, config, failure, get};

#[tokio::test]
async fn the_set_name_is_asked_for_and_verified() {
    let ca = Ca::new();
    let trust = Trust::of([&ca]);
    let server = Server::builder()
        .tls(ServerTls::new(ca.issue(["collector.test"])).build())
        .handler(handlers::echo)
        .start()
        .await;
    let named = client_of(&trust, |profile| {
        profile.transport.tls.server_name = Some("collector.test".to_owned());
    });
    let answer = get(&named, server.url("/")).await.unwrap();
    assert_eq!(
        server.seen().connections[0].server_name.as_deref(),
        Some("collector.test")
    );
    // The request itself is still for the URL's host.
    let host = format!("127.0.0.1:{}", server.port());
    assert!(answer.contains(&host), "{answer}");

    let unnamed = client_of(&trust, |_| {});
    let error = failure(&unnamed, server.url("/")).await;
    assert_says(&error, Kind::Tls, &["for another host (collector.test)"]);
}

#[tokio::test]
async fn the_urls_host_does_not_count_any_more() {
    let ca = Ca::new();
    let trust = Trust::of([&ca]);
    let server = Server::builder()
        .tls(ServerTls::new(ca.issue(["127.0.0.1"])).build())
        .start()
        .await;
    let named = client_of(&trust, |profile| {
        profile.transport.tls.server_name = Some("collector.test".to_owned());
    });
    assert_says(
        &failure(&named, server.url("/")).await,
        Kind::Tls,
        &["for another host"],
    );
}

#[tokio::test]
async fn an_address_can_be_verified_in_place_of_a_name() {
    let ca = Ca::new();
    let trust = Trust::of([&ca]);
    let server = Server::builder()
        .tls(ServerTls::new(ca.issue(["192.0.2.7"])).build())
        .start()
        .await;
    let named = client_of(&trust, |profile| {
        profile.transport.tls.server_name = Some("192.0.2.7".to_owned());
    });
    assert_eq!(get(&named, server.url("/")).await.unwrap(), "hello");
}

#[test]
fn what_no_certificate_can_bear_is_a_mistake_of_the_settings() {
    for name in ["", "a b", "-", "https://collector.test", "a..b", "[::1]"] {
        let config = config(|profile| profile.transport.tls.server_name = Some(name.to_owned()));
        let error = Client::new(config).map(|_| ()).expect_err("it is no name");
        assert!(
            error.is_config() && error.to_string().contains("tls.server_name"),
            "{name:?}: {error}"
        );
    }
}
