//! Statistics, host by host.

use httputil::{Client, CloseReason, HostStats};
use httputil_tests::gate::Gate;
use httputil_tests::resolver::{Answer, ScriptedResolver};
use httputil_tests::script::{Script, Step};
use httputil_tests::server::{Server, handlers};

use crate::common::{TrustedCa, Way, assert_all_gone, get, spawn_get, until, url};

fn of(client: &Client, server: &Server) -> HostStats {
    let port = format!(":{}", server.port());
    let mut hosts = client.host_stats();
    hosts.retain(|host| host.host.ends_with(&port));
    assert_eq!(hosts.len(), 1, "{hosts:?}");
    hosts.remove(0)
}

/// Open, idle, in use, being dialled.
fn gauges(host: &HostStats) -> (u64, u64, u64, u64) {
    (host.open, host.idle, host.in_use, host.dials_in_progress)
}

#[tokio::test]
async fn each_host_has_its_own_gauges_whatever_it_speaks() {
    let ca = TrustedCa::new();
    for way in Way::ALL {
        let (gate, lookup) = (Gate::new(), Gate::new());
        let held = Server::builder().handler(handlers::hold(&gate, handlers::by_path));
        let (busy, resting) = (way.start(held, &ca).await, way.start(Server::builder(), &ca).await);
        let resolver = ScriptedResolver::new().name("localhost", Answer::to(["127.0.0.1:0"]));
        let client = ca.registry("dns.ttl = '1us'", &resolver).client("default").unwrap();
        assert_eq!(get(&client, &url(&resting, "/")).await, "hello");
        until(&client, "it to be idle", |stats| stats.idle == 1).await;
        resolver.set("localhost", Answer::to(["127.0.0.1:0"]).after(&lookup));
        let request = spawn_get(&client, &url(&busy, "/"));
        lookup.arrived(1).await;
        assert_eq!(gauges(&of(&client, &busy)), (0, 0, 0, 1), "{way:?}");
        assert_eq!(of(&client, &busy).waiting, 1);
        lookup.open();
        gate.arrived(1).await;
        assert_eq!(gauges(&of(&client, &busy)), (1, 0, 1, 0), "{way:?}");
        assert_eq!(gauges(&of(&client, &resting)), (1, 1, 0, 0), "{way:?}");
        gate.open();
        request.await.unwrap().unwrap();
        until(&client, "both to be idle", |stats| stats.idle == 2).await;
        assert_eq!(gauges(&of(&client, &busy)), (1, 1, 0, 0), "{way:?}");

        client.close_idle_connections();
        until(&client, "both to be closed", |stats| stats.open == 0).await;
        for server in [&busy, &resting] {
            let host = of(&client, server);
            assert_eq!(host.closed, [(CloseReason::CloseIdle, 1)], "{way:?}");
            assert_eq!(host.closed_for(CloseReason::CloseIdle), host.closed_total());
        }
        assert_all_gone(&client).await;
    }
}

#[tokio::test]
async fn a_host_s_failures_are_counted_by_phase_and_its_reuses_are_its_own() {
    let ca = TrustedCa::new();
    let broken = Script::start([vec![Step::Close]]).await;
    let server = Server::builder().start().await;
    let client = ca.client();
    client
        .get(format!("https://127.0.0.1:{}/", broken.port()))
        .send()
        .await
        .unwrap_err();
    for _ in 0..3 {
        get(&client, &server.url("/")).await;
    }
    let hosts = client.host_stats();
    let failed = hosts.iter().find(|host| host.host.starts_with("https")).unwrap();
    let failures = |phase| failed.dial_failures.iter().find(|(word, _)| *word == phase).unwrap().1;
    assert_eq!(
        (failures("tls_handshake"), failed.dial_failures_total()),
        (1, 1),
        "{failed:?}"
    );
    let healthy = of(&client, &server);
    assert_eq!(
        (healthy.requests, healthy.reuses, healthy.dial_failures_total()),
        (3, 2, 0)
    );
    assert_all_gone(&client).await;
}
