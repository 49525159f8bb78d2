//! The headers of a request that frame it or speak to the next hop only: what of them is sent, and what is refused.
//!
//! | header | what becomes of it |
//! |---|---|
//! | `Host` | must be one host, with or without a port |
//! | `Content-Length` | must be the body's; a stream of unknown length is held to it, and to 0 in chunks |
//! | `Transfer-Encoding` | `chunked` is added to a stream of unknown length, and dropped where the length is known; all else is refused |
//! | `Connection` | `close` stays, `upgrade` with `Upgrade` stays; other words are dropped |
//! | `Upgrade` | stays with `Connection: upgrade`, is dropped without; `h2c` is refused |
//! | `TE` | `trailers` stays, all else is dropped: no other coding could be read |
//! | `Expect` | `100-continue` stays if there is a body; all else is refused |
//! | `Proxy-Authorization` | stays where a proxy is sent the request itself, is dropped elsewhere |
//! | `Keep-Alive`, `Proxy-Connection`, `HTTP2-Settings` | are dropped |
//!
//! HTTP/2 bears none of them but `Content-Length` and `TE` (RFC 9113 §8.2.2). The rule: how a message ends is the wire's
//! business, and a caller can't make it end otherwise.

use std::time::Duration;

use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, HOST, PROXY_AUTHORIZATION, TE, TRANSFER_ENCODING, UPGRADE};
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
    body.make();
    // Lengths first: to look each name up would cost more than most requests' headers altogether.
    if !headers.keys().any(is_as_long_as_one) && body.length().is_some() {
        return Ok(manner);
    }
    for name in [KEEP_ALIVE, PROXY_CONNECTION, HTTP2_SETTINGS] {
        headers.remove(name);
    }
    settle_host(headers)?;
    manner.has_proxy_login = headers.contains_key(PROXY_AUTHORIZATION);
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

/// Takes out what is meant for a proxy, where none would read it: the next to read it would be a stranger.
pub(super) fn strip_proxy_login(headers: &mut HeaderMap) {
    headers.remove(PROXY_AUTHORIZATION);
}

/// Takes out what HTTP/2 has no place for.
pub(super) fn strip_for_h2(headers: &mut HeaderMap) {
    for name in [CONNECTION, UPGRADE, TRANSFER_ENCODING, EXPECT] {
        headers.remove(name);
    }
}

fn is_as_long_as_one(name: &HeaderName) -> bool {
    // te, host, expect, upgrade, connection and keep-alive, content-length and http2-settings, proxy-connection,
    // transfer-encoding, proxy-authorization
    matches!(name.as_str().len(), 2 | 4 | 6 | 7 | 10 | 14 | 16 | 17 | 19)
}

/// A server answers 400 to any other (RFC 9112 §3.2), or takes it for another host than the next server does.
fn settle_host(headers: &HeaderMap) -> Result<(), String> {
    let mut hosts = headers.get_all(HOST).iter();
    let Some(host) = hosts.next() else { return Ok(()) };
    if hosts.next().is_some() {
        return Err("header host: given more than once".to_owned());
    }
    if !is_host(host.as_bytes()) {
        return Err("header host: expected a host, with or without a port".to_owned());
    }
    Ok(())
}

/// `uri-host [ ":" port ]` (RFC 9110 §7.2); a comma, which a name may have in theory, would make a list of it.
fn is_host(value: &[u8]) -> bool {
    let (host, rest) = match value.iter().position(|&byte| byte == b']') {
        Some(end) if value[0] == b'[' => (&value[1..end], &value[end + 1..]),
        _ => value.split_at(value.iter().position(|&byte| byte == b':').unwrap_or(value.len())),
    };
    let is_address = value.first() == Some(&b'[');
    let may_stand = |byte: &u8| match byte {
        b':' => is_address,
        b'-' | b'.' | b'_' | b'~' | b'%' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b';' | b'=' => true,
        byte => byte.is_ascii_alphanumeric(),
    };
    let port = rest.strip_prefix(b":").unwrap_or(rest);
    let has_port = port.len() < rest.len() || rest.is_empty();
    !host.is_empty() && host.iter().all(may_stand) && has_port && port.iter().all(u8::is_ascii_digit)
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
    let Some(length) = lengths.next() else {
        if body.length().is_none() {
            // Of a GET, HEAD or DELETE without a word on its body hyper would send none.
            headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
        return Ok(());
    };
    if lengths.next().is_some() {
        return Err("header content-length: given more than once".to_owned());
    }
    let length = number(length).ok_or("header content-length: expected a number of bytes")?;
    body.declare(length)
        .map_err(|known| format!("header content-length: {length}, and the body has {known} bytes"))?;
    if length == 0 && body.length().is_none() {
        // hyper would take the header's word for it, and never ask the stream. In chunks it does ask.
        headers.remove(CONTENT_LENGTH);
        headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_or_an_address_with_or_without_a_port() {
        for host in [
            "a.test",
            "a_b.test:80",
            "a.test:",
            "10.9.8.7:1",
            "[2001:db8::1]",
            "[::1]:443",
            "x%20y",
        ] {
            assert!(is_host(host.as_bytes()), "{host}");
        }
        for host in [
            "",
            ":80",
            "[]",
            "[]:80",
            "[::1",
            "::1]",
            "[::1]80",
            "[::1]:x",
            "a.test]",
            "a b",
            "a, b",
            "a,b",
            "a:80, b",
            "a:x",
            "me@a.test",
            "a/b",
            "a?b",
            "a#b",
            "http://a",
            "a.test:80:80",
            "a\tb",
        ] {
            assert!(!is_host(host.as_bytes()), "{host}");
        }
    }
}
