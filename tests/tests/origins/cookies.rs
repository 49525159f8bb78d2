//! Cookies that answers set: where they go with later requests, and where they never do.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::Method;
use http::header::{LOCATION, SET_COOKIE};
use httputil::{
    Attempt, AttemptLayer, BoxError, Client, ClientConfig, Config, Kind, LayerFuture, PooledClient, Registry,
};
use httputil_tests::ca::Ca;
use httputil_tests::server::Server;
use httputil_tests::tls::{Alpn, ServerTls};

use crate::common::{Door, Place, assert_at_rest, headers};

const APP: &str = "app.example.com";
const WWW: &str = "www.example.com";
const OTHER: &str = "other.example.net";

/// Keeps cookies, and finds these hosts here.
fn config() -> ClientConfig {
    let here = [SocketAddr::from(([127, 0, 0, 1], 0))];
    let hosts = [APP, WWW, OTHER, "a.co.uk", "b.co.uk"];
    let config = ClientConfig::default().cookies(true);
    hosts
        .into_iter()
        .fold(config, |config, host| config.dns_override(host, here))
}

/// Asks, and says which cookies came along.
async fn told(door: Door, client: &Client, url: &str) -> Option<String> {
    let landed = door.get(client, url).await.unwrap();
    landed.echoed().header("cookie").map(str::to_owned)
}

#[tokio::test]
async fn what_an_answer_sets_goes_with_later_requests_to_its_host_and_path() {
    for is_h2 in [false, true] {
        let builder = if is_h2 {
            Server::builder().h2()
        } else {
            Server::builder()
        };
        let place = Place::start_as(builder).await;
        place.sets("/own", "own=1; HttpOnly");
        place.sets("/wide", "wide=2; Domain=example.com; Path=/in");
        place.sets("/out", "own=; Max-Age=0");
        for door in Door::BOTH {
            let client = Client::new(config().http2_prior_knowledge(is_h2)).unwrap();
            let told = async |host, path| {
                told(door, &client, &place.url_for(host, path))
                    .await
                    .unwrap_or_default()
            };
            assert_eq!(told(APP, "/in/x").await, "");
            told(APP, "/own").await;
            told(APP, "/wide").await;
            assert_eq!(told(APP, "/x").await, "own=1");
            assert_eq!(told(APP, "/in/x").await, "wide=2; own=1");
            assert_eq!(told(WWW, "/in/x").await, "wide=2");
            assert_eq!(told(WWW, "/x").await, "");
            assert_eq!(told(OTHER, "/in/x").await, "");
            told(APP, "/out").await;
            assert_eq!(told(APP, "/in/x").await, "wide=2");
            assert_at_rest(&client).await;
        }
    }
}

#[tokio::test]
async fn no_answer_sets_a_cookie_for_a_public_suffix_or_for_somebody_else() {
    let place = Place::start().await;
    let client = Client::new(config()).unwrap();
    let told = async |host, path| told(Door::Builder, &client, &place.url_for(host, path)).await;
    for (domain, victim) in [
        ("co.uk", "b.co.uk"),
        ("b.co.uk", "b.co.uk"),
        ("uk", "b.co.uk"),
        ("co.uk.", "b.co.uk"),
    ] {
        place.sets("/set", &format!("canary=1; Domain={domain}; Path=/"));
        told("a.co.uk", "/set").await;
        assert_eq!(told(victim, "/").await, None, "{domain}");
        assert_eq!(told("a.co.uk", "/").await, None, "{domain}");
    }
    assert_at_rest(&client).await;
}

#[tokio::test]
async fn a_redirect_takes_cookies_along_within_its_origin_and_none_to_another_or_back() {
    let (first, second) = (Place::start().await, Place::start().await);
    let set = |value: &str| (SET_COOKIE, value.to_owned());
    first.answers_with("/login", 303, [(LOCATION, "/home".to_owned()), set("session=canary")]);
    // Cookies know no ports: nothing but the rule of origins keeps them from the other place.
    first.answers_with("/away", 307, [(LOCATION, second.url("/there")), set("late=canary")]);
    second.answers_with("/there", 307, [(LOCATION, second.url("/around")), set("theirs=1")]);
    second.sends("/around", 307, first.url("/back"));
    // As a login by way of somebody else does.
    first.sets("/back", "home=canary");
    for door in Door::BOTH {
        let client = Client::new(config()).unwrap();
        let login = first.url("/login");
        let landed = door.send(&client, Method::POST, &login, headers([]), "a body");
        assert_eq!(landed.await.unwrap().echoed().header("cookie"), Some("session=canary"));
        let (before, there_before) = (first.seen().len(), second.seen().len());
        assert_eq!(told(door, &client, &first.url("/away")).await, None, "there and back");
        assert_eq!(first.seen()[before].header("cookie"), Some("session=canary"));
        let there = &second.seen()[there_before..];
        assert_eq!(there.len(), 2);
        assert!(there.iter().all(|seen| seen.header("cookie").is_none()), "{there:?}");
        // A request of its own has them.
        let back = told(door, &client, &first.url("/back")).await.unwrap();
        assert!(
            ["session=canary", "late=canary", "home=canary"]
                .iter()
                .all(|cookie| back.contains(cookie)),
            "{back}"
        );
        assert_at_rest(&client).await;
    }
}

#[tokio::test]
async fn a_request_s_own_cookie_is_all_that_goes_and_stays_at_its_origin() {
    let (first, second) = (Place::start().await, Place::start().await);
    first.sets("/set", "jar=1");
    first.sends("/within", 302, "/here");
    first.sends("/away", 302, second.url("/there"));
    let client = Client::new(config()).unwrap();
    for door in Door::BOTH {
        told(door, &client, &first.url("/set")).await;
        let mine = async |url: &str| {
            let own = headers([("cookie", "mine=canary")]);
            let landed = door.send(&client, Method::GET, url, own, "").await.unwrap();
            landed.echoed().header("cookie").map(str::to_owned)
        };
        assert_eq!(mine(&first.url("/x")).await.as_deref(), Some("mine=canary"));
        assert_eq!(mine(&first.url("/within")).await.as_deref(), Some("mine=canary"));
        assert_eq!(mine(&first.url("/away")).await, None);
        assert_eq!(told(door, &client, &first.url("/x")).await.as_deref(), Some("jar=1"));
    }
    assert_at_rest(&client).await;
}

#[tokio::test]
async fn with_origins_of_its_own_a_profile_keeps_and_sends_theirs_only() {
    let (own, other) = (Place::start().await, Place::start().await);
    for place in [&own, &other] {
        place.sets("/set", "k=v");
    }
    let base = config().base_url(own.url("/"));
    let origins = config().auth_origins([own.url("")]);
    for config in [base, origins] {
        for door in Door::BOTH {
            let client = Client::new(config.clone()).unwrap();
            told(door, &client, &other.url("/set")).await;
            assert_eq!(told(door, &client, &own.url("/x")).await, None);
            told(door, &client, &own.url("/set")).await;
            assert_eq!(told(door, &client, &own.url("/x")).await.as_deref(), Some("k=v"));
            assert_eq!(told(door, &client, &other.url("/x")).await, None);
        }
    }
}

#[tokio::test]
async fn a_secure_cookie_comes_from_https_and_goes_to_https() {
    let (ca, file) = (Ca::new(), tempfile::NamedTempFile::new().unwrap());
    std::fs::write(file.path(), ca.pem()).unwrap();
    let tls = ServerTls::new(ca.issue([APP])).alpn(Alpn::Both).build();
    let (safe, open) = (Place::start_as(Server::builder().tls(tls)).await, Place::start().await);
    safe.sets("/set", "safe=canary; Secure; Path=/");
    open.sets("/set", "open=1; Secure; Path=/");
    open.sets("/over", "safe=evil; Path=/");
    let mut config = config();
    config.profile_mut().transport.tls.ca_file = Some(file.path().to_owned());
    for door in Door::BOTH {
        let client = Client::new(config.clone()).unwrap();
        let told = async |place: &Place, path| told(door, &client, &place.url_for(APP, path)).await;
        told(&safe, "/set").await;
        told(&open, "/set").await;
        told(&open, "/over").await;
        assert_eq!(told(&safe, "/x").await.as_deref(), Some("safe=canary"));
        assert_eq!(told(&open, "/x").await, None);
        assert_at_rest(&client).await;
    }
}

#[tokio::test]
async fn a_failed_attempt_s_cookie_goes_with_the_next_one() {
    let place = Place::start().await;
    place.answers_with("/x", 425, [(SET_COOKIE, "retry=1".to_owned())]);
    let client = Client::new(config().retry_backoff(Duration::from_millis(1), Duration::from_millis(1))).unwrap();
    assert_eq!(
        Door::Builder
            .get(&client, "http://nowhere.invalid/")
            .await
            .unwrap_err()
            .kind(),
        Kind::Dns
    );
    Door::Builder.get(&client, &place.url("/x")).await.unwrap();
    let told: Vec<_> = place
        .seen()
        .iter()
        .map(|seen| seen.header("cookie").map(str::to_owned))
        .collect();
    let retry = || Some("retry=1".to_owned());
    assert_eq!(told, [None, retry(), retry()]);
    assert_at_rest(&client).await;
}

/// Remembers which cookies it was shown.
#[derive(Clone, Default)]
struct Witness(Arc<Mutex<Vec<String>>>);

impl AttemptLayer for Witness {
    fn sign<'a>(&'a self, attempt: &'a mut Attempt<'_>) -> LayerFuture<'a, Result<(), BoxError>> {
        Box::pin(async move {
            let shown = attempt
                .headers()
                .get("cookie")
                .map_or("", |cookie| cookie.to_str().unwrap());
            self.0.lock().unwrap().push(shown.to_owned());
            // What a layer takes out stays out.
            if shown == "k=drop" {
                attempt.headers_mut().remove("cookie");
            }
            Ok(())
        })
    }
}

#[tokio::test]
async fn a_layer_signs_with_the_cookies_that_go() {
    let place = Place::start().await;
    place.sets("/set", "k=v");
    place.sets("/drop", "k=drop");
    let witness = Witness::default();
    let client = Client::new(config()).unwrap().with_attempt_layer(witness.clone());
    for (path, goes) in [("/set", None), ("/drop", Some("k=v")), ("/x", None)] {
        assert_eq!(
            told(Door::Builder, &client, &place.url(path)).await.as_deref(),
            goes,
            "{path}"
        );
    }
    assert_eq!(*witness.0.lock().unwrap(), ["", "k=v", "k=drop"]);
}

#[derive(PooledClient)]
#[pooled_client(profile = "one", isolated, unchecked)]
struct Isolated {
    client: Client,
}

fn loaded(lines: &str) -> Config {
    let text = format!("[default]\ncookies = true\n[one]\n{lines}\n[two]\npool.name = \"one\"");
    Config::builder().embedded("test.toml", text).load().unwrap()
}

#[tokio::test]
async fn a_profile_s_clients_share_a_jar_that_outlives_reloads_and_nobody_else_has() {
    let place = Place::start().await;
    place.sets("/set", "k=v");
    let build = |lines| Registry::builder().config(loaded(lines)).build().unwrap();
    let (registry, elsewhere) = (build(""), build(""));
    let told = async |client: &Client, path| told(Door::Builder, client, &place.url(path)).await;
    let one = registry.client("one").unwrap();
    let service = Isolated::with_registry(&registry).unwrap();
    told(&one, "/set").await;
    let theirs = [
        registry.client("two").unwrap(),
        elsewhere.client("one").unwrap(),
        service.client.clone(),
    ];
    for other in &theirs {
        assert_eq!(told(other, "/x").await, None, "{other:?}");
    }
    let again = registry.client("one").unwrap();
    assert_eq!(told(&again, "/x").await.as_deref(), Some("k=v"));
    told(&service.client, "/set").await;
    registry
        .reload(loaded("timeout = \"20s\"\nhedge.after = \"10s\""))
        .unwrap();
    for client in [&one, &again, &service.client] {
        assert_eq!(told(client, "/x").await.as_deref(), Some("k=v"), "{client:?}");
    }
    // Switched off, the jar is forgotten.
    registry.reload(loaded("cookies = false")).unwrap();
    assert_eq!(told(&one, "/set").await, None);
    registry.reload(loaded("")).unwrap();
    for client in [&one, &again, &service.client] {
        assert_eq!(told(client, "/x").await, None, "{client:?}");
    }
    told(&one, "/set").await;
    assert_eq!(told(&service.client, "/x").await, None);
    assert_eq!(told(&again, "/x").await.as_deref(), Some("k=v"));
}

#[tokio::test]
async fn what_answers_have_set_can_be_forgotten_for_all_who_share_it() {
    let place = Place::start().await;
    place.sets("/set", "k=v");
    let registry = Registry::builder().config(loaded("")).build().unwrap();
    let told = async |client: &Client, path| told(Door::Builder, client, &place.url(path)).await;
    let [one, again] = [(); 2].map(|()| registry.client("one").unwrap());
    let two = registry.client("two").unwrap();
    for client in [&one, &two] {
        told(client, "/set").await;
    }
    again.clear_cookies();
    for client in [&one, &again] {
        assert_eq!(told(client, "/x").await, None);
    }
    assert_eq!(told(&two, "/x").await.as_deref(), Some("k=v"));
    told(&again, "/set").await;
    assert_eq!(told(&one, "/x").await.as_deref(), Some("k=v"));
}

#[tokio::test]
async fn cookies_are_shown_by_nothing_and_the_key_says_whether_they_are_kept() {
    let place = Place::start().await;
    place.sets("/set", "k=canary");
    let registry = Registry::builder().config(loaded("")).build().unwrap();
    let client = registry.client("one").unwrap();
    told(Door::Builder, &client, &place.url("/set")).await;
    place.sends("/loop", 302, "/loop");
    let error = Door::Builder.get(&client, &place.url("/loop")).await.unwrap_err();
    let shown = format!(
        "{error} {error:?} {client:?} {registry:?} {:?} {:?}",
        client.stats(),
        registry.config()
    );
    assert!(!shown.contains("canary"), "{shown}");
    let load = |text: &str| Config::builder().embedded("test.toml", text).load();
    let error = load("[default]\ncookies = true\nheaders.cookie = \"k=canary\"")
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("default.headers.cookie: contradicts cookies = true"),
        "{error}"
    );
    assert!(!error.contains("canary"), "{error}");
    let error = load("[default]\ncookies = \"jar\"").unwrap_err().to_string();
    assert!(
        error.contains("default.cookies = \"jar\": expected true or false"),
        "{error}"
    );
}
