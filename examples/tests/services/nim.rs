//! NVIDIA NIM.

use std::sync::Arc;
use std::time::Duration;

use httputil::{Kind, Registry};
use httputil_tests::gate::Gate;
use httputil_tests::script::{Script, Step};
use httputil_tests::server::{Server, handlers};
use httputil_tests::tcp::ClosedPort;
use httputil_tests::{PATIENCE, within};
use reqwest::StatusCode;
use services::nim::{Chat, InputType, Message, Nim, NimError, Usage};
use services::peers::{MODEL, NimPeer};

use crate::support::registry;

fn asking<'a>(urls: &[String], more: impl IntoIterator<Item = (&'a str, &'a str)>) -> Registry {
    let urls = serde_json::to_string(urls).unwrap();
    let more = more.into_iter().map(|(key, value)| (key, value.to_owned()));
    registry(more.chain([("nim.base_url", urls), ("nim.retry.backoff.base", "1ms".to_owned())]))
}

fn chat(messages: &[Message]) -> Chat<'_> {
    Chat {
        model: MODEL,
        messages,
        max_tokens: None,
    }
}

#[tokio::test]
async fn each_kind_of_container_is_spoken_to() {
    let peer = NimPeer::start(Some("a key")).await;
    let registry = asking(&[peer.url()], [("nim.auth.bearer", "a key")]);
    let nim = Nim::with_registry(&registry).unwrap();
    assert_eq!(nim.models().await.unwrap(), [MODEL]);
    let answer = nim.chat(&chat(&[Message::user("hello")])).await.unwrap();
    assert_eq!(answer.text, "You said: hello");
    assert_eq!(answer.finish_reason.as_deref(), Some("stop"));
    let usage = Usage {
        prompt_tokens: 5,
        total_tokens: 8,
    };
    assert_eq!(answer.usage, Some(usage));
    let image = Message::of_image("what is this?", "image/png", &[7; 1000]);
    let answer = nim.chat(&chat(&[image])).await.unwrap();
    assert_eq!(answer.text, "You said: what is this? [png of 1000 bytes]");
    let answer = nim.complete(MODEL, "one, two", Some(3)).await.unwrap();
    assert_eq!((answer.text.as_str(), answer.usage), ("one, two, and so on", None));
    let texts = ["a".to_owned(), "bcd".to_owned()];
    let vectors = nim.embed(MODEL, InputType::Query, &texts).await.unwrap();
    assert_eq!(vectors, [[1.0, 1.0], [3.0, 1.0]], "in the order of the texts");
    let ranked = nim.rank(MODEL, "a b c", &["x y", "a b", "a"]).await.unwrap();
    assert_eq!(ranked.iter().map(|one| one.index).collect::<Vec<_>>(), [1, 2, 0]);
    assert_eq!(peer.server.accepted(), 1);
}

#[tokio::test]
async fn readiness_is_the_status_and_is_not_tried_again() {
    let peer = NimPeer::start(None).await;
    let registry = asking(&[peer.url()], []);
    let nim = Nim::with_registry(&registry).unwrap();
    assert!(nim.is_ready().await.unwrap());
    peer.set_loading(true);
    assert!(!nim.is_ready().await.unwrap());
    assert_eq!(peer.server.requests(), 2);
}

#[tokio::test]
async fn a_model_that_is_being_loaded_is_waited_for_until_it_is_there_or_the_time_is_up() {
    let peer = NimPeer::start(None).await;
    peer.set_loading(true);
    let registry = asking(&[peer.url()], []);
    let nim = Nim::with_registry(&registry).unwrap();
    let error = nim.until_ready(Duration::ZERO).await.unwrap_err();
    assert!(matches!(error, NimError::NotReady), "{error}");
    assert_eq!(peer.server.requests(), 1);
    let loaded = async {
        peer.server.until_requests(3).await;
        peer.set_loading(false);
    };
    let (ready, ()) = within(PATIENCE, async { tokio::join!(nim.until_ready(PATIENCE), loaded) }).await;
    ready.unwrap();

    let gone = ClosedPort::new();
    let registry = asking(&[format!("http://{}", gone.addr())], []);
    let nim = Nim::with_registry(&registry).unwrap();
    let error = nim.until_ready(Duration::ZERO).await.unwrap_err();
    assert!(error.to_string().contains("refused"), "{error}");
}

#[tokio::test]
async fn a_replica_that_is_gone_or_fails_costs_no_call() {
    let well = NimPeer::start(None).await;
    let failing = NimPeer::start(None).await;
    failing.answer_next([StatusCode::SERVICE_UNAVAILABLE; 1000]);
    let gone = ClosedPort::new();
    let urls = [well.url(), failing.url(), format!("http://{}", gone.addr())];
    let registry = asking(&urls, [("nim.retry.budget.min_per_second", "1000")]);
    let nim = Nim::with_registry(&registry).unwrap();
    for number in 0..50 {
        let answer = nim.chat(&chat(&[Message::user(number.to_string())])).await.unwrap();
        assert_eq!(answer.text, format!("You said: {number}"));
    }
}

#[tokio::test]
async fn many_texts_go_in_pieces_a_few_at_once_and_each_has_its_result() {
    let peer = NimPeer::start(None).await;
    let registry = asking(&[peer.url()], []);
    let nim = Nim::with_registry(&registry).unwrap();
    let mut texts: Vec<String> = (0..450).map(|number| "x".repeat(number % 7 + 1)).collect();
    // The second piece is refused, for what one of its texts is.
    texts[150].clear();
    let results = nim.embed_all(MODEL, InputType::Passage, texts.clone(), 2).await;
    assert_eq!(results.len(), 450);
    for (number, (text, result)) in texts.iter().zip(&results).enumerate() {
        match result {
            Ok(vector) => assert_eq!(vector, &[text.len() as f32, 0.0], "{number}"),
            Err(error) => {
                assert!((100..200).contains(&number), "{number}: {error}");
                assert_eq!(
                    error.to_string(),
                    "the model's server answered 400 Bad Request: input: an empty text"
                );
            }
        }
    }
    assert_eq!(results.iter().filter(|result| result.is_err()).count(), 100);
    assert_eq!(peer.server.requests(), 5);
    assert!(peer.server.seen().max_in_flight <= 2);
}

#[tokio::test]
async fn a_batch_that_is_dropped_is_given_up_at_the_server() {
    let gate = Gate::new();
    let server = Server::builder()
        .handler(handlers::hold(&gate, handlers::fixed("{}")))
        .start()
        .await;
    let registry = asking(&[server.url("")], []);
    let nim = Arc::new(Nim::with_registry(&registry).unwrap());
    let asking = tokio::spawn({
        let nim = Arc::clone(&nim);
        async move {
            nim.embed_all(MODEL, InputType::Query, vec!["x".to_owned(); 300], 3)
                .await
        }
    });
    gate.arrived(3).await;
    asking.abort();
    server.until_open(0).await;
}

#[tokio::test]
async fn what_the_server_says_is_told_and_what_it_should_not_say_too() {
    let peer = NimPeer::start(Some("a key")).await;
    let registry = asking(&[peer.url()], [("nim.auth.bearer", "another key")]);
    let nim = Nim::with_registry(&registry).unwrap();
    let error = nim.models().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the model's server answered 401 Unauthorized: who are you?"
    );
    assert!(!format!("{error:?}").contains("another key"));

    let other = Server::builder()
        .handler(handlers::fixed("<html>hello</html>"))
        .start()
        .await;
    let registry = asking(&[other.url("")], []);
    let nim = Nim::with_registry(&registry).unwrap();
    let error = nim.models().await.unwrap_err();
    assert!(matches!(error, NimError::Answer(_)), "{error}");

    let short = Server::builder()
        .handler(handlers::fixed(r#"{"data":[{"index":0,"embedding":[1]}]}"#))
        .start()
        .await;
    let registry = asking(&[short.url("")], []);
    let nim = Nim::with_registry(&registry).unwrap();
    let texts = ["a".to_owned(), "b".to_owned()];
    let error = nim.embed(MODEL, InputType::Query, &texts).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the model's server answered something else than it should: a vector is missing"
    );
}

#[tokio::test]
async fn vectors_that_come_twice_passages_that_nobody_gave_and_answers_that_are_too_large_are_none() {
    let twice = Server::builder()
        .handler(handlers::fixed(
            r#"{"data":[{"index":0,"embedding":[1]},{"index":0,"embedding":[2]},{"index":1,"embedding":[3]}]}"#,
        ))
        .start()
        .await;
    let registry = asking(&[twice.url("")], []);
    let nim = Nim::with_registry(&registry).unwrap();
    let texts = ["a".to_owned(), "b".to_owned()];
    let error = nim.embed(MODEL, InputType::Query, &texts).await.unwrap_err();
    assert!(error.to_string().contains("a vector too many, number 0"), "{error}");

    let strange = Server::builder()
        .handler(handlers::fixed(
            r#"{"rankings":[{"index":0,"logit":1.5},{"index":2,"logit":0.5}]}"#,
        ))
        .start()
        .await;
    let registry = asking(&[strange.url("")], []);
    let nim = Nim::with_registry(&registry).unwrap();
    let error = nim.rank(MODEL, "a", &["b", "c"]).await.unwrap_err();
    assert!(error.to_string().contains("a passage that there is not"), "{error}");

    let larger = Step::write(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", (64 << 20) + 1));
    let script = Script::start([vec![Step::ReadRequest, larger, Step::Stall]]).await;
    let registry = asking(&[script.url("")], []);
    let nim = Nim::with_registry(&registry).unwrap();
    let error = within(PATIENCE, nim.models()).await.unwrap_err();
    assert!(
        matches!(&error, NimError::Http(error) if error.kind() == Kind::TooLarge),
        "{error:?}"
    );
}
