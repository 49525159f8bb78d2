//! Bodies of every kind, both ways.

use httputil::Kind;
use httputil_tests::script::{Script, Step, answers, steps};
use httputil_tests::server::Server;
use httputil_tests::server::handlers::{self, Echoed};
use reqwest::multipart::{Form, Part};

use crate::common::{TrustedCa, Way, client, get, until, url};

#[tokio::test]
async fn large_bodies_pass_both_ways_and_the_connection_is_kept() {
    const SIZE: usize = 24 << 20;
    let ca = TrustedCa::new();
    for way in Way::ALL {
        let server = way.start(Server::builder(), &ca).await;
        let client = ca.client();
        let sent = client
            .post(url(&server, "/length"))
            .body(vec![7; SIZE])
            .send()
            .await
            .unwrap();
        assert_eq!(sent.text().await.unwrap(), SIZE.to_string(), "{way:?}");
        let received = get(&client, &url(&server, &format!("/bytes/{SIZE}"))).await;
        assert_eq!(received.len(), SIZE, "{way:?}");
        assert_eq!(server.accepted(), 1, "{way:?}");
    }
}

#[tokio::test]
async fn an_answer_that_comes_before_the_request_s_body_is_sent_is_given_and_the_connection_closed() {
    let early = vec![
        Step::ReadHead,
        Step::write(answers::with_length("413 Content Too Large", &[], "too much")),
        Step::StopReading,
    ];
    let server = Script::start([early, steps::answer_all(answers::ok("fine"))]).await;
    let client = client();
    let response = client
        .post(server.url("/"))
        .body(vec![1; 32 << 20])
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 413);
    assert_eq!(response.text().await.unwrap(), "too much");
    until(&client, "it to be closed", |stats| stats.open == 0).await;
    assert_eq!(get(&client, &server.url("/")).await, "fine");
}

#[tokio::test]
async fn http_1_0_is_reused_only_where_it_says_keep_alive() {
    for (answer, connections) in [
        ("HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nhi", 3),
        (
            "HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nhi",
            1,
        ),
    ] {
        let server = Script::start([steps::answer_all(answer)]).await;
        let client = client();
        for _ in 0..3 {
            assert_eq!(get(&client, &server.url("/")).await, "hi");
        }
        assert_eq!(server.accepted(), connections, "{answer:?}");
    }
}

#[tokio::test]
async fn a_line_break_in_a_name_of_a_part_is_refused_before_it_begins_a_header() {
    let server = Server::builder().handler(handlers::echo).start().await;
    let client = client();
    let form = |name: &str, file: &str| {
        let part = Part::text("any\r\nvalue").file_name(file.to_owned());
        Form::new().part(name.to_owned(), part)
    };
    for (name, file) in [
        ("part", "canary\r\nx-b: 1"),
        ("canary\nx-b: 1", "file"),
        ("part", "canary\0"),
    ] {
        let request = client.post(server.url("/")).multipart(form(name, file));
        let error = request.send().await.unwrap_err();
        assert_eq!(error.kind(), Kind::Request);
        let text = error.to_string();
        assert!(
            text.contains("multipart form: a part's name, its file's name or"),
            "{text}"
        );
        assert!(!format!("{error:?}").contains("canary"), "{error:?}");
    }
    assert_eq!(server.accepted(), 0);
    let fine = client.post(server.url("/")).multipart(form("part", "c:\\new\\file"));
    let echoed: Echoed = fine.send().await.unwrap().json().await.unwrap();
    assert!(echoed.body.contains("\r\n\r\nany\r\nvalue\r\n"), "{}", echoed.body);
}

#[tokio::test]
async fn json_forms_queries_and_multipart_are_reqwest_s() {
    let server = Server::builder().start().await;
    let client = client();
    let echoed = |request: httputil::RequestBuilder| async move {
        let text = request.send().await.unwrap().text().await.unwrap();
        serde_json::from_str::<serde_json::Value>(&text).unwrap()
    };
    let at = server.url("/echo");
    let json = echoed(client.post(&at).json(&serde_json::json!({"a": 1})))
        .await
        .to_string();
    assert!(
        json.contains("application/json") && json.contains(r#"{\"a\":1}"#),
        "{json}"
    );
    let form = echoed(client.post(&at).form(&[("a", "b c")])).await.to_string();
    assert!(
        form.contains("x-www-form-urlencoded") && form.contains("a=b+c"),
        "{form}"
    );
    let query = echoed(client.get(&at).query(&[("q", "x y")])).await.to_string();
    assert!(query.contains("q=x+y"), "{query}");
    let parts = reqwest::multipart::Form::new().text("name", "value");
    let multipart = echoed(client.post(&at).multipart(parts)).await.to_string();
    assert!(
        multipart.contains("multipart/form-data") && multipart.contains("value"),
        "{multipart}"
    );
    assert_eq!(server.accepted(), 1);
}

#[tokio::test]
async fn credentials_of_a_url_become_a_header_and_show_nowhere_else() {
    let server = Server::builder().start().await;
    let client = client();
    let with_user = format!("http://ada:s3cret@localhost:{}/echo?token=s3cret#s3cret", server.port());
    let echo = get(&client, &with_user).await;
    assert!(echo.contains("Basic YWRhOnMzY3JldA=="), "{echo}");
    let dead = "http://ada:s3cret@127.0.0.1:1/path?token=s3cret#s3cret";
    let error = client.get(dead).send().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Connect);
    assert_eq!(error.url().unwrap().as_str(), "http://127.0.0.1:1/path");
    let shown = format!("{error} {error:?} {:?}", std::error::Error::source(&error));
    assert!(!shown.contains("s3cret") && !shown.contains("ada"), "{shown}");
}

#[tokio::test]
async fn a_body_stream_that_fails_is_the_request_s_own_fault_and_never_looks_complete() {
    struct Failing(u8);
    impl futures_core::Stream for Failing {
        type Item = Result<http_body::Frame<bytes::Bytes>, std::io::Error>;

        fn poll_next(
            mut self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Self::Item>> {
            self.0 += 1;
            std::task::Poll::Ready(Some(match self.0 {
                1 => Ok(http_body::Frame::data("some".into())),
                _ => Err(std::io::Error::other("the disk is gone")),
            }))
        }
    }
    let ca = TrustedCa::new();
    for way in Way::ALL {
        let server = way.start(Server::builder(), &ca).await;
        let client = ca.client();
        let body = reqwest::Body::wrap(http_body_util::StreamBody::new(Failing(0)));
        let error = client
            .post(url(&server, "/length"))
            .body(body)
            .send()
            .await
            .unwrap_err();
        assert_eq!(error.kind(), Kind::Request, "{way:?}: {error:?}");
        assert!(error.to_string().contains("the disk is gone"), "{way:?}: {error}");
        assert_eq!(get(&client, &url(&server, "/")).await, "hello");
    }
}
