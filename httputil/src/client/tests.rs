//! Time, over streams in memory and with the clock paused: what is due is seen at the very instant.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body_util::{BodyExt, Full};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;
use tower_service::Service;

use super::{Client, memory};
use crate::connect::Dialer;
use crate::error::{Error, Kind, Phase};
use crate::settings::{ClientConfig, Environment, PhaseBound, Profile};
use crate::wire::CloseReason;

/// A client whose server lives in the same process and answers every request at once, except those to `/never`; `open`
/// counts the server's connections.
fn client(profile: Profile) -> (Client, Arc<AtomicUsize>) {
    let open = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&open);
    let dialer = Dialer::Memory(Arc::new(move |_| {
        let (ours, theirs) = tokio::io::duplex(64 << 10);
        let counted = Arc::clone(&counted);
        tokio::spawn(async move {
            counted.fetch_add(1, Ordering::SeqCst);
            let service = service_fn(|request: http::Request<hyper::body::Incoming>| async move {
                if request.uri().path() == "/never" {
                    std::future::pending::<()>().await;
                }
                let length = request.uri().path().trim_start_matches('/').parse().unwrap_or(2);
                Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(vec![b'x'; length]))))
            });
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(theirs), service)
                .await;
            counted.fetch_sub(1, Ordering::SeqCst);
        });
        ours
    }));
    (memory::over(profile, dialer), open)
}

async fn get(client: &Client, path: &str) -> usize {
    let response = client.get(format!("http://server{path}")).send().await.unwrap();
    response.bytes().await.unwrap().len()
}

/// Lets every task that can run do so, without moving the clock.
async fn settled() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

#[test]
fn unverified_certificates_are_refused_in_code_as_in_a_file_and_told_in_the_statistics() {
    let mut config = ClientConfig::default();
    config.profile_mut().transport.tls.insecure_skip_verify = true;
    let made = |environment: Environment| Client::new_in(config.clone(), &environment);
    let refused = |environment| made(environment).unwrap_err().to_string();
    let named = |name| Environment::empty().with("HTTPUTIL_ENV", name);
    for (environment, is) in [
        (Environment::empty(), "it is not set"),
        (named(""), "it is not set"),
        (named("production"), "it is production"),
        (named("Test"), "it is Test"),
        (named("test "), "it is something else"),
    ] {
        assert_eq!(
            refused(environment),
            format!(
                "default.tls.insecure_skip_verify = true: refused unless HTTPUTIL_ENV is development or test ({is}); \
                 to trust a private authority, use tls.extra_ca_file"
            )
        );
    }
    for name in ["development", "test"] {
        assert!(made(named(name)).unwrap().stats().unverified);
    }
    assert!(!Client::new(ClientConfig::default()).unwrap().stats().unverified);
}

#[test]
fn a_time_out_of_zero_is_refused_in_code_as_in_a_file() {
    let timeout = "default.timeout = \"0s\": zero makes no sense here; no_timeout() switches it off";
    let zero = Client::with_timeout(Duration::ZERO).unwrap_err();
    assert_eq!((zero.kind(), zero.to_string().as_str()), (Kind::Config, timeout));
    let all = ClientConfig::default()
        .timeout(Duration::ZERO)
        .dns_timeout(Duration::ZERO)
        .connect_timeout(Duration::ZERO)
        .tls_handshake_timeout(Duration::ZERO)
        .expect_continue_timeout(Duration::ZERO)
        .idle_timeout(Duration::ZERO)
        .hibernate_after(Duration::ZERO);
    let zero = Client::new(all).unwrap_err();
    let told: Vec<String> = zero.problems().iter().map(ToString::to_string).collect();
    let rest = [
        "timeouts.expect_continue",
        "timeouts.dns",
        "timeouts.connect",
        "timeouts.tls_handshake",
        "pool.idle_timeout",
    ];
    let rest = rest.map(|key| format!("default.{key} = \"0s\": zero makes no sense here"));
    assert_eq!(told[0], timeout);
    assert_eq!(told[1..=rest.len()], rest);
    let hibernation =
        "default.pool.hibernate_after = \"0s\": zero makes no sense here; no_hibernation() switches it off";
    assert_eq!(told[rest.len() + 1..], [hibernation]);
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed_when_idle_timeout_is_over_and_not_before() {
    let (client, open) = client(Profile::named("test"));
    assert_eq!(get(&client, "/").await, 2);
    settled().await;
    assert_eq!((client.stats().idle, open.load(Ordering::SeqCst)), (1, 1));

    tokio::time::advance(Duration::from_secs(89)).await;
    settled().await;
    assert_eq!((client.stats().idle, open.load(Ordering::SeqCst)), (1, 1));

    tokio::time::advance(Duration::from_secs(1)).await;
    settled().await;
    let stats = client.stats();
    assert_eq!((stats.idle, stats.open, open.load(Ordering::SeqCst)), (0, 0, 0));
    assert_eq!(stats.closed_for(CloseReason::IdleTimeout), 1);
}

#[tokio::test(start_paused = true)]
async fn each_use_begins_the_idle_time_anew() {
    let (client, open) = client(Profile::named("test"));
    for _ in 0..5 {
        get(&client, "/").await;
        settled().await;
        tokio::time::advance(Duration::from_mins(1)).await;
    }
    assert_eq!(open.load(Ordering::SeqCst), 1);
    assert_eq!(client.stats().dialled, 1);
}

#[tokio::test(start_paused = true)]
async fn a_connection_in_use_is_never_timed_out_as_idle() {
    let mut profile = Profile::named("test");
    profile.policy.timeout = None;
    profile.policy.read = PhaseBound::Off;
    let (client, open) = client(profile);
    let response = client.get("http://server/500000").send().await.unwrap();
    tokio::time::advance(Duration::from_secs(500)).await;
    settled().await;
    assert_eq!(open.load(Ordering::SeqCst), 1);
    assert_eq!(response.bytes().await.unwrap().len(), 500_000);
}

#[tokio::test(start_paused = true)]
async fn the_total_time_out_ends_a_request_that_is_never_answered() {
    let (client, open) = client(Profile::named("test"));
    let began = Instant::now();
    let error = client.get("http://server/never").send().await.unwrap_err();
    assert_eq!(began.elapsed(), Duration::from_secs(30));
    let expected = Kind::Timeout {
        phase: Phase::ResponseHeader,
        after: Duration::from_secs(30),
    };
    assert_eq!(error.kind(), expected);
    assert_eq!(
        error.to_string(),
        "GET http://server/never: timed out after 30 s (timeout), waiting for the response header (profile test)"
    );
    settled().await;
    assert_eq!((client.stats().open, open.load(Ordering::SeqCst)), (0, 0));
    assert_eq!(client.stats().closed_for(CloseReason::Timeout), 1);
}

#[tokio::test(start_paused = true)]
async fn the_total_time_out_covers_a_body_that_nobody_polls() {
    let (client, open) = client(Profile::named("test"));
    let response = client.get("http://server/500000").send().await.unwrap();
    settled().await;
    assert_eq!(client.stats().in_use, 1);

    tokio::time::advance(Duration::from_secs(30)).await;
    settled().await;
    assert_eq!((client.stats().open, open.load(Ordering::SeqCst)), (0, 0));

    let error = response.bytes().await.unwrap_err();
    let ours = Error::of(&error).expect("our error is in reqwest's");
    assert!(
        matches!(ours.kind(), Kind::Timeout { phase: Phase::Body, .. }),
        "{ours:?}"
    );
    assert!(error.is_timeout());
}

#[tokio::test(start_paused = true)]
async fn a_request_s_own_time_out_overrides_the_profile_s() {
    let (client, _open) = client(Profile::named("test"));
    get(&client, "/").await;
    let began = Instant::now();
    let request = client.get("http://server/never").timeout(Duration::from_millis(200));
    let error = request.send().await.unwrap_err();
    assert_eq!(began.elapsed(), Duration::from_millis(200));
    assert!(error.is_timeout());

    let began = Instant::now();
    let request = client.get("http://server/never").timeout(Duration::from_secs(100));
    assert!(request.send().await.unwrap_err().is_timeout());
    assert_eq!(began.elapsed(), Duration::from_secs(100));
}

#[tokio::test(start_paused = true)]
async fn shutdown_waits_for_its_grace_and_reports_what_it_left() {
    let (client, _open) = client(Profile::named("test"));
    let request = tokio::spawn({
        let client = client.clone();
        async move { client.get("http://server/never").send().await.map(|_| ()) }
    });
    settled().await;
    let began = Instant::now();
    let report = client.shutdown(Duration::from_secs(5)).await;
    assert_eq!((report.finished, report.left), (0, 1));
    assert_eq!(began.elapsed(), Duration::from_secs(5));
    assert!(request.await.unwrap().unwrap_err().is_timeout());
    let refused = client.get("http://server/").send().await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Stopped);
}

#[tokio::test]
async fn an_answer_that_breaks_off_right_behind_its_head_is_no_whole_one() {
    // The head and the end are there when the head is read.
    let dialer = Dialer::Memory(Arc::new(|_| {
        let (ours, mut theirs) = tokio::io::duplex(1 << 10);
        tokio::spawn(async move {
            let mut asked = Vec::new();
            while !asked.ends_with(b"\r\n\r\n") {
                asked.push(theirs.read_u8().await.unwrap());
            }
            theirs
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n")
                .await
                .unwrap();
        });
        ours
    }));
    let client = memory::over(ClientConfig::default().max_attempts(1).profile, dialer);
    let answer = client.get("http://server/").send().await.unwrap();
    memory::settled().await;
    let error = answer.bytes().await.unwrap_err();
    assert_eq!(Error::of(&error).unwrap().kind(), Kind::Body, "{error:?}");
    let mut tower = client.clone();
    let request = http::Request::get("http://server/").body(String::new()).unwrap();
    let answer = tower.call(request).await.unwrap();
    let error = answer.into_body().collect().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Body, "{error}");
    memory::settled().await;
    let stats = client.stats();
    assert_eq!(
        (stats.open, stats.dialled, stats.closed_total()),
        (0, 2, 2),
        "{stats:?}"
    );
}
