//! A thousand reloads under load.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use httputil_tests::leaks::Baseline;
use httputil_tests::server::{Server, handlers};

use crate::common::{TrustedCa, Way, assert_accounted, until, url};
use crate::scene::{config, echoed, quoted};

const RELOADS: u64 = 1000;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_reloads_fail_no_request_and_leave_nothing_behind() {
    let ca = TrustedCa::new();
    for way in Way::ALL {
        let server = way.start(Server::builder().handler(handlers::echo), &ca).await;
        let baseline = Baseline::take_on(server.port());
        // Each changes the policy, and every other one the transport with it.
        let numbered = |number: u64| {
            config(&format!(
                "user_agent = 'agent-{number}'\ntls.ca_file = {}\ntcp.keepalive = '{}s'\nhttp2.enabled = {}",
                quoted(ca.path()),
                30 + number / 2 % 2,
                !number.is_multiple_of(7),
            ))
        };
        let registry = httputil::Registry::builder().config(numbered(0)).build().unwrap();
        let client = registry.client("default").unwrap();
        let (is_over, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let load: Vec<_> = (0..8)
            .map(|_| {
                let (client, is_over, sent) = (client.clone(), Arc::clone(&is_over), Arc::clone(&sent));
                let url = url(&server, "/");
                tokio::spawn(async move {
                    while !is_over.load(Ordering::Relaxed) {
                        let answer = client.get(&url).send().await?;
                        answer.bytes().await.expect("the body ends well");
                        sent.fetch_add(1, Ordering::Relaxed);
                    }
                    Ok::<(), httputil::Error>(())
                })
            })
            .collect();
        for number in 1..=RELOADS {
            let registry = registry.clone();
            let next = numbered(number);
            tokio::task::spawn_blocking(move || registry.reload(next))
                .await
                .unwrap()
                .unwrap();
            // Whatever begins now follows what is in force now.
            if number.is_multiple_of(5) {
                let seen = echoed(&client, &url(&server, "/")).await;
                assert_eq!(seen.header("user-agent"), Some(&*format!("agent-{number}")));
                let speaks_h2 = way == Way::H2Tls && !number.is_multiple_of(7);
                assert_eq!(seen.version, if speaks_h2 { "HTTP/2.0" } else { "HTTP/1.1" });
            }
        }
        is_over.store(true, Ordering::Relaxed);
        for worker in load {
            worker.await.unwrap().unwrap_or_else(|error| panic!("{way:?}: {error}"));
        }
        assert!(sent.load(Ordering::Relaxed) > 8, "there was load");
        assert_eq!(registry.stats().reloads, RELOADS);
        client.stop();
        until(&client, "all to be closed", |stats| {
            (stats.open, stats.waiting, stats.dials_in_progress) == (0, 0, 0)
        })
        .await;
        assert_accounted(&client.stats());
        server.stop().await;
        baseline.assert_no_leak().await;
    }
}
