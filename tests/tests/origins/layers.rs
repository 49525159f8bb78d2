//! Layers of a user's own around each attempt: what they see, what they change, where they are asked.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::Method;
use http_body_util::StreamBody;
use httputil::settings::Limit;
use httputil::{
    Attempt, AttemptLayer, Body, BoxError, Client, ClientConfig, Error, Kind, LayerFuture, LayeredRequest, Next, Phase,
    Refused, RequestLayer, RequestOptions,
};
use httputil_tests::gate::Gate;
use httputil_tests::script::{Script, answers, steps};
use httputil_tests::{PATIENCE, within};
use tower::ServiceExt;

use crate::common::{Door, Pieces, Place, assert_at_rest, headers};

/// Signs with a key that can be renewed, and remembers what it was shown.
#[derive(Clone, Default)]
struct Signer {
    key: Arc<AtomicUsize>,
    shown: Arc<Mutex<Vec<String>>>,
    /// How often it was told that it was refused.
    refused: Arc<AtomicUsize>,
}

impl AttemptLayer for Signer {
    fn sign<'a>(&'a self, attempt: &'a mut Attempt<'_>) -> LayerFuture<'a, Result<(), BoxError>> {
        Box::pin(async move {
            // It may wait for something.
            tokio::task::yield_now().await;
            let body = attempt.body().ok_or("a stream can't be signed")?.len();
            let team = attempt
                .headers()
                .get("x-team")
                .map_or("", |team| team.to_str().unwrap());
            let shown = format!(
                "{} {} {team} {body} {}",
                attempt.method(),
                attempt.url(),
                attempt.number()
            );
            self.shown.lock().unwrap().push(shown);
            let key = self.key.load(Ordering::SeqCst);
            attempt
                .headers_mut()
                .insert("x-signature", format!("{body}/{key}").parse()?);
            Ok(())
        })
    }

    fn refresh<'a>(&'a self, refused: &'a Refused) -> LayerFuture<'a, bool> {
        assert!(refused.headers().contains_key("content-length"));
        self.refused.fetch_add(1, Ordering::SeqCst);
        self.key.fetch_add(1, Ordering::SeqCst);
        Box::pin(std::future::ready(true))
    }
}

fn client(config: ClientConfig, layer: impl AttemptLayer) -> Client {
    Client::new(config).unwrap().with_attempt_layer(layer)
}

#[tokio::test]
async fn each_attempt_is_signed_on_its_final_headers() {
    let failing = answers::with_length("425 Too Early", &[], "");
    let script = [steps::answer_once(failing), steps::answer_once(answers::ok("fine"))].concat();
    let server = Script::start([script]).await;
    let signer = Signer::default();
    let config = ClientConfig::default()
        .default_header("x-team", "search")
        .retry_backoff(Duration::from_millis(1), Duration::from_millis(1));
    let client = client(config, signer.clone());
    let response = within(PATIENCE, client.put(server.url("/x?y")).body("a body").send())
        .await
        .unwrap();
    assert_eq!(response.text().await.unwrap(), "fine");
    let shown = |number| format!("PUT {} search 6 {number}", server.url("/x?y"));
    assert_eq!(*signer.shown.lock().unwrap(), [shown(1), shown(2)]);
    let received = server.received_text(0);
    assert_eq!(received.matches("x-signature: 6/0\r\n").count(), 2, "{received}");
    assert_eq!(received.matches("x-team: search\r\n").count(), 2);
    assert_eq!(received.matches(&format!("host: {}\r\n", server.addr())).count(), 2);
    assert_at_rest(&client).await;
}

#[tokio::test]
async fn a_signature_that_is_refused_is_made_anew_once() {
    let place = Place::start().await;
    place.answers("/", 401);
    for door in Door::BOTH {
        let (signer, before) = (Signer::default(), place.requests());
        let client = client(ClientConfig::default().max_redirects(0), signer.clone());
        let landed = door
            .send(&client, Method::POST, &place.url("/"), headers([]), "a body")
            .await;
        assert_eq!(landed.unwrap().status, 401);
        let seen = &place.seen()[before..];
        let signatures: Vec<_> = seen.iter().map(|seen| seen.header("x-signature").unwrap()).collect();
        assert_eq!(signatures, ["6/0", "6/1"], "{door:?}");
        assert!(seen.iter().all(|seen| seen.body == "a body"));
        assert_eq!(signer.refused.load(Ordering::SeqCst), 1);
        assert_at_rest(&client).await;
    }
}

#[tokio::test]
async fn what_is_sent_once_more_gives_its_host_s_place_back_first() {
    let place = Place::start().await;
    place.answers("/", 401);
    let mut limit = Limit::default();
    limit.max_concurrent_per_host = Some(1);
    let client = client(ClientConfig::default().limit(limit), Signer::default());
    let url = place.url("/");
    for door in Door::BOTH {
        let landed = door.send(&client, Method::POST, &url, headers([]), "a body");
        assert_eq!(landed.await.unwrap().status, 401);
    }
    assert_eq!(place.requests(), 4);
    assert_at_rest(&client).await;
}

#[tokio::test]
async fn nothing_is_signed_for_another_origin() {
    let (own, other) = (Place::start().await, Place::start().await);
    own.sends("/around", 307, "/here");
    own.sends("/away", 307, other.url("/there"));
    other.sends("/there", 307, own.url("/back"));
    let anywhere = ClientConfig::default();
    let at_home = ClientConfig::default().auth_origins([own.url("")]);
    for (config, elsewhere) in [(anywhere, true), (at_home, false)] {
        let client = client(config, Signer::default());
        for door in Door::BOTH {
            let is_signed = async |url: String| {
                let landed = door.get(&client, &url).await.unwrap();
                landed.echoed().header("x-signature").is_some()
            };
            assert!(is_signed(own.url("/around")).await);
            assert_eq!(is_signed(other.url("/")).await, elsewhere);
            assert!(!is_signed(own.url("/away")).await, "there and back");
        }
        // The handle that the layer was given to has it, and its clones.
        let bare = Client::new(ClientConfig::default()).unwrap();
        let _ = bare.with_attempt_layer(Signer::default());
        let landed = Door::Builder.get(&bare, &own.url("/")).await.unwrap();
        assert_eq!(landed.echoed().header("x-signature"), None);
    }
}

/// Tells the server what it was shown of the target.
struct Mirror;

impl AttemptLayer for Mirror {
    fn sign<'a>(&'a self, attempt: &'a mut Attempt<'_>) -> LayerFuture<'a, Result<(), BoxError>> {
        let target = attempt.path_and_query().as_str().parse();
        attempt
            .headers_mut()
            .insert("x-signed-target", target.expect("a target is a header's value"));
        Box::pin(std::future::ready(Ok(())))
    }
}

#[tokio::test]
async fn a_layer_is_shown_the_target_byte_for_byte_as_it_is_sent() {
    let place = Place::start().await;
    for door in Door::BOTH {
        let client = client(ClientConfig::default(), Mirror);
        for path in ["/", "/a/../b//c/.?x=%7E&y", "/%2e%2E/%41?"] {
            let landed = door.get(&client, &place.url(path)).await.unwrap();
            let seen = landed.echoed();
            assert_eq!(seen.header("x-signed-target"), Some(seen.target.as_str()), "{door:?}");
        }
        assert_at_rest(&client).await;
    }
}

/// Does something that it may not.
struct Meddler(&'static str);

impl AttemptLayer for Meddler {
    fn sign<'a>(&'a self, attempt: &'a mut Attempt<'_>) -> LayerFuture<'a, Result<(), BoxError>> {
        attempt.headers_mut().insert(self.0, "7".parse().unwrap());
        Box::pin(std::future::ready(Ok(())))
    }
}

/// Waits at the gate.
struct Slow(Gate);

impl AttemptLayer for Slow {
    fn sign<'a>(&'a self, _: &'a mut Attempt<'_>) -> LayerFuture<'a, Result<(), BoxError>> {
        Box::pin(async {
            self.0.pass().await;
            Ok(())
        })
    }
}

#[tokio::test]
async fn a_layer_that_fails_meddles_or_takes_too_long_fails_its_request_and_nothing_is_sent() {
    let place = Place::start().await;
    let signing = client(ClientConfig::default(), Signer::default());
    let stream = StreamBody::new(Pieces(vec!["a body"]));
    let request = http::Request::put(place.url("/")).body(stream).unwrap();
    let error = within(PATIENCE, signing.clone().oneshot(request)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Request);
    assert!(
        error
            .to_string()
            .contains("the request could not be signed: a stream can't be signed"),
        "{error}"
    );
    for name in ["host", "content-length", "transfer-encoding"] {
        let client = client(ClientConfig::default(), Meddler(name));
        let error = Door::Builder.get(&client, &place.url("/")).await.unwrap_err();
        let words = format!("its layer changed the header {name}, which is not its own");
        assert!(error.to_string().contains(&words), "{error}");
    }
    let gate = Gate::new();
    let slow = client(
        ClientConfig::default().timeout(Duration::from_millis(50)),
        Slow(gate.clone()),
    );
    let error = Door::Builder.get(&slow, &place.url("/")).await.unwrap_err();
    assert!(
        matches!(
            error.kind(),
            Kind::Timeout {
                phase: Phase::Signing,
                ..
            }
        ),
        "{error}"
    );
    // Where the whole request has all the time, too.
    let hasty = ClientConfig::default()
        .no_timeout()
        .attempt_timeout(Duration::from_millis(50))
        .max_attempts(1);
    let hasty = client(hasty, Slow(gate.clone()));
    let error = within(PATIENCE, Door::Builder.get(&hasty, &place.url("/")))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("timeouts.attempt"), "{error}");
    gate.open();
    assert_eq!((place.accepted(), place.requests()), (0, 0));
    assert_at_rest(&slow).await;
    assert_at_rest(&hasty).await;
}

/// Renews its key for ever.
struct Renewing;

impl AttemptLayer for Renewing {
    fn sign<'a>(&'a self, _: &'a mut Attempt<'_>) -> LayerFuture<'a, Result<(), BoxError>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn refresh<'a>(&'a self, _: &'a Refused) -> LayerFuture<'a, bool> {
        Box::pin(std::future::pending())
    }
}

#[tokio::test]
async fn a_layer_that_renews_for_too_long_has_the_answer_told_in_time() {
    let place = Place::start().await;
    place.answers("/", 401);
    let config = ClientConfig::default().timeout(Duration::from_millis(300));
    let renewing = client(config, Renewing);
    let response = within(PATIENCE, renewing.get(place.url("/")).send()).await.unwrap();
    assert_eq!(response.status(), 401);
    drop(response);
    assert_at_rest(&renewing).await;
}

/// Names requests, counts them, and answers some itself.
#[derive(Clone, Default)]
struct Namer {
    answered: Arc<AtomicUsize>,
}

impl RequestLayer for Namer {
    fn call<'a>(
        &'a self,
        mut request: LayeredRequest,
        next: Next<'a>,
    ) -> LayerFuture<'a, Result<http::Response<Body>, Error>> {
        Box::pin(async move {
            assert_eq!(request.url().unwrap().username(), "");
            request.headers_mut().insert("x-request-id", "7".parse().unwrap());
            if request.headers().contains_key("x-stay") {
                request
                    .options_mut()
                    .clone_from(&RequestOptions::default().max_redirects(0));
            }
            let mut response = next.run(request).await?;
            self.answered.fetch_add(1, Ordering::SeqCst);
            response.headers_mut().insert("x-seen", "yes".parse().unwrap());
            Ok(response)
        })
    }
}

#[tokio::test]
async fn a_layer_around_whole_requests_sees_each_once_through_both_doors() {
    let place = Place::start().await;
    place.sends("/from", 302, "/to");
    let namer = Namer::default();
    let bare = Client::new(ClientConfig::default()).unwrap();
    let layered = bare
        .with_request_layer(namer.clone())
        .with_attempt_layer(Signer::default());
    for (number, door) in Door::BOTH.into_iter().enumerate() {
        let url = place.url("/from").replace("//", "//me:too@");
        let landed = door.get(&layered, &url).await.unwrap();
        let seen = landed.echoed();
        assert_eq!((seen.header("x-request-id"), seen.target.as_str()), (Some("7"), "/to"));
        assert!(seen.header("x-signature").is_some() && seen.header("authorization").is_some());
        assert_eq!((landed.url, landed.history.len()), (place.url("/to"), 1), "{door:?}");
        let stays = headers([("x-stay", "1")]);
        let landed = door
            .send(&layered, Method::GET, &place.url("/from"), stays, "")
            .await
            .unwrap();
        assert_eq!((landed.status, landed.url), (302, place.url("/from")));
        assert_eq!(namer.answered.load(Ordering::SeqCst), 2 * (number + 1));
        let seen = door.get(&bare, &place.url("/")).await.unwrap().echoed();
        assert_eq!(seen.header("x-request-id"), None);
    }
    let response = within(PATIENCE, layered.get(place.url("/")).send()).await.unwrap();
    assert_eq!(
        (response.url().path(), response.headers().contains_key("x-seen")),
        ("/", true)
    );
    assert_eq!(layered.get("no url").send().await.unwrap_err().kind(), Kind::Request);
    drop(response);
    layered.stop();
    let stopped = [
        Door::Builder.get(&layered, &place.url("/")).await.unwrap_err().kind(),
        Door::Tower.get(&layered, &place.url("/")).await.unwrap_err().kind(),
    ];
    assert_eq!(stopped, [Kind::Stopped; 2]);
}
