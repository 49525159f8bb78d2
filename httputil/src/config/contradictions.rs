//! Values that are right one by one and wrong together: within a profile, and between profiles that share a pool.

use std::collections::BTreeMap;

use super::effective::{differ_unseen, values};
use super::layer::{name_beside, wrong_value};
use super::merge::Chain;
use super::problems::Problems;
use super::schema::schema;
use super::tree::{Node, Value};
use crate::connect::Proxies;
use crate::error::{Origin, Problem};
use crate::settings::{
    Profile, Registry, Tls, Transport, header_mistakes, is_https, unverified, without_coding, without_cookies,
    without_watch,
};

/// Checks one profile; `environment` is `HTTPUTIL_ENV` as it is written. A value that several profiles inherit is
/// reported once, under the name it is written by.
pub(crate) fn within(profile: &Profile, chain: &Chain<'_>, environment: Option<&str>, problems: &mut Problems) {
    let pair = |first: &str, second: &str| Some((chain.written(first).next()?, chain.written(second).next()?));
    let transport = &profile.transport;
    let backoff = (
        profile.policy.retry.backoff_base > profile.policy.retry.backoff_max,
        "retry.backoff.base",
        "longer than",
        "retry.backoff.max",
    );
    let open_for = (
        profile.policy.breaker.open_for > profile.policy.breaker.max_open_for,
        "breaker.open_for",
        "longer than",
        "breaker.max_open_for",
    );
    let limit = profile.policy.limit;
    let concurrent = (
        limit
            .max_concurrent
            .is_some_and(|most| limit.max_concurrent_per_host > Some(most)),
        "limit.max_concurrent_per_host",
        "more than",
        "limit.max_concurrent",
    );
    let only_https = (is_refused_base(profile), "egress.https_only", "contradicts", "base_url");
    let attempt = profile.policy.attempt;
    let attempt = (
        attempt.is_some_and(|attempt| profile.policy.timeout.is_some_and(|whole| attempt > whole)),
        "timeouts.attempt",
        "longer than",
        "timeout",
    );
    for (wrong, key, relation, other) in pairs(transport)
        .into_iter()
        .chain([backoff, open_for, concurrent, only_https, attempt])
    {
        // Of two values of which one is not written, that one gives way, if it can.
        if wrong && let Some((at, than)) = pair(key, other) {
            problems.add(|| contradiction(key, at, relation, other, than));
        }
    }
    // One by one they are right; together a user may not fit a proxy.
    for (key, why) in Proxies::mistaken_keys(profile) {
        if let Some((table, node)) = chain.written(key).next() {
            let name = name_beside(&node.origin, table, key);
            problems.add(|| Problem::at(node.origin.clone(), format!("{name}{why}")));
        }
    }
    for (key, why) in header_mistakes(&profile.policy) {
        if let Some((table, node)) = chain.written(&key).next() {
            let name = name_beside(&node.origin, table, &key);
            problems.add(|| Problem::at(node.origin.clone(), format!("{name}{why}")));
        }
    }
    half_a_user(chain, problems);
    part_of_oauth2(chain, problems);
    half_an_identity(&transport.tls, chain, problems);
    if let Some(why) = crate::settings::without_feature(&transport.dns)
        && let Some((table, node)) = chain.written("dns.resolver").next()
    {
        problems.add(|| wrong_value(node.origin.clone(), table, "dns.resolver", &shown(node), why));
    }
    if let Some(why) = without_coding(&profile.policy.compression.accept)
        && let Some((table, node)) = chain.written("compression.accept").next()
    {
        problems.add(|| wrong_value(node.origin.clone(), table, "compression.accept", &shown(node), &why));
    }
    if let Some(why) = without_cookies(&profile.policy)
        && let Some((table, node)) = chain.written("cookies").next()
    {
        problems.add(|| wrong_value(node.origin.clone(), table, "cookies", &shown(node), why));
    }
    if transport.tls.insecure_skip_verify {
        insecure(profile, chain, environment, problems);
    }
}

/// Checks `[registry]`.
pub(crate) fn within_registry(registry: &Registry, chain: &Chain<'_>, problems: &mut Problems) {
    if let Some(why) = without_watch(registry)
        && let Some((table, node)) = chain.written("watch").next()
    {
        problems.add(|| wrong_value(node.origin.clone(), table, "watch", "true", why));
    }
}

/// Whether `egress.https_only` refuses every request to `base_url`, or to one of them.
fn is_refused_base(profile: &Profile) -> bool {
    profile.transport.egress.https_only && profile.policy.base_url.iter().any(|base| !is_https(base))
}

/// Whether two values contradict each other, and how to say it: the first key, what it is to the second, the second.
fn pairs(transport: &Transport) -> [(bool, &'static str, &'static str, &'static str); 10] {
    let Transport { pool, tls, http2, .. } = transport;
    let above = |number: usize, cap: Option<usize>| cap.is_some_and(|cap| number > cap);
    let (min_idle, per_host) = (pool.min_idle_per_host, pool.max_connections_per_host);
    let contradicts = "contradicts";
    [
        (
            pool.max_idle_per_host > pool.max_idle,
            "pool.max_idle_per_host",
            "more than",
            "pool.max_idle",
        ),
        (
            min_idle > pool.max_idle_per_host,
            "pool.min_idle_per_host",
            "more than",
            "pool.max_idle_per_host",
        ),
        (
            min_idle > pool.max_idle,
            "pool.min_idle_per_host",
            "more than",
            "pool.max_idle",
        ),
        (
            above(min_idle, per_host),
            "pool.min_idle_per_host",
            "more than",
            "pool.max_connections_per_host",
        ),
        (
            above(min_idle, pool.max_connections),
            "pool.min_idle_per_host",
            "more than",
            "pool.max_connections",
        ),
        (
            per_host.is_some_and(|per_host| above(per_host, pool.max_connections)),
            "pool.max_connections_per_host",
            "more than",
            "pool.max_connections",
        ),
        (
            min_idle > 0 && !pool.reuse,
            "pool.min_idle_per_host",
            contradicts,
            "pool.reuse",
        ),
        (
            !pool.warm.is_empty() && !pool.reuse,
            "pool.warm",
            contradicts,
            "pool.reuse",
        ),
        (
            tls.min_version > tls.max_version,
            "tls.min_version",
            "higher than",
            "tls.max_version",
        ),
        (
            http2.prior_knowledge && !http2.enabled,
            "http2.prior_knowledge",
            contradicts,
            "http2.enabled",
        ),
    ]
}

fn contradiction(key: &str, at: (&str, &Node), relation: &str, other: &str, than: (&str, &Node)) -> Problem {
    let (table, node) = at;
    let (other_table, other_node) = than;
    let message = format!(
        "{relation} {other_table}.{other} = {} ({})",
        shown(other_node),
        other_node.origin
    );
    wrong_value(node.origin.clone(), table, key, &shown(node), &message)
}

/// A user without a password, or the other way round.
fn half_a_user(chain: &Chain<'_>, problems: &mut Problems) {
    let is_set = |key: &str| {
        chain
            .written(key)
            .next()
            .filter(|(_, node)| node.as_text() != Some("none"))
    };
    let (username, password) = ("auth.basic.username", "auth.basic.password");
    let (at, key, missing) = match (is_set(username), is_set(password)) {
        (Some(at), None) => (at, username, password),
        (None, Some(at)) => (at, password, username),
        _ => return,
    };
    // What is misspelt is not missing.
    if problems.mention(&[&format!("{}.auth.basic.", at.0), "AUTH__BASIC"]) {
        return;
    }
    let name = name_beside(&at.1.origin, at.0, key);
    problems.add(|| Problem::at(at.1.origin.clone(), format!("{name}needs {missing} beside it")));
}

/// An authorization server without the client's name or secret, or one of these alone.
fn part_of_oauth2(chain: &Chain<'_>, problems: &mut Problems) {
    let keys = [
        "auth.oauth2.token_url",
        "auth.oauth2.client_id",
        "auth.oauth2.client_secret",
    ];
    let written = keys.map(|key| {
        chain
            .written(key)
            .next()
            .filter(|(_, node)| node.as_text() != Some("none"))
    });
    let missing = keys.iter().zip(&written).find(|(_, at)| at.is_none());
    let set = keys
        .iter()
        .zip(&written)
        .find_map(|(key, at)| Some((key, at.as_ref()?)));
    if let (Some((missing, _)), Some((key, (table, node)))) = (missing, set) {
        let name = name_beside(&node.origin, table, key);
        problems.add(|| Problem::at(node.origin.clone(), format!("{name}needs {missing} beside it")));
    }
}

/// A client certificate without its key, or the other way round.
fn half_an_identity(tls: &Tls, chain: &Chain<'_>, problems: &mut Problems) {
    let (cert, key) = ("tls.cert_file", "tls.key_file");
    let (written, missing, what) = match (&tls.cert_file, &tls.key_file) {
        (Some(_), None) => (cert, key, "private key"),
        (None, Some(_)) => (key, cert, "certificate"),
        _ => return,
    };
    if let Some((table, node)) = chain.written(written).next() {
        problems.add(|| {
            let message = format!("needs {missing} beside it, the file of its {what}");
            wrong_value(node.origin.clone(), table, written, &shown(node), &message)
        });
    }
}

/// Refused outside development and test; loud there.
fn insecure(profile: &Profile, chain: &Chain<'_>, environment: Option<&str>, problems: &mut Problems) {
    let key = "tls.insecure_skip_verify";
    let Some((table, node)) = chain.written(key).next() else {
        return;
    };
    match unverified::refusal(environment) {
        Some(why) => problems.add(|| wrong_value(node.origin.clone(), table, key, "true", &why)),
        None => unverified::warn(&profile.name, &node.origin.to_string()),
    }
}

/// Profiles that name one pool must agree on everything that shapes its connections.
pub(crate) fn between<'a>(profiles: impl Iterator<Item = (&'a Profile, Chain<'a>)>, problems: &mut Problems) {
    let mut pools: BTreeMap<&str, (&Profile, Chain<'_>)> = BTreeMap::new();
    for (profile, chain) in profiles {
        let Some((first, first_chain)) = pools.get(profile.pool.as_str()) else {
            pools.insert(&profile.pool, (profile, chain));
            continue;
        };
        if first.transport != profile.transport {
            disagreements(first, first_chain, profile, &chain, problems);
        }
    }
}

fn disagreements(
    first: &Profile,
    first_chain: &Chain<'_>,
    second: &Profile,
    second_chain: &Chain<'_>,
    problems: &mut Problems,
) {
    let place = |chain: &Chain<'_>, key: &str| {
        chain
            .written(key)
            .next()
            .map_or(Origin::BuiltIn, |(_, node)| node.origin.clone())
    };
    let seconds: BTreeMap<&str, String> = values(second).into_iter().collect();
    for (key, one) in values(first) {
        // `tcp.keepalive_interval` may differ only in being written; the values are then the same, the pool too.
        let Some(other) = seconds
            .get(key)
            .filter(|other| **other != one || differ_unseen(key, first, second))
        else {
            continue;
        };
        if !schema().key(key).is_some_and(|key| key.transport) {
            continue;
        }
        let message = format!(
            "profiles {} and {} share the pool {} but differ in {key}: {one} ({}) and {other} ({})",
            first.name,
            second.name,
            first.pool,
            place(first_chain, key),
            place(second_chain, key),
        );
        let at = match place(second_chain, "pool.name") {
            Origin::BuiltIn => place(first_chain, "pool.name"),
            origin => origin,
        };
        problems.add(|| Problem::at(at, message));
    }
}

/// The value of a known key that is not secret.
pub(crate) fn shown(node: &Node) -> String {
    match &node.value {
        Value::Text(text) | Value::Raw(text) => super::layer::quoted(text),
        Value::Whole(number) => number.to_string(),
        Value::Flag(flag) => flag.to_string(),
        // One that stands alone may be written without the brackets.
        Value::List(list) if list.len() == 1 => shown(&list[0]),
        Value::List(list) => {
            let items: Vec<String> = list.iter().map(shown).collect();
            format!("[{}]", items.join(", "))
        }
        other => other.what().to_owned(),
    }
}
