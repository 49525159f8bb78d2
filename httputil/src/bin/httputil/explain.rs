//! `httputil explain`: every value in force, who set it, and what that hides.

use serde_json::json;

use crate::args::ExplainArgs;
use crate::json::{of_key, pretty};
use crate::output::Outcome;
use crate::source::SourceArgs;

pub(crate) fn run(args: &ExplainArgs, source: &SourceArgs) -> Result<Outcome, Outcome> {
    let config = source.load()?;
    let mut explanation = config.explain(&args.profile).map_err(Outcome::failed)?;
    if let Some(key) = &args.key {
        let within = format!("{key}.");
        explanation
            .keys
            .retain(|explained| explained.key == *key || explained.key.starts_with(&within));
        if explanation.keys.is_empty() {
            // Either no key is called so, which this says, or it has no value.
            config.origin(&args.profile, key).map_err(Outcome::failed)?;
        }
    }
    if args.json {
        let keys: Vec<_> = explanation.keys.iter().map(of_key).collect();
        return Ok(Outcome::said(pretty(
            &json!({ "profile": explanation.profile, "keys": keys }),
        )));
    }
    if explanation.keys.is_empty() {
        let key = args.key.as_deref().unwrap_or_default();
        return Ok(Outcome::said(format!("{}\n{key}  not set\n", explanation.profile)));
    }
    Ok(Outcome::said(explanation.to_string()))
}
