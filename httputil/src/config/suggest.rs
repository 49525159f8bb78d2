//! What was meant: the nearest key or name.
//!
//! The same letters with other joints come first (`pool_max_idle` is `pool.max_idle`), then the same leaf in another
//! section (`idle_timeout` at the top of a profile is `pool.idle_timeout`), then what reqwest, Go, Cargo and Prometheus
//! call the thing, then the nearest spelling, then the only key that begins so. In a table that exists, a word that any table
//! could have is not looked for elsewhere, and neither is a near one: `retry.enabled` is not `breaker.enabled`.

use super::planned;
use super::schema::{Kind, registry_schema, schema};

/// What other clients and tools call our keys, those that are only planned too; another place of `_` and `.` alone needs
/// no line here.
const ELSEWHERE: [(&str, &str); 107] = [
    ("adaptive_window", "http2.adaptive_window"),
    ("add_crl", "tls.crl_files"),
    ("add_crls", "tls.crl_files"),
    ("add_root_certificate", "tls.extra_ca_file"),
    ("auth.token", "auth.bearer"),
    ("bearer_token", "auth.bearer"),
    ("breaker.threshold", "breaker.failure_ratio"),
    ("brotli", "compression.accept"),
    ("ca_bundle", "tls.ca_file"),
    ("ca_cert", "tls.ca_file"),
    ("ca_certificate", "tls.ca_file"),
    ("cainfo", "tls.ca_file"),
    ("client_timeout", "timeout"),
    ("conn_max_lifetime", "pool.max_lifetime"),
    ("connect_timeout", "timeouts.connect"),
    ("connection_max_lifetime", "pool.max_lifetime"),
    ("connection_timeout", "timeouts.connect"),
    ("cookie_store", "cookies"),
    ("danger_accept_invalid_certs", "tls.insecure_skip_verify"),
    ("deadline", "timeout"),
    ("default_headers", "headers"),
    ("dial_timeout", "timeouts.connect"),
    ("disable_keep_alives", "pool.reuse"),
    ("dns.hosts", "dns.overrides"),
    ("dns_timeout", "timeouts.dns"),
    ("expect_continue_timeout", "timeouts.expect_continue"),
    ("extends", "inherits"),
    ("extra_ca_certs", "tls.extra_ca_file"),
    ("follow_redirects", "redirect.max"),
    ("force_attempt_http2", "http2.enabled"),
    ("gzip", "compression.accept"),
    ("handshake_timeout", "timeouts.tls_handshake"),
    (
        "http2_initial_connection_window_size",
        "http2.initial_connection_window",
    ),
    ("http2_initial_stream_window_size", "http2.initial_stream_window"),
    ("http2_only", "http2.prior_knowledge"),
    ("http_proxy", "proxy.http"),
    ("https_proxy", "proxy.https"),
    ("identity", "tls.cert_file"),
    ("idle_conn_timeout", "pool.idle_timeout"),
    ("idle_connection_timeout", "pool.idle_timeout"),
    ("insecure", "tls.insecure_skip_verify"),
    ("keep_alive", "tcp.keepalive"),
    ("limit.rps", "limit.rate"),
    ("max_conn_lifetime", "pool.max_lifetime"),
    ("max_connections_per_host", "pool.max_connections_per_host"),
    ("max_conns", "pool.max_connections"),
    ("max_conns_per_host", "pool.max_connections_per_host"),
    ("max_idle_connections", "pool.max_idle"),
    ("max_idle_connections_per_host", "pool.max_idle_per_host"),
    ("max_idle_conns", "pool.max_idle"),
    ("max_idle_conns_per_host", "pool.max_idle_per_host"),
    ("max_redirects", "redirect.max"),
    ("max_requests", "pool.max_requests_per_connection"),
    ("max_response_header_bytes", "http1.max_header_bytes"),
    ("max_retries", "retry.max_attempts"),
    ("max_tls_version", "tls.max_version"),
    ("min_idle", "pool.min_idle_per_host"),
    ("min_tls_version", "tls.min_version"),
    ("multiplexing", "http2.enabled"),
    ("no_delay", "tcp.nodelay"),
    ("parent", "inherits"),
    ("ping_timeout", "http2.keepalive_timeout"),
    ("pool.max_size", "pool.max_connections"),
    ("pool.timeout", "timeouts.pool_wait"),
    ("pool_size", "pool.max_connections"),
    ("prewarm", "pool.warm"),
    ("proxy_from_environment", "proxy.from_env"),
    ("read_idle_timeout", "http2.keepalive_interval"),
    ("read_timeout", "timeouts.read"),
    ("redirect.enabled", "redirect.max"),
    ("redirect.follow", "redirect.max"),
    ("redirect.limit", "redirect.max"),
    ("redirects", "redirect.max"),
    ("request_timeout", "timeout"),
    ("resolve", "dns.overrides"),
    ("response_header_timeout", "timeouts.response_header"),
    ("retries", "retry.max_attempts"),
    ("retry.attempts", "retry.max_attempts"),
    ("retry.backoff.initial", "retry.backoff.base"),
    ("retry.count", "retry.max_attempts"),
    ("retry.delay", "retry.backoff.base"),
    ("retry.max", "retry.max_attempts"),
    ("retry.max_retries", "retry.max_attempts"),
    ("retry.on", "retry.statuses"),
    ("retry.status_codes", "retry.statuses"),
    ("root_cas", "tls.ca_file"),
    ("ssl_version", "tls.min_version"),
    ("timeouts.header", "timeouts.response_header"),
    ("timeouts.headers", "timeouts.response_header"),
    ("timeouts.idle", "pool.idle_timeout"),
    ("timeouts.pool", "timeouts.pool_wait"),
    ("timeouts.request", "timeout"),
    ("timeouts.tls", "timeouts.tls_handshake"),
    ("timeouts.total", "timeout"),
    ("tls.ca", "tls.ca_file"),
    ("tls.sni", "tls.server_name"),
    ("tls_certs_merge", "tls.extra_ca_file"),
    ("tls_certs_only", "tls.ca_file"),
    ("tls_crls_only", "tls.crl_files"),
    ("tls_danger_accept_invalid_certs", "tls.insecure_skip_verify"),
    ("tls_handshake_timeout", "timeouts.tls_handshake"),
    ("tls_version_max", "tls.max_version"),
    ("tls_version_min", "tls.min_version"),
    ("total_timeout", "timeout"),
    ("unix_socket", "base_url"),
    ("url", "base_url"),
    ("write_timeout", "timeouts.write"),
];

/// Words that many tables could have: in another table they mean another thing.
const OF_ANY_TABLE: [&str; 8] = [
    "allow", "attempt", "enabled", "jitter", "max", "name", "ratio", "window",
];

/// How what a table is about is switched off, or what it is that people set by the table's name: the key, a value for it, and
/// what that does.
const SWITCHES: [(&str, &str, &str, &str); 7] = [
    ("breaker", "breaker.enabled", "false", "switches it off"),
    ("compression", "compression.accept", "[]", "switches it off"),
    ("hedge", "hedge.after", "\"none\"", "switches it off"),
    ("http2", "http2.enabled", "false", "switches it off"),
    (
        "proxy",
        "proxy.url",
        "\"http://proxy:3128\"",
        "names one, proxy.from_env = false takes none",
    ),
    ("redirect", "redirect.max", "0", "switches it off"),
    ("retry", "retry.max_attempts", "1", "switches it off"),
];

/// The key that switches off what a table is about, the value that does, and the words that follow.
pub(crate) fn switch(section: &str) -> Option<(&'static str, &'static str, &'static str)> {
    let (_, key, value, what) = SWITCHES.iter().find(|(of, ..)| *of == section)?;
    Some((key, value, what))
}

/// The same for an unknown key that was meant as such a switch: `retry.enabled`.
pub(crate) fn switch_meant(path: &str) -> Option<(&'static str, &'static str, &'static str)> {
    let plain = plain(path);
    let (section, leaf) = plain.rsplit_once('.')?;
    if section == "tls" && ["verify", "verify_peer", "verify_certificates"].contains(&leaf) {
        return Some(("tls.insecure_skip_verify", "true", "switches verification off"));
    }
    let is_switch = ["enable", "enabled", "disable", "disabled", "off"].contains(&leaf);
    switch(section).filter(|(key, ..)| is_switch && *key != plain)
}

/// The table that was meant by one that there is not.
pub(crate) fn section<'a>(name: &str, sections: impl Iterator<Item = &'a str> + Clone) -> Option<&'a str> {
    let called = match plain(name).as_str() {
        "circuit_breaker" => "breaker",
        "connection_pool" => "pool",
        "rate_limit" | "limits" => "limit",
        "retries" | "retry_policy" => "retry",
        "redirects" => "redirect",
        "resolver" => "dns",
        "ssl" => "tls",
        _ => return nearest(name, sections),
    };
    sections.clone().find(|section| *section == called)
}

/// The living key that was meant by `path`, as a path below the profile.
pub(crate) fn key(path: &str) -> Option<String> {
    let leaves: Vec<String> = schema()
        .leaves()
        .into_iter()
        .filter(|(_, key)| !matches!(key.kind, Kind::Free))
        .map(|(path, _)| path)
        .collect();
    of(path, &leaves).map(str::to_owned)
}

/// The same for a key that is only planned.
pub(crate) fn planned_key(path: &str) -> Option<String> {
    let planned: Vec<String> = planned::keys().map(str::to_owned).collect();
    let plain = plain(path);
    let found = folded(&plain, planned.iter().map(String::as_str))
        .or_else(|| elsewhere(&plain, &planned))
        .or_else(|| begun(&plain, &planned))
        .or_else(|| nearest_path(&plain, planned.iter().map(String::as_str)));
    found.map(str::to_owned)
}

/// The setting of a service that was meant: `setings.endpoint`, `settings_endpoint`.
pub(crate) fn setting(path: &str) -> Option<String> {
    let plain = plain(path);
    let (first, rest) = match plain.split_once('.') {
        Some((first, rest)) => (first, rest),
        None => plain
            .strip_prefix("settings_")
            .map_or((plain.as_str(), ""), |rest| ("settings", rest)),
    };
    nearest(first, ["settings"])?;
    let rest = rest.trim_matches('_');
    Some(if rest.is_empty() {
        "settings".to_owned()
    } else {
        format!("settings.{rest}")
    })
}

/// The path that is the same but for the place and number of its `_` and `.`.
pub(crate) fn folded<'a>(path: &str, paths: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = letters(path);
    paths.into_iter().find(|path| letters(path) == wanted)
}

fn of<'a>(path: &str, leaves: &'a [String]) -> Option<&'a str> {
    let plain = plain(path);
    let (section, leaf) = split(&plain);
    // At the top it would switch a whole profile off, which is no part's key.
    if section.is_empty() && ["enable", "enabled", "disable", "disabled"].contains(&leaf) {
        return None;
    }
    let all = || leaves.iter().map(String::as_str);
    // Who knows the table's name means something of it.
    let of_a_table = !section.is_empty() && all().any(|key| split(key).0 == section);
    let spelled = folded(&plain, all()).filter(|key| *key != path);
    // Where two sections have it, HTTP/2's is the one that is rarely meant.
    let same_leaf = || {
        all()
            // So few letters are words that many sections could have.
            .filter(|key| split(key).1 == leaf && leaf.len() > 3)
            .filter(|_| !of_a_table || !OF_ANY_TABLE.contains(&leaf))
            .min_by_key(|key| key.starts_with("http2."))
    };
    let near_within = || {
        let within = || all().filter(|key| split(key).0 == section);
        let near = nearest(leaf, within().map(|key| split(key).1))?;
        within().find(|key| split(key).1 == near)
    };
    let near_leaf = || {
        let near = nearest(leaf, all().map(|key| split(key).1)).filter(|near| near.len() > 3 && !of_a_table)?;
        all().find(|key| split(key).1 == near)
    };
    spelled
        .or_else(|| named_elsewhere(&plain, leaves).filter(|_| of_a_table))
        .or_else(same_leaf)
        .or_else(|| elsewhere(&plain, leaves))
        .or_else(near_within)
        .or_else(|| begun(&plain, leaves))
        // Another table's key of nearly that table's name is another thing: `http1.enabled` is not `http2.enabled`.
        .or_else(|| nearest_path(&plain, all()).filter(|near| !of_a_table || split(near).0 == section))
        .or_else(near_leaf)
}

fn letters(path: &str) -> String {
    path.replace(['.', '_'], "")
}

/// What others call one of these keys.
fn elsewhere<'a>(path: &str, keys: &'a [String]) -> Option<&'a str> {
    named_elsewhere(split(path).1, keys).or_else(|| named_elsewhere(path, keys))
}

/// The key that others call by this whole path.
fn named_elsewhere<'a>(path: &str, keys: &'a [String]) -> Option<&'a str> {
    let (_, ours) = ELSEWHERE.iter().find(|(theirs, _)| letters(theirs) == letters(path))?;
    keys.iter().map(String::as_str).find(|key| key == ours)
}

/// The one key of the same section that begins so: `tls.min_ver` is `tls.min_version`.
fn begun<'a>(path: &str, keys: &'a [String]) -> Option<&'a str> {
    let (section, leaf) = split(path);
    let mut begun = keys
        .iter()
        .map(String::as_str)
        .filter(|key| split(key).0 == section && split(key).1.starts_with(leaf));
    begun.next().filter(|_| leaf.len() >= 3 && begun.next().is_none())
}

fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('.').unwrap_or(("", path))
}

/// The key of `[registry]`, living or planned, that was meant.
pub(crate) fn in_registry(path: &str) -> Option<String> {
    let living = registry_schema().leaves().into_iter().map(|(key, _)| key);
    let keys: Vec<String> = living.chain(planned::registry_keys().map(str::to_owned)).collect();
    nearest(path, keys.iter().map(String::as_str)).map(str::to_owned)
}

/// The key of `[registry]` that is the same but for the place and number of its `_` and `.`.
pub(crate) fn registry_key(flat: &str) -> Option<String> {
    let living: Vec<String> = registry_schema().leaves().into_iter().map(|(key, _)| key).collect();
    folded(flat, living.iter().map(String::as_str)).map(str::to_owned)
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

/// `Idle-Timeout`, `idleTimeout` are `idle_timeout`, and `TLSHandshakeTimeout` is `tls_handshake_timeout`.
pub(crate) fn plain(name: &str) -> String {
    let mut plain = String::with_capacity(name.len());
    let mut last = '_';
    let mut letters = name.chars().peekable();
    while let Some(next) = letters.next() {
        let begins = last.is_ascii_lowercase()
            || last.is_ascii_digit()
            || (last.is_ascii_uppercase() && letters.peek().is_some_and(char::is_ascii_lowercase));
        if next.is_ascii_uppercase() && begins {
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
            ("TLSHandshakeTimeout", "timeouts.tls_handshake"),
            ("InsecureSkipVerify", "tls.insecure_skip_verify"),
            ("ForceAttemptHTTP2", "http2.enabled"),
            ("RootCAs", "tls.ca_file"),
            ("tls_version_min", "tls.min_version"),
            ("tls_danger_accept_invalid_certs", "tls.insecure_skip_verify"),
            ("http2_adaptive_window", "http2.adaptive_window"),
            ("pool_max_idle", "pool.max_idle"),
            ("pool.max.idle", "pool.max_idle"),
            (".timeout", "timeout"),
            ("tls.min_ver", "tls.min_version"),
            ("pool.idle", "pool.idle_timeout"),
            ("desc", "description"),
            ("proxy_url", "proxy.url"),
        ] {
            assert_eq!(key(wrong).as_deref(), Some(right), "{wrong}");
        }
        for unclear in ["banana_split", "pool.max", "pool.n"] {
            assert_eq!(key(unclear), None, "{unclear}");
        }
        for (wrong, right) in [
            ("retry.max_att", "retry.max_attempts"),
            ("retry.max_atempts", "retry.max_attempts"),
            ("max_retries", "retry.max_attempts"),
            ("breaker.open", "breaker.open_for"),
            ("breaker.widnow", "breaker.window"),
            ("MaxRedirects", "redirect.max"),
            ("read_timeout", "timeouts.read"),
            ("retry.attempts", "retry.max_attempts"),
            ("redirect.follow", "redirect.max"),
            ("timeouts.header", "timeouts.response_header"),
            ("timeouts.total", "timeout"),
            ("tcp.idle_timeout", "pool.idle_timeout"),
            ("pool.timeout", "timeouts.pool_wait"),
            ("retries", "retry.max_attempts"),
            ("retry.delay", "retry.backoff.base"),
            ("url", "base_url"),
            ("tls.ca", "tls.ca_file"),
            ("tls.sni", "tls.server_name"),
            ("auth.token", "auth.bearer"),
        ] {
            assert_eq!(key(wrong).as_deref(), Some(right), "{wrong}");
        }
        // What any table could have is not another table's.
        for unclear in [
            "retry.enabled",
            "limit.window",
            "dns.allow",
            "breaker.follow",
            "http1.enabled",
            "enabled",
        ] {
            assert_eq!(key(unclear), None, "{unclear}");
        }
        assert_eq!(planned_key("auth.oauth"), None);
    }

    #[test]
    fn each_switch_is_a_living_key_of_its_table() {
        for (section, key, ..) in SWITCHES {
            assert!(schema().key(key).is_some() && split(key).0 == section, "{key}");
        }
        assert_eq!(
            switch_meant("retry.enabled").map(|(key, ..)| key),
            Some("retry.max_attempts")
        );
        assert_eq!(
            switch_meant("breaker.disabled").map(|(key, ..)| key),
            Some("breaker.enabled")
        );
        assert_eq!(switch_meant("dns.enabled"), None);
    }

    #[test]
    fn settings_are_suggested_for_the_services_own_keys() {
        for (wrong, right) in [
            ("setings.endpoint", "settings.endpoint"),
            ("settngs", "settings"),
            ("settings_flush_every", "settings.flush_every"),
        ] {
            assert_eq!(setting(wrong).as_deref(), Some(right), "{wrong}");
        }
        assert_eq!(setting("pool.settings"), None);
    }

    #[test]
    fn what_others_say_leads_to_keys_that_live_or_are_planned() {
        let leaves: Vec<String> = schema().leaves().into_iter().map(|(path, _)| path).collect();
        for (theirs, ours) in ELSEWHERE {
            let is_planned = planned::keys().any(|key| key == ours);
            assert!(is_planned || leaves.contains(&ours.to_owned()), "{theirs} → {ours}");
        }
    }
}
