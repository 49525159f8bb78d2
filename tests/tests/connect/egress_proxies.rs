//! `egress.*` where a proxy lies between: its target is judged, it is not; and what it hides is refused unless it is trusted.

use httputil::settings::Profile;
use httputil::{Client, Environment, Error, Kind};
use httputil_tests::ca::Ca;
use httputil_tests::proxy::Proxy;
use httputil_tests::resolver::{Answer, ScriptedResolver};
use httputil_tests::server::Server;
use httputil_tests::tls::{Alpn, ServerTls};

use crate::scene::{Trust, assert_says, client_through, failure, get, registry_in};

fn through(proxy: &str, deny: &[&str], change: impl FnOnce(&mut Profile)) -> Client {
    client_through(proxy, |profile| {
        profile.transport.egress.deny = deny.iter().map(|&rule| rule.to_owned()).collect();
        change(profile);
    })
}

#[track_caller]
fn assert_refused(error: &Error, words: &[&str]) {
    assert_says(error, Kind::Egress, words);
    assert_eq!(error.attempts(), 0);
}

#[tokio::test]
async fn the_targets_name_and_literal_address_are_judged_and_the_proxy_is_not() {
    let (server, proxy) = (Server::builder().start().await, Proxy::builder().start().await);
    for scheme in ["http", "socks5h", "socks5"] {
        // The proxy is at 127.0.0.1 itself.
        let client = through(&proxy.url_as(scheme, ""), &["127.0.0.0/8", "inside.test"], |profile| {
            profile.transport.egress.trust_proxy = true;
        });
        assert_refused(
            &failure(&client, server.url("/")).await,
            &["egress.deny = \"127.0.0.0/8\""],
        );
        let named = failure(&client, server.url_for("inside.test", "/")).await;
        assert_refused(&named, &["egress.deny = \"inside.test\""]);
        assert_refused(
            &failure(&client, "https://127.0.0.1/").await,
            &["egress.deny = \"127.0.0.0/8\""],
        );
        if scheme != "socks5" {
            assert_eq!(
                get(&client, server.url_for("service.test", "/")).await.unwrap(),
                "hello"
            );
        }
    }
    assert!(
        proxy.wanted().iter().all(|asked| asked.contains("service.test")),
        "{:?}",
        proxy.wanted()
    );
}

#[tokio::test]
async fn a_proxy_that_looks_names_up_needs_to_be_trusted_with_rules_about_addresses() {
    let (server, proxy) = (Server::builder().start().await, Proxy::builder().start().await);
    let url = server.url_for("service.test", "/");
    for scheme in ["http", "socks5h"] {
        let proxy_url = proxy.url_as(scheme, "");
        let private = |trust| {
            client_through(&proxy_url, |profile| {
                profile.transport.egress.deny_private = true;
                profile.transport.egress.trust_proxy = trust;
            })
        };
        let words = [
            "egress.deny_private cannot be kept",
            "service.test",
            "egress.trust_proxy = true",
        ];
        assert_refused(&failure(&private(false), &url).await, &words);
        assert_eq!(get(&private(true), &url).await.unwrap(), "hello");
        // What is this machine by its name needs no look-up.
        let localhost = failure(&private(true), server.url_for("localhost", "/")).await;
        assert_refused(&localhost, &["egress.deny_private refuses localhost"]);

        let denied = through(&proxy_url, &["10.0.0.0/8"], |_| {});
        assert_refused(
            &failure(&denied, &url).await,
            &["egress.deny cannot be kept", "service.test"],
        );
        let by_name = through(&proxy_url, &["other.test", "*:25"], |_| {});
        assert_eq!(get(&by_name, &url).await.unwrap(), "hello");
    }
}

#[tokio::test]
async fn what_is_allowed_by_address_alone_is_never_taken_to_be_what_a_proxy_finds() {
    let (server, proxy) = (Server::builder().start().await, Proxy::builder().start().await);
    let allowing = |rules: &[&str]| {
        client_through(&proxy.url(), |profile| {
            profile.transport.egress.allow = rules.iter().map(|&rule| rule.to_owned()).collect();
            profile.transport.egress.trust_proxy = true;
        })
    };
    let url = server.url_for("service.test", "/");
    let by_address = allowing(&["127.0.0.0/8"]);
    assert_refused(
        &failure(&by_address, &url).await,
        &["egress.allow does not list service.test"],
    );
    assert_eq!(get(&by_address, server.url("/")).await.unwrap(), "hello");
    assert_eq!(get(&allowing(&["*.test"]), &url).await.unwrap(), "hello");
}

#[tokio::test]
async fn what_a_socks5_proxy_is_asked_for_was_looked_up_and_judged_here() {
    let (server, proxy) = (Server::builder().start().await, Proxy::builder().start().await);
    let resolver = ScriptedResolver::new()
        .name("inside.test", Answer::to(["10.0.0.7:0"]))
        .name("service.test", Answer::to(["10.0.0.7:0", "192.88.98.1:0"]));
    let toml = format!(
        "[default]\negress.deny_private = true\nproxy.url = '{}'",
        proxy.url_as("socks5", "")
    );
    let client = registry_in(&toml, &Environment::empty(), &resolver)
        .client("default")
        .unwrap();
    let error = failure(&client, server.url_for("inside.test", "/")).await;
    assert_says(
        &error,
        Kind::Egress,
        &["egress.deny_private", "inside.test", "10.0.0.7"],
    );
    assert_eq!(
        get(&client, server.url_for("service.test", "/")).await.unwrap(),
        "hello"
    );
    assert_eq!(proxy.wanted(), [format!("SOCKS5 192.88.98.1:{}", server.port())]);
}

#[tokio::test]
async fn a_tunnel_is_opened_to_nobody_who_is_refused() {
    let (ca, proxy) = (Ca::new(), Proxy::builder().start().await);
    let trust = Trust::of([&ca]);
    let tls = ServerTls::new(ca.issue(["service.test", "inside.test"]))
        .alpn(Alpn::Both)
        .build();
    let server = Server::builder().tls(tls).start().await;
    let client = through(&proxy.url(), &["inside.test"], |profile| {
        profile.transport.tls.ca_file = Some(trust.path());
        profile.transport.egress.https_only = true;
    });
    assert_refused(
        &failure(&client, server.url_for("inside.test", "/")).await,
        &["egress.deny"],
    );
    assert_eq!(
        get(&client, server.url_for("service.test", "/")).await.unwrap(),
        "hello"
    );
    let plain = server.url_for("service.test", "/").replace("https:", "http:");
    assert_refused(&failure(&client, plain).await, &["egress.https_only"]);
    assert_eq!(proxy.wanted(), [format!("CONNECT service.test:{}", server.port())]);
}
