//! Object lambda.

use bytes::Bytes;
use http_body_util::BodyExt as _;
use httputil::{Kind, PooledClient as _, Registry};
use httputil_tests::{PATIENCE, within};
use reqwest::StatusCode;
use services::object_lambda::{LambdaError, ObjectLambda, Transformed, UserRequest};
use services::peers::{Content, S3Peer, Transformer};

use crate::support::registry;

const BOTH: [&str; 2] = ["url", "body"];

fn transforming<'a>(
    store: &S3Peer,
    transformer: &Transformer,
    more: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Registry {
    let mut values = store.settings("object_lambda.settings.from", "photos");
    values.push((
        "object_lambda.settings.webhook".to_owned(),
        transformer.url().to_string(),
    ));
    values.push(("object_lambda.retry.backoff.base".to_owned(), "1ms".to_owned()));
    values.extend(more.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())));
    registry(values.iter().map(|(key, value)| (key.as_str(), value.clone())))
}

fn text(length: usize) -> Bytes {
    (0..length).map(|at| b"abcdefgh \n"[at % 10]).collect()
}

async fn body_of(answer: Transformed) -> Bytes {
    let body = within(PATIENCE, answer.body.collect()).await;
    body.unwrap().to_bytes()
}

#[tokio::test]
async fn an_object_is_given_as_the_transformer_makes_it_either_way() {
    let (store, transformer) = (S3Peer::start().await, Transformer::start(Some("a token")).await);
    store.put(
        "photos",
        "a b/c+d",
        Content::Bytes(text(500_000)),
        [("content-type", "text/plain")],
    );
    let user = UserRequest {
        url: "https://store.example/photos/a%20b?versionId=1&X-Amz-Signature=canary".to_owned(),
        headers: [
            ("accept", "text/loud"),
            ("Authorization", "canary"),
            ("cookie", "canary"),
            ("x-amz-server-side-encryption-customer-key", "canary"),
        ]
        .map(|(name, value)| (name.to_owned(), vec![value.to_owned()]))
        .into(),
    };
    for input in BOTH {
        let registry = transforming(
            &store,
            &transformer,
            [
                ("object_lambda.settings.input", input),
                ("object_lambda.settings.token", "a token"),
            ],
        );
        let lambda = ObjectLambda::with_registry(&registry).unwrap();
        let answer = lambda.get("a b/c+d", &user).await.unwrap();
        assert_eq!((answer.status, &answer.failure), (StatusCode::OK, &None), "{input}");
        assert_eq!(answer.headers.len(), 1);
        assert_eq!(answer.headers["content-type"], "text/loud");
        assert_eq!(body_of(answer).await, text(500_000).to_ascii_uppercase());
        lambda.shutdown(PATIENCE).await;
    }
    let told = transformer.told();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].url, "https://store.example/photos/a%20b?versionId=1");
    assert_eq!(told[0].headers["accept"], ["text/loud"]);
    assert_eq!(
        told[0].headers.keys().collect::<Vec<_>>(),
        ["accept"],
        "no secret of the user's"
    );
}

#[tokio::test]
async fn an_answer_of_another_request_is_none() {
    let (store, transformer) = (S3Peer::start().await, Transformer::start(None).await);
    store.put("photos", "a", Content::Bytes(text(10)), []);
    for (name, input) in [("x-amz-request-route", "url"), ("x-amz-request-token", "body")] {
        let transformer = Transformer::start(None).await;
        transformer.say(name, "another's");
        let registry = transforming(&store, &transformer, [("object_lambda.settings.input", input)]);
        let lambda = ObjectLambda::with_registry(&registry).unwrap();
        let error = lambda.get("a", &UserRequest::default()).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("the transformer's answer is another request's: its {name} is not ours")
        );
    }
    let registry = transforming(&store, &transformer, [("object_lambda.settings.token", "a token")]);
    transformer.say("x-amz-fwd-status", "many");
    let lambda = ObjectLambda::with_registry(&registry).unwrap();
    let error = lambda.get("a", &UserRequest::default()).await.unwrap_err();
    assert!(matches!(error, LambdaError::Answer(_)), "{error}");
}

#[tokio::test]
async fn what_the_transformer_makes_of_it_may_be_a_failure_for_the_user() {
    let (store, transformer) = (S3Peer::start().await, Transformer::start(None).await);
    store.location("photos");
    let registry = transforming(&store, &transformer, []);
    let lambda = ObjectLambda::with_registry(&registry).unwrap();
    let answer = lambda.get("no such", &UserRequest::default()).await.unwrap();
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    let failure = ("NotReadable".to_owned(), "the object cannot be read".to_owned());
    assert_eq!(answer.failure, Some(failure));
    // Where the object is posted, it is not asked.
    let registry = transforming(&store, &transformer, [("object_lambda.settings.input", "body")]);
    let lambda = ObjectLambda::with_registry(&registry).unwrap();
    let error = lambda.get("no such", &UserRequest::default()).await.unwrap_err();
    assert!(
        matches!(&error, LambdaError::Store(error) if error.is_gone()),
        "{error}"
    );
    assert_eq!(transformer.server.requests(), 1);
}

#[tokio::test]
async fn the_status_for_the_user_is_a_number_or_what_it_is_called() {
    let (store, transformer) = (S3Peer::start().await, Transformer::start(None).await);
    store.put("photos", "a", Content::Bytes(text(10)), []);
    let registry = transforming(&store, &transformer, []);
    let lambda = ObjectLambda::with_registry(&registry).unwrap();
    transformer.say("x-amz-fwd-error-code", "NoSuchKey");
    transformer.say("x-amz-fwd-header-content-length", "1");
    for (said, status) in [
        ("404", StatusCode::NOT_FOUND),
        ("Not Found", StatusCode::NOT_FOUND),
        ("Requested Range Not Satisfiable", StatusCode::RANGE_NOT_SATISFIABLE),
        ("206", StatusCode::PARTIAL_CONTENT),
    ] {
        transformer.say("x-amz-fwd-status", said);
        let answer = lambda.get("a", &UserRequest::default()).await.unwrap();
        assert_eq!(answer.status, status, "{said}");
        assert_eq!(answer.failure.is_some(), status.is_client_error(), "{said}");
        assert!(
            !answer.headers.contains_key("content-length"),
            "how the answer is framed is not the transformer's to say"
        );
    }
    for said in ["100", "Continue", "600", "not found at all"] {
        transformer.say("x-amz-fwd-status", said);
        let error = lambda.get("a", &UserRequest::default()).await.unwrap_err();
        assert!(matches!(error, LambdaError::Answer(_)), "{said}: {error}");
    }
}

#[tokio::test]
async fn a_busy_transformer_is_asked_again_and_one_that_refuses_is_not() {
    let (store, transformer) = (S3Peer::start().await, Transformer::start(None).await);
    store.put("photos", "a", Content::Bytes(text(200_000)), []);
    for input in BOTH {
        let registry = transforming(&store, &transformer, [("object_lambda.settings.input", input)]);
        let lambda = ObjectLambda::with_registry(&registry).unwrap();
        let before = transformer.server.requests();
        transformer.answer_next([StatusCode::SERVICE_UNAVAILABLE, StatusCode::BAD_GATEWAY]);
        let answer = lambda.get("a", &UserRequest::default()).await.unwrap();
        assert_eq!(body_of(answer).await, text(200_000).to_ascii_uppercase(), "{input}");
        transformer.answer_next([StatusCode::IM_A_TEAPOT]);
        let error = lambda.get("a", &UserRequest::default()).await.unwrap_err();
        assert_eq!(error.to_string(), "the transformer answered 418 I'm a teapot");
        assert_eq!(transformer.server.requests() - before, 4);
    }
}

#[tokio::test]
async fn a_store_that_breaks_off_is_gone_on_with_and_the_reader_notices_nothing() {
    let (store, transformer) = (S3Peer::start().await, Transformer::start(None).await);
    store.put("photos", "a", Content::Bytes(text(400_000)), []);
    store.break_next([150_000]);
    let registry = transforming(&store, &transformer, [("object_lambda.settings.input", "body")]);
    let lambda = ObjectLambda::with_registry(&registry).unwrap();
    let answer = lambda.get("a", &UserRequest::default()).await.unwrap();
    assert_eq!(body_of(answer).await, text(400_000).to_ascii_uppercase());
    assert_eq!((store.server.requests(), transformer.server.requests()), (2, 1));
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_a_body_that_fails() {
    let (store, transformer) = (S3Peer::start().await, Transformer::start(None).await);
    store.put("photos", "a", Content::Bytes(text(400_000)), []);
    store.break_next([150_000]);
    let registry = transforming(&store, &transformer, []);
    let lambda = ObjectLambda::with_registry(&registry).unwrap();
    let answer = lambda.get("a", &UserRequest::default()).await.unwrap();
    let error = within(PATIENCE, answer.body.collect()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Body, "{error}");
}

#[tokio::test]
async fn sizes_are_bounded_on_the_way_in_and_out() {
    let (store, transformer) = (S3Peer::start().await, Transformer::start(None).await);
    store.put("photos", "a", Content::Bytes(text(100_001)), []);
    let limit = ("object_lambda.settings.max_bytes", "100000");
    let registry = transforming(&store, &transformer, [limit, ("object_lambda.settings.input", "body")]);
    let lambda = ObjectLambda::with_registry(&registry).unwrap();
    let error = lambda.get("a", &UserRequest::default()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the object is larger than the 100000 bytes that are transformed"
    );
    assert_eq!(transformer.server.requests(), 0);

    let registry = transforming(&store, &transformer, [limit]);
    let lambda = ObjectLambda::with_registry(&registry).unwrap();
    let kind = match lambda.get("a", &UserRequest::default()).await {
        Ok(answer) => within(PATIENCE, answer.body.collect()).await.unwrap_err().kind(),
        Err(LambdaError::Http(error)) => error.kind(),
        Err(error) => panic!("{error}"),
    };
    assert_eq!(kind, Kind::TooLarge);
}

#[tokio::test]
async fn who_drops_the_answer_ends_all_that_is_behind_it() {
    let (store, transformer) = (S3Peer::start().await, Transformer::start(None).await);
    // As good as endless.
    store.put("photos", "a", Content::Made(1 << 40), []);
    for input in BOTH {
        let registry = transforming(
            &store,
            &transformer,
            [
                ("object_lambda.settings.input", input),
                ("object_lambda.settings.max_bytes", "2000000000000"),
            ],
        );
        let lambda = ObjectLambda::with_registry(&registry).unwrap();
        let mut answer = lambda.get("a", &UserRequest::default()).await.unwrap();
        within(PATIENCE, answer.body.frame()).await.unwrap().unwrap();
        drop(answer);
        transformer.server.until_open(0).await;
        store.server.until_open(0).await;
    }
}
