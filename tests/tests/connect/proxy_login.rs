//! A login that a proxy refuses is not tried again: that might lock the account.

use std::time::Duration;

use httputil::{Client, ClientConfig, Kind};
use httputil_tests::script::{Script, Step, answers};

use crate::scene::{assert_says, failure};

#[tokio::test]
async fn a_login_that_a_proxy_refuses_is_tried_once() {
    let unauthorized = answers::with_length("407 Proxy Authentication Required", &[], "");
    let http = || vec![Step::ReadHead, Step::write(unauthorized.clone())];
    let login = [5, 2].to_vec();
    let socks = || {
        let refuses = Step::write(vec![1, 1]);
        vec![
            Step::ReadBody(4),
            Step::write(login.clone()),
            Step::ReadBody(1 + 5 + 7),
            refuses,
        ]
    };
    for (scheme, target, plays) in [
        ("http", "https://service.test/", http()),
        ("http", "http://service.test/", http()),
        ("socks5h", "https://service.test/", socks()),
        ("socks5h", "http://service.test/", socks()),
    ] {
        let proxy = Script::start([plays]).await;
        let config = ClientConfig::default()
            .max_attempts(3)
            .proxy(format!("{scheme}://user:canary@{}", proxy.addr()));
        let client = Client::new(config.retry_backoff(Duration::from_millis(1), Duration::from_millis(1))).unwrap();
        let error = failure(&client, target).await;
        assert_says(&error, Kind::Proxy, &["refused the credentials"]);
        assert_eq!(
            (proxy.accepted(), client.stats().retries),
            (1, 0),
            "{scheme} {target}: {error}"
        );
    }
}
