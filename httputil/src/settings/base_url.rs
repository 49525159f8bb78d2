//! `base_url`: where relative request URLs lead.
//!
//! A base is a prefix. `https://host/v1` and `users/7`, or `/users/7`, make `https://host/v1/users/7`; a slash at the base's
//! end changes nothing. That is not RFC 3986's rule, by which `/users/7` would lose the `/v1`, and `users/7` too without the
//! slash. What is joined never leaves the base: a host of its own, a backslash and `..` beyond the prefix are refused.
//!
//! A Unix socket has the origin `http+unix://<path, percent-encoded>`, so that a request's URL alone says where it goes.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use url::Url;

use super::check_url_text;

const WANTED: &str = "expected a URL such as \"https://api.example/v1\", or \"unix:/run/app.sock\"";

/// Of URLs that lead to a Unix socket; of our own making only.
pub(crate) const SOCKET_SCHEME: &str = "http+unix";

/// What a host may hold without being encoded.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_');

/// A prefix for relative URLs: scheme, host, and a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BaseUrl {
    url: Url,
    socket: Option<PathBuf>,
}

impl BaseUrl {
    /// The base that a text stands for; the error says what would be right, and does not repeat the text.
    pub(crate) fn parse(text: &str) -> Result<BaseUrl, Cow<'static, str>> {
        if let Some(path) = text.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            check_socket(path)?;
            let host = utf8_percent_encode(path, ENCODED);
            let url = Url::parse(&format!("{SOCKET_SCHEME}://{host}/")).map_err(|_| WANTED)?;
            return Ok(BaseUrl {
                url,
                socket: Some(PathBuf::from(path)),
            });
        }
        if text.contains(|letter: char| letter == '\\' || letter.is_ascii_control() || letter == ' ') {
            return Err(format!("{WANTED}, without spaces, backslashes and control characters").into());
        }
        let url = Url::parse(text).map_err(|error| match error {
            url::ParseError::RelativeUrlWithoutBase => WANTED.to_owned(),
            error => format!("{WANTED} ({error})"),
        })?;
        if !["http", "https"].contains(&url.scheme()) {
            return Err(format!("{WANTED}, of scheme http, https or unix").into());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("a base holds no user and no password; leave them out of the URL".into());
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err("a base ends with its path; leave query and fragment out of the URL".into());
        }
        if url.port() == Some(0) {
            return Err("port 0 cannot be connected to".into());
        }
        Ok(BaseUrl { url, socket: None })
    }

    /// The base itself.
    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    /// What of a URL stands behind the base; `None` if the URL is not beneath it.
    pub(crate) fn tail<'a>(&self, url: &'a Url) -> Option<&'a str> {
        let tail = url.as_str().strip_prefix(self.prefix())?;
        (tail.is_empty() || tail.starts_with(['/', '?', '#'])).then_some(tail)
    }

    /// The URL with this behind the base, as [`tail`](BaseUrl::tail) gave it for another one.
    pub(crate) fn with_tail(&self, tail: &str) -> Option<Url> {
        Url::parse(&format!("{}{tail}", self.prefix())).ok()
    }

    fn prefix(&self) -> &str {
        self.url.as_str().trim_end_matches('/')
    }

    /// The Unix socket that it is.
    pub(crate) fn socket(&self) -> Option<&Path> {
        self.socket.as_deref()
    }

    /// The URL of a relative one; the error says why it is none.
    pub(crate) fn join(&self, relative: &str) -> Result<Url, &'static str> {
        let (path, rest) = relative.split_at(relative.find(['?', '#']).unwrap_or(relative.len()));
        if path.starts_with("//") {
            return Err("a URL relative to base_url cannot name a host; write the whole URL, with its scheme");
        }
        if path.contains('\\') {
            return Err("a backslash cannot stand in a URL relative to base_url");
        }
        check_url_text(relative)?;
        let base = self.url.as_str();
        let joined = if path.is_empty() {
            format!("{base}{rest}")
        } else {
            let (base, path) = (base.trim_end_matches('/'), path.strip_prefix('/').unwrap_or(path));
            format!("{base}/{path}{rest}")
        };
        let url = Url::parse(&joined).map_err(|_| "it makes no URL together with base_url")?;
        let prefix = self.url.path().trim_end_matches('/');
        let is_beneath = url
            .path()
            .strip_prefix(prefix)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        let is_same_place = url.scheme() == self.url.scheme() && url.authority() == self.url.authority();
        if !is_beneath || !is_same_place {
            return Err("it leaves base_url by its dots; write the whole URL, with its scheme");
        }
        Ok(url)
    }
}

/// Whether a text that is a base is one of `https`.
pub(crate) fn is_https(base: &str) -> bool {
    base.get(..6)
        .is_some_and(|scheme| scheme.eq_ignore_ascii_case("https:"))
}

/// The path of the socket that a URL leads to.
pub(crate) fn socket_of(url: &Url) -> Option<PathBuf> {
    if url.scheme() != SOCKET_SCHEME {
        return None;
    }
    let path = percent_decode_str(url.host_str()?).decode_utf8().ok()?;
    Some(PathBuf::from(&*path))
}

#[cfg(unix)]
fn check_socket(path: &str) -> Result<(), &'static str> {
    if !path.starts_with('/') || path.ends_with('/') {
        return Err("expected the whole path of a socket, from the root, such as \"unix:/run/app.sock\"");
    }
    // The kernel's own limit is below that of other paths, and no NUL may stand in it.
    std::os::unix::net::SocketAddr::from_pathname(path)
        .map(drop)
        .map_err(|_| "no path that a socket can have: it is too long for the system, or holds a NUL")
}

#[cfg(not(unix))]
fn check_socket(_: &str) -> Result<(), &'static str> {
    Err("Unix sockets can be connected to on Unix only")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_is_a_prefix() {
        for (base, relative, expected) in [
            ("https://host/v1", "users/7", "https://host/v1/users/7"),
            ("https://host/v1", "/users/7", "https://host/v1/users/7"),
            ("https://host/v1/", "users/7", "https://host/v1/users/7"),
            ("https://host/v1/", "/users/7?a=b#c", "https://host/v1/users/7?a=b#c"),
            ("https://host", "users", "https://host/users"),
            ("https://HOST:443", "/", "https://host/"),
            (
                "http://host:8080/a b".replace(' ', "%20").leak(),
                "c d",
                "http://host:8080/a%20b/c%20d",
            ),
            ("https://host/v1", "", "https://host/v1"),
            ("https://host/v1/", "", "https://host/v1/"),
            ("https://host/v1", "?page=2", "https://host/v1?page=2"),
            ("https://host/v1", "/", "https://host/v1/"),
            ("https://host/v1", "a/../b/./c", "https://host/v1/b/c"),
            ("https://host/v1", "/x:80/@y", "https://host/v1/x:80/@y"),
            (
                "https://host/v1",
                "x?to=//other\\..",
                "https://host/v1/x?to=//other\\..",
            ),
            ("https://host", "a//b", "https://host/a//b"),
            ("http://[::1]:81/", "x", "http://[::1]:81/x"),
        ] {
            let joined = BaseUrl::parse(base).unwrap().join(relative).unwrap();
            assert_eq!(joined.as_str(), expected, "{base} and {relative}");
        }
    }

    #[test]
    fn nothing_that_is_joined_leaves_its_base() {
        for relative in [
            "//other/x",
            "//other",
            "///other",
            "\\\\other/x",
            "/\\other/x",
            "\\/other",
            "..",
            "../x",
            "/../x",
            "a/../../x",
            "%2e%2e/x",
            ".%2E/x",
            "/..",
            "../v12/x",
            "/.\t./x",
            "\n//other",
            " //other",
            "x ",
            "x\0",
        ] {
            for base in ["https://host/v1", "https://host/v1/"] {
                let joined = BaseUrl::parse(base).unwrap().join(relative);
                assert!(joined.is_err(), "{base} and {relative:?}: {joined:?}");
            }
        }
        // Without a prefix there is nothing to leave but the host.
        let root = BaseUrl::parse("https://host").unwrap();
        assert_eq!(root.join("../x").unwrap().as_str(), "https://host/x");
        assert!(root.join("//other").is_err() && root.join("\\\\other").is_err());
    }

    #[test]
    fn what_is_beneath_one_base_can_be_beneath_another() {
        let (from, to) = ("https://host/v1/", "http://other:81");
        let (from, to) = (BaseUrl::parse(from).unwrap(), BaseUrl::parse(to).unwrap());
        for tail in ["users/7?a=b#c", "", "/", "?page=2", "a%20b/x:80/@y"] {
            let url = from.join(tail).unwrap();
            let moved = to.with_tail(from.tail(&url).unwrap()).unwrap();
            assert_eq!(moved, to.join(tail).unwrap(), "{tail}");
        }
        for elsewhere in [
            "https://host/v12",
            "https://host/",
            "https://host:8443/v1/x",
            "http://host/v1/x",
            "https://me@host/v1/x",
        ] {
            assert_eq!(from.tail(&elsewhere.parse().unwrap()), None, "{elsewhere}");
        }
    }

    #[test]
    fn what_is_no_base_is_told_so() {
        for (text, why) in [
            ("", "expected a URL"),
            ("/v1", "expected a URL"),
            ("host/v1", "expected a URL"),
            ("ftp://host", "scheme"),
            ("https://", "empty host"),
            ("https://user:canary@host", "no password"),
            ("https://user@host", "no user"),
            ("https://host?x", "query"),
            ("https://host#x", "fragment"),
            ("https://host:0", "port 0"),
            ("https://host\\x", "backslashes"),
            ("https://ho\tst", "control characters"),
            (" https://host", "spaces"),
        ] {
            let error = BaseUrl::parse(text).unwrap_err();
            assert!(error.contains(why) && !error.contains("canary"), "{text}: {error}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_socket_is_an_origin_of_its_own() {
        for text in ["unix:/run/my app_1.sock", "unix:///run/my app_1.sock"] {
            let base = BaseUrl::parse(text).unwrap();
            let url = base.join("v1/x?y").unwrap();
            assert_eq!(url.as_str(), "http+unix://%2Frun%2Fmy%20app_1.sock/v1/x?y");
            assert_eq!(socket_of(&url).as_deref(), base.socket());
            assert_eq!(base.join("").unwrap().path(), "/");
            assert!(base.join("//other/x").is_err());
        }
        for text in [
            "unix:",
            "unix:run/app.sock",
            "unix://run/app.sock",
            "unix:/run/",
            "unix:@abstract",
        ] {
            let error = BaseUrl::parse(text).unwrap_err();
            assert!(error.contains("whole path"), "{text}: {error}");
        }
        for text in ["unix:/nul\0".to_owned(), format!("unix:/{}", "x".repeat(200))] {
            assert!(BaseUrl::parse(&text).unwrap_err().contains("no path"));
        }
    }
}
