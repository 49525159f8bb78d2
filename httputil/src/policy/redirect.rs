//! Where an answer sends the request (RFC 9110 §15.4), and what of it may go there.
//!
//! reqwest's and tower-http's own loops fall short: the first names the whole former URL in `Referer`, the second loses a
//! request's options. So the loop is the client's, and this decides one hop.

use http::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HOST, HeaderMap, HeaderName, LOCATION,
    PROXY_AUTHORIZATION, REFERER, TRANSFER_ENCODING, WWW_AUTHENTICATE,
};
use http::{Method, StatusCode};
use url::Url;

/// What a profile says about redirects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Redirect {
    /// `redirect.max`: hops of one request; 0 follows none, and hands the answer over as it is.
    pub(crate) max: u32,
    /// `redirect.cross_origin`
    pub(crate) cross_origin: bool,
    /// `redirect.downgrade`: from https to http.
    pub(crate) downgrade: bool,
}

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

/// Why a redirect is not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    TooMany,
    CrossOrigin,
    Downgrade,
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
        hops: u32,
    ) -> Option<Result<Hop, Refusal>> {
        let (to, keeps_body) = match status.as_u16() {
            // RFC 9110 §15.4.2 and §15.4.3: what every client does to a POST.
            301 | 302 if *method == Method::POST => (Method::GET, false),
            301 | 302 | 307 | 308 => (method.clone(), true),
            303 if *method == Method::HEAD => (Method::HEAD, false),
            303 => (Method::GET, false),
            _ => return None,
        };
        let location = headers.get(LOCATION)?;
        if self.max == 0 {
            return None;
        }
        Some(self.follow(url, location.as_bytes(), hops).map(|next| Hop {
            crosses_origin: next.origin() != url.origin(),
            url: next,
            method: to,
            keeps_body,
        }))
    }

    fn follow(&self, url: &Url, location: &[u8], hops: u32) -> Result<Url, Refusal> {
        if hops >= self.max {
            return Err(Refusal::TooMany);
        }
        let location = std::str::from_utf8(location).map_err(|_| Refusal::BadLocation)?;
        let mut next = url.join(location).map_err(|_| Refusal::BadLocation)?;
        if !matches!(next.scheme(), "http" | "https") || next.host_str().is_none_or(str::is_empty) {
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
            return Err(Refusal::Downgrade);
        }
        if next.origin() != url.origin() && !self.cross_origin {
            return Err(Refusal::CrossOrigin);
        }
        Ok(next)
    }
}

impl Hop {
    /// Takes off the headers what must not go along. `secrets` are the profile's.
    pub(crate) fn strip(&self, headers: &mut HeaderMap, secrets: &[HeaderName]) {
        // It named the former host, or was the caller's word about it.
        headers.remove(HOST);
        headers.remove(REFERER);
        if !self.keeps_body {
            for name in [CONTENT_LENGTH, CONTENT_TYPE, CONTENT_ENCODING, TRANSFER_ENCODING] {
                headers.remove(name);
            }
            let described: Vec<HeaderName> = headers
                .keys()
                .filter(|name| name.as_str().starts_with("content-"))
                .cloned()
                .collect();
            for name in described {
                headers.remove(name);
            }
        }
        if self.crosses_origin {
            for name in [AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION, WWW_AUTHENTICATE]
                .iter()
                .chain(secrets)
            {
                headers.remove(name);
            }
            let marked: Vec<HeaderName> = headers
                .iter()
                .filter(|(_, value)| value.is_sensitive())
                .map(|(name, _)| name.clone())
                .collect();
            for name in marked {
                headers.remove(name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

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
        assert_eq!(refused(&REDIRECT, "https://a/", "http://a/"), Refusal::Downgrade);
        for location in [
            "file:///etc/passwd",
            "javascript:1",
            "http://",
            "http://[::g]/",
            "data:,x",
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
        assert_eq!(refused(&same, "http://a/", "http://b/"), Refusal::CrossOrigin);
        let headers = HeaderMap::from_iter([(LOCATION, HeaderValue::from_static("/"))]);
        let url = "http://a/".parse().unwrap();
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
    fn secrets_stay_behind_at_another_origin_and_the_bodys_headers_with_the_body() {
        let mut headers: HeaderMap = [
            ("authorization", "s"),
            ("cookie", "s"),
            ("x-api-key", "s"),
            ("host", "a"),
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
        let hop = hop(&REDIRECT, "http://a/", &Method::POST, 303, "http://b/")
            .unwrap()
            .unwrap();
        hop.strip(&mut headers, &[HeaderName::from_static("x-api-key")]);
        let left: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        assert_eq!(left, ["accept"]);
    }
}
