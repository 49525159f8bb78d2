//! Values that are right one by one and wrong together: within a profile, and between profiles that share a pool.

use std::collections::BTreeMap;

use super::effective::values;
use super::layer::wrong_value;
use super::merge::Chain;
use super::problems::Problems;
use super::schema::schema;
use super::tree::{Node, Value};
use crate::error::{Origin, Problem};
use crate::settings::{Profile, unverified};

/// Checks one profile; `environment` is `HTTPUTIL_ENV` as it is written. A value that several profiles inherit is
/// reported once, under the name it is written by.
pub(crate) fn within(profile: &Profile, chain: &Chain<'_>, environment: Option<&str>, problems: &mut Problems) {
    let pair = |first: &str, second: &str| Some((chain.written(first).next()?, chain.written(second).next()?));
    let transport = &profile.transport;
    if transport.pool.max_idle_per_host > transport.pool.max_idle
        && let Some((per_host, all)) = pair("pool.max_idle_per_host", "pool.max_idle")
    {
        problems.add(|| contradiction("pool.max_idle_per_host", per_host, "more than", "pool.max_idle", all));
    }
    if transport.tls.min_version > transport.tls.max_version
        && let Some((min, max)) = pair("tls.min_version", "tls.max_version")
    {
        problems.add(|| contradiction("tls.min_version", min, "higher than", "tls.max_version", max));
    }
    if transport.http2.prior_knowledge
        && !transport.http2.enabled
        && let Some((prior, enabled)) = pair("http2.prior_knowledge", "http2.enabled")
    {
        problems.add(|| contradiction("http2.prior_knowledge", prior, "contradicts", "http2.enabled", enabled));
    }
    if transport.tls.insecure_skip_verify {
        insecure(profile, chain, environment, problems);
    }
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
        let Some(other) = seconds.get(key).filter(|other| **other != one) else {
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
fn shown(node: &Node) -> String {
    match &node.value {
        Value::Text(text) | Value::Raw(text) => super::layer::quoted(text),
        Value::Whole(number) => number.to_string(),
        Value::Flag(flag) => flag.to_string(),
        other => other.what().to_owned(),
    }
}
