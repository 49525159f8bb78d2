//! What a server says of its connections: `Keep-Alive`, and the schemes that bind a connection to a user.

use http::header::{AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE};
use httputil::{Client, CloseReason};
use httputil_tests::gate::Gate;
use httputil_tests::one_attempt;
use httputil_tests::script::{Script, answers, steps};
use httputil_tests::server::{Server, handlers};

use crate::common::{TrustedCa, Way, assert_all_gone, client, get, spawn_get, until, url};

async fn answering_with(header: (&str, &str)) -> Script {
    Script::start([steps::answer_all(answers::with_length("200 OK", &[header], "fine"))]).await
}

/// Three requests, one after the other, and the connections that they took.
async fn connections_of_three(client: &Client, server: &Script) -> usize {
    for _ in 0..3 {
        assert_eq!(get(client, &server.url("/")).await, "fine");
        until(client, "nothing to be in use", |stats| stats.in_use == 0).await;
    }
    server.accepted()
}

#[tokio::test]
async fn a_server_s_maximum_of_requests_is_heeded() {
    let server = answering_with(("keep-alive", "timeout=60, max=0")).await;
    let client = client();
    assert_eq!(connections_of_three(&client, &server).await, 3);
    assert_eq!(client.stats().closed_for(CloseReason::MaxRequests), 3);
}

#[tokio::test]
async fn a_time_out_that_leaves_no_time_closes_at_once() {
    let server = answering_with(("keep-alive", "timeout=1")).await;
    let client = client();
    assert_eq!(connections_of_three(&client, &server).await, 3);
    assert_eq!(client.stats().closed_for(CloseReason::KeepAlive), 3);
}

#[tokio::test]
async fn a_server_that_names_its_time_out_is_left_a_second_before() {
    let server = answering_with(("keep-alive", "timeout=2")).await;
    let client = client();
    assert_eq!(connections_of_three(&client, &server).await, 1);
    // The server would keep it for ever; the default of `pool.idle_timeout` is 90 s.
    server.until_closed(1).await;
}

#[tokio::test]
async fn numbers_that_no_clock_can_hold_mean_for_ever() {
    let server = answering_with(("keep-alive", "timeout=99999999999999999999, max=99999999999999999999")).await;
    let client = client();
    assert_eq!(connections_of_three(&client, &server).await, 1);
}

#[tokio::test]
async fn our_own_maximum_of_requests_is_kept() {
    let server = answering_with(("server", "any")).await;
    let mut config = one_attempt();
    config.profile_mut().transport.pool.max_requests_per_connection = Some(2);
    let client = Client::new(config).unwrap();
    assert_eq!(connections_of_three(&client, &server).await, 2);
    assert_eq!(client.stats().closed_for(CloseReason::MaxRequests), 1);
}

#[tokio::test]
async fn a_connection_that_belongs_to_a_user_is_never_pooled() {
    let server = answering_with(("www-authenticate", "Negotiate")).await;
    let client = client();
    assert_eq!(connections_of_three(&client, &server).await, 3);
    assert_eq!(client.stats().closed_for(CloseReason::ConnectionAuth), 3);

    let server = answering_with(("server", "any")).await;
    let signed = client.get(server.url("/")).header("authorization", "ntlm TlRMTVNTUAAB");
    assert_eq!(signed.send().await.unwrap().text().await.unwrap(), "fine");
    assert_eq!(get(&client, &server.url("/")).await, "fine");
    assert_eq!(server.accepted(), 2);
}

/// Over `way`, a server that answers `/bound` with this challenge, and one that waits at the gate on `/held`.
async fn challenging(way: Way, ca: &TrustedCa, challenge: &'static str, gate: &Gate) -> Server {
    let held = handlers::hold(gate, handlers::fixed("held"));
    let handler = move |request: http::Request<hyper::body::Incoming>| {
        let held = held.clone();
        async move {
            match request.uri().path() {
                "/held" => held(request).await,
                "/bound" => {
                    let mut reply = handlers::full("sign in");
                    let challenge = HeaderValue::from_static(challenge);
                    reply.headers_mut().insert(WWW_AUTHENTICATE, challenge);
                    reply
                }
                _ => handlers::full("fine"),
            }
        }
    };
    way.start(Server::builder().handler(handler), ca).await
}

#[tokio::test]
async fn so_it_is_over_http2_whichever_side_says_so_and_streams_under_way_end_well() {
    let ca = TrustedCa::new();
    for way in Way::ALL {
        for (challenge, signature, is_bound) in [
            ("Negotiate", None, true),
            ("Basic realm=\"x\", NTLM", None, true),
            ("Basic realm=\"x\"", Some("NTLM TlRMTVNTUAAB"), true),
            ("Basic realm=\"x\"", Some("Basic eDp5"), false),
        ] {
            let gate = Gate::new();
            let server = challenging(way, &ca, challenge, &gate).await;
            let client = ca.client();
            let held = spawn_get(&client, &url(&server, "/held"));
            gate.arrived(1).await;
            let mut request = client.get(url(&server, "/bound"));
            if let Some(signature) = signature {
                request = request.header(AUTHORIZATION, signature);
            }
            assert_eq!(request.send().await.unwrap().text().await.unwrap(), "sign in");
            let before = server.accepted();
            assert_eq!(get(&client, &url(&server, "/")).await, "fine");
            let dialled = server.accepted() - before;
            assert_eq!(dialled, usize::from(is_bound), "{way:?} {challenge} {signature:?}");
            gate.open();
            assert_eq!(held.await.unwrap().unwrap(), "held");
            until(&client, "it to close", |stats| {
                stats.closed_for(CloseReason::ConnectionAuth) == u64::from(is_bound)
            })
            .await;
            assert_all_gone(&client).await;
        }
    }
}
