//! Peers that never let a request through get a bounded number of tries.

use h2::Reason;
use httputil::{Client, ClientConfig, Kind};
use httputil_tests::h2_script::{H2Script, Last, Step as H2Step};
use httputil_tests::script::{Script, Step, answers, steps};
use reqwest::Method;

use crate::common::{assert_at_rest, client, get};

/// The first send of a request, and four more of what the server has certainly not processed.
const SENDS: usize = 5;

fn h2_client() -> Client {
    Client::new(ClientConfig::default().http2_prior_knowledge(true)).unwrap()
}

#[tokio::test]
async fn a_peer_that_takes_a_request_and_closes_gets_it_once_on_a_new_connection_and_twice_if_the_first_was_used() {
    for (used, sends) in [(false, 1), (true, 2)] {
        let mut first = Vec::new();
        if used {
            first = steps::answer_once(answers::ok("one"));
        }
        first.extend([Step::ReadRequest, Step::Close]);
        let server = Script::start([first, vec![Step::ReadRequest, Step::Close]]).await;
        let client = client();
        if used {
            get(&client, &server.url("/")).await;
        }
        let error = client.get(server.url("/")).send().await.unwrap_err();
        assert_eq!((error.kind(), error.attempts()), (Kind::Connection, sends), "{error}");
        assert_eq!(server.requests(), usize::from(used) + sends as usize);
        assert_at_rest(&client).await;
    }
}

#[tokio::test]
async fn a_peer_that_accepts_and_closes_gets_no_more_than_five_connections_a_request() {
    for end in [Step::Close, Step::Reset] {
        let server = Script::start([vec![end]]).await;
        let client = client();
        for request in 1..=20 {
            let error = client.get(server.url("/")).send().await.unwrap_err();
            assert_eq!(error.kind(), Kind::Connection, "{error}");
            assert!(error.attempts() as usize <= SENDS, "{error:?}");
            assert!(
                server.accepted() <= request * SENDS,
                "{} connections",
                server.accepted()
            );
        }
        assert_at_rest(&client).await;
    }
}

#[tokio::test]
async fn a_peer_that_refuses_every_stream_gets_five() {
    for method in [Method::GET, Method::POST] {
        let server = H2Script::builder()
            .on_stream(|_| vec![H2Step::RstStream(Reason::REFUSED_STREAM)])
            .start()
            .await;
        let client = h2_client();
        let request = client.request(method, server.url("/")).body("a body");
        let error = request.send().await.unwrap_err();
        assert_eq!(error.attempts() as usize, SENDS, "{error:?}");
        assert_eq!(server.requests(), SENDS);
        assert!(error.is_retryable(), "the server has not processed it");
        assert_at_rest(&client).await;
    }
}

#[tokio::test]
async fn a_peer_that_says_goaway_zero_each_time_gets_five_connections() {
    for method in [Method::GET, Method::POST] {
        let server = H2Script::builder()
            .on_stream(|_| vec![H2Step::GoAway(Last::Id(0), Reason::NO_ERROR)])
            .start()
            .await;
        let client = h2_client();
        let request = client.request(method, server.url("/")).body("a body");
        let error = request.send().await.unwrap_err();
        assert_eq!(error.attempts() as usize, SENDS, "{error:?}");
        assert_eq!((server.accepted(), server.requests()), (SENDS, SENDS));
        assert!(error.is_retryable(), "the server has not processed it");
        assert_at_rest(&client).await;
    }
}
