//! Peers that never let a request through get a bounded number of tries.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use h2::Reason;
use http::header::LOCATION;
use httputil::{Client, ClientConfig, Kind};
use httputil_tests::gate::Gate;
use httputil_tests::h2_script::{H2Script, Last, Step as H2Step};
use httputil_tests::one_attempt;
use httputil_tests::script::{Script, Step, answers, steps};
use httputil_tests::server::{Server, handlers};
use reqwest::{Method, StatusCode};

use crate::common::{TrustedCa, Way, assert_at_rest, client, get, url};

/// The first send of a request, and four more of what the server has certainly not processed.
const SENDS: usize = 5;

fn h2_client() -> Client {
    Client::new(one_attempt().http2_prior_knowledge(true)).unwrap()
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
async fn all_attempts_of_a_request_and_their_hedges_share_the_four_resends() {
    // Attempts, and the sends that they come to: each attempt and its hedge once, and four more.
    for (attempts, sends) in [(1, 6..=6), (3, 8..=10)] {
        let gate = Gate::new();
        let held = gate.clone();
        let server = H2Script::builder()
            .on_stream(move |_| vec![H2Step::Hold(held.clone()), H2Step::RstStream(Reason::REFUSED_STREAM)])
            .start()
            .await;
        let config = ClientConfig::default()
            .no_breaker()
            .http2_prior_knowledge(true)
            .max_attempts(attempts)
            .retry_budget(1.0, 1000)
            .retry_backoff(Duration::from_millis(1), Duration::from_millis(1))
            .hedge_after(Duration::from_millis(1));
        let client = Client::new(config).unwrap();
        let request = tokio::spawn(client.get(server.url("/")).send());
        // The first one and its hedge, and then each that is refused again.
        for arrived in 2..=6 {
            gate.arrived(arrived).await;
            gate.let_through(1);
        }
        gate.open();
        let error = request.await.unwrap().unwrap_err();
        assert!(error.is_retryable(), "the server has not processed it: {error}");
        assert!(sends.contains(&server.requests()), "{attempts}: {}", server.requests());
        assert_eq!(client.stats().resends, 4, "{attempts}");
        assert_at_rest(&client).await;
    }
}

#[tokio::test]
async fn a_redirect_gives_a_request_no_resends_beyond_its_own() {
    let came = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&came);
    let server = Server::builder()
        .handler(move |request: http::Request<hyper::body::Incoming>| {
            let path = request.uri().path().to_owned();
            noted.lock().unwrap().push(path.clone());
            let is_first = noted.lock().unwrap().len() == 1;
            async move {
                if path == "/there" || is_first {
                    return handlers::status(StatusCode::MISDIRECTED_REQUEST);
                }
                let mut answer = handlers::status(StatusCode::FOUND);
                answer.headers_mut().insert(LOCATION, "/there".parse().unwrap());
                answer
            }
        })
        .start()
        .await;
    let client = client();
    let answer = client.get(server.url("/here")).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::MISDIRECTED_REQUEST);
    // Misdirected before the hop, it is sent again once; behind it no more.
    assert_eq!(*came.lock().unwrap(), ["/here", "/here", "/there"]);
    drop(answer);
    assert_at_rest(&client).await;
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

#[tokio::test]
async fn a_peer_that_complains_is_left_in_peace_for_a_moment() {
    let goaway = H2Step::GoAway(Last::Id(0), Reason::ENHANCE_YOUR_CALM);
    let reset = H2Step::RstStream(Reason::ENHANCE_YOUR_CALM);
    for (method, complaint) in [Method::GET, Method::POST]
        .into_iter()
        .flat_map(|method| [(method.clone(), goaway.clone()), (method, reset.clone())])
    {
        let is_goaway = matches!(complaint, H2Step::GoAway(..));
        let server = H2Script::builder()
            .on_stream(move |stream| match stream.overall {
                0 => vec![complaint.clone()],
                _ => vec![H2Step::Echo],
            })
            .start()
            .await;
        let client = h2_client();
        let began = Instant::now();
        let sent = client.request(method.clone(), server.url("/")).body("").send().await;
        if method == Method::GET {
            assert!(sent.is_ok(), "{sent:?}");
            assert!(began.elapsed() >= Duration::from_millis(90), "{:?}", began.elapsed());
        } else {
            // To send it again is up to whoever knows that it may be.
            let error = sent.unwrap_err();
            assert_eq!((error.attempts(), error.is_retryable()), (1, is_goaway), "{error}");
        }
        drop(client);
    }
}

#[tokio::test]
async fn a_misdirected_request_is_sent_again_once_and_on_another_connection() {
    let ca = TrustedCa::new();
    for (misdirected, status, asked) in [(1, 200, 2), (usize::MAX, 421, 2)] {
        let asked_so_far = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&asked_so_far);
        let handler = move |_| {
            let nth = counter.fetch_add(1, Ordering::SeqCst);
            let code = if nth < misdirected { 421 } else { 200 };
            async move { handlers::status(StatusCode::from_u16(code).unwrap()) }
        };
        let server = Way::H2Tls.start(Server::builder().handler(handler), &ca).await;
        let client = ca.client();
        let answer = client.post(url(&server, "/")).body("order").send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status);
        assert_eq!(asked_so_far.load(Ordering::SeqCst), asked);
        assert_eq!(server.accepted(), 2, "on a new connection");
        drop(answer);
        assert_at_rest(&client).await;
    }
}
