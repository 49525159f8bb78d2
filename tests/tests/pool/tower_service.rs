//! The client as a `tower::Service`: the same way to the same pool, in `http`'s types.

use std::cell::Cell;
use std::convert::Infallible;
use std::error::Error as StdError;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, TE, TRAILER};
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full};
use httputil::{Body, Client, ClientConfig, Config, Environment, Error, Kind, Registry, RequestTimeout};
use httputil_tests::gate::Gate;
use httputil_tests::script::{Script, Step, answers, steps};
use httputil_tests::server::handlers::{self, Echoed};
use httputil_tests::server::{Frames, Reply, ReplyBody, Server};
use httputil_tests::tcp::ClosedPort;
use tower::{Service, ServiceBuilder, ServiceExt};

use crate::common::{TrustedCa, Way, client, get, until, url};

fn request(method: Method, uri: &str) -> http::request::Builder {
    Request::builder().method(method).uri(uri)
}

fn empty(uri: &str) -> Request<Empty<Bytes>> {
    request(Method::GET, uri).body(Empty::new()).unwrap()
}

async fn text(response: Response<Body>) -> String {
    let body = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(body.to_vec()).unwrap()
}

/// Calls, as a layer would, when the service says that it is ready.
async fn call<B>(client: &Client, request: Request<B>) -> Result<Response<Body>, Error>
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    client.clone().oneshot(request).await
}

async fn echoed<B>(client: &Client, request: Request<B>) -> Echoed
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    serde_json::from_str(&text(call(client, request).await.unwrap()).await).unwrap()
}

/// A stream of pieces that cannot be shared between threads, as many a real one cannot.
struct Pieces {
    left: Cell<u32>,
    length: Option<u64>,
    trailers: Option<HeaderMap>,
    then: Option<&'static str>,
}

fn pieces(count: u32) -> Pieces {
    Pieces {
        left: Cell::new(count),
        length: None,
        trailers: None,
        then: None,
    }
}

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        let left = self.left.get();
        if left > 0 {
            self.left.set(left - 1);
            self.length = self.length.map(|length| length - 5);
            return Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"piece")))));
        }
        if let Some(why) = self.then.take() {
            return Poll::Ready(Some(Err(std::io::Error::other(why))));
        }
        Poll::Ready(self.trailers.take().map(Frame::trailers).map(Ok))
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// Answers with the request's body, and with its trailer `x-sum`.
async fn body_and_sum(request: Request<hyper::body::Incoming>) -> Reply {
    let collected = request.into_body().collect().await.unwrap();
    let sum = collected.trailers().and_then(|trailers| trailers.get("x-sum")).cloned();
    let mut reply = handlers::full(collected.to_bytes());
    if let Some(sum) = sum {
        reply.headers_mut().insert("x-sum", sum);
    }
    reply
}

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
async fn a_stream_that_cannot_be_shared_is_sent_with_its_trailers() {
    let ca = TrustedCa::new();
    for way in Way::ALL {
        let server = way.start(Server::builder().handler(body_and_sum), &ca).await;
        let client = ca.client();
        for length in [None, Some(15)] {
            let mut body = pieces(3);
            body.length = length;
            // With a length, HTTP/1 is not chunked and has no room for trailers.
            if length.is_none() || way == Way::H2Tls {
                body.trailers = Some(HeaderMap::from_iter([(
                    "x-sum".parse().unwrap(),
                    HeaderValue::from(42),
                )]));
            }
            let has_trailers = body.trailers.is_some();
            let post = request(Method::POST, &url(&server, "/")).header(TRAILER, "x-sum");
            let response = call(&client, post.body(body).unwrap()).await.unwrap();
            let sum = response.headers().get("x-sum").cloned();
            assert_eq!(sum.is_some_and(|sum| sum == "42"), has_trailers, "{way:?} {length:?}");
            assert_eq!(text(response).await, "piecepiecepiece", "{way:?} {length:?}");
        }
        assert_eq!(server.accepted(), 1, "{way:?}");
    }
}

#[tokio::test]
async fn the_answer_s_trailers_are_the_body_s_last_frame() {
    let trailing = |_| {
        let trailers = HeaderMap::from_iter([("grpc-status".parse().unwrap(), HeaderValue::from(0))]);
        let body = Frames::new([Bytes::from_static(b"one "), Bytes::from_static(b"two")]).trailers(trailers);
        let mut reply = Response::new(ReplyBody::new(body));
        reply
            .headers_mut()
            .insert(TRAILER, HeaderValue::from_static("grpc-status"));
        std::future::ready(reply)
    };
    let ca = TrustedCa::new();
    for way in Way::ALL {
        let server = way.start(Server::builder().handler(trailing), &ca).await;
        let client = ca.client();
        for _ in 0..2 {
            let get = request(Method::GET, &url(&server, "/")).header(TE, "trailers");
            let response = call(&client, get.body(Empty::new()).unwrap()).await.unwrap();
            let collected = response.into_body().collect().await.unwrap();
            assert_eq!(collected.trailers().unwrap()["grpc-status"], "0", "{way:?}");
            assert_eq!(collected.to_bytes(), "one two", "{way:?}");
        }
        assert_eq!(server.accepted(), 1, "{way:?}");
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

async fn call_text(client: Client, uri: String) -> String {
    text(call(&client, empty(&uri)).await.unwrap()).await
}

#[tokio::test]
async fn shutdown_waits_for_the_body() {
    let gate = Gate::new();
    let server = Server::builder().handler(handlers::hold_body(&gate)).start().await;
    let client = client();
    let response = call(&client, empty(&server.url("/"))).await.unwrap();
    let shutdown = tokio::spawn({
        let client = client.clone();
        async move { client.shutdown(Duration::from_secs(30)).await }
    });
    until(&client, "the lease to end", |stats| stats.leases == 0).await;
    assert!(!shutdown.is_finished());
    gate.open();
    assert_eq!(text(response).await, "first last");
    let done = shutdown.await.unwrap();
    assert_eq!((done.finished, done.left), (1, 0));
}

type AnyBody = UnsyncBoxBody<Bytes, Box<dyn StdError + Send + Sync>>;

/// Answers one request; takes the next one whole, and closes without a byte: the race that keep-alive cannot avoid.
fn race() -> Vec<Step> {
    let mut race = steps::answer_once(answers::ok("one"));
    race.extend([Step::ReadRequest, Step::Close]);
    race
}

#[tokio::test]
async fn a_body_of_one_ready_piece_is_sent_again_and_a_stream_is_not() {
    let single = || {
        let mut body = pieces(1);
        body.length = Some(5);
        body
    };
    let several = || {
        let mut body = pieces(3);
        body.length = Some(15);
        body
    };
    let as_before = |body: Pieces| body.map_err(Into::into).boxed_unsync();
    let bodies: [(_, AnyBody, _); 5] = [
        ("empty", Empty::new().map_err(never).boxed_unsync(), true),
        ("full", Full::from("piece").map_err(never).boxed_unsync(), true),
        // Ready, but only when asked again does it say that this was all.
        ("its end not told", as_before(single()), false),
        ("three of known length", as_before(several()), false),
        ("three", as_before(pieces(3)), false),
    ];
    for (what, body, is_resent) in bodies {
        let server = Script::start([race(), steps::answer_all(answers::ok("two"))]).await;
        let client = client();
        get(&client, &server.url("/")).await;
        let put = request(Method::PUT, &server.url("/"))
            .header("x-own", "kept")
            .body(body);
        let answer = call(&client, put.unwrap()).await;
        assert_eq!(answer.is_ok(), is_resent, "{what}: {answer:?}");
        assert_eq!(client.stats().resends, u64::from(is_resent), "{what}");
    }
}

fn never(never: Infallible) -> Box<dyn StdError + Send + Sync> {
    match never {}
}

#[tokio::test]
async fn a_body_that_fails_is_the_request_s_own_fault_in_its_own_words() {
    let ca = TrustedCa::new();
    for way in Way::ALL {
        let server = way.start(Server::builder(), &ca).await;
        let client = ca.client();
        for (before, length) in [(0, None), (2, None), (0, Some(10)), (1, Some(10))] {
            let mut body = pieces(before);
            body.length = length;
            body.then = Some("the disk is gone");
            let post = request(Method::POST, &url(&server, "/length")).body(body).unwrap();
            let error = call(&client, post).await.unwrap_err();
            assert_eq!(error.kind(), Kind::Request, "{way:?} {before}: {error:?}");
            assert!(
                error.to_string().contains("the disk is gone"),
                "{way:?} {before}: {error}"
            );
        }
        assert_eq!(get(&client, &url(&server, "/")).await, "hello");
    }
}

#[tokio::test]
async fn an_extension_bounds_one_request_head_and_body() {
    let gate = Gate::new();
    let server = Server::builder()
        .handler(move |request: Request<hyper::body::Incoming>| {
            let gate = gate.clone();
            async move {
                if request.uri().path() == "/head" {
                    gate.pass().await;
                }
                handlers::hold_body(&gate)(request).await
            }
        })
        .start()
        .await;
    let client = client();
    let bounded = |path| {
        request(Method::GET, &server.url(path))
            .extension(RequestTimeout(Duration::from_millis(50)))
            .body(Empty::<Bytes>::new())
            .unwrap()
    };
    let error = call(&client, bounded("/head")).await.unwrap_err();
    assert!(error.is_timeout(), "{error}");
    assert!(error.to_string().contains("timed out after 50 ms (timeout)"), "{error}");

    let response = call(&client, bounded("/body")).await.unwrap();
    let error = response.into_body().collect().await.unwrap_err();
    assert!(error.is_timeout(), "{error}");
    assert!(error.to_string().contains("reading the response body"), "{error}");
}

#[tokio::test]
async fn a_body_cut_short_is_an_error_of_ours() {
    let cut = vec![Step::ReadRequest, Step::write(answers::cut(10, "half")), Step::Fin];
    let server = Script::start([cut]).await;
    let response = call(&client(), empty(&server.url("/cut?secret"))).await.unwrap();
    let error = response.into_body().collect().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Body);
    assert!(
        error.to_string().starts_with(&format!("GET {}: ", server.url("/cut"))),
        "{error}"
    );
}

#[tokio::test]
async fn a_proxy_variable_that_applies_fails_the_request_on_this_door_too() {
    let environment = Environment::empty().with("HTTP_PROXY", "http://proxy:3128");
    let config = Config::builder().env(&environment).load().unwrap();
    let registry = Registry::builder().config(config).build().unwrap();
    let client = registry.client("default").unwrap();
    let error = call(&client, empty("http://collector.example/")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Proxy);
    assert!(error.to_string().contains("HTTP_PROXY"), "{error}");
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
    let client = Client::new(ClientConfig::default().max_idle_per_host(4)).unwrap();
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
    let mut config = ClientConfig::default();
    config.profile_mut().transport.http2.prior_knowledge = true;
    let mut channel = is_a_channel(Client::new(config).unwrap());
    let body = Full::<Bytes>::from("message").boxed_unsync();
    let call = request(Method::POST, &server.url("/package.Service/Method")).header(TE, "trailers");
    let response = channel.call(call.body(body).unwrap()).await.unwrap();
    assert_eq!(text(response).await, "message");
}
