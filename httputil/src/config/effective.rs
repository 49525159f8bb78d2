//! The settings of a profile and of `[registry]` as text, key by key, as they would be written in a file.
//!
//! Every struct is taken apart field by field, so that a setting without a key, or a key without a line here, does not
//! compile or fails the test below.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::layer::quoted;
use super::values::{show_address, show_duration, show_size};
use crate::connect::shown_url;
use crate::settings::{
    Auth, Breaker, ClientAuth, Coding, Compression, DefaultHeader, Dns, DnsBalance, DnsPreference, DnsResolver, Egress,
    Http1, Http2, Jitter, Limit, MaxConnections, OAuth2, Policy, Pool, Profile, Proxy, ProxyChoice, Redirect, Registry,
    Retry, Roots, Secret, Tcp, Timeouts, Tls, TlsVersion, Transport,
};

/// What stands for the value of a secret.
pub(crate) const NOT_SHOWN: &str = "(not shown)";

/// What stands for the value of a key without a default, of which `"none"` would say something else.
pub(crate) const NOT_SET: &str = "(not set)";

/// The keys that have a value, with it.
pub(crate) fn values(profile: &Profile) -> Vec<(&'static str, String)> {
    let Profile {
        name: _,
        description,
        pool,
        transport,
        policy,
    } = profile;
    let Transport {
        pool: pool_keys,
        tcp,
        tls,
        http1,
        http2,
        proxy,
        dns,
        egress,
        timeouts,
        // In code only.
        tls_info: _,
    } = transport;
    let Policy {
        timeout,
        pool_wait,
        expect_continue,
        attempt,
        response_header,
        read,
        write,
        base_url,
        user_agent,
        headers,
        auth,
        retry,
        breaker,
        limit,
        redirect,
        hedge_after,
        compression,
        cookies,
        max_response_bytes,
    } = policy;
    let mut values = vec![
        ("base_url", bases(base_url)),
        ("user_agent", quoted(user_agent)),
        ("headers", header_table(headers)),
        ("timeout", duration_or_none(*timeout)),
        ("timeouts.pool_wait", duration(*pool_wait)),
        ("timeouts.expect_continue", duration(*expect_continue)),
        ("timeouts.attempt", duration_or_none(*attempt)),
        ("timeouts.response_header", duration_or_none(*response_header)),
        ("timeouts.read", duration_or_none(read.beside(*timeout))),
        ("timeouts.write", duration_or_none(write.beside(*timeout))),
        ("pool.name", quoted(pool)),
    ];
    values.extend(description.iter().map(|text| ("description", quoted(text))));
    add_timeouts(&mut values, timeouts);
    add_pool(&mut values, pool_keys);
    add_tcp(&mut values, tcp);
    add_tls(&mut values, tls);
    add_http1(&mut values, http1);
    add_http2(&mut values, http2);
    add_proxy(&mut values, proxy);
    add_dns(&mut values, dns);
    add_auth(&mut values, auth);
    add_egress(&mut values, egress);
    add_retry(&mut values, retry);
    add_breaker(&mut values, breaker);
    add_limit(&mut values, limit);
    let Redirect {
        max,
        cross_origin,
        downgrade,
    } = redirect;
    values.extend([
        ("redirect.max", max.to_string()),
        ("redirect.cross_origin", cross_origin.to_string()),
        ("redirect.downgrade", downgrade.to_string()),
    ]);
    values.push(("hedge.after", duration_or_none(*hedge_after)));
    let Compression { accept, max_ratio } = compression;
    let largest = max_response_bytes.map(|bytes| quoted(&show_size(bytes)));
    values.extend([
        (
            "compression.accept",
            list(accept.iter().map(|coding| Coding::name(*coding))),
        ),
        ("compression.max_ratio", max_ratio.to_string()),
        ("cookies", cookies.to_string()),
        ("limit.max_response_bytes", largest.unwrap_or_else(|| quoted("none"))),
    ]);
    values
}

/// The keys of `[registry]`, with their values.
pub(crate) fn registry_values(registry: &Registry) -> Vec<(&'static str, String)> {
    let Registry {
        max_connections,
        watch,
        strict,
    } = registry;
    let max_connections = match max_connections {
        MaxConnections::Auto => quoted("auto"),
        MaxConnections::AtMost(number) => number.to_string(),
        MaxConnections::Unbounded => quoted("none"),
    };
    vec![
        ("max_connections", max_connections),
        ("watch", watch.to_string()),
        ("strict", strict.to_string()),
    ]
}

fn add_timeouts(values: &mut Vec<(&'static str, String)>, timeouts: &Timeouts) {
    let Timeouts {
        dns,
        connect,
        proxy_connect,
        tls_handshake,
    } = timeouts;
    values.extend([
        ("timeouts.dns", duration(*dns)),
        ("timeouts.connect", duration(*connect)),
        ("timeouts.proxy_connect", duration(*proxy_connect)),
        ("timeouts.tls_handshake", duration(*tls_handshake)),
    ]);
}

fn add_pool(values: &mut Vec<(&'static str, String)>, pool: &Pool) {
    let Pool {
        max_idle,
        max_idle_per_host,
        idle_timeout,
        hibernate_after,
        reuse,
        max_lifetime,
        max_requests_per_connection,
        max_connections_per_host,
        max_connections,
        min_idle_per_host,
        warm,
    } = pool;
    values.extend([
        ("pool.max_idle", max_idle.to_string()),
        ("pool.max_idle_per_host", max_idle_per_host.to_string()),
        ("pool.idle_timeout", duration(*idle_timeout)),
        ("pool.hibernate_after", duration_or_none(*hibernate_after)),
        ("pool.reuse", reuse.to_string()),
        ("pool.max_lifetime", duration_or_none(*max_lifetime)),
        (
            "pool.max_requests_per_connection",
            number_or_none(*max_requests_per_connection),
        ),
        (
            "pool.max_connections_per_host",
            number_or_none(*max_connections_per_host),
        ),
        ("pool.max_connections", number_or_none(*max_connections)),
        ("pool.min_idle_per_host", min_idle_per_host.to_string()),
        ("pool.warm", list(warm)),
    ]);
}

fn add_tcp(values: &mut Vec<(&'static str, String)>, tcp: &Tcp) {
    let Tcp {
        keepalive,
        keepalive_interval,
        keepalive_retries,
        nodelay,
        user_timeout,
        local_address,
        interface,
    } = tcp;
    values.extend([
        ("tcp.keepalive", duration_or_none(*keepalive)),
        (
            "tcp.keepalive_interval",
            duration_or_none(keepalive_interval.or(*keepalive)),
        ),
        ("tcp.keepalive_retries", keepalive_retries.to_string()),
        ("tcp.nodelay", nodelay.to_string()),
        ("tcp.user_timeout", duration_or_none(*user_timeout)),
        (
            "tcp.local_address",
            text_or_none(local_address.map(|address| address.to_string()).as_deref()),
        ),
        ("tcp.interface", text_or_none(interface.as_deref())),
    ]);
}

fn add_tls(values: &mut Vec<(&'static str, String)>, tls: &Tls) {
    let Tls {
        min_version,
        max_version,
        roots,
        ca_file,
        extra_ca_file,
        cert_file,
        key_file,
        crl_files,
        server_name,
        pins,
        insecure_skip_verify,
    } = tls;
    let version = |version: &TlsVersion| match version {
        TlsVersion::V1_2 => quoted("1.2"),
        TlsVersion::V1_3 => quoted("1.3"),
    };
    let roots = match roots {
        Roots::Platform => "platform",
        Roots::Bundled => "bundled",
    };
    values.extend([
        ("tls.min_version", version(min_version)),
        ("tls.max_version", version(max_version)),
        ("tls.roots", quoted(roots)),
        ("tls.ca_file", path_or_none(ca_file.as_ref())),
        ("tls.extra_ca_file", path_or_none(extra_ca_file.as_ref())),
        ("tls.cert_file", path_or_none(cert_file.as_ref())),
        ("tls.key_file", path_or_none(key_file.as_ref())),
        ("tls.crl_files", list(crl_files.iter().map(|path| path.display()))),
        ("tls.server_name", text_or_none(server_name.as_deref())),
        ("tls.pins", list(pins)),
        ("tls.insecure_skip_verify", insecure_skip_verify.to_string()),
    ]);
}

fn add_http1(values: &mut Vec<(&'static str, String)>, http1: &Http1) {
    let Http1 {
        max_header_bytes,
        max_headers,
        title_case_headers,
    } = http1;
    values.extend([
        ("http1.max_header_bytes", size(*max_header_bytes)),
        ("http1.max_headers", max_headers.to_string()),
        ("http1.title_case_headers", title_case_headers.to_string()),
    ]);
}

fn add_http2(values: &mut Vec<(&'static str, String)>, http2: &Http2) {
    let Http2 {
        enabled,
        prior_knowledge,
        max_connections_per_host,
        max_streams_per_connection,
        initial_stream_window,
        initial_connection_window,
        adaptive_window,
        max_frame_size,
        max_header_list_size,
        keepalive_interval,
        keepalive_timeout,
        keepalive_while_idle,
    } = http2;
    values.extend([
        ("http2.enabled", enabled.to_string()),
        ("http2.prior_knowledge", prior_knowledge.to_string()),
        ("http2.max_connections_per_host", max_connections_per_host.to_string()),
        (
            "http2.max_streams_per_connection",
            max_streams_per_connection.to_string(),
        ),
        ("http2.initial_stream_window", size(*initial_stream_window)),
        ("http2.initial_connection_window", size(*initial_connection_window)),
        ("http2.adaptive_window", adaptive_window.to_string()),
        ("http2.max_frame_size", size(*max_frame_size)),
        ("http2.max_header_list_size", size(*max_header_list_size)),
        ("http2.keepalive_interval", duration(*keepalive_interval)),
        ("http2.keepalive_timeout", duration(*keepalive_timeout)),
        ("http2.keepalive_while_idle", keepalive_while_idle.to_string()),
    ]);
}

fn add_proxy(values: &mut Vec<(&'static str, String)>, proxy: &Proxy) {
    let Proxy {
        from_env,
        url,
        http,
        https,
        no_proxy,
        username,
        password,
    } = proxy;
    // The user and the password in it are not shown.
    let choice = |choice: &Option<ProxyChoice>| match choice {
        None => NOT_SET.to_owned(),
        Some(ProxyChoice::Direct) => quoted("none"),
        Some(ProxyChoice::Through(url)) => {
            shown_url(url.expose()).map_or_else(|| NOT_SHOWN.to_owned(), |url| quoted(&url))
        }
    };
    let hosts = match no_proxy.as_deref() {
        None => NOT_SET.to_owned(),
        Some([]) => quoted("none"),
        Some(hosts) => {
            let hosts: Vec<String> = hosts.iter().map(|host| quoted(host)).collect();
            format!("[{}]", hosts.join(", "))
        }
    };
    let secret = |secret: &Option<Secret>| match secret {
        None => NOT_SET.to_owned(),
        Some(_) => NOT_SHOWN.to_owned(),
    };
    values.extend([
        ("proxy.from_env", from_env.to_string()),
        ("proxy.url", choice(url)),
        ("proxy.http", choice(http)),
        ("proxy.https", choice(https)),
        ("proxy.no_proxy", hosts),
        ("proxy.username", secret(username)),
        ("proxy.password", secret(password)),
    ]);
}

/// Whether two profiles differ in a key, though what is shown of it may be the same.
pub(crate) fn differ_unseen(key: &str, first: &Profile, second: &Profile) -> bool {
    let (first, second) = (&first.transport.proxy, &second.transport.proxy);
    match key {
        "proxy.url" => first.url != second.url,
        "proxy.http" => first.http != second.http,
        "proxy.https" => first.https != second.https,
        "proxy.username" => first.username != second.username,
        "proxy.password" => first.password != second.password,
        _ => false,
    }
}

fn add_dns(values: &mut Vec<(&'static str, String)>, dns: &Dns) {
    let Dns {
        overrides,
        resolver,
        ttl,
        stale_for,
        prefer,
        balance,
    } = dns;
    let resolver = match resolver {
        DnsResolver::System => "system",
        DnsResolver::Hickory => "hickory",
    };
    let prefer = match prefer {
        DnsPreference::HappyEyeballs => "happy_eyeballs",
        DnsPreference::Ipv4 => "ipv4",
        DnsPreference::Ipv6 => "ipv6",
        DnsPreference::Ipv4Only => "ipv4_only",
        DnsPreference::Ipv6Only => "ipv6_only",
    };
    let balance = match balance {
        DnsBalance::First => "first",
        DnsBalance::RoundRobin => "round_robin",
    };
    values.extend([
        ("dns.overrides", addresses(overrides)),
        ("dns.resolver", quoted(resolver)),
        ("dns.ttl", duration(*ttl)),
        ("dns.stale_for", duration(*stale_for)),
        ("dns.prefer", quoted(prefer)),
        ("dns.balance", quoted(balance)),
    ]);
}

fn add_auth(values: &mut Vec<(&'static str, String)>, auth: &Auth) {
    let Auth {
        basic,
        bearer,
        oauth2,
        origins,
    } = auth;
    let told = |is_set: bool| if is_set { NOT_SHOWN } else { NOT_SET }.to_owned();
    values.extend([
        ("auth.basic.username", told(basic.is_some())),
        ("auth.basic.password", told(basic.is_some())),
        ("auth.bearer", told(bearer.is_some())),
        ("auth.origins", list(origins)),
    ]);
    add_oauth2(values, oauth2.as_ref());
}

fn add_oauth2(values: &mut Vec<(&'static str, String)>, oauth2: Option<&OAuth2>) {
    let text = |text: Option<&String>| text.map_or_else(|| NOT_SET.to_owned(), |text| quoted(text));
    let (url, id, audience) = (
        oauth2.map(|oauth2| &oauth2.token_url),
        oauth2.map(|oauth2| &oauth2.client_id),
        oauth2.and_then(|oauth2| oauth2.audience.as_ref()),
    );
    let client_auth = match oauth2.map(|oauth2| oauth2.client_auth).unwrap_or_default() {
        ClientAuth::Basic => "basic",
        ClientAuth::Body => "body",
    };
    let secret = if oauth2.is_some() { NOT_SHOWN } else { NOT_SET };
    values.extend([
        ("auth.oauth2.token_url", text(url)),
        ("auth.oauth2.client_id", text(id)),
        ("auth.oauth2.client_secret", secret.to_owned()),
        (
            "auth.oauth2.scopes",
            list(oauth2.map_or(&[][..], |oauth2| &oauth2.scopes)),
        ),
        ("auth.oauth2.audience", text(audience)),
        ("auth.oauth2.client_auth", quoted(client_auth)),
    ]);
}

fn add_egress(values: &mut Vec<(&'static str, String)>, egress: &Egress) {
    let Egress {
        allow,
        deny,
        deny_private,
        https_only,
        trust_proxy,
    } = egress;
    values.extend([
        ("egress.allow", list(allow)),
        ("egress.deny", list(deny)),
        ("egress.deny_private", deny_private.to_string()),
        ("egress.https_only", https_only.to_string()),
        ("egress.trust_proxy", trust_proxy.to_string()),
    ]);
}

fn add_retry(values: &mut Vec<(&'static str, String)>, retry: &Retry) {
    let Retry {
        max_attempts,
        backoff_base,
        backoff_max,
        jitter,
        statuses,
        methods,
        idempotency_header,
        budget_ratio,
        budget_min_per_second,
        respect_retry_after,
        max_retry_after,
    } = retry;
    let jitter = match jitter {
        Jitter::Full => "full",
        Jitter::Equal => "equal",
        Jitter::None => "none",
    };
    values.extend([
        ("retry.max_attempts", max_attempts.to_string()),
        ("retry.backoff.base", duration(*backoff_base)),
        ("retry.backoff.max", duration(*backoff_max)),
        ("retry.backoff.jitter", quoted(jitter)),
        ("retry.statuses", format!("{statuses:?}")),
        ("retry.methods", list(methods)),
        ("retry.idempotency_header", quoted(idempotency_header)),
        ("retry.budget.ratio", format!("{budget_ratio:?}")),
        ("retry.budget.min_per_second", budget_min_per_second.to_string()),
        ("retry.respect_retry_after", respect_retry_after.to_string()),
        ("retry.max_retry_after", duration(*max_retry_after)),
    ]);
}

fn add_breaker(values: &mut Vec<(&'static str, String)>, breaker: &Breaker) {
    let Breaker {
        enabled,
        failure_ratio,
        min_requests,
        window,
        open_for,
        max_open_for,
        half_open_requests,
    } = breaker;
    values.extend([
        ("breaker.enabled", enabled.to_string()),
        ("breaker.failure_ratio", format!("{failure_ratio:?}")),
        ("breaker.min_requests", min_requests.to_string()),
        ("breaker.window", duration(*window)),
        ("breaker.open_for", duration(*open_for)),
        ("breaker.max_open_for", duration(*max_open_for)),
        ("breaker.half_open_requests", half_open_requests.to_string()),
    ]);
}

fn add_limit(values: &mut Vec<(&'static str, String)>, limit: &Limit) {
    let Limit {
        max_concurrent,
        max_concurrent_per_host,
        queue,
        rate,
        burst,
    } = limit;
    values.extend([
        ("limit.max_concurrent", number_or_none(*max_concurrent)),
        (
            "limit.max_concurrent_per_host",
            number_or_none(*max_concurrent_per_host),
        ),
        ("limit.queue", number_or_none(*queue)),
        ("limit.rate", text_or_none(rate.map(|rate| rate.to_string()).as_deref())),
        ("limit.burst", number_or_none(*burst)),
    ]);
}

/// An inline table.
fn header_table(headers: &BTreeMap<String, DefaultHeader>) -> String {
    let headers: Vec<String> = headers
        .iter()
        .map(|(name, value)| match value {
            value if value.is_secret(name) => format!("{name} = {NOT_SHOWN}"),
            value => format!("{name} = {}", quoted(value.expose())),
        })
        .collect();
    if headers.is_empty() {
        "{}".to_owned()
    } else {
        format!("{{ {} }}", headers.join(", "))
    }
}

/// An inline table.
fn addresses(overrides: &BTreeMap<String, Vec<SocketAddr>>) -> String {
    let hosts: Vec<String> = overrides
        .iter()
        .map(|(host, addresses)| {
            let addresses: Vec<String> = addresses.iter().map(|address| quoted(&show_address(address))).collect();
            format!("{} = [{}]", quoted(host), addresses.join(", "))
        })
        .collect();
    if hosts.is_empty() {
        "{}".to_owned()
    } else {
        format!("{{ {} }}", hosts.join(", "))
    }
}

fn bases(bases: &[String]) -> String {
    match bases {
        [] => quoted("none"),
        [only] => quoted(only),
        several => list(several),
    }
}

fn duration(duration: Duration) -> String {
    quoted(&show_duration(duration))
}

fn duration_or_none(duration: Option<Duration>) -> String {
    duration.map_or_else(|| quoted("none"), self::duration)
}

fn number_or_none(number: Option<impl ToString>) -> String {
    number.map_or_else(|| quoted("none"), |number| number.to_string())
}

fn size(bytes: u32) -> String {
    quoted(&show_size(u64::from(bytes)))
}

fn list(items: impl IntoIterator<Item = impl ToString>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| quoted(&item.to_string())).collect();
    format!("[{}]", items.join(", "))
}

fn text_or_none(text: Option<&str>) -> String {
    quoted(text.unwrap_or("none"))
}

fn path_or_none(path: Option<&PathBuf>) -> String {
    path.map_or_else(|| quoted("none"), |path| quoted(&path.display().to_string()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::config::schema::{registry_schema, schema};

    #[test]
    fn every_key_of_the_schema_has_a_value() {
        let mut profile = Profile::named("a");
        profile.description = Some(String::new());
        let shown: BTreeSet<String> = values(&profile).into_iter().map(|(key, _)| key.to_owned()).collect();
        let keys: BTreeSet<String> = schema().leaves().into_iter().map(|(key, _)| key).collect();
        let beside: BTreeSet<String> = ["inherits", "settings"].map(str::to_owned).into();
        assert_eq!(shown, &keys - &beside);
    }

    #[test]
    fn every_key_of_the_registry_has_a_value() {
        let shown = registry_values(&Registry::default())
            .into_iter()
            .map(|(key, _)| key.to_owned());
        let keys = registry_schema().leaves().into_iter().map(|(key, _)| key);
        assert_eq!(shown.collect::<BTreeSet<_>>(), keys.collect());
    }
}
