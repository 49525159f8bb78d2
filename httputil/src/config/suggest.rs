//! What was meant: the nearest key or name.
//!
//! The same leaf in another section comes first (`idle_timeout` at the top of a profile is `pool.idle_timeout`), then
//! what reqwest, Go, Cargo and Prometheus call the thing, then the nearest spelling.

use super::planned;
use super::schema::{Kind, registry_schema, schema};

/// What other clients and tools call our keys.
const ELSEWHERE: [(&str, &str); 55] = [
    ("adaptive_window", "http2.adaptive_window"),
    ("ca_cert", "tls.ca_file"),
    ("ca_certificate", "tls.ca_file"),
    ("cainfo", "tls.ca_file"),
    ("conn_max_lifetime", "pool.max_lifetime"),
    ("connect_timeout", "timeouts.connect"),
    ("connection_max_lifetime", "pool.max_lifetime"),
    ("connection_timeout", "timeouts.connect"),
    ("danger_accept_invalid_certs", "tls.insecure_skip_verify"),
    ("deadline", "timeout"),
    ("dial_timeout", "timeouts.connect"),
    ("disable_keep_alives", "pool.reuse"),
    ("dns_timeout", "timeouts.dns"),
    ("extends", "inherits"),
    ("extra_ca_certs", "tls.extra_ca_file"),
    ("force_attempt_http2", "http2.enabled"),
    ("http2_adaptive_window", "http2.adaptive_window"),
    (
        "http2_initial_connection_window_size",
        "http2.initial_connection_window",
    ),
    ("http2_initial_stream_window_size", "http2.initial_stream_window"),
    ("http2_keep_alive_interval", "http2.keepalive_interval"),
    ("http2_keep_alive_timeout", "http2.keepalive_timeout"),
    ("http2_keep_alive_while_idle", "http2.keepalive_while_idle"),
    ("http2_max_frame_size", "http2.max_frame_size"),
    ("http2_max_header_list_size", "http2.max_header_list_size"),
    ("http2_only", "http2.prior_knowledge"),
    ("http2_prior_knowledge", "http2.prior_knowledge"),
    ("idle_conn_timeout", "pool.idle_timeout"),
    ("idle_connection_timeout", "pool.idle_timeout"),
    ("insecure", "tls.insecure_skip_verify"),
    ("keep_alive", "tcp.keepalive"),
    ("max_conns_per_host", "pool.max_connections_per_host"),
    ("max_idle_connections", "pool.max_idle"),
    ("max_idle_conns", "pool.max_idle"),
    ("max_idle_conns_per_host", "pool.max_idle_per_host"),
    ("max_requests", "pool.max_requests_per_connection"),
    ("max_tls_version", "tls.max_version"),
    ("min_idle", "pool.min_idle_per_host"),
    ("min_tls_version", "tls.min_version"),
    ("multiplexing", "http2.enabled"),
    ("no_delay", "tcp.nodelay"),
    ("parent", "inherits"),
    ("ping_timeout", "http2.keepalive_timeout"),
    ("pool_idle_timeout", "pool.idle_timeout"),
    ("pool_max_idle_per_host", "pool.max_idle_per_host"),
    ("pool_size", "pool.max_connections"),
    ("prewarm", "pool.warm"),
    ("proxy_from_environment", "proxy.from_env"),
    ("read_idle_timeout", "http2.keepalive_interval"),
    ("request_timeout", "timeout"),
    ("tcp_keepalive", "tcp.keepalive"),
    ("tcp_keepalive_interval", "tcp.keepalive_interval"),
    ("tcp_keepalive_retries", "tcp.keepalive_retries"),
    ("tcp_nodelay", "tcp.nodelay"),
    ("tls_handshake_timeout", "timeouts.tls_handshake"),
    ("total_timeout", "timeout"),
];

/// The living key that was meant by `path`, as a path below the profile.
pub(crate) fn key(path: &str) -> Option<String> {
    let plain = plain(path);
    let (section, leaf) = plain.rsplit_once('.').unwrap_or(("", &plain));
    let leaves: Vec<String> = schema()
        .leaves()
        .into_iter()
        .filter(|(_, key)| !matches!(key.kind, Kind::Free))
        .map(|(path, _)| path)
        .collect();
    if leaves.contains(&plain) && plain != path {
        return Some(plain);
    }
    // Where two sections have it, HTTP/2's is the one that is rarely meant.
    let same_leaf = leaves
        .iter()
        .filter(|key| key.rsplit_once('.').map_or(key.as_str(), |(_, leaf)| leaf) == leaf)
        .min_by_key(|key| key.starts_with("http2."));
    if let Some(same) = same_leaf {
        return Some(same.clone());
    }
    let joined = plain.replace('.', "_");
    let elsewhere = |name: &str| {
        ELSEWHERE
            .iter()
            .find(|(theirs, _)| *theirs == name)
            .map(|(_, ours)| (*ours).to_owned())
    };
    if let Some(ours) = elsewhere(leaf).or_else(|| elsewhere(&joined)) {
        return Some(ours);
    }
    let within: Vec<(&str, &str)> = leaves
        .iter()
        .map(|key| (key.rsplit_once('.').unwrap_or(("", key)), key))
        .filter(|((place, _), _)| *place == section)
        .map(|((_, leaf), key)| (leaf, key.as_str()))
        .collect();
    if let Some(near) = nearest(leaf, within.iter().map(|(leaf, _)| *leaf)) {
        return within
            .iter()
            .find(|(leaf, _)| *leaf == near)
            .map(|(_, key)| (*key).to_owned());
    }
    nearest_path(&plain, leaves.iter().map(String::as_str))
        .map(str::to_owned)
        .or_else(|| {
            let by_leaf = |key: &String| key.rsplit_once('.').map_or(key.clone(), |(_, leaf)| leaf.to_owned());
            let names: Vec<String> = leaves.iter().map(by_leaf).collect();
            let near = nearest(leaf, names.iter().map(String::as_str))?;
            names
                .iter()
                .position(|name| name == near)
                .map(|index| leaves[index].clone())
        })
}

/// The key of `[registry]`, living or planned, that was meant.
pub(crate) fn in_registry(path: &str) -> Option<String> {
    let living = registry_schema().leaves().into_iter().map(|(key, _)| key);
    let keys: Vec<String> = living.chain(planned::registry_keys().map(str::to_owned)).collect();
    nearest(path, keys.iter().map(String::as_str)).map(str::to_owned)
}

/// The nearest of some paths that are as deep: a section's letters alone must not make a key near.
pub(crate) fn nearest_path<'a>(path: &str, paths: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let depth = |path: &str| path.matches('.').count();
    let (section, leaf) = path.rsplit_once('.').unwrap_or(("", path));
    let as_deep = paths.into_iter().filter(|other| depth(other) == depth(path));
    let both_near = |other: &&str| {
        let (other_section, other_leaf) = other.rsplit_once('.').unwrap_or(("", other));
        nearest(section, [other_section]).is_some() && nearest(leaf, [other_leaf]).is_some()
    };
    nearest(path, as_deep.filter(both_near))
}

/// The nearest of some names, if any is near enough to be meant.
pub(crate) fn nearest<'a>(name: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Comparing costs the product of the lengths, and nobody means a name of ours by so many letters.
    if name.len() > 64 {
        return None;
    }
    let name = plain(name);
    let most = (name.chars().count() / 3).clamp(1, 3);
    names
        .into_iter()
        .map(|near| (strsim::osa_distance(&name, near), near))
        .filter(|(distance, _)| *distance <= most)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, near)| near)
}

/// `Idle-Timeout` and `idleTimeout` are `idle_timeout`.
fn plain(name: &str) -> String {
    let mut plain = String::with_capacity(name.len());
    let mut last = '_';
    for next in name.chars() {
        if next.is_ascii_uppercase() && (last.is_ascii_lowercase() || last.is_ascii_digit()) {
            plain.push('_');
        }
        plain.push(if next == '-' || next == ' ' {
            '_'
        } else {
            next.to_ascii_lowercase()
        });
        last = next;
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggestions_come_in_order() {
        for (wrong, right) in [
            ("pool.idel_timeout", "pool.idle_timeout"),
            ("idle_timeout", "pool.idle_timeout"),
            ("http2.timeout", "timeout"),
            ("pool.max-idle", "pool.max_idle"),
            ("pool.maxIdlePerHost", "pool.max_idle_per_host"),
            ("max_idle_conns", "pool.max_idle"),
            ("MaxIdleConnsPerHost", "pool.max_idle_per_host"),
            ("tls.handshake_timeout", "timeouts.tls_handshake"),
            ("tcp.keep_alive", "tcp.keepalive"),
            ("timeout.connect", "timeouts.connect"),
            ("connect_timeout", "timeouts.connect"),
            ("inherit", "inherits"),
            ("keepalve", "tcp.keepalive"),
            ("keepalive_interval", "tcp.keepalive_interval"),
            ("max_connections_per_host", "pool.max_connections_per_host"),
            ("MaxConnsPerHost", "pool.max_connections_per_host"),
            ("http2.keep_alive_interval", "http2.keepalive_interval"),
            ("http2_keep_alive_while_idle", "http2.keepalive_while_idle"),
            ("pool.max_life_time", "pool.max_lifetime"),
            ("user-agent", "user_agent"),
        ] {
            assert_eq!(key(wrong).as_deref(), Some(right), "{wrong}");
        }
        assert_eq!(key("banana_split"), None);
    }

    #[test]
    fn what_others_say_leads_to_keys_that_live() {
        let leaves: Vec<String> = schema().leaves().into_iter().map(|(path, _)| path).collect();
        for (theirs, ours) in ELSEWHERE {
            assert!(leaves.contains(&ours.to_owned()), "{theirs} → {ours}");
        }
    }
}
