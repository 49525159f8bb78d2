//! Keys that do nothing, since a switch is off or another key is missing.

use crate::config::contradictions::shown;
use crate::config::layer::{quoted, wrong_value};
use crate::config::merge::Chain;
use crate::config::problems::Problems;
use crate::config::schema::schema;
use crate::settings::Profile;

/// What makes keys idle: whether it does, the key to look at, how it stands, and the keys, or the sections of them.
type Switch = (bool, &'static str, &'static str, &'static [&'static str]);

fn switches(profile: &Profile) -> [Switch; 8] {
    let (policy, transport) = (&profile.policy, &profile.transport);
    let limit = &policy.limit;
    let has_no_limit =
        limit.max_concurrent.is_none() && limit.max_concurrent_per_host.is_none() && limit.rate.is_none();
    [
        (
            !policy.breaker.enabled,
            "breaker.enabled",
            "beside breaker.enabled = false",
            &["breaker"],
        ),
        (
            !transport.http2.enabled,
            "http2.enabled",
            "beside http2.enabled = false",
            &["http2"],
        ),
        (
            policy.retry.max_attempts == 1,
            "retry.max_attempts",
            "beside retry.max_attempts = 1",
            &[
                "retry.backoff",
                "retry.statuses",
                "retry.respect_retry_after",
                "retry.max_retry_after",
            ],
        ),
        (
            !transport.pool.reuse,
            "pool.reuse",
            "beside pool.reuse = false",
            &[
                "pool.max_idle",
                "pool.max_idle_per_host",
                "pool.idle_timeout",
                "pool.hibernate_after",
                "pool.max_lifetime",
                "pool.max_requests_per_connection",
            ],
        ),
        (
            transport.tcp.keepalive.is_none(),
            "tcp.keepalive",
            "beside tcp.keepalive = \"none\"",
            &["tcp.keepalive_interval", "tcp.keepalive_retries"],
        ),
        (
            limit.rate.is_none(),
            "limit.rate",
            "without limit.rate",
            &["limit.burst"],
        ),
        (
            policy.auth.oauth2.is_none(),
            "auth.oauth2.token_url",
            "without auth.oauth2.token_url",
            &["auth.oauth2.scopes", "auth.oauth2.audience", "auth.oauth2.client_auth"],
        ),
        (
            has_no_limit,
            "limit.max_concurrent",
            "without limit.max_concurrent, limit.max_concurrent_per_host or limit.rate",
            &["limit.queue"],
        ),
    ]
}

pub(super) fn within(profile: &Profile, chain: &Chain<'_>, found: &mut Problems) {
    let key = "retry.methods";
    if profile.policy.retry.methods.is_empty()
        && profile.policy.retry.max_attempts > 1
        && let Some((table, node)) = chain.written_beside(key, "retry.max_attempts")
    {
        let max = profile.policy.retry.max_attempts;
        let message = format!(
            "no method is sent again, beside retry.max_attempts = {max} ({}): only what was certainly not acted on, and \
             requests that bear {} are; retry.max_attempts = 1 switches retries off",
            chain.place("retry.max_attempts"),
            quoted(&profile.policy.retry.idempotency_header),
        );
        found.add(|| wrong_value(node.origin.clone(), table, key, "[]", &message));
    }
    for (is_off, switch, how, keys) in switches(profile) {
        if !is_off {
            continue;
        }
        let is_idle = |key: &str| {
            let mut keys = keys.iter();
            key != switch
                && keys.any(|idle| {
                    key.strip_prefix(idle)
                        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
                })
        };
        for (key, _) in schema().leaves().into_iter().filter(|(key, _)| is_idle(key)) {
            if let Some((table, node)) = chain.written_beside(&key, switch)
                && node.as_text() != Some("none")
            {
                let message = format!("has no effect {how}");
                found.add(|| wrong_value(node.origin.clone(), table, &key, &shown(node), &message));
            }
        }
    }
}
