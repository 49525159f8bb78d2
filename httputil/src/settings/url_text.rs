//! Text that is to be a URL, before it is parsed as one.
//!
//! The URL standard takes tabs and line breaks out of a text, wherever they stand, and spaces and control characters off its
//! ends, without a word: what is parsed then is not what was written. A host that was put together from somebody's input, or a
//! line that was read with its end, is told of instead.

/// That nothing of the text would be taken out silently; the error says what would be right.
pub(crate) fn check_url_text(text: &str) -> Result<(), &'static str> {
    let has_control = text.bytes().any(|byte| byte.is_ascii_control());
    if has_control || text.starts_with(' ') || text.ends_with(' ') {
        return Err("a URL holds no line breaks, tabs and other control characters, and no spaces at its ends");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_parser_would_take_out_is_refused() {
        for fine in ["https://a.test/x y?q#f", "", "/x", "https://bücher.test/\u{a0}"] {
            assert_eq!(check_url_text(fine), Ok(()), "{fine}");
        }
        for text in [
            "https://a\n.test",
            "https://a.test/\r\nx: y",
            "ht\ttps://a.test",
            "https://a.test/x\n",
            " https://a.test",
            "https://a.test ",
            "\u{1}https://a.test",
            "https://a.test/\0",
            "https://a.test/\u{7f}",
        ] {
            assert!(check_url_text(text).is_err(), "{text:?}");
        }
    }
}
