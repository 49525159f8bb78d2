//! An HTTP/2 server that says GOAWAY: from that moment it is given no new stream, and the old ones end well.

use h2::Reason;
use httputil::CloseReason;
use httputil_tests::gate::Gate;
use httputil_tests::h2_script::{H2Script, Kind, Last, Step};
use httputil_tests::server::Server;
use httputil_tests::tls::Alpn;

use crate::common::{TrustedCa, get, h2_client, until, until_read, url};

/// A server whose first stream is held at the gate, and all others are answered.
async fn holding_the_first(gate: &Gate) -> H2Script {
    let gate = gate.clone();
    H2Script::builder()
        .on_stream(move |stream| match stream.overall {
            0 => vec![Step::Hold(gate.clone()), Step::Answer("first".into())],
            _ => vec![Step::Answer("later".into())],
        })
        .start()
        .await
}

#[tokio::test]
async fn no_stream_is_opened_after_a_goaway_that_hyper_has_not_noticed() {
    let gate = Gate::new();
    let server = holding_the_first(&gate).await;
    let client = h2_client(|_| {});
    let first = tokio::spawn({
        let (client, url) = (client.clone(), server.url("/"));
        async move { get(&client, &url).await }
    });
    gate.arrived(1).await;
    server.connection(0).goaway(Last::This, Reason::NO_ERROR);
    until_read(&server, 0).await;
    for _ in 0..3 {
        assert_eq!(get(&client, &server.url("/")).await, "later");
    }
    gate.open();
    assert_eq!(first.await.unwrap(), "first");
    server.until_ended(0).await;
    // Not by way of a refusal.
    assert_eq!(server.frames().count(0, Kind::Headers), 1);
    assert_eq!(server.seen().requests_per_connection(), [1, 3]);
    assert_eq!(client.stats().resends, 0);
    until(&client, "the close to be counted", |stats| stats.closed_total() == 1).await;
    assert_eq!(client.stats().closed_for(CloseReason::PeerClosed), 1);
}

#[tokio::test]
async fn an_idle_connection_that_hears_goaway_is_closed_and_not_used_again() {
    let server = H2Script::builder().start().await;
    let client = h2_client(|_| {});
    assert_eq!(get(&client, &server.url("/")).await, "");
    server.connection(0).goaway(Last::All, Reason::NO_ERROR);
    server.until_ended(0).await;
    assert_eq!(get(&client, &server.url("/")).await, "");
    assert_eq!(server.seen().requests_per_connection(), [1, 1]);
    assert_eq!(client.stats().resends, 0);
}

#[tokio::test]
async fn a_server_that_requires_http_1_1_gets_it_from_then_on() {
    let ca = TrustedCa::new();
    for on_stream in [true, false] {
        // One port that speaks HTTP/2 badly first, and HTTP/1.1 well then: ALPN tells which is which.
        let refusing = H2Script::builder()
            .tls(ca.server(Alpn::Both))
            .on_stream(move |_| {
                if on_stream {
                    vec![Step::RstStream(Reason::HTTP_1_1_REQUIRED)]
                } else {
                    vec![Step::GoAway(Last::Before, Reason::INADEQUATE_SECURITY)]
                }
            })
            .start()
            .await;
        let client = ca.client();
        let url = format!("https://localhost:{}/", refusing.port());
        // The kit's HTTP/2 server speaks nothing else; what counts is that HTTP/2 is not offered to it again.
        let error = client.post(&url).body("once").send().await.unwrap_err();
        refusing.until_accepted(2).await;
        let offered: Vec<_> = refusing.seen().connections.iter().map(|c| c.alpn.clone()).collect();
        assert_eq!(
            offered[..2],
            [Some("h2".to_owned()), Some("http/1.1".to_owned())],
            "{error:?}"
        );
        until(&client, "the connection to close", |stats| {
            stats.closed_for(CloseReason::Http1Required) == 1
        })
        .await;
    }
    // And a server that speaks both is not disturbed by any of it.
    let server = Server::builder().tls(ca.server(Alpn::Both)).start().await;
    assert_eq!(get(&ca.client(), &url(&server, "/")).await, "hello");
}
