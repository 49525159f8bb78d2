//! What a server's word may bring a client to: which URL it may be sent to, and what of a request may go to another origin.
//!
//! ```
//! use http::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue};
//! use httputil::policy::guard;
//! use url::Url;
//!
//! let asked = Url::parse("https://api.example/v1/orders")?;
//! let next = guard::landing(&asked, b"//user:secret@cdn.example/42").expect("it can be gone to");
//! assert_eq!(next.as_str(), "https://cdn.example/42");
//! assert_eq!(guard::landing(&asked, b"file:///etc/passwd"), None);
//!
//! let mut headers = HeaderMap::new();
//! headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
//! headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer 7"));
//! if !guard::is_same_origin(&asked, &next) {
//!     guard::strip_secrets(&mut headers, |_| false);
//! }
//! assert_eq!(headers.keys().collect::<Vec<_>>(), [ACCEPT]);
//! # Ok::<(), url::ParseError>(())
//! ```
//!
//! The rule: a server decides where a request goes, never as whom, and never what else hears its secrets. Which addresses may
//! be dialled at all is no business of a policy: `egress` judges them where they are dialled.

use http::header::{AUTHORIZATION, COOKIE, HOST, HeaderMap, HeaderName, ORIGIN, PROXY_AUTHORIZATION, REFERER};
use url::Url;

use crate::settings::tells_a_secret;

/// Whether scheme, host and port are the same (RFC 6454 §5); of a Unix socket its path, for which the standard knows no origin.
pub fn is_same_origin(one: &Url, other: &Url) -> bool {
    one.scheme() == other.scheme()
        && one.host_str() == other.host_str()
        && one.port_or_known_default() == other.port_or_known_default()
}

/// Where a `Location` leads that an answer to a request to `from` bears (RFC 9110 §10.2.2); `None` if it is no URL, or none
/// that a server may send anybody to.
///
/// It is read against `from`, keeps the fragment of it where it has none of its own, and loses a user and a password: a server
/// must not put credentials into a client's mouth. It must be of `http` or `https`, with a host. A Unix socket is left by the
/// server behind it alone, and entered by none.
pub fn landing(from: &Url, location: &[u8]) -> Option<Url> {
    let mut next = from.join(std::str::from_utf8(location).ok()?).ok()?;
    let is_web = matches!(next.scheme(), "http" | "https");
    if !is_web && !is_same_origin(&next, from) || next.host_str().is_none_or(str::is_empty) {
        return None;
    }
    next.set_username("").and_then(|()| next.set_password(None)).ok()?;
    if next.fragment().is_none() {
        next.set_fragment(from.fragment());
    }
    Some(next)
}

/// Takes off the headers of a request what another origin must not be told: `Authorization`, `Cookie`, `Proxy-Authorization`,
/// what is marked as sensitive ([`HeaderValue::is_sensitive`](http::HeaderValue::is_sensitive)), what is called `…token…`,
/// `…secret…`, `…password…` or `…api-key…`, and what `others` names; and what speaks of the former one, `Host`, `Origin` and
/// `Referer`.
pub fn strip_secrets(headers: &mut HeaderMap, others: impl Fn(&HeaderName) -> bool) {
    let of_origin = [HOST, REFERER, ORIGIN, AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION];
    remove(headers, |name, is_marked| {
        is_marked || of_origin.contains(name) || tells_a_secret(name.as_str()) || others(name)
    });
}

/// Removes the headers of such a name; of those with several values, one that is marked as sensitive marks all.
pub(super) fn remove(headers: &mut HeaderMap, is_meant: impl Fn(&HeaderName, bool) -> bool) {
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

    fn url(text: &str) -> Url {
        text.parse().unwrap()
    }

    #[test]
    fn an_origin_is_scheme_host_and_port_and_a_socket_its_path() {
        for (one, other) in [
            ("http://a/x", "http://A:80/y?z#f"),
            ("https://me@a", "https://a:443"),
            ("http+unix://%2Fs/x", "http+unix://%2Fs/y"),
        ] {
            assert!(is_same_origin(&url(one), &url(other)), "{one} {other}");
        }
        for (one, other) in [
            ("http://a", "https://a"),
            ("http://a", "http://a:81"),
            ("http://a", "http://a."),
            ("http://a", "http://b.a"),
            ("http+unix://%2Fs/x", "http+unix://%2Ft/x"),
        ] {
            assert!(!is_same_origin(&url(one), &url(other)), "{one} {other}");
        }
    }

    #[test]
    fn a_server_sends_nobody_but_to_the_web() {
        for location in [
            "file:///x",
            "http+unix://%2Fs/x",
            "mailto:a@b",
            "http://",
            "javascript:1",
            "http://[::1",
        ] {
            assert_eq!(landing(&url("http://a/"), location.as_bytes()), None, "{location}");
        }
        assert_eq!(landing(&url("http://a/"), b"/\xff"), None);
        let socket = url("http+unix://%2Fs/x");
        assert_eq!(landing(&socket, b"/y"), Some(url("http+unix://%2Fs/y")));
    }

    #[test]
    fn one_marked_value_takes_all_of_its_name_along() {
        let mut headers = HeaderMap::new();
        let mut marked = HeaderValue::from_static("s");
        marked.set_sensitive(true);
        headers.append("x-plain", HeaderValue::from_static("a"));
        headers.append("x-both", HeaderValue::from_static("a"));
        headers.append("x-both", marked);
        strip_secrets(&mut headers, |_| false);
        assert_eq!(headers.keys().collect::<Vec<_>>(), ["x-plain"]);
    }
}
