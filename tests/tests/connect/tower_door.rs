//! The second door: the same request as a `tower::Service` takes it.

use bytes::Bytes;
use http::{HeaderMap, Request, Uri};
use http_body_util::{BodyExt, Empty};
use httputil::{Client, Error};
use httputil_tests::server::handlers::Echoed;
use httputil_tests::{PATIENCE, within};
use tower::ServiceExt;

/// Sends a `GET`; `None` if `http` takes the text for no URI.
pub(crate) async fn send(client: &Client, uri: &str, headers: HeaderMap) -> Option<Result<Bytes, Error>> {
    let mut request = Request::new(Empty::<Bytes>::new());
    *request.uri_mut() = uri.parse::<Uri>().ok()?;
    *request.headers_mut() = headers;
    let answer = within(PATIENCE, client.clone().oneshot(request)).await;
    Some(match answer {
        Ok(response) => Ok(within(PATIENCE, response.into_body().collect())
            .await
            .expect("it ends well")
            .to_bytes()),
        Err(error) => Err(error),
    })
}

/// What the server saw of it.
pub(crate) async fn echoed(client: &Client, uri: &str) -> Option<Echoed> {
    let answer = send(client, uri, HeaderMap::new()).await?;
    Some(serde_json::from_slice(&answer.expect("the request is answered")).expect("the server echoes"))
}
