//! The flows of the crate `oauth2` on a client.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::header::LOCATION;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use httputil::{Client, ClientConfig, Kind};
use httputil_tests::script::{Script, Step};
use httputil_tests::server::handlers::{self, Echoed};
use httputil_tests::server::{Reply, ReplyBody, Server};
use httputil_tests::tcp::ClosedPort;
use httputil_tests::{PATIENCE, within};
use hyper::body::Incoming;
use oauth2::basic::{BasicClient, BasicErrorResponseType, BasicRequestTokenError};
use oauth2::{
    AuthorizationCode, ClientId, ClientSecret, DeviceAuthorizationUrl, EndpointNotSet, EndpointSet, RefreshToken,
    StandardDeviceAuthorizationResponse, TokenResponse as _, TokenUrl,
};

type Flow = BasicClient<EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointSet>;
type Failure = BasicRequestTokenError<httputil::Error>;

fn flow(token_url: impl Into<String>) -> Flow {
    BasicClient::new(ClientId::new("storage".to_owned()))
        .set_client_secret(ClientSecret::new("canary".to_owned()))
        .set_token_uri(TokenUrl::new(token_url.into()).unwrap())
}

fn code() -> AuthorizationCode {
    AuthorizationCode::new("a code".to_owned())
}

/// A profile that would have any POST sent twice.
fn retrying_posts() -> ClientConfig {
    let mut settings = ClientConfig::default().retry_backoff(Duration::from_millis(1), Duration::from_millis(1));
    settings.profile_mut().policy.retry.methods = vec!["POST".to_owned()];
    settings
}

/// An authorization server that says these, one after another, and remembers what it was asked.
async fn issuer(says: impl IntoIterator<Item = (u16, &'static str)>) -> (Server, Arc<Mutex<Vec<Echoed>>>) {
    let asked = Arc::<Mutex<Vec<Echoed>>>::default();
    let says = Arc::new(Mutex::new(says.into_iter().collect::<std::collections::VecDeque<_>>()));
    let of_handler = Arc::clone(&asked);
    let handler = move |request: Request<Incoming>| {
        let (asked, says) = (Arc::clone(&of_handler), Arc::clone(&says));
        async move {
            let echo = handlers::echo(request).await.into_body().collect().await.unwrap();
            asked
                .lock()
                .unwrap()
                .push(serde_json::from_slice(&echo.to_bytes()).unwrap());
            let (status, body) = says.lock().unwrap().pop_front().expect("it is not asked any more");
            json(status, body)
        }
    };
    (Server::builder().handler(handler).start().await, asked)
}

fn json(status: u16, body: &'static str) -> Reply {
    let answer = Response::builder()
        .status(status)
        .header("content-type", "application/json");
    answer.body(ReplyBody::new(Full::from(body))).unwrap()
}

const TOKEN: (u16, &str) = (
    200,
    r#"{"access_token":"t1","token_type":"Bearer","expires_in":3600,"refresh_token":"r1"}"#,
);

#[tokio::test]
async fn a_code_is_exchanged_and_a_token_refreshed_over_the_client_s_pool() {
    let (server, asked) = issuer([TOKEN, TOKEN]).await;
    let client = Client::new(ClientConfig::default()).unwrap();
    let (flow, http) = (flow(server.url("/token")), client.to_oauth2());
    let token = flow.exchange_code(code()).request_async(&http).await.unwrap();
    assert_eq!(token.access_token().secret(), "t1");
    let refresh: &RefreshToken = token.refresh_token().unwrap();
    flow.exchange_refresh_token(refresh).request_async(&http).await.unwrap();

    let asked = asked.lock().unwrap();
    let bodies: Vec<_> = asked.iter().map(|asked| asked.body.as_str()).collect();
    assert_eq!(
        bodies,
        [
            "grant_type=authorization_code&code=a+code",
            "grant_type=refresh_token&refresh_token=r1"
        ]
    );
    for asked in asked.iter() {
        assert_eq!(asked.header("authorization"), Some("Basic c3RvcmFnZTpjYW5hcnk="));
        assert_eq!(asked.header("accept"), Some("application/json"));
    }
    assert_eq!((server.accepted(), client.stats().requests), (1, 2));
}

#[tokio::test]
async fn a_device_is_asked_for_until_its_user_has_agreed() {
    let device = r#"{"device_code":"d","user_code":"U","verification_uri":"https://login.example","expires_in":600}"#;
    let pending = (400, r#"{"error":"authorization_pending"}"#);
    let (server, asked) = issuer([(200, device), pending, pending, TOKEN]).await;
    let client = Client::new(ClientConfig::default()).unwrap().to_oauth2();
    let flow = flow(server.url("/token"))
        .set_device_authorization_url(DeviceAuthorizationUrl::new(server.url("/device")).unwrap());
    let details: StandardDeviceAuthorizationResponse =
        flow.exchange_device_code().request_async(&client).await.unwrap();
    let polling = flow.exchange_device_access_token(&details);
    let token = within(
        PATIENCE,
        polling.request_async(&client, |_| std::future::ready(()), None),
    );
    assert_eq!(token.await.unwrap().access_token().secret(), "t1");
    assert_eq!(asked.lock().unwrap().len(), 4);
}

#[tokio::test]
async fn what_the_server_says_of_a_failure_is_the_flow_s_answer_and_is_asked_once() {
    let said = r#"{"error":"invalid_grant","error_description":"the code was used"}"#;
    let (server, _) = issuer([(400, said), (503, "{}")]).await;
    let client = Client::new(retrying_posts()).unwrap();
    let flow = flow(server.url("/token"));
    let error = flow
        .exchange_code(code())
        .request_async(&client.to_oauth2())
        .await
        .unwrap_err();
    let Failure::ServerResponse(said) = error else {
        panic!("{error:?}");
    };
    assert_eq!(said.error(), &BasicErrorResponseType::InvalidGrant);
    assert_eq!(said.error_description().unwrap(), "the code was used");
    let error = flow
        .exchange_code(code())
        .request_async(&client.to_oauth2())
        .await
        .unwrap_err();
    assert!(matches!(error, Failure::Parse(..)), "{error:?}");
    assert_eq!((server.requests(), client.stats().retries), (2, 0));
}

#[tokio::test]
async fn a_redirect_takes_neither_code_nor_secret_along() {
    let (elsewhere, asked) = issuer([]).await;
    let to = HeaderValue::from_str(&elsewhere.url("/token")).unwrap();
    let handler = move |_| {
        let mut reply = handlers::status(StatusCode::TEMPORARY_REDIRECT);
        reply.headers_mut().insert(LOCATION, to.clone());
        std::future::ready(reply)
    };
    let server = Server::builder().handler(handler).start().await;
    let client = Client::new(ClientConfig::default()).unwrap().to_oauth2();
    let flow = flow(server.url("/token"));
    let error = flow.exchange_code(code()).request_async(&client).await.unwrap_err();
    assert!(matches!(error, Failure::Other(_)), "{error:?}");
    assert_eq!((server.requests(), asked.lock().unwrap().len()), (1, 0));
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_not_held() {
    for (settings, at_most) in [
        (ClientConfig::default(), 1 << 20),
        (ClientConfig::default().max_response_bytes(1000), 1000),
    ] {
        let script = Script::start([vec![
            Step::ReadRequest,
            Step::write(format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{}",
                at_most + 1,
                " ".repeat(at_most + 1)
            )),
        ]])
        .await;
        let client = Client::new(settings).unwrap().to_oauth2();
        let flow = flow(script.url("/token"));
        let error = flow.exchange_code(code()).request_async(&client).await.unwrap_err();
        let Failure::Request(error) = error else {
            panic!("{error:?}");
        };
        assert_eq!(error.kind(), Kind::TooLarge, "{error}");
        assert!(error.to_string().contains(&at_most.to_string()), "{error}");
    }
}

#[tokio::test]
async fn a_code_is_sent_again_only_where_nobody_can_have_seen_it() {
    // Read, and no answer: it may be used up.
    let script = Script::start([vec![Step::ReadRequest, Step::Fin], vec![Step::ReadRequest, Step::Fin]]).await;
    let client = Client::new(retrying_posts()).unwrap();
    let seen = flow(script.url("/token"));
    let seen = seen.exchange_code(code()).request_async(&client.to_oauth2()).await;
    let Failure::Request(error) = seen.unwrap_err() else {
        panic!("the exchange broke off")
    };
    assert_eq!(error.kind(), Kind::Connection, "{error}");
    assert_eq!((script.accepted(), client.stats().retries), (1, 0));

    let gone = ClosedPort::new();
    let unseen = flow(format!("http://{}/token", gone.addr()));
    let unseen = unseen.exchange_code(code()).request_async(&client.to_oauth2()).await;
    let Failure::Request(error) = unseen.unwrap_err() else {
        panic!("nobody answers")
    };
    assert_eq!(error.kind(), Kind::Connect, "{error}");
    assert_eq!(client.stats().retries, 2);
    assert!(!format!("{error:?}").contains("canary"));
}
