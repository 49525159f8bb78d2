//! Proxies that refuse, lie, drip or hang: every failure of theirs is told as theirs, and leaves nothing behind.

use std::time::Duration;

use httputil::{Kind, Phase};
use httputil_tests::leaks::Baseline;
use httputil_tests::script::{Script, Step, steps::refuse_tls_version};

use crate::scene::{assert_balanced, assert_bound, assert_says, client_through, eventually, failure};

const BOUND: Duration = Duration::from_millis(250);

fn answers(bytes: impl Into<Vec<u8>>) -> Vec<Step> {
    vec![Step::ReadHead, Step::write(bytes.into())]
}

#[tokio::test]
async fn whatever_is_no_2xx_is_the_proxys_error_and_never_the_answer() {
    let long = [b"HTTP/1.1 200 OK\r\n".to_vec(), b"x: y\r\n".repeat(5000)].concat();
    let cases: Vec<(Vec<Step>, &[&str])> = vec![
        (
            answers("HTTP/1.1 403 Forbidden\r\ncontent-length: 3\r\n\r\nno!"),
            &["refused a tunnel", "403 Forbidden"],
        ),
        (answers("HTTP/1.1 502 Bad Gateway\r\n\r\n"), &["502 Bad Gateway"]),
        (answers("HTTP/1.1 503 \r\nset-cookie: a=b\r\n\r\n"), &["503"]),
        (
            answers("HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1/\r\n\r\n"),
            &["302 Found"],
        ),
        (answers("HTTP/1.1 101 Switching Protocols\r\n\r\n"), &["101"]),
        (answers("HTTP/1.1 599 \x1b[2Jgone\r\n\r\n"), &["is not HTTP/1"]),
        (answers("SSH-2.0-OpenSSH_9.9\r\n"), &["is not HTTP/1"]),
        (answers("\x05\x00"), &["is not HTTP/1"]),
        (answers(long), &["more than 16 KiB"]),
        (
            answers(b"HTTP/1.1 100 Continue\r\n\r\n".repeat(2000)),
            &["more than 16 KiB"],
        ),
        (answers("HTTP/1.1 200 OK\r\n\r\nearly"), &["before TLS"]),
        (
            vec![Step::ReadHead, Step::Close],
            &["closed the connection before its answer"],
        ),
        (
            vec![Step::ReadHead, Step::write("HTTP/1.1 200 OK\r\n"), Step::Close],
            &["closed the connection before"],
        ),
        (
            vec![Step::ReadHead, Step::Reset],
            &["reset the connection before its answer"],
        ),
    ];
    for (steps, words) in cases {
        let proxy = Script::start([steps]).await;
        let baseline = Baseline::take_on(proxy.port());
        let client = client_through(&proxy.url(""), |_| {});
        let error = failure(&client, "https://service.test/").await;
        assert_says(&error, Kind::Proxy, words);
        assert_says(
            &error,
            Kind::Proxy,
            &[&format!("the proxy http://127.0.0.1:{}", proxy.port())],
        );
        assert!(error.is_retryable() && !error.to_string().contains('\x1b'));
        assert_eq!(client.stats().dial_failures[3], ("proxy", 1), "{error}");
        assert_balanced(&client.stats());
        proxy.until_closed(1).await;
        baseline.assert_no_leak().await;
    }
}

#[tokio::test]
async fn any_2xx_and_whatever_length_it_states_is_a_tunnel() {
    for head in [
        "HTTP/1.0 200 Connection established\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 299 Fine\r\n\r\n",
    ] {
        // What comes next is TLS's greeting, which this one refuses.
        let mut steps = answers(head);
        steps.extend(refuse_tls_version());
        let proxy = Script::start([steps]).await;
        let client = client_through(&proxy.url(""), |_| {});
        let error = failure(&client, "https://service.test/").await;
        assert_says(&error, Kind::Tls, &["service.test"]);
    }
}

#[tokio::test]
async fn a_proxy_that_hangs_or_drips_ends_after_timeouts_proxy_connect() {
    let slow = Step::WriteSlowly {
        bytes: "HTTP/1.1 200 OK\r\n\r\n".into(),
        pause: BOUND / 2,
    };
    for steps in [vec![Step::Stall], vec![Step::ReadHead, slow]] {
        let proxy = Script::start([steps]).await;
        let baseline = Baseline::take_on(proxy.port());
        let client = client_through(&proxy.url(""), |profile| {
            profile.transport.timeouts.proxy_connect = BOUND;
        });
        let error = failure(&client, "https://service.test/").await;
        assert_bound(&error, Phase::ProxyConnect, BOUND, "timeouts.proxy_connect");
        assert_says(
            &error,
            error.kind(),
            &["service.test:443", &format!("127.0.0.1:{}", proxy.port())],
        );
        assert!(error.is_retryable());
        assert_eq!(client.stats().dial_failures[3], ("proxy", 1));
        assert_balanced(&client.stats());
        proxy.until_closed(1).await;
        baseline.assert_no_leak().await;
    }
}

#[tokio::test]
async fn the_total_timeout_names_the_wait_for_the_proxy() {
    let proxy = Script::start([vec![Step::Stall]]).await;
    let client = client_through(&proxy.url(""), |profile| {
        profile.policy.timeout = Some(BOUND);
        profile.transport.timeouts.proxy_connect = 4 * BOUND;
    });
    let error = failure(&client, "https://service.test/").await;
    assert_bound(&error, Phase::ProxyConnect, BOUND, "timeout");
    proxy.until_closed(1).await;
}

/// A request that is given up leaves its tunnel to the pool or to its bound.
#[tokio::test]
async fn a_dropped_request_leaves_no_half_made_tunnel() {
    let proxy = Script::start([vec![Step::Stall]]).await;
    let baseline = Baseline::take_on(proxy.port());
    let client = client_through(&proxy.url(""), |profile| {
        profile.transport.timeouts.proxy_connect = BOUND;
    });
    let request = tokio::spawn(client.get("https://service.test/").send());
    proxy.until_received(0, 10).await;
    request.abort();
    proxy.until_closed(1).await;
    eventually("the dial to end", || client.stats().dials_in_progress == 0).await;
    assert_balanced(&client.stats());
    baseline.assert_no_leak().await;
}
