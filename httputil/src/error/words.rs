//! Text that others wrote, in one line of ours.

use std::fmt::{self, Write};
use std::path::Path;

use crate::files::is_no_path;

/// Messages are cut after so many characters; a URL in one after [`URL`].
const MESSAGE: usize = 1000;
const URL: usize = 200;

/// So much is shown of each end of a path that is longer than both.
const PATH_END: usize = 200;

/// A message with words of a peer, a file or a caller's error in it: what a terminal would obey, hide or turn around is
/// escaped, line ends included, and what is too long is cut.
pub(crate) fn one_line(message: String) -> String {
    if message.len() <= MESSAGE && message.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return message;
    }
    let mut line = escaped(message.chars().take(MESSAGE));
    if message.chars().nth(MESSAGE).is_some() {
        line.push('…');
    }
    line
}

fn escaped(text: impl Iterator<Item = char>) -> String {
    let mut line = String::new();
    for next in text {
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

/// A path, as it is if it is plain: else in one line, and of a long one both ends. A text that was put where a path belongs may
/// be a secret, and is not shown.
pub(crate) struct ShownPath<'a>(pub(crate) &'a Path);

impl fmt::Display for ShownPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string_lossy();
        if is_no_path(&text) {
            return f.write_str("(a text that is no path, not shown)");
        }
        let length = text.chars().count();
        if length <= 2 * PATH_END {
            return f.write_str(&escaped(text.chars()));
        }
        let (start, end) = (text.chars().take(PATH_END), text.chars().skip(length - PATH_END));
        write!(f, "{}…{}", escaped(start), escaped(end))
    }
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
    fn paths_are_one_line_and_never_endless() {
        let shown = |text: &str| ShownPath(Path::new(text)).to_string();
        for plain in ["config/httputil.toml", r"C:\Users\größe\ca it's.pem", ""] {
            assert_eq!(shown(plain), plain);
        }
        assert_eq!(shown("a\u{1b}[31m\u{202e}\tb"), r"a\u{1b}[31m\u{202e}\tb");
        assert_eq!(shown("a\n::error::b"), "(a text that is no path, not shown)");
        let long = shown(&format!("/first/{}/last.pem", "z".repeat(5000)));
        assert_eq!(long.chars().count(), 401);
        assert!(long.starts_with("/first/") && long.ends_with("/last.pem"), "{long}");
    }

    #[test]
    fn a_long_url_is_cut() {
        assert_eq!(Cut("http://a/").to_string(), "http://a/");
        let long = format!("http://a/{}", "b".repeat(1000));
        assert_eq!(Cut(&long).to_string().chars().count(), 201);
    }
}
