//! A client as `tonic` generates them, on a client of ours, and `tonic`'s own server side behind the kit's.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use http::Uri;
use http::uri::PathAndQuery;
use http_body_util::BodyExt as _;
use httputil::{Client, ClientConfig, Error, Kind, RequestOptions};
use httputil_tests::ca::Ca;
use httputil_tests::gate::Gate;
use httputil_tests::server::{Reply, ReplyBody, Server};
use httputil_tests::tcp::ClosedPort;
use httputil_tests::tls::{Alpn, ServerTls};
use httputil_tests::{PATIENCE, one_attempt, within};
use hyper::body::Incoming;
use tokio::sync::mpsc;
use tonic::body::Body;
use tonic::client::GrpcService;
use tonic::metadata::MetadataMap;
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;
use tower::{ServiceBuilder, service_fn};

/// The one message.
#[derive(Clone, PartialEq, prost::Message)]
struct Word {
    #[prost(string, tag = "1")]
    text: String,
}

fn word(text: impl Into<String>) -> Word {
    Word { text: text.into() }
}

/// `service Talk { rpc Say(Word) returns (Word); rpc Count(Word) returns (stream Word); rpc Chat(stream Word) returns (stream
/// Word); }`, as `tonic` generates its client.
#[derive(Clone)]
struct TalkClient<T> {
    inner: tonic::client::Grpc<T>,
}

type Codec = ProstCodec<Word, Word>;
type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl<T> TalkClient<T>
where
    T: GrpcService<Body>,
    T::ResponseBody: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    <T::ResponseBody as http_body::Body>::Error: Into<BoxError> + Send,
{
    fn with_origin(inner: T, origin: &str) -> Self {
        let inner = tonic::client::Grpc::with_origin(inner, origin.parse::<Uri>().unwrap());
        TalkClient { inner }
    }

    async fn ready(&mut self) -> Result<(), Status> {
        let ready = self.inner.ready().await;
        ready.map_err(|error| Status::from_error(error.into()))
    }

    async fn say(&mut self, request: Request<Word>) -> Result<Response<Word>, Status> {
        self.ready().await?;
        let path = PathAndQuery::from_static("/test.Talk/Say");
        self.inner.unary(request, path, Codec::default()).await
    }

    async fn count(&mut self, request: Request<Word>) -> Result<Response<Streaming<Word>>, Status> {
        self.ready().await?;
        let path = PathAndQuery::from_static("/test.Talk/Count");
        self.inner.server_streaming(request, path, Codec::default()).await
    }

    async fn chat<S>(&mut self, request: Request<S>) -> Result<Response<Streaming<Word>>, Status>
    where
        S: Stream<Item = Word> + Send + 'static,
    {
        self.ready().await?;
        let path = PathAndQuery::from_static("/test.Talk/Chat");
        self.inner.streaming(request, path, Codec::default()).await
    }
}

/// What is sent into the other end comes out.
struct Received<T>(mpsc::Receiver<T>);

impl<T> Stream for Received<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.0.poll_recv(cx)
    }
}

/// Answers, each message as the gate lets it through.
async fn talk(gate: Gate, request: http::Request<Incoming>) -> Reply {
    assert_eq!(request.headers()["te"], "trailers");
    assert_eq!(request.version(), http::Version::HTTP_2);
    let mut server = tonic::server::Grpc::new(Codec::default());
    let answer = match request.uri().path() {
        "/test.Talk/Say" => {
            server
                .unary(service_fn(move |said| say(gate.clone(), said)), request)
                .await
        }
        "/test.Talk/Count" => {
            let count = service_fn(move |asked| std::future::ready(Ok(count(gate.clone(), &asked))));
            server.server_streaming(count, request).await
        }
        "/test.Talk/Chat" => {
            let chat = service_fn(|said| std::future::ready(Ok::<_, Status>(chat(said))));
            server.streaming(chat, request).await
        }
        other => panic!("{other}"),
    };
    answer.map(|body| ReplyBody::new(body.map_err(|status| unreachable!("failures are trailers: {status}"))))
}

async fn say(gate: Gate, request: Request<Word>) -> Result<Response<Word>, Status> {
    gate.pass().await;
    let who = request.metadata().get("x-who").cloned();
    let said = request.into_inner().text;
    if said == "fail" {
        let mut metadata = MetadataMap::new();
        metadata.insert("x-why", "because".parse().unwrap());
        return Err(Status::with_metadata(
            Code::FailedPrecondition,
            "not now: ünï",
            metadata,
        ));
    }
    let mut response = Response::new(word(format!("you said {said}")));
    if let Some(who) = who {
        response.metadata_mut().insert("x-who", who);
    }
    Ok(response)
}

type Words = Received<Result<Word, Status>>;

fn count(gate: Gate, request: &Request<Word>) -> Response<Words> {
    let ends_badly = request.get_ref().text == "fail";
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        for number in ["one", "two"] {
            gate.pass().await;
            if sender.send(Ok(word(number))).await.is_err() {
                return;
            }
        }
        if ends_badly {
            let mut metadata = MetadataMap::new();
            metadata.insert("x-why", "because".parse().unwrap());
            let lost = Status::with_metadata(Code::DataLoss, "three is lost", metadata);
            let _ = sender.send(Err(lost)).await;
        }
    });
    Response::new(Received(receiver))
}

fn chat(request: Request<Streaming<Word>>) -> Response<Words> {
    let mut said = request.into_inner();
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        while let Some(said) = said.message().await.unwrap() {
            let _ = sender.send(Ok(word(format!("you said {}", said.text)))).await;
        }
    });
    Response::new(Received(receiver))
}

/// Over plain TCP with prior knowledge.
async fn plain(gate: &Gate) -> Server {
    let gate = gate.clone();
    let server = Server::builder().h2();
    server.handler(move |request| talk(gate.clone(), request)).start().await
}

/// And a client of such servers, which makes one attempt.
fn plain_client() -> Client {
    Client::new(one_attempt().http2_prior_knowledge(true)).unwrap()
}

fn opened() -> Gate {
    let gate = Gate::new();
    gate.open();
    gate
}

#[tokio::test]
async fn calls_share_a_connection_in_plain_and_in_tls() {
    let (ca, gate) = (Ca::new(), opened());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, ca.pem()).unwrap();
    let tls = ServerTls::new(ca.issue(["127.0.0.1"])).alpn(Alpn::H2).build();
    let of_handler = gate.clone();
    let handler = move |request| talk(of_handler.clone(), request);
    let secure = Server::builder().tls(tls).handler(handler).start().await;
    for (server, is_plain) in [(plain(&gate).await, true), (secure, false)] {
        let mut settings = ClientConfig::default().http2_prior_knowledge(is_plain);
        settings.profile_mut().transport.tls.ca_file = Some(file.clone());
        let client = Client::new(settings).unwrap();
        let mut talk = TalkClient::with_origin(client.clone(), &server.url(""));
        for number in 0..10 {
            let mut request = Request::new(word(format!("word {number}")));
            request.metadata_mut().insert("x-who", "we".parse().unwrap());
            let response = within(PATIENCE, talk.say(request)).await.unwrap();
            assert_eq!(response.metadata().get("x-who").unwrap(), "we");
            // In a trailer, which the answer's metadata has, too.
            assert_eq!(response.metadata().get("grpc-status").unwrap(), "0");
            assert_eq!(response.into_inner().text, format!("you said word {number}"));
        }
        assert_eq!((server.accepted(), client.stats().dialled), (1, 1));
    }
}

#[tokio::test]
async fn messages_come_one_by_one_and_the_status_behind_them() {
    let gate = Gate::new();
    let server = plain(&gate).await;
    for (asked, end) in [("well", Ok(())), ("fail", Err(Code::DataLoss))] {
        let mut talk = TalkClient::with_origin(plain_client(), &server.url(""));
        let mut words = within(PATIENCE, talk.count(Request::new(word(asked))))
            .await
            .unwrap()
            .into_inner();
        for number in ["one", "two"] {
            // The server holds the next one back until this one was read.
            gate.arrived(1).await;
            gate.let_through(1);
            let got = within(PATIENCE, words.message()).await.unwrap().unwrap();
            assert_eq!(got.text, number);
        }
        match (within(PATIENCE, words.message()).await, end) {
            (Ok(None), Ok(())) => {
                let trailers = words.trailers().await.unwrap().unwrap();
                assert!(trailers.get("x-why").is_none());
            }
            (Err(status), Err(code)) => {
                assert_eq!((status.code(), status.message()), (code, "three is lost"));
                assert_eq!(status.metadata().get("x-why").unwrap(), "because");
            }
            (other, _) => panic!("{asked}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_refusal_is_the_server_s_own_status() {
    let server = plain(&opened()).await;
    let client = Client::new(ClientConfig::default().http2_prior_knowledge(true)).unwrap();
    let mut talk = TalkClient::with_origin(client.clone(), &server.url(""));
    let status = within(PATIENCE, talk.say(Request::new(word("fail"))))
        .await
        .unwrap_err();
    assert_eq!(
        (status.code(), status.message()),
        (Code::FailedPrecondition, "not now: ünï")
    );
    assert_eq!(status.metadata().get("x-why").unwrap(), "because");
    assert_eq!((server.requests(), client.stats().retries), (1, 0));
}

#[tokio::test]
async fn both_sides_stream_at_once() {
    let server = plain(&opened()).await;
    let mut talk = TalkClient::with_origin(plain_client(), &server.url(""));
    let (says, said) = mpsc::channel(1);
    let answers = within(PATIENCE, talk.chat(Request::new(Received(said)))).await;
    let mut answers = answers.unwrap().into_inner();
    for number in 0..20 {
        says.send(word(format!("word {number}"))).await.unwrap();
        let answer = within(PATIENCE, answers.message()).await.unwrap().unwrap();
        assert_eq!(answer.text, format!("you said word {number}"));
    }
    drop(says);
    assert_eq!(within(PATIENCE, answers.message()).await.unwrap(), None);
}

#[tokio::test]
async fn a_stream_that_is_dropped_is_reset_and_its_connection_serves_on() {
    let gate = Gate::new();
    let server = plain(&gate).await;
    let client = plain_client();
    let mut talk = TalkClient::with_origin(client.clone(), &server.url(""));
    let words = within(PATIENCE, talk.count(Request::new(word("well")))).await.unwrap();
    gate.arrived(1).await;
    drop(words);
    server.until("no answer under way", |seen| seen.in_flight == 0).await;
    gate.open();
    let said = within(PATIENCE, talk.say(Request::new(word("still there"))))
        .await
        .unwrap();
    assert_eq!(said.into_inner().text, "you said still there");
    assert_eq!((server.accepted(), client.stats().dialled), (1, 1));
}

/// As the documentation has it.
fn to_status(error: Error) -> Status {
    let code = match error.kind() {
        Kind::Timeout { .. } => Code::DeadlineExceeded,
        Kind::BreakerOpen { .. } | Kind::Stopped | Kind::Dns | Kind::Connect | Kind::Tls | Kind::Proxy => {
            Code::Unavailable
        }
        Kind::LimitExceeded => Code::ResourceExhausted,
        _ => Code::Unknown,
    };
    let mut status = Status::new(code, error.to_string());
    status.set_source(Arc::new(error));
    status
}

#[tokio::test]
async fn what_is_no_answer_has_a_code_and_our_error_behind_it() {
    let gate = Gate::new();
    let (server, gone) = (plain(&gate).await, ClosedPort::new());
    let client = plain_client();
    let told = ServiceBuilder::new().map_err(to_status).service(client.clone());
    let mut refused = TalkClient::with_origin(told.clone(), &format!("http://{}", gone.addr()));
    let status = within(PATIENCE, refused.say(Request::new(word("hello"))))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status}");
    assert_eq!(Error::of(&status).unwrap().kind(), Kind::Connect);

    // A bound of one call's own, for a server that hangs.
    let mut talk = TalkClient::with_origin(told, &server.url(""));
    let mut request = Request::new(word("hello"));
    let bound = RequestOptions::default().timeout(Duration::from_millis(50));
    request.extensions_mut().insert(bound);
    let status = within(PATIENCE, talk.say(request)).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
    assert!(Error::of(&status).unwrap().is_timeout());

    client.stop();
    let status = within(PATIENCE, talk.say(Request::new(word("hello"))))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status}");
    assert_eq!(Error::of(&status).unwrap().kind(), Kind::Stopped);
}

#[tokio::test]
async fn without_a_place_of_its_own_a_call_goes_to_the_profile_s() {
    let server = plain(&opened()).await;
    let client = Client::new(one_attempt().http2_prior_knowledge(true).base_url(server.url("/"))).unwrap();
    let inner = tonic::client::Grpc::new(client);
    let said = within(PATIENCE, TalkClient { inner }.say(Request::new(word("here"))))
        .await
        .unwrap();
    assert_eq!(said.into_inner().text, "you said here");
}
