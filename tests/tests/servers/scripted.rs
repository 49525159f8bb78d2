//! The scripted server.

use std::io::ErrorKind;
use std::time::Duration;

use httputil_tests::ca::Ca;
use httputil_tests::gate::Gate;
use httputil_tests::leaks::{self, Baseline};
use httputil_tests::ledger::End;
use httputil_tests::script::{Script, Step, answers, steps};
use httputil_tests::tls::{self, Alpn, ServerTls};
use httputil_tests::within;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::client::{dial, dial_tls, get, h1, text};

const SHORT: Duration = Duration::from_secs(5);

#[tokio::test]
async fn connections_follow_their_scripts_in_order_and_the_last_repeats() {
    let server = Script::start([steps::answer_all(answers::ok("a")), steps::answer_all(answers::ok("b"))]).await;
    for expected in ["a", "b", "b"] {
        let mut client = h1(dial(server.addr()).await).await;
        for _ in 0..2 {
            assert_eq!(text(client.send_request(get("/")).await.unwrap()).await, expected);
            client.ready().await.unwrap();
        }
    }
    assert_eq!(server.seen().requests_per_connection(), [2, 2, 2]);
    assert!(
        server
            .received_text(0)
            .starts_with("GET http://localhost/ HTTP/1.1\r\n")
    );
}

#[tokio::test]
async fn fin_comes_when_the_gate_opens_and_the_clients_fin_is_seen_after_it() {
    let gate = Gate::new();
    let mut script = steps::answer_once(answers::ok("one"));
    script.extend([Step::Hold(gate.clone()), Step::Fin]);
    let server = Script::start([script]).await;
    let mut client = dial(server.addr()).await;
    client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    gate.arrived(1).await;
    assert_eq!(server.saw(0), End::Open);
    gate.open();
    let mut answer = String::new();
    within(SHORT, client.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.ends_with("one"));
    assert_eq!(server.open(), 1);
    drop(client);
    server.until_ended(0).await;
    assert_eq!(server.saw(0), End::Fin);
}

#[tokio::test]
async fn a_client_that_leaves_while_a_step_waits_is_seen() {
    let gate = Gate::new();
    let server = Script::start([vec![Step::Hold(gate.clone())]]).await;
    let client = dial(server.addr()).await;
    gate.arrived(1).await;
    drop(client);
    server.until_ended(0).await;
    assert_eq!(server.saw(0), End::Fin);
}

#[tokio::test]
async fn reset_reaches_the_client_as_reset() {
    let server = Script::start([steps::reset_on_request()]).await;
    let mut client = dial(server.addr()).await;
    client
        .write_all(b"POST / HTTP/1.1\r\ncontent-length: 3\r\n\r\nabc")
        .await
        .unwrap();
    let error = within(SHORT, client.read_u8()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert_eq!(server.saw(0), End::Server);
    assert!(server.received_text(0).ends_with("abc"));
}

#[tokio::test]
async fn chunked_requests_are_read_to_their_last_chunk() {
    let server = Script::start([steps::answer_all(answers::ok("done"))]).await;
    let mut client = dial(server.addr()).await;
    for body in ["0\r\n\r\n", "3\r\nabc\r\n0\r\n\r\n"] {
        let request = format!("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
        client.write_all(request.as_bytes()).await.unwrap();
        let mut answer = vec![0; answers::ok("done").len()];
        within(SHORT, client.read_exact(&mut answer)).await.unwrap();
    }
    assert_eq!(server.requests(), 2);
}

#[tokio::test]
async fn trailers_come_whether_asked_for_or_not() {
    let server = Script::start([steps::answer_all(answers::chunked(&["he", "llo"], &[("x-sum", "1")]))]).await;
    let mut client = dial(server.addr()).await;
    client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let mut answer = vec![0; answers::chunked(&["he", "llo"], &[("x-sum", "1")]).len()];
    within(SHORT, client.read_exact(&mut answer)).await.unwrap();
    assert!(String::from_utf8(answer).unwrap().ends_with("0\r\nx-sum: 1\r\n\r\n"));
}

#[tokio::test]
async fn slow_answers_come_byte_by_byte() {
    let slowly = Step::WriteSlowly {
        bytes: answers::ok("x"),
        pause: Duration::from_micros(100),
    };
    let server = Script::start([vec![Step::ReadHead, slowly]]).await;
    let mut client = h1(dial(server.addr()).await).await;
    assert_eq!(text(client.send_request(get("/")).await.unwrap()).await, "x");
}

#[tokio::test]
async fn a_peer_that_stops_reading_fills_the_clients_writes() {
    let server = Script::start([vec![Step::ReadHead, Step::StopReading]]).await;
    let mut client = dial(server.addr()).await;
    client.write_all(b"POST / HTTP/1.1\r\n\r\n").await.unwrap();
    server.until_requests(1).await;
    let endless = async {
        loop {
            client.write_all(&[0; 8192]).await.unwrap();
        }
    };
    assert!(tokio::time::timeout(Duration::from_millis(300), endless).await.is_err());
}

#[tokio::test]
async fn tls_starts_where_the_script_says_and_ends_clean_or_cut() {
    let ca = Ca::new();
    let config = ServerTls::new(ca.issue(["localhost"])).alpn(Alpn::H1).build();
    let answer_and = |end| {
        [
            steps::over_tls(&config, steps::answer_once(answers::ok("one"))),
            vec![end],
        ]
        .concat()
    };
    let server = Script::start([answer_and(Step::Fin), answer_and(Step::CutFin)]).await;
    for cut in [false, true] {
        let mut client = dial_tls(server.addr(), &tls::client(&ca, Alpn::H1)).await.unwrap();
        client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        let end = within(SHORT, client.read_to_end(&mut answer)).await;
        assert!(answer.ends_with(b"one"));
        assert_eq!(
            end.err().map(|error| error.kind()),
            cut.then_some(ErrorKind::UnexpectedEof)
        );
    }
    assert_eq!(server.received_text(0), "GET / HTTP/1.1\r\n\r\n");
    assert_eq!(server.seen().full_handshakes + server.seen().resumed_handshakes, 2);
}

#[tokio::test]
async fn a_tunnel_is_a_script_too() {
    let ca = Ca::new();
    let config = ServerTls::new(ca.issue(["localhost"])).build();
    let mut script = vec![Step::ReadHead, Step::write("HTTP/1.1 200 connected\r\n\r\n")];
    script.extend(steps::over_tls(&config, steps::answer_all(answers::ok("inside"))));
    let proxy = Script::start([script]).await;
    let mut socket = dial(proxy.addr()).await;
    socket
        .write_all(b"CONNECT localhost:443 HTTP/1.1\r\nhost: localhost:443\r\n\r\n")
        .await
        .unwrap();
    let mut opened = vec![0; b"HTTP/1.1 200 connected\r\n\r\n".len()];
    socket.read_exact(&mut opened).await.unwrap();
    let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
    let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(tls::client(&ca, Alpn::H1)));
    let mut client = h1(connector.connect(name, socket).await.unwrap()).await;
    assert_eq!(text(client.send_request(get("/")).await.unwrap()).await, "inside");
    assert!(proxy.received_text(0).starts_with("CONNECT localhost:443 "));
}

#[tokio::test]
async fn a_hung_handshake_hangs_and_old_versions_are_named() {
    let ca = Ca::new();
    let scripts = [
        vec![Step::Stall],
        steps::old_tls(0x0301),
        steps::old_tls(0x0302),
        steps::refuse_tls_version(),
    ];
    let server = Script::start(scripts).await;
    let config = tls::client(&ca, Alpn::Both);
    let hung = tokio::time::timeout(Duration::from_millis(200), dial_tls(server.addr(), &config)).await;
    assert!(hung.is_err());
    for expected in [
        "ServerDoesNotSupportTls12Or13",
        "ServerDoesNotSupportTls12Or13",
        "ProtocolVersion",
    ] {
        let refusal = within(SHORT, dial_tls(server.addr(), &config))
            .await
            .unwrap_err()
            .to_string();
        assert!(refusal.contains(expected), "{refusal}");
    }
}

#[tokio::test]
async fn a_dropped_script_leaves_nothing() {
    let port = std::sync::Arc::new(httputil_tests::tcp::ClosedPort::new());
    let before = Baseline::take_on(port.port());
    {
        let server = Script::start_on(port.clone(), [vec![Step::Hold(Gate::new())]]).await;
        let _client = dial(server.addr()).await;
        server.until_open(1).await;
        assert_eq!(leaks::sockets_on(port.port()), 3);
    }
    before.assert_no_leak().await;
}
