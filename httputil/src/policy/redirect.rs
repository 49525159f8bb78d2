//! Where an answer sends the request (RFC 9110 §15.4), and what of it may go there.
//!
//! reqwest's and tower-http's own loops fall short: the first names the whole former URL in `Referer`, the second loses a
//! request's options. So the loop is the client's, and this decides one hop.

use http::header::{
    AUTHORIZATION, COOKIE, HOST, HeaderMap, HeaderName, LAST_MODIFIED, LOCATION, ORIGIN, PROXY_AUTHORIZATION, REFERER,
    TRAILER, TRANSFER_ENCODING,
};
use http::{Method, StatusCode};
use url::Url;

use crate::settings::{Redirect, tells_a_secret};

const DIGEST: HeaderName = HeaderName::from_static("digest");

/// One hop, decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hop {
    pub(crate) url: Url,
    pub(crate) method: Method,
    /// Whether the body goes along.
    pub(crate) keeps_body: bool,
    /// Whether scheme, host or port differ: secrets stay behind, and stay behind on all later hops.
    pub(crate) crosses_origin: bool,
}

/// Why a redirect is not followed. A URL is the one that it would have led to, without credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    TooMany,
    CrossOrigin(Url),
    Downgrade(Url),
    /// `Location` is no URL, or not one that can be gone to.
    BadLocation,
}

impl Redirect {
    /// What an answer to a request to `url` means; `None` if it sends the request nowhere. `hops` were followed so far.
    pub(crate) fn hop(
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
        let location = std::str::from_utf8(location).map_err(|_| Refusal::BadLocation)?;
        let mut next = url.join(location).map_err(|_| Refusal::BadLocation)?;
        // A Unix socket is left by the server behind it alone, and entered by none.
        let is_same_origin = is_same_origin(&next, url);
        let is_web = matches!(next.scheme(), "http" | "https");
        if !is_web && !is_same_origin || next.host_str().is_none_or(str::is_empty) {
            return Err(Refusal::BadLocation);
        }
        // A server must not put credentials into a client's mouth.
        let stripped = next.set_username("").and_then(|()| next.set_password(None));
        if stripped.is_err() {
            return Err(Refusal::BadLocation);
        }
        // RFC 9110 §10.2.2.
        if next.fragment().is_none() {
            next.set_fragment(url.fragment());
        }
        if url.scheme() == "https" && next.scheme() == "http" && !self.downgrade {
            return Err(Refusal::Downgrade(next));
        }
        if !is_same_origin && !self.cross_origin {
            return Err(Refusal::CrossOrigin(next));
        }
        Ok(next)
    }
}

/// Scheme, host and port (RFC 6454 §5); of a Unix socket its path, for which the standard knows no origin.
fn is_same_origin(one: &Url, other: &Url) -> bool {
    one.scheme() == other.scheme()
        && one.host_str() == other.host_str()
        && one.port_or_known_default() == other.port_or_known_default()
}

impl Hop {
    /// Takes off the headers what must not go along (RFC 9110 §15.4). `secrets` are the profile's.
    pub(crate) fn strip(&self, headers: &mut HeaderMap, secrets: impl Fn(&HeaderName) -> bool) {
        if !self.keeps_body {
            let of_body = |name: &HeaderName| {
                name.as_str().starts_with("content-")
                    || [TRANSFER_ENCODING, TRAILER, DIGEST, LAST_MODIFIED].contains(name)
            };
            remove(headers, |name, _| of_body(name));
        }
        if self.crosses_origin {
            let of_origin = [HOST, REFERER, ORIGIN, AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION];
            remove(headers, |name, is_marked| {
                is_marked || of_origin.contains(name) || tells_a_secret(name.as_str()) || secrets(name)
            });
        }
    }
}

/// Removes the headers of such a name; of those with several values, one that is marked as sensitive marks all.
fn remove(headers: &mut HeaderMap, is_meant: impl Fn(&HeaderName, bool) -> bool) {
    let meant: Vec<HeaderName> = headers
        .iter()
        .filter(|(name, value)| is_meant(name, value.is_sensitive()))
        .map(|(name, _)| name.clone())
        .collect();
    for name in meant {
        headers.remove(name);
    }
}

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
