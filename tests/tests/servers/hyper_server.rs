//! The well-behaved server.

use std::sync::Arc;

use http::StatusCode;
use http_body_util::BodyExt;
use httputil_tests::gate::Gate;
use httputil_tests::leaks::{self, Baseline};
use httputil_tests::ledger::End;
use httputil_tests::server::{Server, handlers};
use httputil_tests::tcp::ClosedPort;

use crate::client::{dial, get, h1, h2, text};

#[tokio::test]
async fn two_requests_on_one_connection_count_as_such() {
    let server = Server::builder().start().await;
    let mut client = h1(dial(server.addr()).await).await;
    for _ in 0..2 {
        let answer = client.send_request(get("/hello")).await.unwrap();
        assert_eq!(text(answer).await, "hello");
        client.ready().await.unwrap();
    }
    assert_eq!(server.seen().requests_per_connection(), [2]);
    assert_eq!(server.open(), 1);
}

#[tokio::test]
async fn a_client_that_closes_is_seen_as_fin() {
    let server = Server::builder().start().await;
    let client = dial(server.addr()).await;
    server.until_open(1).await;
    drop(client);
    server.until_open(0).await;
    assert_eq!(server.seen().connections[0].end, End::Fin);
}

#[tokio::test]
async fn a_client_that_resets_is_seen_as_rst() {
    let server = Server::builder().start().await;
    let client = dial(server.addr()).await;
    server.until_open(1).await;
    socket2::SockRef::from(&client)
        .set_linger(Some(std::time::Duration::ZERO))
        .unwrap();
    drop(client);
    server.until_closed(1).await;
    assert_eq!(server.seen().connections[0].end, End::Rst);
}

#[tokio::test]
async fn close_idle_spares_the_connection_in_use() {
    let gate = Gate::new();
    let server = Server::builder()
        .handler(handlers::hold(&gate, handlers::tagged))
        .start()
        .await;
    let mut idle = h1(dial(server.addr()).await).await;
    gate.let_through(1);
    text(idle.send_request(get("/")).await.unwrap()).await;
    let mut busy = h1(dial(server.addr()).await).await;
    let answer = busy.send_request(get("/"));
    let held = tokio::spawn(answer);
    gate.arrived(2).await;

    server.close_idle();
    server.until_closed(1).await;
    assert_eq!(server.seen().connections[0].end, End::Server);
    gate.open();
    assert_eq!(held.await.unwrap().unwrap().status(), StatusCode::OK);
    assert_eq!(server.open(), 1);
}

#[tokio::test]
async fn goaway_ends_an_h2_connection_after_its_streams() {
    let gate = Gate::new();
    let server = Server::builder()
        .h2()
        .handler(handlers::hold(&gate, handlers::tagged))
        .start()
        .await;
    let mut client = h2(dial(server.addr()).await).await;
    let held = tokio::spawn(client.send_request(get("/")));
    gate.arrived(1).await;
    server.goaway();
    gate.open();
    text(held.await.unwrap().unwrap()).await;
    server.until_closed(1).await;
}

#[tokio::test]
async fn a_held_request_whose_client_leaves_is_seen_leaving() {
    let gate = Gate::new();
    let server = Server::builder()
        .handler(handlers::hold(&gate, handlers::echo))
        .start()
        .await;
    let mut client = h1(dial(server.addr()).await).await;
    let request = tokio::spawn(client.send_request(get("/")));
    gate.arrived(1).await;
    request.abort();
    drop(client);
    gate.left(1).await;
    server
        .until(String::from("no request in flight"), |seen| seen.in_flight == 0)
        .await;
}

#[tokio::test]
async fn the_head_comes_before_the_held_body() {
    let gate = Gate::new();
    let server = Server::builder().handler(handlers::hold_body(&gate)).start().await;
    let mut client = h1(dial(server.addr()).await).await;
    let answer = client.send_request(get("/")).await.unwrap();
    gate.arrived(1).await;
    gate.open();
    assert_eq!(text(answer).await, "first last");
}

#[tokio::test]
async fn handlers_by_path_answer_what_their_names_say() {
    let server = Server::builder().start().await;
    let url = |path: &str| server.url(path);
    let client = reqwest::Client::new();
    let echoed = client
        .post(url("/echo?q=1"))
        .header("x-a", "b")
        .body("body")
        .send()
        .await
        .unwrap();
    let echoed: handlers::Echoed = serde_json::from_slice(&echoed.bytes().await.unwrap()).unwrap();
    assert_eq!(
        (&*echoed.method, &*echoed.target, &*echoed.body),
        ("POST", "/echo?q=1", "body")
    );
    assert_eq!(echoed.header("x-a"), Some("b"));
    assert_eq!(
        client
            .get(url("/bytes/1000"))
            .send()
            .await
            .unwrap()
            .bytes()
            .await
            .unwrap()
            .len(),
        1000
    );
    assert_eq!(
        client
            .head(url("/bytes/1000"))
            .send()
            .await
            .unwrap()
            .bytes()
            .await
            .unwrap()
            .len(),
        0
    );
    for code in [204, 304, 503] {
        assert_eq!(
            client
                .get(url(&format!("/status/{code}")))
                .send()
                .await
                .unwrap()
                .status(),
            code
        );
    }
    assert_eq!(
        client.get(url("/chunked")).send().await.unwrap().text().await.unwrap(),
        "hello world"
    );
    let length = client.post(url("/length")).body(vec![0; 70_000]).send().await.unwrap();
    assert_eq!(length.text().await.unwrap(), "70000");
    assert_eq!(server.accepted(), 1);
    client.get(url("/close")).send().await.unwrap().bytes().await.unwrap();
    server.until_closed(1).await;
}

#[tokio::test]
async fn trailers_reach_a_client_that_takes_them() {
    let server = Server::builder().handler(handlers::chunked_with_trailers).start().await;
    let mut client = h1(dial(server.addr()).await).await;
    let mut request = get("/");
    request.headers_mut().insert("te", "trailers".parse().unwrap());
    let body = client
        .send_request(request)
        .await
        .unwrap()
        .into_body()
        .collect()
        .await
        .unwrap();
    assert_eq!(body.trailers().unwrap()["x-checksum"], "42");
}

#[tokio::test]
async fn a_server_restarts_on_its_port_and_refuses_in_between() {
    let server = Server::builder().start().await;
    let client = dial(server.addr()).await;
    server.until_open(1).await;
    server.stop().await;
    assert_eq!(server.open(), 0);
    assert!(tokio::net::TcpStream::connect(server.addr()).await.is_err());
    let again = server.restart().await;
    assert_eq!(again.port(), server.port());
    dial(again.addr()).await;
    again.until_accepted(1).await;
    drop(client);
}

#[tokio::test]
async fn a_server_hands_its_port_over_without_a_gap() {
    let old = Server::builder().start().await;
    let mut client = h1(dial(old.addr()).await).await;
    text(client.send_request(get("/")).await.unwrap()).await;
    let new = old.hand_over().await;
    let mut other = h1(dial(new.addr()).await).await;
    text(other.send_request(get("/")).await.unwrap()).await;
    client.ready().await.unwrap();
    text(client.send_request(get("/")).await.unwrap()).await;
    assert_eq!((old.requests(), new.requests()), (2, 1));
    old.drain();
    old.until_open(0).await;
    assert_eq!(new.open(), 1);
}

#[tokio::test]
async fn a_dropped_server_leaves_no_task_and_no_socket() {
    let port = Arc::new(ClosedPort::new());
    let before = Baseline::take_on(port.port());
    {
        let handler = handlers::hold(&Gate::new(), handlers::echo);
        let server = Server::builder().h2().handler(handler).start_on(port.clone()).await;
        let mut client = h2(dial(server.addr()).await).await;
        let request = tokio::spawn(client.send_request(get("/")));
        server.until_requests(1).await;
        assert_eq!(
            leaks::sockets_on(port.port()),
            3,
            "a listener and both ends of a connection"
        );
        drop(client);
        drop(request);
    }
    before.assert_no_leak().await;
}
