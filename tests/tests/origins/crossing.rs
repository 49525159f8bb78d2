//! What stays behind when a redirect leads to another origin, and what may not be followed there at all.

use std::time::Duration;

use http::{HeaderValue, Method};
use httputil::{Client, ClientConfig, Kind};
use httputil_tests::ca::Ca;
use httputil_tests::script::{Script, Step};
use httputil_tests::server::{Frames, Server};
use httputil_tests::tls::{Alpn, ServerTls};
use httputil_tests::{PATIENCE, within};

use crate::common::{Door, Place, assert_at_rest, headers};

/// Each of them may be a secret, or speaks of the place that was left.
const SECRETS: [&str; 7] = [
    "authorization",
    "cookie",
    "proxy-authorization",
    "x-api-key",
    "x-marked",
    "referer",
    "origin",
];

fn secrets() -> http::HeaderMap {
    let mut headers = headers([
        ("authorization", "Bearer canary"),
        ("cookie", "session=canary"),
        ("proxy-authorization", "Basic canary"),
        ("x-api-key", "canary"),
        ("referer", "http://canary/?q"),
        ("origin", "http://canary"),
        ("host", "virtual.test"),
        ("x-own", "1"),
    ]);
    let mut marked = HeaderValue::from_static("canary");
    marked.set_sensitive(true);
    headers.insert("x-marked", marked);
    headers
}

/// A CA's file, and a client that trusts it.
fn trusting(change: impl FnOnce(&mut httputil::settings::Profile)) -> (Ca, tempfile::NamedTempFile, Client) {
    let (ca, file) = (Ca::new(), tempfile::NamedTempFile::new().unwrap());
    std::fs::write(file.path(), ca.pem()).unwrap();
    let mut config = ClientConfig::default();
    let profile = config.profile_mut();
    profile.transport.tls.ca_file = Some(file.path().to_owned());
    change(profile);
    (ca, file, Client::new(config).unwrap())
}

#[tokio::test]
async fn no_secret_crosses_to_another_origin_nor_comes_back() {
    let (first, second) = (Place::start().await, Place::start().await);
    // From one port of a host to another, there around, and back.
    first.sends("/from", 307, second.url("/there"));
    second.sends("/there", 307, second.url("/around"));
    second.sends("/around", 307, first.url("/back"));
    for door in Door::BOTH {
        let client = Client::new(ClientConfig::default()).unwrap();
        let landed = door
            .send(&client, Method::POST, &first.url("/from"), secrets(), "a body")
            .await;
        let back = landed.unwrap().echoed();
        assert_eq!((back.target.as_str(), back.body.as_str()), ("/back", "a body"));
        let asked = first.seen();
        let start = &asked[asked.len() - 2];
        assert_eq!(start.header("authorization"), Some("Bearer canary"));
        assert_eq!(start.header("host"), Some("virtual.test"));
        for seen in second.seen().iter().chain([&back]) {
            for name in SECRETS {
                assert_eq!(seen.header(name), None, "{door:?}: {name} at {}", seen.target);
            }
            assert!(!format!("{seen:?}").contains("canary"), "{seen:?}");
            assert_eq!(seen.header("x-own"), Some("1"));
        }
        assert_eq!(back.header("host"), Some(&*first.addr().to_string()));
        assert_at_rest(&client).await;
    }
}

#[tokio::test]
async fn within_an_origin_all_goes_along() {
    let place = Place::start().await;
    place.sends("/from", 302, place.url("/to"));
    for door in Door::BOTH {
        let client = Client::new(ClientConfig::default()).unwrap();
        let landed = door
            .send(&client, Method::GET, &place.url("/from"), secrets(), "")
            .await;
        let seen = landed.unwrap().echoed();
        for name in SECRETS {
            // There is no proxy that would be told.
            assert_eq!(seen.header(name).is_some(), name != "proxy-authorization", "{name}");
        }
        assert_eq!(seen.header("host"), Some("virtual.test"));
    }
}

#[tokio::test]
async fn what_a_url_says_of_its_user_ends_with_its_origin() {
    let (first, second) = (Place::start().await, Place::start().await);
    first.sends("/from", 302, second.url("/to"));
    for door in Door::BOTH {
        let client = Client::new(ClientConfig::default()).unwrap();
        let url = first.url("/from").replace("//", "//me:canary@");
        let landed = door.get(&client, &url).await.unwrap();
        assert_eq!(landed.echoed().header("authorization"), None);
        assert_eq!(landed.history, [(302, first.url("/from"))], "{door:?}");
        assert!(first.seen().pop().unwrap().header("authorization").is_some());
    }
}

#[tokio::test]
async fn what_is_meant_for_one_endpoint_reaches_no_other() {
    let (first, second) = (Place::start().await, Place::start().await);
    first.answers("/ill", 503);
    let client = Client::new(ClientConfig::default().base_urls([first.url(""), second.url("")])).unwrap();
    let own = headers([("host", "virtual.test"), ("authorization", "Bearer canary")]);
    for door in Door::BOTH {
        for path in ["/well", "/ill"] {
            let user = first.url(path).replace("//", "//me:canary@");
            for _ in 0..10 {
                door.get(&client, &user).await.unwrap();
                door.send(&client, Method::GET, &first.url(path), own.clone(), "")
                    .await
                    .unwrap();
            }
        }
    }
    assert!(first.seen().iter().all(|seen| seen.header("authorization").is_some()));
    assert_eq!(second.requests(), 0);
    assert_at_rest(&client).await;
}

/// They are the profile's endpoints of one service, and a relative request is for whichever it goes to.
#[tokio::test]
async fn a_relative_request_s_own_host_and_user_are_said_at_each_endpoint_in_either_protocol() {
    for is_h2 in [false, true] {
        let builder = if is_h2 {
            Server::builder().h2()
        } else {
            Server::builder()
        };
        let places = [Place::start_as(builder.clone()).await, Place::start_as(builder).await];
        let bases = [places[0].url(""), places[1].url("")];
        let config = ClientConfig::default().base_urls(bases).http2_prior_knowledge(is_h2);
        let client = Client::new(config.bearer_auth("the-profile-s")).unwrap();
        let own = headers([("host", "virtual.test:81"), ("authorization", "Bearer mine")]);
        let until_both_were_asked = async {
            while places.iter().any(|place| place.requests() == 0) {
                for door in Door::BOTH {
                    let landed = door.send(&client, Method::GET, "/x", own.clone(), "").await;
                    assert_eq!(landed.unwrap().status, 200, "{door:?}");
                }
            }
        };
        within(PATIENCE, until_both_were_asked).await;
        for seen in places.iter().flat_map(Place::seen) {
            assert_eq!(seen.header("authorization"), Some("Bearer mine"));
            // Over HTTP/2 it is `:authority`, and nothing beside it.
            let (target, host) = if is_h2 {
                ("http://virtual.test:81/x", None)
            } else {
                ("/x", Some("virtual.test:81"))
            };
            assert_eq!((seen.target.as_str(), seen.header("host")), (target, host));
        }
        assert_at_rest(&client).await;
    }
}

#[tokio::test]
async fn an_endpoint_that_is_no_origin_of_the_profile_s_is_told_no_secret() {
    let (first, second) = (Place::start().await, Place::start().await);
    for (told, other) in [(&first, &second), (&second, &first)] {
        let config = ClientConfig::default()
            .base_urls([first.url(""), second.url("")])
            .auth_origins([told.url("")])
            .bearer_auth("canary")
            .secret_header("x-own-secret", "canary");
        let client = Client::new(config).unwrap();
        let (before, before_there) = (told.requests(), other.requests());
        for _ in 0..20 {
            for door in Door::BOTH {
                door.get(&client, "/well").await.unwrap();
            }
        }
        let bears = |seen: &httputil_tests::server::handlers::Echoed| {
            ["authorization", "x-own-secret"].map(|name| seen.header(name).is_some())
        };
        let (seen, seen_there) = (told.seen(), other.seen());
        assert!(seen[before..].iter().all(|seen| bears(seen) == [true; 2]), "{seen:?}");
        assert!(seen_there[before_there..].iter().all(|seen| bears(seen) == [false; 2]));
        assert!(seen.len() > before && seen_there.len() > before_there, "both are asked");
    }
}

/// What was to be said at one place goes out with a request that is taken back; it is not said at the next.
#[tokio::test]
async fn a_stream_that_one_endpoint_did_not_take_bears_none_of_its_secrets_to_another() {
    // It speaks no HTTP/2, so that nothing is sent before the attempt's time is over.
    let silent = Script::start([vec![Step::Stall]]).await;
    let place = Place::start_as(Server::builder().h2()).await;
    let mut config = ClientConfig::default()
        .base_urls([silent.url(""), place.url("")])
        .auth_origins([silent.url("")])
        .bearer_auth("canary")
        .secret_header("x-own-secret", "canary")
        .http2_prior_knowledge(true)
        .max_redirects(0)
        .retry_backoff(Duration::from_millis(1), Duration::from_millis(1));
    config.profile_mut().policy.attempt = Some(Duration::from_secs(1));
    let stream = || reqwest::Body::wrap(Frames::new(["one-".into(), "two".into()]));
    let own = headers([("x-own", "1")]);
    // Chance says where a client goes first.
    let until_taken_back = async {
        while silent.accepted() == 0 {
            let client = Client::new(config.clone()).unwrap();
            let sent = client.put("/x").headers(own.clone()).body(stream()).send().await;
            assert_eq!(sent.unwrap().status(), 200);
        }
    };
    within(PATIENCE, until_taken_back).await;
    for seen in place.seen() {
        assert_eq!((seen.body.as_str(), seen.header("x-own")), ("one-two", Some("1")));
        assert!(!format!("{seen:?}").contains("canary"), "{seen:?}");
    }
}

#[tokio::test]
async fn an_endpoint_s_redirect_is_followed_at_that_endpoint() {
    let (first, second) = (Place::start().await, Place::start().await);
    for place in [&first, &second] {
        place.sends("/from", 302, "/to");
    }
    let config = ClientConfig::default().base_urls([first.url(""), second.url("")]);
    let client = Client::new(config.max_redirects(1).bearer_auth("canary")).unwrap();
    for door in Door::BOTH {
        for _ in 0..10 {
            let landed = door.get(&client, "/from").await.unwrap();
            let [(302, from)] = &landed.history[..] else {
                panic!("{landed:?}")
            };
            assert_eq!(landed.url, from.replace("/from", "/to"), "{door:?}");
            assert!(landed.echoed().header("authorization").is_some());
        }
    }
    assert!(first.requests() > 0 && second.requests() > 0);
}

#[tokio::test]
async fn another_origin_may_be_forbidden() {
    let (first, second) = (Place::start().await, Place::start().await);
    first.sends("/from", 307, second.url("/to?canary#canary").replace("//", "//canary@"));
    first.sends("/around", 307, "/here");
    let mut config = ClientConfig::default();
    config.profile_mut().policy.redirect.cross_origin = false;
    let client = Client::new(config).unwrap();
    for door in Door::BOTH {
        let error = door.get(&client, &first.url("/from")).await.unwrap_err();
        let message = format!(
            "GET {}: redirected by 307 to another origin, {} (redirect.cross_origin = false) (profile default)",
            first.url("/from"),
            second.url("/to")
        );
        assert_eq!((error.kind(), error.to_string()), (Kind::Redirect, message));
        assert!(!format!("{error:?}").contains("canary"));
        assert_eq!(door.get(&client, &first.url("/around")).await.unwrap().status, 200);
    }
    assert_eq!(second.accepted(), 0);
    assert_at_rest(&client).await;
}

#[tokio::test]
async fn https_is_left_for_http_only_where_that_is_allowed_and_never_with_secrets() {
    for is_allowed in [false, true] {
        let (ca, _file, client) = trusting(|profile| profile.policy.redirect.downgrade = is_allowed);
        let tls = ServerTls::new(ca.issue(["127.0.0.1"])).alpn(Alpn::Both).build();
        let (safe, open) = (Place::start_as(Server::builder().tls(tls)).await, Place::start().await);
        safe.sends("/from", 302, open.url("/there"));
        open.sends("/there", 302, safe.url("/back"));
        for door in Door::BOTH {
            let answer = door.send(&client, Method::GET, &safe.url("/from"), secrets(), "").await;
            if !is_allowed {
                let error = answer.unwrap_err();
                assert_eq!(error.kind(), Kind::Redirect);
                let words = format!("from https to {} (redirect.downgrade = false)", open.url("/there"));
                assert!(error.to_string().contains(&words), "{error}");
                continue;
            }
            let back = answer.unwrap().echoed();
            assert!(back.target.ends_with("/back"), "{}", back.target);
            for seen in open.seen().iter().chain([&back]) {
                assert!(!format!("{seen:?}").contains("canary"), "{seen:?}");
            }
        }
        assert_eq!(open.accepted() > 0, is_allowed);
        assert_at_rest(&client).await;
    }
}

#[tokio::test]
async fn where_only_https_is_spoken_no_redirect_leaves_it() {
    // What redirects may do is another question: both guards must hold.
    let (ca, _file, client) = trusting(|profile| {
        profile.policy.redirect.downgrade = true;
        profile.transport.egress.https_only = true;
    });
    let tls = ServerTls::new(ca.issue(["127.0.0.1"])).alpn(Alpn::Both).build();
    let (safe, open) = (Place::start_as(Server::builder().tls(tls)).await, Place::start().await);
    for status in [301, 307] {
        safe.sends("/from", status, open.url("/there"));
        for door in Door::BOTH {
            let error = door.get(&client, &safe.url("/from")).await.unwrap_err();
            assert_eq!(error.kind(), Kind::Egress, "{error}");
            assert!(error.to_string().contains("egress.https_only"), "{error}");
            assert_eq!(error.url().map(ToString::to_string), Some(open.url("/there")));
        }
    }
    safe.sends("/from", 302, safe.url("/there"));
    assert_eq!(
        Door::BOTH[0].get(&client, &safe.url("/from")).await.unwrap().status,
        200
    );
    assert_eq!(open.accepted(), 0);
    assert_at_rest(&client).await;
}

#[tokio::test]
async fn a_redirect_passes_the_same_guards_as_a_request() {
    let (own, other) = (Place::start().await, Place::start().await);
    own.sends("/from", 307, other.url("/to"));
    let denied = ClientConfig::default().deny_egress([other.addr().to_string()]);
    let only_own = ClientConfig::default().allow_egress([own.addr().to_string()]);
    for config in [denied, only_own] {
        let client = Client::new(config).unwrap();
        for door in Door::BOTH {
            let error = door.get(&client, &own.url("/from")).await.unwrap_err();
            assert_eq!(error.kind(), Kind::Egress, "{error}");
            assert_eq!(error.url().map(ToString::to_string), Some(other.url("/to")));
        }
        assert_at_rest(&client).await;
    }
    assert_eq!(other.accepted(), 0);
}
