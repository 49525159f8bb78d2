//! A `reqwest::Client` of a profile: the same locks on that door, and what it cannot keep refused by name.

use std::error::Error as _;

use httputil::{Client, ClientConfig, Config, Error, Kind, Registry};
use httputil_tests::ca::Ca;
use httputil_tests::resolver::{Answer, ScriptedResolver};
use httputil_tests::server::Server;
use httputil_tests::tls::{Alpn, ServerTls};
use httputil_tests::{PATIENCE, within};

use crate::common::Place;

fn door(config: ClientConfig) -> reqwest::Client {
    Client::new(config).unwrap().to_reqwest().unwrap()
}

/// Ours beneath reqwest's.
fn ours(error: &reqwest::Error) -> String {
    let mut source = error.source();
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref::<Error>() {
            return format!("{:?}: {error}", error.kind());
        }
        source = error.source();
    }
    panic!("{error:?}")
}

async fn refused(client: &reqwest::Client, url: &str) -> String {
    ours(&within(PATIENCE, client.get(url).send()).await.unwrap_err())
}

#[tokio::test]
async fn where_requests_may_not_go_it_goes_nowhere() {
    let place = Place::start().await;
    let port = place.port();
    let denied = door(ClientConfig::default().deny_egress(["127.0.0.0/8", "*.internal"]));
    for host in ["127.0.0.1", "127.1", "2130706433", "[::ffff:127.0.0.1]", "0x7f.0.0.1"] {
        let words = refused(&denied, &format!("http://{host}:{port}/")).await;
        assert!(
            words.starts_with("Egress: egress.deny = \"127.0.0.0/8\" refuses "),
            "{host}: {words}"
        );
        // Nor is a tunnel asked for.
        let words = refused(&denied, &format!("https://{host}:{port}/")).await;
        assert!(words.starts_with("Egress: egress.deny"), "{host}: {words}");
    }
    let words = refused(&denied, "http://a.internal/").await;
    assert!(words.contains("egress.deny = \"*.internal\""), "{words}");
    let private = door(ClientConfig::default().deny_private_egress());
    for host in ["localhost", "127.0.0.1", "10.0.0.1", "[::1]", "169.254.169.254"] {
        let words = refused(&private, &format!("http://{host}:{port}/")).await;
        assert!(
            words.starts_with("Egress: egress.deny_private refuses "),
            "{host}: {words}"
        );
    }
    let named = door(ClientConfig::default().allow_egress(["example.test"]));
    let words = refused(&named, &place.url("/")).await;
    assert!(words.contains("egress.allow does not list"), "{words}");
    assert_eq!((place.accepted(), place.requests()), (0, 0));
}

#[tokio::test]
async fn a_name_is_judged_where_it_leads_each_time() {
    let place = Place::start().await;
    let resolver = ScriptedResolver::new()
        .name("bad.test", Answer::Addresses(vec![([127, 0, 0, 1], 0).into()]))
        .name(
            "mapped.test",
            Answer::Addresses(vec!["[::ffff:127.0.0.1]:0".parse().unwrap()]),
        );
    let config = Config::builder()
        .embedded("test.toml", "[default]\negress.deny = [\"127.0.0.0/8\"]")
        .load()
        .unwrap();
    let registry = Registry::builder()
        .config(config)
        .resolver(std::sync::Arc::new(resolver.clone()))
        .build()
        .unwrap();
    let client = registry.client("default").unwrap().to_reqwest().unwrap();
    for host in ["bad.test", "mapped.test"] {
        let words = refused(&client, &place.url_for(host, "/")).await;
        assert!(
            words.contains(&format!("refuses {host}")) && words.contains("which leads to"),
            "{words}"
        );
    }
    assert_eq!(place.accepted(), 0);
}

#[tokio::test]
async fn a_redirect_is_followed_within_its_origin_and_no_header_leaves_it() {
    let (first, second) = (Place::start().await, Place::start().await);
    first.sends("/within", 302, "/here?q");
    first.sends("/away", 302, second.url("/there"));
    first.sends("/loop", 302, "/loop");
    let config = ClientConfig::default()
        .default_header("x-team", "search")
        .user_agent("mine")
        .max_redirects(3);
    let client = door(config);
    let get = async |path: &str| {
        let request = client.get(first.url(path)).header("x-api-key", "canary");
        within(PATIENCE, request.send()).await
    };
    let echoed: httputil_tests::server::handlers::Echoed = get("/within").await.unwrap().json().await.unwrap();
    assert_eq!(
        (echoed.header("x-api-key"), echoed.header("x-team")),
        (Some("canary"), Some("search"))
    );
    assert_eq!(
        (echoed.header("user-agent"), echoed.header("referer")),
        (Some("mine"), None)
    );
    assert_eq!(get("/away").await.unwrap().status(), 302, "the answer is the caller's");
    assert!(get("/loop").await.unwrap_err().is_redirect());
    assert_eq!(second.accepted(), 0);
}

#[tokio::test]
async fn only_https_is_spoken_where_nothing_else_may_be_and_pins_hold() {
    let (ca, file) = (Ca::new(), tempfile::NamedTempFile::new().unwrap());
    std::fs::write(file.path(), ca.pem()).unwrap();
    let identity = ca.issue(["127.0.0.1"]);
    let pin = identity.pin().to_owned();
    let tls = ServerTls::new(identity).alpn(Alpn::Both).build();
    let (safe, open) = (Place::start_as(Server::builder().tls(tls)).await, Place::start().await);
    let config = |pins: Vec<String>| {
        let mut config = ClientConfig::default();
        let transport = &mut config.profile_mut().transport;
        transport.tls.ca_file = Some(file.path().to_owned());
        transport.tls.pins = pins;
        transport.egress.https_only = true;
        config
    };
    let client = door(config(vec![pin]));
    let answer = within(PATIENCE, client.get(safe.url("/")).send()).await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), answer.version()),
        (200, http::Version::HTTP_2)
    );
    within(PATIENCE, client.get(open.url("/")).send()).await.unwrap_err();
    let other = format!("sha256/{}=", "A".repeat(43));
    let error = within(PATIENCE, door(config(vec![other])).get(safe.url("/")).send())
        .await
        .unwrap_err();
    assert!(error.is_connect(), "{error:?}");
    let stranger = door(ClientConfig::default());
    within(PATIENCE, stranger.get(safe.url("/")).send()).await.unwrap_err();
    assert_eq!((safe.requests(), open.accepted()), (1, 0));
}

#[test]
fn what_it_cannot_keep_is_refused_by_name_and_never_shown() {
    let no = |config: ClientConfig| {
        let error = Client::new(config).unwrap().to_reqwest().unwrap_err();
        assert_eq!(error.kind(), Kind::Config);
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("canary"), "{shown}");
        error.to_string()
    };
    let own = || ClientConfig::default().auth_origins(["https://api.test"]);
    let cases = [
        (
            ClientConfig::default().max_response_bytes(1),
            "default.limit.max_response_bytes: a reqwest::Client cannot keep it",
        ),
        (
            ClientConfig::default().max_connections_per_host(1),
            "default.pool.max_connections_per_host",
        ),
        (
            ClientConfig::default().dns_balance(httputil::settings::DnsBalance::RoundRobin),
            "default.dns.balance",
        ),
        (
            ClientConfig::default().base_url("unix:/run/app.sock"),
            "default.base_url",
        ),
        (
            ClientConfig::default().proxy("socks5://me:canary@proxy.test"),
            "default.proxy.url",
        ),
        (own().bearer_auth("canary"), "default.auth.bearer"),
        (
            own().default_header("x-api-key", "canary"),
            "default.headers.x-api-key, a secret",
        ),
        (
            ClientConfig::default().deny_egress(["10.0.0.0/8:25"]),
            "default.egress.deny = \"10.0.0.0/8:25\", which names a port",
        ),
        (
            ClientConfig::default().dns_override("a.test", [([127, 0, 0, 1], 80).into()]),
            "default.dns.overrides.a.test, which names a port",
        ),
    ];
    for (config, words) in cases {
        let error = no(config);
        assert!(error.contains(words), "{error}");
    }
    let both = no(own().bearer_auth("canary").max_response_bytes(1));
    assert!(
        both.contains("auth.bearer") && both.contains("limit.max_response_bytes"),
        "{both}"
    );
}
