//! `close_idle_connections`.

use httputil::CloseReason;
use httputil_tests::gate::Gate;
use httputil_tests::resolver::{Answer, ScriptedResolver};
use httputil_tests::server::{Server, handlers};

use crate::common::{TrustedCa, Way, assert_accounted, assert_at_rest, get, spawn_get, until, url};

#[tokio::test]
async fn it_closes_the_idle_now_and_later_requests_dial_anew() {
    let ca = TrustedCa::new();
    for way in Way::ALL {
        let server = way.start(Server::builder(), &ca).await;
        let client = ca.client();
        get(&client, &url(&server, "/")).await;
        client.close_idle_connections();
        server.until_open(0).await;
        assert_eq!(get(&client, &url(&server, "/")).await, "hello");
        assert_eq!(server.accepted(), 2, "{way:?}");
        until(&client, "one to be open", |stats| stats.open == 1).await;
        assert_eq!(client.stats().closed_for(CloseReason::CloseIdle), 1, "{way:?}");
        assert_accounted(&client.stats());
    }
}

#[tokio::test]
async fn those_in_flight_finish_and_then_close() {
    let ca = TrustedCa::new();
    for way in Way::ALL {
        let gate = Gate::new();
        let server = way
            .start(Server::builder().handler(handlers::hold(&gate, handlers::by_path)), &ca)
            .await;
        let client = ca.client();
        let request = tokio::spawn({
            let (client, url) = (client.clone(), url(&server, "/"));
            async move { get(&client, &url).await }
        });
        gate.arrived(1).await;
        client.close_idle_connections();
        gate.open();
        assert_eq!(request.await.unwrap(), "hello");
        server.until_open(0).await;
        get(&client, &url(&server, "/")).await;
        assert_eq!(server.accepted(), 2, "{way:?}");
    }
}

#[tokio::test]
async fn a_connection_that_is_being_dialled_meanwhile_serves_who_waits_for_it_and_closes() {
    let ca = TrustedCa::new();
    for way in Way::ALL {
        let lookup = Gate::new();
        let server = way.start(Server::builder(), &ca).await;
        let resolver = ScriptedResolver::new().name("localhost", Answer::to(["127.0.0.1:0"]).after(&lookup));
        let client = ca.registry("", &resolver).client("default").unwrap();
        let waits = spawn_get(&client, &url(&server, "/"));
        lookup.arrived(1).await;
        client.close_idle_connections();
        lookup.open();
        assert_eq!(waits.await.unwrap().unwrap(), "hello");
        server.until_open(0).await;
        assert_eq!(get(&client, &url(&server, "/")).await, "hello");
        assert_eq!(server.accepted(), 2, "{way:?}");
        assert_at_rest(&client).await;
        assert_eq!(client.stats().closed_for(CloseReason::CloseIdle), 1, "{way:?}");
    }
}

#[tokio::test]
async fn under_load_no_request_fails() {
    let ca = TrustedCa::new();
    for way in Way::ALL {
        let server = way.start(Server::builder(), &ca).await;
        let client = ca.client();
        let mut running = tokio::task::JoinSet::new();
        for number in 0..500 {
            if running.len() == 8 {
                running.join_next().await.unwrap().unwrap();
            }
            if number % 10 == 0 {
                client.close_idle_connections();
            }
            let (client, url) = (client.clone(), url(&server, "/"));
            running.spawn(async move { assert_eq!(get(&client, &url).await, "hello") });
        }
        running.join_all().await;
        assert_eq!(server.requests(), 500, "{way:?}");
    }
}
