//! The keys that shape connections.

use super::text::{
    addresses, duration, duration_or_none, list, number_or_none, path_or_none, size, text_or_none, without_query,
};
use crate::config::layer::quoted;
use crate::settings::{
    Dns, DnsBalance, DnsPreference, DnsResolver, Egress, Http1, Http2, Pool, Roots, Tcp, Timeouts, Tls, TlsVersion,
};

pub(super) fn add_timeouts(values: &mut Vec<(&'static str, String)>, timeouts: &Timeouts) {
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

pub(super) fn add_pool(values: &mut Vec<(&'static str, String)>, pool: &Pool) {
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
        ("pool.warm", list(warm.iter().map(|url| without_query(url)))),
    ]);
}

pub(super) fn add_tcp(values: &mut Vec<(&'static str, String)>, tcp: &Tcp) {
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

pub(super) fn add_tls(values: &mut Vec<(&'static str, String)>, tls: &Tls) {
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

pub(super) fn add_http1(values: &mut Vec<(&'static str, String)>, http1: &Http1) {
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

pub(super) fn add_http2(values: &mut Vec<(&'static str, String)>, http2: &Http2) {
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

pub(super) fn add_dns(values: &mut Vec<(&'static str, String)>, dns: &Dns) {
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

pub(super) fn add_egress(values: &mut Vec<(&'static str, String)>, egress: &Egress) {
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
