//! The annotated service.

use bytes::Bytes;
use http_body_util::BodyExt as _;
use httputil::{Client, PooledClient};
use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};

use super::error::MtlsError;

/// Calls peers that ask for a client certificate.
///
/// Where they are is `base_url` of the profile, one or a list; who we are and whom we trust is its `tls`.
///
/// ```no_run
/// # async fn call() -> Result<(), Box<dyn std::error::Error>> {
/// use services::mtls::{MtlsClient, MtlsError};
///
/// let partner = MtlsClient::new()?;
/// match partner.get("/v1/status").await {
///     Ok(answer) => println!("{}: {} bytes", answer.status, answer.body.len()),
///     Err(MtlsError::RefusedUs(why)) => println!("renew our certificate: {why}"),
///     Err(error) => return Err(error.into()),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PooledClient)]
#[pooled_client(profile = "mtls")]
pub struct MtlsClient {
    client: Client,
    /// The largest answer that is read, in bytes.
    #[pooled_client(setting, default = 16 << 20)]
    largest_answer: u64,
}

/// What a peer answered, whatever its status.
#[derive(Clone, Debug)]
pub struct Answer {
    /// How.
    pub status: StatusCode,
    /// What it says of it.
    pub headers: HeaderMap,
    /// The whole of it.
    pub body: Bytes,
}

impl MtlsClient {
    /// Gets what is at this path of the peer.
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call).
    pub async fn get(&self, path: &str) -> Result<Answer, MtlsError> {
        self.call(Method::GET, path, Bytes::new()).await
    }

    /// Calls the peer, and reads its answer.
    ///
    /// Cancel-safe: dropped, the call is given up, and its connection closed if its answer has not ended.
    ///
    /// # Errors
    ///
    /// That one side refused the other, that no answer came, or none of a size that is read. A status is no error but where it
    /// stands for a refusal of our certificate.
    pub async fn call(&self, method: Method, path: &str, body: Bytes) -> Result<Answer, MtlsError> {
        let request = self.client.request(method, path).body(body);
        let response = request.max_response_bytes(self.largest_answer).send().await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = reqwest::Body::from(response).collect().await;
        let body = body.map(http_body_util::Collected::to_bytes);
        let body = body.map_err(|error| match httputil::Error::of(&error) {
            Some(ours) => MtlsError::Answer(ours.to_string()),
            None => MtlsError::Answer(error.to_string()),
        })?;
        match MtlsError::of_answer(status, &body) {
            Some(refusal) => Err(refusal),
            None => Ok(Answer { status, headers, body }),
        }
    }
}
