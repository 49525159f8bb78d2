//! Where an answer sends the request (RFC 9110 §15.4), and what of it may go there.
//!
//! ```
//! use http::header::{HeaderMap, HeaderValue, LOCATION};
//! use http::{Method, StatusCode};
//! use httputil::settings::Redirect;
//! use url::Url;
//!
//! let rules = Redirect::default();
//! let (asked, method) = (Url::parse("https://api.example/orders")?, Method::POST);
//! let answer = HeaderMap::from_iter([(LOCATION, HeaderValue::from_static("/orders/42"))]);
//! match rules.hop(&asked, &method, StatusCode::SEE_OTHER, &answer, 0) {
//!     Some(Ok(hop)) => {
//!         assert_eq!((hop.url.as_str(), &hop.method), ("https://api.example/orders/42", &Method::GET));
//!         assert!(!hop.keeps_body && !hop.crosses_origin);
//!         let mut headers = HeaderMap::new(); // of the request
//!         hop.strip(&mut headers, |_| false);
//!     }
//!     Some(Err(refusal)) => println!("{refusal}"),
//!     None => println!("the answer is the caller's"),
//! }
//! # Ok::<(), url::ParseError>(())
//! ```
//!
//! reqwest's and tower-http's own loops fall short: the first names the whole former URL in `Referer`, the second loses a
//! request's options. So the loop is the client's, and this decides one hop: by its profile's rules, and by those that hold for
//! all ([`guard`]).

use std::fmt;

use http::header::{HeaderMap, HeaderName, LAST_MODIFIED, LOCATION, TRAILER, TRANSFER_ENCODING};
use http::{Method, StatusCode};
use url::Url;

use super::guard::{self, is_same_origin};
use crate::settings::Redirect;

const DIGEST: HeaderName = HeaderName::from_static("digest");

/// One hop, decided.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Hop {
    /// Where it goes. It bears no credentials.
    pub url: Url,
    /// By which method.
    pub method: Method,
    /// Whether the body goes along.
    pub keeps_body: bool,
    /// Whether scheme, host or port differ: secrets stay behind, and stay behind on all later hops.
    pub crosses_origin: bool,
}

/// Why a redirect is not followed. A URL is the one that it would have led to, without credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// More than [`max`](Redirect::max).
    TooMany,
    /// To another origin, which [`cross_origin`](Redirect::cross_origin) forbids.
    CrossOrigin(Url),
    /// From `https` to `http`, which [`downgrade`](Redirect::downgrade) does not allow.
    Downgrade(Url),
    /// `Location` is no URL, or not one that can be gone to.
    BadLocation,
}

impl Redirect {
    /// What an answer to a request to `url` means; `None` if it sends the request nowhere, or with a [`max`](Redirect::max) of
    /// 0, and is the caller's. `hops` were followed so far.
    ///
    /// # Errors
    ///
    /// The inner one is why the hop is not made.
    pub fn hop(
        &self,
        url: &Url,
        method: &Method,
        status: StatusCode,
        headers: &HeaderMap,
        hops: usize,
    ) -> Option<Result<Hop, Refusal>> {
        let (to, keeps_body) = match status.as_u16() {
            // RFC 9110 §15.4.2 and §15.4.3: what every client does to a POST.
            301 | 302 if *method == Method::POST => (Method::GET, false),
            301 | 302 | 307 | 308 => (method.clone(), true),
            303 if *method == Method::HEAD => (Method::HEAD, false),
            303 => (Method::GET, false),
            _ => return None,
        };
        let mut locations = headers.get_all(LOCATION).iter();
        let location = locations.next()?;
        if self.max == 0 {
            return None;
        }
        // Somebody else would take another one of them.
        if locations.any(|other| other != location) {
            return Some(Err(Refusal::BadLocation));
        }
        Some(self.follow(url, location.as_bytes(), hops).map(|next| Hop {
            crosses_origin: !is_same_origin(&next, url),
            url: next,
            method: to,
            keeps_body,
        }))
    }

    fn follow(&self, url: &Url, location: &[u8], hops: usize) -> Result<Url, Refusal> {
        if usize::try_from(self.max).is_ok_and(|max| hops >= max) {
            return Err(Refusal::TooMany);
        }
        let next = guard::landing(url, location).ok_or(Refusal::BadLocation)?;
        if url.scheme() == "https" && next.scheme() == "http" && !self.downgrade {
            return Err(Refusal::Downgrade(next));
        }
        if !self.cross_origin && !is_same_origin(&next, url) {
            return Err(Refusal::CrossOrigin(next));
        }
        Ok(next)
    }
}

impl Hop {
    /// Takes off the headers of the request what must not go along (RFC 9110 §15.4): those of a body that stays behind, and at
    /// another origin [all that may be a secret](guard::strip_secrets), the headers included that `secrets` names.
    pub fn strip(&self, headers: &mut HeaderMap, secrets: impl Fn(&HeaderName) -> bool) {
        if !self.keeps_body {
            let of_body = |name: &HeaderName| {
                name.as_str().starts_with("content-")
                    || [TRANSFER_ENCODING, TRAILER, DIGEST, LAST_MODIFIED].contains(name)
            };
            guard::remove(headers, |name, _| of_body(name));
        }
        if self.crosses_origin {
            guard::strip_secrets(headers, secrets);
        }
    }
}

impl fmt::Display for Refusal {
    /// Of a URL it shows the origin only: what stands behind may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::TooMany => f.write_str("redirect refused: there were as many as are followed"),
            Refusal::CrossOrigin(url) => {
                let origin = url.origin().ascii_serialization();
                write!(f, "redirect refused: it leads to another origin, {origin}")
            }
            Refusal::Downgrade(url) => {
                let origin = url.origin().ascii_serialization();
                write!(f, "redirect refused: it leads from https to {origin}")
            }
            Refusal::BadLocation => {
                f.write_str("redirect refused: its Location names no http or https URL, or several")
            }
        }
    }
}

impl std::error::Error for Refusal {}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    /// The documented defaults.
    const REDIRECT: Redirect = Redirect {
        max: 10,
        cross_origin: true,
        downgrade: false,
    };

    fn hop(
        redirect: &Redirect,
        from: &str,
        method: &Method,
        status: u16,
        location: &str,
    ) -> Option<Result<Hop, Refusal>> {
        let mut headers = HeaderMap::new();
        headers.insert(LOCATION, HeaderValue::from_str(location).unwrap());
        let status = StatusCode::from_u16(status).unwrap();
        redirect.hop(&from.parse().unwrap(), method, status, &headers, 0)
    }

    #[test]
    fn each_status_says_what_becomes_of_method_and_body() {
        let cases = [
            (301, Method::POST, Method::GET, false),
            (302, Method::POST, Method::GET, false),
            (302, Method::PUT, Method::PUT, true),
            (301, Method::GET, Method::GET, true),
            (303, Method::PUT, Method::GET, false),
            (303, Method::HEAD, Method::HEAD, false),
            (307, Method::POST, Method::POST, true),
            (308, Method::POST, Method::POST, true),
        ];
        for (status, method, to, keeps_body) in cases {
            let hop = hop(&REDIRECT, "http://a/x", &method, status, "/y").unwrap().unwrap();
            assert_eq!((hop.method, hop.keeps_body), (to, keeps_body), "{status} {method}");
        }
        for status in [200, 300, 304, 305, 404] {
            assert_eq!(
                hop(&REDIRECT, "http://a/x", &Method::GET, status, "/y"),
                None,
                "{status}"
            );
        }
    }

    #[test]
    fn locations_are_read_against_the_request_and_lose_credentials() {
        let cases = [
            ("http://a/x/y?q#f", "z", "http://a/x/z#f", false),
            ("http://a/x", "//b/z#g", "http://b/z#g", true),
            ("http://a/x", "http://user:secret@a/z", "http://a/z", false),
            ("http://a/x", "http://a:81/z", "http://a:81/z", true),
            ("http://a/x", "http://A:80/z", "http://a/z", false),
            ("http://a/x", "https://a/z", "https://a/z", true),
            ("http://a/x", "", "http://a/x", false),
            ("http://a/x", "\\\\b\\z", "http://b/z", true),
            ("http://a/x", "http://a./z", "http://a./z", true),
            ("http+unix://%2Fs/x", "/z", "http+unix://%2Fs/z", false),
            ("http+unix://%2Fs/x", "http://a/z", "http://a/z", true),
        ];
        for (from, location, to, crosses) in cases {
            let hop = hop(&REDIRECT, from, &Method::GET, 302, location).unwrap().unwrap();
            assert_eq!((hop.url.as_str(), hop.crosses_origin), (to, crosses), "{location}");
        }
    }

    #[test]
    fn what_must_not_be_followed_is_refused_by_name() {
        let refused = |redirect: &Redirect, from: &str, location: &str| {
            hop(redirect, from, &Method::GET, 302, location).unwrap().unwrap_err()
        };
        let url = |text: &str| text.parse().unwrap();
        assert_eq!(
            refused(&REDIRECT, "https://a/", "http://me:secret@a/"),
            Refusal::Downgrade(url("http://a/"))
        );
        for location in [
            "file:///etc/passwd",
            "javascript:1",
            "http://",
            "http://[::g]/",
            "data:,x",
            "http+unix://%2Frun%2Fapp.sock/",
        ] {
            assert_eq!(
                refused(&REDIRECT, "http://a/", location),
                Refusal::BadLocation,
                "{location}"
            );
        }
        let same = Redirect {
            cross_origin: false,
            ..REDIRECT
        };
        assert_eq!(
            refused(&same, "http://a/", "http://b/"),
            Refusal::CrossOrigin(url("http://b/"))
        );
        let headers = HeaderMap::from_iter([(LOCATION, HeaderValue::from_static("/"))]);
        let url = url("http://a/");
        let at = |hops| REDIRECT.hop(&url, &Method::GET, StatusCode::FOUND, &headers, hops);
        assert!(at(9).unwrap().is_ok());
        assert_eq!(at(10), Some(Err(Refusal::TooMany)));
    }

    #[test]
    fn a_refusal_says_why_and_shows_no_more_than_the_origin() {
        let secret: Url = "http://b:81/reset?token=canary".parse().unwrap();
        let says = [
            Refusal::TooMany,
            Refusal::CrossOrigin(secret.clone()),
            Refusal::Downgrade(secret),
            Refusal::BadLocation,
        ]
        .map(|refusal| refusal.to_string());
        assert!(
            says[1].ends_with("another origin, http://b:81") && says[2].ends_with("from https to http://b:81"),
            "{says:?}"
        );
        assert!(says.iter().all(|words| !words.contains("canary")));
    }

    #[test]
    fn with_redirects_off_or_no_location_the_answer_is_the_callers() {
        let off = Redirect { max: 0, ..REDIRECT };
        assert_eq!(hop(&off, "http://a/", &Method::GET, 302, "/y"), None);
        let url = "http://a/".parse().unwrap();
        assert_eq!(
            REDIRECT.hop(&url, &Method::GET, StatusCode::FOUND, &HeaderMap::new(), 0),
            None
        );
    }

    #[test]
    fn several_locations_must_be_one() {
        let of = |locations: [&'static str; 2]| {
            let mut headers = HeaderMap::new();
            for location in locations {
                headers.append(LOCATION, HeaderValue::from_static(location));
            }
            let url = "http://a/".parse().unwrap();
            REDIRECT
                .hop(&url, &Method::GET, StatusCode::FOUND, &headers, 0)
                .unwrap()
        };
        assert!(of(["/x", "/x"]).is_ok());
        assert_eq!(of(["/x", "/y"]), Err(Refusal::BadLocation));
    }

    fn left(method: &Method, status: u16, location: &str) -> Vec<String> {
        let mut headers: HeaderMap = [
            ("authorization", "s"),
            ("cookie", "s"),
            ("x-special", "s"),
            ("x-api-key", "s"),
            ("host", "a"),
            ("origin", "http://a"),
            ("referer", "http://a/?s"),
            ("content-type", "a/b"),
            ("content-language", "en"),
            ("accept", "*/*"),
        ]
        .into_iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
        .collect();
        let mut marked = HeaderValue::from_static("s");
        marked.set_sensitive(true);
        headers.insert("x-marked", marked);
        let hop = hop(&REDIRECT, "http://a/", method, status, location).unwrap().unwrap();
        hop.strip(&mut headers, |name| name == "x-special");
        let mut left: Vec<String> = headers.keys().map(|name| name.as_str().to_owned()).collect();
        left.sort();
        left
    }

    #[test]
    fn secrets_stay_behind_at_another_origin_and_the_bodys_headers_with_the_body() {
        assert_eq!(left(&Method::POST, 303, "http://b/"), ["accept"]);
        assert_eq!(
            left(&Method::POST, 307, "http://a:81/"),
            ["accept", "content-language", "content-type"]
        );
        assert_eq!(
            left(&Method::POST, 303, "/z"),
            [
                "accept",
                "authorization",
                "cookie",
                "host",
                "origin",
                "referer",
                "x-api-key",
                "x-marked",
                "x-special"
            ]
        );
        assert_eq!(left(&Method::POST, 308, "/z").len(), 11);
    }
}
