//! Several addresses of one name: the dead ones cost little (RFC 8305).

use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

use httputil::{Client, Kind, Phase};
use httputil_tests::resolver::ScriptedResolver;
use httputil_tests::server::Server;

use crate::addresses::{Swallow, answer, has_ipv6, loopback};
use crate::scene::{after_backoff, assert_balanced, assert_bound, assert_says, client_with_names, failure, get};

/// Connected well under `timeouts.connect` (30 s): two attempts' delays and a loaded machine.
const WELL_UNDER: Duration = Duration::from_secs(5);

fn client(addresses: impl IntoIterator<Item = IpAddr>) -> Client {
    let resolver = ScriptedResolver::new().name("many.test", answer(addresses));
    client_with_names(&resolver, "")
}

/// How long the first answer took.
async fn answered_in(client: &Client, server: &Server) -> Duration {
    let began = Instant::now();
    assert_eq!(get(client, server.url_for("many.test", "/")).await.unwrap(), "hello");
    assert_eq!(server.accepted(), 1);
    began.elapsed()
}

#[tokio::test]
async fn a_black_holed_first_address_is_passed_over_well_under_the_connect_bound() {
    let server = Server::builder().start().await;
    let _hole = Swallow::on(loopback(2), server.port());
    let client = client([loopback(2), loopback(1)]);
    assert!(answered_in(&client, &server).await < WELL_UNDER);
    assert_balanced(&client.stats());
}

#[tokio::test]
async fn refused_addresses_are_passed_over_at_once() {
    let server = Server::builder().start().await;
    // 250 ms for each of these would be more than three seconds.
    let client = client((2..=15).chain([1]).map(loopback));
    assert!(answered_in(&client, &server).await < Duration::from_millis(2500));
}

#[tokio::test]
async fn a_dead_ipv6_address_does_not_keep_a_living_ipv4_address_waiting() {
    if !has_ipv6() {
        return;
    }
    let v6 = IpAddr::from(Ipv6Addr::LOCALHOST);
    let server = Server::builder().start().await;
    assert!(answered_in(&client([v6, loopback(1)]), &server).await < WELL_UNDER);

    let server = Server::builder().start().await;
    let _hole = Swallow::on(v6, server.port());
    assert!(answered_in(&client([v6, loopback(1)]), &server).await < WELL_UNDER);
}

#[tokio::test]
async fn the_families_take_turns_so_that_one_dead_family_costs_one_delay() {
    if !has_ipv6() {
        return;
    }
    let server = Server::builder().start().await;
    let holes: Vec<Swallow> = (2..=13).map(|n| Swallow::on(loopback(n), server.port())).collect();
    // A living IPv4 address last, behind twelve dead ones of its family: in turn they would cost three seconds.
    let v6 = IpAddr::from(Ipv6Addr::LOCALHOST);
    let relay = relay_to(v6, server.port()).await;
    let client = client((2..=13).map(loopback).chain([v6]));
    assert!(answered_in(&client, &server).await < Duration::from_millis(2500));
    drop(client);
    relay.abort();
    drop(holes);
}

/// The kit's servers listen on IPv4 only: one connection on this address, led to them.
async fn relay_to(ip: IpAddr, port: u16) -> tokio::task::JoinHandle<()> {
    let listener = tokio::net::TcpListener::bind((ip, port))
        .await
        .expect("the port is free there");
    tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.expect("somebody comes");
        let mut server = tokio::net::TcpStream::connect((loopback(1), port))
            .await
            .expect("the server listens");
        // How it ends is between the two.
        let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
    })
}

#[tokio::test]
async fn of_very_many_addresses_those_that_were_left_out_are_dialled_first_the_next_time() {
    let server = Server::builder().start().await;
    let client = client((2..=21).chain([1]).map(loopback));
    let error = failure(&client, server.url_for("many.test", "/")).await;
    assert_says(&error, Kind::Connect, &["127.0.0.17:"]);
    assert!(!error.to_string().contains("127.0.0.18:"), "{error}");
    let answer = after_backoff(&client, server.url_for("many.test", "/")).await;
    assert_eq!(answer.unwrap(), "hello");
    assert_balanced(&client.stats());
}

#[tokio::test]
async fn when_every_address_refuses_the_error_names_each_of_them() {
    let port = httputil_tests::tcp::ClosedPort::new();
    let client = client([loopback(2), loopback(1)]);
    let error = failure(&client, format!("http://many.test:{}/", port.port())).await;
    let (first, second) = (
        format!("127.0.0.2:{}", port.port()),
        format!("127.0.0.1:{}", port.port()),
    );
    assert_says(
        &error,
        Kind::Connect,
        &["many.test", &first, &second, "connection refused"],
    );
}

#[tokio::test]
async fn when_every_address_swallows_all_of_them_together_are_bounded_by_connect() {
    let hole = httputil_tests::tcp::BlackHole::new();
    let _second = Swallow::on(loopback(2), hole.port());
    let resolver = ScriptedResolver::new().name("many.test", answer([loopback(2), loopback(1)]));
    let client = client_with_names(&resolver, "timeouts.connect = \"600ms\"");
    let error = failure(&client, format!("http://many.test:{}/", hole.port())).await;
    assert_bound(&error, Phase::Connect, Duration::from_millis(600), "timeouts.connect");
}
