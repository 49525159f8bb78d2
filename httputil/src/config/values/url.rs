//! URLs that are connected to ahead of any request.

use std::borrow::Cow;

use url::Url;

use crate::settings::{BaseUrl, check_url_text};

const WANTED: &str = "expected an absolute URL such as \"https://collector:4318\"";

/// Whether the text names a host to connect to; the error says what would be right.
pub(super) fn check_url(text: &str) -> Result<(), Cow<'static, str>> {
    if text.starts_with("unix:") {
        return BaseUrl::parse(text).map(drop);
    }
    check_url_text(text)?;
    let url = Url::parse(text).map_err(|error| match error {
        url::ParseError::RelativeUrlWithoutBase => WANTED.to_owned(),
        error => format!("{WANTED} ({error})"),
    })?;
    if !["http", "https"].contains(&url.scheme()) {
        return Err(format!("{WANTED}, of scheme http or https").into());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("a connection needs no user and no password; leave them out of the URL".into());
    }
    Ok(())
}
