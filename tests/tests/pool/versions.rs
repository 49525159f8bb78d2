//! Asking for a protocol, and building a request in parts.

use httputil::{Client, Kind, RequestBuilder};
use httputil_tests::one_attempt;
use httputil_tests::server::Server;
use reqwest::Version;

use crate::common::client;

#[tokio::test]
async fn a_version_is_a_wish_that_is_kept_or_refused() {
    let (h1, h2) = (Server::builder().start().await, Server::builder().h2().start().await);
    let (client, prior) = (client(), {
        let config = one_attempt().http2_prior_knowledge(true);
        Client::new(config).unwrap()
    });
    for version in [Version::HTTP_09, Version::HTTP_10, Version::HTTP_3] {
        let error = client.get(h1.url("/")).version(version).send().await.unwrap_err();
        assert_eq!(error.kind(), Kind::Request);
        assert!(
            error.to_string().contains(&format!("{version:?} is not spoken")),
            "{error}"
        );
    }
    let error = client
        .get(h1.url("/"))
        .version(Version::HTTP_2)
        .send()
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Request);
    assert!(error.to_string().contains("asks for HTTP/2"), "{error}");
    let answer = client.get(h1.url("/")).version(Version::HTTP_11).send().await.unwrap();
    assert_eq!(
        (answer.version(), h1.accepted()),
        (Version::HTTP_11, 1),
        "the connection was kept"
    );
    let answer = prior.get(h2.url("/")).version(Version::HTTP_2).send().await.unwrap();
    assert_eq!(answer.version(), Version::HTTP_2);
    let (split, request) = prior.get(h2.url("/")).build_split();
    let again = RequestBuilder::from_parts(split, request.unwrap());
    assert_eq!(again.send().await.unwrap().version(), Version::HTTP_2);
}
