//! Where a request goes, in the language that it was written in.

use std::borrow::Cow;

use bytes::Bytes;
use http::Uri;
use http::uri::PathAndQuery;
use url::{Position, Url};

use crate::connect::Target;

/// The URL of a reqwest request, or the URI of an `http` one. What only an error needs is made when there is one.
pub(super) enum Address {
    /// reqwest shows its URL and does not give it away, so the request is kept as it came. Boxed: it would weigh on
    /// requests of the other kind.
    Url(Box<reqwest::Request>),
    Uri(Uri),
    /// The URI of a request that stood behind `base_url`.
    Joined(Box<Url>),
}

impl Address {
    pub(super) fn is_reqwest(&self) -> bool {
        matches!(self, Address::Url(_))
    }

    /// The whole URL, credentials included.
    pub(super) fn url(&self) -> Option<Cow<'_, Url>> {
        match self {
            Address::Url(request) => Some(Cow::Borrowed(request.url())),
            Address::Joined(url) => Some(Cow::Borrowed(url)),
            Address::Uri(uri) => Url::parse(&uri.to_string()).ok().map(Cow::Owned),
        }
    }

    /// The same once more.
    pub(super) fn twin(&self) -> Address {
        match self {
            Address::Url(request) => {
                let twin = reqwest::Request::new(request.method().clone(), request.url().clone());
                Address::Url(Box::new(twin))
            }
            Address::Uri(uri) => Address::Uri(uri.clone()),
            Address::Joined(url) => Address::Joined(url.clone()),
        }
    }

    /// Leads elsewhere.
    pub(super) fn turn_to(&mut self, url: Url) {
        match self {
            Address::Url(request) => *request.url_mut() = url,
            other => *other = Address::Joined(Box::new(url)),
        }
    }

    /// Where it leads; mostly to the host of `other`.
    pub(super) fn target(&self, other: Option<&Target>) -> Result<Target, &'static str> {
        match self {
            Address::Url(request) => Target::of_like(request.url(), other),
            Address::Uri(uri) => Target::of_uri_like(uri, other),
            Address::Joined(url) => Target::of_like(url, other),
        }
    }

    pub(super) fn is_tls(&self) -> bool {
        match self {
            Address::Url(request) => request.url().scheme() == "https",
            Address::Uri(uri) => uri.scheme_str() == Some("https"),
            Address::Joined(url) => url.scheme() == "https",
        }
    }

    /// The path and the query, as the wire takes them.
    pub(super) fn path(&self) -> Result<PathAndQuery, &'static str> {
        let url = match self {
            Address::Url(request) => request.url(),
            Address::Joined(url) => url,
            Address::Uri(uri) => {
                return Ok(match uri.path_and_query() {
                    // Of `http://host#fragment` nothing is left, which is only shown as a slash.
                    Some(path) if path.as_str() == "/" => PathAndQuery::from_static("/"),
                    Some(path) if path.as_str().starts_with(['/', '*']) => path.clone(),
                    Some(path) => with_slash(path),
                    None => PathAndQuery::from_static("/"),
                });
            }
        };
        let path = &url[Position::BeforePath..Position::AfterQuery];
        if path == "/" {
            return Ok(PathAndQuery::from_static("/"));
        }
        PathAndQuery::from_maybe_shared(Bytes::copy_from_slice(path.as_bytes()))
            .map_err(|_| "the URL's path holds a character that a request cannot bear")
    }

    /// The URL as it may be shown: no credentials, no query, no fragment.
    pub(super) fn shown(&self) -> Option<Url> {
        self.url().map(|url| bare(url.into_owned()))
    }
}

/// A URL as it may be shown.
pub(super) fn bare(url: Url) -> Url {
    let mut url = without_user(url);
    url.set_query(None);
    url.set_fragment(None);
    url
}

/// A URL without credentials.
pub(super) fn without_user(mut url: Url) -> Url {
    // Only URLs without a host refuse these, and those have no credentials to hide.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url
}

/// `?query` alone is no origin-form (RFC 9112 §3.2.1). It is displayed as one.
fn with_slash(path: &PathAndQuery) -> PathAndQuery {
    PathAndQuery::from_maybe_shared(Bytes::from(path.to_string())).unwrap_or(PathAndQuery::from_static("/"))
}
