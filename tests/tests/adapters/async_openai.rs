//! `async-openai` on a client, by the lines that the documentation shows.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_openai::config::OpenAIConfig;
use async_openai::error::OpenAIError;
use async_openai::middleware::HttpRequestFactory;
use async_openai::types::chat::{
    ChatCompletionRequestUserMessageArgs, CreateChatCompletionRequest, CreateChatCompletionRequestArgs,
};
use futures_core::Stream;
use http::StatusCode;
use httputil::{Client, ClientConfig, Error, Kind, RequestOptions};
use httputil_tests::gate::Gate;
use httputil_tests::script::{Script, Step};
use httputil_tests::server::{Server, handlers};
use httputil_tests::tcp::ClosedPort;
use httputil_tests::{PATIENCE, within};
use tower::service_fn;

fn openai(client: Client, url: &str) -> async_openai::Client<OpenAIConfig> {
    let service = service_fn(move |factory: HttpRequestFactory| {
        let client = client.clone();
        async move {
            let request = factory.build().await?;
            let options = RequestOptions::default().idempotent(true);
            let answer = client.execute_with(request, options).await;
            answer.map_err(|error| OpenAIError::Boxed(error.into()))
        }
    });
    let config = OpenAIConfig::new().with_api_base(url).with_api_key("a key");
    let unused = reqwest::Client::builder().no_proxy().build().unwrap();
    async_openai::Client::build(unused, config).with_http_service(service)
}

fn prompt() -> CreateChatCompletionRequest {
    let message = ChatCompletionRequestUserMessageArgs::default()
        .content("hello")
        .build()
        .unwrap();
    CreateChatCompletionRequestArgs::default()
        .model("echo")
        .messages([message.into()])
        .build()
        .unwrap()
}

async fn next<S: Stream + ?Sized>(stream: &mut Pin<Box<S>>) -> Option<S::Item> {
    within(PATIENCE, std::future::poll_fn(|cx| stream.as_mut().poll_next(cx))).await
}

fn chunk(text: &str) -> String {
    format!(
        r#"data: {{"id":"1","object":"chat.completion.chunk","created":1,"model":"echo","choices":[{{"index":0,"delta":{{"content":"{text}"}},"finish_reason":null}}]}}"#
    )
}

#[tokio::test]
async fn a_prompt_goes_over_the_client_s_pool_and_is_retried_by_its_profile_alone() {
    let answer = r#"{"id":"1","object":"chat.completion","created":1,"model":"echo","choices":[
        {"index":0,"message":{"role":"assistant","content":"hello yourself"},"finish_reason":"stop","logprobs":null}]}"#;
    let asked = Arc::new(AtomicUsize::new(0));
    let handler = move |request: http::Request<hyper::body::Incoming>| {
        let is_known = request.headers()["authorization"] == "Bearer a key";
        std::future::ready(match (is_known, asked.fetch_add(1, Ordering::SeqCst)) {
            (false, _) => handlers::status(StatusCode::UNAUTHORIZED),
            (true, 0) => handlers::status(StatusCode::TOO_EARLY),
            (true, 1..=4) => handlers::full(answer),
            _ => handlers::status(StatusCode::INTERNAL_SERVER_ERROR),
        })
    };
    let server = Server::builder().handler(handler).start().await;
    let client = Client::new(ClientConfig::default()).unwrap();
    let openai = openai(client.clone(), &server.url("/v1"));
    for _ in 0..4 {
        let answer = openai.chat().create(prompt()).await.unwrap();
        assert_eq!(answer.choices[0].message.content.as_deref(), Some("hello yourself"));
    }
    assert_eq!((server.requests(), client.stats().retries), (5, 1));
    assert_eq!(server.accepted(), 1);
    // Its own retries, which a 500 would get, are out.
    openai.chat().create(prompt()).await.unwrap_err();
    assert_eq!(server.requests(), 6);
}

#[tokio::test]
async fn a_stream_comes_piece_by_piece_and_is_abandoned_when_it_is_dropped() {
    let (first, second) = (Gate::new(), Gate::new());
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
    let script = Script::start([vec![
        Step::ReadRequest,
        Step::write(format!("{head}{}\n\n", chunk("You "))),
        Step::Hold(first.clone()),
        Step::write(format!("{}\n\n", chunk("said"))),
        Step::Hold(second.clone()),
        Step::Stall,
    ]])
    .await;
    let client = Client::new(ClientConfig::default()).unwrap();
    let openai = openai(client, &script.url("/v1"));
    let mut answer = openai.chat().create_stream(prompt()).await.unwrap();
    for (piece, gate) in [("You ", &first), ("said", &second)] {
        let got = next(&mut answer).await.unwrap().unwrap();
        assert_eq!(got.choices[0].delta.content.as_deref(), Some(piece));
        // The server has said no more, and waits.
        gate.arrived(1).await;
        gate.open();
    }
    drop(answer);
    script.until_open(0).await;
}

#[tokio::test]
async fn what_fails_here_is_found_behind_its_error() {
    let gone = ClosedPort::new();
    let client = Client::new(ClientConfig::default().max_attempts(1)).unwrap();
    let openai = openai(client, &format!("http://{}/v1", gone.addr()));
    let error = openai.chat().create(prompt()).await.unwrap_err();
    let OpenAIError::Boxed(error) = error else {
        panic!("{error:?}")
    };
    assert_eq!(error.downcast_ref::<Error>().unwrap().kind(), Kind::Connect);
}
