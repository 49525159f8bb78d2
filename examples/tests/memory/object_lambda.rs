//! A large object through object lambda, both ways: by how much the process grows, the store and the transformer included.

#![cfg(target_os = "linux")]

use aws_lc_rs::digest::{Context, Digest, SHA256};
use bytes::Bytes;
use http_body_util::BodyExt as _;
use httputil::{Config, Registry};
use services::object_lambda::{ObjectLambda, UserRequest};
use services::peers::{Content, S3Peer, Transformer};

#[path = "resident.rs"]
mod resident;

#[tokio::test]
async fn a_large_object_is_transformed_within_32_mib() {
    let size = resident::streamed();
    let (store, transformer) = (S3Peer::start().await, Transformer::start(None).await);
    store.put("photos", "small", Content::Made(1 << 20), []);
    store.put("photos", "large", Content::Made(size), []);
    for input in ["url", "body"] {
        let mut config =
            Config::builder().embedded("config/httputil.toml", include_str!("../../../config/httputil.toml"));
        let own = [("webhook", transformer.url().to_string()), ("input", input.to_owned())];
        let own = own.map(|(key, value)| (format!("object_lambda.settings.{key}"), value));
        for (key, value) in store
            .settings("object_lambda.settings.from", "photos")
            .into_iter()
            .chain(own)
        {
            config = config.set(key, value);
        }
        let config = config.load().unwrap_or_else(|error| panic!("{error}"));
        let registry = Registry::builder().config(config).build().unwrap();
        let lambda = ObjectLambda::with_registry(&registry).unwrap();

        // What a process does once is not counted.
        read(&lambda, "small").await;
        let before = resident::Baseline::take();
        let (length, digest) = read(&lambda, "large").await;
        let growth = before.growth();
        assert_eq!(length, size);
        assert_eq!(digest.as_ref(), expected(size).as_ref(), "{input}");
        println!(
            "object lambda, input by {input}: grew by {} KiB for {} MiB",
            growth >> 10,
            size >> 20
        );
        assert!(growth <= 32 << 20, "{input}: it grew by {growth} bytes");
    }
}

async fn read(lambda: &ObjectLambda, key: &str) -> (u64, Digest) {
    let mut body = lambda.get(key, &UserRequest::default()).await.unwrap().body;
    let (mut length, mut context) = (0, Context::new(&SHA256));
    while let Some(frame) = body.frame().await {
        let piece: Bytes = frame.unwrap().into_data().unwrap_or_default();
        length += piece.len() as u64;
        context.update(&piece);
    }
    (length, context.finish())
}

/// As the transformer makes it: capitals.
fn expected(size: u64) -> Digest {
    let mut context = Context::new(&SHA256);
    for at in (0..size).step_by(1 << 16) {
        let mut piece: Vec<u8> = Vec::with_capacity(1 << 16);
        for word in at / 8..(at + (1 << 16)) / 8 {
            piece.extend_from_slice(&word.to_le_bytes());
        }
        piece.make_ascii_uppercase();
        context.update(&piece);
    }
    context.finish()
}
