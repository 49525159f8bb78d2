//! What is wrong with a text that is no TOML, in words that users know.
//!
//! Run time has a twin of this (`config/toml_text.rs`), which knows more: here it is enough that the file is found and mended.

/// The parser's words where they help, ours where a user would not know them; `rest` is the text from where it met the error.
pub(crate) fn plain_words<'a>(message: &'a str, rest: &str) -> &'a str {
    let message = message.lines().next().unwrap_or("a mistake");
    let after = rest.trim_start_matches([' ', '\t']);
    match message {
        _ if after.starts_with(['“', '”', '„', '‘', '’', '‚', '«', '»']) => {
            "text must stand in straight quotes, \" or '"
        }
        _ if message.contains("unicode value digits") || message.starts_with("missing escaped value") => {
            "a backslash begins an escape in such quotes; a path with backslashes stands in single quotes, or is written with /"
        }
        _ if message.starts_with("string values must be quoted") && after.is_empty()
            || message.starts_with("string values must be quoted") && after.starts_with(['\n', '\r', '#']) =>
        {
            "a key without a value, expected one after `=`"
        }
        _ if message.starts_with("string values must be quoted")
            || message.starts_with("invalid float")
            || message.starts_with("invalid mantissa") =>
        {
            "text must stand in quotes"
        }
        "duplicate key" => "this key or table is written twice",
        _ if message.starts_with("key with no value") => "a key without a value, expected `=`",
        _ if message.starts_with("invalid basic string") => {
            "a text that is not well-formed, or whose quotes are not closed"
        }
        "cannot recurse further; max recursion depth met" | "recursion limit" => "nested too deeply",
        _ => message,
    }
}

#[cfg(test)]
mod tests {
    use toml::de::DeTable;

    use super::plain_words;

    #[test]
    fn the_commonest_slips_are_said_as_at_run_time() {
        for (text, words) in [
            ("a = 10s", "text must stand in quotes"),
            ("a = none", "text must stand in quotes"),
            ("a =\nb = 1", "a key without a value, expected one after `=`"),
            ("a\n", "a key without a value, expected `=`"),
            ("a = “x”", "text must stand in straight quotes, \" or '"),
            ("a = 1\na = 2", "this key or table is written twice"),
            (
                "a = \"x\nb = 1",
                "a text that is not well-formed, or whose quotes are not closed",
            ),
        ] {
            let error = DeTable::parse(text).unwrap_err();
            let at = error.span().map_or(0, |span| span.start);
            assert_eq!(plain_words(error.message(), &text[at..]), words, "{text}");
        }
    }
}
