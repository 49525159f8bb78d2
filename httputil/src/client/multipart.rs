//! The names in a multipart form: a line break in one would begin a header of its own at the server.
//!
//! reqwest writes a file's name with a backslash before each line break, which is no escape to a server that reads lines.
//! Nothing but a form's `Debug` tells its names: there line breaks and NUL are escapes. So is what looks like one in a
//! header of a part, which is refused along with them.

use std::fmt;

use reqwest::multipart::Form;

/// A name that no part can have.
#[derive(Debug)]
pub(super) struct BrokenName;

impl fmt::Display for BrokenName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a part's name, its file's name or a header of it holds a line break or NUL")
    }
}

impl std::error::Error for BrokenName {}

/// Whether the names can stand where they are to stand.
pub(super) fn check(form: &Form) -> Result<(), BrokenName> {
    let shown = format!("{form:?}");
    let mut rest = shown.chars();
    while let Some(letter) = rest.next() {
        if letter == '\\' && matches!(rest.next(), Some('r' | 'n' | '0')) {
            return Err(BrokenName);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use reqwest::multipart::Part;

    use super::*;

    #[test]
    fn a_line_break_or_nul_in_a_name_is_seen_however_reqwest_would_write_it() {
        let form = |name: &str, file: &str| {
            let part = Part::bytes(b"any\r\nbytes".as_slice()).file_name(file.to_owned());
            Form::new().text("first", "any\ntext").part(name.to_owned(), part)
        };
        for fine in [
            "",
            "a b",
            "\"quoted\"",
            "c:\\new\\readme\\0",
            "ümlaut",
            "\u{2028}",
            "tab\t",
        ] {
            assert!(check(&form(fine, fine)).is_ok(), "{fine:?}");
        }
        for broken in ["a\r\nx-b: 1", "a\n", "\r", "\0", "\\\n", "\\\\\r", "\"\n"] {
            assert!(check(&form(broken, "fine")).is_err(), "{broken:?}");
            assert!(check(&form("fine", broken)).is_err(), "{broken:?}");
            assert!(
                check(&form("fine", broken).percent_encode_noop()).is_err(),
                "{broken:?}"
            );
        }
    }
}
