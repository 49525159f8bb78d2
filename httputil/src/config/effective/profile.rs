//! The keys of a profile and of `[registry]`, with their values.

use super::policy::{add_auth, add_breaker, add_limit, add_retry, header_table};
use super::proxy::add_proxy;
use super::text::{bases, duration, duration_or_none, list};
use super::transport::{add_dns, add_egress, add_http1, add_http2, add_pool, add_tcp, add_timeouts, add_tls};
use crate::config::layer::quoted;
use crate::config::values::show_size;
use crate::settings::{Coding, Compression, MaxConnections, Policy, Profile, Redirect, Registry, Transport};

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
