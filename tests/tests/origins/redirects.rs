//! Redirects: where they lead, with which method and body, how many, and over which connection.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt, Empty, StreamBody};
use httputil::{Client, ClientConfig, Kind, Phase, Redirects, RequestOptions, Timings};
use httputil_tests::gate::Gate;
use httputil_tests::script::{Script, Step, answers, steps};
use httputil_tests::server::{Server, handlers};
use httputil_tests::tcp::ClosedPort;
use httputil_tests::{PATIENCE, within};
use tower::ServiceExt;

use crate::common::{Door, Pieces, Place, assert_at_rest, headers};

fn client() -> Client {
    Client::new(ClientConfig::default()).unwrap()
}

#[tokio::test]
async fn each_status_says_what_becomes_of_method_and_body() {
    let place = Place::start().await;
    let cases = [
        (301, Method::POST, "GET", ""),
        (302, Method::POST, "GET", ""),
        (303, Method::POST, "GET", ""),
        (303, Method::PUT, "GET", ""),
        (301, Method::PUT, "PUT", "a body"),
        (302, Method::PATCH, "PATCH", "a body"),
        (307, Method::POST, "POST", "a body"),
        (308, Method::POST, "POST", "a body"),
        (308, Method::DELETE, "DELETE", "a body"),
        (302, Method::GET, "GET", "a body"),
    ];
    for door in Door::BOTH {
        let client = client();
        for (status, method, to, body) in cases.clone() {
            place.sends("/from", status, "/to");
            let own = headers([("content-type", "a/b"), ("content-language", "en"), ("x-own", "1")]);
            let landed = door
                .send(&client, method.clone(), &place.url("/from"), own, "a body")
                .await;
            let landed = landed.unwrap();
            let (what, seen) = (format!("{door:?} {status} {method}"), landed.echoed());
            assert_eq!((seen.method.as_str(), seen.body.as_str()), (to, body), "{what}");
            assert_eq!(seen.header("x-own"), Some("1"), "{what}");
            let described = (!body.is_empty()).then_some("a/b");
            assert_eq!(seen.header("content-type"), described, "{what}");
            assert_eq!(seen.header("content-language").is_some(), described.is_some(), "{what}");
            let length = seen.header("content-length").map(str::to_owned);
            assert_eq!(length, described.map(|_| "6".to_owned()), "{what}");
            assert_eq!((landed.status, landed.url), (200, place.url("/to")), "{what}");
            assert_eq!(landed.history, [(status, place.url("/from"))], "{what}");
        }
        assert_at_rest(&client).await;
    }
}

#[tokio::test]
async fn what_sends_nowhere_is_the_callers() {
    let place = Place::start().await;
    for status in [300, 304, 305, 306, 302] {
        match status {
            302 => place.answers("/from", 302),
            _ => place.sends("/from", status, "/to"),
        }
        for door in Door::BOTH {
            let landed = door.get(&client(), &place.url("/from")).await.unwrap();
            assert_eq!((landed.status, landed.history.len()), (status, 0), "{door:?} {status}");
        }
    }
    place.sends("/from", 302, "/to");
    for door in Door::BOTH {
        let off = Client::new(ClientConfig::default().max_redirects(0)).unwrap();
        let landed = door.get(&off, &place.url("/from")).await.unwrap();
        assert_eq!((landed.status, landed.url), (302, place.url("/from")));
        assert_eq!(&landed.body[..], b"not here");
        assert_eq!(off.stats().redirects, 0);
    }
}

#[tokio::test]
async fn a_location_is_read_against_the_url_that_answered_and_loses_its_user() {
    let (first, second) = (Place::start().await, Place::start().await);
    let cases = [
        ("next?b".to_owned(), first.url("/x/next?b#top")),
        ("/abs".to_owned(), first.url("/abs#top")),
        (second.url("/other").replace("http:", ""), second.url("/other#top")),
        (second.url("/z#own").replace("//", "//me:canary@"), second.url("/z#own")),
    ];
    for (location, lands) in cases {
        first.sends("/x/from", 302, &location);
        // `http` knows no fragment.
        let landed = Door::Tower.get(&client(), &first.url("/x/from?a")).await.unwrap();
        assert_eq!(landed.url, lands.replace("#top", ""), "{location}");
        let landed = Door::Builder.get(&client(), &first.url("/x/from?a#top")).await.unwrap();
        assert_eq!(landed.url, lands, "{location}");
        assert_eq!(landed.echoed().header("authorization"), None);
        assert_eq!(landed.history, [(302, first.url("/x/from?a#top"))]);
    }
}

#[tokio::test]
async fn ten_redirects_are_followed_and_an_eleventh_is_an_error() {
    let place = Place::start().await;
    for hop in 0..20 {
        place.sends(&format!("/{hop}"), 302, format!("/{}", hop + 1));
    }
    place.echoes("/10");
    for door in Door::BOTH {
        let landed = door.get(&client(), &place.url("/0")).await.unwrap();
        assert_eq!((landed.url, landed.history.len()), (place.url("/10"), 10));
        assert_eq!(landed.history[9], (302, place.url("/9")));
    }
    place.sends("/10", 302, "/11");
    for door in Door::BOTH {
        let (client, before) = (client(), place.requests());
        let error = door.get(&client, &place.url("/0?canary")).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Redirect);
        let message = format!(
            "GET {}: redirected more than 10 times (redirect.max) (profile default)",
            place.url("/10")
        );
        assert_eq!(error.to_string(), message);
        assert_eq!((place.requests() - before, client.stats().redirects), (11, 10));
        assert_at_rest(&client).await;
    }
    // Around in a circle.
    place.sends("/0", 307, "/0");
    let error = Door::Builder.get(&client(), &place.url("/0")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Redirect);
}

#[tokio::test]
async fn all_hops_to_a_host_are_one_connection() {
    let ways = [Server::builder(), Server::builder().h2()];
    for (number, builder) in ways.into_iter().enumerate() {
        let place = Place::start_as(builder).await;
        place.sends("/a", 307, "/b");
        place.sends("/b", 303, "/c");
        let config = ClientConfig::default().http2_prior_knowledge(number == 1);
        let client = Client::new(config).unwrap();
        for door in Door::BOTH {
            let body = "a body";
            let landed = door
                .send(&client, Method::POST, &place.url("/a"), HeaderMap::new(), body)
                .await;
            assert_eq!(landed.unwrap().echoed().method, "GET");
        }
        let methods: Vec<_> = place.seen().into_iter().map(|seen| seen.method).collect();
        assert_eq!(methods, ["POST", "POST", "GET", "POST", "POST", "GET"]);
        assert_eq!((place.accepted(), client.stats().redirects), (1, 4));
        assert_at_rest(&client).await;
    }
}

#[tokio::test]
async fn a_body_that_comes_with_a_redirect_is_waited_for_no_longer_than_it_is_worth() {
    let gate = Gate::new();
    let place = Place::start().await;
    let endless = [
        answers::head(
            "302 Found",
            &[("location", &place.url("/to")), ("content-length", "1000000")],
        )
        .as_ref(),
        b"a piece",
    ]
    .concat();
    let slow = Script::start([vec![Step::ReadRequest, Step::write(endless), Step::Hold(gate.clone())]]).await;
    for door in Door::BOTH {
        let client = client();
        let landed = door.get(&client, &slow.url("/")).await.unwrap();
        assert_eq!(landed.url, place.url("/to"));
        // The connection, which still owes the rest, is closed.
        within(PATIENCE, async {
            while client.stats().open > 1 {
                tokio::task::yield_now().await;
            }
        })
        .await;
        assert_at_rest(&client).await;
    }
    gate.open();
}

#[tokio::test]
async fn a_stream_goes_to_one_place_only() {
    let place = Place::start().await;
    let client = client();
    for (status, is_followed) in [(307, false), (308, false), (301, true), (303, true)] {
        place.sends("/from", status, "/to");
        let body = StreamBody::new(Pieces(vec!["a body"]));
        let request = Request::post(place.url("/from"))
            .header("content-type", "a/b")
            .header("x-own", "1");
        let response = within(PATIENCE, client.clone().oneshot(request.body(body).unwrap()))
            .await
            .unwrap();
        let status = if is_followed { 200 } else { status };
        assert_eq!(response.status().as_u16(), status);
        assert_eq!(response.extensions().get::<Redirects>().is_some(), is_followed);
        drop(response.into_body().collect().await.unwrap());
        let last = place.seen().pop().unwrap();
        assert_eq!(
            (last.target == "/to", last.header("x-own")),
            (is_followed, Some("1")),
            "{status}"
        );
        assert_eq!(last.header("content-type").is_none(), is_followed);
    }
    assert_at_rest(&client).await;
}

#[tokio::test]
async fn the_total_time_is_for_all_hops_together() {
    let gate = Gate::new();
    let silent = Server::builder()
        .handler(handlers::hold(&gate, handlers::echo))
        .start()
        .await;
    let place = Place::start().await;
    place.sends("/", 302, silent.url("/"));
    for door in Door::BOTH {
        let client = Client::new(ClientConfig::default().timeout(Duration::from_millis(300))).unwrap();
        let error = door.get(&client, &place.url("/")).await.unwrap_err();
        assert!(
            matches!(
                error.kind(),
                Kind::Timeout {
                    phase: Phase::ResponseHeader,
                    ..
                }
            ),
            "{error}"
        );
        assert_eq!(error.url().map(ToString::to_string), Some(silent.url("/")));
        assert!(
            error.elapsed().unwrap() >= Duration::from_millis(300),
            "from the first request on"
        );
    }
    gate.open();
}

#[tokio::test]
async fn each_hop_has_its_attempts_and_they_are_counted_apart() {
    let failing = answers::with_length("425 Too Early", &[], "");
    let moved = answers::with_length("302 Found", &[("location", "/to")], "");
    let script = [
        steps::answer_once(failing.clone()),
        steps::answer_once(moved),
        steps::answer_once(failing),
        steps::answer_once(answers::ok("here")),
    ];
    let server = Script::start([script.concat()]).await;
    let config = ClientConfig::default().max_attempts(2).retry_budget(1.0, 100);
    let client = Client::new(config.retry_backoff(Duration::from_millis(1), Duration::from_millis(1))).unwrap();
    let response = within(PATIENCE, client.get(server.url("/")).send()).await.unwrap();
    let attempts = response.extensions().get::<Timings>().map(Timings::attempts);
    assert_eq!((response.status().as_u16(), attempts), (200, Some(2)));
    assert_eq!((server.requests(), client.stats().retries), (4, 2));
    assert_eq!(response.text().await.unwrap(), "here");
    assert_at_rest(&client).await;
}

#[tokio::test]
async fn a_location_that_leads_nowhere_is_an_error_by_name() {
    let place = Place::start().await;
    let cases = [
        ("file:///etc/passwd", "redirected by 302 to no one http or https URL"),
        ("http://[::g]/", "redirected by 302 to no one http or https URL"),
        (
            "http+unix://%2Frun%2Fapp.sock/",
            "redirected by 302 to no one http or https URL",
        ),
        (
            "http://127.0.0.1:0/",
            "a redirect led here, and it cannot be gone to: port 0 cannot be connected to",
        ),
    ];
    for (location, words) in cases {
        place.sends("/", 302, location);
        for door in Door::BOTH {
            let client = client();
            let error = door.get(&client, &place.url("/")).await.unwrap_err();
            assert_eq!(error.kind(), Kind::Redirect, "{error}");
            assert!(error.to_string().contains(words), "{error}");
            assert_at_rest(&client).await;
        }
    }
    let two = answers::with_length("302 Found", &[("location", "/one"), ("location", "/two")], "");
    let server = Script::start([steps::answer_all(two)]).await;
    let error = Door::Builder.get(&client(), &server.url("/")).await.unwrap_err();
    assert!(error.to_string().contains("names none, or several"), "{error}");
}

#[tokio::test]
async fn one_request_may_follow_more_or_fewer_than_its_profile_says() {
    let place = Place::start().await;
    place.sends("/0", 302, "/1");
    place.sends("/1", 302, "/2");
    for (profile, own, ends) in [(10, 0, Some(302)), (0, 2, Some(200)), (10, 1, None)] {
        let client = Client::new(ClientConfig::default().max_redirects(profile)).unwrap();
        let by_builder = within(PATIENCE, client.get(place.url("/0")).max_redirects(own).send()).await;
        let by_builder = by_builder.map(|response| response.status().as_u16());
        let request = Request::get(place.url("/0")).extension(RequestOptions::default().max_redirects(own));
        let request = request.body(Empty::<Bytes>::new()).unwrap();
        let by_tower = within(PATIENCE, client.clone().oneshot(request)).await;
        let by_tower = by_tower.map(|response| response.status().as_u16());
        for answer in [by_builder, by_tower] {
            match ends {
                Some(status) => assert_eq!(answer.unwrap(), status),
                None => assert!(answer.unwrap_err().to_string().contains("more than 1 times")),
            }
        }
    }
}

#[tokio::test]
async fn a_hop_leaves_its_host_s_limit_and_asks_the_next_host_s_breaker() {
    let (first, second) = (Place::start().await, Place::start().await);
    first.sends("/", 302, second.url("/"));
    second.sends("/", 302, first.url("/back"));
    let client = Client::new(ClientConfig::default().max_concurrent_per_host(1)).unwrap();
    for door in Door::BOTH {
        assert_eq!(door.get(&client, &first.url("/")).await.unwrap().status, 200);
    }
    let breaker = client.breaker(&second.url("")).unwrap();
    breaker.force_open();
    let error = Door::Builder.get(&client, &first.url("/")).await.unwrap_err();
    assert!(matches!(error.kind(), Kind::BreakerOpen { .. }), "{error}");
    assert_eq!(error.url().map(ToString::to_string), Some(second.url("/")));
}

#[tokio::test]
async fn a_request_behind_base_url_may_be_sent_out_of_it() {
    let (base, other) = (Place::start().await, Place::start().await);
    base.sends("/v1/from", 302, other.url("/to"));
    let client = Client::new(ClientConfig::default().base_url(base.url("/v1"))).unwrap();
    let request = Request::get("/from").body(Empty::<Bytes>::new()).unwrap();
    let response = within(PATIENCE, client.clone().oneshot(request)).await.unwrap();
    let redirects = response.extensions().get::<Redirects>().unwrap();
    assert_eq!(redirects.url().as_str(), other.url("/to"));
    assert_eq!(redirects.history()[0].url().as_str(), base.url("/v1/from"));
}

#[cfg(unix)]
#[tokio::test]
async fn a_server_behind_a_socket_sends_on_within_it_and_nobody_sends_into_it() {
    use httputil_tests::unix::UnixDoor;

    let (inside, outside) = (Place::start().await, Place::start().await);
    let door = UnixDoor::to(inside.addr());
    inside.sends("/from", 302, "/to");
    let client = Client::new(ClientConfig::default().base_url(door.base_url())).unwrap();
    let response = within(PATIENCE, client.get("from").send()).await.unwrap();
    assert_eq!((response.status().as_u16(), response.url().path()), (200, "/to"));
    assert_eq!(response.url().scheme(), "http+unix");
    outside.sends("/", 302, response.url().as_str());
    let error = Door::Builder.get(&client, &outside.url("/")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Redirect, "{error}");
    assert_eq!(inside.requests(), 2);
}

#[cfg(unix)]
#[tokio::test]
async fn each_socket_of_several_endpoints_sends_on_within_it() {
    use httputil_tests::unix::UnixDoor;

    let (first, second, third) = (Place::start().await, Place::start().await, Place::start().await);
    let doors = [&first, &second].map(|place| UnixDoor::to(place.addr()));
    let places = [&first, &second, &third];
    for place in places {
        place.sends("/from", 302, "/to");
    }
    let bases = [third.url(""), doors[0].base_url(), doors[1].base_url()];
    let client = Client::new(ClientConfig::default().base_urls(bases)).unwrap();
    // Chance says who is asked.
    let until_all_were_asked = async {
        while places.iter().any(|place| place.requests() == 0) {
            let landed = Door::Builder.get(&client, "/from").await.unwrap();
            assert_eq!((landed.status, landed.history.len()), (200, 1), "{}", landed.url);
        }
    };
    within(PATIENCE, until_all_were_asked).await;
}

#[tokio::test]
async fn what_was_redirected_is_never_said_to_be_safe_to_send_again() {
    let (place, closed) = (Place::start().await, ClosedPort::new());
    let nowhere = format!("http://{}/orders/7", closed.addr());
    place.sends("/orders", 303, nowhere.clone());
    for door in Door::BOTH {
        let client = Client::new(ClientConfig::default().max_attempts(1)).unwrap();
        let post = |url: String| {
            let client = client.clone();
            async move { door.send(&client, Method::POST, &url, headers([]), "one").await }
        };
        // The same failure, of a request that nobody has seen.
        let error = post(nowhere.clone()).await.unwrap_err();
        assert!(error.kind() == Kind::Connect && error.is_retryable(), "{error}");
        let error = post(place.url("/orders")).await.unwrap_err();
        assert!(error.kind() == Kind::Connect && !error.is_retryable(), "{error}");
    }
    assert_eq!(place.requests(), 2);
}
