//! A client for the flows of the crate `oauth2` ([`Client::to_oauth2`]).
//!
//! The rule: nothing goes anywhere but to the endpoint that the flow names, and nothing goes there twice. A code is good for
//! one exchange, a refreshed token may be another one, and a redirect would take the secret along.

use std::fmt;
use std::pin::Pin;

use http_body_util::{BodyExt as _, Full};
use oauth2::{AsyncHttpClient, HttpRequest, HttpResponse};
use tower_service::Service as _;

use super::{Client, RequestOptions};
use crate::error::Error;

/// Answers of these endpoints are a few hundred bytes; device codes and introspection a little more.
const LARGEST_ANSWER: u64 = 1 << 20;

/// A [`Client`] as an [`oauth2::AsyncHttpClient`]; made by [`Client::to_oauth2`].
///
/// Clones are cheap and share the client's lease. Dropping the future of a request abandons it.
#[derive(Clone)]
pub struct OAuth2Client {
    client: Client,
}

impl Client {
    /// This client for the flows of the crate `oauth2`: `request_async(&client.to_oauth2())`. Needs the feature `oauth2_crate`.
    ///
    /// It is the same client: lease, pool, limits, breaker, egress rules and time-outs are those of the profile. No redirect is
    /// followed, as that crate's documentation demands: the answer that redirects is the flow's, which takes it for an error. An
    /// answer of more than 1 MiB, or what the profile allows if that is less, is an error of [`Kind::TooLarge`](crate::Kind).
    /// A request is made again only if the server has certainly not acted on it.
    ///
    /// Each status is an answer, and what the server says of a failure is the flow's `ServerResponse`. What fails here is its
    /// `Request`, with our [`Error`] within.
    #[cfg_attr(not(doctest), doc = include_str!("../../docs/oauth2_crate.md"))]
    pub fn to_oauth2(&self) -> OAuth2Client {
        OAuth2Client { client: self.clone() }
    }
}

impl fmt::Debug for OAuth2Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OAuth2Client").field(&self.client).finish()
    }
}

impl<'c> AsyncHttpClient<'c> for OAuth2Client {
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, Error>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(exchange(&self.client, request))
    }
}

async fn exchange(mut client: &Client, request: HttpRequest) -> Result<HttpResponse, Error> {
    let mut request = request.map(Full::from);
    let own = client.inner.in_force.load().profile.policy.max_response_bytes;
    let largest = own.map_or(LARGEST_ANSWER, |own| own.min(LARGEST_ANSWER));
    request.extensions_mut().insert(
        RequestOptions::default()
            .idempotent(false)
            .max_redirects(0)
            .max_response_bytes(largest),
    );
    let (head, body) = client.call(request).await?.into_parts();
    let body = body.collect().await?.to_bytes();
    Ok(HttpResponse::from_parts(head, body.into()))
}
