//! HTTP/1 answers as bytes, right and wrong ones, for [`Step::Write`](super::Step::Write).

use std::fmt::Write as _;

use bytes::Bytes;

/// Bytes that are no HTTP in any version.
pub const GARBAGE: &[u8] = b"\x00\x01\x02 this is not HTTP \xff\xfe\r\n\r\n";

/// `HTTP/1.1 200 OK` with this body and its length.
pub fn ok(body: impl AsRef<[u8]>) -> Bytes {
    with_length("200 OK", &[], body)
}

/// A status such as `"503 Service Unavailable"`, more headers, a body and its length.
pub fn with_length(status: &str, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Bytes {
    let body = body.as_ref();
    let length = body.len().to_string();
    let headers = [headers, &[("content-length", &*length)]].concat();
    [head(status, &headers).as_ref(), body].concat().into()
}

/// The head alone, the empty line included: what follows it is up to the script.
#[must_use]
pub fn head(status: &str, headers: &[(&str, &str)]) -> Bytes {
    let mut head = format!("HTTP/1.1 {status}\r\n");
    for (name, value) in headers {
        write!(head, "{name}: {value}\r\n").expect("writing to a string works");
    }
    head.push_str("\r\n");
    head.into()
}

/// `200 OK` in chunks, one per piece, with these trailers, whether or not the client said that it takes them.
#[must_use]
pub fn chunked(pieces: &[&str], trailers: &[(&str, &str)]) -> Bytes {
    let mut answer = String::from("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
    for piece in pieces {
        write!(answer, "{:x}\r\n{piece}\r\n", piece.len()).expect("writing to a string works");
    }
    answer.push_str("0\r\n");
    for (name, value) in trailers {
        write!(answer, "{name}: {value}\r\n").expect("writing to a string works");
    }
    answer.push_str("\r\n");
    answer.into()
}

/// An informational answer, such as `"100 Continue"` or `"103 Early Hints"`.
#[must_use]
pub fn informational(status: &str) -> Bytes {
    head(status, &[])
}

/// `200 OK` that promises `length` bytes of body and gives these.
pub fn cut(length: u64, body: impl AsRef<[u8]>) -> Bytes {
    [
        head("200 OK", &[("content-length", &length.to_string())]).as_ref(),
        body.as_ref(),
    ]
    .concat()
    .into()
}
