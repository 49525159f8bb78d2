//! Answers that are kept and never read: what their requests hold comes back in time, whoever keeps them.

use std::time::Duration;

use httputil::settings::Limit;
use httputil::{Client, Error};
use httputil_tests::gate::Gate;
use httputil_tests::server::{Server, handlers};
use httputil_tests::{PATIENCE, within};

use crate::common::{TrustedCa, Way, assert_all_gone, assert_at_rest, get, url};

const SOON: Duration = Duration::from_millis(200);

/// The limits that a request takes a place in: the profile's, and its host's.
fn limits() -> [Limit; 2] {
    let (mut profile, mut host) = (Limit::default(), Limit::default());
    profile.max_concurrent = Some(1);
    host.max_concurrent_per_host = Some(1);
    [profile, host]
}

#[tokio::test]
async fn at_the_total_deadline_it_gives_its_place_in_the_limits_and_its_lease_back() {
    let ca = TrustedCa::new();
    for way in Way::ALL {
        for limit in limits() {
            let gate = Gate::new();
            let server = way
                .start(Server::builder().handler(handlers::hold_body(&gate)), &ca)
                .await;
            let client = Client::new(ca.config().limit(limit)).unwrap();
            let kept = client.get(url(&server, "/")).timeout(SOON).send().await.unwrap();
            gate.open();
            // Long before its own time-out.
            let next = within(PATIENCE, get(&client, &url(&server, "/"))).await;
            assert_eq!(next, "first last", "{way:?}");
            assert_at_rest(&client).await;
            let shutdown = client.shutdown(PATIENCE).await;
            assert_eq!(
                (shutdown.finished, shutdown.left),
                (0, 0),
                "{way:?}: nothing is under way"
            );
            assert!(kept.bytes().await.unwrap_err().is_timeout(), "{way:?}");
            assert_all_gone(&client).await;
        }
    }
}

#[tokio::test]
async fn a_shutdown_waits_for_an_unread_answer_until_its_deadline() {
    let ca = TrustedCa::new();
    for way in Way::ALL {
        let gate = Gate::new();
        let server = way
            .start(Server::builder().handler(handlers::hold_body(&gate)), &ca)
            .await;
        let client = ca.client();
        let kept = client.get(url(&server, "/")).timeout(SOON).send().await.unwrap();
        let shutdown = within(PATIENCE, client.shutdown(PATIENCE * 2)).await;
        assert_eq!((shutdown.finished, shutdown.left), (1, 0), "{way:?}");
        drop(kept);
        assert_all_gone(&client).await;
    }
}

#[tokio::test]
async fn without_a_deadline_it_gives_all_back_after_the_time_between_two_pieces() {
    let ca = TrustedCa::new();
    for way in Way::ALL {
        let gate = Gate::new();
        let server = way
            .start(Server::builder().handler(handlers::hold_body(&gate)), &ca)
            .await;
        let [limit, _] = limits();
        let config = ca.config().no_timeout().read_timeout(SOON).limit(limit);
        let client = Client::new(config).unwrap();
        let kept = client.get(url(&server, "/")).send().await.unwrap();
        assert_eq!(client.stats().in_use, 1, "{way:?}: it shows until then");
        gate.open();
        let next = within(PATIENCE, get(&client, &url(&server, "/"))).await;
        assert_eq!(next, "first last", "{way:?}");
        assert_at_rest(&client).await;
        let error = kept.bytes().await.unwrap_err();
        assert!(error.is_timeout(), "{way:?}: {error:?}");
        let words = Error::of(&error).unwrap().to_string();
        assert!(words.contains("(timeouts.read)"), "{way:?}: {words}");
        assert_all_gone(&client).await;
    }
}
