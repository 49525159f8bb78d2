//! A ping of our own, put between two of hyper's frames.
//!
//! ```text
//! silence for the keep-alive's interval ───────────┐
//! a request runs out of time in silence ─► doubt ─► a PING between two of hyper's frames ─► any byte ─► no doubt
//! ```
//!
//! Keep-alive ([`pings`](super::pings)) sends it by the clock. A connection in doubt on which other requests are under way
//! would give out no place until then, ten seconds by default, although the server may just be slow with one answer: so a
//! doubt sends one at once, and `http2.keepalive_timeout` runs from then. The answer bears our own bytes, so that it is not
//! taken for that to a ping of hyper's, which measures windows with them.
//!
//! Servers count pings, and some close the connection for many. So there is one a second at most for doubts, and none for a
//! host that has complained.

use std::time::Duration;

use tokio::time::Instant;

use super::frames::{HEAD, PING};

pub(super) const PAYLOAD: [u8; 8] = *b"httputil";
const LENGTH: usize = HEAD + PAYLOAD.len();
const FRAME: [u8; LENGTH] = frame();
/// Never more than one for a doubt in this time.
const PACE: Duration = Duration::from_secs(1);

const fn frame() -> [u8; LENGTH] {
    let mut frame = [0; LENGTH];
    frame[2] = 8;
    frame[TYPE] = PING;
    let mut at = 0;
    while at < PAYLOAD.len() {
        frame[HEAD + at] = PAYLOAD[at];
        at += 1;
    }
    frame
}

/// Where a frame's type stands in it.
const TYPE: usize = 3;
/// A type that nobody has defined: such frames are ignored (RFC 9113 §4.1).
const UNKNOWN: u8 = 0xf0;

/// The pings of one connection.
#[derive(Debug, Default)]
pub(super) struct Probe {
    /// Bytes of a ping that are yet to be written.
    left: usize,
    last: Option<Instant>,
    /// Answers that are yet to come.
    awaited: u8,
}

impl Probe {
    /// Begins a ping for a doubt, unless there was one a moment ago; whether it did.
    pub(super) fn begin(&mut self, now: Instant) -> bool {
        let is_due = self.last.is_none_or(|last| now.saturating_duration_since(last) >= PACE);
        let begins = is_due && self.left == 0;
        if begins {
            self.last = Some(now);
            self.begin_at_once();
        }
        begins
    }

    /// Begins a ping, unless one is being written.
    pub(super) fn begin_at_once(&mut self) {
        if self.left == 0 {
            self.left = FRAME.len();
            self.awaited = self.awaited.saturating_add(1);
        }
    }

    /// What of a ping is yet to be written. Once some of it is, nothing else may come before the rest.
    pub(super) fn rest(&self) -> &'static [u8] {
        &FRAME[FRAME.len() - self.left..]
    }

    pub(super) fn wrote(&mut self, written: usize) {
        self.left -= written;
    }

    /// Makes the answer, which ends at `end`, a frame that hyper ignores: it would log a warning of a ping that it never
    /// sent. One that came in pieces may have gone on to hyper already, which does no other harm.
    pub(super) fn hide_answer(&mut self, bytes: &mut [u8], end: usize) {
        let Some(awaited) = self.awaited.checked_sub(1) else {
            return;
        };
        self.awaited = awaited;
        if let Some(begin) = end.checked_sub(LENGTH) {
            bytes[begin + TYPE] = UNKNOWN;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_ping_a_second_at_most() {
        let (mut probe, now) = (Probe::default(), Instant::now());
        assert!(probe.rest().is_empty());
        probe.begin(now);
        assert_eq!(probe.rest(), b"\0\0\x08\x06\0\0\0\0\0httputil");
        probe.wrote(10);
        assert_eq!(probe.rest(), b"ttputil");
        probe.begin(now + PACE);
        assert_eq!(probe.rest(), b"ttputil", "the first is yet to be written");
        probe.wrote(7);
        probe.begin(now + PACE / 2);
        assert!(probe.rest().is_empty());
        probe.begin(now + PACE);
        assert_eq!(probe.rest().len(), LENGTH);
    }

    #[test]
    fn its_answer_becomes_a_frame_that_is_ignored_and_no_other_does() {
        let answer = *b"\0\0\x08\x06\x01\0\0\0\0httputil";
        let mut bytes = [&[7; 5][..], &answer].concat();
        let mut probe = Probe::default();
        let end = bytes.len();
        probe.hide_answer(&mut bytes, end);
        assert_eq!(bytes[5..], answer, "none was awaited");
        probe.begin(Instant::now());
        probe.hide_answer(&mut bytes, end);
        assert_eq!(bytes[8], UNKNOWN);
        assert_eq!(bytes[9..], answer[4..]);
        // In pieces.
        probe = Probe::default();
        probe.begin(Instant::now());
        let mut rest = answer[2..].to_vec();
        probe.hide_answer(&mut rest, 15);
        assert_eq!(rest, answer[2..]);
    }
}
