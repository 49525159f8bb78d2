//! Redirects through a proxy: each hop is asked of it anew, in the form that the hop's scheme wants.

use http::Method;
use httputil::settings::{Profile, ProxyChoice};
use httputil::{Client, ClientConfig};
use httputil_tests::ca::Ca;
use httputil_tests::proxy::Proxy;
use httputil_tests::server::Server;
use httputil_tests::tls::{Alpn, ServerTls};

use crate::common::{Door, Place, assert_at_rest, headers};

/// The proxy's login, as it is told.
const LOGIN: &str = "Basic dXNlcjp3b3Jk";

fn through(proxy: &Proxy, change: impl FnOnce(&mut Profile)) -> Client {
    let mut config = ClientConfig::default();
    let profile = config.profile_mut();
    profile.transport.proxy.url = Some(ProxyChoice::Through(proxy.url_as("http", "user:word@").as_str().into()));
    change(profile);
    Client::new(config).unwrap()
}

fn secrets() -> http::HeaderMap {
    headers([("authorization", "Bearer canary"), ("cookie", "session=canary")])
}

#[tokio::test]
async fn in_absolute_form_each_hop_names_its_own_origin_and_only_the_proxy_hears_of_its_login() {
    let (first, second) = (Place::start().await, Place::start().await);
    first.sends("/from", 307, second.url("/there"));
    second.sends("/there", 302, first.url("/back"));
    for door in Door::BOTH {
        let proxy = Proxy::builder().login("user", "word").start().await;
        let client = through(&proxy, |_| {});
        let landed = door
            .send(&client, Method::POST, &first.url("/from"), secrets(), "a body")
            .await
            .unwrap();
        assert_eq!((landed.status, landed.history.len()), (200, 2));
        assert_eq!(
            proxy.wanted(),
            [
                format!("POST {}", first.url("/from")),
                format!("POST {}", second.url("/there")),
                format!("GET {}", first.url("/back")),
            ]
        );
        for (asked, place) in proxy.asked().iter().zip([&first, &second, &first]) {
            assert_eq!(asked.header("proxy-authorization"), Some(LOGIN));
            assert_eq!(asked.header("host"), Some(&*place.addr().to_string()));
        }
        for asked in &proxy.asked()[1..] {
            assert!(!format!("{asked:?}").contains("canary"), "{asked:?}");
        }
        assert_at_rest(&client).await;
    }
    for seen in first.seen().iter().chain(&second.seen()) {
        assert_eq!(seen.header("proxy-authorization"), None, "{seen:?}");
    }
}

#[tokio::test]
async fn through_tunnels_each_origin_has_its_own_and_the_proxy_sees_no_hop() {
    let (ca, file) = (Ca::new(), tempfile::NamedTempFile::new().unwrap());
    std::fs::write(file.path(), ca.pem()).unwrap();
    let tls = || ServerTls::new(ca.issue(["127.0.0.1"])).alpn(Alpn::Both).build();
    let first = Place::start_as(Server::builder().tls(tls())).await;
    let second = Place::start_as(Server::builder().tls(tls())).await;
    first.sends("/from", 302, first.url("/within"));
    first.sends("/within", 302, second.url("/there"));
    for door in Door::BOTH {
        let proxy = Proxy::builder().login("user", "word").start().await;
        let client = through(&proxy, |profile| {
            profile.transport.tls.ca_file = Some(file.path().to_owned());
        });
        let landed = door
            .send(&client, Method::GET, &first.url("/from"), secrets(), "")
            .await
            .unwrap();
        let seen = landed.echoed();
        assert!(seen.target.ends_with("/there"), "{}", seen.target);
        assert_eq!(landed.history.len(), 2);
        assert!(!format!("{seen:?}").contains("canary"), "{seen:?}");
        assert_eq!(seen.header("proxy-authorization"), None);
        let tunnel = |place: &Place| format!("CONNECT {}", place.addr());
        assert_eq!(proxy.wanted(), [tunnel(&first), tunnel(&second)]);
        for asked in proxy.asked() {
            assert_eq!(asked.header("proxy-authorization"), Some(LOGIN));
            assert!(!format!("{asked:?}").contains("canary"), "{asked:?}");
        }
        assert_at_rest(&client).await;
    }
}
