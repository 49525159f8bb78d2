//! Several endpoints, as their servers see it.

use std::time::Duration;

use httputil_tests::gate::Gate;
use httputil_tests::resolver::{Answer, ScriptedResolver};
use httputil_tests::server::{Server, handlers};
use httputil_tests::{PATIENCE, within};

use crate::common::{TrustedCa, get, spawn_get};

/// A server that holds what asks for `/held`.
async fn holding(gate: &Gate) -> Server {
    let hold = handlers::hold(gate, handlers::by_path);
    let handler = move |request: http::Request<hyper::body::Incoming>| {
        let hold = hold.clone();
        async move {
            match request.uri().path() {
                "/held" => hold(request).await,
                _ => handlers::full("here"),
            }
        }
    };
    Server::builder().handler(handler).start().await
}

#[tokio::test]
async fn what_a_look_up_or_a_dial_took_makes_no_endpoint_slow() {
    let (gate, found) = (Gate::new(), Gate::new());
    let (quick, late) = (holding(&gate).await, holding(&gate).await);
    let resolver = ScriptedResolver::new()
        .name("quick.test", Answer::to(["127.0.0.1:0"]))
        .name("late.test", Answer::to(["127.0.0.1:0"]).after(&found));
    let bases = [quick.url_for("quick.test", ""), late.url_for("late.test", "")];
    let ca = TrustedCa::new();
    let registry = ca.registry(&format!("base_url = {bases:?}\n"), &resolver);
    let client = registry.client("default").unwrap();
    // Nothing is known of either, so that chance sends one there.
    let mut waits = None;
    let until_one_waits = async {
        while waits.is_none() {
            let mut asked = spawn_get(&client, "/");
            tokio::select! {
                answer = &mut asked => assert_eq!(answer.unwrap().unwrap(), "here"),
                () = found.arrived(1) => waits = Some(asked),
            }
        }
    };
    within(PATIENCE, until_one_waits).await;
    // So long the look-up takes: what is shown is that nobody takes that for the endpoint's own slowness.
    tokio::time::sleep(Duration::from_secs(1)).await;
    found.open();
    assert_eq!(within(PATIENCE, waits.unwrap()).await.unwrap().unwrap(), "here");
    // What is under way at the other one tells them apart from now on.
    let before = late.requests();
    let held: Vec<_> = (0..40).map(|_| spawn_get(&client, "/held")).collect();
    within(PATIENCE, gate.arrived(40)).await;
    assert!(
        late.requests() > before,
        "it got none of 40 that were under way at once"
    );
    gate.open();
    for held in held {
        within(PATIENCE, held).await.unwrap().unwrap();
    }
    assert_eq!(get(&client, "/").await, "here");
}
