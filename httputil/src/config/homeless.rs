//! Secrets that have nowhere to go: credentials and secret headers are sent to the profile's own origins only, so that no
//! client can be made of a profile that has a secret and no origin.
//!
//! The rule: what nobody can use is a mistake, at the secret. A parent, or `[default]`, may hold a secret for those that
//! write their origins themselves; where one of them does not, it may be that nobody uses that one, and it is a warning.

use super::layer::name_beside;
use super::merge::Chain;
use super::names::{DEFAULT, GLOBAL};
use super::problems::Problems;
use super::tree::Node;
use crate::error::Problem;
use crate::settings::{Policy, Profile};

/// Why, in words that follow a subject.
const WHY: &str = "a secret goes to the origin of base_url or to those of auth.origins only, and neither is set";

/// A secret of a profile: its key, the table that it is written in, and the value's node.
type Secret<'a> = (String, &'a str, &'a Node);

/// A profile with its secrets.
struct Held<'a> {
    profile: &'a Profile,
    has_origin: bool,
    secrets: Vec<Secret<'a>>,
}

/// Mistakes go to `problems`, what may never matter to `warnings`. Where an origin was written and refused, or misspelt, or the
/// secret itself is wrong, nothing is added: that is the mistake.
pub(crate) fn between<'a>(
    profiles: impl Iterator<Item = (&'a Profile, Chain<'a>)>,
    problems: &mut Problems,
    warnings: &mut Problems,
) {
    if problems.mention(&["base_url", "auth.origins", "BASE_URL", "AUTH__ORIGINS"]) {
        return;
    }
    let held: Vec<Held<'a>> = profiles
        .map(|(profile, chain)| Held {
            profile,
            has_origin: !(profile.policy.base_url.is_empty() && profile.policy.auth.origins.is_empty()),
            secrets: secrets(&profile.policy, &chain),
        })
        .collect();
    let goes_somewhere = |node: &Node| {
        let mut with_origin = held.iter().filter(|held| held.has_origin);
        with_origin.any(|held| held.secrets.iter().any(|(_, _, other)| std::ptr::eq(*other, node)))
    };
    for Held { profile, secrets, .. } in held.iter().filter(|held| !held.has_origin) {
        let name = profile.name.as_str();
        let lost = secrets.iter().find(|(_, _, node)| !goes_somewhere(node));
        if secrets.iter().any(|(_, _, node)| problems.are_about(&node.origin)) {
            continue;
        }
        if let Some((key, table, node)) = lost {
            let label = name_beside(&node.origin, table, key);
            problems.add(|| Problem::at(node.origin.clone(), format!("{label}{WHY}")));
        } else if let Some((key, table, node)) = secrets.iter().find(|(_, table, _)| *table != name)
            // It is there without having been written, and is rarely used where others are.
            && name != DEFAULT
        {
            let label = name_beside(&node.origin, table, key);
            let off = if key.starts_with("headers.") {
                "false"
            } else {
                "\"none\""
            };
            let instead = match *table {
                GLOBAL => "write them there".to_owned(),
                _ => format!("write them there, or {key} = {off}"),
            };
            warnings.add(|| {
                let message = format!("{label}no client of profile {name} can be made: {WHY} in [{name}]; {instead}");
                Problem::at(node.origin.clone(), message)
            });
        }
    }
}

fn secrets<'a>(policy: &Policy, chain: &Chain<'a>) -> Vec<Secret<'a>> {
    let auth = &policy.auth;
    let credentials = [
        ("auth.bearer", auth.bearer.is_some()),
        ("auth.basic", auth.basic.is_some()),
        ("auth.oauth2", auth.oauth2.is_some()),
    ];
    let credentials = credentials.into_iter().filter(|(_, is_set)| *is_set);
    let headers = policy.headers.iter().filter(|(name, value)| value.is_secret(name));
    let keys = credentials
        .map(|(key, _)| key.to_owned())
        .chain(headers.map(|(name, _)| format!("headers.{name}")));
    keys.filter_map(|key| {
        let (table, node) = chain.written(&key).next()?;
        Some((key, table, node))
    })
    .collect()
}
