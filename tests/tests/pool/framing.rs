//! How a request ends is not for its headers to say.

use ::tower::ServiceExt;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use httputil::{Client, CloseReason, Kind};
use httputil_tests::script::{Script, Step, answers, steps};
use httputil_tests::server::{Server, handlers};
use httputil_tests::tls::Alpn;
use httputil_tests::{PATIENCE, one_attempt, within};
use hyper::body::Incoming;

use crate::common::{TrustedCa, Way, assert_all_gone, client, get, until, url};

const CHECKSUM: HeaderName = HeaderName::from_static("x-checksum");

/// A stream of these pieces, whose length nobody knows. `!` fails, `#` are trailers.
fn stream(pieces: &[&'static str]) -> reqwest::Body {
    let pieces: Vec<&'static str> = pieces.to_vec();
    reqwest::Body::wrap(StreamBody::new(Pieces(pieces.into_iter())))
}

struct Pieces(std::vec::IntoIter<&'static str>);

impl futures_core::Stream for Pieces {
    type Item = Result<Frame<Bytes>, std::io::Error>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        std::task::Poll::Ready(self.0.next().map(|piece| match piece {
            "!" => Err(std::io::Error::other("the stream broke")),
            "#" => Ok(Frame::trailers(HeaderMap::from_iter([(
                CHECKSUM,
                HeaderValue::from_static("42"),
            )]))),
            piece => Ok(Frame::data(Bytes::from(piece))),
        }))
    }
}

#[tokio::test]
async fn a_stream_of_the_length_that_its_header_says_is_sent() {
    let ca = TrustedCa::new();
    for way in Way::ALL {
        let server = way.start(Server::builder(), &ca).await;
        let client = ca.client();
        for pieces in [&["hello"][..], &["he", "", "llo"], &["h", "ello", ""]] {
            let request = client.post(url(&server, "/length")).header("content-length", "5");
            let response = request.body(stream(pieces)).send().await.unwrap();
            assert_eq!(response.text().await.unwrap(), "5", "{way:?}, {pieces:?}");
        }
        let empty = client.post(url(&server, "/length")).header("content-length", "0");
        assert_eq!(empty.send().await.unwrap().text().await.unwrap(), "0", "{way:?}");
        for pieces in [&[][..], &[""]] {
            let request = client.post(url(&server, "/length")).header("content-length", "0");
            let response = request.body(stream(pieces)).send().await.unwrap();
            assert_eq!(response.text().await.unwrap(), "0", "{way:?}, {pieces:?}");
        }
        assert_eq!(server.accepted(), 1, "{way:?}");
        assert_all_gone(&client).await;
    }
}

/// Answers with the body and the trailer that came.
async fn body_and_trailer(request: Request<Incoming>) -> Response<Full<Bytes>> {
    let all = request.into_body().collect().await.unwrap();
    let trailer = all.trailers().and_then(|trailers| trailers.get(CHECKSUM)).cloned();
    let body = String::from_utf8(all.to_bytes().to_vec()).unwrap();
    Response::new(format!("{body} {trailer:?}").into())
}

#[tokio::test]
async fn trailers_behind_a_stated_length_reach_a_server_that_speaks_http2_and_hold_up_nobody_over_http1() {
    let ca = TrustedCa::new();
    for (way, expected) in [
        (Way::H1, "hello None"),
        (Way::H1Tls, "hello None"),
        (Way::H2Tls, "hello Some(\"42\")"),
    ] {
        let server = way.start(Server::builder().handler(body_and_trailer), &ca).await;
        let client = ca.client();
        for pieces in [&["hello", "#"][..], &["he", "llo", "", "#"]] {
            let request = client.post(url(&server, "/")).header("content-length", "5");
            let response = within(PATIENCE, request.body(stream(pieces)).send()).await.unwrap();
            assert_eq!(response.text().await.unwrap(), expected, "{way:?}, {pieces:?}");
        }
        assert_eq!(server.accepted(), 1, "{way:?}");
        assert_all_gone(&client).await;
    }
}

#[tokio::test]
async fn a_stream_behind_a_length_of_0_fails_whatever_the_method() {
    for method in [
        http::Method::GET,
        http::Method::HEAD,
        http::Method::PUT,
        http::Method::DELETE,
    ] {
        let server = Script::start([vec![Step::ReadHead, Step::ReadBody(1 << 20)]]).await;
        let client = Client::new(one_attempt()).unwrap();
        let request = client
            .request(method.clone(), server.url("/"))
            .header("content-length", "0");
        let error = within(PATIENCE, request.body(stream(&["abc"])).send())
            .await
            .unwrap_err();
        assert_eq!(error.kind(), Kind::Request, "{method}: {error}");
        assert!(
            error.to_string().contains("longer than its content-length, 0"),
            "{error}"
        );
        server.until_closed(1).await;
        let heard = server.received_text(0);
        assert!(
            !heard.ends_with("0\r\n\r\n") && !heard.contains("abc"),
            "{method}: {heard}"
        );
        assert_all_gone(&client).await;
    }
}

#[tokio::test]
async fn a_stream_that_is_longer_or_shorter_fails_and_never_looks_complete() {
    let ca = TrustedCa::new();
    for way in Way::ALL {
        for (length, pieces, words) in [
            ("0", &["hello"][..], "longer than its content-length, 0"),
            ("3", &["hello"], "longer than its content-length, 3"),
            ("3", &["hel", "lo"], "longer than its content-length, 3"),
            ("10", &["hello"], "ended 5 bytes before its content-length, 10"),
            ("5", &["hel", "!"], "the stream broke"),
            ("5", &["hello", "!"], "the stream broke"),
            ("5", &["hel", "#"], "ended 2 bytes before its content-length, 5"),
        ] {
            let server = way
                .start(Server::builder().handler(handlers::expect_full_body), &ca)
                .await;
            let client = ca.client();
            let request = client.post(url(&server, "/")).header("content-length", length);
            let sent = within(PATIENCE, request.body(stream(pieces)).send()).await;
            let error = sent.unwrap_err();
            assert_eq!(error.kind(), Kind::Request, "{way:?}: {error}");
            assert!(error.to_string().contains(words), "{way:?}, {length}: {error}");
            if way != Way::H2Tls {
                server.until_open(0).await;
                until(&client, "the connection to be closed", |stats| stats.open == 0).await;
            }
            assert_all_gone(&client).await;
        }
    }
}

#[tokio::test]
async fn a_wrong_length_of_a_known_body_is_refused_before_anything_is_sent() {
    let server = Server::builder().start().await;
    let client = Client::new(one_attempt()).unwrap();
    for (name, value, words) in [
        ("content-length", "3", "content-length: 3, and the body has 5 bytes"),
        ("content-length", "10", "content-length: 10, and the body has 5 bytes"),
        ("content-length", "+5", "expected a number of bytes"),
        ("content-length", "5, 5", "expected a number of bytes"),
        ("content-length", "", "expected a number of bytes"),
        ("content-length", "18446744073709551616", "expected a number of bytes"),
        ("transfer-encoding", "gzip", "only chunked can be sent"),
        ("transfer-encoding", "chunked, identity", "only chunked can be sent"),
        ("expect", "200-ok", "only 100-continue is known"),
        ("host", "", "expected a host"),
        ("host", "a b", "expected a host"),
        ("host", "a:80, b", "expected a host"),
        ("host", "me@a.test", "expected a host"),
    ] {
        let request = client.post(server.url("/")).header(name, value).body("hello");
        let error = request.send().await.unwrap_err();
        assert_eq!(error.kind(), Kind::Request);
        assert!(error.to_string().contains(words), "{name}: {value}: {error}");
    }
    let twice = client
        .post(server.url("/"))
        .header("content-length", "5")
        .header("content-length", "5");
    assert!(twice.body("hello").send().await.is_err());
    let hosts = client
        .get(server.url("/"))
        .header("host", "a.test")
        .header("host", "b.test");
    let error = hosts.send().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Request);
    assert!(error.to_string().contains("host: given more than once"), "{error}");
    let both = client
        .post(server.url("/"))
        .header("content-length", "5")
        .header("transfer-encoding", "chunked");
    assert!(both.body(stream(&["hello"])).send().await.is_err());
    let h2c = client
        .get(server.url("/"))
        .header("connection", "upgrade")
        .header("upgrade", "h2c");
    assert!(h2c.send().await.unwrap_err().to_string().contains("h2c is not spoken"));
    let tunnel = client.request(http::Method::CONNECT, server.url("/"));
    assert_eq!(tunnel.send().await.unwrap_err().kind(), Kind::Request);
    assert_eq!(server.accepted(), 0);
}

#[tokio::test]
async fn through_the_other_door_no_header_says_how_a_request_ends_either() {
    let server = Server::builder().start().await;
    let client = Client::new(one_attempt()).unwrap();
    for (name, value, words) in [
        ("content-length", "3", "content-length: 3, and the body has 5 bytes"),
        ("content-length", "5, 5", "expected a number of bytes"),
        ("transfer-encoding", "gzip, chunked", "only chunked can be sent"),
        ("expect", "200-ok", "only 100-continue is known"),
        ("host", "a b", "expected a host"),
    ] {
        let request = Request::post(server.url("/")).header(name, value);
        let request = request.body(Full::new(Bytes::from("hello"))).unwrap();
        let error = client.clone().oneshot(request).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Request);
        assert!(error.to_string().contains(words), "{name}: {value}: {error}");
    }
    assert_eq!(server.accepted(), 0);
}

#[tokio::test]
async fn a_header_that_holds_a_line_break_is_never_sent() {
    let server = Server::builder().start().await;
    let client = Client::new(one_attempt()).unwrap();
    for value in ["canary\r\nx-b: 1", "canary\n", "canary\r", "canary\0"] {
        let error = client
            .get(server.url("/"))
            .header("x-a", value)
            .send()
            .await
            .unwrap_err();
        assert_eq!(error.kind(), Kind::Request);
        assert!(!format!("{error} {error:?}").contains("canary"), "{error}");
        let name = client.get(server.url("/")).header(value, "1").send().await.unwrap_err();
        assert_eq!(name.kind(), Kind::Request);
        let token = client.get(server.url("/")).bearer_auth(value).send().await.unwrap_err();
        assert_eq!(token.kind(), Kind::Request);
        // The other door's requests cannot even hold one.
        assert!(HeaderValue::from_str(value).is_err());
    }
    assert_eq!(server.accepted(), 0);
}

#[tokio::test]
async fn headers_for_the_next_hop_are_dropped_or_kept_as_the_table_says() {
    let ca = TrustedCa::new();
    for (name, value, sent) in [
        ("keep-alive", "timeout=5", None),
        ("proxy-connection", "keep-alive", None),
        ("http2-settings", "AAMAAABkAAQAAP__", None),
        ("connection", "keep-alive, content-length", None),
        ("connection", "x-secret, close", Some("connection: close")),
        ("upgrade", "websocket", None),
        ("te", "gzip", None),
        ("te", "Trailers", Some("te: Trailers")),
        ("transfer-encoding", "chunked", None),
    ] {
        let server = Script::start([steps::answer_all(answers::ok("fine"))]).await;
        let client = Client::new(one_attempt()).unwrap();
        let request = client.post(server.url("/")).header(name, value).body("hello");
        assert_eq!(request.send().await.unwrap().text().await.unwrap(), "fine");
        let heard = server.received_text(0);
        let line = heard.lines().find(|line| line.starts_with(&format!("{name}:")));
        assert_eq!(line, sent, "{name}: {value}");
        assert!(heard.contains("content-length: 5\r\n"), "{heard}");

        // Over HTTP/2 none of them breaks the stream.
        let server = Way::H2Tls.start(Server::builder(), &ca).await;
        let client = ca.client();
        let request = client.post(url(&server, "/length")).header(name, value).body("hello");
        assert_eq!(
            request.send().await.unwrap().text().await.unwrap(),
            "5",
            "{name}: {value}"
        );
        assert_all_gone(&client).await;
    }
}

#[tokio::test]
async fn one_host_of_the_caller_s_own_is_sent_as_it_is() {
    for host in ["a.test", "a.test:8080", "[2001:db8::1]:443"] {
        let server = Script::start([steps::answer_all(answers::ok("fine"))]).await;
        let client = Client::new(one_attempt()).unwrap();
        let request = client.get(server.url("/")).header("host", host);
        assert_eq!(request.send().await.unwrap().text().await.unwrap(), "fine");
        let heard = server.received_text(0).to_ascii_lowercase();
        let hosts: Vec<&str> = heard.lines().filter(|line| line.starts_with("host:")).collect();
        assert_eq!(hosts, [format!("host: {host}")], "{heard}");
    }
}

#[tokio::test]
async fn a_stream_that_fails_never_ends_in_a_last_chunk() {
    for pieces in [&["!"][..], &["hel", "!"], &["hel", "lo", "!"]] {
        let server = Script::start([vec![Step::ReadHead, Step::ReadBody(1 << 20)]]).await;
        let client = Client::new(one_attempt()).unwrap();
        let sent = client.post(server.url("/")).body(stream(pieces)).send();
        let error = within(PATIENCE, sent).await.unwrap_err();
        assert!(error.to_string().contains("the stream broke"), "{error}");
        server.until_closed(1).await;
        let heard = server.received_text(0);
        assert!(!heard.ends_with("0\r\n\r\n"), "{pieces:?}: {heard}");
        assert_all_gone(&client).await;
    }
}

#[tokio::test]
async fn chunks_are_sent_where_the_length_is_not_known() {
    let server = Script::start([steps::answer_all(answers::ok("fine"))]).await;
    let client = Client::new(one_attempt()).unwrap();
    for headers in [&[][..], &[("transfer-encoding", "chunked")]] {
        let mut request = client.post(server.url("/"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.body(stream(&["hel", "lo"])).send().await.unwrap();
        assert_eq!(response.text().await.unwrap(), "fine");
    }
    assert_eq!(server.accepted(), 1);
    let heard = server.received_text(0);
    assert_eq!(heard.matches("transfer-encoding: chunked\r\n").count(), 2, "{heard}");
    assert_eq!(heard.matches("3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n").count(), 2, "{heard}");
}

#[tokio::test]
async fn a_stream_is_sent_whatever_the_method() {
    for method in [Method::GET, Method::HEAD, Method::DELETE, Method::OPTIONS] {
        let server = Script::start([steps::answer_all(answers::with_length("200 OK", &[], ""))]).await;
        let client = client();
        let sent = client
            .request(method.clone(), server.url("/"))
            .body(stream(&["one", "two"]));
        assert_eq!(sent.send().await.unwrap().status(), 200);
        let heard = server.received_text(0);
        assert!(heard.contains("transfer-encoding: chunked\r\n"), "{heard}");
        assert!(heard.ends_with("\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"), "{heard}");
        assert_all_gone(&client).await;
    }
    // HTTP/2 has frames for it, and no such header.
    let ca = TrustedCa::new();
    let server = Way::H2Tls.start(Server::builder(), &ca).await;
    let client = ca.client();
    let sent = client.get(url(&server, "/echo")).body(stream(&["one", "two"]));
    let echoed: handlers::Echoed = sent.send().await.unwrap().json().await.unwrap();
    assert_eq!(echoed.header("transfer-encoding"), None);
    let sent = client.get(url(&server, "/length")).body(stream(&["one", "two"]));
    assert_eq!(sent.send().await.unwrap().text().await.unwrap(), "6");
    assert_all_gone(&client).await;
}

#[tokio::test]
async fn an_answer_with_two_lengths_is_read_by_its_chunks_and_ends_its_connection() {
    let ca = TrustedCa::new();
    for tls in [false, true] {
        let answer =
            "HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
        let mut script = steps::answer_all(answer);
        if tls {
            script = steps::over_tls(&ca.server_for(["127.0.0.1"], Alpn::H1), script);
        }
        let server = Script::start([script]).await;
        let address = if tls { server.https_url("/") } else { server.url("/") };
        let client = ca.client();
        for round in 1..=2 {
            assert_eq!(get(&client, &address).await, "hello");
            server.until_closed(round).await;
        }
        until(&client, "both to be closed", |stats| stats.open == 0).await;
        assert_eq!(client.stats().closed_for(CloseReason::Error), 2);
        assert_all_gone(&client).await;
    }
}
