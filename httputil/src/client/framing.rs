//! The headers of a request that frame it or speak to the next hop only: what of them is sent, and what is refused.
//!
//! | header | what becomes of it |
//! |---|---|
//! | `Content-Length` | must be the body's; a stream of unknown length is held to it |
//! | `Transfer-Encoding` | `chunked` sends a stream in chunks, and is dropped where the length is known; all else is refused |
//! | `Connection` | `close` stays, `upgrade` with `Upgrade` stays; other words are dropped |
//! | `Upgrade` | stays with `Connection: upgrade`, is dropped without; `h2c` is refused |
//! | `TE` | `trailers` stays, all else is dropped: no other coding could be read |
//! | `Expect` | `100-continue` stays if there is a body; all else is refused |
//! | `Keep-Alive`, `Proxy-Connection`, `HTTP2-Settings` | are dropped |
//!
//! HTTP/2 bears none of them but `Content-Length` and `TE` (RFC 9113 §8.2.2). The rule: how a message ends is the wire's
//! business, and a caller can't make it end otherwise.

use std::time::Duration;

use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, TE, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use crate::wire::{Manner, RequestBody};

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");

/// Puts the headers in order; says how the request is to be sent, or why it can't be. `expect_continue` is how long a body
/// waits for `100 Continue`.
pub(super) fn settle(
    method: &Method,
    headers: &mut HeaderMap,
    body: &mut RequestBody,
    expect_continue: Duration,
) -> Result<Manner, String> {
    if *method == Method::CONNECT {
        return Err("CONNECT opens a tunnel, and a client sends requests: name the proxy in proxy.url".to_owned());
    }
    let mut manner = Manner::default();
    // Lengths first: to look each name up would cost more than most requests' headers altogether.
    if !headers.keys().any(is_as_long_as_one) {
        return Ok(manner);
    }
    for name in [KEEP_ALIVE, PROXY_CONNECTION, HTTP2_SETTINGS] {
        headers.remove(name);
    }
    settle_length(headers, body)?;
    manner.upgrade = settle_connection(headers)?;
    if headers.contains_key(TE) && !says_only(headers, &TE, "trailers") {
        headers.remove(TE);
    }
    if headers.contains_key(EXPECT) {
        if !says_only(headers, &EXPECT, "100-continue") {
            return Err("header expect: only 100-continue is known".to_owned());
        }
        if http_body::Body::is_end_stream(body) {
            headers.remove(EXPECT);
        } else {
            manner.expect = Some(expect_continue);
        }
    }
    let h1_only = [CONNECTION, UPGRADE, TRANSFER_ENCODING, EXPECT];
    manner.has_h1_headers = h1_only.iter().any(|name| headers.contains_key(name));
    Ok(manner)
}

/// Takes out what HTTP/2 has no place for.
pub(super) fn strip_for_h2(headers: &mut HeaderMap) {
    for name in [CONNECTION, UPGRADE, TRANSFER_ENCODING, EXPECT] {
        headers.remove(name);
    }
}

fn is_as_long_as_one(name: &HeaderName) -> bool {
    // te, expect, upgrade, connection and keep-alive, content-length and http2-settings, proxy-connection,
    // transfer-encoding
    matches!(name.as_str().len(), 2 | 6 | 7 | 10 | 14 | 16 | 17)
}

fn settle_length(headers: &mut HeaderMap, body: &mut RequestBody) -> Result<(), String> {
    if headers.contains_key(TRANSFER_ENCODING) {
        if !says_only(headers, &TRANSFER_ENCODING, "chunked") {
            return Err("header transfer-encoding: only chunked can be sent".to_owned());
        }
        if headers.contains_key(CONTENT_LENGTH) {
            return Err("headers content-length and transfer-encoding: a body has one length only".to_owned());
        }
        if body.length().is_some() {
            headers.remove(TRANSFER_ENCODING);
        }
    }
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let Some(length) = lengths.next() else { return Ok(()) };
    if lengths.next().is_some() {
        return Err("header content-length: given more than once".to_owned());
    }
    let length = number(length).ok_or("header content-length: expected a number of bytes")?;
    body.declare(length)
        .map_err(|known| format!("header content-length: {length}, and the body has {known} bytes"))
}

/// Whether the request asks for another protocol.
fn settle_connection(headers: &mut HeaderMap) -> Result<bool, String> {
    let (mut closes, mut upgrades) = (false, false);
    for word in words(headers, &CONNECTION) {
        closes |= word.eq_ignore_ascii_case("close");
        upgrades |= word.eq_ignore_ascii_case("upgrade");
    }
    upgrades &= headers.contains_key(UPGRADE);
    if upgrades && words(headers, &UPGRADE).any(|protocol| protocol.eq_ignore_ascii_case("h2c")) {
        return Err("header upgrade: h2c is not spoken here: set http2.prior_knowledge".to_owned());
    }
    headers.remove(CONNECTION);
    let said = match (closes, upgrades) {
        (_, true) => "upgrade",
        (true, false) => "close",
        (false, false) => {
            headers.remove(UPGRADE);
            return Ok(false);
        }
    };
    if !upgrades {
        headers.remove(UPGRADE);
    }
    headers.insert(CONNECTION, HeaderValue::from_static(said));
    Ok(upgrades)
}

fn words<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).into_iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
}

fn says_only(headers: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    let mut values = headers.get_all(name).iter();
    let is_it = |value: &HeaderValue| value.as_bytes().trim_ascii().eq_ignore_ascii_case(word.as_bytes());
    values.next().is_some_and(is_it) && values.next().is_none()
}

/// Digits alone: a sign or a space would be read otherwise by somebody else.
fn number(value: &HeaderValue) -> Option<u64> {
    let digits = value.to_str().ok()?;
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().ok()).flatten()
}
