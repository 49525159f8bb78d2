//! Stores that answer something else than they were asked for.

use httputil_tests::script::{Script, Step};
use httputil_tests::{PATIENCE, within};
use services::s3::{Location, S3Error, Store};

use crate::support::registry;

/// A store that says this and no more.
async fn store_that_says(answer: &'static str) -> (Script, Store) {
    let script = Script::start([vec![Step::ReadRequest, Step::write(answer), Step::Fin]]).await;
    let location = Location {
        endpoint: script.url("").parse().unwrap(),
        region: "us-east-1".to_owned(),
        bucket: "photos".to_owned(),
        access_key: "a".to_owned(),
        secret_key: "b".into(),
        session_token: None,
    };
    let client = registry([]).client("s3_migration").unwrap();
    let store = Store::new(&client, &location);
    (script, store)
}

#[tokio::test]
async fn a_range_that_is_another_one_or_none_is_not_taken_for_the_one_that_was_asked_for() {
    let right = "HTTP/1.1 206 Partial Content\r\ncontent-length: 4\r\ncontent-range: bytes 3-6/10\r\n\r\n3456";
    let (_script, store) = store_that_says(right).await;
    let object = within(PATIENCE, store.get("a", Some((3, 7)), None)).await.unwrap();
    assert_eq!(object.length, 4);
    for wrong in [
        // The whole object, by a store that knows no ranges.
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n0123456789",
        "HTTP/1.1 200 OK\r\ncontent-length: 4\r\ncontent-range: bytes 3-6/10\r\n\r\n3456",
        "HTTP/1.1 206 Partial Content\r\ncontent-length: 4\r\ncontent-range: bytes 30-33/99\r\n\r\n3456",
        "HTTP/1.1 206 Partial Content\r\ncontent-length: 3\r\ncontent-range: bytes 3-5/10\r\n\r\n345",
        "HTTP/1.1 206 Partial Content\r\ncontent-length: 4\r\n\r\n3456",
    ] {
        let (_script, store) = store_that_says(wrong).await;
        let error = within(PATIENCE, store.get("a", Some((3, 7)), None)).await.unwrap_err();
        assert!(matches!(error, S3Error::Answer(_)), "{wrong:?}: {error}");
    }
}

#[tokio::test]
async fn an_object_without_a_length_is_none() {
    let endless = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n";
    let (_script, store) = store_that_says(endless).await;
    let error = within(PATIENCE, store.get("a", None, None)).await.unwrap_err();
    assert!(matches!(error, S3Error::Answer(_)), "{error}");
}
