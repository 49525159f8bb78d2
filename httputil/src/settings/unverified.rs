//! Where certificates may go unverified: in development and test, and loudly.

use std::ffi::OsStr;

use super::Environment;

/// Why `tls.insecure_skip_verify` is refused where `HTTPUTIL_ENV` is this, if it is.
pub(crate) fn refusal(name: Option<&str>) -> Option<String> {
    let is = match name {
        Some("development" | "test") => return None,
        Some(name) if name.len() <= 40 && name.bytes().all(|byte| byte.is_ascii_graphic()) => format!("it is {name}"),
        Some(_) => "it is something else".to_owned(),
        None => "it is not set".to_owned(),
    };
    Some(format!(
        "refused unless HTTPUTIL_ENV is development or test ({is}); to trust a private authority, use tls.extra_ca_file"
    ))
}

/// The same by an environment.
pub(crate) fn refusal_in(environment: &Environment) -> Option<String> {
    let name = environment.get("HTTPUTIL_ENV").map(OsStr::to_string_lossy);
    refusal(name.as_deref().filter(|name| !name.is_empty()))
}

/// Says aloud that it was allowed.
pub(crate) fn warn(profile: &str, origin: &str) {
    tracing::warn!(
        profile,
        origin,
        "certificates are NOT verified: anyone on the way can read and change this profile's traffic"
    );
}
