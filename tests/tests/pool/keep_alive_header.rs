//! What a server says of its connections: `Keep-Alive`, and the schemes that bind a connection to a user.

use httputil::{Client, ClientConfig, CloseReason};
use httputil_tests::script::{Script, answers, steps};

use crate::common::{client, get, until};

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
    let mut config = ClientConfig::default();
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
