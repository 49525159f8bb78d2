//! The annotated service.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use httputil::settings::Secret;
use httputil::{Body, BoxError, Client, PooledClient, RequestOptions};
use reqwest::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING,
};
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use tower_service::Service as _;
use url::Url;
use uuid::Uuid;

use super::error::LambdaError;
use super::event::{Context, Event, Identity, UserRequest};
use crate::s3::{Location, ObjectStream, S3Error, Store, presigned};

/// Which request an answer belongs to,
pub(crate) const ROUTE: HeaderName = HeaderName::from_static("x-amz-request-route");
/// and the proof.
pub(crate) const TOKEN: HeaderName = HeaderName::from_static("x-amz-request-token");

const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// How the transformer gets the object.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Input {
    /// From the store, by a signed URL in the event.
    #[default]
    Url,
    /// As the body of the request itself; route and token are headers.
    Body,
}

/// Gives objects as a transformer makes them.
///
/// ```no_run
/// # async fn give() -> Result<(), Box<dyn std::error::Error>> {
/// use services::object_lambda::{ObjectLambda, UserRequest};
///
/// let lambda = ObjectLambda::new()?;
/// let transformed = lambda.get("photos/1.jpg", &UserRequest::default()).await?;
/// println!("{}: {:?}", transformed.status, transformed.headers);
/// // transformed.body is a stream
/// # Ok(())
/// # }
/// ```
#[derive(PooledClient)]
#[pooled_client(profile = "object_lambda")]
pub struct ObjectLambda {
    client: Client,
    /// The transformer.
    #[pooled_client(setting)]
    webhook: Url,
    /// Whom it knows us by: `Authorization: Bearer …`.
    #[pooled_client(setting)]
    token: Option<Secret>,
    /// The bucket whose objects are transformed.
    #[pooled_client(setting)]
    from: Location,
    /// `"url"` or `"body"`.
    #[pooled_client(setting, default)]
    input: Input,
    /// How long the transformer may read from the URL.
    #[pooled_client(setting, default = Duration::from_mins(5))]
    url_valid_for: Duration,
    /// No larger object is posted, and no larger answer given.
    #[pooled_client(setting, default = 5 * 1024 * 1024 * 1024)]
    max_bytes: u64,
    /// How often an object is posted before it is given up.
    #[pooled_client(setting, default = 3)]
    tries: u32,
}

/// What the transformer made of an object.
#[derive(Debug)]
pub struct Transformed {
    /// How the user is to be answered.
    pub status: StatusCode,
    /// Why, where the transformer made a failure of it: a code such as `NoSuchKey`, and a sentence.
    pub failure: Option<(String, String)>,
    /// The headers that the user is to have.
    pub headers: HeaderMap,
    /// What the user is to have, as it comes. Dropped before its end, it ends the transformer's work.
    pub body: Body,
}

/// What binds an answer to its request.
struct Bond {
    route: String,
    token: String,
}

impl ObjectLambda {
    /// An object, transformed; it returns when the transformer begins to answer.
    ///
    /// Cancel-safe: dropped, it gives up the request.
    ///
    /// # Errors
    ///
    /// That the object cannot be read or is too large, or that the transformer does not answer by the protocol. An answer
    /// that grows too large is an error of its body.
    pub async fn get(&self, key: &str, user: &UserRequest) -> Result<Transformed, LambdaError> {
        let bond = Bond {
            route: Uuid::new_v4().simple().to_string(),
            token: Uuid::new_v4().simple().to_string(),
        };
        let response = match self.input {
            Input::Url => self.tell(key, user, &bond).await?,
            Input::Body => self.post(key, &bond).await?,
        };
        bond.check(response)
    }

    async fn tell(&self, key: &str, user: &UserRequest, bond: &Bond) -> Result<Response<Body>, LambdaError> {
        let url = presigned(&Method::GET, &self.from, key, self.url_valid_for);
        let event = Event {
            protocol_version: "1.00".to_owned(),
            get_object_context: Context {
                output_route: bond.route.clone(),
                output_token: bond.token.clone(),
                input_s3_url: url.map_err(|error| LambdaError::Sign(error.to_string()))?,
            },
            user_identity: Identity::of(&self.from.access_key),
            user_request: user.without_secrets(),
        };
        let event = serde_json::to_vec(&event).map_err(|error| LambdaError::Answer(error.to_string()))?;
        let mut request = self.request(Full::new(Bytes::from(event)))?;
        request
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Ok((&mut &self.client).call(request).await?)
    }

    /// Posts the object itself; a stream is tried again by reading it again.
    async fn post(&self, key: &str, bond: &Bond) -> Result<Response<Body>, LambdaError> {
        let store = Store::new(&self.client, &self.from);
        let (mut tried, mut pause) = (0, FIRST_PAUSE);
        loop {
            let object = store.get(key, None, None).await?;
            if object.length > self.max_bytes {
                return Err(LambdaError::TooLarge { limit: self.max_bytes });
            }
            let e_tag = object
                .headers
                .get("etag")
                .and_then(|tag| tag.to_str().ok())
                .unwrap_or_default()
                .to_owned();
            let kind = object.headers.get(CONTENT_TYPE).cloned();
            let moved = Arc::<AtomicU64>::default();
            let (body, tally) = ObjectStream::begun(&store, key, &e_tag, object, self.tries, &moved).into_body();
            let mut request = self.request(body)?;
            let headers = request.headers_mut();
            headers.extend(kind.map(|kind| (CONTENT_TYPE, kind)));
            for (name, value) in [(ROUTE, &bond.route), (TOKEN, &bond.token)] {
                headers.insert(name, value.parse().expect("it is of hexadecimal digits"));
            }
            tried += 1;
            let answer = (&mut &self.client).call(request).await;
            let is_busy = answer
                .as_ref()
                .is_ok_and(|answer| [429, 502, 503, 504].contains(&answer.status().as_u16()));
            let answer = tally.settle(answer.map_err(S3Error::Http));
            let is_passing = is_busy || answer.as_ref().is_err_and(S3Error::is_passing);
            if tried >= self.tries || !is_passing {
                return answer.map_err(|error| match error {
                    S3Error::Http(error) => LambdaError::Http(error),
                    error => LambdaError::Store(error),
                });
            }
            drop(answer);
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
    }

    fn request<B>(&self, body: B) -> Result<Request<B>, LambdaError>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        // To transform changes nothing there, so it may be asked twice.
        let options = RequestOptions::default()
            .idempotent(true)
            .max_response_bytes(self.max_bytes);
        let mut request = Request::post(self.webhook.as_str())
            .extension(options)
            .body(body)
            .map_err(|error| LambdaError::Answer(format!("the webhook's URL cannot be sent to: {error}")))?;
        if let Some(token) = &self.token {
            let value = HeaderValue::from_str(&format!("Bearer {}", token.expose()));
            let mut value =
                value.map_err(|_| LambdaError::Answer("its token cannot be a header's value".to_owned()))?;
            value.set_sensitive(true);
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        Ok(request)
    }
}

impl Bond {
    /// What an answer says, if it is the one to this request.
    fn check(&self, response: Response<Body>) -> Result<Transformed, LambdaError> {
        let (parts, body) = response.into_parts();
        if !parts.status.is_success() {
            return Err(LambdaError::Refused(parts.status));
        }
        let said = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
        for (name, ours) in [
            ("x-amz-request-route", &self.route),
            ("x-amz-request-token", &self.token),
        ] {
            if said(name) != Some(ours.as_str()) {
                return Err(LambdaError::Mismatch(name));
            }
        }
        let status = match said("x-amz-fwd-status") {
            None => StatusCode::OK,
            Some(status) => {
                status_of(status).ok_or_else(|| LambdaError::Answer("its x-amz-fwd-status is no status".to_owned()))?
            }
        };
        let word = |name| said(name).unwrap_or_default().to_owned();
        let failure = (status.is_client_error() || status.is_server_error())
            .then(|| (word("x-amz-fwd-error-code"), word("x-amz-fwd-error-message")));
        Ok(Transformed {
            status,
            failure,
            headers: forwarded(&parts.headers),
            body,
        })
    }
}

/// A final status: AWS has a number, `MinIO` what Go calls it.
fn status_of(text: &str) -> Option<StatusCode> {
    let called_otherwise = match text {
        "Request Entity Too Large" => Some(StatusCode::PAYLOAD_TOO_LARGE),
        "Request URI Too Long" => Some(StatusCode::URI_TOO_LONG),
        "Requested Range Not Satisfiable" => Some(StatusCode::RANGE_NOT_SATISFIABLE),
        _ => None,
    };
    let mut all = (200..600).filter_map(|status| StatusCode::from_u16(status).ok());
    let is_it = |status: &StatusCode| status.as_str() == text || status.canonical_reason() == Some(text);
    called_otherwise.or_else(|| all.find(is_it))
}

/// `x-amz-fwd-header-*`, but for those that say how this message is framed.
fn forwarded(headers: &HeaderMap) -> HeaderMap {
    let named = headers.iter().filter_map(|(name, value)| {
        let name = name.as_str().strip_prefix("x-amz-fwd-header-")?;
        Some((name.parse::<HeaderName>().ok()?, value.clone()))
    });
    named
        .filter(|(name, _)| ![CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING].contains(name))
        .collect()
}
