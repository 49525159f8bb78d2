//! The head of a proxy's answer, bounded in bytes.

use std::io;

use httparse::{EMPTY_HEADER, Response, Status};
use tokio::io::{AsyncRead, AsyncReadExt};

/// Heads are no longer than this in all, interim ones included.
const LONGEST: usize = 16 << 10;
const MOST_HEADERS: usize = 100;

/// What a proxy answered.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) status: u16,
    /// Fit to be shown.
    pub(super) reason: String,
    /// Whether bytes came behind it.
    pub(super) has_more: bool,
}

#[derive(Debug)]
pub(super) enum NoHead {
    Io(io::Error),
    /// Not HTTP/1.
    Garbage,
    TooLong,
}

/// Reads a final head. With `exactly` nothing behind it is taken off the stream, at the price of a read a byte.
pub(super) async fn read<S: AsyncRead + Unpin>(stream: &mut S, exactly: bool) -> Result<Head, NoHead> {
    let mut heard = Vec::with_capacity(512);
    let (mut left, mut seen) = (LONGEST, 0);
    loop {
        if let Some(length) = length(&heard, seen) {
            let (status, reason) = parse(&heard[..length]).ok_or(NoHead::Garbage)?;
            heard.drain(..length);
            seen = 0;
            // Interim answers come before the final one, but 101 is one, and no tunnel (RFC 9110 §9.3.6).
            if status == 101 || !(100..200).contains(&status) {
                let has_more = !heard.is_empty();
                return Ok(Head {
                    status,
                    reason,
                    has_more,
                });
            }
            continue;
        }
        // Whoever speaks something else may never end a line.
        let begin = &heard[..heard.len().min(HTTP_1.len())];
        if !HTTP_1.starts_with(begin) {
            return Err(NoHead::Garbage);
        }
        // The end may come in two pieces.
        seen = heard.len().saturating_sub(2);
        let step = left.min(if exactly { 1 } else { 2048 });
        if step == 0 {
            return Err(NoHead::TooLong);
        }
        let mut piece = (&mut *stream).take(step as u64);
        match piece.read_buf(&mut heard).await {
            Ok(0) => return Err(NoHead::Io(io::ErrorKind::UnexpectedEof.into())),
            Ok(read) => left -= read,
            Err(error) => return Err(NoHead::Io(error)),
        }
    }
}

const HTTP_1: &[u8] = b"HTTP/1.";

/// The length of a head: to the end of its empty line, which is looked for from `seen` on.
fn length(heard: &[u8], seen: usize) -> Option<usize> {
    (seen..heard.len()).find_map(|at| match &heard[at..] {
        [b'\n', b'\n', ..] => Some(at + 2),
        [b'\n', b'\r', b'\n', ..] => Some(at + 3),
        _ => None,
    })
}

fn parse(head: &[u8]) -> Option<(u16, String)> {
    let mut headers = [EMPTY_HEADER; MOST_HEADERS];
    let mut response = Response::new(&mut headers);
    let Ok(Status::Complete(_)) = response.parse(head) else {
        return None;
    };
    let reason = response.reason.unwrap_or_default().trim();
    let reason = reason.chars().take(80).flat_map(char::escape_default).collect();
    Some((response.code?, reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn told(bytes: &[u8], exactly: bool) -> String {
        let mut stream = bytes;
        match read(&mut stream, exactly).await {
            Ok(head) => format!("{} {:?} {}", head.status, head.reason, head.has_more),
            Err(NoHead::Io(error)) => format!("{:?}", error.kind()),
            Err(other) => format!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn a_head_is_read_in_one_piece_and_in_many() {
        let long = [b"HTTP/1.1 200 OK\r\nx: ".as_slice(), &vec![b'a'; 20_000]].concat();
        let many = [b"HTTP/1.1 100 Go on\r\n\r\n".repeat(5000)].concat();
        for (bytes, expected) in [
            (b"HTTP/1.1 200 OK\r\n\r\n".as_slice(), "200 \"OK\" false"),
            (
                b"HTTP/1.0 200 Connection established\r\na: b\r\n\r\n",
                "200 \"Connection established\" false",
            ),
            (b"HTTP/1.1 204\r\n\r\n", "204 \"\" false"),
            (b"HTTP/1.1 200 OK\n\n", "200 \"OK\" false"),
            (b"HTTP/1.1 100 \r\n\r\nHTTP/1.1 407 No\r\n\r\n", "407 \"No\" false"),
            (
                b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
                "101 \"Switching Protocols\" false",
            ),
            (b"HTTP/1.1 403 a\tb\r\n\r\n", "403 \"a\\\\tb\" false"),
            (b"HTTP/1.1 200 OK\r\n", "UnexpectedEof"),
            (b"", "UnexpectedEof"),
            (b"SSH-2.0-OpenSSH", "Garbage"),
            (b"HTTP/2.0 200 OK\r\n\r\n", "Garbage"),
            (b"HTTP/1.1 abc OK\r\n\r\n", "Garbage"),
            (&long, "TooLong"),
            (&many, "TooLong"),
        ] {
            for exactly in [false, true] {
                assert_eq!(told(bytes, exactly).await, expected, "{:?}", bytes.get(..40));
            }
        }
    }

    #[tokio::test]
    async fn what_comes_behind_a_head_is_told_or_left() {
        let bytes = b"HTTP/1.1 200 OK\r\n\r\nmore".as_slice();
        assert_eq!(told(bytes, false).await, "200 \"OK\" true");
        let mut stream = bytes;
        let head = read(&mut stream, true).await.unwrap();
        assert!(!head.has_more && stream == b"more");
    }
}
