//! The heads of an HTTP/1 answer as they pass, before hyper reads them.
//!
//! hyper takes a line that ends in a bare LF, which somebody on the way may have read otherwise (RFC 9112 §2.2), and any
//! number of informational answers. So the bytes from a request to the end of its answer's head are counted, and their
//! line ends looked at; nothing else is read here.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

/// Bytes that the heads of one answer may have, informational ones included.
const MOST: usize = 1 << 20;

/// What the exchange tells the watch, and hears of it.
#[derive(Debug, Default)]
pub(super) struct HeadSigns {
    is_awaited: AtomicBool,
    is_odd: AtomicBool,
    pub(super) dry: Dry,
}

/// Whether there was nothing to be read in the poll of hyper's that is under way.
///
/// hyper asks for bytes up to three times a poll, and each time that there are none TLS and the reactor look, and the waker is
/// kept that they have. Once is enough: what comes later in the poll wakes the task for another one. (Not so over HTTP/2:
/// there the future that reads is woken and polled again within the same poll of the task.)
#[derive(Debug, Default)]
pub(super) struct Dry(AtomicU8);

const NO_POLL: u8 = 0;
const POLLED: u8 = 1;
const DRY: u8 = 2;

impl Dry {
    /// A poll begins. The stream is hyper's until its [end](Self::end).
    pub(super) fn begin(&self) {
        self.0.store(POLLED, Ordering::Relaxed);
    }

    pub(super) fn end(&self) {
        self.0.store(NO_POLL, Ordering::Relaxed);
    }

    /// There was nothing to be read, and the task is woken when there is something.
    pub(super) fn note(&self) {
        if self.0.load(Ordering::Relaxed) == POLLED {
            self.0.store(DRY, Ordering::Relaxed);
        }
    }

    pub(super) fn is_known(&self) -> bool {
        self.0.load(Ordering::Relaxed) == DRY
    }
}

impl HeadSigns {
    /// A request is about to be sent.
    pub(super) fn await_head(&self) {
        self.is_awaited.store(true, Ordering::Release);
    }

    /// Whether a line ended in a bare LF, or an empty one came first: the answer may be read in two ways.
    pub(super) fn is_odd(&self) -> bool {
        self.is_odd.load(Ordering::Relaxed)
    }
}

/// Looks at what is read.
#[derive(Debug)]
pub(super) struct HeadWatch {
    signs: Arc<HeadSigns>,
    /// Of the answer that is awaited.
    reading: Option<Reading>,
}

/// More came before the answer than [`MOST`] bytes.
#[derive(Debug)]
pub(super) struct TooLong;

#[derive(Debug, Default)]
struct Reading {
    seen: usize,
    /// The beginning of the head: `HTTP/1.1 1`, if it is an informational one.
    first: [u8; 10],
    /// Bytes of the head.
    length: usize,
    /// Bytes of the line.
    line: usize,
    last: u8,
}

impl HeadWatch {
    pub(super) fn new(signs: Arc<HeadSigns>) -> HeadWatch {
        HeadWatch { signs, reading: None }
    }

    pub(super) fn dry(&self) -> &Dry {
        &self.signs.dry
    }

    pub(super) fn read(&mut self, mut bytes: &[u8]) -> Result<(), TooLong> {
        if self.signs.is_awaited.load(Ordering::Acquire) {
            self.signs.is_awaited.store(false, Ordering::Relaxed);
            // As nearly all answers come.
            self.reading = (!is_whole(bytes)).then(Reading::default);
        }
        let Some(reading) = &mut self.reading else {
            return Ok(());
        };
        reading.seen += bytes.len();
        let is_long = reading.seen > MOST;
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            let (line, rest) = bytes.split_at(end + 1);
            bytes = rest;
            let is_over = reading.ends_line(line, &self.signs.is_odd);
            if is_over {
                self.reading = None;
                return Ok(());
            }
        }
        reading.take(bytes);
        if is_long { Err(TooLong) } else { Ok(()) }
    }
}

/// Whether the bytes begin with the head of a final answer that is orderly and whole.
fn is_whole(bytes: &[u8]) -> bool {
    if !bytes.starts_with(b"HTTP/1.") || bytes.get(9).is_none_or(|hundreds| *hundreds == b'1') {
        return false;
    }
    let mut start = 0;
    for end in memchr::memchr_iter(b'\n', bytes) {
        if end == start || bytes[end - 1] != b'\r' {
            return false;
        }
        if end - start == 1 {
            return true;
        }
        start = end + 1;
    }
    false
}

impl Reading {
    fn take(&mut self, bytes: &[u8]) {
        if let Some(room) = self.first.get_mut(self.length..) {
            let taken = room.len().min(bytes.len());
            room[..taken].copy_from_slice(&bytes[..taken]);
        }
        self.length += bytes.len();
        self.line += bytes.len();
        self.last = bytes.last().copied().unwrap_or(self.last);
    }

    /// A line, or its end, with its LF. Whether the head of the answer is over.
    fn ends_line(&mut self, line: &[u8], is_odd: &AtomicBool) -> bool {
        let (text, _) = line.split_at(line.len() - 1);
        self.take(text);
        let has_cr = self.line > 0 && self.last == b'\r';
        let is_empty = self.line == usize::from(has_cr);
        let is_first = self.length == self.line;
        if !has_cr || (is_empty && is_first) {
            is_odd.store(true, Ordering::Relaxed);
        }
        (self.line, self.last) = (0, 0);
        if !is_empty {
            // So that the next line is not taken for the first one.
            self.length += 1;
            return false;
        }
        let is_informational = self.first.starts_with(b"HTTP/1.") && self.first[9] == b'1';
        if is_first || is_informational {
            self.length = 0;
            return false;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether the head was taken for odd, and whether it was over, whichever way it comes in pieces.
    fn read(bytes: &[u8]) -> (bool, bool) {
        let mut seen = Vec::new();
        for size in [1, 2, 7, bytes.len()] {
            let signs = Arc::<HeadSigns>::default();
            let mut watch = HeadWatch::new(Arc::clone(&signs));
            signs.await_head();
            for piece in bytes.chunks(size) {
                watch.read(piece).unwrap();
            }
            seen.push((signs.is_odd(), watch.reading.is_none()));
        }
        assert!(seen.windows(2).all(|two| two[0] == two[1]), "{seen:?}");
        seen[0]
    }

    #[test]
    fn bare_line_feeds_and_leading_lines_are_odd_and_bodies_are_not_looked_at() {
        for (bytes, is_odd, is_over) in [
            ("HTTP/1.1 200 OK\r\na: b\r\n\r\nbody\nwith\nlines", false, true),
            ("HTTP/1.1 200 OK\r\na: b\n\r\n", true, true),
            ("HTTP/1.1 200 OK\na: b\n\n", true, true),
            ("HTTP/1.1 200 OK\r\n\n", true, true),
            ("\r\nHTTP/1.1 200 OK\r\n\r\n", true, true),
            ("\nHTTP/1.1 200 OK\r\n\r\n", true, true),
            ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n\n", false, true),
            (
                "HTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\nHTTP/1.1 200 OK\n\r\n",
                true,
                true,
            ),
            ("HTTP/1.1 200 OK\r\na: b\r\n", false, false),
            ("\r\n\r\n", true, false),
        ] {
            assert_eq!(read(bytes.as_bytes()), (is_odd, is_over), "{bytes:?}");
        }
    }

    #[test]
    fn informational_answers_without_end_are_too_long() {
        let signs = Arc::<HeadSigns>::default();
        let mut watch = HeadWatch::new(Arc::clone(&signs));
        signs.await_head();
        let hint = b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n";
        let read = (0..=MOST).find(|_| watch.read(hint).is_err()).unwrap();
        assert_eq!(read, MOST / hint.len());
        // The next answer begins anew.
        signs.await_head();
        assert!(watch.read(hint).is_ok());
    }
}
