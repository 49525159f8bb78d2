//! Names, ports, patience and the count of what is left.

use std::io::ErrorKind;
use std::time::Duration;

use httputil_tests::gate::Gate;
use httputil_tests::leaks::Baseline;
use httputil_tests::resolver::{Answer, ScriptedResolver};
use httputil_tests::server::Server;
use httputil_tests::tcp::{BlackHole, ClosedPort, deafen};
use httputil_tests::within;
use tokio::net::TcpStream;

#[tokio::test]
async fn a_closed_port_refuses_until_somebody_listens() {
    let port = ClosedPort::new();
    assert_eq!(
        TcpStream::connect(port.addr()).await.unwrap_err().kind(),
        ErrorKind::ConnectionRefused
    );
    let listener = port.listen().unwrap();
    TcpStream::connect(port.addr()).await.unwrap();
    // As a process has that was started and has not run its program yet.
    let copy = listener.try_clone().unwrap();
    deafen(&listener);
    drop(listener);
    assert_eq!(
        TcpStream::connect(port.addr()).await.unwrap_err().kind(),
        ErrorKind::ConnectionRefused
    );
    drop(copy);
    port.listen().unwrap();
}

#[tokio::test]
async fn a_black_hole_never_answers_any_of_many() {
    let hole = BlackHole::new();
    let dials: Vec<_> = (0..5).map(|_| tokio::spawn(TcpStream::connect(hole.addr()))).collect();
    // Longer than the first repetition of the SYN, which comes after one second.
    for dial in dials {
        let waited = tokio::time::timeout(Duration::from_millis(300), dial).await;
        assert!(waited.is_err(), "the hole answered: {waited:?}");
    }
}

#[tokio::test]
async fn a_resolver_answers_fails_hangs_and_counts() {
    let server = Server::builder().start().await;
    let gate = Gate::new();
    let resolver = ScriptedResolver::new()
        .name("up.test", Answer::to(["127.0.0.1:0"]))
        .name("late.test", Answer::to(["127.0.0.1:0"]).after(&gate))
        .name("gone.test", Answer::Fail("no such host".into()))
        .name("hung.test", Answer::Hang);
    let client = reqwest::Client::builder()
        .dns_resolver(resolver.clone())
        .build()
        .unwrap();

    assert!(client.get(server.url_for("up.test", "/")).send().await.is_ok());
    assert!(client.get(server.url_for("gone.test", "/")).send().await.is_err());
    assert!(client.get(server.url_for("unknown.test", "/")).send().await.is_err());
    let hung = tokio::spawn(client.get(server.url_for("hung.test", "/")).send());
    let late = tokio::spawn(client.get(server.url_for("late.test", "/")).send());
    resolver.until_calls(5).await;
    gate.arrived(1).await;
    gate.open();
    assert!(late.await.unwrap().is_ok());
    assert_eq!(resolver.pending(), 1);
    hung.abort();
    resolver.until_quiet().await;
    assert_eq!(resolver.calls_for("up.test"), 1);
}

#[tokio::test]
#[should_panic(expected = "surroundings.rs")]
async fn patience_ends_at_the_line_that_waited() {
    within(Duration::from_millis(1), std::future::pending::<()>()).await;
}

#[tokio::test]
async fn a_task_and_a_socket_are_missed_until_they_end() {
    let server = Server::builder().start().await;
    let before = Baseline::take_on(server.port());
    let (client, gate) = (TcpStream::connect(server.addr()).await.unwrap(), Gate::new());
    server.until_open(1).await;
    let task = tokio::spawn({
        let gate = gate.clone();
        async move {
            gate.pass().await;
            drop(client);
        }
    });
    gate.arrived(1).await;
    assert_ne!(Baseline::take_on(server.port()), before);
    gate.open();
    task.await.unwrap();
    before.assert_no_leak().await;
}
