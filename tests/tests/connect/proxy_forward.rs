//! Requests that a proxy passes on: in absolute-form, with credentials for the proxy alone, on connections that are kept.

use httputil::settings::{ProxyChoice, Secret};
use httputil::{Client, Environment, Kind};
use httputil_tests::ca::Ca;
use httputil_tests::proxy::Proxy;
use httputil_tests::resolver::ScriptedResolver;
use httputil_tests::script::{Script, Step, steps};
use httputil_tests::server::Server;
use httputil_tests::server::handlers::{Echoed, echo};
use httputil_tests::tls::{Alpn, ServerTls};

use crate::scene::{Trust, assert_balanced, assert_says, client_of, client_through, failure, get, registry_in};

async fn echoed(client: &Client, url: &str) -> Echoed {
    client.get(url).send().await.unwrap().json().await.unwrap()
}

#[tokio::test]
async fn the_proxy_is_sent_absolute_form_and_the_connection_is_reused() {
    let server = Server::builder().handler(echo).start().await;
    let proxy = Proxy::builder().login("user", "word").start().await;
    let client = client_through(&proxy.url_as("http", "user:word@"), |_| {});
    // What stands before an @ in the request's own URL reaches nobody but as `Authorization`.
    let url = server.url("/path?query").replace("http://", "http://me:canary@");
    for _ in 0..3 {
        let seen = echoed(&client, &url).await;
        assert_eq!(seen.target, "/path?query");
        assert_eq!(
            seen.header("proxy-authorization"),
            None,
            "the proxy's is not the server's"
        );
        assert!(seen.header("authorization").is_some());
    }
    assert_eq!(proxy.accepted(), 1, "one connection serves all");
    let line = format!("GET http://127.0.0.1:{}/path?query", server.port());
    assert_eq!(proxy.wanted(), [&*line, &line, &line]);
    for asked in proxy.asked() {
        assert_eq!(
            asked.header("proxy-authorization"),
            Some("Basic dXNlcjp3b3Jk"),
            "on each request"
        );
        assert_eq!(asked.header("host"), Some(&*format!("127.0.0.1:{}", server.port())));
    }
    assert_balanced(&client.stats());
}

#[tokio::test]
async fn credentials_come_from_the_keys_where_the_url_has_none() {
    let server = Server::builder().handler(echo).start().await;
    let proxy = Proxy::builder().login("user", "word").start().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "word\n").unwrap();
    let file = file.path().display();
    let url = format!("url = '{}'", proxy.url());
    let with_user = format!("url = '{}'", proxy.url_as("http", "user:word@"));
    for keys in [
        format!("{url}\nusername = \"user\"\npassword = \"word\""),
        format!("{url}\nusername = {{ env = \"PROXY_USER\" }}\npassword = {{ env = \"PROXY_WORD\" }}"),
        format!("{url}\nusername = \"user\"\npassword = {{ file = '{file}' }}"),
        format!("{with_user}\nusername = \"somebody\"\npassword = \"else\""),
    ] {
        let environment = Environment::empty()
            .with("PROXY_USER", "user")
            .with("PROXY_WORD", "word");
        let toml = format!("[default.proxy]\n{keys}");
        let registry = registry_in(&toml, &environment, &ScriptedResolver::new());
        let client = registry.client("default").unwrap();
        assert_eq!(
            echoed(&client, &server.url("/")).await.header("proxy-authorization"),
            None
        );
        let shown = format!("{client:?} {:?}", registry.config().profile("default").unwrap());
        assert!(!shown.contains("word\""), "{shown}");
        let explained = registry.config().explain("default").unwrap().to_string();
        assert!(
            !explained.contains("word@") && !explained.contains("\"word\""),
            "{explained}"
        );
    }
}

#[tokio::test]
async fn the_caller_s_own_login_reaches_a_forwarding_proxy_and_no_server() {
    let ca = Ca::new();
    let trust = Trust::of([&ca]);
    let plain = Server::builder().handler(echo).start().await;
    let tls = ServerTls::new(ca.issue(["service.test"])).alpn(Alpn::Both).build();
    let behind = Server::builder().tls(tls).handler(echo).start().await;
    let proxy = Proxy::builder().login("user", "word").start().await;
    let ask = async |client: &Client, url: String, login: &str| -> Echoed {
        let request = client.get(url).header("proxy-authorization", login);
        request.send().await.unwrap().json().await.unwrap()
    };
    // Forwarded: it is the proxy's, and stands before what the profile says.
    let forwarding = client_through(&proxy.url(), |_| {});
    let seen = ask(&forwarding, plain.url("/"), "Basic dXNlcjp3b3Jk").await;
    assert_eq!(seen.header("proxy-authorization"), None);
    // Through a tunnel, and direct.
    let tunnelling = client_of(&trust, |profile| {
        profile.transport.proxy.url = Some(ProxyChoice::Through(proxy.url_as("http", "user:word@").as_str().into()));
    });
    let seen = ask(&tunnelling, behind.url_for("service.test", "/"), "Basic Y2FuYXJ5").await;
    assert_eq!(seen.header("proxy-authorization"), None, "behind the tunnel");
    let direct = crate::scene::client(|_| {});
    let seen = ask(&direct, plain.url("/"), "Basic Y2FuYXJ5").await;
    assert_eq!(seen.header("proxy-authorization"), None, "direct");
    for asked in proxy.asked() {
        assert_eq!(asked.header("proxy-authorization"), Some("Basic dXNlcjp3b3Jk"));
    }
}

#[tokio::test]
async fn a_proxy_that_accepts_and_closes_is_blamed_itself() {
    for reset in [false, true] {
        let proxy = Script::start([if reset {
            steps::reset_on_request()
        } else {
            vec![Step::ReadHead, Step::Close]
        }])
        .await;
        let client = client_through(&proxy.url(""), |_| {});
        let error = failure(&client, "http://service.test/").await;
        let said = format!("the proxy {}", proxy.url(""));
        assert_says(&error, Kind::Proxy, &[said.trim_end_matches('/'), "before"]);
        assert!(!error.to_string().contains("the server closed"), "{error}");
        assert_balanced(&client.stats());
    }
}

#[tokio::test]
async fn a_407_of_the_proxy_is_an_error_and_one_of_a_server_is_an_answer() {
    let server = Server::builder().start().await;
    let proxy = Proxy::builder().login("user", "word").start().await;
    let client = client_through(&proxy.url(), |_| {});
    let error = failure(&client, server.url("/")).await;
    assert_says(
        &error,
        Kind::Proxy,
        &["407", "set proxy.username and proxy.password", &proxy.url()],
    );
    assert_eq!(server.accepted(), 0);

    let answering = Server::builder()
        .handler(httputil_tests::server::handlers::always(
            http::StatusCode::PROXY_AUTHENTICATION_REQUIRED,
        ))
        .start()
        .await;
    let direct = crate::scene::client(|_| {});
    assert_eq!(direct.get(answering.url("/")).send().await.unwrap().status(), 407);
}

#[tokio::test]
async fn profiles_with_different_proxies_or_users_share_no_connection() {
    let server = Server::builder().start().await;
    let (first, second) = (Proxy::builder().start().await, Proxy::builder().start().await);
    let clients = [
        client_through(&first.url(), |_| {}),
        client_through(&second.url(), |_| {}),
        client_through(&first.url_as("http", "me:word@"), |_| {}),
        client_through(&first.url(), |profile| {
            profile.transport.proxy.username = Some(Secret::from("me"));
        }),
        crate::scene::client(|_| {}),
    ];
    for client in &clients {
        for _ in 0..2 {
            get(client, server.url("/")).await.unwrap();
        }
        assert_balanced(&client.stats());
    }
    assert_eq!((first.accepted(), second.accepted()), (3, 1));
    let users: Vec<_> = first
        .asked()
        .iter()
        .map(|asked| asked.header("proxy-authorization").is_some())
        .collect();
    assert_eq!(
        users,
        [false, false, true, true, true, true],
        "each user on connections of its own"
    );
}

#[tokio::test]
async fn two_hosts_behind_one_proxy_are_told_apart() {
    let (one, other) = (
        Server::builder().start().await,
        Server::builder().handler(echo).start().await,
    );
    let proxy = Proxy::builder().start().await;
    let client = client_through(&proxy.url(), |_| {});
    assert_eq!(get(&client, one.url_for("one.test", "/")).await.unwrap(), "hello");
    let seen = echoed(&client, &other.url_for("other.test", "/")).await;
    assert_eq!(seen.header("host"), Some(&*format!("other.test:{}", other.port())));
    let hosts: Vec<String> = client.host_stats().into_iter().map(|host| host.host).collect();
    let expected = [one.url_for("one.test", ""), other.url_for("other.test", "")];
    assert_eq!(hosts, expected);
}
