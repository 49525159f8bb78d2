//! Text that others wrote, in one line of ours.

use std::fmt::{self, Write};

/// Messages are cut after so many characters; a URL in one after [`URL`].
const MESSAGE: usize = 1000;
const URL: usize = 200;

/// A message with words of a peer, a file or a caller's error in it: what a terminal would obey, hide or turn around is
/// escaped, line ends included, and what is too long is cut.
pub(crate) fn one_line(message: String) -> String {
    if message.len() <= MESSAGE && message.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return message;
    }
    let mut line = String::with_capacity(message.len().min(MESSAGE));
    for (index, next) in message.chars().enumerate() {
        if index == MESSAGE {
            line.push('…');
            break;
        }
        if is_visible(next) {
            line.push(next);
        } else {
            let _ = write!(line, "{}", next.escape_default());
        }
    }
    line
}

/// Whether the standard library would print the character as it is, after another one: combining marks it would.
pub(crate) fn is_visible(next: char) -> bool {
    matches!(next, '\'' | '"' | '\\') || String::from_iter(['a', next]).escape_debug().count() == 2
}

/// A URL, cut where it would fill the screen. It is percent-encoded, so that each byte is a character.
pub(crate) struct Cut<'a>(pub(crate) &'a str);

impl fmt::Display for Cut<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.get(..URL).filter(|_| self.0.len() > URL) {
            Some(start) => write!(f, "{start}…"),
            None => f.write_str(self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_one_line_whoever_wrote_them() {
        let message = |text: &str| one_line(text.to_owned());
        assert_eq!(message("it's \"fine\", größer\u{301}"), "it's \"fine\", größer\u{301}");
        assert_eq!(message("one\ntwo\r\u{1b}[2J"), "one\\ntwo\\r\\u{1b}[2J");
        assert_eq!(message("a\u{202e}b"), "a\\u{202e}b");
        let long = message(&"x".repeat(5000));
        assert_eq!((long.chars().count(), long.ends_with('…')), (1001, true));
    }

    #[test]
    fn a_long_url_is_cut() {
        assert_eq!(Cut("http://a/").to_string(), "http://a/");
        let long = format!("http://a/{}", "b".repeat(1000));
        assert_eq!(Cut(&long).to_string().chars().count(), 201);
    }
}
