//! Lines out of pieces of bytes, each bounded before it is kept whole.

use super::error::AiError;

/// What has come of a text that is read line by line. A line ends with LF, CR LF or CR, as server-sent events have it.
#[derive(Debug)]
pub(super) struct Lines {
    bytes: Vec<u8>,
    /// So much of it has been read, or looked at.
    read: usize,
    looked: usize,
    bound: usize,
    /// What may stand in a line beside what is bounded.
    beside: usize,
}

impl Lines {
    pub(super) fn bounded(bound: usize, beside: usize) -> Lines {
        Lines {
            bytes: Vec::new(),
            read: 0,
            looked: 0,
            bound,
            beside,
        }
    }

    pub(super) fn add(&mut self, piece: &[u8]) {
        self.bytes.drain(..self.read);
        self.looked -= self.read;
        self.read = 0;
        self.bytes.extend_from_slice(piece);
    }

    /// The next whole line, without its end; `None` until more has come.
    ///
    /// # Errors
    ///
    /// A line is longer than the bound, whole or not.
    pub(super) fn next(&mut self) -> Result<Option<&str>, AiError> {
        let end = self.bytes[self.looked..]
            .iter()
            .position(|byte| matches!(byte, b'\n' | b'\r'));
        let Some(end) = end.map(|end| self.looked + end) else {
            self.looked = self.bytes.len();
            return self.bounded_to(self.looked).map(|_| None);
        };
        let next = match (self.bytes[end], self.bytes.get(end + 1)) {
            (b'\r', Some(b'\n')) => end + 2,
            // The LF may be still to come, and must not be taken for an empty line.
            (b'\r', None) => {
                self.looked = end;
                return Ok(None);
            }
            _ => end + 1,
        };
        let begin = self.bounded_to(end)?;
        (self.read, self.looked) = (next, next);
        let line = std::str::from_utf8(&self.bytes[begin..end]);
        line.map(Some)
            .map_err(|_| AiError::Answer("a line of the stream is no UTF-8".to_owned()))
    }

    /// What came behind the last line's end, when no more is to come.
    pub(super) fn rest(&self) -> &str {
        let rest = std::str::from_utf8(&self.bytes[self.read..]).unwrap_or_default();
        rest.trim_end_matches('\r')
    }

    fn bounded_to(&self, end: usize) -> Result<usize, AiError> {
        if end - self.read > self.bound + self.beside {
            return Err(AiError::TooLarge(self.bound));
        }
        Ok(self.read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(pieces: &[&[u8]]) -> Vec<String> {
        let mut lines = Lines::bounded(16, 0);
        let mut all = Vec::new();
        for piece in pieces {
            lines.add(piece);
            while let Some(line) = lines.next().unwrap() {
                all.push(line.to_owned());
            }
        }
        all.push(lines.rest().to_owned());
        all
    }

    #[test]
    fn a_line_ends_in_each_of_three_ways_wherever_the_pieces_are_cut() {
        let text = b"one\ntwo\r\n\r\nthree\rfour\n\nlast";
        let whole = ["one", "two", "", "three", "four", "", "last"];
        assert_eq!(lines(&[text]), whole);
        for cut in 0..=text.len() {
            let (before, behind) = text.split_at(cut);
            assert_eq!(lines(&[before, behind]), whole, "cut at {cut}");
        }
        let each: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(lines(&each), whole);
    }

    #[test]
    fn a_line_that_is_too_long_is_an_error_before_it_has_ended() {
        let mut lines = Lines::bounded(2, 2);
        lines.add(b"1234\n1234");
        assert_eq!(lines.next().unwrap(), Some("1234"));
        assert_eq!(lines.next().unwrap(), None);
        lines.add(b"5");
        assert!(matches!(lines.next(), Err(AiError::TooLarge(2))));
    }

    #[test]
    fn a_character_may_be_cut_and_what_is_none_is_an_error() {
        assert_eq!(lines(&[&"ä".as_bytes()[..1], &"ä\n".as_bytes()[1..]]), ["ä", ""]);
        let mut lines = Lines::bounded(2, 2);
        lines.add(b"\xff\n");
        assert!(matches!(lines.next(), Err(AiError::Answer(_))));
    }
}
