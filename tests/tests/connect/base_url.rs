//! `base_url`: relative URLs have a prefix, and never leave it.

use http::HeaderMap;
use httputil::{Client, Config, Kind};
use httputil_tests::server::Server;
use httputil_tests::server::handlers::{self, Echoed};
use httputil_tests::{PATIENCE, within};

use crate::scene::{assert_says, client, config};
use crate::tower_door;

async fn echo() -> Server {
    Server::builder().handler(handlers::echo).start().await
}

fn behind(base_url: impl Into<String>) -> Client {
    client(|profile| profile.policy.base_url = vec![base_url.into()])
}

async fn target(client: &Client, url: &str) -> String {
    let response = within(PATIENCE, client.get(url).send()).await.unwrap();
    let echoed: Echoed = within(PATIENCE, response.json()).await.unwrap();
    echoed.target
}

#[tokio::test]
async fn a_relative_url_stands_behind_its_prefix_through_both_doors() {
    let server = echo().await;
    for base in [server.url("/v1"), server.url("/v1/")] {
        let client = behind(base);
        for (url, expected) in [
            ("/users/7", "/v1/users/7"),
            ("/users/7?a=b%20c", "/v1/users/7?a=b%20c"),
            ("/a/../b", "/v1/b"),
            ("/x:80/@y", "/v1/x:80/@y"),
            ("/x#fragment", "/v1/x"),
            ("/", "/v1/"),
        ] {
            assert_eq!(target(&client, url).await, expected, "{url}");
            let seen = tower_door::echoed(&client, url).await.expect("a URI");
            assert_eq!(seen.target, expected, "{url}");
        }
        // Only one door takes paths without a slash.
        assert_eq!(target(&client, "users/7").await, "/v1/users/7");
    }
    assert_eq!(server.accepted(), 2, "one connection for each client");
}

#[tokio::test]
async fn every_kind_of_text_and_url_can_be_asked_for() {
    let server = echo().await;
    let client = behind(server.url("/v1"));
    let text = "/x".to_owned();
    let whole: url::Url = server.url("/whole").parse().unwrap();
    for (begun, expected) in [
        (client.get("/x"), "/v1/x"),
        (client.post(&text), "/v1/x"),
        (client.put(text.clone()), "/v1/x"),
        (client.delete(&whole), "/whole"),
        (client.patch(whole.clone()), "/whole"),
        (client.head(whole.as_str()), "/whole"),
    ] {
        assert_eq!(begun.build().unwrap().url().path(), expected);
    }
}

#[tokio::test]
async fn an_absolute_url_goes_where_it_says() {
    let (server, other) = (echo().await, echo().await);
    let client = behind(server.url("/v1"));
    assert_eq!(target(&client, &other.url("/x")).await, "/x");
    assert_eq!(
        tower_door::echoed(&client, &other.url("/y")).await.unwrap().target,
        "/y"
    );
    assert_eq!((server.accepted(), other.accepted()), (0, 1));
}

#[tokio::test]
async fn no_path_leads_away_from_the_base() {
    let (server, other) = (echo().await, echo().await);
    let client = behind(server.url("/v1"));
    let elsewhere = format!("127.0.0.1:{}", other.port());
    for url in [
        format!("//{elsewhere}/x"),
        format!("///{elsewhere}/x"),
        format!("\\\\{elsewhere}/x"),
        format!("/\\{elsewhere}/x"),
        format!("/\t/{elsewhere}/x"),
        format!(" //{elsewhere}/x"),
        "/../x".to_owned(),
        "../x".to_owned(),
        "/a/../../x".to_owned(),
        "/%2e%2E/x".to_owned(),
    ] {
        let error = within(PATIENCE, client.get(&url).send())
            .await
            .map(|_| ())
            .expect_err(&url);
        let why = if url.contains(['\t', ' ']) {
            "a URL holds no"
        } else {
            "base_url"
        };
        assert_says(&error, Kind::Request, &["the request cannot be built", why]);
        assert!(!error.to_string().contains(&elsewhere), "{error}");
        if let Some(answer) = tower_door::send(&client, &url, HeaderMap::new()).await {
            let error = answer.expect_err(&url);
            assert_eq!(error.kind(), Kind::Request, "{url:?}: {error}");
        }
    }
    assert_eq!((server.accepted(), other.accepted()), (0, 0));
}

#[tokio::test]
async fn without_a_base_a_relative_url_is_an_error_that_says_what_to_do() {
    let client = client(|_| {});
    let error = within(PATIENCE, client.get("/v1/x").send())
        .await
        .map(|_| ())
        .unwrap_err();
    assert_says(&error, Kind::Request, &["relative URL without a base", "set base_url"]);
    let error = tower_door::send(&client, "/v1/x", HeaderMap::new())
        .await
        .unwrap()
        .unwrap_err();
    assert_says(&error, Kind::Request, &["not absolute"]);
}

#[test]
fn what_is_no_base_is_a_mistake_in_code_and_file_and_shows_no_password() {
    for base_url in [
        "/v1",
        "ftp://host",
        "https://user:canary@host",
        "https://host?x",
        "https://host\\x",
        "",
    ] {
        let config = config(|profile| profile.policy.base_url = vec![base_url.to_owned()]);
        let error = Client::new(config).map(|_| ()).expect_err("it is no base");
        assert!(
            error.is_config() && error.to_string().contains("default.base_url: "),
            "{error}"
        );
        let toml = format!("[default]\nbase_url = '{base_url}'");
        let loaded = Config::builder().embedded("test.toml", toml).load();
        let told = loaded.map(|_| ()).expect_err("it is no base").to_string();
        assert!(told.starts_with("test.toml:2:12: default.base_url"), "{told}");
        assert!(!format!("{error:?} {told}").contains("canary"), "{told}");
    }
    // Each of a list is looked at.
    let listed = Config::builder()
        .embedded("test.toml", "default.base_url = [\"https://a\", \"b\"]")
        .load();
    let told = listed.map(|_| ()).expect_err("the second is no base").to_string();
    assert!(told.contains("default.base_url = \"b\": expected a URL"), "{told}");
}
