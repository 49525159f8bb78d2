//! Who a profile says that we are: Basic, a token, a token's file that somebody else renews.

use std::path::Path;

use http::header::AUTHORIZATION;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, StreamBody};
use httputil::{Client, ClientConfig, Kind};
use httputil_tests::server::{Server, handlers};
use httputil_tests::{PATIENCE, within};
use hyper::body::Incoming;
use tokio::task::JoinSet;
use tower::ServiceExt;

use crate::common::{Door, Pieces, Place, assert_at_rest, headers};

fn token_file(token: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), token).unwrap();
    file
}

/// As Kubernetes does it: the new file takes the old one's name.
fn renew(path: &Path, token: &str) {
    let beside = path.with_extension("new");
    std::fs::write(&beside, token).unwrap();
    std::fs::rename(beside, path).unwrap();
}

#[tokio::test]
async fn basic_and_bearer_are_said_to_the_own_origins_only_and_never_instead_of_a_request_s_own() {
    let (own, other) = (Place::start().await, Place::start().await);
    own.sends("/from", 307, other.url("/there"));
    other.sends("/there", 307, own.url("/back"));
    own.sends("/around", 307, "/here");
    let basic: fn(ClientConfig) -> ClientConfig = |config| config.basic_auth("me", "pass:word");
    let bearer: fn(ClientConfig) -> ClientConfig = |config| config.bearer_auth("canary");
    for (auth, value) in [(basic, "Basic bWU6cGFzczp3b3Jk"), (bearer, "Bearer canary")] {
        let base = Client::new(auth(ClientConfig::default().base_url(own.url("/v1")))).unwrap();
        let origins = Client::new(auth(ClientConfig::default().auth_origins([own.url("")]))).unwrap();
        for client in [base, origins] {
            for door in Door::BOTH {
                let told = async |url: &str| {
                    let landed = door.send(&client, Method::POST, url, headers([]), "a body").await;
                    landed.unwrap().echoed().header("authorization").map(str::to_owned)
                };
                assert_eq!(told(&own.url("/")).await.as_deref(), Some(value));
                assert_eq!(told(&own.url("/around")).await.as_deref(), Some(value));
                assert_eq!(told(&other.url("/")).await, None);
                assert_eq!(told(&own.url("/from")).await, None, "there and back");
                let mine = headers([("authorization", "Mine 1")]);
                let landed = door.send(&client, Method::GET, &own.url("/"), mine, "").await.unwrap();
                assert_eq!(landed.echoed().header("authorization"), Some("Mine 1"));
                let user = own.url("/").replace("//", "//you:too@");
                assert_eq!(told(&user).await.as_deref(), Some("Basic eW91OnRvbw=="));
            }
            assert_at_rest(&client).await;
        }
    }
    assert_eq!(
        other
            .seen()
            .iter()
            .filter(|seen| seen.header("authorization").is_some())
            .count(),
        0
    );
}

#[tokio::test]
async fn a_token_s_file_is_read_again_when_it_has_changed() {
    let place = Place::start().await;
    let file = token_file("one\n");
    let client = Client::new(
        ClientConfig::default()
            .base_url(place.url(""))
            .bearer_auth_file(file.path()),
    )
    .unwrap();
    let bears = async || {
        let landed = Door::Builder.get(&client, "/").await;
        landed.unwrap().echoed().header("authorization").unwrap().to_owned()
    };
    assert_eq!(bears().await, "Bearer one");
    renew(file.path(), "two\n");
    within(PATIENCE, async { while bears().await != "Bearer two" {} }).await;
    // What is no token, or is gone, does not take the old one away.
    for spoilt in ["", "\n", "canary\0"] {
        renew(file.path(), spoilt);
        place.answers("/", 401);
        let landed = Door::Builder.get(&client, "/").await.unwrap();
        assert_eq!(landed.status, 401, "there was nothing better to say");
        place.echoes("/");
        assert_eq!(bears().await, "Bearer two", "{spoilt:?}");
    }
    std::fs::remove_file(file.path()).unwrap();
    assert_eq!(bears().await, "Bearer two");
    renew(file.path(), "three");
    within(PATIENCE, async { while bears().await != "Bearer three" {} }).await;
    assert_at_rest(&client).await;
}

#[tokio::test]
async fn a_token_that_is_refused_is_read_anew_at_once_and_the_request_sent_once_more() {
    for (number, builder) in [Server::builder(), Server::builder().h2()].into_iter().enumerate() {
        let place = Place::start_as(builder).await;
        let file = token_file("old");
        let config = ClientConfig::default()
            .base_url(place.url(""))
            .bearer_auth_file(file.path())
            .http2_prior_knowledge(number == 1)
            .max_redirects(0);
        for door in Door::BOTH {
            renew(file.path(), "old");
            let client = Client::new(config.clone()).unwrap();
            renew(file.path(), "new");
            place.answers("/", 401);
            let before = place.requests();
            let landed = door
                .send(&client, Method::POST, "/", headers([("x-own", "1")]), "a body")
                .await;
            // This place never lets anybody in; but it was asked twice, with both.
            assert_eq!(landed.unwrap().status, 401);
            let seen = &place.seen()[before..];
            let told: Vec<_> = seen.iter().map(|seen| seen.header("authorization").unwrap()).collect();
            assert_eq!(told, ["Bearer old", "Bearer new"], "{door:?}");
            assert!(
                seen.iter()
                    .all(|seen| seen.body == "a body" && seen.header("x-own") == Some("1"))
            );
            // Nothing has changed: nothing is sent again.
            door.get(&client, "/").await.unwrap();
            assert_eq!(place.requests() - before, 3);
            // Nor is it the profile's word that was refused.
            let mine = headers([("authorization", "Mine 1")]);
            renew(file.path(), "newer");
            door.send(&client, Method::GET, "/", mine, "").await.unwrap();
            assert_eq!(place.requests() - before, 4);
            assert_at_rest(&client).await;
        }
        assert_eq!(place.accepted(), 2, "one for each client");
    }
}

#[tokio::test]
async fn all_who_are_refused_at_once_wait_for_one_look_at_the_new_token() {
    let server = Server::builder().handler(|request: Request<Incoming>| async move {
        match request.headers()[AUTHORIZATION].as_bytes() {
            b"Bearer new" => handlers::full("in"),
            _ => handlers::status(StatusCode::UNAUTHORIZED),
        }
    });
    let server = server.start().await;
    let file = token_file("old");
    let config = ClientConfig::default()
        .base_url(server.url(""))
        .bearer_auth_file(file.path());
    let client = Client::new(config).unwrap();
    assert_eq!(client.get("/").send().await.unwrap().status(), 401);
    // It is looked at when nobody writes to it any more, which takes a moment.
    renew(file.path(), "new");
    let mut asked = JoinSet::new();
    for _ in 0..20 {
        let request = client.get("/");
        asked.spawn(async move { request.send().await.unwrap().status().as_u16() });
    }
    let told = within(PATIENCE, asked.join_all()).await;
    assert_eq!(told, [200; 20]);
    assert_at_rest(&client).await;
}

#[tokio::test]
async fn a_stream_that_was_refused_is_not_sent_again() {
    let place = Place::start().await;
    let file = token_file("old");
    let client = Client::new(
        ClientConfig::default()
            .base_url(place.url(""))
            .bearer_auth_file(file.path()),
    )
    .unwrap();
    renew(file.path(), "new");
    place.answers("/", 401);
    let body = StreamBody::new(Pieces(vec!["a body"]));
    let request = http::Request::put("/").body(body).unwrap();
    let response = within(PATIENCE, client.clone().oneshot(request)).await.unwrap();
    assert_eq!((response.status().as_u16(), place.requests()), (401, 1));
    drop(response.into_body().collect().await);
    assert_at_rest(&client).await;
}

#[test]
fn credentials_that_cannot_be_said_are_refused_by_name_and_never_shown() {
    let spoilt = token_file("canary\n\n");
    let path = spoilt.path().display().to_string();
    let own = || ClientConfig::default().base_url("http://a.test");
    let nowhere = "a secret goes to the origin of base_url or to those of auth.origins only, and neither is set";
    let cases = [
        (
            own().bearer_auth("canary\r\nx: y"),
            "default.auth.bearer: a header can't hold this text".to_owned(),
        ),
        (
            own().basic_auth("canary:x", "y"),
            "default.auth.basic.username: a user's name can't hold a colon".to_owned(),
        ),
        (
            own().basic_auth("x", "canary\n"),
            "control characters can't stand".to_owned(),
        ),
        (
            own().bearer_auth_file(spoilt.path()),
            format!("default.auth.bearer: the file {path}: a header can't hold"),
        ),
        (
            own().bearer_auth_file("/nowhere/at/all"),
            "the file /nowhere/at/all: no such file".to_owned(),
        ),
        (
            ClientConfig::default().bearer_auth("canary"),
            format!("default.auth.bearer: {nowhere}"),
        ),
        (
            own().bearer_auth("x").auth_origins(["http://canary@a.test"]),
            "auth.origins: expected an origin".to_owned(),
        ),
        (
            own().bearer_auth("x").auth_origins(["http://a.test/v1"]),
            "auth.origins: expected an origin".to_owned(),
        ),
        (
            own().bearer_auth("x").default_header("authorization", "canary"),
            "headers.authorization: contradicts auth".to_owned(),
        ),
    ];
    for (config, words) in cases {
        assert!(!format!("{config:?}").contains("canary\""), "{config:?}");
        let error = Client::new(config).unwrap_err();
        assert_eq!(error.kind(), Kind::Config);
        assert!(error.to_string().contains(&words), "{error}");
        assert!(!format!("{error} {error:?}").contains("canary"), "{error}");
    }
}
