//! reqwest's request to hyper's, and hyper's response to reqwest's.

use bytes::Bytes;
use http::header::{ACCEPT, HOST, HeaderMap, HeaderValue, USER_AGENT};
use http::uri::{PathAndQuery, Scheme, Uri};
use http::{Method, Request, Response, Version};
use reqwest::ResponseBuilderExt;
use url::{Position, Url};

use super::body::ResponseBody;
use crate::pool::Key;
use crate::wire::RequestBody;

/// A request before it is known which protocol it will take.
pub(super) struct Draft {
    pub(super) method: Method,
    pub(super) url: Url,
    path: PathAndQuery,
    headers: HeaderMap,
    pub(super) body: RequestBody,
}

impl Draft {
    /// Takes reqwest's request apart and adds the profile's headers.
    pub(super) fn new(mut request: reqwest::Request, user_agent: &HeaderValue) -> Result<Draft, &'static str> {
        let method = std::mem::take(request.method_mut());
        let mut headers = std::mem::take(request.headers_mut());
        let body = request
            .body_mut()
            .take()
            .map_or_else(RequestBody::empty, RequestBody::new);
        let url = request.url().clone();
        let path = Bytes::copy_from_slice(url[Position::BeforePath..Position::AfterQuery].as_bytes());
        let path = PathAndQuery::from_maybe_shared(path)
            .map_err(|_| "the URL's path holds a character that a request cannot bear")?;
        headers.entry(USER_AGENT).or_insert_with(|| user_agent.clone());
        headers.entry(ACCEPT).or_insert(HeaderValue::from_static("*/*"));
        Ok(Draft {
            method,
            url,
            path,
            headers,
            body,
        })
    }

    /// Takes back a request that never left, so that it can be sent as it is.
    pub(super) fn take_back(&mut self, request: Request<RequestBody>) {
        let (parts, body) = request.into_parts();
        self.headers = parts.headers;
        self.body = body;
    }

    /// The request for a connection. The draft keeps what a second sending would need, if `keep`.
    pub(super) fn request_for(&mut self, key: &Key, is_h2: bool, keep: bool) -> Request<RequestBody> {
        let spare = if keep { self.body.replay() } else { None };
        let body = std::mem::replace(&mut self.body, RequestBody::empty());
        let headers = match spare {
            Some(spare) => {
                self.body = spare;
                self.headers.clone()
            }
            None => std::mem::take(&mut self.headers),
        };
        let mut request = Request::new(body);
        *request.method_mut() = self.method.clone();
        *request.headers_mut() = headers;
        fit(&mut request, &self.path, key, is_h2);
        request
    }
}

/// Gives a request the form of its protocol: origin-form and `Host` (RFC 9112 §3.2.1), or `:scheme` and `:authority`
/// (RFC 9113 §8.3.1).
fn fit(request: &mut Request<RequestBody>, path: &PathAndQuery, key: &Key, is_h2: bool) {
    let mut parts = http::uri::Parts::default();
    parts.path_and_query = Some(path.clone());
    if is_h2 {
        parts.scheme = Some(if key.is_tls() { Scheme::HTTPS } else { Scheme::HTTP });
        parts.authority = Some(key.authority.clone());
        request.headers_mut().remove(HOST);
        *request.version_mut() = Version::HTTP_2;
    } else {
        request
            .headers_mut()
            .entry(HOST)
            .or_insert_with(|| key.host_header.clone());
        *request.version_mut() = Version::HTTP_11;
    }
    // A path alone, or all three parts: both are URIs.
    *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
}

/// reqwest's response around ours.
pub(super) fn to_reqwest(response: Response<ResponseBody>, url: Url) -> reqwest::Response {
    let (parts, body) = response.into_parts();
    let mut rebuilt = Response::builder()
        .url(url)
        .body(reqwest::Body::wrap(body))
        .expect("a builder without headers and with a fixed status cannot fail");
    *rebuilt.status_mut() = parts.status;
    *rebuilt.version_mut() = parts.version;
    *rebuilt.headers_mut() = parts.headers;
    rebuilt.extensions_mut().extend(parts.extensions);
    reqwest::Response::from(rebuilt)
}
