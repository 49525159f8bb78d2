//! The crate `object_store` on a client, against a store that verifies its signatures.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use httputil::{Client, ClientConfig};
use httputil_tests::tcp::ClosedPort;
use httputil_tests::{PATIENCE, within};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::{Attribute, ClientOptions, ObjectStore as _, ObjectStoreExt as _, RetryConfig};
use reqwest::StatusCode;
use reqwest::header::{HeaderName, HeaderValue};
use services::peers::{ACCESS_KEY, Content, REGION, S3Peer, SECRET_KEY};

fn store_on(client: &Client, peer: &S3Peer, options: ClientOptions) -> object_store::Result<AmazonS3> {
    builder_on(client, peer, options).build()
}

fn builder_on(client: &Client, peer: &S3Peer, options: ClientOptions) -> AmazonS3Builder {
    peer.location("photos");
    AmazonS3Builder::new()
        .with_endpoint(peer.server.url(""))
        .with_region(REGION)
        .with_bucket_name("photos")
        .with_access_key_id(ACCESS_KEY)
        .with_secret_access_key(SECRET_KEY)
        .with_client_options(options)
        .with_http_connector(client.to_object_store())
}

fn plain() -> ClientOptions {
    ClientOptions::new().with_allow_http(true)
}

fn client() -> Client {
    Client::new(ClientConfig::default().no_timeout()).unwrap()
}

fn bytes(length: usize) -> Bytes {
    (0..length).map(|at| (at % 251).to_le_bytes()[0]).collect()
}

#[tokio::test]
async fn a_store_puts_gets_and_lists_over_the_client_s_pool() {
    let peer = S3Peer::start().await;
    let client = client();
    let store = store_on(&client, &peer, plain()).unwrap();
    for number in 0..20 {
        let path = Path::from(format!("trip/{number:02} of 20.jpg"));
        store.put(&path, bytes(10_000 + number).into()).await.unwrap();
    }
    let listed: Vec<_> = store.list(Some(&Path::from("trip"))).try_collect().await.unwrap();
    assert_eq!(listed.len(), 20);
    assert_eq!(
        (listed[3].location.as_ref(), listed[3].size),
        ("trip/03 of 20.jpg", 10_003)
    );
    let got = store.get(&listed[7].location).await.unwrap().bytes().await.unwrap();
    assert_eq!(got, bytes(10_007));
    let range = store.get_range(&listed[7].location, 5000..5010).await.unwrap();
    assert_eq!(range, bytes(10_007).slice(5000..5010));
    let head = store.head(&listed[0].location).await.unwrap();
    assert_eq!(head.size, 10_000);
    assert!(matches!(
        store.get(&Path::from("no such")).await,
        Err(object_store::Error::NotFound { .. })
    ));
    assert_eq!(peer.server.accepted(), 1, "one after another, over one connection");
    assert!(peer.asked().iter().all(|asked| asked.answer != 403), "each was signed");

    // A second store shares it.
    let other = store_on(&client, &peer, plain()).unwrap();
    other.head(&listed[0].location).await.unwrap();
    assert_eq!(peer.server.accepted(), 1);
    drop((store, other));
    client.stop();
    peer.server.until_open(0).await;
}

#[tokio::test]
async fn a_large_object_is_uploaded_in_parts() {
    let peer = S3Peer::start().await;
    let store: Arc<dyn object_store::ObjectStore> = Arc::new(store_on(&client(), &peer, plain()).unwrap());
    let mut upload = store.put_multipart(&Path::from("large")).await.unwrap();
    for part in bytes(300_000).chunks(100_000) {
        upload.put_part(Bytes::copy_from_slice(part).into()).await.unwrap();
    }
    upload.complete().await.unwrap();
    let got = store.get(&Path::from("large")).await.unwrap().bytes().await.unwrap();
    assert_eq!(got, bytes(300_000));
    assert_eq!(peer.uploads(), 0);
}

#[tokio::test]
async fn retries_are_the_store_s_and_a_body_that_breaks_off_is_gone_on_with() {
    let peer = S3Peer::start().await;
    let client = client();
    let store = store_on(&client, &peer, plain()).unwrap();
    let path = Path::from("a");
    store.put(&path, bytes(500_000).into()).await.unwrap();
    peer.answer_next([StatusCode::SERVICE_UNAVAILABLE, StatusCode::INTERNAL_SERVER_ERROR]);
    peer.break_next([200_000]);
    let got = within(PATIENCE, async {
        store.get(&path).await.unwrap().bytes().await.unwrap()
    })
    .await;
    assert_eq!(got, bytes(500_000));
    let answers: Vec<u16> = peer.asked().iter().map(|asked| asked.answer).collect();
    assert_eq!(answers, [200, 503, 500, 200, 206]);
    assert_eq!(client.stats().retries, 0);
}

#[tokio::test]
async fn what_the_profile_says_is_refused_of_the_store_s_options_and_plain_http_unless_it_is_allowed() {
    let peer = S3Peer::start().await;
    let client = client();
    for options in [
        plain().with_proxy_url("http://proxy:3128"),
        plain().with_allow_invalid_certificates(true),
    ] {
        let error = store_on(&client, &peer, options).unwrap_err();
        let words = "the store's client options are the profile's to set: ";
        assert!(error.to_string().contains(words), "{error}");
    }
    let store = store_on(&client, &peer, ClientOptions::new()).unwrap();
    let error = store.head(&Path::from("a")).await.unwrap_err();
    assert!(format!("{error:?}").contains("do not set allow_http"), "{error:?}");
    assert_eq!(peer.server.accepted(), 0);
}

#[tokio::test]
async fn an_object_is_removed_and_one_that_is_not_there_is_no_error() {
    let peer = S3Peer::start().await;
    let client = client();
    let store = builder_on(&client, &peer, plain())
        .with_disable_bulk_delete(true)
        .build()
        .unwrap();
    let path = Path::from("trip/1.jpg");
    store.put(&path, bytes(10).into()).await.unwrap();
    store.delete(&path).await.unwrap();
    assert!(peer.keys("photos").is_empty());
    store.delete(&path).await.unwrap();
    assert!(matches!(
        store.head(&path).await,
        Err(object_store::Error::NotFound { .. })
    ));
    let answers: Vec<u16> = peer.asked().iter().map(|asked| asked.answer).collect();
    assert_eq!(answers, [200, 204, 204, 404]);
}

#[tokio::test]
async fn the_options_headers_go_with_each_request_and_an_object_s_own_come_back() {
    let peer = S3Peer::start().await;
    peer.put(
        "photos",
        "a",
        Content::Bytes(bytes(10)),
        [("content-type", "image/jpeg"), ("cache-control", "no-store")],
    );
    let headers = [(HeaderName::from_static("x-team"), HeaderValue::from_static("catalogue"))];
    let options = plain().with_default_headers(headers.into_iter().collect());
    let store = store_on(&client(), &peer, options).unwrap();
    let got = store.get(&Path::from("a")).await.unwrap();
    let attribute = |name| got.attributes.get(&name).map(|value| value.as_ref().to_owned());
    assert_eq!(attribute(Attribute::ContentType).as_deref(), Some("image/jpeg"));
    assert_eq!(attribute(Attribute::CacheControl).as_deref(), Some("no-store"));
    store.put(&Path::from("b"), bytes(10).into()).await.unwrap();
    for asked in peer.asked() {
        assert_eq!(asked.headers["x-team"], "catalogue", "{}", asked.method);
    }
}

#[tokio::test]
async fn what_was_not_sent_is_tried_again_by_the_store_and_what_it_says_in_the_end_is_the_client_s() {
    let peer = S3Peer::start().await;
    let dead = ClosedPort::new();
    let client = Client::new(ClientConfig::default().no_timeout().no_breaker()).unwrap();
    let store = builder_on(&client, &peer, plain())
        .with_endpoint(format!("http://{}", dead.addr()))
        .with_retry(RetryConfig {
            max_retries: 2,
            ..RetryConfig::default()
        })
        .build()
        .unwrap();
    // A PUT too: nothing of it was sent.
    let error = within(PATIENCE, store.put(&Path::from("a"), bytes(10).into()))
        .await
        .unwrap_err();
    assert!(matches!(error, object_store::Error::Generic { .. }), "{error:?}");
    let text = format!("{error:?}");
    assert!(text.contains("refused") && text.contains("Connect"), "{text}");
    assert_eq!((client.stats().retries, peer.server.accepted()), (0, 0));
}
