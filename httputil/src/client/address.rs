//! Where a request goes, in the language that it was written in.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use http::Uri;
use http::uri::{Authority, PathAndQuery, Scheme};
use url::{Position, Url};

use crate::connect::{Refusal, Target};
use crate::pool::{Pool, Way};

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
    /// It bears a user's name or a password.
    pub(super) has_user: bool,
    /// Where it leads, where that was looked at.
    led: Option<(Target, PathAndQuery)>,
}

impl Known {
    pub(super) fn new(url: Url) -> Known {
        Known {
            has_user: !url.username().is_empty() || url.password().is_some(),
            url,
            led: None,
        }
    }

    /// The same, with where it leads.
    pub(super) fn looked_at(url: Url) -> Known {
        let led = Target::of(&url).ok().zip(path_of(&url).ok());
        Known { led, ..Known::new(url) }
    }
}

/// Where a client's first request went, as most others do: what was found out for it need not be found out again.
#[derive(Default)]
pub(super) struct FirstTarget(OnceLock<First>);

struct First {
    target: Target,
    /// What led there, if that was a URI: to compare costs a fifth of reading.
    origin: Option<Origin>,
    /// The way there.
    way: OnceLock<Way>,
}

impl FirstTarget {
    fn target(&self) -> Option<&Target> {
        self.0.get().map(|first| &first.target)
    }

    /// The way to a target, and from then on to those like it.
    ///
    /// # Errors
    ///
    /// That no request may go there (`egress.*`).
    pub(super) fn route(&self, pool: &Pool, target: &Target, needs_tunnel: bool) -> Result<Way, Refusal> {
        match self.0.get() {
            Some(first) if first.target == *target => pool.route_again(target, needs_tunnel, &first.way),
            _ => pool.route(target, needs_tunnel),
        }
    }
}

/// The beginning of a URI, as it was written.
struct Origin(Scheme, Authority);

impl Origin {
    fn is_of(&self, uri: &Uri) -> bool {
        let Origin(scheme, authority) = self;
        uri.scheme() == Some(scheme)
            && uri
                .authority()
                .is_some_and(|other| other.as_str() == authority.as_str())
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

    /// Where it leads; mostly to where the client's `first` request went.
    pub(super) fn target(&self, first: &FirstTarget) -> Result<Target, &'static str> {
        let other = first.target();
        let target = match self {
            Address::Url(request) => Target::of_like(request.url(), other)?,
            Address::Known(known) => match &known.led {
                Some((target, _)) => target.clone(),
                None => Target::of_like(&known.url, other)?,
            },
            Address::Uri(uri) => match first.0.get() {
                Some(First {
                    target,
                    origin: Some(origin),
                    ..
                }) if origin.is_of(uri) => target.clone(),
                _ => Target::of_uri_like(uri, other)?,
            },
            Address::Joined(url) => Target::of_like(url, other)?,
        };
        first.0.get_or_init(|| First {
            target: target.clone(),
            origin: self.origin(),
            way: OnceLock::new(),
        });
        Ok(target)
    }

    /// The beginning of its URI, if it has one.
    fn origin(&self) -> Option<Origin> {
        let Address::Uri(uri) = self else { return None };
        Some(Origin(uri.scheme()?.clone(), uri.authority()?.clone()))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_leads_where_it_would_have_led_without_the_one_before_it() {
        let first = FirstTarget::default();
        for text in [
            "http://a.test:80/first",
            "http://a.test:80/second",
            "http://a.test/",
            "http://a.test:81/",
            "https://a.test:80/",
            "http://me@a.test:80/",
            "http://A.test:80/",
            "http://a.test:8/",
            "http://b.test:80/",
        ] {
            let address = Address::Uri(text.parse().unwrap());
            let alone = address.target(&FirstTarget::default()).unwrap();
            assert_eq!(address.target(&first).unwrap(), alone, "{text}");
        }
    }
}
