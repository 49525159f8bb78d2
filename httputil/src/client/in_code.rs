//! What a file could not say, code must not either.

use std::time::Duration;

use crate::error::Problem;
use crate::settings::Profile;

/// The mistakes of settings that were made in code, in the words of those in a file.
pub(super) fn mistakes(profile: &Profile) -> Vec<Problem> {
    let bounds = &profile.transport.timeouts;
    let never_zero = [
        ("timeout", profile.policy.timeout, "; no_timeout() switches it off"),
        ("timeouts.dns", Some(bounds.dns), ""),
        ("timeouts.connect", Some(bounds.connect), ""),
        ("timeouts.tls_handshake", Some(bounds.tls_handshake), ""),
        ("pool.idle_timeout", Some(profile.transport.pool.idle_timeout), ""),
    ];
    let zero = never_zero
        .into_iter()
        .filter(|(_, value, _)| *value == Some(Duration::ZERO));
    zero.map(|(key, _, off)| {
        let name = &profile.name;
        Problem::new(format!("{name}.{key} = \"0s\": zero makes no sense here{off}"))
    })
    .collect()
}
