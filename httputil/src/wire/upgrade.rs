//! The other protocol that a request asks for, and whether a `101` grants it (RFC 9110 §7.8, §15.2.2).
//!
//! Whoever gets the stream speaks the protocol that was asked for: to a server that means another one, or nothing of the
//! kind, its bytes would say anything.

use http::header::{CONNECTION, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Response, Version};

/// What the request's `Upgrade` says. Boxed, since all requests carry the place for it.
#[derive(Debug)]
pub(super) struct Asked(Box<[HeaderValue]>);

impl Asked {
    pub(super) fn by(headers: &HeaderMap) -> Asked {
        Asked(headers.get_all(UPGRADE).iter().cloned().collect())
    }

    /// Whether a `101` switches to what was asked for, and to nothing else.
    pub(super) fn is_granted_by<B>(&self, answer: &Response<B>) -> bool {
        let headers = answer.headers();
        let was_asked = |protocol: &str| {
            self.0
                .iter()
                .flat_map(words)
                .any(|asked| asked.eq_ignore_ascii_case(protocol))
        };
        let mut granted = of(headers, &UPGRADE).peekable();
        answer.version() == Version::HTTP_11
            && of(headers, &CONNECTION).any(|option| option.eq_ignore_ascii_case("upgrade"))
            && granted.peek().is_some()
            && granted.all(was_asked)
    }

    /// For an error.
    pub(super) fn protocols(&self) -> String {
        self.0.iter().flat_map(words).collect::<Vec<_>>().join(", ")
    }
}

fn of<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    headers.get_all(name).into_iter().flat_map(words)
}

/// The elements of a list; one that is no text matches nothing.
fn words(value: &HeaderValue) -> impl Iterator<Item = &str> {
    let elements = value.to_str().unwrap_or("?").split(',');
    elements.map(str::trim).filter(|element| !element.is_empty())
}
