//! Which versions of TLS are spoken.

use std::sync::Arc;

use httputil::Kind;
use httputil::settings::TlsVersion;
use httputil_tests::ca::Ca;
use httputil_tests::script::{Script, steps};
use httputil_tests::server::Server;
use httputil_tests::tls::ServerTls;
use rustls::version::{TLS12, TLS13};
use rustls::{ServerConfig, SupportedProtocolVersion};

use crate::scene::{Trust, assert_says, client, client_of, failure, get, quoted, registry};

fn speaks(ca: &Ca, version: &'static SupportedProtocolVersion) -> Arc<ServerConfig> {
    ServerTls::new(ca.issue(["127.0.0.1"])).versions(&[version]).build()
}

#[tokio::test]
async fn a_server_of_tls_1_0_or_1_1_is_refused_by_name() {
    for version in [0x0301, 0x0302] {
        let server = Script::start([steps::old_tls(version)]).await;
        let error = failure(&client(|_| {}), server.https_url("/")).await;
        assert_says(&error, Kind::Tls, &["TLS handshake", "nothing newer than TLS 1.1"]);
        server.until_closed(1).await;
    }
}

#[tokio::test]
async fn a_server_that_refuses_our_versions_is_told_of_by_name() {
    let server = Script::start([steps::refuse_tls_version()]).await;
    let error = failure(&client(|_| {}), server.https_url("/")).await;
    assert_says(&error, Kind::Tls, &["refused our TLS versions", "tls.min_version"]);
}

#[tokio::test]
async fn both_versions_are_spoken_unless_told_otherwise() {
    let ca = Ca::new();
    let trust = Trust::of([&ca]);
    for version in [&TLS12, &TLS13] {
        let server = Server::builder().tls(speaks(&ca, version)).start().await;
        assert_eq!(get(&client_of(&trust, |_| {}), server.url("/")).await.unwrap(), "hello");
    }
}

#[tokio::test]
async fn min_version_1_3_refuses_a_server_of_1_2() {
    let ca = Ca::new();
    let trust = Trust::of([&ca]);
    let toml = format!(
        "[default]\ntls.min_version = \"1.3\"\ntls.ca_file = {}",
        quoted(trust.path())
    );
    let client = registry(&toml).client("default").unwrap();

    let old = Server::builder().tls(speaks(&ca, &TLS12)).start().await;
    let error = failure(&client, old.url("/")).await;
    assert_says(&error, Kind::Tls, &["TLS versions", "tls.min_version"]);
    let new = Server::builder().tls(speaks(&ca, &TLS13)).start().await;
    assert_eq!(get(&client, new.url("/")).await.unwrap(), "hello");
}

#[tokio::test]
async fn max_version_1_2_refuses_a_server_of_1_3() {
    let ca = Ca::new();
    let trust = Trust::of([&ca]);
    let client = client_of(&trust, |profile| profile.transport.tls.max_version = TlsVersion::V1_2);

    let new = Server::builder().tls(speaks(&ca, &TLS13)).start().await;
    let error = failure(&client, new.url("/")).await;
    assert_says(&error, Kind::Tls, &["TLS versions", "tls.max_version"]);
    let old = Server::builder().tls(speaks(&ca, &TLS12)).start().await;
    assert_eq!(get(&client, old.url("/")).await.unwrap(), "hello");
}
