//! `httputil probe`, against servers of the test's own.

use httputil_tests::ca::Ca;
use httputil_tests::server::{Server, handlers};
use httputil_tests::tcp::ClosedPort;
use httputil_tests::tls::{Alpn, ServerTls};

use crate::program::{Desk, Run};

/// The program beside a running server: it blocks, and the server must not.
async fn run(desk: Desk, arguments: &[&str]) -> Run {
    let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
    let running = tokio::task::spawn_blocking(move || {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        desk.run(&arguments)
    });
    running.await.unwrap()
}

/// Trusts an authority.
fn desk(ca: &Ca, more: &str) -> Desk {
    let text = format!("[internal]\nproxy.from_env = false\ntls.ca_file = \"ca.pem\"\n{more}");
    Desk::with(&text).file("ca.pem", &ca.pem())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_request_shows_each_phase_and_the_chain_and_a_second_one_that_the_connection_is_kept() {
    let ca = Ca::new();
    let tls = ServerTls::new(ca.issue(["localhost"])).alpn(Alpn::H2).build();
    let server = Server::builder()
        .tls(tls)
        .handler(handlers::fixed("hello"))
        .start()
        .await;
    let url = server.url_for("localhost", "/health?token=canary");
    let said = run(desk(&ca, ""), &["probe", &url, "--profile", "internal"])
        .await
        .said();
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(
        lines[0],
        format!("https://localhost:{} by profile internal", server.port())
    );
    assert_eq!(lines[1], "first request: GET answered 200 over HTTP/2.0, 5 bytes");
    let (first, second) = said.split_once("second request").unwrap();
    for phase in ["dns", "connect", "tls", "first byte", "body", "total"] {
        assert!(
            first.lines().any(|line| line.trim_start().starts_with(phase)),
            "{phase}: {said}"
        );
    }
    assert!(first.contains("answered by "), "{said}");
    assert!(first.contains("TLSv1.3, TLS13_"), "{said}");
    assert!(first.contains("ALPN h2"), "{said}");
    assert!(
        first.contains("certificate 0: ") && first.contains("for localhost"),
        "{said}"
    );
    assert!(first.contains(" days left)"), "{said}");
    assert!(second.contains("over the same connection: pooled"), "{said}");
    assert!(
        !second.lines().any(|line| line.trim_start().starts_with("tls")),
        "{said}"
    );
    assert!(!said.contains("canary"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn as_json_it_is_for_programs() {
    let ca = Ca::new();
    let tls = ServerTls::new(ca.issue(["localhost"])).build();
    let server = Server::builder().tls(tls).handler(handlers::close_after).start().await;
    let url = server.url_for("localhost", "/");
    let arguments = ["probe", &url, "--profile", "internal", "--method", "HEAD", "--json"];
    let json = run(desk(&ca, "http2.enabled = false\n"), &arguments).await.json();
    let first = &json["first"];
    assert_eq!(
        (first["status"].as_u64(), first["reused"].as_bool()),
        (Some(200), Some(false)),
        "{json}"
    );
    assert_eq!(first["version"], "HTTP/1.1", "{json}");
    assert_eq!(first["tls"]["certificates"][0]["names"][0], "localhost", "{json}");
    assert!(
        first["seconds"]["tls"].as_f64().is_some_and(|took| took > 0.0),
        "{json}"
    );
    // The server closes after each answer.
    assert_ne!(first["connection"], json["second"]["connection"], "{json}");
    assert_eq!(json["second"]["tls"]["resumed"], true, "{json}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relative_url_is_joined_to_the_base_url_of_the_profile_and_any_status_is_an_answer() {
    let server = Server::builder()
        .handler(handlers::always(http::StatusCode::NOT_FOUND))
        .start()
        .await;
    let desk = Desk::with(&format!("[internal]\nbase_url = \"{}\"\n", server.url("/")));
    let said = run(desk, &["probe", "/health", "--profile", "internal"]).await.said();
    assert!(said.contains("first request: GET answered 404 over HTTP/1.1"), "{said}");
}

/// What is shown are the phases of the URL's own host, not those of a place further on.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_redirects_is_not_gone_after() {
    let handler = |_| async {
        let mut reply = handlers::status(http::StatusCode::FOUND);
        reply
            .headers_mut()
            .insert("location", http::HeaderValue::from_static("/on"));
        reply
    };
    let server = Server::builder().handler(handler).start().await;
    let said = run(
        Desk::with("[internal]\n"),
        &["probe", &server.url("/"), "--profile", "internal"],
    )
    .await
    .said();
    assert!(said.contains("first request: GET answered 302 over HTTP/1.1"), "{said}");
    assert!(said.contains("\n  connect "), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_is_said_with_its_phase_and_exit_code_2() {
    let port = ClosedPort::new();
    let desk = Desk::with("[internal]\nretry.max_attempts = 1\n");
    let complaint = run(
        desk,
        &["probe", &format!("http://{}/", port.addr()), "--profile", "internal"],
    )
    .await
    .failed();
    assert!(complaint.contains("TCP connect to"), "{complaint}");

    let ca = Ca::new();
    let tls = ServerTls::new(Ca::new().issue(["localhost"])).build();
    let server = Server::builder().tls(tls).handler(handlers::fixed("")).start().await;
    let url = server.url_for("localhost", "/");
    let complaint = run(desk_of(&ca), &["probe", &url, "--profile", "internal"])
        .await
        .failed();
    assert!(
        complaint.contains("the server's certificate leads to no trusted root"),
        "{complaint}"
    );
}

fn desk_of(ca: &Ca) -> Desk {
    desk(ca, "retry.max_attempts = 1\n")
}

#[test]
fn a_profile_that_is_not_there_and_a_method_that_is_none_are_told_before_anything_is_sent() {
    let run = Desk::with("[telemetry]\n").run(&["probe", "http://127.0.0.1:1/", "--profile", "telemetri"]);
    let complaint = run.failed();
    assert!(complaint.contains("no profile is called telemetri in "), "{complaint}");
    assert!(complaint.contains("did you mean telemetry?"), "{complaint}");
    let complaint = Desk::new()
        .run(&["probe", "http://127.0.0.1:1/", "--method", "G ET"])
        .failed();
    assert!(complaint.contains("--method"), "{complaint}");
}
