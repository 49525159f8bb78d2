//! Where a request goes, in the language that it was written in.

use std::borrow::Cow;
use std::sync::Arc;

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
    /// The URL of one that has nothing else to it, as most have.
    Known(Arc<Known>),
    Uri(Uri),
    /// The URI of a request that stood behind `base_url`.
    Joined(Box<Url>),
}

/// A URL that is asked again and again.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) url: Url,
    /// Where it leads, where that was looked at.
    led: Option<(Target, PathAndQuery)>,
}

impl Known {
    pub(super) fn new(url: Url) -> Known {
        Known { url, led: None }
    }

    /// The same, with where it leads.
    pub(super) fn looked_at(url: Url) -> Known {
        let led = Target::of(&url).ok().zip(path_of(&url).ok());
        Known { url, led }
    }
}

impl Address {
    pub(super) fn is_reqwest(&self) -> bool {
        self.of_reqwest().is_some()
    }

    /// The URL of a request that was written in reqwest's language.
    pub(super) fn of_reqwest(&self) -> Option<&Url> {
        match self {
            Address::Url(request) => Some(request.url()),
            Address::Known(known) => Some(&known.url),
            Address::Uri(_) | Address::Joined(_) => None,
        }
    }

    /// The whole URL, credentials included.
    pub(super) fn url(&self) -> Option<Cow<'_, Url>> {
        match self {
            Address::Url(request) => Some(Cow::Borrowed(request.url())),
            Address::Known(known) => Some(Cow::Borrowed(&known.url)),
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
            Address::Known(known) => Address::Known(Arc::clone(known)),
            Address::Uri(uri) => Address::Uri(uri.clone()),
            Address::Joined(url) => Address::Joined(url.clone()),
        }
    }

    /// Leads elsewhere.
    pub(super) fn turn_to(&mut self, url: Url) {
        match self {
            Address::Url(request) => *request.url_mut() = url,
            Address::Known(known) => *known = Arc::new(Known::new(url)),
            Address::Uri(_) | Address::Joined(_) => *self = Address::Joined(Box::new(url)),
        }
    }

    /// Where it leads; mostly to the host of `other`.
    pub(super) fn target(&self, other: Option<&Target>) -> Result<Target, &'static str> {
        match self {
            Address::Url(request) => Target::of_like(request.url(), other),
            Address::Known(known) => match &known.led {
                Some((target, _)) => Ok(target.clone()),
                None => Target::of_like(&known.url, other),
            },
            Address::Uri(uri) => Target::of_uri_like(uri, other),
            Address::Joined(url) => Target::of_like(url, other),
        }
    }

    pub(super) fn is_tls(&self) -> bool {
        match self {
            Address::Url(request) => request.url().scheme() == "https",
            Address::Known(known) => known.url.scheme() == "https",
            Address::Uri(uri) => uri.scheme_str() == Some("https"),
            Address::Joined(url) => url.scheme() == "https",
        }
    }

    /// The path and the query, as the wire takes them.
    pub(super) fn path(&self) -> Result<PathAndQuery, &'static str> {
        match self {
            Address::Url(request) => path_of(request.url()),
            Address::Known(known) => match &known.led {
                Some((_, path)) => Ok(path.clone()),
                None => path_of(&known.url),
            },
            Address::Joined(url) => path_of(url),
            Address::Uri(uri) => Ok(match uri.path_and_query() {
                // Of `http://host#fragment` nothing is left, which is only shown as a slash.
                Some(path) if path.as_str() == "/" => PathAndQuery::from_static("/"),
                Some(path) if path.as_str().starts_with(['/', '*']) => path.clone(),
                Some(path) => with_slash(path),
                None => PathAndQuery::from_static("/"),
            }),
        }
    }

    /// The URL as it may be shown: no credentials, no query, no fragment.
    pub(super) fn shown(&self) -> Option<Url> {
        self.url().map(|url| bare(url.into_owned()))
    }
}

fn path_of(url: &Url) -> Result<PathAndQuery, &'static str> {
    let path = &url[Position::BeforePath..Position::AfterQuery];
    if path == "/" {
        return Ok(PathAndQuery::from_static("/"));
    }
    PathAndQuery::from_maybe_shared(Bytes::copy_from_slice(path.as_bytes()))
        .map_err(|_| "the URL's path holds a character that a request cannot bear")
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
