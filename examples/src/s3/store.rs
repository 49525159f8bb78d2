//! One bucket of one store: what can be asked of it.

use bytes::Bytes;
use http::{Request, Uri};
use http_body_util::{BodyExt as _, Collected, Empty, Full, Limited};
use httputil::{Body, BoxError, Client};
use reqwest::header::{CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderMap, HeaderValue, IF_MATCH, RANGE, RETRY_AFTER};
use reqwest::{Method, StatusCode};
use tower_service::Service as _;

use super::error::S3Error;
use super::escape::{escaped_path, query};
use super::location::Location;
use super::signer::Signer;
use super::xml::{self, Complaint, Page};

/// The longest document that is read: a page of a thousand keys of 1024 escaped bytes each is less.
const LONGEST_DOCUMENT: usize = 8 << 20;

/// A bucket, spoken to over a client whose requests are signed for it. Clones are cheap.
#[derive(Clone)]
pub struct Store {
    client: Client,
    endpoint: String,
    bucket: String,
}

/// An object, or the rest of one, that is being read.
#[derive(Debug)]
pub struct Object {
    /// What the store says of it.
    pub headers: HeaderMap,
    /// The size of what comes, in bytes.
    pub length: u64,
    /// What comes.
    pub body: Body,
}

/// A place in an upload in parts.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    /// The upload's name.
    pub upload: &'a str,
    /// Which part, from 1.
    pub number: u32,
}

impl Store {
    /// Over a client's pool, by the location's credentials.
    pub fn new(client: &Client, at: &Location) -> Store {
        Store {
            client: client.with_attempt_layer(Signer::new(at)),
            endpoint: at.endpoint.as_str().trim_end_matches('/').to_owned(),
            bucket: escaped_path(&at.bucket),
        }
    }

    /// A page of what begins with `prefix`, from where an earlier page said.
    ///
    /// # Errors
    ///
    /// As all calls: no answer, one that is none, or one that cannot be read.
    pub async fn list(&self, prefix: &str, from: Option<&str>) -> Result<Page, S3Error> {
        let mut parameters = vec![("encoding-type", "url"), ("list-type", "2")];
        parameters.extend([("prefix", prefix)].iter().filter(|_| !prefix.is_empty()));
        parameters.extend(from.map(|from| ("continuation-token", from)));
        let text = self.document(Method::GET, "", &parameters, Bytes::new()).await?;
        Page::of(&text).map_err(S3Error::Answer)
    }

    /// What the store says of an object.
    ///
    /// # Errors
    ///
    /// As [`list`](Self::list).
    pub async fn head(&self, key: &str) -> Result<HeaderMap, S3Error> {
        let request = self.request(Method::HEAD, key, &[], with_checksums(), Empty::new())?;
        Ok(self.send(request).await?.headers().clone())
    }

    /// An object from this byte up to that one, which is not included; `e_tag` is the one that it must still have. A range that
    /// the store does not keep to is an error: half an object is not taken for the whole.
    ///
    /// # Errors
    ///
    /// As [`list`](Self::list).
    pub async fn get(&self, key: &str, bytes: Option<(u64, u64)>, e_tag: Option<&str>) -> Result<Object, S3Error> {
        let mut headers = with_checksums();
        let strange = |what: &str| S3Error::Answer(format!("{what} cannot be a header's value"));
        if let Some(e_tag) = e_tag {
            let e_tag = HeaderValue::from_str(e_tag).map_err(|_| strange("its ETag"))?;
            headers.insert(IF_MATCH, e_tag);
        }
        if let Some((first, end)) = bytes {
            let range = HeaderValue::from_str(&format!("bytes={first}-{}", end - 1));
            headers.insert(RANGE, range.map_err(|_| strange("a range"))?);
        }
        let response = self
            .send(self.request(Method::GET, key, &[], headers, Empty::new())?)
            .await?;
        let (parts, body) = response.into_parts();
        let said = |name| {
            parts
                .headers
                .get(name)
                .and_then(|value: &HeaderValue| value.to_str().ok())
        };
        let length = said(CONTENT_LENGTH).and_then(|length| length.parse().ok());
        let length = length.ok_or_else(|| S3Error::Answer("an object of unknown length".to_owned()))?;
        if let Some((first, end)) = bytes {
            let range = said(CONTENT_RANGE).unwrap_or_default();
            let is_it = parts.status == StatusCode::PARTIAL_CONTENT && range.starts_with(&format!("bytes {first}-"));
            if !is_it || length != end - first {
                return Err(S3Error::Answer(
                    "another range than the one that was asked for".to_owned(),
                ));
            }
        }
        Ok(Object {
            headers: parts.headers,
            length,
            body,
        })
    }

    /// Puts an object; the body's length must be known, and the body is sent once. What the store says of it comes back.
    ///
    /// # Errors
    ///
    /// As [`list`](Self::list).
    pub async fn put<B>(&self, key: &str, headers: HeaderMap, body: B) -> Result<HeaderMap, S3Error>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let request = self.request(Method::PUT, key, &[], headers, body)?;
        Ok(self.read(request).await?.0)
    }

    /// Removes an object; one that is not there is no error.
    ///
    /// # Errors
    ///
    /// As [`list`](Self::list).
    pub async fn remove(&self, key: &str, headers: HeaderMap) -> Result<(), S3Error> {
        let request = self.request(Method::DELETE, key, &[], headers, Empty::new())?;
        self.send(request).await.map(drop)
    }

    /// Begins an upload in parts, and says its name.
    ///
    /// # Errors
    ///
    /// As [`list`](Self::list).
    pub async fn begin_parts(&self, key: &str, headers: HeaderMap) -> Result<String, S3Error> {
        let request = self.request(Method::POST, key, &[("uploads", "")], headers, Empty::new())?;
        let (_, text) = self.read(request).await?;
        xml::upload_id(&text).map_err(S3Error::Answer)
    }

    /// Puts a part, and says its `ETag`.
    ///
    /// # Errors
    ///
    /// As [`list`](Self::list).
    pub async fn put_part<B>(&self, key: &str, part: Part<'_>, body: B) -> Result<String, S3Error>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let number = part.number.to_string();
        let parameters = [("partNumber", number.as_str()), ("uploadId", part.upload)];
        let request = self.request(Method::PUT, key, &parameters, HeaderMap::new(), body)?;
        let (headers, _) = self.read(request).await?;
        let tag = headers.get(ETAG).and_then(|tag| tag.to_str().ok());
        tag.map(str::to_owned)
            .ok_or_else(|| S3Error::Answer("a part without an ETag".to_owned()))
    }

    /// Makes an object of the parts whose `ETag`s these are.
    ///
    /// # Errors
    ///
    /// As [`list`](Self::list); also one that comes inside of a 200, which the store sends to keep the connection alive while
    /// it works.
    pub async fn complete_parts(&self, key: &str, upload: &str, tags: &[String]) -> Result<(), S3Error> {
        let body = Bytes::from(xml::complete(tags));
        let text = self.document(Method::POST, key, &[("uploadId", upload)], body).await?;
        match Complaint::of(&text) {
            Some(_) => Err(S3Error::of_status(StatusCode::OK, None, text.as_bytes())),
            None => Ok(()),
        }
    }

    /// Gives an upload in parts up, so that its parts cost nobody anything.
    ///
    /// # Errors
    ///
    /// As [`list`](Self::list).
    pub async fn abort_parts(&self, key: &str, upload: &str) -> Result<(), S3Error> {
        self.document(Method::DELETE, key, &[("uploadId", upload)], Bytes::new())
            .await
            .map(drop)
    }

    async fn document(
        &self,
        method: Method,
        key: &str,
        parameters: &[(&str, &str)],
        body: Bytes,
    ) -> Result<String, S3Error> {
        let request = self.request(method, key, parameters, HeaderMap::new(), Full::new(body))?;
        self.read(request).await.map(|(_, text)| text)
    }

    fn request<B>(
        &self,
        method: Method,
        key: &str,
        parameters: &[(&str, &str)],
        headers: HeaderMap,
        body: B,
    ) -> Result<Request<B>, S3Error> {
        let mut target = format!("{}/{}", self.endpoint, self.bucket);
        if !key.is_empty() {
            target.push('/');
            target.push_str(&escaped_path(key));
        }
        if !parameters.is_empty() {
            target.push('?');
            target.push_str(&query(parameters));
        }
        let uri: Uri = target
            .parse()
            .map_err(|error| S3Error::Answer(format!("the key is too long for a request: {error}")))?;
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        Ok(request)
    }

    async fn send<B>(&self, request: Request<B>) -> Result<http::Response<Body>, S3Error>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let response = (&mut &self.client).call(request).await?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let after = response
            .headers()
            .get(RETRY_AFTER)
            .and_then(|after| after.to_str().ok());
        let after = after
            .and_then(|after| after.parse().ok())
            .map(std::time::Duration::from_secs);
        let said = Limited::new(response.into_body(), 64 << 10).collect().await;
        Err(S3Error::of_status(
            status,
            after,
            &said.map(Collected::to_bytes).unwrap_or_default(),
        ))
    }

    async fn read<B>(&self, request: Request<B>) -> Result<(HeaderMap, String), S3Error>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let (parts, body) = self.send(request).await?.into_parts();
        let body = Limited::new(body, LONGEST_DOCUMENT).collect().await;
        let body = body.map_err(|error| match error.downcast::<httputil::Error>() {
            Ok(error) => S3Error::Http(*error),
            Err(error) => S3Error::Answer(error.to_string()),
        })?;
        let text = String::from_utf8(body.to_bytes().into());
        let text = text.map_err(|_| S3Error::Answer("a document that is not UTF-8".to_owned()))?;
        Ok((parts.headers, text))
    }
}

/// Asks for the checksums that the store has.
fn with_checksums() -> HeaderMap {
    let mode = (
        http::HeaderName::from_static("x-amz-checksum-mode"),
        HeaderValue::from_static("ENABLED"),
    );
    HeaderMap::from_iter([mode])
}
