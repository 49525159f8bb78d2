//! A request that is sent again keeps its place in the order in which requests came.

use std::sync::{Arc, Mutex};

use h2::Reason;
use httputil::Client;
use httputil_tests::gate::Gate;
use httputil_tests::h2_script::{H2Script, Last, Step};
use httputil_tests::resolver::{Answer, ScriptedResolver};
use httputil_tests::script::{self, Script, answers, steps};
use tokio::task::JoinHandle;

use crate::common::{TrustedCa, assert_all_gone, assert_at_rest, get, h2_client, spawn_get, until};

/// The paths asked for, in order.
type Order = Arc<Mutex<Vec<String>>>;

/// What the first stream ends with when the gate opens, and what every later one gets.
async fn failing_the_first(gate: &Gate, end: Step, then: Vec<Step>) -> (H2Script, Order) {
    let (order, gate) = (Order::default(), gate.clone());
    let seen = Arc::clone(&order);
    let server = H2Script::builder()
        .on_stream(move |stream| {
            seen.lock().unwrap().push(stream.head.uri.path().to_owned());
            if stream.overall == 0 {
                vec![Step::Hold(gate.clone()), end.clone()]
            } else {
                then.clone()
            }
        })
        .start()
        .await;
    (server, order)
}

type Sent = JoinHandle<Result<String, httputil::Error>>;

/// Sends `/b` and `/c`, which wait, in this order.
async fn two_wait(client: &Client, url: impl Fn(&str) -> String) -> [Sent; 2] {
    let b = spawn_get(client, &url("/b"));
    until(client, "one to wait", |stats| stats.waiting == 1).await;
    let c = spawn_get(client, &url("/c"));
    until(client, "both to wait", |stats| stats.waiting == 2).await;
    [b, c]
}

async fn all_are_answered(sent: impl IntoIterator<Item = Sent>) {
    for sent in sent {
        assert_eq!(sent.await.unwrap().unwrap(), "fine");
    }
}

#[tokio::test]
async fn a_request_whose_stream_is_refused_is_served_before_those_that_came_after_it() {
    let (first, second) = (Gate::new(), Gate::new());
    let then = vec![Step::Hold(second.clone()), Step::Answer("fine".into())];
    let (server, order) = failing_the_first(&first, Step::RstStream(Reason::REFUSED_STREAM), then).await;
    let client = h2_client(|transport| transport.http2.max_streams_per_connection = 1);
    let a = spawn_get(&client, &server.url("/a"));
    first.arrived(1).await;
    let [b, c] = two_wait(&client, |path| server.url(path)).await;
    first.open();
    // Its place went to the next before it could ask again.
    second.arrived(1).await;
    until(&client, "it to wait again", |stats| stats.waiting == 2).await;
    second.open();
    all_are_answered([a, b, c]).await;
    assert_eq!(*order.lock().unwrap(), ["/a", "/b", "/a", "/c"]);
    assert_eq!((server.accepted(), client.stats().resends), (1, 1));
    assert_at_rest(&client).await;
    assert_all_gone(&client).await;
}

#[tokio::test]
async fn so_is_one_whose_connection_says_goaway_under_a_queue() {
    let (gate, dial) = (Gate::new(), Gate::new());
    let end = Step::GoAway(Last::Before, Reason::NO_ERROR);
    let (server, order) = failing_the_first(&gate, end, vec![Step::Answer("fine".into())]).await;
    let resolver = ScriptedResolver::new().name("a.test", Answer::to(["127.0.0.1:0"]));
    let lines = "http2.prior_knowledge = true\nhttp2.max_connections_per_host = 1\nhttp2.max_streams_per_connection = 1\n\
         dns.ttl = \"1us\"\ndns.stale_for = \"0s\"";
    let ca = TrustedCa::new();
    let client = ca.registry(lines, &resolver).client("default").unwrap();
    let url = |path: &str| format!("http://a.test:{}{path}", server.port());
    let a = spawn_get(&client, &url("/a"));
    gate.arrived(1).await;
    let [b, c] = two_wait(&client, url).await;
    resolver.set("a.test", Answer::to(["127.0.0.1:0"]).after(&dial));
    gate.open();
    dial.arrived(1).await;
    until(&client, "it to wait again", |stats| stats.waiting == 3).await;
    dial.open();
    all_are_answered([a, b, c]).await;
    assert_eq!(*order.lock().unwrap(), ["/a", "/a", "/b", "/c"]);
    assert_eq!((server.accepted(), client.stats().resends), (2, 1));
    assert_at_rest(&client).await;
    assert_all_gone(&client).await;
}

#[tokio::test]
async fn so_is_one_whose_http_1_connection_is_closed_under_a_queue() {
    let (gate, dial) = (Gate::new(), Gate::new());
    let mut first = steps::answer_once(answers::ok("fine"));
    first.extend([
        script::Step::ReadRequest,
        script::Step::Hold(gate.clone()),
        script::Step::Fin,
    ]);
    let server = Script::start([first, steps::answer_all(answers::ok("fine"))]).await;
    let resolver = ScriptedResolver::new().name("a.test", Answer::to(["127.0.0.1:0"]));
    let ca = TrustedCa::new();
    let registry = ca.registry(
        "pool.max_connections_per_host = 1\ndns.ttl = \"1us\"\ndns.stale_for = \"0s\"",
        &resolver,
    );
    let client = registry.client("default").unwrap();
    let url = |path: &str| format!("http://a.test:{}{path}", server.port());
    assert_eq!(get(&client, &url("/")).await, "fine");
    let a = spawn_get(&client, &url("/a"));
    gate.arrived(1).await;
    let [b, c] = two_wait(&client, url).await;
    resolver.set("a.test", Answer::to(["127.0.0.1:0"]).after(&dial));
    gate.open();
    dial.arrived(1).await;
    until(&client, "it to wait again", |stats| stats.waiting == 3).await;
    dial.open();
    all_are_answered([a, b, c]).await;
    let heads = server.received_text(1);
    let asked: Vec<&str> = heads.lines().filter(|line| line.starts_with("GET ")).collect();
    assert_eq!(asked, ["GET /a HTTP/1.1", "GET /b HTTP/1.1", "GET /c HTTP/1.1"]);
    assert_at_rest(&client).await;
    assert_all_gone(&client).await;
}
