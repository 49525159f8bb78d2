//! Keys and parameters as S3 wants them: every byte but RFC 3986's unreserved ones escaped, once.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const ESCAPED_IN_PATHS: &AsciiSet = &ESCAPED.remove(b'/');

/// A parameter's name or value.
pub fn escaped(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}

/// A key behind its bucket; its slashes stay, also two in a row.
pub fn escaped_path(key: &str) -> String {
    utf8_percent_encode(key, ESCAPED_IN_PATHS).to_string()
}

/// A query of these parameters; one without a value has its `=` all the same, as it is signed.
pub(super) fn query(parameters: &[(&str, &str)]) -> String {
    let pairs: Vec<String> = parameters
        .iter()
        .map(|(name, value)| format!("{}={}", escaped(name), escaped(value)))
        .collect();
    pairs.join("&")
}

#[cfg(test)]
mod tests {
    use super::{escaped_path, query};

    #[test]
    fn a_key_is_escaped_once_and_keeps_its_slashes_and_dots() {
        assert_eq!(escaped_path("a//b/../c/./d/"), "a//b/../c/./d/");
        assert_eq!(escaped_path("a b+c%20?#&=é\n"), "a%20b%2Bc%2520%3F%23%26%3D%C3%A9%0A");
        assert_eq!(
            query(&[("uploads", ""), ("prefix", "a/b c")]),
            "uploads=&prefix=a%2Fb%20c"
        );
    }
}
