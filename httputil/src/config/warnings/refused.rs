//! Ways that a profile's own `egress.*` refuses.

use std::borrow::Cow;

use crate::config::layer::{name_beside, quoted, wrong_value};
use crate::config::merge::Chain;
use crate::config::problems::Problems;
use crate::connect::{Egress, Route, Target};
use crate::error::Problem;
use crate::settings::{BaseUrl, Profile};

pub(super) fn within(profile: &Profile, chain: &Chain<'_>, found: &mut Problems) {
    let rules = &profile.transport.egress;
    if let Some((table, node)) = chain.written("base_url").next()
        && let Some(egress) = Egress::of(rules)
    {
        for text in &profile.policy.base_url {
            let target = BaseUrl::parse(text).ok().and_then(|base| Target::of(base.url()).ok());
            // Only a socket has no URL's target; a proxy refuses no less.
            if let Some(Err(refusal)) = target.map(|target| egress.judge(&target, &Route::Direct)) {
                let label = name_beside(&node.origin, table, "base_url");
                found.add(|| {
                    Problem::at(
                        node.origin.clone(),
                        format!("{label}no request can go there: {refusal}"),
                    )
                });
            }
        }
    }
    let key = "egress.deny_private";
    let proxies = ["proxy.url", "proxy.http", "proxy.https"];
    let by_proxy = proxies.into_iter().find_map(|key| {
        let (_, node) = chain.written(key).next()?;
        let text = node.as_text().filter(|text| *text != "none")?;
        let (scheme, _) = text.split_once("://").unwrap_or(("http", text));
        (!scheme.eq_ignore_ascii_case("socks5")).then_some((key, node))
    });
    if rules.deny_private
        && !rules.trust_proxy
        && let Some((table, node)) = chain.written(key).next()
        && let Some((proxy, by)) = by_proxy
    {
        let message = format!(
            "no name can be reached through {proxy} ({}), which looks names up itself: write socks5://, or \
             egress.trust_proxy = true",
            by.origin
        );
        let value: Cow<'_, str> = node.as_text().map_or("true".into(), |text| quoted(text).into());
        found.add(|| wrong_value(node.origin.clone(), table, key, &value, &message));
    }
}
