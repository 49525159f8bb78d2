//! A merged, checked table → the settings that the rest of the house reads.

use std::num::NonZeroU32;
use std::time::Duration;

use serde::Deserialize;

use super::model::{
    AuthKeys, BreakerKeys, ClientAuthKey, CompressionKeys, DnsBalanceKey, DnsKeys, DnsPreferenceKey, DnsResolverKey,
    EgressKeys, Http1Keys, Http2Keys, JitterKey, LimitKeys, OAuth2Keys, PoolKeys, ProfileKeys, ProxyKeys, RedirectKeys,
    RegistryKeys, RetryKeys, RootsKey, TcpKeys, TimeoutsKeys, TlsKeys, TlsVersionKey,
};
use super::read::{Misfit, Reader};
use super::tree::{Node, Table, Value};
use super::values::{
    Addresses, DurationText, Headers, OrAuto, OrNone, ProxyUrl, RateText, SecretText, SizeText, TokenText,
};
use crate::error::Origin;
use crate::settings::{
    Auth, Basic, Breaker, ClientAuth, Coding, Compression, Dns, DnsBalance, DnsPreference, DnsResolver, Egress, Http1,
    Http2, Jitter, Limit, MaxConnections, OAuth2, PhaseBound, Policy, Pool, Profile, Proxy, ProxyChoice, Rate,
    Redirect, Registry, Retry, Roots, Tcp, Timeouts, Tls, TlsVersion, Token,
};

/// The profile of this name: what is written, over the defaults.
pub(crate) fn profile(name: &str, merged: Table) -> Result<Profile, Misfit> {
    let node = Node::new(Origin::BuiltIn, Value::Table(merged));
    let keys = ProfileKeys::deserialize(Reader::of(&node))?;
    let mut profile = Profile::named(name);
    let ProfileKeys {
        inherits: _,
        description,
        base_url,
        user_agent,
        headers,
        auth,
        timeout,
        timeouts,
        pool,
        tcp,
        tls,
        http1,
        http2,
        proxy,
        dns,
        egress,
        retry,
        breaker,
        limit,
        redirect,
        hedge,
        compression,
        cookies,
        settings: _,
    } = keys;
    profile.description = description;
    if let Some(name) = &pool.name {
        profile.pool.clone_from(&name.0);
    }
    set(
        &mut profile.policy.base_url,
        base_url.map(|bases| bases.0.map_or_else(Vec::new, |bases| bases.0)),
    );
    set(&mut profile.policy.user_agent, user_agent.map(|text| text.0));
    set(&mut profile.policy.timeout, timeout.as_ref().map(duration_or_none));
    set(&mut profile.policy.pool_wait, timeouts.pool_wait.map(duration));
    set(
        &mut profile.policy.expect_continue,
        timeouts.expect_continue.map(duration),
    );
    set_phases(&mut profile.policy, &timeouts);
    set_timeouts(&mut profile.transport.timeouts, &timeouts);
    set_pool(&mut profile.transport.pool, pool);
    set_tcp(&mut profile.transport.tcp, tcp);
    set_tls(&mut profile.transport.tls, tls);
    set_http1(&mut profile.transport.http1, &http1);
    set_http2(&mut profile.transport.http2, &http2);
    set_proxy(&mut profile.transport.proxy, proxy);
    set_dns(&mut profile.transport.dns, dns);
    set(&mut profile.policy.headers, headers.map(Headers::parsed));
    set_auth(&mut profile.policy.auth, auth);
    set_egress(&mut profile.transport.egress, egress);
    set_retry(&mut profile.policy.retry, retry);
    set_breaker(&mut profile.policy.breaker, &breaker);
    set_limit(&mut profile.policy.limit, &limit);
    set_redirect(&mut profile.policy.redirect, &redirect);
    set(
        &mut profile.policy.hedge_after,
        hedge.after.as_ref().map(duration_or_none),
    );
    set_compression(&mut profile.policy.compression, compression);
    set(&mut profile.policy.cookies, cookies);
    let largest = limit.max_response_bytes;
    set(
        &mut profile.policy.max_response_bytes,
        largest.map(|size| size.0.map(|size| size.0)),
    );
    Ok(profile)
}

/// `[registry]`: what is written, over the defaults.
pub(crate) fn registry(merged: Table) -> Result<Registry, Misfit> {
    let node = Node::new(Origin::BuiltIn, Value::Table(merged));
    let RegistryKeys {
        max_connections,
        watch,
        strict,
    } = RegistryKeys::deserialize(Reader::of(&node))?;
    let mut registry = Registry::default();
    let max_connections = max_connections.map(|key| match key {
        OrNone(None) => MaxConnections::Unbounded,
        OrNone(Some(OrAuto(None))) => MaxConnections::Auto,
        OrNone(Some(OrAuto(Some(number)))) => MaxConnections::AtMost(count(number.get())),
    });
    set(&mut registry.max_connections, max_connections);
    set(&mut registry.watch, watch);
    set(&mut registry.strict, strict);
    Ok(registry)
}

fn set<T>(setting: &mut T, written: Option<T>) {
    if let Some(written) = written {
        *setting = written;
    }
}

fn duration(text: DurationText) -> Duration {
    text.0
}

fn duration_or_none(text: &OrNone<DurationText>) -> Option<Duration> {
    text.0.map(duration)
}

/// The check has bounded both kinds of numbers; saturating says so without a panic.
fn size(text: SizeText) -> u32 {
    u32::try_from(text.0).unwrap_or(u32::MAX)
}

fn count(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn count_or_none(number: &OrNone<NonZeroU32>) -> Option<usize> {
    number.0.map(|number| count(number.get()))
}

fn set_phases(policy: &mut Policy, keys: &TimeoutsKeys) {
    set(&mut policy.attempt, keys.attempt.as_ref().map(duration_or_none));
    let response_header = keys.response_header.as_ref().map(duration_or_none);
    set(&mut policy.response_header, response_header);
    let bound = |text: &OrNone<DurationText>| PhaseBound::from(duration_or_none(text));
    set(&mut policy.read, keys.read.as_ref().map(bound));
    set(&mut policy.write, keys.write.as_ref().map(bound));
}

fn set_timeouts(timeouts: &mut Timeouts, keys: &TimeoutsKeys) {
    set(&mut timeouts.dns, keys.dns.map(duration));
    set(&mut timeouts.connect, keys.connect.map(duration));
    set(&mut timeouts.proxy_connect, keys.proxy_connect.map(duration));
    set(&mut timeouts.tls_handshake, keys.tls_handshake.map(duration));
}

fn set_pool(pool: &mut Pool, keys: PoolKeys) {
    set_idle(pool, &keys);
    set(&mut pool.idle_timeout, keys.idle_timeout.map(duration));
    set(
        &mut pool.hibernate_after,
        keys.hibernate_after.as_ref().map(duration_or_none),
    );
    set(&mut pool.reuse, keys.reuse);
    set(&mut pool.max_lifetime, keys.max_lifetime.as_ref().map(duration_or_none));
    set(
        &mut pool.max_requests_per_connection,
        keys.max_requests_per_connection
            .map(|number| number.0.map(NonZeroU32::get)),
    );
    set(
        &mut pool.max_connections_per_host,
        keys.max_connections_per_host.as_ref().map(count_or_none),
    );
    set(
        &mut pool.max_connections,
        keys.max_connections.as_ref().map(count_or_none),
    );
    set(&mut pool.warm, keys.warm.map(|urls| urls.0));
}

/// Of caps that don't fit together, the one that is not written gives way: a written `max_idle` lowers the default per
/// host, a written `max_idle_per_host` raises the default over all hosts, and a written `min_idle_per_host` raises
/// both, as the methods of `ClientConfig` do.
fn set_idle(pool: &mut Pool, keys: &PoolKeys) {
    set(&mut pool.max_idle, keys.max_idle.map(count));
    set(&mut pool.max_idle_per_host, keys.max_idle_per_host.map(count));
    set(&mut pool.min_idle_per_host, keys.min_idle_per_host.map(count));
    if keys.max_idle_per_host.is_none() {
        pool.max_idle_per_host = pool.max_idle_per_host.max(pool.min_idle_per_host);
    }
    if keys.max_idle.is_none() {
        pool.max_idle = pool.max_idle.max(pool.max_idle_per_host);
    } else if keys.max_idle_per_host.is_none() {
        pool.max_idle_per_host = pool.max_idle_per_host.min(pool.max_idle);
    }
}

fn set_tcp(tcp: &mut Tcp, keys: TcpKeys) {
    set(&mut tcp.keepalive, keys.keepalive.as_ref().map(duration_or_none));
    set(
        &mut tcp.keepalive_interval,
        keys.keepalive_interval.map(|text| Some(duration(text))),
    );
    set(&mut tcp.keepalive_retries, keys.keepalive_retries);
    set(&mut tcp.nodelay, keys.nodelay);
    set(&mut tcp.user_timeout, keys.user_timeout.as_ref().map(duration_or_none));
    set(
        &mut tcp.local_address,
        keys.local_address.map(|address| address.0.map(|address| address.0)),
    );
    set(&mut tcp.interface, keys.interface.map(|name| name.0.map(|name| name.0)));
}

fn set_tls(tls: &mut Tls, keys: TlsKeys) {
    let version = |key| match key {
        TlsVersionKey::V1_2 => TlsVersion::V1_2,
        TlsVersionKey::V1_3 => TlsVersion::V1_3,
    };
    set(&mut tls.min_version, keys.min_version.map(version));
    set(&mut tls.max_version, keys.max_version.map(version));
    set(&mut tls.ca_file, keys.ca_file.map(|path| path.0.map(|path| path.0)));
    set(
        &mut tls.extra_ca_file,
        keys.extra_ca_file.map(|path| path.0.map(|path| path.0)),
    );
    let roots = keys.roots.map(|key| match key {
        RootsKey::Platform => Roots::Platform,
        RootsKey::Bundled => Roots::Bundled,
    });
    set(&mut tls.roots, roots);
    set(&mut tls.cert_file, keys.cert_file.map(|path| path.0.map(|path| path.0)));
    set(&mut tls.key_file, keys.key_file.map(|path| path.0.map(|path| path.0)));
    set(&mut tls.crl_files, keys.crl_files.map(|paths| paths.0));
    set(
        &mut tls.server_name,
        keys.server_name.map(|name| name.0.map(|name| name.0)),
    );
    set(&mut tls.pins, keys.pins.map(|pins| pins.0));
    set(&mut tls.insecure_skip_verify, keys.insecure_skip_verify);
}

fn set_http1(http1: &mut Http1, keys: &Http1Keys) {
    set(&mut http1.max_header_bytes, keys.max_header_bytes.map(size));
    set(&mut http1.max_headers, keys.max_headers);
    set(&mut http1.title_case_headers, keys.title_case_headers);
}

fn set_http2(http2: &mut Http2, keys: &Http2Keys) {
    set(&mut http2.enabled, keys.enabled);
    set(&mut http2.prior_knowledge, keys.prior_knowledge);
    set(
        &mut http2.max_connections_per_host,
        keys.max_connections_per_host.map(count),
    );
    set(
        &mut http2.max_streams_per_connection,
        keys.max_streams_per_connection.map(count),
    );
    set(&mut http2.keepalive_interval, keys.keepalive_interval.map(duration));
    set(&mut http2.keepalive_timeout, keys.keepalive_timeout.map(duration));
    set(&mut http2.keepalive_while_idle, keys.keepalive_while_idle);
    set(&mut http2.initial_stream_window, keys.initial_stream_window.map(size));
    set(
        &mut http2.initial_connection_window,
        keys.initial_connection_window.map(size),
    );
    set(&mut http2.adaptive_window, keys.adaptive_window);
    set(&mut http2.max_frame_size, keys.max_frame_size.map(size));
    set(&mut http2.max_header_list_size, keys.max_header_list_size.map(size));
}

fn set_proxy(proxy: &mut Proxy, keys: ProxyKeys) {
    let choice = |url: OrNone<ProxyUrl>| match url.0 {
        None => ProxyChoice::Direct,
        Some(url) => ProxyChoice::Through(url.0.into()),
    };
    let secret = |text: OrNone<SecretText>| text.0.map(|text| text.0.into());
    set(&mut proxy.from_env, keys.from_env);
    proxy.url = keys.url.map(choice);
    proxy.http = keys.http.map(choice);
    proxy.https = keys.https.map(choice);
    proxy.no_proxy = keys
        .no_proxy
        .map(|hosts| hosts.0.map_or_else(Vec::new, |hosts| hosts.0));
    proxy.username = keys.username.and_then(secret);
    proxy.password = keys.password.and_then(secret);
}

fn set_dns(dns: &mut Dns, keys: DnsKeys) {
    let resolver = |key| match key {
        DnsResolverKey::System => DnsResolver::System,
        DnsResolverKey::Hickory => DnsResolver::Hickory,
    };
    let prefer = |key| match key {
        DnsPreferenceKey::HappyEyeballs => DnsPreference::HappyEyeballs,
        DnsPreferenceKey::Ipv4 => DnsPreference::Ipv4,
        DnsPreferenceKey::Ipv6 => DnsPreference::Ipv6,
        DnsPreferenceKey::Ipv4Only => DnsPreference::Ipv4Only,
        DnsPreferenceKey::Ipv6Only => DnsPreference::Ipv6Only,
    };
    let balance = |key| match key {
        DnsBalanceKey::First => DnsBalance::First,
        DnsBalanceKey::RoundRobin => DnsBalance::RoundRobin,
    };
    set(&mut dns.overrides, keys.overrides.map(Addresses::parsed));
    set(&mut dns.resolver, keys.resolver.map(resolver));
    set(&mut dns.ttl, keys.ttl.map(duration));
    set(&mut dns.stale_for, keys.stale_for.map(duration));
    set(&mut dns.prefer, keys.prefer.map(prefer));
    set(&mut dns.balance, keys.balance.map(balance));
}

/// Half a user is none here; that the other half is missing has been told.
fn set_auth(auth: &mut Auth, keys: AuthKeys) {
    let secret = |text: Option<OrNone<SecretText>>| text.and_then(|text| text.0).map(|text| text.0.into());
    if let (Some(username), Some(password)) = (secret(keys.basic.username), secret(keys.basic.password)) {
        auth.basic = Some(Basic { username, password });
    }
    let token = |token| match token {
        TokenText::Text(text) => Token::Text(text.0.into()),
        TokenText::File { file } => Token::File(file),
    };
    auth.bearer = keys.bearer.and_then(|text| text.0).map(token);
    auth.oauth2 = oauth2(keys.oauth2, token);
    set(&mut auth.origins, keys.origins.map(|origins| origins.0));
}

/// Part of it is none here; that another part is missing has been told.
fn oauth2(keys: OAuth2Keys, token: impl Fn(TokenText) -> Token) -> Option<OAuth2> {
    let client_auth = |key| match key {
        ClientAuthKey::Basic => ClientAuth::Basic,
        ClientAuthKey::Body => ClientAuth::Body,
    };
    let mut oauth2 = OAuth2::new(keys.token_url?.0?.0, keys.client_id?.0?, "");
    oauth2.client_secret = token(keys.client_secret?.0?);
    set(&mut oauth2.scopes, keys.scopes.map(|scopes| scopes.0));
    oauth2.audience = keys.audience.and_then(|audience| audience.0);
    set(&mut oauth2.client_auth, keys.client_auth.map(client_auth));
    Some(oauth2)
}

fn set_redirect(redirect: &mut Redirect, keys: &RedirectKeys) {
    set(&mut redirect.max, keys.max);
    set(&mut redirect.cross_origin, keys.cross_origin);
    set(&mut redirect.downgrade, keys.downgrade);
}

fn set_egress(egress: &mut Egress, keys: EgressKeys) {
    set(&mut egress.allow, keys.allow.map(|rules| rules.0));
    set(&mut egress.deny, keys.deny.map(|rules| rules.0));
    set(&mut egress.deny_private, keys.deny_private);
    set(&mut egress.https_only, keys.https_only);
    set(&mut egress.trust_proxy, keys.trust_proxy);
}

fn set_compression(compression: &mut Compression, keys: CompressionKeys) {
    let parsed = |names: Vec<String>| names.iter().filter_map(|name| Coding::parse(name).ok()).collect();
    set(&mut compression.accept, keys.accept.map(|names| parsed(names.0)));
    set(&mut compression.max_ratio, keys.max_ratio);
}

/// Of bounds of pauses that don't fit together, the one that is not written gives way.
fn set_retry(retry: &mut Retry, keys: RetryKeys) {
    let jitter = |key| match key {
        JitterKey::Full => Jitter::Full,
        JitterKey::Equal => Jitter::Equal,
        JitterKey::None => Jitter::None,
    };
    set(&mut retry.max_attempts, keys.max_attempts);
    set(&mut retry.backoff_base, keys.backoff.base.map(duration));
    set(&mut retry.backoff_max, keys.backoff.max.map(duration));
    if keys.backoff.max.is_none() {
        retry.backoff_max = retry.backoff_max.max(retry.backoff_base);
    } else if keys.backoff.base.is_none() {
        retry.backoff_base = retry.backoff_base.min(retry.backoff_max);
    }
    set(&mut retry.jitter, keys.backoff.jitter.map(jitter));
    set(&mut retry.statuses, keys.statuses.map(|statuses| statuses.0));
    set(&mut retry.methods, keys.methods.map(|methods| methods.0));
    set(
        &mut retry.idempotency_header,
        keys.idempotency_header.map(|name| name.0),
    );
    set(&mut retry.budget_ratio, keys.budget.ratio);
    set(&mut retry.budget_min_per_second, keys.budget.min_per_second);
    set(&mut retry.respect_retry_after, keys.respect_retry_after);
    set(&mut retry.max_retry_after, keys.max_retry_after.map(duration));
}

/// Of bounds that don't fit together, the one that is not written gives way.
fn set_breaker(breaker: &mut Breaker, keys: &BreakerKeys) {
    set(&mut breaker.enabled, keys.enabled);
    set(&mut breaker.failure_ratio, keys.failure_ratio);
    set(&mut breaker.min_requests, keys.min_requests);
    set(&mut breaker.window, keys.window.map(duration));
    set(&mut breaker.open_for, keys.open_for.map(duration));
    set(&mut breaker.max_open_for, keys.max_open_for.map(duration));
    if keys.max_open_for.is_none() {
        breaker.max_open_for = breaker.max_open_for.max(breaker.open_for);
    } else if keys.open_for.is_none() {
        breaker.open_for = breaker.open_for.min(breaker.max_open_for);
    }
    set(&mut breaker.half_open_requests, keys.half_open_requests);
}

fn set_limit(limit: &mut Limit, keys: &LimitKeys) {
    // The check has parsed it.
    let rate = |text: &OrNone<RateText>| text.0.as_ref().and_then(|text| Rate::parse(&text.0).ok());
    set(
        &mut limit.max_concurrent,
        keys.max_concurrent.as_ref().map(count_or_none),
    );
    set(
        &mut limit.max_concurrent_per_host,
        keys.max_concurrent_per_host.as_ref().map(count_or_none),
    );
    set(&mut limit.queue, keys.queue.as_ref().map(|number| number.0.map(count)));
    set(&mut limit.rate, keys.rate.as_ref().map(rate));
    set(
        &mut limit.burst,
        keys.burst.as_ref().map(|number| number.0.map(NonZeroU32::get)),
    );
}
