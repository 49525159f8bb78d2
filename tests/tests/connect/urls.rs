//! One parse decides: the host that is looked up is the host that is connected to and named in `Host`, whatever a URL
//! looks like, through both doors; or the URL is refused.

use http::HeaderMap;
use httputil::{Client, Error, Kind};
use httputil_tests::resolver::{Answer, ScriptedResolver};
use httputil_tests::server::Server;
use httputil_tests::server::handlers::{self, Echoed};
use httputil_tests::tcp::deafen;
use httputil_tests::{PATIENCE, within};

use crate::addresses::has_ipv6;
use crate::scene::{assert_says, client, client_with_names};
use crate::tower_door;

/// What comes of a URL: the name that is looked up, `Host` without its port, the target, and `Authorization`.
type Seen<'a> = (Option<&'a str>, &'a str, &'a str, Option<&'a str>);

/// `user:pass`.
const BASIC: Option<&str> = Some("Basic dXNlcjpwYXNz");

/// The port is the server's, `PORT`. The second part says whether `http` takes the text, too.
const CASES: [(&str, bool, Seen<'static>); 20] = [
    (
        "http://plain.test:PORT/p",
        true,
        (Some("plain.test"), "plain.test", "/p", None),
    ),
    (
        "HTTP://PLAIN.Test:PORT/P",
        true,
        (Some("plain.test"), "plain.test", "/P", None),
    ),
    (
        "http://plain.test.:PORT/",
        true,
        (Some("plain.test."), "plain.test.", "/", None),
    ),
    (
        "http://b\u{fc}cher.test:PORT/",
        false,
        (Some("xn--bcher-kva.test"), "xn--bcher-kva.test", "/", None),
    ),
    (
        "http://xn--bcher-kva.test:PORT/",
        true,
        (Some("xn--bcher-kva.test"), "xn--bcher-kva.test", "/", None),
    ),
    (
        "http://\u{ff50}lain.test:PORT/",
        false,
        (Some("plain.test"), "plain.test", "/", None),
    ),
    (
        "http://plain%2Etest:PORT/",
        false,
        (Some("plain.test"), "plain.test", "/", None),
    ),
    (
        "http://user:pass@plain.test:PORT/",
        true,
        (Some("plain.test"), "plain.test", "/", BASIC),
    ),
    (
        "http://us%65r:p%61ss@plain.test:PORT/",
        true,
        (Some("plain.test"), "plain.test", "/", BASIC),
    ),
    (
        "http://a.test@plain.test:PORT/",
        true,
        (Some("plain.test"), "plain.test", "/", Some("Basic YS50ZXN0Og==")),
    ),
    (
        "http://plain.test:PORT/p?q#fragment",
        true,
        (Some("plain.test"), "plain.test", "/p?q", None),
    ),
    (
        "http://plain.test:PORT#fragment",
        true,
        (Some("plain.test"), "plain.test", "/", None),
    ),
    (
        "http://plain.test:PORT?q",
        true,
        (Some("plain.test"), "plain.test", "/?q", None),
    ),
    (
        "http:\\\\plain.test:PORT\\p",
        false,
        (Some("plain.test"), "plain.test", "/p", None),
    ),
    (
        "http://plain.test:PORT/a/%2e%2e/b",
        false,
        (Some("plain.test"), "plain.test", "/b", None),
    ),
    ("http://127.0.0.1:PORT/", true, (None, "127.0.0.1", "/", None)),
    ("http://127.1:PORT/", true, (None, "127.0.0.1", "/", None)),
    ("http://0x7f.0.0.1:PORT/", true, (None, "127.0.0.1", "/", None)),
    ("http://2130706433:PORT/", true, (None, "127.0.0.1", "/", None)),
    ("http://127.0.0.1.:PORT/", true, (None, "127.0.0.1", "/", None)),
];

async fn by_reqwest(client: &Client, url: &str) -> Result<Echoed, Error> {
    let response = within(PATIENCE, client.get(url).send()).await?;
    Ok(within(PATIENCE, response.json()).await.expect("the server echoes"))
}

async fn by_tower(client: &Client, url: &str) -> Option<Result<Echoed, Error>> {
    let answer = tower_door::send(client, url, HeaderMap::new()).await?;
    Some(answer.map(|bytes| serde_json::from_slice(&bytes).unwrap_or_else(|_| panic!("{url}: {bytes:?}"))))
}

#[tokio::test]
async fn a_url_leads_to_the_same_place_through_both_doors_or_is_refused() {
    let server = Server::builder().handler(handlers::echo).start().await;
    for (url, is_uri, (name, host, target, authorization)) in CASES {
        let resolver = ScriptedResolver::new();
        for name in ["plain.test", "plain.test.", "xn--bcher-kva.test"] {
            resolver.set(name, Answer::to(["127.0.0.1:0"]));
        }
        let client = client_with_names(&resolver, "");
        let url = url.replace("PORT", &server.port().to_string());
        let host = format!("{host}:{}", server.port());
        let mut answers = vec![by_reqwest(&client, &url).await];
        if is_uri {
            answers.extend(by_tower(&client, &url).await);
            assert_eq!(answers.len(), 2, "{url:?} is a URI");
        } else if let Some(Ok(echoed)) = by_tower(&client, &url).await {
            assert_eq!(echoed.header("host"), Some(host.as_str()), "{url:?}");
        }
        for answer in answers {
            let echoed = answer.unwrap_or_else(|error| panic!("{url:?}: {error}"));
            assert_eq!(echoed.header("host"), Some(host.as_str()), "{url:?}");
            assert_eq!(echoed.target, target, "{url:?}");
            assert_eq!(echoed.header("authorization"), authorization, "{url:?}");
        }
        let asked = resolver.asked();
        assert!(
            asked.iter().all(|asked| Some(asked.as_str()) == name),
            "{url:?}: {asked:?}"
        );
        assert_eq!(asked.is_empty(), name.is_none(), "{url:?}");
        // All spellings are one host of the pool.
        assert_eq!((client.stats().dialled, client.host_stats().len()), (1, 1), "{url:?}");
    }
}

#[tokio::test]
async fn a_url_of_which_a_parser_would_take_something_out_is_refused_by_both_doors() {
    let resolver = ScriptedResolver::new();
    let client = client_with_names(&resolver, "");
    for url in [
        "http://pl\tain.te\nst/",
        "http://plain.test/\r\nx: y",
        " http://plain.test/",
    ] {
        let error = by_reqwest(&client, url).await.map(|_| ()).expect_err(url);
        assert!(error.to_string().contains("a URL holds no line breaks"), "{error}");
        let by_tower = by_tower(&client, url).await;
        assert!(by_tower.is_none_or(|answer| answer.is_err()), "{url:?}");
    }
    assert_eq!(resolver.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn ipv6_literals_are_one_host_in_every_spelling() {
    if !has_ipv6() {
        return;
    }
    let listener = std::net::TcpListener::bind("[::1]:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    deafen(&listener);
    let client = client(|_| {});
    for url in [
        format!("http://[::1]:{port}/"),
        format!("http://[0:0:0:0:0:0:0:1]:{port}/"),
        format!("http://user@[::1]:{port}/"),
    ] {
        for error in [Some(by_reqwest(&client, &url).await), by_tower(&client, &url).await] {
            let error = error.expect("it is a URI").expect_err("nobody listens");
            assert_says(&error, Kind::Connect, &[&format!("[::1]:{port}")]);
            assert!(!error.to_string().contains("user"), "{error}");
        }
    }
    assert_eq!(client.host_stats().len(), 1);
}

#[tokio::test]
async fn what_leads_nowhere_is_refused_by_both_doors_before_anything_is_looked_up() {
    let resolver = ScriptedResolver::new();
    let client = client_with_names(&resolver, "");
    for url in [
        "http://",
        "http://:80/",
        "http://user@/",
        "http://user:canary@:80/",
        "http://plain.test:0/",
        "http://plain.test:65536/",
        "http://plain.test:80x/",
        "http://a%2Fb.test/",
        "http://a%5Cb.test/",
        "http://a%00b.test/",
        "http://a b.test/",
        "http://[::1/",
        "http://[fe80::1%25eth0]/",
        "http://[fe80::1%eth0]/",
        "http://1.2.3.256/",
        "http://1.2.3.4.5/",
        "http://0x100000000/",
        "http://xn--a/",
        "http://xn--zn7c.com/",
        "http://a<b.test/",
        "ftp://plain.test/",
        "file:///etc/passwd",
        "plain.test:80/path",
        "data:text/plain,hello",
    ] {
        let error = by_reqwest(&client, url).await.map(|_| ()).expect_err(url);
        assert_eq!(error.kind(), Kind::Request, "{url}: {error}");
        assert!(!error.to_string().contains("canary"), "{error}");
        if let Some(answer) = by_tower(&client, url).await {
            let error = answer.map(|_| ()).expect_err(url);
            assert_eq!(error.kind(), Kind::Request, "{url}: {error}");
            assert!(!error.to_string().contains("canary"), "{error}");
        }
    }
    assert_eq!(resolver.asked(), Vec::<String>::new());
    assert_eq!(client.stats().dials_started, 0);
}

#[tokio::test]
async fn what_follows_a_hash_or_a_backslash_names_no_other_host() {
    let server = Server::builder().handler(handlers::echo).start().await;
    let resolver = ScriptedResolver::new().name("guarded.test", Answer::to(["127.0.0.1:0"]));
    let client = client_with_names(&resolver, "");
    for rest in ["#@other.test/", "\\@other.test/", "?@other.test/", "/@other.test/"] {
        let url = format!("http://guarded.test:{}{rest}", server.port());
        let echoed = by_reqwest(&client, &url).await.unwrap();
        assert!(
            echoed
                .header("host")
                .is_some_and(|host| host.starts_with("guarded.test:")),
            "{url}"
        );
        if let Some(answer) = by_tower(&client, &url).await {
            let host = answer.map(|echoed| echoed.header("host").map(str::to_owned));
            assert!(
                !matches!(&host, Ok(Some(host)) if !host.starts_with("guarded.test:")),
                "{url}: {host:?}"
            );
        }
    }
    assert!(
        resolver.asked().iter().all(|name| name == "guarded.test"),
        "{:?}",
        resolver.asked()
    );
}

#[tokio::test]
async fn userinfo_is_in_no_error_and_no_statistic() {
    let client = client(|_| {});
    let port = httputil_tests::tcp::ClosedPort::new();
    let url = format!("http://user:canary@127.0.0.1:{}/?token=canary#canary", port.port());
    for error in [Some(by_reqwest(&client, &url).await), by_tower(&client, &url).await] {
        let error = error.expect("it is a URI").expect_err("nobody listens");
        let told = format!("{error} {error:?} {:?}", client.host_stats());
        assert!(!told.contains("canary") && !told.contains("user:"), "{told}");
    }
}
