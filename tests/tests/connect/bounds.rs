//! Each phase has its own bound and its own error, and nothing takes longer than the bound that holds for it.

use std::time::Duration;

use httputil::settings::DnsBalance;
use httputil::{Client, ClientConfig, Error, Phase};
use httputil_tests::leaks::Baseline;
use httputil_tests::resolver::{Answer, ScriptedResolver};
use httputil_tests::script::{Script, Step, answers};
use httputil_tests::server::{Server, handlers};
use httputil_tests::tcp::BlackHole;
use httputil_tests::{PATIENCE, within};

use crate::scene::{assert_balanced, assert_bound, client, client_with_names, eventually, failure};

const BOUND: Duration = Duration::from_millis(250);

fn silent_resolver() -> ScriptedResolver {
    ScriptedResolver::new().name("slow.test", Answer::Hang)
}

/// A server that takes the greeting and never answers it.
async fn silent_server() -> Script {
    Script::start([vec![Step::Stall]]).await
}

#[tokio::test]
async fn a_hung_name_look_up_ends_after_timeouts_dns() {
    let resolver = silent_resolver();
    let client = client_with_names(&resolver, "timeouts.dns = \"250ms\"");
    let error = failure(&client, "http://slow.test/").await;
    assert_bound(&error, Phase::Dns, BOUND, "timeouts.dns");
    assert!(error.to_string().contains("slow.test"));
    assert!(error.is_retryable());
    resolver.until_quiet().await;
    assert_balanced(&client.stats());
    assert_eq!(client.stats().dial_failures[0], ("dns", 1));
}

#[tokio::test]
async fn a_black_holed_address_ends_after_timeouts_connect() {
    let hole = BlackHole::new();
    let client = client(|profile| profile.transport.timeouts.connect = BOUND);
    let error = failure(&client, format!("http://{}/", hole.addr())).await;
    assert_bound(&error, Phase::Connect, BOUND, "timeouts.connect");
    assert!(error.is_retryable());
    assert_balanced(&client.stats());
    assert_eq!(client.stats().dial_failures[1], ("connect", 1));
}

#[tokio::test]
async fn a_hung_tls_handshake_ends_after_timeouts_tls_handshake_and_not_after_connect() {
    let server = silent_server().await;
    let short = client(|profile| profile.transport.timeouts.tls_handshake = BOUND);
    let error = failure(&short, server.https_url("/")).await;
    assert_bound(&error, Phase::TlsHandshake, BOUND, "timeouts.tls_handshake");
    assert!(error.is_retryable());
    server.until_closed(1).await;
    assert_eq!(short.stats().dial_failures[2], ("tls_handshake", 1));

    // The other way round: a handshake may take longer than the connect may.
    let long = client(|profile| {
        profile.transport.timeouts.connect = BOUND;
        profile.transport.timeouts.tls_handshake = 4 * BOUND;
    });
    let error = failure(&long, server.https_url("/")).await;
    assert_bound(&error, Phase::TlsHandshake, 4 * BOUND, "timeouts.tls_handshake");
    server.until_closed(2).await;
    assert_balanced(&short.stats());
    assert_balanced(&long.stats());
}

#[tokio::test]
async fn the_total_timeout_names_the_name_look_up() {
    let resolver = silent_resolver();
    let client = client_with_names(&resolver, "timeout = \"250ms\"\ntimeouts.dns = \"1s\"");
    let error = failure(&client, "http://slow.test/").await;
    assert_bound(&error, Phase::Dns, BOUND, "timeout");
    assert_ends(&client).await;
}

#[tokio::test]
async fn the_total_timeout_names_the_tcp_connect() {
    let hole = BlackHole::new();
    let client = client(|profile| {
        profile.policy.timeout = Some(BOUND);
        profile.transport.timeouts.connect = 4 * BOUND;
    });
    let error = failure(&client, format!("http://{}/", hole.addr())).await;
    assert_bound(&error, Phase::Connect, BOUND, "timeout");
    assert_ends(&client).await;
}

#[tokio::test]
async fn the_total_timeout_names_the_tls_handshake() {
    let server = silent_server().await;
    let client = client(|profile| {
        profile.policy.timeout = Some(BOUND);
        profile.transport.timeouts.tls_handshake = 4 * BOUND;
    });
    let error = failure(&client, server.https_url("/")).await;
    assert_bound(&error, Phase::TlsHandshake, BOUND, "timeout");
    assert_ends(&client).await;
}

/// A dial serves the pool and outlives its request, but not its own bound.
async fn assert_ends(client: &Client) {
    eventually("the dial to end", || client.stats().dials_in_progress == 0).await;
    assert_balanced(&client.stats());
    assert_eq!(client.stats().dial_failures_total(), 1);
}

#[tokio::test]
async fn the_total_timeout_names_the_wait_for_the_header_and_closes_the_connection() {
    let server = Script::start([vec![Step::ReadHead, Step::Stall]]).await;
    let client = client(|profile| profile.policy.timeout = Some(BOUND));
    let error = failure(&client, server.url("/")).await;
    assert_bound(&error, Phase::ResponseHeader, BOUND, "timeout");
    assert!(!error.is_retryable(), "the server may have acted on it");
    server.until_closed(1).await;
    assert_balanced(&client.stats());
}

#[tokio::test]
async fn the_total_timeout_names_the_body_and_closes_the_connection() {
    let server = Script::start([vec![Step::ReadHead, Step::write(answers::cut(10, "abc")), Step::Stall]]).await;
    let client = client(|profile| profile.policy.timeout = Some(BOUND));
    let response = within(PATIENCE, client.get(server.url("/")).send()).await.unwrap();
    let error = within(PATIENCE, response.bytes()).await.unwrap_err();
    assert!(error.is_timeout(), "reqwest knows it for a time-out: {error:?}");
    let ours = Error::of(&error).expect("our error is in the chain");
    assert_bound(ours, Phase::Body, BOUND, "timeout");
    server.until_closed(1).await;
}

#[tokio::test]
async fn a_requests_own_timeout_stands_in_for_the_profiles() {
    let server = Script::start([vec![Step::ReadHead, Step::Stall]]).await;
    let client = client(|_| {});
    let sent = client.get(server.url("/")).timeout(BOUND).send();
    let error = within(PATIENCE, sent).await.unwrap_err();
    assert_bound(&error, Phase::ResponseHeader, BOUND, "timeout");
}

#[tokio::test]
async fn all_who_wait_for_a_dial_hear_that_it_timed_out() {
    let server = silent_server().await;
    let baseline = Baseline::take_on(server.port());
    let client = client(|profile| profile.transport.timeouts.tls_handshake = BOUND);
    let url = server.https_url("/");
    // One handshake tells all of them which protocol the host speaks, so there is one to hang.
    let errors = futures_of(20, || failure(&client, &url)).await;
    assert_eq!(server.accepted(), 1);
    for error in errors {
        assert_bound(&error, Phase::TlsHandshake, BOUND, "timeouts.tls_handshake");
    }
    assert_balanced(&client.stats());
    drop(client);
    baseline.assert_no_leak().await;
}

/// So many at once, polled by one task.
async fn futures_of<T, F: Future<Output = T>>(n: usize, make: impl Fn() -> F) -> Vec<T> {
    use std::future::poll_fn;
    use std::pin::Pin;
    use std::task::Poll;

    let mut running: Vec<Pin<Box<F>>> = (0..n).map(|_| Box::pin(make())).collect();
    let mut done = Vec::new();
    poll_fn(|cx| {
        running.retain_mut(|future| match future.as_mut().poll(cx) {
            Poll::Ready(output) => {
                done.push(output);
                false
            }
            Poll::Pending => true,
        });
        if running.is_empty() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
    done
}

/// A file says a year at most; in code nothing stands between a duration and the clock.
#[tokio::test]
async fn times_that_no_clock_can_hold_are_for_ever() {
    const EVER: Duration = Duration::MAX;
    for h2 in [false, true] {
        for balance in [DnsBalance::First, DnsBalance::RoundRobin] {
            let builder = if h2 { Server::builder().h2() } else { Server::builder() };
            let server = builder.handler(handlers::echo).start().await;
            let mut config = ClientConfig::default()
                .http2_prior_knowledge(h2)
                .timeout(EVER)
                .attempt_timeout(EVER)
                .pool_wait(EVER)
                .dns_timeout(EVER)
                .connect_timeout(EVER)
                .tls_handshake_timeout(EVER)
                .proxy_connect_timeout(EVER)
                .response_header_timeout(EVER)
                .read_timeout(EVER)
                .write_timeout(EVER)
                .expect_continue_timeout(EVER)
                .idle_timeout(EVER)
                .max_lifetime(EVER)
                .hibernate_after(EVER)
                .http2_keepalive(EVER, EVER)
                .dns_ttl(EVER)
                .dns_stale_for(EVER)
                .retry_backoff(EVER, EVER)
                .hedge_after(EVER);
            let profile = config.profile_mut();
            profile.transport.dns.balance = balance;
            let (retry, breaker) = (&mut profile.policy.retry, &mut profile.policy.breaker);
            retry.max_retry_after = EVER;
            (breaker.window, breaker.open_for, breaker.max_open_for) = (EVER, EVER, EVER);
            let client = Client::new(config).unwrap();
            for _ in 0..3 {
                let request = client.post(server.url_for("localhost", "/")).body("body");
                let sent = request.header("expect", "100-continue").send();
                let answer = within(PATIENCE, sent).await.unwrap();
                assert!(answer.text().await.unwrap().contains("body"), "h2: {h2}, {balance:?}");
            }
            assert_eq!(server.accepted(), 1, "h2: {h2}, {balance:?}");
            assert_balanced(&client.stats());
        }
    }
}
