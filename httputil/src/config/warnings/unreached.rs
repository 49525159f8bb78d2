//! Bounds that never end anything, since another one does before.

use std::time::Duration;

use crate::config::contradictions::shown;
use crate::config::layer::{quoted, wrong_value};
use crate::config::merge::Chain;
use crate::config::problems::Problems;
use crate::config::values::show_duration;
use crate::settings::Profile;

pub(super) fn within(profile: &Profile, chain: &Chain<'_>, found: &mut Problems) {
    let (policy, timeouts) = (&profile.policy, &profile.transport.timeouts);
    let (whole, attempt) = (("timeout", policy.timeout), ("timeouts.attempt", policy.attempt));
    let of_an_attempt = [
        ("timeouts.dns", Some(timeouts.dns)),
        ("timeouts.connect", Some(timeouts.connect)),
        ("timeouts.proxy_connect", Some(timeouts.proxy_connect)),
        ("timeouts.tls_handshake", Some(timeouts.tls_handshake)),
        ("timeouts.pool_wait", Some(policy.pool_wait)),
        ("timeouts.expect_continue", Some(policy.expect_continue)),
        ("timeouts.response_header", policy.response_header),
        ("timeouts.read", policy.read.beside(policy.timeout)),
        ("timeouts.write", policy.write.beside(policy.timeout)),
    ];
    let mut warn = |key: &str, value: Option<Duration>, within: &[(&str, Option<Duration>)], message: &str| {
        let Some(value) = value else { return };
        let shortest = within.iter().filter_map(|(key, bound)| Some(((*bound)?, *key))).min();
        let Some((bound, outer)) = shortest.filter(|(bound, _)| *bound < value) else {
            return;
        };
        if let Some((table, node)) = chain.written_beside(key, outer) {
            let bound = quoted(&show_duration(bound));
            let place = chain.place(outer);
            let message = format!("{message}: {outer} = {bound} ({place}) is over before");
            found.add(|| wrong_value(node.origin.clone(), table, key, &shown(node), &message));
        }
    };
    for (key, value) in of_an_attempt {
        warn(key, value, &[attempt, whole], "is never reached");
    }
    warn("timeouts.attempt", policy.attempt, &[whole], "is never reached");
    warn(
        "hedge.after",
        policy.hedge_after,
        &[attempt, whole],
        "nothing is ever sent a second time",
    );
    if let (Some(each), Some(all)) = (policy.attempt, policy.timeout)
        && policy.retry.max_attempts > 1
        && each <= all
        && all.saturating_sub(each) < each / 8
        && let Some((table, node)) = chain.written_beside("timeouts.attempt", "timeout")
    {
        let message = format!(
            "leaves no time for another attempt within timeout = {} ({})",
            quoted(&show_duration(all)),
            chain.place("timeout")
        );
        found.add(|| wrong_value(node.origin.clone(), table, "timeouts.attempt", &shown(node), &message));
    }
}
