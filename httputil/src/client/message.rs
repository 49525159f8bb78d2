//! A request before it is known which protocol it will take, and hyper's response as reqwest's.

use std::sync::OnceLock;

use http::header::{
    ACCEPT, ACCEPT_ENCODING, CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue, PROXY_AUTHORIZATION,
    TRANSFER_ENCODING, USER_AGENT,
};
use http::uri::{Authority, PathAndQuery, Scheme, Uri};
use http::{Request, Response, Version};
use reqwest::ResponseBuilderExt;
use url::Url;

use super::body::{Body, ForReqwest};
use super::credentials::Credentials;
use super::execute::Prepared;
use super::in_force::InForce;
use super::reading::Codings;
use super::redirect::Redirects;
use crate::connect::ProxyServer;
use crate::pool::Key;
use crate::wire::RequestBody;

/// What of a request goes over the wire, besides its method.
pub(super) struct Draft {
    /// Given away with the first request; the address makes it anew for a second one.
    pub(super) path: Option<PathAndQuery>,
    /// As the user wrote them. The profile's and the protocol's are added to each request, not kept: most requests have
    /// hardly any of their own, and what is kept is copied.
    pub(super) headers: HeaderMap,
    pub(super) body: RequestBody,
    /// Which coding the answer has is left to us.
    pub(super) decodes: bool,
    /// An answer may ask for the request once more: elsewhere, without its body, or with other credentials; or what is added to
    /// a sending is another one's at another place.
    pub(super) keeps_headers: bool,
}

/// The headers that every request of a client bears unless it says otherwise.
pub(super) struct Defaults<'a> {
    pub(super) user_agent: &'a HeaderValue,
    /// `*/*`, as reqwest adds it.
    pub(super) accept: bool,
    pub(super) headers: &'a [(HeaderName, HeaderValue)],
    /// What `Accept-Encoding` says.
    pub(super) codings: Option<&'a Codings>,
    pub(super) made: &'a Made,
    /// What only the profile's own origins are told, if this is one.
    pub(super) secrets: Option<(&'a Credentials, Option<&'a HeaderValue>)>,
    /// All of a request's headers but `Host`, if its layer has seen them.
    pub(super) signed: Option<&'a HeaderMap>,
}

/// What requests without headers of their own bear to the host that a client asked first, by whether they have `Accept`
/// and by protocol. A client mostly has one host, and to copy a map costs a third of making it.
#[derive(Default)]
pub(super) struct Made([[OnceLock<(HeaderValue, HeaderMap)>; 2]; 2]);

impl InForce {
    /// What a request bears; with `Accept-Encoding` where it `decodes`, that is where its answer's coding is left to us;
    /// with the profile's secrets, where it `tells_secrets`, and with `Authorization`, where that is the profile's.
    pub(super) fn defaults<'a>(
        &'a self,
        accept: bool,
        decodes: bool,
        tells_secrets: bool,
        authorization: Option<&'a HeaderValue>,
    ) -> Defaults<'a> {
        Defaults {
            user_agent: &self.user_agent,
            accept,
            headers: &self.headers,
            codings: self.codings.as_ref().filter(|_| decodes),
            made: &self.made,
            secrets: self
                .credentials
                .as_ref()
                .filter(|_| tells_secrets)
                .map(|credentials| (credentials, authorization)),
            signed: None,
        }
    }
}

impl Defaults<'_> {
    /// All headers of a request that has none of its own.
    fn alone(&self, key: &Key, is_h2: bool) -> HeaderMap {
        let all = || self.add_each(HeaderMap::new(), key, is_h2);
        let made = &self.made.0[usize::from(self.accept)][usize::from(is_h2)];
        let (host, made) = made.get_or_init(|| (key.host_header.clone(), all()));
        if is_h2 || host == key.host_header {
            made.clone()
        } else {
            all()
        }
    }

    /// What a layer is shown.
    pub(super) fn without_host(&self, headers: HeaderMap) -> HeaderMap {
        let mut headers = self.add_plain(headers);
        if let Some((credentials, authorization)) = self.secrets {
            credentials.add_to(&mut headers, authorization);
        }
        headers
    }

    fn add_each(&self, mut headers: HeaderMap, key: &Key, is_h2: bool) -> HeaderMap {
        if !is_h2 {
            headers.entry(HOST).or_insert_with(|| key.host_header.clone());
        }
        self.add_plain(headers)
    }

    fn add_plain(&self, mut headers: HeaderMap) -> HeaderMap {
        for (name, value) in self.headers {
            headers.entry(name).or_insert_with(|| value.clone());
        }
        headers.entry(USER_AGENT).or_insert_with(|| self.user_agent.clone());
        if self.accept {
            headers.entry(ACCEPT).or_insert(HeaderValue::from_static("*/*"));
        }
        if let Some(codings) = self.codings {
            headers.entry(ACCEPT_ENCODING).or_insert_with(|| codings.header.clone());
        }
        headers
    }
}

impl Draft {
    /// Takes back a request that never left, so that it can be sent as it is.
    pub(super) fn take_back(&mut self, request: Request<RequestBody>) {
        let (parts, body) = request.into_parts();
        if !self.keeps_headers {
            self.headers = parts.headers;
        }
        self.body = body;
        // Over HTTP/2 nobody would open it.
        self.body.send_at_once();
    }

    /// The same once more; `None` if the body cannot be had twice.
    pub(super) fn twin(&self) -> Option<Draft> {
        Some(Draft {
            decodes: self.decodes,
            body: self.body.replay()?,
            path: self.path.clone(),
            headers: self.headers.clone(),
            keeps_headers: self.keeps_headers,
        })
    }

    /// Writes the request for a connection, in its place: it is large. With a `spare` body, the draft keeps what a second
    /// sending would need.
    pub(super) fn write(
        &mut self,
        request: &mut Request<RequestBody>,
        path: PathAndQuery,
        defaults: &Defaults<'_>,
        key: &Key,
        is_h2: bool,
        spare: Option<RequestBody>,
    ) {
        let is_kept = spare.is_some();
        let mut body = std::mem::replace(&mut self.body, RequestBody::empty());
        body.make();
        let is_alone = defaults.signed.is_none() && self.headers.is_empty();
        let mut headers = match defaults.signed {
            Some(signed) => defaults.add_each(signed.clone(), key, is_h2),
            None if self.headers.is_empty() => defaults.alone(key, is_h2),
            None if is_kept || self.keeps_headers => defaults.add_each(self.headers.clone(), key, is_h2),
            None => defaults.add_each(std::mem::take(&mut self.headers), key, is_h2),
        };
        if let Some(spare) = spare {
            self.body = spare;
        }
        // HTTP/2 has `:authority` instead (RFC 9113 §8.3.1).
        let own_host = if is_h2 && !is_alone { headers.remove(HOST) } else { None };
        let own_host = own_host.and_then(|host| Authority::try_from(host.as_bytes()).ok());
        if !is_h2 && body.is_made_anew() && body.length().is_none() && !headers.contains_key(CONTENT_LENGTH) {
            // The one before it may have had a length.
            headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
        *request.body_mut() = body;
        *request.version_mut() = if is_h2 { Version::HTTP_2 } else { Version::HTTP_11 };
        fill(request.headers_mut(), headers);
        if let Some((credentials, authorization)) = defaults.secrets {
            credentials.add_to(request.headers_mut(), authorization);
        }
        if let Some(authorization) = key.route.forwards().and_then(ProxyServer::authorization) {
            let headers = request.headers_mut();
            headers
                .entry(PROXY_AUTHORIZATION)
                .or_insert_with(|| authorization.clone());
        }
        // `:scheme` and `:authority` (RFC 9113 §8.3.1), or a proxy's absolute-form (RFC 9112 §3.2.2), else origin-form (RFC
        // 9112 §3.2.1).
        *request.uri_mut() = if is_h2 || key.route.forwards().is_some() {
            let mut parts = http::uri::Parts::default();
            parts.scheme = Some(if key.is_tls() { Scheme::HTTPS } else { Scheme::HTTP });
            parts.authority = Some(own_host.unwrap_or_else(|| key.authority.clone()));
            parts.path_and_query = Some(path);
            // All three parts are a URI.
            Uri::from_parts(parts).unwrap_or_default()
        } else {
            Uri::from(path)
        };
    }
}

/// hyper's response with our body.
pub(super) fn to_http(mut request: Box<Prepared>) -> Response<Body> {
    let mut head = request.take_head();
    if let Some(redirects) = request.take_redirects() {
        head.extensions_mut().insert(redirects);
    }
    head.map(|()| Body::new(request))
}

/// reqwest's response around ours.
pub(super) fn to_reqwest(mut request: Box<Prepared>) -> reqwest::Response {
    let mut head = request.take_head();
    if let Some(redirects) = request.take_redirects() {
        head.extensions_mut().insert(redirects);
    }
    let url = request.failing.address.of_reqwest().cloned();
    let (parts, ()) = head.into_parts();
    let body = match request.take_whole() {
        Some(whole) => whole.into(),
        None => reqwest::Body::wrap(ForReqwest(Body::new(request))),
    };
    rebuilt(parts, body, url)
}

/// reqwest's response around one that a layer gave, to a request for `url`.
pub(super) fn from_http(response: Response<Body>, url: Option<Url>) -> reqwest::Response {
    let redirected = response.extensions().get::<Redirects>();
    let url = redirected.map(|redirects| redirects.url().clone()).or(url);
    let (parts, body) = response.into_parts();
    rebuilt(parts, reqwest::Body::wrap(ForReqwest(body)), url)
}

/// Through the builder, which alone can say what the URL was.
fn rebuilt(parts: http::response::Parts, body: reqwest::Body, url: Option<Url>) -> reqwest::Response {
    let mut builder = Response::builder();
    if let Some(extensions) = builder.extensions_mut() {
        *extensions = parts.extensions;
    }
    if let Some(url) = url {
        builder = builder.url(url);
    }
    let mut rebuilt = builder
        .body(body)
        .expect("a builder without headers and with a fixed status cannot fail");
    *rebuilt.status_mut() = parts.status;
    *rebuilt.version_mut() = parts.version;
    fill(rebuilt.headers_mut(), parts.headers);
    reqwest::Response::from(rebuilt)
}

/// Puts headers where none are yet.
fn fill(place: &mut HeaderMap, headers: HeaderMap) {
    debug_assert!(place.is_empty() && place.capacity() == 0, "it would be lost");
    // To drop an empty map takes a request as long as to make a header.
    std::mem::forget(std::mem::replace(place, headers));
}
