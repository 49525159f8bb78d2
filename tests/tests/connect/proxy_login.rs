//! A proxy's login is tried once, since trying again might lock the account, and is told to that proxy alone.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::header::{LOCATION, PROXY_AUTHORIZATION};
use http::{HeaderValue, Request, StatusCode};
use httputil::{Client, ClientConfig, Environment, Kind};
use httputil_tests::ca::Ca;
use httputil_tests::proxy::Proxy;
use httputil_tests::resolver::ScriptedResolver;
use httputil_tests::script::{Script, Step, answers};
use httputil_tests::server::{Builder, Server, handlers};
use httputil_tests::tls::ServerTls;
use hyper::body::Incoming;

use crate::scene::{Trust, assert_says, failure, get, quoted, registry_in};

#[tokio::test]
async fn a_login_that_a_proxy_refuses_is_tried_once() {
    let refuses = |status: &str| vec![Step::ReadHead, Step::write(answers::with_length(status, &[], ""))];
    let http = || refuses("407 Proxy Authentication Required");
    let login = [5, 2].to_vec();
    let socks = || {
        vec![
            Step::ReadBody(4),
            Step::write(login.clone()),
            Step::ReadBody(1 + 5 + 7),
            Step::write(vec![1, 1]),
        ]
    };
    for (scheme, target, plays) in [
        ("http", "https://service.test/", http()),
        // As tinyproxy does, against RFC 9110.
        ("http", "https://service.test/", refuses("401 Unauthorized")),
        ("http", "http://service.test/", http()),
        ("socks5h", "https://service.test/", socks()),
        ("socks5h", "http://service.test/", socks()),
    ] {
        let proxy = Script::start([plays]).await;
        let config = ClientConfig::default()
            .max_attempts(3)
            .proxy(format!("{scheme}://user:canary@{}", proxy.addr()));
        let client = Client::new(config.retry_backoff(Duration::from_millis(1), Duration::from_millis(1))).unwrap();
        let error = failure(&client, target).await;
        assert_says(&error, Kind::Proxy, &["refused the credentials"]);
        assert_eq!(
            (proxy.accepted(), client.stats().retries),
            (1, 0),
            "{scheme} {target}: {error}"
        );
    }
}

/// Redirects to a place, if it has one, and writes down each login that it is told.
fn hop(seen: &Arc<Mutex<Vec<HeaderValue>>>, to: Option<String>) -> Builder {
    let seen = Arc::clone(seen);
    Server::builder().handler(move |request: Request<Incoming>| {
        seen.lock()
            .unwrap()
            .extend(request.headers().get(PROXY_AUTHORIZATION).cloned());
        let mut reply = handlers::full("the end");
        if let Some(to) = &to {
            *reply.status_mut() = StatusCode::TEMPORARY_REDIRECT;
            reply.headers_mut().insert(LOCATION, to.parse().unwrap());
        }
        std::future::ready(reply)
    })
}

#[tokio::test]
async fn a_redirect_takes_a_proxy_s_login_to_no_other_proxy_and_to_no_server() {
    let (ca, seen) = (Ca::new(), Arc::default());
    let trust = Trust::of([&ca]);
    let plain = Proxy::builder().login("one", "first").start().await;
    let secure = Proxy::builder().login("two", "second").start().await;
    let last = hop(&seen, None).start().await;
    let tls = ServerTls::new(ca.issue(["service.test"])).build();
    let second = hop(&seen, Some(last.url("/"))).tls(tls).start().await;
    let first = hop(&seen, Some(second.url_for("service.test", "/"))).start().await;
    let toml = format!(
        "[default]\ntls.ca_file = {}\nredirect.downgrade = true\n[default.proxy]\nhttp = '{}'\nhttps = '{}'\n\
         no_proxy = ['127.0.0.1']",
        quoted(trust.path()),
        plain.url_as("http", "one:first@"),
        secure.url_as("http", "two:second@"),
    );
    let registry = registry_in(&toml, &Environment::empty(), &ScriptedResolver::new());
    let client = registry.client("default").unwrap();
    for _ in 0..2 {
        assert_eq!(get(&client, first.url_for("a.test", "/")).await.unwrap(), "the end");
    }
    assert_eq!((first.requests(), second.requests(), last.requests()), (2, 2, 2));
    let logins = |proxy: &Proxy| -> Vec<Option<String>> {
        let asked = proxy.asked().into_iter();
        asked
            .map(|asked| asked.header("proxy-authorization").map(str::to_owned))
            .collect()
    };
    // `one:first` with each request, `two:second` with the tunnel.
    assert_eq!(logins(&plain), vec![Some("Basic b25lOmZpcnN0".to_owned()); 2]);
    assert_eq!(logins(&secure), [Some("Basic dHdvOnNlY29uZA==".to_owned())]);
    assert_eq!(*seen.lock().unwrap(), Vec::<HeaderValue>::new());
}
