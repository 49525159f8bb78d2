//! How long, and for how many requests, a connection may serve: our settings' word and the server's.
//!
//! A server's `Keep-Alive: timeout=5, max=99` says when it will close. Heeding it is the one cure for a `POST` that meets
//! a closing connection. And a server that speaks `NTLM` or `Negotiate` binds the connection itself to one user (RFC
//! 4559 §6), whom the next request on it would be taken for.

use std::time::Duration;

use http::header::{
    AUTHORIZATION, AsHeaderName, CONTENT_LENGTH, HeaderName, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION,
    TRANSFER_ENCODING, WWW_AUTHENTICATE,
};
use http::{HeaderMap, Response, Version};

use super::CloseReason;

static KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");

/// The terms of one connection, as of its latest exchange.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    /// Exchanges begun so far.
    uses: u32,
    max_uses: Option<u32>,
    /// `Keep-Alive: timeout` of the latest answer, in seconds.
    timeout: Option<u32>,
    /// Requests that the server's last `Keep-Alive: max` leaves.
    left: Option<u32>,
    /// Why it may not be used again, whatever its numbers: it was bound to one user, or was answered ambiguously.
    ends: Option<CloseReason>,
    is_http10: bool,
    is_upgradable: bool,
}

impl Terms {
    /// Of a new connection, which may bear `max_uses` requests.
    pub(super) fn new(max_uses: Option<u32>) -> Terms {
        Terms {
            uses: 0,
            max_uses,
            timeout: None,
            left: None,
            ends: None,
            is_http10: false,
            is_upgradable: false,
        }
    }

    /// A request with these headers is about to be sent.
    pub(super) fn begin(&mut self, headers: &HeaderMap) {
        self.uses = self.uses.saturating_add(1);
        self.left = self.left.map(|left| left.saturating_sub(1));
        if request_binds(headers) {
            self.ends = Some(CloseReason::ConnectionAuth);
        }
    }

    /// It was answered with this.
    pub(super) fn answered<B>(&mut self, response: &Response<B>) {
        self.is_http10 = response.version() == Version::HTTP_10;
        let headers = response.headers();
        // Lengths first: a look-up of each name would cost more than all else here, and most answers have none of them.
        if !has_length(
            headers,
            [
                KEEP_ALIVE.as_str().len(),
                WWW_AUTHENTICATE.as_str().len(),
                PROXY_AUTHENTICATE.as_str().len(),
                TRANSFER_ENCODING.as_str().len(),
            ],
        ) {
            self.timeout = None;
            return;
        }
        let said = KeepAlive::of(headers);
        self.timeout = said.timeout;
        self.left = said.max.or(self.left);
        if answer_binds(headers) {
            self.ends = Some(CloseReason::ConnectionAuth);
        }
        // Somebody on the way may have believed the other one (RFC 9112 §6.3).
        if headers.contains_key(TRANSFER_ENCODING) && headers.contains_key(CONTENT_LENGTH) {
            self.ends = Some(CloseReason::Error);
        }
    }

    /// A request on it asks for another protocol.
    pub(super) fn allow_upgrade(&mut self) {
        self.is_upgradable = true;
    }

    /// What came may be read in two ways: it is the last answer.
    pub(super) fn end(&mut self) {
        self.ends = Some(CloseReason::Error);
    }

    /// Whether hyper can give the connection back and take it again: it would forget that the peer spoke HTTP/1.0, and
    /// gives back none that may be upgraded.
    pub(super) fn may_hibernate(&self) -> bool {
        !self.is_http10 && !self.is_upgradable
    }

    pub(super) fn uses(&self) -> u32 {
        self.uses
    }

    /// How long the connection may be idle by the server's word, less a second for the way.
    pub(super) fn may_idle_for(&self) -> Option<Duration> {
        self.timeout
            .map(|seconds| Duration::from_secs(seconds.saturating_sub(1).into()))
    }

    /// Why it may not be used again, if it may not.
    pub(super) fn spent(&self) -> Option<CloseReason> {
        if self.ends.is_some() {
            self.ends
        } else if self.max_uses.is_some_and(|max| self.uses >= max) || self.left == Some(0) {
            Some(CloseReason::MaxRequests)
        } else if self.timeout.is_some_and(|seconds| seconds <= 1) {
            Some(CloseReason::KeepAlive)
        } else {
            None
        }
    }
}

/// What `Keep-Alive` says; of two values the smaller.
#[derive(Debug, Default, PartialEq, Eq)]
struct KeepAlive {
    timeout: Option<u32>,
    max: Option<u32>,
}

impl KeepAlive {
    fn of(headers: &HeaderMap) -> KeepAlive {
        let mut said = KeepAlive::default();
        let values = headers.get_all(&KEEP_ALIVE).into_iter();
        for parameter in values
            .filter_map(|value| value.to_str().ok())
            .flat_map(|v| v.split(','))
        {
            let Some((name, value)) = parameter.split_once('=') else {
                continue;
            };
            let slot = match name.trim() {
                name if name.eq_ignore_ascii_case("timeout") => &mut said.timeout,
                name if name.eq_ignore_ascii_case("max") => &mut said.max,
                _ => continue,
            };
            if let Some(number) = number(value.trim().trim_matches('"')) {
                *slot = Some(slot.map_or(number, |other| other.min(number)));
            }
        }
        said
    }
}

/// A number that may be larger than any that we can keep: that is as good as the largest.
fn number(digits: &str) -> Option<u32> {
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(u32::MAX))
}

/// Whether the request binds its connection to a user.
pub(super) fn request_binds(headers: &HeaderMap) -> bool {
    has_length(
        headers,
        [AUTHORIZATION.as_str().len(), PROXY_AUTHORIZATION.as_str().len()],
    ) && (binds(headers, AUTHORIZATION) || binds(headers, PROXY_AUTHORIZATION))
}

/// Whether the answer shows that the server binds connections to users.
pub(super) fn answer_binds(headers: &HeaderMap) -> bool {
    has_length(
        headers,
        [WWW_AUTHENTICATE.as_str().len(), PROXY_AUTHENTICATE.as_str().len()],
    ) && (binds(headers, WWW_AUTHENTICATE) || binds(headers, PROXY_AUTHENTICATE))
}

/// Whether a header's name is as long as one of those looked for.
pub(super) fn has_length<const N: usize>(headers: &HeaderMap, lengths: [usize; N]) -> bool {
    headers.keys().any(|name| lengths.contains(&name.as_str().len()))
}

fn binds(headers: &HeaderMap, name: impl AsHeaderName) -> bool {
    // One line may hold several challenges.
    let values = headers.get_all(name).into_iter();
    values
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .any(|challenge| {
            let challenge = challenge.trim_ascii_start();
            let end = challenge.iter().position(u8::is_ascii_whitespace);
            let scheme = &challenge[..end.unwrap_or(challenge.len())];
            scheme.eq_ignore_ascii_case(b"ntlm") || scheme.eq_ignore_ascii_case(b"negotiate")
        })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        lines
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    fn answer(lines: &[(&'static str, &'static str)]) -> Response<()> {
        let mut answer = Response::new(());
        *answer.headers_mut() = headers(lines);
        answer
    }

    fn after(lines: &[(&'static str, &'static str)]) -> Terms {
        let mut terms = Terms::new(None);
        terms.begin(&HeaderMap::new());
        terms.answered(&answer(lines));
        terms
    }

    #[test]
    fn a_server_s_time_out_less_a_second_bounds_the_idle_time() {
        for (value, seconds) in [
            ("timeout=5", Some(4)),
            ("timeout=5, max=100", Some(4)),
            (" max=7 , TimeOut = \"20\"", Some(19)),
            ("timeout=9, timeout=3", Some(2)),
            ("timeout=99999999999999999999999999", Some(u64::from(u32::MAX) - 1)),
            ("timeout=1", Some(0)),
            ("timeout=-1", None),
            ("timeout=", None),
            ("timeout", None),
            ("=,=5,,", None),
        ] {
            let terms = after(&[("keep-alive", value)]);
            assert_eq!(terms.may_idle_for(), seconds.map(Duration::from_secs), "{value}");
        }
    }

    #[test]
    fn a_time_out_that_leaves_nothing_and_a_max_of_none_end_the_connection() {
        assert_eq!(
            after(&[("keep-alive", "timeout=0")]).spent(),
            Some(CloseReason::KeepAlive)
        );
        assert_eq!(
            after(&[("keep-alive", "timeout=1")]).spent(),
            Some(CloseReason::KeepAlive)
        );
        assert_eq!(after(&[("keep-alive", "timeout=2")]).spent(), None);
        assert_eq!(
            after(&[("keep-alive", "max=0")]).spent(),
            Some(CloseReason::MaxRequests)
        );
        assert_eq!(after(&[("keep-alive", "max=1")]).spent(), None);
        assert_eq!(after(&[]).spent(), None);
    }

    #[test]
    fn what_max_leaves_counts_down_when_the_server_says_nothing_more() {
        let mut terms = after(&[("keep-alive", "max=2")]);
        for spent in [None, Some(CloseReason::MaxRequests)] {
            terms.begin(&HeaderMap::new());
            terms.answered(&answer(&[]));
            assert_eq!(terms.spent(), spent);
        }
        assert_eq!(terms.may_idle_for(), None);
    }

    #[test]
    fn our_own_maximum_counts_requests_begun() {
        let mut terms = Terms::new(Some(2));
        terms.begin(&HeaderMap::new());
        assert_eq!(terms.spent(), None);
        terms.begin(&HeaderMap::new());
        assert_eq!(terms.spent(), Some(CloseReason::MaxRequests));
    }

    #[test]
    fn ntlm_and_negotiate_bind_a_connection_whoever_says_them() {
        for challenge in [
            &[("www-authenticate", "NTLM")][..],
            &[("www-authenticate", "Basic realm=\"a\", negotiate")],
            &[
                ("www-authenticate", "Basic realm=\"a\""),
                ("www-authenticate", "Negotiate YII="),
            ],
            &[("proxy-authenticate", "ntlm TlRM")],
        ] {
            assert_eq!(
                after(challenge).spent(),
                Some(CloseReason::ConnectionAuth),
                "{challenge:?}"
            );
        }
        for request in [
            ("authorization", "Negotiate YII="),
            ("proxy-authorization", "NTLM TlRM"),
        ] {
            let mut terms = Terms::new(None);
            terms.begin(&headers(&[request]));
            terms.answered(&answer(&[]));
            assert_eq!(terms.spent(), Some(CloseReason::ConnectionAuth), "{request:?}");
        }
        let mut terms = after(&[("www-authenticate", "Basic realm=\"NTLM\", Negotiated")]);
        terms.begin(&headers(&[("authorization", "Bearer NTLM")]));
        assert_eq!(terms.spent(), None);
    }
}
