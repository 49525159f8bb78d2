//! `limit.max_response_bytes`: how large an answer may be.

use http::Request;
use http_body_util::{BodyExt, Empty};
use httputil::{Client, ClientConfig, Config, Environment, Error, Kind, Registry, RequestOptions};
use httputil_tests::gate::Gate;
use httputil_tests::script::{Script, Step, answers};
use httputil_tests::server::{Frames, Reply, ReplyBody, Server, handlers};
use httputil_tests::{PATIENCE, one_attempt, within};
use tower::ServiceExt;

use crate::common::{TrustedCa, Way, assert_all_gone, assert_at_rest, get, until, url};

const LIMIT: u64 = 1000;

fn bounded(config: ClientConfig) -> Client {
    Client::new(config.max_response_bytes(LIMIT)).unwrap()
}

#[track_caller]
fn assert_too_large(error: &Error) {
    assert_eq!(error.kind(), Kind::TooLarge, "{error}");
    let text = error.to_string();
    assert!(
        text.contains("larger than 1000 bytes (limit.max_response_bytes)"),
        "{text}"
    );
    assert!(error.url().is_some() && !error.is_retryable() && error.attempts() == 1);
}

/// So many bytes, of which the head tells nothing.
fn of_unknown_length(length: usize) -> impl Fn(Request<hyper::body::Incoming>) -> std::future::Ready<Reply> + Clone {
    move |_| {
        let pieces = std::iter::repeat_n(bytes::Bytes::from_static(&[b'x'; 100]), length / 100);
        std::future::ready(Reply::new(ReplyBody::new(Frames::new(pieces))))
    }
}

#[tokio::test]
async fn an_answer_that_says_it_is_larger_is_refused_by_its_head_through_either_door() {
    let ca = TrustedCa::new();
    for way in Way::ALL {
        let server = way
            .start(Server::builder().handler(handlers::large(10 << 20)), &ca)
            .await;
        let client = bounded(ca.config());
        let sent = within(PATIENCE, client.get(url(&server, "/")).send()).await;
        assert_too_large(&sent.unwrap_err());
        let request = Request::get(url(&server, "/"))
            .body(Empty::<bytes::Bytes>::new())
            .unwrap();
        let sent = within(PATIENCE, client.clone().oneshot(request)).await;
        assert_too_large(&sent.unwrap_err());
        assert_eq!(client.stats().responses_too_large, 2);
        assert_eq!(server.requests(), 2, "it is not asked for again");
        // As of any body that is left unread.
        assert_at_rest(&client).await;
        let closed = client.stats().closed_total();
        assert_eq!(closed, if way == Way::H2Tls { 0 } else { 2 }, "{way:?}");
        assert_all_gone(&client).await;
    }
}

#[tokio::test]
async fn an_answer_that_turns_out_larger_is_cut_there_and_its_connection_not_used_again() {
    let ca = TrustedCa::new();
    for way in Way::ALL {
        let server = way
            .start(Server::builder().handler(of_unknown_length(10 << 20)), &ca)
            .await;
        let client = bounded(ca.config());
        let mut response = within(PATIENCE, client.get(url(&server, "/")).send()).await.unwrap();
        let mut read = 0;
        let error = loop {
            match within(PATIENCE, response.chunk()).await {
                Ok(Some(chunk)) => read += chunk.len() as u64,
                Ok(None) => panic!("it has no end of its own"),
                Err(error) => break error,
            }
        };
        assert!(read <= LIMIT, "{read}");
        assert_too_large(Error::of(&error).expect("our error is in reqwest's"));
        // The response is still held: what it held is free already.
        assert_at_rest(&client).await;
        assert_eq!(client.stats().idle, u64::from(way == Way::H2Tls), "{way:?}");
        assert!(matches!(within(PATIENCE, response.chunk()).await, Ok(None) | Err(_)));
        assert_all_gone(&client).await;
    }
}

#[tokio::test]
async fn an_answer_as_large_as_it_may_be_is_whole_and_its_connection_used_again() {
    let ca = TrustedCa::new();
    for way in Way::ALL {
        let builder = || Server::builder();
        for server in [
            way.start(builder().handler(handlers::large(1000)), &ca).await,
            way.start(builder().handler(of_unknown_length(1000)), &ca).await,
        ] {
            let client = bounded(ca.config());
            for _ in 0..3 {
                assert_eq!(get(&client, &url(&server, "/")).await.len(), 1000);
            }
            assert_eq!(server.accepted(), 1);
            assert_eq!(client.stats().responses_too_large, 0);
            assert_all_gone(&client).await;
        }
    }
}

#[tokio::test]
async fn what_has_no_body_may_speak_of_a_large_one() {
    let server = Script::start([vec![
        Step::ReadRequest,
        Step::Write(answers::head("200 OK", &[("content-length", "99999999999")])),
        Step::ReadRequest,
        Step::Write(answers::head("304 Not Modified", &[("content-length", "99999999999")])),
    ]])
    .await;
    let client = bounded(one_attempt());
    let head = within(PATIENCE, client.head(server.url("/")).send()).await.unwrap();
    assert_eq!(head.headers()["content-length"], "99999999999");
    let unmodified = within(PATIENCE, client.get(server.url("/")).send()).await.unwrap();
    assert_eq!(unmodified.status(), 304);
    assert_eq!(server.accepted(), 1);
}

#[tokio::test]
async fn lengths_beyond_all_measure_neither_overflow_nor_allocate() {
    let steps = |length: &str| {
        vec![
            Step::ReadRequest,
            Step::Write(answers::head("200 OK", &[("content-length", length)])),
        ]
    };
    let server = Script::start([steps("18446744073709551615"), steps("18446744073709551613")]).await;
    let client = bounded(one_attempt());
    for _ in 0..2 {
        let sent = within(PATIENCE, client.get(server.url("/")).send()).await;
        let error = sent.unwrap_err();
        assert!(matches!(error.kind(), Kind::TooLarge | Kind::Protocol), "{error}");
    }
    assert_at_rest(&client).await;
}

#[tokio::test]
async fn other_streams_of_the_connection_go_on() {
    let (ca, gate) = (TrustedCa::new(), Gate::new());
    let held = handlers::hold_body(&gate);
    let large = handlers::large(10 << 20);
    let handler = move |request: Request<hyper::body::Incoming>| match request.uri().path() {
        "/held" => held(request),
        _ => large(request),
    };
    let server = Way::H2Tls.start(Server::builder().handler(handler), &ca).await;
    let client = bounded(ca.config());
    let other = within(PATIENCE, client.get(url(&server, "/held")).send())
        .await
        .unwrap();
    for _ in 0..5 {
        let sent = within(PATIENCE, client.get(url(&server, "/large")).send()).await;
        assert_too_large(&sent.unwrap_err());
    }
    gate.open();
    assert_eq!(within(PATIENCE, other.text()).await.unwrap(), "first last");
    assert_eq!(server.accepted(), 1);
    assert_all_gone(&client).await;
}

#[tokio::test]
async fn a_profile_says_it_and_none_switches_it_off() {
    let server = Server::builder().handler(handlers::large(2000)).start().await;
    let toml = "[default]\nlimit.max_response_bytes = \"1KiB\"\n[whole]\nlimit.max_response_bytes = \"none\"";
    let config = Config::builder().embedded("test.toml", toml).env(&Environment::empty());
    let registry = Registry::builder().config(config.load().unwrap()).build().unwrap();
    let (bounded, whole) = (registry.client("default").unwrap(), registry.client("whole").unwrap());
    assert_eq!(get(&whole, &server.url("/")).await.len(), 2000);
    let error = within(PATIENCE, bounded.get(server.url("/")).send()).await.unwrap_err();
    assert!(error.to_string().contains("larger than 1024 bytes"), "{error}");
    assert_eq!(error.kind(), Kind::TooLarge);
    // So little is left that it is read away.
    until(&bounded, "its connection to come home", |stats| stats.idle == 1).await;
    assert_all_gone(&bounded).await;
}

#[tokio::test]
async fn through_the_tower_door_the_bytes_so_far_come_before_the_error() {
    let server = Server::builder().handler(of_unknown_length(2000)).start().await;
    let client = bounded(one_attempt());
    let request = Request::get(server.url("/"))
        .body(Empty::<bytes::Bytes>::new())
        .unwrap();
    let mut body = within(PATIENCE, client.clone().oneshot(request))
        .await
        .unwrap()
        .into_body();
    let mut read = 0;
    let error = loop {
        match within(PATIENCE, body.frame()).await.expect("it does not end well") {
            Ok(frame) => read += frame.into_data().map_or(0, |data| data.len() as u64),
            Err(error) => break error,
        }
    };
    assert_too_large(&error);
    assert!(read <= LIMIT);
    assert!(within(PATIENCE, body.frame()).await.is_none(), "an error is the end");
}

#[cfg(not(feature = "compression"))]
#[test]
fn a_coding_that_was_not_built_in_is_refused_by_the_name_of_its_feature_and_not_asked_for() {
    let in_code = Client::new(one_attempt().accept_encoding([httputil::settings::Coding::Br])).unwrap_err();
    let text = "[default]\ncompression.accept = [\"br\"]";
    let in_file = Config::builder().embedded("test.toml", text).load().unwrap_err();
    for error in [in_code, in_file] {
        assert_eq!(error.kind(), Kind::Config);
        let text = error.to_string();
        assert!(
            text.contains("default.compression.accept") && text.contains("feature \"brotli\""),
            "{text}"
        );
    }
}

#[tokio::test]
async fn one_request_may_say_otherwise_than_its_profile_through_either_door() {
    let server = Server::builder().handler(handlers::large(2000)).start().await;
    let (bounded, unbounded) = (bounded(one_attempt()), Client::new(one_attempt()).unwrap());
    let more = within(PATIENCE, bounded.get(server.url("/")).max_response_bytes(2000).send()).await;
    assert_eq!(within(PATIENCE, more.unwrap().bytes()).await.unwrap().len(), 2000);
    let less = within(
        PATIENCE,
        unbounded.get(server.url("/")).max_response_bytes(LIMIT).send(),
    )
    .await;
    assert_too_large(&less.unwrap_err());
    let mut request = Request::get(server.url("/"))
        .body(Empty::<bytes::Bytes>::new())
        .unwrap();
    let own = RequestOptions::default().max_response_bytes(LIMIT);
    request.extensions_mut().insert(own);
    let sent = within(PATIENCE, unbounded.clone().oneshot(request)).await;
    assert_too_large(&sent.unwrap_err());
}
