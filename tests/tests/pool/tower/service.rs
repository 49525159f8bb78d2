//! The way there: targets, readiness, stop, layers, and the bounds of generated clients.

use std::convert::Infallible;
use std::error::Error as StdError;
use std::task::{Context, Poll};
use std::time::Duration;

use ::tower::{Service, ServiceBuilder, ServiceExt};
use bytes::Bytes;
use http::header::{AUTHORIZATION, TE};
use http::{Method, Request, Response, Uri};
use http_body::Body as HttpBody;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full};
use httputil::{Client, Config, Environment, Kind, Registry};
use httputil_tests::gate::Gate;
use httputil_tests::one_attempt;
use httputil_tests::proxy::Proxy;
use httputil_tests::server::Server;
use httputil_tests::server::handlers;
use httputil_tests::tcp::ClosedPort;

use super::{body_and_sum, call, call_text, echoed, empty, request, text};
use crate::common::{TrustedCa, Way, client, get, url};

#[tokio::test]
async fn get_and_post_go_over_pooled_connections_in_every_protocol() {
    let ca = TrustedCa::new();
    for way in Way::ALL {
        let server = way.start(Server::builder(), &ca).await;
        let client = ca.client();
        let at = url(&server, "/echo?a=b%20c");
        let got = echoed(&client, empty(&at)).await;
        assert_eq!((&*got.method, &*got.body), ("GET", ""), "{way:?}");
        assert!(got.target.ends_with("/echo?a=b%20c"), "{way:?}: {}", got.target);
        assert!(got.header("user-agent").unwrap().starts_with("httputil/"), "{way:?}");
        let post = request(Method::POST, &at).header("x-own", "kept");
        let posted = echoed(&client, post.body(Full::from("a body")).unwrap()).await;
        assert_eq!((&*posted.method, &*posted.body), ("POST", "a body"), "{way:?}");
        assert_eq!(posted.header("x-own"), Some("kept"), "{way:?}");
        assert_eq!(posted.header("content-length"), Some("6"), "{way:?}");
        // reqwest's door leads to the same pool.
        assert_eq!(get(&client, &url(&server, "/")).await, "hello", "{way:?}");
        assert_eq!((server.accepted(), client.stats().requests), (1, 3), "{way:?}");
    }
}

#[tokio::test]
async fn a_shared_handle_is_a_service_too() {
    let server = Server::builder().start().await;
    let client = client();
    let mut shared = &client;
    assert_eq!(text(shared.call(empty(&server.url("/"))).await.unwrap()).await, "hello");
    assert_eq!(text(shared.call(empty(&server.url("/"))).await.unwrap()).await, "hello");
    assert_eq!(server.accepted(), 1);
}

#[tokio::test]
async fn a_uri_without_a_path_asks_for_the_root() {
    let server = Server::builder().handler(handlers::echo).start().await;
    let client = client();
    for (path, target) in [("", "/"), ("?q=1", "/?q=1"), ("/a//b?", "/a//b?"), ("/*", "/*")] {
        assert_eq!(echoed(&client, empty(&server.url(path))).await.target, target);
    }
}

#[tokio::test]
async fn credentials_of_a_uri_become_a_header_unless_there_is_one() {
    let server = Server::builder().handler(handlers::echo).start().await;
    let client = client();
    let uri = format!("http://ada:s3%20cret@127.0.0.1:{}/path?token=s3cret", server.port());
    let echo = echoed(&client, empty(&uri)).await;
    assert_eq!(echo.header("authorization"), Some("Basic YWRhOnMzIGNyZXQ="));
    assert_eq!(echo.target, "/path?token=s3cret");
    let own = request(Method::GET, &uri).header(AUTHORIZATION, "Bearer own");
    let echo = echoed(&client, own.body(Empty::new()).unwrap()).await;
    let sent: Vec<_> = echo
        .headers
        .iter()
        .filter(|(name, _)| name == "authorization")
        .collect();
    assert_eq!(sent, [&("authorization".to_owned(), "Bearer own".to_owned())]);

    let dead = format!(
        "http://ada:s3cret@127.0.0.1:{}/path?token=s3cret",
        ClosedPort::new().port()
    );
    let error = call(&client, empty(&dead)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Connect);
    assert_eq!(error.url().unwrap().path(), "/path");
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains("s3cret") && !shown.contains("ada"), "{shown}");
    assert!(shown.starts_with("GET http://127.0.0.1:"), "{shown}");
}

#[tokio::test]
async fn a_uri_that_leads_nowhere_is_one_clear_error() {
    let client = client();
    for (uri, why) in [
        (
            "/v1/traces",
            "the URI is not absolute: it must name scheme and host, as http://host/path does",
        ),
        ("localhost:80", "the URI is not absolute"),
        ("ftp://localhost/", "the URL's scheme must be http or https"),
        ("http://localhost:0/", "port 0 cannot be connected to"),
        (
            "http://localhost:70000/",
            "the URI's port must be a number from 1 to 65535",
        ),
    ] {
        let error = call(&client, empty(uri)).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Request, "{uri}");
        assert!(error.to_string().contains(why), "{uri}: {error}");
        assert_eq!(error.attempts(), 0);
    }
}

#[tokio::test]
async fn after_stop_it_is_not_ready_and_what_is_under_way_finishes() {
    let gate = Gate::new();
    let server = Server::builder()
        .handler(handlers::hold(&gate, handlers::by_path))
        .start()
        .await;
    let client = client();
    let under_way = tokio::spawn(call_text(client.clone(), server.url("/")));
    gate.arrived(1).await;
    client.stop();
    let mut clone = client.clone();
    let ready = ServiceExt::<Request<Empty<Bytes>>>::ready(&mut clone).await;
    assert_eq!(ready.unwrap_err().kind(), Kind::Stopped);
    let error = clone.call(empty(&server.url("/"))).await.unwrap_err();
    let expected = format!(
        "GET {}: the client was stopped; make a new one from the registry (profile default)",
        server.url("/")
    );
    assert_eq!((error.kind(), error.to_string()), (Kind::Stopped, expected));
    gate.open();
    assert_eq!(under_way.await.unwrap(), "hello");
    server.until_open(0).await;
}

#[tokio::test]
async fn a_proxy_of_the_environment_is_taken_on_this_door_too() {
    let proxy = ClosedPort::new();
    let environment = Environment::empty().with("HTTP_PROXY", format!("http://{}", proxy.addr()));
    let config = Config::builder().env(&environment).load().unwrap();
    let registry = Registry::builder().config(config).build().unwrap();
    let client = registry.client("default").unwrap();
    let error = call(&client, empty("http://collector.example/")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Proxy);
    assert!(error.to_string().contains(&proxy.addr().to_string()), "{error}");
}

#[tokio::test]
async fn what_a_proxy_cannot_pass_on_goes_through_a_tunnel_on_this_door_too() {
    let (server, proxy) = (Server::builder().start().await, Proxy::builder().start().await);
    let client = Client::new(one_attempt().proxy(proxy.url())).unwrap();
    let place = format!("service.test:{}", server.port());
    let with_user = server.url_for("user:canary@service.test", "?query");
    assert_eq!(call_text(client.clone(), with_user).await, "hello");
    let all = request(Method::OPTIONS, &server.url_for("service.test", ""));
    call(&client, all.body(Empty::<Bytes>::new()).unwrap()).await.unwrap();
    let star = Uri::builder().scheme("http").authority(&*place).path_and_query("*");
    let star = Request::builder().method(Method::OPTIONS).uri(star.build().unwrap());
    call(&client, star.body(Empty::<Bytes>::new()).unwrap()).await.unwrap();
    let expected = [
        format!("GET http://{place}/?query"),
        format!("OPTIONS http://{place}/"),
        format!("CONNECT {place}"),
    ];
    assert_eq!(proxy.wanted(), expected);
    assert_eq!(server.requests(), 3);
}

#[tokio::test]
async fn outside_a_runtime_the_request_says_so() {
    let client = client();
    let answer = std::thread::spawn(move || {
        let full = request(Method::POST, "http://127.0.0.1:1/")
            .body(Full::from("body"))
            .unwrap();
        let mut answer = std::pin::pin!((&client).call(full));
        match answer.as_mut().poll(&mut Context::from_waker(std::task::Waker::noop())) {
            Poll::Ready(Err(error)) => error.to_string(),
            other => panic!("{other:?}"),
        }
    });
    let said = answer.join().unwrap();
    assert!(said.contains("from within a tokio runtime"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_stands_under_layers() {
    let server = Server::builder().start().await;
    let client = Client::new(one_attempt().max_idle_per_host(4)).unwrap();
    let service = ServiceBuilder::new()
        .concurrency_limit(4)
        .timeout(Duration::from_secs(30))
        .map_request(|path: String| request(Method::POST, &path).body(Full::from("abc")).unwrap())
        .service(client.clone());
    let mut running = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let (service, at) = (service.clone(), server.url("/length"));
        running.spawn(async move { text(service.oneshot(at).await.unwrap()).await });
    }
    for answer in running.join_all().await {
        assert_eq!(answer, "3");
    }
    // The layer counts until the head of an answer; its body may still be on its way when the next request goes.
    assert!(server.accepted() <= 8, "{} connections", server.accepted());

    // The layer's time-out drops the request, and its connection is closed.
    let gate = Gate::new();
    let slow = Server::builder()
        .handler(handlers::hold(&gate, handlers::by_path))
        .start()
        .await;
    let mut impatient = ServiceBuilder::new().timeout(Duration::from_millis(50)).service(client);
    let error = impatient.call(empty(&slow.url("/"))).await.unwrap_err();
    assert!(error.is::<tower::timeout::error::Elapsed>(), "{error}");
    slow.until_open(0).await;
}

/// The bounds that generated gRPC clients put on their channel (`tonic::client::GrpcService`), and more.
fn is_a_channel<T, ResponseBody>(channel: T) -> T
where
    T: Service<Request<UnsyncBoxBody<Bytes, Infallible>>, Response = Response<ResponseBody>>,
    T: Clone + Send + Sync + 'static,
    T::Error: Into<Box<dyn StdError + Send + Sync>> + StdError + Send + Sync + 'static,
    T::Future: Send + 'static,
    ResponseBody: HttpBody<Data = Bytes> + Send + Sync + Unpin + 'static,
    ResponseBody::Error: Into<Box<dyn StdError + Send + Sync>> + Send,
{
    channel
}

#[tokio::test]
async fn it_meets_the_bounds_of_generated_clients() {
    let server = Server::builder().h2().handler(body_and_sum).start().await;
    let mut config = one_attempt();
    config.profile_mut().transport.http2.prior_knowledge = true;
    let mut channel = is_a_channel(Client::new(config).unwrap());
    let body = Full::<Bytes>::from("message").boxed_unsync();
    let call = request(Method::POST, &server.url("/package.Service/Method")).header(TE, "trailers");
    let response = channel.call(call.body(body).unwrap()).await.unwrap();
    assert_eq!(text(response).await, "message");
}
