//! What a file could not say, code must not either.

use std::borrow::Cow;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::connect::{check_host, check_interface, check_rule};
use crate::error::{Human, Problem};
use crate::settings;
use crate::settings::{
    BaseUrl, Breaker, Compression, Policy, Profile, Retry, Tcp, TlsVersion, Transport, check_header_name, check_method,
    check_status, is_https, without_coding, without_cookies, without_feature,
};

/// The mistakes of settings that were made in code, in the words of those in a file.
pub(super) fn mistakes(profile: &Profile) -> Vec<Problem> {
    let name = &profile.name;
    let of_durations = zeros(profile)
        .into_iter()
        .filter(|(_, value, _)| *value == Some(Duration::ZERO))
        .map(|(key, _, off)| format!("{name}.{key} = \"0s\": zero makes no sense here{off}"));
    let of_numbers = numbers(&profile.transport)
        .into_iter()
        .filter(|(_, value, least, most)| !(*least..=*most).contains(value))
        .map(|(key, value, least, most)| format!("{name}.{key} = {value}: expected a whole number, {least} to {most}"));
    let of_bounds = bounds(&profile.transport.tcp)
        .into_iter()
        .filter_map(|(key, value, range)| {
            let value = value.filter(|value| !value.is_zero() && !range.contains(value))?;
            let (least, most) = (Human(*range.start()), Human(*range.end()));
            Some(format!(
                "{name}.{key} = \"{}\": expected a duration, {least} to {most}",
                Human(value)
            ))
        });
    let missing = without_feature(&profile.transport.dns);
    let missing = missing.map(|why| format!("{name}.dns.resolver = \"hickory\": {why}"));
    let cookies = without_cookies(&profile.policy).map(|why| format!("{name}.cookies = true: {why}"));
    let hosts = hosts(&profile.transport).map(|(host, why)| format!("{name}.dns.overrides.{host}: {why}"));
    let together = contradictions(&profile.transport).map(|words| format!("{name}.{words}"));
    let compression = compression(profile).map(|words| format!("{name}.compression.{words}"));
    let egress = egress(profile).map(|words| format!("{name}.egress.{words}"));
    let Policy { attempt, timeout, .. } = profile.policy;
    let longer = attempt.zip(timeout).filter(|(attempt, whole)| attempt > whole);
    let longer = longer.map(|(attempt, whole)| {
        let (attempt, whole) = (Human(attempt), Human(whole));
        format!("{name}.timeouts.attempt: {attempt} is longer than timeout, {whole}")
    });
    of_durations
        .chain(of_bounds)
        .chain(of_numbers)
        .chain(interface(profile))
        .chain(base_url(profile))
        .chain(missing)
        .chain(cookies)
        .chain(hosts)
        .chain(egress)
        .chain(compression)
        .chain(together)
        .chain(longer)
        .map(Problem::new)
        .chain(policy_mistakes(profile))
        .chain(redirect_mistake(profile))
        .chain(header_mistakes(profile))
        .collect()
}

/// The mistakes among the policies: `retry.*`, `breaker.*` and `limit.*`.
pub(super) fn policy_mistakes(profile: &Profile) -> Vec<Problem> {
    let mut mistakes = retry_mistakes(profile);
    mistakes.extend(breaker_mistakes(profile));
    mistakes.extend(limit_mistakes(profile));
    mistakes
}

/// The mistakes among `breaker.*`.
fn breaker_mistakes(profile: &Profile) -> Vec<Problem> {
    let Breaker {
        enabled: _,
        failure_ratio,
        min_requests,
        window: _,
        open_for,
        max_open_for,
        half_open_requests,
    } = profile.policy.breaker;
    let ratio = (!(0.01..=1.0).contains(&failure_ratio))
        .then(|| format!("failure_ratio = {failure_ratio}: expected a number from 0.01 to 1"));
    let whole = |key: &str, value: u32| {
        (!(1..=1_000_000).contains(&value)).then(|| format!("{key} = {value}: expected a whole number, 1 to 1000000"))
    };
    let order = (open_for > max_open_for).then(|| {
        let (open_for, max) = (Human(open_for), Human(max_open_for));
        format!("open_for: {open_for} is longer than breaker.max_open_for, {max}")
    });
    [
        ratio,
        whole("min_requests", min_requests),
        whole("half_open_requests", half_open_requests),
        order,
    ]
    .into_iter()
    .flatten()
    .map(|words| Problem::new(format!("{}.breaker.{words}", profile.name)))
    .collect()
}

/// The mistakes among `limit.*`: a limit that nothing passes.
fn limit_mistakes(profile: &Profile) -> Vec<Problem> {
    let limit = &profile.policy.limit;
    [
        ("max_concurrent", limit.max_concurrent == Some(0)),
        ("max_concurrent_per_host", limit.max_concurrent_per_host == Some(0)),
        ("burst", limit.burst == Some(0)),
    ]
    .into_iter()
    .filter(|(_, is_zero)| *is_zero)
    .map(|(key, _)| {
        format!(
            "{}.limit.{key} = 0: zero makes no sense here; None switches it off",
            profile.name
        )
    })
    .map(Problem::new)
    .collect()
}

/// The mistakes among `retry.*`.
fn retry_mistakes(profile: &Profile) -> Vec<Problem> {
    let Retry {
        max_attempts,
        backoff_base,
        backoff_max,
        statuses,
        methods,
        idempotency_header,
        budget_ratio,
        budget_min_per_second,
        ..
    } = &profile.policy.retry;
    let key = |key: &str, value: &dyn Display, why: &str| format!("retry.{key} = {value}: {why}");
    let whole = |name: &str, value: u32, least: u32, most: u32| {
        let why = format!("expected a whole number, {least} to {most}");
        (!(least..=most).contains(&value)).then(|| key(name, &value, &why))
    };
    let ratio = (!(0.0..=1000.0).contains(budget_ratio))
        .then(|| key("budget.ratio", budget_ratio, "expected a number from 0 to 1000"));
    let order = (backoff_base > backoff_max).then(|| {
        let (base, max) = (Human(*backoff_base), Human(*backoff_max));
        format!("retry.backoff.base: {base} is longer than retry.backoff.max, {max}")
    });
    let of_statuses = statuses.iter().filter_map(|status| {
        let why = check_status(&status.to_string()).err()?;
        Some(key("statuses", status, why))
    });
    let of_methods = methods.iter().filter_map(|method| {
        let why = check_method(method).err()?;
        Some(key("methods", &format_args!("{method:?}"), why))
    });
    let header = check_header_name(idempotency_header).err();
    let header = header.map(|why| key("idempotency_header", &format_args!("{idempotency_header:?}"), why));
    [
        whole("max_attempts", *max_attempts, 1, 100),
        whole("budget.min_per_second", *budget_min_per_second, 0, 1_000_000),
        ratio,
        order,
        header,
    ]
    .into_iter()
    .flatten()
    .chain(of_statuses)
    .chain(of_methods)
    .map(|words| Problem::new(format!("{}.{words}", profile.name)))
    .collect()
}

/// The mistakes among `headers` and `auth.*`.
fn header_mistakes(profile: &Profile) -> impl Iterator<Item = Problem> {
    let mistakes = settings::header_mistakes(&profile.policy).into_iter();
    mistakes.map(|(key, why)| Problem::new(format!("{}.{key}: {why}", profile.name)))
}

/// More redirects than anybody means.
fn redirect_mistake(profile: &Profile) -> Option<Problem> {
    let max = profile.policy.redirect.max;
    (max > 100).then(|| {
        let name = &profile.name;
        Problem::new(format!(
            "{name}.redirect.max = {max}: expected a whole number, 0 to 100"
        ))
    })
}

/// Durations that may not be zero, and what to write instead.
fn zeros(profile: &Profile) -> [(&'static str, Option<Duration>, &'static str); 25] {
    let Transport {
        timeouts,
        pool,
        tcp,
        http2,
        dns,
        ..
    } = &profile.transport;
    let policy = &profile.policy;
    let (read, write) = (policy.read.beside(policy.timeout), policy.write.beside(policy.timeout));
    [
        ("timeout", profile.policy.timeout, "; no_timeout() switches it off"),
        ("timeouts.expect_continue", Some(profile.policy.expect_continue), ""),
        ("timeouts.attempt", policy.attempt, "; None switches it off"),
        (
            "timeouts.response_header",
            policy.response_header,
            "; None switches it off",
        ),
        ("timeouts.read", read, "; no_read_timeout() switches it off"),
        ("timeouts.write", write, "; no_write_timeout() switches it off"),
        ("retry.backoff.base", Some(profile.policy.retry.backoff_base), ""),
        ("retry.backoff.max", Some(profile.policy.retry.backoff_max), ""),
        ("hedge.after", profile.policy.hedge_after, "; None switches it off"),
        ("breaker.window", Some(profile.policy.breaker.window), ""),
        ("breaker.open_for", Some(profile.policy.breaker.open_for), ""),
        ("breaker.max_open_for", Some(profile.policy.breaker.max_open_for), ""),
        ("timeouts.dns", Some(timeouts.dns), ""),
        ("timeouts.connect", Some(timeouts.connect), ""),
        ("timeouts.proxy_connect", Some(timeouts.proxy_connect), ""),
        ("timeouts.tls_handshake", Some(timeouts.tls_handshake), ""),
        ("dns.ttl", Some(dns.ttl), ""),
        ("pool.idle_timeout", Some(pool.idle_timeout), ""),
        (
            "pool.max_lifetime",
            pool.max_lifetime,
            "; no_max_lifetime() switches it off",
        ),
        (
            "pool.hibernate_after",
            pool.hibernate_after,
            "; no_hibernation() switches it off",
        ),
        ("tcp.keepalive", tcp.keepalive, "; None switches it off"),
        (
            "tcp.keepalive_interval",
            tcp.keepalive_interval,
            "; None makes it tcp.keepalive",
        ),
        ("tcp.user_timeout", tcp.user_timeout, "; None switches it off"),
        ("http2.keepalive_interval", Some(http2.keepalive_interval), ""),
        ("http2.keepalive_timeout", Some(http2.keepalive_timeout), ""),
    ]
}

/// Durations that the kernel takes within bounds only, and in its own units.
fn bounds(tcp: &Tcp) -> [(&'static str, Option<Duration>, RangeInclusive<Duration>); 3] {
    let probes = || Duration::from_secs(1)..=Duration::from_secs(32_767);
    let unacknowledged = Duration::from_millis(1)..=Duration::from_millis((1 << 31) - 1);
    [
        ("tcp.keepalive", tcp.keepalive, probes()),
        ("tcp.keepalive_interval", tcp.keepalive_interval, probes()),
        ("tcp.user_timeout", tcp.user_timeout, unacknowledged),
    ]
}

/// Numbers, and what they may be at least and at most. Beyond it, what speaks HTTP/2 for us would panic, or nothing work.
fn numbers(transport: &Transport) -> [(&'static str, u64, u64, u64); 9] {
    const LARGEST_WINDOW: u64 = (1 << 31) - 1;
    let http2 = &transport.http2;
    let many = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    [
        (
            "http2.max_frame_size",
            http2.max_frame_size.into(),
            16 << 10,
            (1 << 24) - 1,
        ),
        (
            "http2.initial_stream_window",
            http2.initial_stream_window.into(),
            1,
            LARGEST_WINDOW,
        ),
        (
            "http2.initial_connection_window",
            http2.initial_connection_window.into(),
            65_535,
            LARGEST_WINDOW,
        ),
        (
            "http2.max_header_list_size",
            http2.max_header_list_size.into(),
            1,
            u32::MAX.into(),
        ),
        (
            "http2.max_streams_per_connection",
            many(http2.max_streams_per_connection),
            1,
            u64::MAX,
        ),
        (
            "http2.max_connections_per_host",
            many(http2.max_connections_per_host),
            1,
            u64::MAX,
        ),
        (
            "http1.max_header_bytes",
            transport.http1.max_header_bytes.into(),
            1 << 10,
            16 << 20,
        ),
        ("http1.max_headers", transport.http1.max_headers.into(), 1, 32_768),
        ("tcp.keepalive_retries", transport.tcp.keepalive_retries.into(), 1, 127),
    ]
}

fn base_url(profile: &Profile) -> impl Iterator<Item = String> {
    let mistaken = profile
        .policy
        .base_url
        .iter()
        .filter_map(|base| BaseUrl::parse(base).err());
    mistaken.map(|why| format!("{}.base_url: {why}", profile.name))
}

fn interface(profile: &Profile) -> Option<String> {
    let interface = profile.transport.tcp.interface.as_deref()?;
    let why = check_interface(interface).err()?;
    Some(format!("{}.tcp.interface = {interface:?}: {why}", profile.name))
}

/// Hosts that no URL would name so.
fn hosts(transport: &Transport) -> impl Iterator<Item = (&str, Cow<'static, str>)> {
    let hosts = transport.dns.overrides.keys();
    hosts.filter_map(|host| Some((host.as_str(), check_host(host).err()?)))
}

/// Codings that were not built in, unless they are the default's, and a ratio that is none.
fn compression(profile: &Profile) -> impl Iterator<Item = String> {
    let Compression { accept, max_ratio, .. } = &profile.policy.compression;
    let wished = Some(accept).filter(|accept| **accept != Compression::default().accept);
    let missing = wished.and_then(|accept| without_coding(accept));
    let missing = missing.map(|why| format!("accept: {why}"));
    let ratio = (*max_ratio == 0).then(|| "max_ratio = 0: zero makes no sense here".to_owned());
    missing.into_iter().chain(ratio)
}

/// Rules that cannot be read, and one that refuses the profile's own base.
fn egress(profile: &Profile) -> impl Iterator<Item = String> {
    let egress = &profile.transport.egress;
    let rules = [("allow", &egress.allow), ("deny", &egress.deny)];
    let wrong = rules.into_iter().flat_map(|(key, rules)| {
        let wrong = rules.iter().filter_map(|rule| Some((rule, check_rule(rule).err()?)));
        wrong.map(move |(rule, why)| format!("{key} = {rule:?}: {why}"))
    });
    let mut bases = profile.policy.base_url.iter();
    let refused = bases.find(|base| egress.https_only && !is_https(base));
    wrong.chain(refused.map(|base| format!("https_only = true: contradicts base_url = {base:?}")))
}

/// Values that are right one by one and wrong together.
fn contradictions(transport: &Transport) -> impl Iterator<Item = &'static str> {
    let (tls, http2) = (&transport.tls, &transport.http2);
    let is_reversed = (tls.min_version, tls.max_version) == (TlsVersion::V1_3, TlsVersion::V1_2);
    [
        is_reversed.then_some("tls.min_version = \"1.3\": higher than tls.max_version = \"1.2\""),
        (http2.prior_knowledge && !http2.enabled)
            .then_some("http2.prior_knowledge = true: contradicts http2.enabled = false"),
    ]
    .into_iter()
    .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::OAuth2;

    fn told(change: impl FnOnce(&mut Profile)) -> Vec<String> {
        let mut profile = Profile::named("mine");
        change(&mut profile);
        mistakes(&profile).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_defaults_are_no_mistake() {
        assert_eq!(told(|_| {}), Vec::<String>::new());
    }

    #[test]
    fn everything_that_would_panic_or_hang_later_is_told_at_once() {
        let told = told(|profile| {
            let transport = &mut profile.transport;
            transport.http2.max_frame_size = 1;
            transport.http2.initial_stream_window = u32::MAX;
            transport.http2.max_streams_per_connection = 0;
            transport.http2.enabled = false;
            transport.http2.prior_knowledge = true;
            transport.tcp.keepalive = Some(Duration::ZERO);
            transport.tcp.keepalive_retries = 0;
            transport.tls.min_version = TlsVersion::V1_3;
            transport.tls.max_version = TlsVersion::V1_2;
        });
        assert_eq!(
            told,
            [
                "mine.tcp.keepalive = \"0s\": zero makes no sense here; None switches it off",
                "mine.http2.max_frame_size = 1: expected a whole number, 16384 to 16777215",
                "mine.http2.initial_stream_window = 4294967295: expected a whole number, 1 to 2147483647",
                "mine.http2.max_streams_per_connection = 0: expected a whole number, 1 to 18446744073709551615",
                "mine.tcp.keepalive_retries = 0: expected a whole number, 1 to 127",
                "mine.tls.min_version = \"1.3\": higher than tls.max_version = \"1.2\"",
                "mine.http2.prior_knowledge = true: contradicts http2.enabled = false",
            ]
        );
    }

    #[test]
    fn what_the_kernel_would_refuse_or_round_to_nothing_is_told() {
        let told = |tcp: fn(&mut Tcp)| told(|profile| tcp(&mut profile.transport.tcp));
        let probes = "expected a duration, 1 s to 32767 s";
        let unacknowledged = "expected a duration, 1 ms to 2147483.647 s";
        let expected = |key: &str, value: &str, why: &str| vec![format!("mine.tcp.{key} = \"{value}\": {why}")];
        assert_eq!(
            told(|tcp| tcp.keepalive = Some(Duration::from_millis(500))),
            expected("keepalive", "500 ms", probes)
        );
        assert_eq!(
            told(|tcp| tcp.keepalive = Some(Duration::from_secs(32_768))),
            expected("keepalive", "32768 s", probes)
        );
        assert_eq!(
            told(|tcp| tcp.keepalive_interval = Some(Duration::from_millis(1))),
            expected("keepalive_interval", "1 ms", probes)
        );
        assert_eq!(
            told(|tcp| tcp.keepalive_interval = Some(Duration::ZERO)),
            expected(
                "keepalive_interval",
                "0s",
                "zero makes no sense here; None makes it tcp.keepalive"
            )
        );
        assert_eq!(
            told(|tcp| tcp.user_timeout = Some(Duration::from_millis(1 << 31))),
            expected("user_timeout", "2147483.648 s", unacknowledged)
        );
        assert_eq!(told(|tcp| tcp.user_timeout = Some(Duration::from_micros(10))).len(), 1);
        let within = told(|tcp| {
            tcp.keepalive = Some(Duration::from_secs(32_767));
            tcp.keepalive_interval = Some(Duration::from_secs(1));
            tcp.user_timeout = Some(Duration::from_millis((1 << 31) - 1));
        });
        assert_eq!(within, Vec::<String>::new());
    }

    #[test]
    fn urls_that_a_parser_would_change_silently_are_told() {
        let why = "a URL holds no line breaks, tabs and other control characters, and no spaces at its ends";
        let mut told = told(|profile| {
            profile.policy.auth.origins = vec!["https://a\n.test".to_owned()];
            profile.policy.auth.oauth2 = Some(OAuth2::new("https://a.test/\ttoken", "me", "secret"));
        });
        if !cfg!(feature = "oauth2") {
            told.retain(|problem| !problem.contains("built without it"));
        }
        let expected = ["auth.oauth2.token_url", "auth.origins"].map(|key| format!("mine.{key}: {why}"));
        assert_eq!(told, expected);
    }
}
